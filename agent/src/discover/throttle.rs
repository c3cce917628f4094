//! All that speaks for and against a pace, in one place, without IO or clock.
//!
//! Probes and connections share one pace; connections have a second one as well, because each leaves
//! an entry in the table of a gateway for minutes. Whatever slows the probes slows the connections in
//! proportion.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::canary::{Canaries, Question, Verdict};
use super::pace::{Burst, Changed, Pace};

/// How often the answers of the devices that are asked again are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Why a pace grew.
pub(crate) const CLEAN: &str = "no trouble so far";

/// The most per second, and whether the pace of the probes was agreed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) probes: u32,
    pub(crate) connects: u32,
    pub(crate) agreed: bool,
}

/// A change of the pace, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) rate: u32,
    pub(crate) reason: String,
}

/// The paces of one discovery.
#[derive(Debug)]
pub(crate) struct Throttle {
    pace: Pace,
    connects: Pace,
    canaries: Canaries,
    unreachable: Burst,
    next_look: Instant,
    verdict: Verdict,
}

impl Throttle {
    /// `echo`: whether echo requests can be sent.
    pub(crate) fn new(now: Instant, limits: Limits, echo: bool, seed: u64) -> Self {
        let pace = Pace::new(now, limits.probes, limits.agreed, seed);
        let mut connects = Pace::new(now, limits.connects, true, seed);
        connects.follow(&pace);
        Self {
            pace,
            connects,
            canaries: Canaries::new(echo),
            unreachable: Burst::new(now),
            next_look: now,
            verdict: Verdict::Borne,
        }
    }

    /// When a probe may go.
    pub(crate) fn ready_at(&mut self) -> Instant {
        self.pace.ready_at()
    }

    /// A probe goes.
    pub(crate) fn take(&mut self, now: Instant) {
        self.pace.take(now);
    }

    /// When a connection may be begun.
    pub(crate) fn connect_at(&mut self) -> Instant {
        self.pace.ready_at().max(self.connects.ready_at())
    }

    /// A connection is begun.
    pub(crate) fn connect(&mut self, now: Instant) {
        self.pace.take(now);
        self.connects.take(now);
    }

    /// Sends nothing for a moment.
    pub(crate) fn rest(&mut self, now: Instant) {
        self.pace.rest(now);
    }

    /// A device was found in the sweep. `searchable` if it may be searched once more, `routed` if it
    /// is in no network of this computer.
    pub(crate) fn found(&mut self, device: Ipv4Addr, searchable: bool, routed: bool) {
        self.canaries.add(device, searchable, routed);
    }

    /// The question to a device found before that is due.
    pub(crate) fn question(&mut self, now: Instant) -> Option<Question> {
        self.canaries.next(now, self.pace.rate())
    }

    /// An echo request was answered.
    pub(crate) fn on_echo(&mut self, now: Instant, from: Ipv4Addr, sequence: u16) {
        self.canaries.on_echo(now, from, sequence);
    }

    /// A search was answered.
    pub(crate) fn on_search(&mut self, now: Instant, from: Ipv4Addr) {
        self.canaries.on_search(now, from);
    }

    /// Whether echo requests come through to most devices behind a router.
    pub(crate) const fn echoes_pass(&self) -> bool {
        self.canaries.echoes_pass()
    }

    /// The kernel had no room for a probe.
    pub(crate) fn overrun(&mut self, now: Instant) -> Option<Change> {
        self.pace.rest(now);
        self.lower(now, || "the kernel had no room".to_owned())
    }

    /// The kernel counted losses.
    pub(crate) fn lost(&mut self, now: Instant) -> Option<Change> {
        self.pace.rest(now);
        self.lower(now, || "the kernel lost datagrams or neighbours".to_owned())
    }

    /// A router said that a host cannot be reached.
    pub(crate) fn unreachable(&mut self, now: Instant) -> Option<Change> {
        if !self.unreachable.add(now) {
            return None;
        }
        self.lower(now, || {
            "a router says of many hosts that they cannot be reached".to_owned()
        })
    }

    /// Lowers the pace where the answers speak against it, and raises it where nothing does. To be
    /// called now and then.
    pub(crate) fn look(&mut self, now: Instant) -> Option<Change> {
        if now >= self.next_look {
            self.next_look = now + LOOK;
            self.verdict = self.canaries.verdict(now);
            let verdict = self.verdict;
            match verdict {
                Verdict::Borne | Verdict::Open => {}
                Verdict::Loss { lost, of } => {
                    return self.lower(now, || {
                        format!(
                            "{lost} of {of} questions to devices found before were not answered"
                        )
                    });
                }
                Verdict::Slow { now: slow, before } => {
                    return self.lower(now, || {
                        format!(
                            "devices found before answer in {} ms instead of {} ms",
                            slow.as_millis(),
                            before.as_millis().max(1)
                        )
                    });
                }
            }
        }
        if self.verdict != Verdict::Borne {
            return None;
        }
        let Changed { rate } = self.pace.tick(now)?;
        self.connects.follow(&self.pace);
        Some(Change {
            rate,
            reason: CLEAN.to_owned(),
        })
    }

    fn lower(&mut self, now: Instant, reason: impl FnOnce() -> String) -> Option<Change> {
        let Changed { rate } = self.pace.lower(now)?;
        self.connects.follow(&self.pace);
        self.canaries.lowered(now);
        Some(Change {
            rate,
            reason: reason(),
        })
    }
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
