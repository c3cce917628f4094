//! Which device is asked next.
//!
//! The plan knows the targets of one job and the limits: how many at a time, one session per device,
//! the job's deadline, and whether anything may be started at all. It is pure: time is an argument,
//! and what it decides comes out as a [`Step`].
//!
//! Targets that are the same device (same endpoint, or same Ethernet address) share a *lane* and are
//! asked one after the other. A target that waits for another try keeps its lane, but frees its place
//! for other devices.

mod lanes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tvtfleet_proto::model::id::TargetNo;
use tvtfleet_proto::model::want::Target;

use lanes::{Lane, lanes};

/// The limits of one job at one site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanLimits {
    /// How many devices at a time; at least one.
    pub(crate) parallel: usize,
    /// The time for one device, from the start of its first try.
    pub(crate) device_deadline: Duration,
    /// When the whole job ends.
    pub(crate) not_after: Option<Instant>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask this device, until the given moment at the latest.
    Start {
        /// The device.
        target: TargetNo,
        /// When its time is up, all tries together.
        deadline: Instant,
    },
    /// Do not ask this device: the brake has been pulled.
    Skip(TargetNo),
    /// Do not try this device again after all: its last failure stands.
    Settle(TargetNo),
    /// Nothing can be done before the given moment, or before something running ends.
    Wait(Option<Instant>),
    /// Nothing is left to start and nothing runs.
    Finished(PlanEnd),
}

/// How a plan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanEnd {
    /// Every target has had its turn.
    Complete,
    /// It was cancelled.
    Cancelled,
    /// The job's deadline passed.
    Expired,
}

/// How far a plan is.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlanCounts {
    /// Targets whose turn is over.
    pub(crate) done: usize,
    /// Targets being asked now.
    pub(crate) running: usize,
    /// Targets in all.
    pub(crate) total: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Open,
    Braked,
    Stopped(PlanEnd),
}

/// The state of one job's work.
#[derive(Debug)]
pub(crate) struct Plan {
    limits: PlanLimits,
    mode: Mode,
    /// The targets of each lane that have not been started; the order of the work.
    lanes: Vec<VecDeque<TargetNo>>,
    lane_of: BTreeMap<TargetNo, Lane>,
    /// Lanes with something to start and nothing running or waiting.
    ready: VecDeque<Lane>,
    /// Targets that may be tried again from a moment on.
    waiting: BTreeSet<(Instant, TargetNo)>,
    running: BTreeSet<TargetNo>,
    /// When the time of each started target is up.
    deadlines: BTreeMap<TargetNo, Instant>,
    done: usize,
    total: usize,
    waves: Option<Waves>,
}

/// Devices come in waves: one begins when nothing of the last one is under way.
#[derive(Clone, Copy, Debug)]
struct Waves {
    size: usize,
    /// Devices of this wave that are not started.
    left: usize,
}

impl Plan {
    /// Plans the work on `targets`, in their order. Repeated target numbers count once.
    pub(crate) fn new(targets: &[Target], limits: PlanLimits) -> Self {
        let (lanes, lane_of) = lanes(targets);
        let ready = (0..lanes.len()).collect();
        let total = lane_of.len();
        let limits = PlanLimits {
            parallel: limits.parallel.max(1),
            ..limits
        };
        Self {
            limits,
            mode: Mode::Open,
            lanes,
            lane_of,
            ready,
            waiting: BTreeSet::new(),
            running: BTreeSet::new(),
            deadlines: BTreeMap::new(),
            done: 0,
            total,
            waves: None,
        }
    }

    /// Asks the first `canary` devices, then as many as a wave has at a time, each wave only when the
    /// last one is over.
    pub(crate) fn in_waves(&mut self, canary: usize, wave: usize) {
        self.waves = Some(Waves {
            size: wave.max(1),
            left: canary.max(1),
        });
    }

    /// Says what to do next. Call it until it says [`Step::Wait`] or [`Step::Finished`].
    ///
    /// With `hold`, nothing is started: there is no room for results.
    pub(crate) fn next(&mut self, now: Instant, hold: bool) -> Step {
        let step = self.decide(now, hold);
        self.check_invariants();
        step
    }

    /// Notes that a target's turn is over.
    pub(crate) fn finished(&mut self, target: TargetNo) {
        if self.running.remove(&target) {
            self.end_turn(target);
        }
        self.check_invariants();
    }

    /// Notes that a target's try failed and that it should be tried again after `delay`. Says whether
    /// there is time for that; if not, the target's turn is not over until [`Self::finished`].
    pub(crate) fn try_again(&mut self, target: TargetNo, now: Instant, delay: Duration) -> bool {
        let Some(deadline) = self.deadlines.get(&target).copied() else {
            return false;
        };
        let at = now + delay;
        if self.mode != Mode::Open || at >= deadline || !self.running.remove(&target) {
            return false;
        }
        self.waiting.insert((at, target));
        self.check_invariants();
        true
    }

    /// Starts nothing more, because somebody said so. What runs is the caller's to stop.
    pub(crate) fn cancel(&mut self) {
        self.stop(PlanEnd::Cancelled);
    }

    /// Lets no further device be asked: those left come out as [`Step::Skip`].
    pub(crate) fn brake(&mut self) {
        if self.mode == Mode::Open {
            self.mode = Mode::Braked;
        }
    }

    /// Whether there is a device to start now, were there no [hold](Self::next).
    pub(crate) fn wants_start(&self, now: Instant) -> bool {
        let idle = self.running.is_empty() && self.waiting.is_empty();
        let fresh = !self.ready.is_empty() && self.waves.is_none_or(|waves| waves.left > 0 || idle);
        let due = self.waiting.first().is_some_and(|(at, _)| *at <= now);
        self.mode == Mode::Open && self.running.len() < self.limits.parallel && (due || fresh)
    }

    /// Whether the work has been cancelled or its deadline has passed.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.mode, Mode::Stopped(_))
    }

    /// How far the work is.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> PlanCounts {
        PlanCounts {
            done: self.done,
            running: self.running.len(),
            total: self.total,
        }
    }

    fn decide(&mut self, now: Instant, hold: bool) -> Step {
        if self.limits.not_after.is_some_and(|end| end <= now) && self.done < self.total {
            self.stop(PlanEnd::Expired);
        }
        if let Some(target) = self.settle_one(now) {
            return Step::Settle(target);
        }
        match self.mode {
            Mode::Stopped(end) if self.running.is_empty() => Step::Finished(end),
            Mode::Stopped(_) => Step::Wait(None),
            Mode::Braked => self.skip_one(),
            Mode::Open if self.done == self.total => Step::Finished(PlanEnd::Complete),
            Mode::Open => self.start_one(now, hold),
        }
    }

    /// Takes out a device that waits for a try which will not come: its time is over, or the work is.
    fn settle_one(&mut self, now: Instant) -> Option<TargetNo> {
        let over = |target: &TargetNo| self.deadlines.get(target).is_none_or(|end| *end <= now);
        let found = match self.mode {
            Mode::Open => self
                .waiting
                .iter()
                .find(|(_, target)| over(target))
                .copied(),
            Mode::Braked | Mode::Stopped(_) => self.waiting.first().copied(),
        };
        let entry = found?;
        self.waiting.remove(&entry);
        self.end_turn(entry.1);
        Some(entry.1)
    }

    fn start_one(&mut self, now: Instant, hold: bool) -> Step {
        let not_after = self.limits.not_after;
        let wake = |moment: Option<Instant>| match (moment, not_after) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if hold || self.running.len() >= self.limits.parallel {
            return Step::Wait(wake(None));
        }
        // Devices that were begun come first: their time is running.
        if let Some((at, target)) = self.waiting.first().copied()
            && at <= now
        {
            self.waiting.remove(&(at, target));
            return self.start(target, now);
        }
        if !self.begin_wave() {
            return Step::Wait(wake(self.waiting.first().map(|(at, _)| *at)));
        }
        let next = self
            .ready
            .pop_front()
            .and_then(|lane| self.lanes.get_mut(lane)?.pop_front());
        match next {
            Some(target) => {
                if let Some(waves) = &mut self.waves {
                    waves.left = waves.left.saturating_sub(1);
                }
                self.start(target, now)
            }
            None => Step::Wait(wake(self.waiting.first().map(|(at, _)| *at))),
        }
    }

    /// Whether another device may be begun; a wave that is over makes room for the next.
    fn begin_wave(&mut self) -> bool {
        let idle = self.running.is_empty() && self.waiting.is_empty();
        let Some(waves) = &mut self.waves else {
            return true;
        };
        if waves.left == 0 && idle {
            waves.left = waves.size;
        }
        waves.left > 0
    }

    fn start(&mut self, target: TargetNo, now: Instant) -> Step {
        let own = now + self.limits.device_deadline;
        let deadline = self.limits.not_after.map_or(own, |end| end.min(own));
        let deadline = *self.deadlines.entry(target).or_insert(deadline);
        self.running.insert(target);
        Step::Start { target, deadline }
    }

    fn skip_one(&mut self) -> Step {
        match self
            .ready
            .pop_front()
            .and_then(|lane| self.lanes.get_mut(lane)?.pop_front())
        {
            Some(target) => {
                self.end_turn(target);
                Step::Skip(target)
            }
            None if self.running.is_empty() => Step::Finished(PlanEnd::Complete),
            None => Step::Wait(self.limits.not_after),
        }
    }

    fn end_turn(&mut self, target: TargetNo) {
        self.done += 1;
        self.deadlines.remove(&target);
        if !matches!(self.mode, Mode::Stopped(_))
            && let Some(lane) = self.lane_of.get(&target).copied()
            && self.lanes.get(lane).is_some_and(|queue| !queue.is_empty())
        {
            self.ready.push_back(lane);
        }
    }

    fn stop(&mut self, end: PlanEnd) {
        if !matches!(self.mode, Mode::Stopped(_)) {
            self.mode = Mode::Stopped(end);
            self.ready.clear();
        }
    }

    fn check_invariants(&self) {
        debug_assert!(
            self.running.len() <= self.limits.parallel,
            "too many at a time"
        );
        debug_assert!(
            self.done + self.running.len() + self.waiting.len() <= self.total,
            "a target is in two places"
        );
        debug_assert!(
            self.ready
                .iter()
                .all(|lane| self.lanes.get(*lane).is_some_and(|q| !q.is_empty())),
            "an empty lane is ready"
        );
    }
}

#[cfg(test)]
mod tests;
