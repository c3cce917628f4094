//! The politeness record: what a discovery did to the network.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tvtfleet_proto::model::discovery::{Politeness, RateChange};

/// The peak is taken over this time.
const WINDOW: Duration = Duration::from_millis(100);
/// Windows in a second.
const WINDOWS_PER_SECOND: u32 = 10;
/// Changes of the pace that are kept.
const CHANGES_MAX: usize = 64;

/// What was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Multicast,
    Search { again: bool },
    Echo,
    Connect,
}

/// The record while it is being written.
#[derive(Debug)]
pub(crate) struct Record {
    began: Instant,
    kept: Politeness,
    /// When the unicast probes of the last 100 ms went.
    recent: VecDeque<Instant>,
}

impl Record {
    pub(crate) fn new(now: Instant, rate: u32, addresses: u64) -> Self {
        let kept = Politeness {
            rate,
            addresses,
            ..Politeness::default()
        };
        Self {
            began: now,
            kept,
            recent: VecDeque::new(),
        }
    }

    pub(crate) fn sent(&mut self, now: Instant, what: Sent) {
        let kept = &mut self.kept;
        match what {
            Sent::Multicast => {
                kept.multicast += 1;
                return;
            }
            Sent::Search { again } => {
                kept.unicast += 1;
                kept.retries += u64::from(again);
            }
            Sent::Echo => kept.echoes += 1,
            Sent::Connect => kept.connects += 1,
        }
        self.recent.push_back(now);
        while self
            .recent
            .front()
            .is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW)
        {
            self.recent.pop_front();
        }
        let rate = u32::try_from(self.recent.len())
            .unwrap_or(u32::MAX)
            .saturating_mul(WINDOWS_PER_SECOND);
        self.kept.peak_rate = self.kept.peak_rate.max(rate);
    }

    pub(crate) fn overrun(&mut self) {
        self.kept.overruns += 1;
    }

    pub(crate) fn send_error(&mut self) {
        self.kept.send_errors += 1;
    }

    pub(crate) fn dropped(&mut self, answers: u64) {
        self.kept.dropped += answers;
    }

    pub(crate) fn changed(&mut self, now: Instant, rate: u32, reason: &str) {
        if self.kept.changes.len() < CHANGES_MAX {
            let after = now.saturating_duration_since(self.began);
            self.kept.changes.push(RateChange {
                after,
                rate,
                reason: reason.to_owned(),
            });
        }
    }

    pub(crate) fn finish(mut self, now: Instant) -> Politeness {
        self.kept.duration = now.saturating_duration_since(self.began);
        self.kept
    }

    pub(crate) const fn so_far(&self) -> &Politeness {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_any_100_ms() {
        let start = Instant::now();
        let mut record = Record::new(start, 200, 4);
        for at in [0_u64, 99, 100, 150, 400] {
            record.sent(
                start + Duration::from_millis(at),
                Sent::Search { again: at == 400 },
            );
        }
        record.sent(start, Sent::Multicast);
        let kept = record.finish(start + Duration::from_secs(1));
        assert_eq!(
            (kept.peak_rate, kept.unicast, kept.retries, kept.multicast),
            (30, 5, 1, 1)
        );
    }
}
