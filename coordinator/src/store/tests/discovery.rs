//! What discoveries find joins the inventory, without trust.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use rusqlite::Connection;
use uuid::Uuid;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{ListDevices, ReadResults, ReadSearches};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::change::ListChanges;
use tvtfleet_proto::model::discovery::{
    Claims, DeviceType, DiscoverOptions, DiscoveredDevice, Flag, Method, Politeness, Searched,
    Standing, TypeSource,
};
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::job::{JobState, Selector};
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::query::EditDevices;
use tvtfleet_proto::model::report::{DeviceFacts, DeviceReport};
use tvtfleet_proto::model::want::OutItem;

use crate::store::{change, inventory, job, site};

use super::fixture::*;

/// A TVT prefix, and one of nobody.
const TVT: [u8; 5] = [0x58, 0x5B, 0x69, 0, 0];
const OTHER: [u8; 5] = [0x02, 0, 0, 0, 0];

fn mac([a, b, c, d, e]: [u8; 5], last: u8) -> MacAddr {
    MacAddr::from([a, b, c, d, e, last])
}

fn found(last: u8, mac: Option<MacAddr>) -> DiscoveredDevice {
    let address = Ipv4Addr::new(10, 0, 0, last);
    DiscoveredDevice {
        address,
        source: address,
        addresses: vec![address],
        methods: [Method::Sweep, Method::Tcp].into(),
        interfaces: Vec::new(),
        greeted: vec![6036],
        device_type: DeviceType::Nvr,
        type_source: TypeSource::Model,
        flags: BTreeSet::new(),
        claims: Claims {
            mac,
            model: "TD-3316".into(),
            ..Claims::default()
        },
    }
}

/// As a datagram makes believe: nobody greeted.
fn heard(mut device: DiscoveredDevice) -> DiscoveredDevice {
    device.methods = [Method::Ssdp].into();
    device.greeted.clear();
    device.claims.data_port = 6036;
    device
}

fn seen(job: JobId, target: u32, device: DiscoveredDevice) -> OutItem {
    item(DeviceReport {
        job,
        target: TargetNo(target),
        ask: Ask::Discover,
        backend: Backend::Discovery,
        facts: device.facts(),
        channels: Vec::new(),
        found: Some(Box::new(device)),
        ..report(job, target, "")
    })
}

fn searched(job: JobId, covered: &[&str]) -> OutItem {
    OutItem::Searched(Box::new(Searched {
        job,
        at: at(15),
        politeness: Politeness::default(),
        notes: vec!["a note".into()],
        covered: covered.iter().map(|net| net.parse().unwrap()).collect(),
        excluded: vec!["10.0.0.250/32".parse().unwrap()],
        found: 0,
        failure: None,
    }))
}

fn discovery(db: &Connection, number: u128, ask: Ask) -> JobId {
    let mut submission = submission(number, Selector::All);
    submission.spec.work.ask = ask;
    submission.spec.work.discover = Some(Box::default());
    submission.now = at(i64::try_from(number).unwrap() * 100);
    job::submit(db, &submission).unwrap()
}

/// Runs a whole discovery of the depot: one batch, of this sequence number.
fn discover(db: &Connection, sequence: u64, covered: &[&str], devices: Vec<DiscoveredDevice>) {
    let job = discovery(db, sequence.into(), Ask::Discover);
    let count = u32::try_from(devices.len()).unwrap();
    let mut items = vec![accepted(job)];
    items.extend(
        (0..)
            .zip(devices)
            .map(|(target, device)| seen(job, target, device)),
    );
    items.push(searched(job, covered));
    items.push(done(job, count, Some((sequence, sequence))));
    let applied = apply_all(db, vec![message(sequence, &depot(), 1, sequence, items)]);
    assert_eq!(applied.quarantined, 0);
    let view = view(db, job);
    assert_eq!(view.state, JobState::Finished);
    assert_eq!((view.devices.total, view.devices.ok), (count, count));
}

fn prepared(hosts_known: u32) -> Connection {
    let db = database();
    if hosts_known > 0 {
        hosts(&db, &depot(), hosts_known);
    } else {
        import(&db, 0, vec![(depot(), entry("192.168.0.1"))]);
    }
    hello(&db, &depot(), 1, 1, false);
    db
}

/// Address and standings of every device.
fn standings(db: &Connection, only: &[Standing]) -> Vec<String> {
    let request = ListDevices {
        standings: only.to_vec(),
        ..ListDevices::default()
    };
    let page = inventory::list(db, &request).unwrap();
    page.rows
        .iter()
        .map(|view| {
            let words: Vec<_> = view.sighting.standings.iter().map(|s| s.as_str()).collect();
            format!("{} {}", view.entry.host, words.join(","))
        })
        .collect()
}

fn changes(db: &Connection) -> Vec<String> {
    let page = change::list(db, &ListChanges::default()).unwrap();
    page.rows
        .iter()
        .map(|change| format!("{} {}>{}", change.kind, change.old, change.new))
        .collect()
}

#[test]
fn what_is_found_joins_without_trust_and_known_devices_are_recognised() {
    let db = prepared(2);
    let stranger = found(7, Some(mac(OTHER, 7)));
    discover(
        &db,
        1,
        &[],
        vec![found(1, Some(mac(TVT, 1))), stranger, found(8, None)],
    );
    assert_eq!(
        standings(&db, &[]),
        [
            "10.0.0.1 ",
            "10.0.0.2 ",
            "10.0.0.7 new,unverified",
            "10.0.0.8 new,unverified"
        ]
    );
    assert_eq!(
        changes(&db),
        ["added >10.0.0.7:6036", "added >10.0.0.8:6036"]
    );
    assert_eq!(
        show(&db, "mac:58:5B:69:00:00:01").unwrap(),
        "mac:58:5B:69:00:00:01"
    );
    // Only the site's last discovery makes devices new.
    discover(&db, 2, &[], vec![found(7, Some(mac(OTHER, 7)))]);
    assert_eq!(standings(&db, &[Standing::New]), Vec::<String>::new());
    assert_eq!(standings(&db, &[Standing::Unverified]).len(), 2);
    let edit = EditDevices {
        devices: vec!["10.0.0.7".into()],
        verify: true,
        ..EditDevices::default()
    };
    inventory::edit(&db, &edit, at(40)).unwrap();
    inventory::edit(&db, &edit, at(41)).unwrap();
    assert_eq!(
        standings(&db, &[Standing::Unverified]),
        ["10.0.0.8 unverified"]
    );
    assert_eq!(
        changes(&db)
            .iter()
            .filter(|line| line.starts_with("verified"))
            .count(),
        1
    );
    // An operator who enters a device vouches for it.
    import(&db, 9, vec![(depot(), entry("10.0.0.8"))]);
    assert_eq!(
        standings(&db, &[Standing::Unverified]),
        Vec::<String>::new()
    );
}

#[test]
fn credentials_are_for_verified_devices_and_known_makers() {
    let db = prepared(0);
    discover(
        &db,
        1,
        &[],
        vec![
            found(1, Some(mac(TVT, 1))),
            found(2, Some(mac(OTHER, 2))),
            found(3, None),
        ],
    );
    let id = submit(&db, 90, Selector::All);
    let work = site::work(&db, &depot(), id).unwrap().unwrap();
    let trusted: Vec<_> = work
        .targets
        .iter()
        .map(|target| (target.endpoint.host.to_string(), target.trusted))
        .collect();
    let host = |text: &str, trusted| (text.to_owned(), trusted);
    assert_eq!(
        trusted,
        [
            host("192.168.0.1", true),
            host("10.0.0.1", true),
            host("10.0.0.2", false),
            host("10.0.0.3", false)
        ]
    );
}

#[test]
fn gone_back_and_moved() {
    let db = prepared(0);
    let both = || vec![found(1, Some(mac(TVT, 1))), found(2, Some(mac(OTHER, 2)))];
    discover(&db, 1, &["10.0.0.0/24"], both());
    // A discovery of another network says nothing about this one.
    discover(&db, 2, &["10.9.0.0/24"], Vec::new());
    assert_eq!(standings(&db, &[Standing::Gone]), Vec::<String>::new());
    discover(&db, 3, &["10.0.0.0/24"], vec![found(9, Some(mac(TVT, 1)))]);
    assert_eq!(
        standings(&db, &[Standing::Gone]),
        ["10.0.0.2 gone,unverified"]
    );
    assert_eq!(
        standings(&db, &[Standing::Moved]),
        ["10.0.0.9 moved,unverified"]
    );
    discover(
        &db,
        4,
        &["10.0.0.0/24"],
        vec![found(2, Some(mac(OTHER, 2)))],
    );
    assert_eq!(
        standings(&db, &[Standing::Gone]),
        ["10.0.0.9 gone,unverified"]
    );
    // All happen at the same time here.
    let mut changes = changes(&db).split_off(2);
    changes.sort_unstable();
    assert_eq!(
        changes,
        [
            "back >10.0.0.2:6036",
            "gone 10.0.0.2:6036>",
            "gone 10.0.0.9:6036>",
            "moved 10.0.0.1:6036>10.0.0.9:6036",
        ]
    );
    assert_eq!(
        standings(&db, &[]).len(),
        3,
        "192.168.0.1 was in no network that was asked"
    );
    let past = ListDevices {
        at: Some(at(1_000_000)),
        ..ListDevices::default()
    };
    assert_eq!(inventory::list(&db, &past).unwrap().rows.len(), 3);
}

#[test]
fn a_device_that_moved_loses_the_trust_of_its_operator() {
    let db = prepared(0);
    discover(
        &db,
        1,
        &[],
        vec![found(1, Some(mac(OTHER, 1))), found(2, Some(mac(TVT, 2)))],
    );
    for device in ["10.0.0.1", "10.0.0.2"] {
        let edit = EditDevices {
            devices: vec![device.into()],
            verify: true,
            ..EditDevices::default()
        };
        inventory::edit(&db, &edit, at(31)).unwrap();
    }
    discover(
        &db,
        2,
        &[],
        vec![found(11, Some(mac(OTHER, 1))), found(12, Some(mac(TVT, 2)))],
    );
    assert_eq!(
        standings(&db, &[Standing::Moved]),
        ["10.0.0.11 moved,unverified", "10.0.0.12 moved"]
    );
}

#[test]
fn a_forged_datagram_takes_no_address() {
    let db = prepared(0);
    discover(&db, 1, &[], vec![found(1, Some(mac(TVT, 1)))]);
    // Another device claims the address of a known one, or its name from elsewhere.
    let mut mismatch = heard(found(5, Some(mac(TVT, 1))));
    mismatch.source = Ipv4Addr::new(10, 0, 0, 66);
    mismatch.addresses.push(mismatch.source);
    mismatch.flags = [Flag::AddressMismatch].into();
    discover(&db, 2, &[], vec![heard(found(1, Some(mac(OTHER, 66))))]);
    discover(&db, 3, &[], vec![mismatch]);
    assert_eq!(standings(&db, &[]), ["192.168.0.1 ", "10.0.0.1 unverified"]);
    assert!(show(&db, "mac:02:00:00:00:00:42").is_err());
    let view = inventory::list(&db, &ListDevices::default())
        .unwrap()
        .rows
        .remove(1);
    assert!(
        view.sighting
            .seen
            .unwrap()
            .flags
            .contains(&Flag::AddressMismatch)
    );
    // One that greets there is there.
    discover(&db, 4, &[], vec![found(1, Some(mac(OTHER, 66)))]);
    assert_eq!(show(&db, "10.0.0.1").unwrap(), "mac:02:00:00:00:00:42");
}

#[test]
fn what_a_login_said_is_not_overwritten() {
    let db = prepared(1);
    let scan = submit(&db, 80, Selector::All);
    let facts = DeviceFacts {
        mac: Some(mac(TVT, 1)),
        name: "Gate".into(),
        ..report(scan, 0, "").facts
    };
    let scanned = DeviceReport {
        facts,
        ..report(scan, 0, "")
    };
    let items = vec![item(scanned), done(scan, 1, Some((1, 1)))];
    apply_all(&db, vec![message(1, &depot(), 1, 1, items)]);
    let mut liar = heard(found(1, Some(mac(TVT, 1))));
    liar.claims.name = "pwned".into();
    liar.claims.serial = "S1".into();
    discover(&db, 2, &[], vec![liar]);
    let view = inventory::list(&db, &ListDevices::default())
        .unwrap()
        .rows
        .remove(0);
    assert_eq!(
        (view.facts.name.as_str(), view.facts.serial.as_str()),
        ("Gate", "S1")
    );
    assert_eq!(
        view.last_report,
        Some(at(10)),
        "a discovery is no report of the device"
    );
}

#[test]
fn a_discovery_is_told_of_devices_and_their_cameras() {
    let db = prepared(1);
    let scan = submit(&db, 80, Selector::All);
    let items = vec![item(report(scan, 0, "S1")), done(scan, 1, Some((1, 1)))];
    apply_all(&db, vec![message(1, &depot(), 1, 1, items)]);
    inventory::refresh(&db, 100).unwrap();
    let job = discovery(&db, 7, Ask::Discover);
    let work = site::work(&db, &depot(), job).unwrap().unwrap();
    let known = work.options.discover.unwrap().known;
    let address = |a, b, c, d| Ipv4Addr::new(a, b, c, d);
    assert_eq!(
        known,
        [
            address(10, 0, 0, 1),
            address(192, 168, 1, 1),
            address(192, 168, 1, 2)
        ]
    );
    assert!(work.targets.is_empty());
}

#[test]
fn repeated_and_late_batches_count_once() {
    let db = prepared(0);
    let job = discovery(&db, 7, Ask::Discover);
    let first = || message(1, &depot(), 1, 1, vec![seen(job, 0, found(1, None))]);
    let second = || {
        let items = vec![
            seen(job, 1, found(2, None)),
            searched(job, &["10.0.0.0/24"]),
            done(job, 2, Some((1, 2))),
        ];
        message(2, &depot(), 1, 2, items)
    };
    apply_all(&db, vec![second()]);
    assert_eq!(view(&db, job).state, JobState::Open);
    apply_all(&db, vec![first(), second()]);
    let again = apply_all(&db, vec![first()]);
    assert_eq!((again.reports, again.duplicates), (0, 1));
    let view = view(&db, job);
    assert_eq!((view.state, view.devices.total), (JobState::Finished, 2));
    assert_eq!(rows(&db, job, 1).len(), 2);
    let tail = ReadResults {
        job,
        cursor: String::new(),
        limit: 0,
        site: Some(depot()),
        after: Some(TargetNo(0)),
    };
    let page = job::page(&db, &tail, &BTreeSet::new()).unwrap();
    assert_eq!(page.rows.len(), 1);
    let searches = ReadSearches {
        job,
        cursor: String::new(),
        limit: 0,
    };
    let searches = job::searches(&db, &searches).unwrap();
    assert_eq!(searches.rows[0].searched.notes, ["a note"]);
    assert_eq!(searches.rows[0].site, depot());
}

#[test]
fn a_scan_may_begin_with_a_discovery() {
    let db = prepared(1);
    let job = discovery(&db, 7, Ask::Scan);
    assert_eq!(view(&db, job).devices.total, 1);
    let work = site::work(&db, &depot(), job).unwrap().unwrap();
    assert_eq!(work.targets.len(), 1);
    let known = work.options.discover.unwrap().known;
    assert_eq!(known, [Ipv4Addr::new(10, 0, 0, 1)]);
    let scan = |target, serial: &str, device| {
        item(DeviceReport {
            found: Some(Box::new(device)),
            ..report(job, target, serial)
        })
    };
    let items = vec![
        scan(0, "S0", found(1, None)),
        scan(1, "S1", found(2, None)),
        searched(job, &["10.0.0.0/24"]),
        done(job, 2, Some((1, 1))),
    ];
    apply_all(&db, vec![message(1, &depot(), 1, 1, items)]);
    assert_eq!(view(&db, job).state, JobState::Finished);
    assert_eq!(rows(&db, job, 0).len(), 2);
    assert_eq!(
        standings(&db, &[]),
        ["10.0.0.1 ", "10.0.0.2 new,unverified"]
    );
    assert_eq!(show(&db, "10.0.0.2").unwrap(), "sn:S1");
    // What was found is not given to the site as a target again.
    let open = discovery(&db, 8, Ask::Scan);
    apply_all(
        &db,
        vec![message(
            2,
            &depot(),
            1,
            2,
            vec![seen(open, 2, found(9, None))],
        )],
    );
    let work = site::work(&db, &depot(), open).unwrap().unwrap();
    assert_eq!(work.targets.len(), 2);
}

#[test]
fn only_a_discovery_takes_in_strangers() {
    let db = prepared(1);
    let scan = submit(&db, 80, Selector::All);
    let applied = apply_all(
        &db,
        vec![message(
            1,
            &depot(),
            1,
            1,
            vec![seen(scan, 5, found(5, None))],
        )],
    );
    assert_eq!(applied.quarantined, 1);
    assert_eq!(standings(&db, &[]).len(), 1);
    let mut submission = submission(81, Selector::FailedOf(scan));
    submission.spec.work.ask = Ask::Discover;
    submission.spec.work.discover = Some(Box::new(DiscoverOptions::default()));
    submission.idempotency = Uuid::from_u128(81);
    let refused = job::submit(&db, &submission).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::UsageInvalid);
}
