//! Tests of the plan: examples, and a property over random histories.

use super::*;
use proptest::prelude::*;
use tvtfleet_proto::model::mac::MacAddr;

fn target(number: u32, endpoint: &str, mac: Option<u8>) -> Target {
    Target {
        number: TargetNo(number),
        endpoint: endpoint.parse().unwrap(),
        known_mac: mac.map(|last| MacAddr::from([0x58, 0x5B, 0x69, 0, 0, last])),
        trusted: true,
        credential: None,
        settings: Default::default(),
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

#[test]
fn waves_wait_for_each_other_and_the_canary_comes_first() {
    let targets: Vec<_> = (0..6)
        .map(|n| target(n, &format!("10.0.0.{}:6036", n + 1), None))
        .collect();
    let mut plan = Plan::new(&targets, limits(4));
    plan.in_waves(1, 2);
    let now = Instant::now();
    let mut order = Vec::new();
    let mut running: Vec<TargetNo> = Vec::new();
    loop {
        match plan.next(now, false) {
            Step::Start { target, .. } => running.push(target),
            Step::Wait(_) => {
                assert!(!plan.wants_start(now), "it says so too");
                order.push(running.len());
                let next = running.remove(0);
                plan.finished(next);
            }
            Step::Finished(end) => {
                assert_eq!(end, PlanEnd::Complete);
                break;
            }
            other @ (Step::Skip(_) | Step::Settle(_)) => panic!("{other:?}"),
        }
    }
    assert_eq!(
        order,
        [1, 2, 1, 2, 1, 1],
        "one, then two at a time, never more"
    );
}

#[test]
fn a_device_that_is_tried_again_holds_its_wave() {
    let targets: Vec<_> = (0..2)
        .map(|n| target(n, &format!("10.0.0.{}:6036", n + 1), None))
        .collect();
    let mut plan = Plan::new(&targets, limits(4));
    plan.in_waves(1, 2);
    let now = Instant::now();
    assert_eq!(started(plan.next(now, false)), 0);
    assert!(plan.try_again(TargetNo(0), now, Duration::from_secs(1)));
    assert_eq!(
        plan.next(now, false),
        Step::Wait(Some(now + Duration::from_secs(1)))
    );
    assert_eq!(started(plan.next(now + Duration::from_secs(1), false)), 0);
    plan.finished(TargetNo(0));
    assert_eq!(started(plan.next(now, false)), 1);
}
