//! Tables, and a seeded simulation of a site behind a bad network.

use std::collections::BTreeSet;

use tvtfleet_proto::model::want::SiteOutcome;
use uuid::Uuid;

use super::*;
use crate::ledger::{Ledger, Mark};

const GRACE: Grace = Grace {
    expire: Duration::from_secs(10),
    cancel: Duration::from_secs(60),
};

fn epoch() -> Epoch {
    Epoch::new(Uuid::from_u128(1))
}

fn at(millis: i64) -> UtcMillis {
    UtcMillis::new(millis)
}

fn job(sites_total: u32) -> JobTrack {
    JobTrack {
        state: JobState::Open,
        deadline_at: at(100_000),
        cancelled_at: None,
        braked: false,
        ended_at: None,
        sites_total,
        sites_ended: 0,
        sites_expired: 0,
        devices: DeviceCounts::default(),
        version: 1,
    }
}

fn done(outcome: SiteOutcome, records: u32, range: Option<(u64, u64)>) -> Announced {
    let range = range.map(|(first, last)| (Sequence(first), Sequence(last)));
    Announced {
        epoch: epoch(),
        outcome,
        records,
        range,
    }
}

#[test]
fn a_site_is_done_only_with_its_range_and_its_records() {
    let mut site = SiteTrack::new(2);
    site.announce(done(SiteOutcome::Complete, 2, Some((3, 4))));
    assert_eq!(site.state, SiteJobState::Accepted);
    assert!(!site.settle(|_, _, _| true), "nothing was counted yet");
    site.reported(true, 4);
    site.reported(false, 0);
    assert!(!site.settle(|_, _, _| false), "a batch is missing");
    assert!(site.settle(|of, first, last| (of, first.0, last.0) == (epoch(), 3, 4)));
    assert_eq!(site.state, SiteJobState::Done);
    assert_eq!(
        site.devices,
        DeviceCounts {
            total: 2,
            ok: 1,
            failed: 1,
            channels: 4
        }
    );
}

#[test]
fn a_refusal_ends_the_site_with_its_reason() {
    let mut site = SiteTrack::new(2);
    site.announce(done(
        SiteOutcome::Refused(ErrorCode::SiteSpoolFull),
        0,
        None,
    ));
    assert!(site.settle(|_, _, _| false));
    assert_eq!(
        (site.state, site.reason),
        (SiteJobState::Refused, Some(ErrorCode::SiteSpoolFull))
    );
    assert_eq!(site.missing_code(true), ErrorCode::SiteSpoolFull);
}

#[test]
fn cancelling_ends_the_sites_that_never_got_it_and_waits_for_the_others() {
    let mut job = job(2);
    let (mut waiting, mut working) = (SiteTrack::new(1), SiteTrack::new(1));
    working.accept();
    assert!(job.cancel(at(50_000)));
    assert!(!job.cancel(at(50_001)), "once is enough");
    assert!(waiting.cancel() && !working.cancel());
    job.site_ended(waiting.state, at(50_000));
    assert!(
        !working.tick(&job, &GRACE, at(109_999)),
        "the grace is not over"
    );
    assert!(working.tick(&job, &GRACE, at(110_000)));
    job.site_ended(working.state, at(110_000));
    assert_eq!(
        (job.state, job.ended_at),
        (JobState::Cancelled, Some(at(110_000)))
    );
    assert_eq!(working.missing_code(true), ErrorCode::JobCancelled);
}

#[test]
fn refused_logins_are_counted_without_what_a_brake_left_out() {
    let failure = |code, credentials_sent| Failure {
        credentials_sent,
        ..Failure::new(code, "")
    };
    let mut site = SiteTrack::new(4);
    assert!(site.count_login(Some(&failure(ErrorCode::LoginRejected, true))));
    assert!(!site.count_login(Some(&failure(ErrorCode::JobBraked, false))));
    assert!(!site.count_login(Some(&failure(ErrorCode::PolicyQuietHours, false))));
    assert!(!site.count_login(Some(&failure(ErrorCode::ConnectRefused, false))));
    assert!(!site.count_login(None));
    assert_eq!((site.refused, site.left_out), (1, 2));
}

#[test]
fn the_brake_ends_sites_that_never_began_and_waits_for_the_others() {
    let mut job = job(4);
    job.braked = true;
    let mut sites = [(); 4].map(|()| SiteTrack::new(1));
    let [waiting, working, silent, ending] = &mut sites;
    for accepted in [&mut *working, &mut *silent, &mut *ending] {
        accepted.accept();
    }
    ending.reported(true, 1);
    ending.announce(done(SiteOutcome::Complete, 1, Some((1, 1))));
    assert!(waiting.brake(at(50_000)) && working.brake(at(50_000)) && silent.brake(at(50_000)));
    assert!(!working.brake(at(50_001)), "once is enough");
    assert!(!ending.brake(at(50_000)), "it has nothing left to stop");
    assert_eq!(
        (waiting.state, waiting.reason),
        (SiteJobState::Cancelled, Some(ErrorCode::JobBraked))
    );
    working.announce(done(SiteOutcome::Cancelled, 0, None));
    assert!(working.settle(|_, _, _| true) && ending.settle(|_, _, _| true));
    assert_eq!(working.reason, Some(ErrorCode::JobBraked));
    assert_eq!((ending.state, ending.reason), (SiteJobState::Done, None));
    assert!(
        !silent.tick(&job, &GRACE, at(109_999)),
        "the grace is not over"
    );
    assert!(silent.tick(&job, &GRACE, at(110_000)));
    assert_eq!(silent.missing_code(true), ErrorCode::JobBraked);
    for site in &sites {
        job.site_ended(site.state, at(110_000));
    }
    assert_eq!(job.state, JobState::Cancelled);
}

#[test]
fn the_deadline_ends_what_is_left() {
    let mut job = job(3);
    let (mut waiting, mut working, mut ended) =
        (SiteTrack::new(1), SiteTrack::new(1), SiteTrack::new(0));
    working.accept();
    ended.announce(done(SiteOutcome::Complete, 0, None));
    assert!(ended.settle(|_, _, _| false));
    job.site_ended(ended.state, at(5));
    assert!(!waiting.tick(&job, &GRACE, at(99_999)));
    assert!(waiting.tick(&job, &GRACE, at(100_000)));
    job.site_ended(waiting.state, at(100_000));
    assert!(
        !working.tick(&job, &GRACE, at(109_999)),
        "its last reports may be under way"
    );
    assert!(working.tick(&job, &GRACE, at(110_000)));
    job.site_ended(working.state, at(110_000));
    assert_eq!(job.state, JobState::Expired);
    assert_eq!(waiting.missing_code(true), ErrorCode::SiteOffline);
    assert_eq!(working.missing_code(true), ErrorCode::SiteMissing);
    assert!(
        !ended.tick(&job, &GRACE, at(i64::MAX)),
        "the end does not change"
    );
}

#[test]
fn late_reports_count_but_do_not_reopen() {
    let mut job = job(1);
    let mut site = SiteTrack::new(1);
    assert!(site.tick(&job, &GRACE, at(200_000)));
    job.site_ended(site.state, at(200_000));
    site.reported(true, 4);
    assert!(!site.announce(done(SiteOutcome::Complete, 1, Some((1, 1)))));
    assert!(!site.settle(|_, _, _| true));
    assert_eq!(site.state, SiteJobState::Expired);
    assert_eq!(site.devices.ok, 1);
}

/// A small generator, so that a seed names a run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[derive(Clone, Debug)]
enum Item {
    Accepted,
    Report(u32),
    Done(Announced),
}

/// What a site with `targets` devices seals into its spool.
fn spool(random: &mut Random, targets: u32) -> Vec<Vec<Item>> {
    let mut batches = vec![vec![Item::Accepted]];
    let mut open = Vec::new();
    let mut first = None;
    for target in 0..targets {
        open.push(Item::Report(target));
        if random.below(3) == 0 {
            batches.push(std::mem::take(&mut open));
            first.get_or_insert(batches.len());
        }
    }
    if !open.is_empty() {
        batches.push(open);
        first.get_or_insert(batches.len());
    }
    let range = first.map(|first| {
        (
            Sequence(u64::try_from(first).unwrap()),
            Sequence(u64::try_from(batches.len()).unwrap()),
        )
    });
    let announced = Announced {
        epoch: epoch(),
        outcome: SiteOutcome::Complete,
        records: targets,
        range,
    };
    batches.push(vec![Item::Done(announced)]);
    batches
}

#[test]
fn a_bad_network_neither_loses_nor_doubles_a_device() {
    for seed in 1..400_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let targets = u32::try_from(random.below(40)).unwrap();
        let batches = spool(&mut random, targets);
        let mut ledger = Ledger::default();
        let mut site = SiteTrack::new(targets);
        let mut seen = BTreeSet::new();
        let mut wire: Vec<usize> = Vec::new();
        let mut steps = 0;
        while site.state != SiteJobState::Done {
            steps += 1;
            assert!(steps < 20_000, "seed {seed}: the site never ended");
            // The agent sends again whatever is not committed; the network drops and doubles it.
            let committed = usize::try_from(ledger.committed().0).unwrap();
            for index in committed..batches.len() {
                if random.below(2) == 0 {
                    wire.push(index);
                }
                if random.below(8) == 0 {
                    wire.push(index);
                }
            }
            for _ in 0..random.below(12) {
                if wire.is_empty() {
                    break;
                }
                // Any message may overtake any other.
                let pick =
                    usize::try_from(random.below(u64::try_from(wire.len()).unwrap())).unwrap();
                let index = wire.swap_remove(pick);
                let sequence = Sequence(u64::try_from(index).unwrap() + 1);
                if ledger.mark(sequence) != Mark::Fresh {
                    continue;
                }
                for item in &batches[index] {
                    match item {
                        Item::Accepted => {
                            site.accept();
                        }
                        Item::Report(target) => {
                            assert!(seen.insert(*target), "seed {seed}: {target} counted twice");
                            site.reported(target % 3 != 0, 1);
                        }
                        Item::Done(announced) => {
                            site.announce(*announced);
                        }
                    }
                }
                if site.settle(|_, first, last| ledger.covers(first, last)) {
                    assert_eq!(
                        seen.len(),
                        usize::try_from(targets).unwrap(),
                        "seed {seed}: too early"
                    );
                }
            }
        }
        assert_eq!(
            site.devices.ok + site.devices.failed,
            targets,
            "seed {seed}"
        );
        assert_eq!(site.devices.missing(), 0, "seed {seed}");
    }
}
