//! What is old goes, what is needed stays, and no transaction is large.

use tvtfleet_proto::model::job::Selector;

use super::fixture::*;
use crate::store::{Cutoffs, apply, prune};

/// Two jobs over three devices, whose firmware differs between them.
fn two_jobs() -> rusqlite::Connection {
    let db = database();
    hosts(&db, &depot(), 3);
    hello(&db, &depot(), 1, 1, false);
    for (number, sequence) in [(1_u128, 1_u64), (2, 2)] {
        let job = submit(&db, number, Selector::All);
        let reports = (0..3).map(|target| {
            let mut report = report(job, target, &format!("S{target}"));
            report.facts.firmware = format!("1.{number}");
            report.observed_at = at(i64::try_from(number).unwrap() * 1000);
            item(report)
        });
        let mut items: Vec<_> = reports.collect();
        items.push(done(job, 3, Some((sequence, sequence))));
        let end = at(i64::try_from(number).unwrap() * 1000);
        apply(
            &db,
            vec![message(sequence, &depot(), 1, sequence, items)],
            end,
        )
        .unwrap();
    }
    db
}

fn count(db: &rusqlite::Connection, table: &str) -> i64 {
    number(db, &format!("SELECT count(*) FROM {table}"))
}

fn prune_all(db: &rusqlite::Connection, cutoffs: &Cutoffs) -> usize {
    let mut all = 0;
    loop {
        let gone = prune(db, cutoffs, 2).unwrap();
        assert!(gone <= 2, "{gone} rows in one transaction");
        if gone == 0 {
            return all;
        }
        all += gone;
    }
}

#[test]
fn nothing_goes_without_a_cutoff() {
    let db = two_jobs();
    assert_eq!(prune_all(&db, &Cutoffs::default()), 0);
    assert_eq!(
        (count(&db, "job_results"), count(&db, "device_states")),
        (6, 6)
    );
}

#[test]
fn an_old_job_goes_with_its_rows_and_the_newer_one_stays_whole() {
    let db = two_jobs();
    let cutoffs = Cutoffs {
        jobs: Some(at(1500)),
        ..Cutoffs::default()
    };
    prune_all(&db, &cutoffs);
    assert_eq!((count(&db, "jobs"), count(&db, "job_sites")), (1, 1));
    assert_eq!(
        (count(&db, "job_results"), count(&db, "job_targets")),
        (3, 3)
    );
    let kept = tvtfleet_proto::model::id::JobId::new(uuid::Uuid::from_u128(2));
    assert_eq!(codes(&rows(&db, kept, 0)), [None, None, None]);
}

#[test]
fn states_that_results_need_stay_and_current_ones_always_do() {
    let db = two_jobs();
    let states = Cutoffs {
        states: Some(at(90_000)),
        ..Cutoffs::default()
    };
    assert_eq!(
        prune_all(&db, &states),
        0,
        "the first job's results need them"
    );
    let both = Cutoffs {
        jobs: Some(at(90_000)),
        changes: Some(at(90_000)),
        ..states
    };
    prune_all(&db, &both);
    assert_eq!((count(&db, "jobs"), count(&db, "device_states")), (0, 3));
    assert_eq!(
        number(
            &db,
            "SELECT count(*) FROM device_states WHERE valid_to IS NULL"
        ),
        3
    );
    assert_eq!((count(&db, "changes"), count(&db, "devices")), (0, 3));
}
