//! The politeness record: what a discovery did to the network.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tvtfleet_proto::model::discovery::{Politeness, RateChange};

use super::throttle::{CLEAN, Change};

/// The peak is taken over this time.
const WINDOW: Duration = Duration::from_millis(100);
/// Windows in a second.
const WINDOWS_PER_SECOND: u32 = 10;
/// Changes of the pace that are kept.
const CHANGES_MAX: usize = 64;
/// Reasons that a note names.
const REASONS_MAX: usize = 3;

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
    /// How often the pace was lowered, how far, and why.
    lowered: u32,
    lowest: u32,
    reasons: Vec<String>,
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
            lowered: 0,
            lowest: rate,
            reasons: Vec::new(),
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

    /// Keeps a change of the pace. One that grows step by step is one change.
    pub(crate) fn changed(&mut self, now: Instant, change: Change) {
        let after = now.saturating_duration_since(self.began);
        let Change { rate, reason } = change;
        if reason != CLEAN {
            self.lowered += 1;
            self.lowest = self.lowest.min(rate);
            if !self.reasons.contains(&reason) && self.reasons.len() < REASONS_MAX {
                self.reasons.push(reason.clone());
            }
        }
        let changes = &mut self.kept.changes;
        if let Some(last) = changes.last_mut()
            && last.reason == CLEAN
            && reason == CLEAN
        {
            (last.after, last.rate) = (after, rate);
        } else if changes.len() < CHANGES_MAX {
            changes.push(RateChange {
                after,
                rate,
                reason,
            });
        }
    }

    /// What an operator should know of it, a sentence each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let kept = &self.kept;
        let mut notes = Vec::new();
        if self.lowered > 0 {
            let more = if self.reasons.len() < REASONS_MAX {
                ""
            } else {
                "; and more"
            };
            notes.push(format!(
                "the pace was lowered {} times, to {} probes per second at the lowest: {}{more}",
                self.lowered,
                self.lowest,
                self.reasons.join("; ")
            ));
        }
        if kept.overruns > 0 {
            notes.push(format!(
                "the kernel had no room for {} probes; they were sent again more slowly",
                kept.overruns
            ));
        }
        if kept.dropped > 0 {
            notes.push(format!(
                "{} answers were not used: from somebody who was not asked, or from a sender that \
                 speaks for too many devices",
                kept.dropped
            ));
        }
        if kept.send_errors > 0 {
            notes.push(format!(
                "{} probes could not be sent: no way there, or not permitted",
                kept.send_errors
            ));
        }
        notes
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

    #[test]
    fn growth_is_one_change_and_the_note_says_why_it_was_lowered() {
        let start = Instant::now();
        let mut record = Record::new(start, 2_000, 4);
        for (second, rate, reason) in [
            (1, 200, CLEAN),
            (2, 400, CLEAN),
            (3, 200, "a is slow"),
            (4, 300, CLEAN),
            (5, 150, "a is slow"),
        ] {
            let reason = reason.to_owned();
            let change = Change { rate, reason };
            record.changed(start + Duration::from_secs(second), change);
        }
        assert_eq!(
            record.notes(),
            ["the pace was lowered 2 times, to 150 probes per second at the lowest: a is slow"]
        );
        let kept = record.finish(start);
        let rates: Vec<(u64, u32)> = kept
            .changes
            .iter()
            .map(|change| (change.after.as_secs(), change.rate))
            .collect();
        assert_eq!(rates, [(2, 400), (3, 200), (4, 300), (5, 150)]);
    }
}
