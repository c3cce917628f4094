//! What changed, and what was known before it did.

use rusqlite::Connection;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{DeviceView, ListDevices, ShowDevice};
use tvtfleet_proto::model::change::{Change, ChangeKind, ListChanges};
use tvtfleet_proto::model::channel::ChannelStatus;
use tvtfleet_proto::model::id::ImportId;
use tvtfleet_proto::model::job::Selector;
use tvtfleet_proto::model::query::{EditDevices, ImportResults, PastResult};
use tvtfleet_proto::model::report::DeviceReport;

use super::fixture::*;
use crate::store::{change, inventory};

fn apply_at(db: &Connection, number: u64, seconds: i64, mut report: DeviceReport) {
    report.observed_at = at(seconds);
    let messages = vec![message(number, &depot(), 1, number, vec![item(report)])];
    assert_eq!(apply_all(db, messages.clone()).quarantined, 0);
    // The same message again brings no change about.
    apply_all(db, messages);
}

fn changes(db: &Connection, request: &ListChanges) -> Vec<Change> {
    let mut request = request.clone();
    let mut rows = Vec::new();
    loop {
        let page = change::list(db, &request).unwrap();
        rows.extend(page.rows);
        match page.next {
            Some(next) => request.cursor = next,
            None => return rows,
        }
    }
}

fn told(db: &Connection) -> Vec<String> {
    changes(db, &ListChanges::default())
        .iter()
        .map(|change| {
            format!(
                "{} {} {}{} {}>{}",
                change.kind, change.address, change.channel, change.field, change.old, change.new
            )
        })
        .collect()
}

fn known_at(db: &Connection, seconds: i64) -> Vec<DeviceView> {
    let request = ListDevices {
        with_channels: true,
        at: Some(at(seconds)),
        ..ListDevices::default()
    };
    inventory::list(db, &request).unwrap().rows
}

#[test]
fn every_report_yields_its_changes_once() {
    let db = database();
    hosts(&db, &depot(), 1);
    let jobs: Vec<_> = (1..=5)
        .map(|number| submit(&db, number, Selector::All))
        .collect();
    apply_at(&db, 1, 1, report(jobs[0], 0, "A"));
    assert_eq!(told(&db), [""; 0], "what was never known is no change");
    let mut second = report(jobs[1], 0, "A");
    second.facts.firmware = "9.9".into();
    second.channels[1].status = ChannelStatus::Offline;
    second.channels[0].name = "Porch".into();
    apply_at(&db, 2, 2, second.clone());
    apply_at(&db, 3, 3, failed(jobs[2], 0));
    second.job = jobs[3];
    second.channels.pop();
    apply_at(&db, 4, 4, second);
    // An older report that comes late is no news.
    apply_at(&db, 5, 2, report(jobs[4], 0, "A"));
    assert_eq!(
        told(&db),
        [
            "field 10.0.0.1:6036 firmware 1.4.10>9.9",
            "channel_renamed 10.0.0.1:6036 1name Gate>Porch",
            "channel_status 10.0.0.1:6036 2status Online>Offline",
            "unreachable 10.0.0.1:6036 error_code >device.connect_timeout",
            "reachable 10.0.0.1:6036 error_code device.connect_timeout>",
            "channel_removed 10.0.0.1:6036 2 192.168.1.2>",
        ]
    );
    let all = changes(&db, &ListChanges::default());
    assert_eq!(all[0].job, Some(jobs[1]));
    assert_eq!(all[0].device_id, "sn:A");
}

#[test]
fn lists_are_narrowed_paged_and_followed() {
    let db = database();
    hosts(&db, &depot(), 3);
    for round in 1..=2 {
        let id = submit(&db, round.into(), Selector::All);
        for target in 0..3 {
            let mut report = report(id, target, &format!("S{target}"));
            report.facts.firmware = format!("{round}.0");
            apply_at(
                &db,
                u64::from(round * 10 + target),
                i64::from(round * 10 + target),
                report,
            );
        }
    }
    let request = |limit| ListChanges {
        limit,
        ..ListChanges::default()
    };
    let all = changes(&db, &request(0));
    assert_eq!(all.len(), 3);
    assert_eq!(changes(&db, &request(1)), all);
    let narrowed = |change: fn(&mut ListChanges)| {
        let mut request = request(0);
        change(&mut request);
        changes(&db, &request).len()
    };
    assert_eq!(narrowed(|list| list.devices = vec!["S1".into()]), 1);
    assert_eq!(narrowed(|list| list.sites = vec![depot()]), 3);
    assert_eq!(
        narrowed(|list| list.tenants = vec!["other".parse().unwrap()]),
        0
    );
    assert_eq!(narrowed(|list| list.since = Some(at(21))), 2);
    assert_eq!(narrowed(|list| list.until = Some(at(21))), 1);
    assert_eq!(narrowed(|list| list.kinds = vec![ChangeKind::Moved]), 0);
    let followed = |after| {
        let request = ListChanges {
            after: Some(after),
            limit: 2,
            ..ListChanges::default()
        };
        let page = change::list(&db, &request).unwrap();
        (page.rows.len(), page.position)
    };
    assert_eq!(followed(0), (2, 2));
    assert_eq!(followed(2), (1, 3));
    assert_eq!(followed(u64::MAX), (0, 3));
    let bad = ListChanges {
        cursor: "x".into(),
        ..ListChanges::default()
    };
    assert_eq!(
        change::list(&db, &bad).unwrap_err().code(),
        ErrorCode::UsageInvalid
    );
}

#[test]
fn a_device_that_moves_and_one_that_is_replaced() {
    let db = database();
    hosts(&db, &depot(), 2);
    let jobs: Vec<_> = (1..=3)
        .map(|number| submit(&db, number, Selector::All))
        .collect();
    apply_at(&db, 1, 1, report(jobs[0], 0, "A"));
    apply_at(&db, 2, 1, report(jobs[0], 1, "B"));
    // A answers where B stood; B is then found where A stood.
    apply_at(&db, 3, 5, report(jobs[1], 1, "A"));
    apply_at(&db, 4, 6, report(jobs[1], 0, "B"));
    // A third one takes the place of A.
    apply_at(&db, 5, 9, report(jobs[2], 1, "C"));
    assert_eq!(
        told(&db),
        [
            "moved 10.0.0.2:6036 address 10.0.0.1:6036>10.0.0.2:6036",
            "displaced 10.0.0.1:6036 address 10.0.0.2:6036>10.0.0.1:6036",
            "added 10.0.0.2:6036 address >10.0.0.2:6036",
            "displaced  address 10.0.0.2:6036>",
        ]
    );
    let stood = |seconds| -> Vec<String> {
        known_at(&db, seconds)
            .iter()
            .map(|view| format!("{}@{}", view.device_id, view.entry.host))
            .collect()
    };
    assert_eq!(stood(2), ["sn:A@10.0.0.1", "sn:B@10.0.0.2"]);
    assert_eq!(stood(7), ["sn:A@10.0.0.2", "sn:B@10.0.0.1"]);
    // The third one entered the inventory with the transaction, whose clock stands at 30.
    assert_eq!(stood(31), ["sn:B@10.0.0.1", "sn:C@10.0.0.2"]);
}

#[test]
fn the_past_is_what_was_known_then() {
    let db = database();
    hosts(&db, &depot(), 1);
    let jobs: Vec<_> = (1..=3)
        .map(|number| submit(&db, number, Selector::All))
        .collect();
    apply_at(&db, 1, 10, report(jobs[0], 0, "A"));
    let mut second = report(jobs[1], 0, "A");
    second.facts.firmware = "9.9".into();
    second.channels.pop();
    apply_at(&db, 2, 15, second);
    apply_at(&db, 3, 20, failed(jobs[2], 0));
    let told = |seconds| {
        let view = known_at(&db, seconds).remove(0);
        (
            view.facts.firmware,
            view.channels.len(),
            view.last_failure,
            view.last_report.is_some(),
        )
    };
    assert_eq!(told(5), (String::new(), 0, None, false));
    assert_eq!(told(12), ("1.4.10".into(), 2, None, true));
    assert_eq!(told(17), ("9.9".into(), 1, None, true));
    assert_eq!(
        told(25),
        ("9.9".into(), 1, Some(ErrorCode::ConnectTimeout), true)
    );
    let show = |seconds| {
        let request = ShowDevice {
            name: "A".into(),
            at: Some(at(seconds)),
        };
        inventory::show(&db, &request).map(|view| view.facts.firmware)
    };
    assert_eq!(show(12).unwrap(), "1.4.10");
    assert_eq!(show(-5).unwrap_err().code(), ErrorCode::DeviceUnknown);
}

#[test]
fn devices_are_labelled_noted_and_forgotten() {
    let db = database();
    hosts(&db, &depot(), 2);
    let id = submit(&db, 1, Selector::All);
    apply_at(&db, 1, 1, report(id, 0, "A"));
    let edit = |change: fn(&mut EditDevices)| {
        let mut request = EditDevices {
            devices: vec!["A".into()],
            ..EditDevices::default()
        };
        change(&mut request);
        inventory::edit(&db, &request, at(50))
    };
    let page = edit(|edit| edit.add_labels = vec!["gold".into(), "old".into()]).unwrap();
    assert_eq!(page.rows[0].labels, ["gold", "old"]);
    let page = edit(|edit| {
        edit.remove_labels = vec!["old".into()];
        edit.note = Some("Behind the bar".into());
    })
    .unwrap();
    assert_eq!(
        (page.rows[0].labels.as_slice(), page.rows[0].note.as_str()),
        (&["gold".to_owned()][..], "Behind the bar")
    );
    let search = ListDevices {
        text: "the bar".into(),
        ..ListDevices::default()
    };
    assert_eq!(inventory::list(&db, &search).unwrap().rows.len(), 1);
    // One name that is not known, and nothing happens.
    let error = edit(|edit| {
        edit.devices.push("nobody".into());
        edit.forget = true;
    });
    assert_eq!(error.unwrap_err().code(), ErrorCode::DeviceUnknown);
    edit(|edit| edit.forget = true).unwrap();
    edit(|edit| edit.forget = true).unwrap();
    let standing: Vec<_> = standing(&db).into_iter().map(|(_, host)| host).collect();
    assert_eq!(standing, ["10.0.0.2"]);
    assert_eq!(told(&db), ["forgotten  address 10.0.0.1:6036>"]);
    assert_eq!(known_at(&db, 40).len(), 2);
    // A job that was under way does not bring it back, an import does.
    let again = submit(&db, 2, Selector::All);
    assert_eq!(view(&db, again).devices.total, 1);
    import(&db, 900, vec![(depot(), entry("10.0.0.9"))]);
    let id = submit(&db, 3, Selector::All);
    apply_at(&db, 2, 2, report(id, 1, "A"));
    assert!(show(&db, "A").is_ok());
    assert_eq!(
        number(
            &db,
            "SELECT count(*) FROM devices WHERE forgotten_at IS NOT NULL"
        ),
        0
    );
}

fn past(seconds: i64, host: &str, serial: &str, firmware: &str) -> PastResult {
    let mut report = report(
        tvtfleet_proto::model::id::JobId::new(uuid::Uuid::nil()),
        0,
        serial,
    );
    report.observed_at = at(seconds);
    report.facts.firmware = firmware.into();
    PastResult {
        entry: entry(host),
        report,
    }
}

#[test]
fn results_of_earlier_scans_become_history() {
    let db = database();
    hosts(&db, &depot(), 1);
    let id = submit(&db, 1, Selector::All);
    let mut now = report(id, 0, "A");
    now.facts.firmware = "3".into();
    apply_at(&db, 1, 10, now);
    let bring = |results: Vec<PastResult>| {
        let request = ImportResults {
            import: ImportId::new(uuid::Uuid::from_u128(9)),
            site: depot(),
            results,
        };
        let done = inventory::import_results(&db, &request, at(60)).unwrap();
        (done.added, done.updated, done.unchanged)
    };
    // The device stood elsewhere then; where it stands now does not change.
    let first = || past(-500, "10.0.0.77", "A", "1");
    assert_eq!(bring(vec![first()]), (0, 1, 0));
    assert_eq!(bring(vec![first()]), (0, 0, 1));
    assert_eq!(bring(vec![past(-200, "10.0.0.1", "A", "2")]), (0, 1, 0));
    // Another recorder had the address then.
    assert_eq!(bring(vec![past(-900, "10.0.0.1", "OLD", "0")]), (1, 0, 0));
    assert_eq!(bring(vec![past(20, "10.0.0.2", "NEW", "5")]), (1, 0, 0));
    assert_eq!(bring(vec![past(30, "10.0.0.1", "A", "4")]), (0, 1, 0));
    let firmware = |seconds| -> Vec<String> {
        known_at(&db, seconds)
            .into_iter()
            .map(|view| format!("{} {}", view.device_id, view.facts.firmware))
            .collect()
    };
    assert_eq!(firmware(-600), [""; 0]);
    assert_eq!(firmware(-400), ["sn:A 1"]);
    assert_eq!(firmware(-100), ["sn:A 2"]);
    assert_eq!(firmware(15), ["sn:A 3"]);
    assert_eq!(firmware(40), ["sn:A 4", "sn:NEW 5"]);
    assert_eq!(
        told(&db),
        ["field 10.0.0.1:6036 firmware 3>4"],
        "the past brings no changes about"
    );
    assert_eq!(standing(&db).len(), 2);
    // What lies between two looks at the same state.
    assert_eq!(bring(vec![past(25, "10.0.0.1", "A", "3.5")]), (0, 1, 0));
    assert_eq!(firmware(24)[0], "sn:A 3");
    assert_eq!(firmware(26)[0], "sn:A 3.5");
    assert_eq!(firmware(31)[0], "sn:A 4");
}
