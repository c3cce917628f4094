//! What is known of a device, and since when.

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{ListDevices, RowOutcome};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::channel::ChannelStatus;
use tvtfleet_proto::model::job::Selector;
use tvtfleet_proto::model::report::{DeviceFacts, DeviceReport};

use super::fixture::*;
use crate::store::{apply, inventory, job};

fn apply_as(db: &rusqlite::Connection, number: u64, report: DeviceReport) {
    apply_all(
        db,
        vec![message(number, &depot(), 1, number, vec![item(report)])],
    );
}

#[test]
fn only_changes_are_written() {
    let db = database();
    hosts(&db, &depot(), 1);
    for number in 1..=6_u64 {
        let id = submit(&db, number.into(), Selector::All);
        let mut report = report(id, 0, "A");
        report.observed_at = at(i64::try_from(number).unwrap());
        if number >= 4 {
            report.channels[1].status = ChannelStatus::Offline;
        }
        apply_as(&db, number, report.clone());
        // Whatever way it is kept, a result reads back as it came.
        let RowOutcome::Reported(read) = rows(&db, id, 0).remove(0).outcome else {
            panic!()
        };
        assert_eq!(*read, report);
    }
    assert_eq!(number(&db, "SELECT count(*) FROM device_states"), 2);
    let closed = number(
        &db,
        "SELECT valid_to FROM device_states WHERE valid_to IS NOT NULL",
    );
    assert_eq!(closed, at(4).millis());
    assert!(number(&db, "SELECT max(length(report)) FROM job_results") < 100);
}

#[test]
fn partial_answers_keep_what_is_known() {
    let db = database();
    hosts(&db, &depot(), 1);
    let jobs: Vec<_> = (1..=5)
        .map(|number| submit(&db, number, Selector::All))
        .collect();
    apply_as(&db, 1, report(jobs[0], 0, "A"));
    let probe = DeviceReport {
        ask: Ask::Probe,
        facts: DeviceFacts {
            firmware: "2.0".into(),
            ..DeviceFacts::default()
        },
        channels: Vec::new(),
        ..report(jobs[1], 0, "")
    };
    let partial = DeviceReport {
        channels: Vec::new(),
        warnings: vec![ErrorCode::TunnelTimeout],
        ..report(jobs[2], 0, "A")
    };
    for (sequence, report) in (2..).zip([probe, partial, failed(jobs[3], 0)]) {
        apply_as(&db, sequence, report.clone());
        let RowOutcome::Reported(read) = rows(&db, report.job, 0).remove(0).outcome else {
            panic!()
        };
        assert_eq!(*read, report);
    }
    let request = ListDevices {
        with_channels: true,
        ..ListDevices::default()
    };
    let view = inventory::list(&db, &request).unwrap().rows.remove(0);
    assert_eq!((view.channels.len(), view.channel_count), (2, Some(2)));
    assert_eq!(
        (view.facts.serial.as_str(), view.facts.firmware.as_str()),
        ("A", "1.4.10")
    );
    assert_eq!(view.last_failure, Some(ErrorCode::ConnectTimeout));
    assert_eq!(view.last_success, Some(at(10)));
    // An older report that comes late is kept, but is no news.
    let late = DeviceReport {
        observed_at: at(5),
        facts: DeviceFacts {
            model: "OLD".into(),
            ..DeviceFacts::default()
        },
        ..report(jobs[4], 0, "A")
    };
    apply_as(&db, 9, late.clone());
    let view = inventory::list(&db, &request).unwrap().rows.remove(0);
    assert_eq!(
        (view.facts.model.as_str(), view.last_report),
        ("TD-3316", Some(at(10)))
    );
    let RowOutcome::Reported(read) = rows(&db, jobs[4], 0).remove(0).outcome else {
        panic!()
    };
    assert_eq!(*read, late);
}

#[test]
fn a_clock_that_runs_ahead_does_not_freeze_a_device() {
    let db = database();
    hosts(&db, &depot(), 1);
    let jobs: Vec<_> = (1..=2)
        .map(|number| submit(&db, number, Selector::All))
        .collect();
    let ahead = DeviceReport {
        observed_at: at(1_000_000),
        ..report(jobs[0], 0, "A")
    };
    apply_as(&db, 1, ahead);
    let next = DeviceReport {
        observed_at: at(30),
        ..failed(jobs[1], 0)
    };
    apply_as(&db, 2, next);
    let view = inventory::list(&db, &ListDevices::default())
        .unwrap()
        .rows
        .remove(0);
    assert_eq!(view.last_failure, Some(ErrorCode::ConnectTimeout));
}

#[test]
fn a_clock_that_is_behind_does_not_freeze_a_device() {
    let db = database();
    hosts(&db, &depot(), 1);
    let first = submit(&db, 1, Selector::All);
    let known = DeviceReport {
        observed_at: at(25),
        ..report(first, 0, "A")
    };
    apply_as(&db, 1, known);
    let model = |db: &rusqlite::Connection| {
        let view = inventory::list(db, &ListDevices::default()).unwrap();
        view.rows[0].facts.model.clone()
    };
    let told = |job, model: &str| DeviceReport {
        observed_at: at(3),
        facts: DeviceFacts {
            serial: "A".into(),
            model: model.into(),
            ..DeviceFacts::default()
        },
        ..report(job, 0, "A")
    };
    // The site's: nobody answers a job before it was submitted.
    let late = job::Submission {
        now: at(28),
        ..submission(2, Selector::All)
    };
    let second = job::submit(&db, &late).unwrap();
    apply_as(&db, 2, told(second, "SITE"));
    assert_eq!(model(&db), "SITE");
    // The coordinator's own: what is known is from its future.
    let third = submit(&db, 3, Selector::All);
    let batch = message(3, &depot(), 1, 3, vec![item(told(third, "CENTRAL"))]);
    apply(&db, vec![batch], at(5)).unwrap();
    assert_eq!(model(&db), "CENTRAL");
    let view = inventory::list(&db, &ListDevices::default()).unwrap();
    assert_eq!(view.rows[0].last_report, Some(at(28)), "never backwards");
}
