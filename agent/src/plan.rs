//! Which device is asked next.
//!
//! The plan knows the targets of one job and the limits: how many at a time, one session per device,
//! the job's deadline, and whether anything may be started at all. It is pure: time is an argument,
//! and what it decides comes out as a [`Step`].
//!
//! Targets that are the same device (same endpoint, or same Ethernet address) share a *lane* and are
//! asked one after the other. A target that waits for another try keeps its lane, but frees its place
//! for other devices.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::id::TargetNo;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::want::Target;

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

type Lane = usize;

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
        }
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
        let due = self.waiting.first().is_some_and(|(at, _)| *at <= now);
        self.mode == Mode::Open
            && self.running.len() < self.limits.parallel
            && (due || !self.ready.is_empty())
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
        let wake = |moment: Option<Instant>| match (moment, self.limits.not_after) {
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
        let next = self
            .ready
            .pop_front()
            .and_then(|lane| self.lanes.get_mut(lane)?.pop_front());
        match next {
            Some(target) => self.start(target, now),
            None => Step::Wait(wake(self.waiting.first().map(|(at, _)| *at))),
        }
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

/// Puts targets that are the same device into the same lane. Lanes are in the order of their first
/// target.
fn lanes(targets: &[Target]) -> (Vec<VecDeque<TargetNo>>, BTreeMap<TargetNo, Lane>) {
    let mut by_endpoint: BTreeMap<&Endpoint, usize> = BTreeMap::new();
    let mut by_mac: BTreeMap<MacAddr, usize> = BTreeMap::new();
    let mut sets = Sets::new(targets.len());
    for (index, target) in targets.iter().enumerate() {
        let first = *by_endpoint.entry(&target.endpoint).or_insert(index);
        sets.join(first, index);
        if let Some(mac) = target.known_mac.filter(|mac| mac.is_unicast()) {
            let first = *by_mac.entry(mac).or_insert(index);
            sets.join(first, index);
        }
    }
    let mut lanes: Vec<VecDeque<TargetNo>> = Vec::new();
    let mut lane_of_set: BTreeMap<usize, Lane> = BTreeMap::new();
    let mut lane_of = BTreeMap::new();
    for (index, target) in targets.iter().enumerate() {
        if lane_of.contains_key(&target.number) {
            continue;
        }
        let lane = *lane_of_set.entry(sets.find(index)).or_insert_with(|| {
            lanes.push(VecDeque::new());
            lanes.len() - 1
        });
        if let Some(queue) = lanes.get_mut(lane) {
            queue.push_back(target.number);
            lane_of.insert(target.number, lane);
        }
    }
    (lanes, lane_of)
}

/// Disjoint sets of indices.
struct Sets(Vec<usize>);

impl Sets {
    fn new(len: usize) -> Self {
        Self((0..len).collect())
    }

    fn find(&mut self, index: usize) -> usize {
        let mut root = index;
        while let Some(parent) = self.0.get(root).copied()
            && parent != root
        {
            // Halving the path keeps it short.
            let grand = self.0.get(parent).copied().unwrap_or(parent);
            if let Some(slot) = self.0.get_mut(root) {
                *slot = grand;
            }
            root = grand;
        }
        root
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        if let Some(slot) = self.0.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(number: u32, endpoint: &str, mac: Option<u8>) -> Target {
        Target {
            number: TargetNo(number),
            endpoint: endpoint.parse().unwrap(),
            known_mac: mac.map(|last| MacAddr::from([0x58, 0x5B, 0x69, 0, 0, last])),
            trusted: true,
            credential: None,
        }
    }

    fn limits(parallel: usize) -> PlanLimits {
        PlanLimits {
            parallel,
            device_deadline: Duration::from_secs(30),
            not_after: None,
        }
    }

    fn started(step: Step) -> u32 {
        let Step::Start { target, .. } = step else {
            panic!("{step:?}")
        };
        target.0
    }

    #[test]
    fn targets_start_in_order_up_to_the_limit() {
        let targets: Vec<_> = (0..3)
            .map(|n| target(n, &format!("10.0.0.{}:6036", n + 1), None))
            .collect();
        let mut plan = Plan::new(&targets, limits(2));
        let now = Instant::now();
        assert_eq!(started(plan.next(now, false)), 0);
        assert_eq!(started(plan.next(now, false)), 1);
        assert_eq!(plan.next(now, false), Step::Wait(None));
        plan.finished(TargetNo(1));
        assert_eq!(started(plan.next(now, false)), 2);
        plan.finished(TargetNo(0));
        plan.finished(TargetNo(2));
        assert_eq!(plan.next(now, false), Step::Finished(PlanEnd::Complete));
    }

    #[test]
    fn one_device_under_two_addresses_has_one_session() {
        let targets = [
            target(0, "10.0.0.1:6036", Some(1)),
            target(1, "10.0.1.1:6036", Some(1)),
            target(2, "10.0.1.1:6036", None),
            target(3, "10.0.0.9:6036", None),
        ];
        let mut plan = Plan::new(&targets, limits(4));
        let now = Instant::now();
        assert_eq!(started(plan.next(now, false)), 0);
        assert_eq!(started(plan.next(now, false)), 3);
        assert_eq!(plan.next(now, false), Step::Wait(None));
        plan.finished(TargetNo(0));
        assert_eq!(started(plan.next(now, false)), 1);
    }

    #[test]
    fn a_waiting_try_keeps_its_device_and_frees_its_place() {
        let targets = [
            target(0, "10.0.0.1:6036", None),
            target(1, "10.0.0.1:6036", None),
            target(2, "10.0.0.2:6036", None),
        ];
        let mut plan = Plan::new(&targets, limits(1));
        let now = Instant::now();
        assert_eq!(started(plan.next(now, false)), 0);
        assert!(plan.try_again(TargetNo(0), now, Duration::from_secs(1)));
        assert_eq!(started(plan.next(now, false)), 2);
        plan.finished(TargetNo(2));
        let later = now + Duration::from_secs(1);
        assert_eq!(plan.next(now, false), Step::Wait(Some(later)));
        let Step::Start { target, deadline } = plan.next(later, false) else {
            panic!()
        };
        assert_eq!(
            (target, deadline),
            (TargetNo(0), now + Duration::from_secs(30))
        );
        assert!(
            !plan.try_again(TargetNo(0), later, Duration::from_secs(30)),
            "no time is left"
        );
        plan.finished(TargetNo(0));
        assert_eq!(started(plan.next(later, false)), 1);
    }

    #[test]
    fn a_full_spool_holds_and_a_deadline_ends() {
        let now = Instant::now();
        let end = now + Duration::from_secs(10);
        let limits = PlanLimits {
            not_after: Some(end),
            ..limits(2)
        };
        let mut plan = Plan::new(
            &[
                target(0, "10.0.0.1:6036", None),
                target(1, "10.0.0.2:6036", None),
            ],
            limits,
        );
        assert_eq!(plan.next(now, true), Step::Wait(Some(end)));
        let Step::Start { deadline, .. } = plan.next(now, false) else {
            panic!()
        };
        assert_eq!(deadline, end, "a device ends with its job");
        assert_eq!(plan.next(end, false), Step::Wait(None));
        plan.finished(TargetNo(0));
        assert_eq!(plan.next(end, false), Step::Finished(PlanEnd::Expired));
    }

    #[test]
    fn a_try_that_cannot_come_any_more_is_settled() {
        let now = Instant::now();
        let mut plan = Plan::new(&[target(0, "10.0.0.1:6036", None)], limits(1));
        assert_eq!(started(plan.next(now, false)), 0);
        assert!(plan.try_again(TargetNo(0), now, Duration::from_secs(1)));
        assert_eq!(
            plan.next(now + Duration::from_secs(30), true),
            Step::Settle(TargetNo(0))
        );
        assert_eq!(plan.next(now, false), Step::Finished(PlanEnd::Complete));

        let mut plan = Plan::new(&[target(0, "10.0.0.1:6036", None)], limits(1));
        assert_eq!(started(plan.next(now, false)), 0);
        assert!(plan.try_again(TargetNo(0), now, Duration::from_secs(1)));
        plan.cancel();
        assert_eq!(plan.next(now, false), Step::Settle(TargetNo(0)));
        assert_eq!(plan.next(now, false), Step::Finished(PlanEnd::Cancelled));
    }

    #[test]
    fn the_brake_skips_what_is_left() {
        let targets: Vec<_> = (0..3)
            .map(|n| target(n, &format!("10.0.0.{}:6036", n + 1), None))
            .collect();
        let mut plan = Plan::new(&targets, limits(1));
        let now = Instant::now();
        assert_eq!(started(plan.next(now, false)), 0);
        plan.brake();
        assert_eq!(plan.next(now, false), Step::Skip(TargetNo(1)));
        assert_eq!(plan.next(now, false), Step::Skip(TargetNo(2)));
        assert_eq!(plan.next(now, false), Step::Wait(None));
        plan.finished(TargetNo(0));
        assert_eq!(plan.next(now, false), Step::Finished(PlanEnd::Complete));
    }

    #[derive(Clone, Debug)]
    enum Op {
        Next { hold: bool },
        Finish(usize),
        Again(usize, u64),
        Sleep(u64),
        Brake,
        Cancel,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            8 => any::<bool>().prop_map(|hold| Op::Next { hold }),
            6 => any::<usize>().prop_map(Op::Finish),
            3 => (any::<usize>(), 0_u64..20).prop_map(|(n, s)| Op::Again(n, s)),
            3 => (0_u64..10).prop_map(Op::Sleep),
            1 => Just(Op::Brake),
            1 => Just(Op::Cancel),
        ]
    }

    proptest! {
        #[test]
        fn every_target_has_one_turn_and_every_device_one_session(
            ports in proptest::collection::vec((1_u16..6, proptest::option::of(1_u8..5)), 1..20),
            parallel in 1_usize..5,
            ops in proptest::collection::vec(op(), 0..200),
        ) {
            let targets: Vec<_> = ports.iter().zip(0..)
                .map(|((port, mac), n)| target(n, &format!("10.0.0.1:{port}"), *mac)).collect();
            let mut plan = Plan::new(&targets, limits(parallel));
            let mut now = Instant::now();
            let (mut running, mut over) = (Vec::<u32>::new(), BTreeSet::<u32>::new());
            let mut stopped = false;
            let same = |a: u32, b: u32| {
                let of = |number: u32| &targets[usize::try_from(number).unwrap()];
                let (a, b) = (of(a), of(b));
                a.endpoint == b.endpoint || a.known_mac.is_some() && a.known_mac == b.known_mac
            };
            let mut apply = |plan: &mut Plan, op: &Op| -> Result<Option<Step>, TestCaseError> {
                match op {
                    Op::Next { hold } => {
                        let wanted = plan.wants_start(now);
                        let step = plan.next(now, *hold);
                        match step {
                            Step::Start { target, deadline } => {
                                prop_assert!(!hold && !stopped && deadline > now && wanted);
                                prop_assert!(!over.contains(&target.0));
                                prop_assert!(running.iter().all(|other| !same(*other, target.0)));
                                running.push(target.0);
                                prop_assert!(running.len() <= parallel);
                            }
                            Step::Skip(target) | Step::Settle(target) => prop_assert!(over.insert(target.0)),
                            Step::Finished(_) => prop_assert!(running.is_empty()),
                            Step::Wait(_) => {}
                        }
                        return Ok(Some(step));
                    }
                    Op::Finish(n) if !running.is_empty() => {
                        let target = running.remove(n % running.len());
                        plan.finished(TargetNo(target));
                        prop_assert!(over.insert(target));
                    }
                    Op::Again(n, seconds) if !running.is_empty() => {
                        let place = n % running.len();
                        if plan.try_again(TargetNo(running[place]), now, Duration::from_secs(*seconds)) {
                            running.remove(place);
                        }
                    }
                    Op::Sleep(seconds) => now += Duration::from_secs(*seconds),
                    Op::Brake => { plan.brake(); stopped = true; }
                    Op::Cancel => { plan.cancel(); stopped = true; }
                    Op::Finish(_) | Op::Again(..) => {}
                }
                Ok(None)
            };
            for op in &ops {
                apply(&mut plan, op)?;
            }
            // Left alone, it always comes to an end.
            for _ in 0..1000 {
                match apply(&mut plan, &Op::Next { hold: false })? {
                    Some(Step::Finished(end)) => {
                        if end == PlanEnd::Complete {
                            prop_assert_eq!(plan.counts().done, targets.len());
                            prop_assert_eq!(over.len(), targets.len());
                        }
                        return Ok(());
                    }
                    Some(Step::Wait(_)) => {
                        apply(&mut plan, &Op::Finish(0))?;
                        apply(&mut plan, &Op::Sleep(1))?;
                    }
                    _ => {}
                }
            }
            prop_assert!(false, "the plan does not end");
        }
    }
}
