//! Devices that are imported, move, are swapped, or claim to be another.

use rusqlite::Connection;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{AddSite, ImportDevices, ListDevices, ListSites};
use tvtfleet_proto::model::id::ImportId;
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::job::Selector;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::report::DeviceReport;
use uuid::Uuid;

use super::fixture::*;
use crate::store::{apply, inventory, site};

fn mac(last: u8) -> MacAddr {
    MacAddr::from([0x58, 0x5B, 0x69, 0, 0, last])
}

/// Scans every host of the depot; `answers` says which serial and MAC answers where.
///
/// Scan `n` comes after import `n` and before the next one.
fn scan(db: &Connection, number: u64, answers: &[(&str, &str, u8)]) {
    let seconds = i64::try_from(number).unwrap() * 100 + 50;
    let id = submit(db, number.into(), Selector::All);
    let targets = rows(db, id, 0);
    let items = (0..).zip(&targets).map(|(target, row)| {
        let host = row.entry.host.to_string();
        let answer = answers.iter().find(|(at, ..)| *at == host);
        item(answer.map_or_else(
            || failed(id, target),
            |(_, serial, last)| {
                let mut report: DeviceReport = report(id, target, serial);
                report.facts.mac = (*last != 0).then(|| mac(*last));
                report.observed_at = at(seconds);
                report
            },
        ))
    });
    let messages = vec![message(number, &depot(), 1, number, items.collect())];
    apply(db, messages, at(seconds)).unwrap();
}

fn named(names: &[(&str, &str)]) -> Vec<(String, String)> {
    names
        .iter()
        .map(|(name, host)| ((*name).to_owned(), (*host).to_owned()))
        .collect()
}

#[test]
fn a_device_that_moves_stays_itself() {
    let db = database();
    hosts(&db, &depot(), 2);
    scan(&db, 1, &[("10.0.0.1", "A", 1), ("10.0.0.2", "B", 2)]);
    assert_eq!(
        standing(&db),
        named(&[("sn:A", "10.0.0.1"), ("sn:B", "10.0.0.2")])
    );
    // Its new address comes with an import, and it answers there.
    import(
        &db,
        2,
        vec![(
            depot(),
            InventoryEntry {
                hostname: "new".into(),
                ..entry("10.0.0.9")
            },
        )],
    );
    scan(&db, 2, &[("10.0.0.9", "A", 1), ("10.0.0.2", "B", 2)]);
    assert_eq!(
        standing(&db),
        named(&[("sn:A", "10.0.0.9"), ("sn:B", "10.0.0.2")])
    );
    assert_eq!(show(&db, "new"), Ok("sn:A".into()));
    assert_eq!(
        number(&db, "SELECT count(DISTINCT device) FROM device_states"),
        2
    );
    // The rows of the job name the device, not the entry that went into it.
    let id = submission(2, Selector::All).id;
    let names: Vec<_> = rows(&db, id, 0)
        .into_iter()
        .map(|row| row.device_id)
        .collect();
    assert_eq!(names, ["sn:A", "sn:B", "sn:A"]);
}

#[test]
fn swapped_addresses_are_sorted_out() {
    let db = database();
    hosts(&db, &depot(), 2);
    scan(&db, 1, &[("10.0.0.1", "A", 1), ("10.0.0.2", "B", 2)]);
    scan(&db, 2, &[("10.0.0.1", "B", 2), ("10.0.0.2", "A", 1)]);
    let mut found = standing(&db);
    found.sort();
    assert_eq!(found, named(&[("sn:A", "10.0.0.2"), ("sn:B", "10.0.0.1")]));
    // Nothing is left over that would be asked a second time.
    assert_eq!(rows(&db, submit(&db, 3, Selector::All), 0).len(), 2);
}

#[test]
fn a_replaced_recorder_is_another_device_at_the_same_place() {
    let db = database();
    import(
        &db,
        1,
        vec![(
            depot(),
            InventoryEntry {
                hostname: "lobby".into(),
                ..entry("10.0.0.1")
            },
        )],
    );
    scan(&db, 1, &[("10.0.0.1", "A", 1)]);
    scan(&db, 2, &[("10.0.0.1", "B", 2)]);
    assert_eq!(standing(&db), named(&[("sn:B", "10.0.0.1")]));
    assert_eq!(show(&db, "lobby"), Ok("sn:B".into()));
    assert_eq!(show(&db, "sn:A"), Ok("sn:A".into()), "its history is kept");
    // Found again elsewhere, it is itself again.
    import(&db, 2, vec![(depot(), entry("10.0.0.7"))]);
    scan(&db, 3, &[("10.0.0.1", "B", 2), ("10.0.0.7", "A", 1)]);
    let mut found = standing(&db);
    found.sort();
    assert_eq!(found, named(&[("sn:A", "10.0.0.7"), ("sn:B", "10.0.0.1")]));
}

#[test]
fn two_devices_with_one_serial_stay_two() {
    let db = database();
    hosts(&db, &depot(), 2);
    for round in 1..=3 {
        scan(
            &db,
            round,
            &[("10.0.0.1", "CLONE", 1), ("10.0.0.2", "CLONE", 2)],
        );
        let expected = named(&[
            ("sn:CLONE", "10.0.0.1"),
            ("mac:58:5B:69:00:00:02", "10.0.0.2"),
        ]);
        assert_eq!(standing(&db), expected, "round {round}");
    }
    let db = database();
    hosts(&db, &depot(), 2);
    for round in 1..=3 {
        // Without a MAC only the job that saw both tells them apart.
        scan(
            &db,
            round,
            &[("10.0.0.1", "CLONE", 0), ("10.0.0.2", "CLONE", 0)],
        );
        let expected = named(&[
            ("sn:CLONE", "10.0.0.1"),
            ("at:acme/depot/10.0.0.2:6036", "10.0.0.2"),
        ]);
        assert_eq!(standing(&db), expected, "round {round}");
    }
}

#[test]
fn names_count_within_one_site() {
    let db = database();
    let yard = "acme/yard".parse().unwrap();
    import(
        &db,
        1,
        vec![(depot(), entry("10.0.0.1")), (yard, entry("10.0.0.1"))],
    );
    scan(&db, 1, &[]);
    let id = submit(&db, 9, Selector::All);
    apply_all(
        &db,
        vec![
            message(5, &depot(), 1, 5, vec![item(report(id, 0, "A"))]),
            message(
                6,
                &"acme/yard".parse().unwrap(),
                3,
                1,
                vec![item(report(id, 0, "A"))],
            ),
        ],
    );
    assert_eq!(
        standing(&db),
        named(&[("sn:A", "10.0.0.1"), ("sn:A", "10.0.0.1")])
    );
    assert_eq!(show(&db, "A"), Err(ErrorCode::DeviceUnknown), "ambiguous");
    assert_eq!(show(&db, "at:acme/yard/10.0.0.1:6036"), Ok("sn:A".into()));
}

#[test]
fn a_device_with_ever_new_names_does_not_fill_the_database() {
    let db = database();
    hosts(&db, &depot(), 1);
    for round in 1..=40_u8 {
        scan(&db, round.into(), &[("10.0.0.1", "A", round)]);
    }
    assert!(number(&db, "SELECT count(*) FROM device_keys") <= 16);
    assert_eq!(standing(&db), named(&[("sn:A", "10.0.0.1")]));
}

#[test]
fn importing_again_changes_nothing() {
    let db = database();
    let file = || {
        let mac = |text: &str| InventoryEntry {
            mac_text: text.into(),
            ..entry("10.0.0.1")
        };
        vec![
            (depot(), mac("58:5B:69:00:00:01")),
            (
                depot(),
                InventoryEntry {
                    port: Some(9008),
                    ..entry("10.0.0.1")
                },
            ),
            (depot(), entry("nvr.example")),
            // A MAC written twice by mistake.
            (
                depot(),
                InventoryEntry {
                    mac_text: "58-5b-69-00-00-01".into(),
                    ..entry("10.0.0.3")
                },
            ),
        ]
    };
    let first = import(&db, 1, file());
    assert_eq!((first.added, first.updated, first.unchanged), (4, 0, 0));
    assert_eq!(first.sites_added, [depot()]);
    for again in 1..=3 {
        let next = import(&db, again, file());
        assert_eq!(
            (next.added, next.updated, next.unchanged),
            (0, 0, 4),
            "import {again}"
        );
        assert!(next.sites_added.is_empty());
    }
    let hosts: Vec<_> = standing(&db).into_iter().map(|(_, host)| host).collect();
    assert_eq!(
        hosts,
        ["10.0.0.1", "10.0.0.1", "nvr.example", "10.0.0.3"],
        "the file's order"
    );
    let changed = (
        depot(),
        InventoryEntry {
            hostname: "x".into(),
            ..entry("nvr.example")
        },
    );
    assert_eq!(import(&db, 9, vec![changed]).updated, 1);
}

#[test]
fn an_import_moves_what_it_knows_by_mac() {
    let db = database();
    let at_host = |host: &str| InventoryEntry {
        mac_text: mac(1).to_string(),
        ..entry(host)
    };
    import(&db, 1, vec![(depot(), at_host("10.0.0.1"))]);
    scan(&db, 1, &[("10.0.0.1", "A", 1)]);
    let moved = import(&db, 2, vec![(depot(), at_host("10.0.0.5"))]);
    assert_eq!((moved.added, moved.updated), (0, 1));
    assert_eq!(standing(&db), named(&[("sn:A", "10.0.0.5")]));
}

#[test]
fn unknown_sites_are_refused_unless_they_may_be_made() {
    let db = database();
    let request = ImportDevices {
        import: ImportId::new(Uuid::nil()),
        entries: vec![(depot(), entry("10.0.0.1"))],
        labels: Vec::new(),
        create_sites: false,
    };
    let done = inventory::import(&db, &request, at(0)).unwrap();
    assert_eq!(done.added, 0);
    assert_eq!(done.refused[0].1, ErrorCode::InventoryEntryNoSite);
}

#[test]
fn lists_are_filtered_and_paged() {
    let db = database();
    for name in ["b", "a"] {
        let site = format!("acme/{name}").parse().unwrap();
        hosts(&db, &site, 5);
    }
    let labelled = AddSite {
        site: "acme/b".parse().unwrap(),
        display_name: "Bakery".into(),
        labels: vec!["north".into()],
    };
    assert!(!site::add(&db, &labelled, at(0)).unwrap());
    let pages = |request: ListDevices| {
        let mut found = Vec::new();
        let mut request = ListDevices {
            limit: 3,
            ..request
        };
        loop {
            let page = inventory::list(&db, &request).unwrap();
            assert!(page.rows.len() <= 3);
            found.extend(
                page.rows
                    .into_iter()
                    .map(|view| format!("{} {}", view.site, view.entry.host)),
            );
            match page.next {
                Some(next) => request.cursor = next,
                None => return found,
            }
        }
    };
    let all = pages(ListDevices::default());
    assert_eq!(all.len(), 10);
    assert_eq!(
        (all[0].as_str(), all[9].as_str()),
        ("acme/a 10.0.0.1", "acme/b 10.0.0.5")
    );
    assert_eq!(
        pages(ListDevices {
            labels: vec!["north".into()],
            ..Default::default()
        }),
        all[5..]
    );
    assert_eq!(
        pages(ListDevices {
            sites: vec!["acme/a".parse().unwrap()],
            ..Default::default()
        }),
        all[..5]
    );
    assert_eq!(
        pages(ListDevices {
            text: "0.0.4".into(),
            ..Default::default()
        })
        .len(),
        2
    );
    assert_eq!(
        pages(ListDevices {
            tenants: vec!["other".parse().unwrap()],
            ..Default::default()
        })
        .len(),
        0
    );
    let bad = ListDevices {
        cursor: "x".into(),
        ..Default::default()
    };
    assert_eq!(
        inventory::list(&db, &bad).unwrap_err().code(),
        ErrorCode::UsageInvalid
    );
    let sites = site::list(&db, &ListSites::default()).unwrap().rows;
    assert_eq!(
        (
            sites.len(),
            sites[1].devices,
            sites[1].display_name.as_str()
        ),
        (2, 5, "Bakery")
    );
}

#[test]
fn devices_are_found_by_every_name() {
    let db = database();
    let full = InventoryEntry {
        hostname: "lobby".into(),
        ..entry("10.0.0.1")
    };
    import(
        &db,
        1,
        vec![
            (depot(), full),
            (
                depot(),
                InventoryEntry {
                    port: Some(9008),
                    ..entry("10.0.0.2")
                },
            ),
        ],
    );
    scan(&db, 1, &[("10.0.0.1", "A", 1)]);
    for name in [
        "sn:A",
        "A",
        "mac:58:5B:69:00:00:01",
        "585b69000001",
        "lobby",
        "10.0.0.1",
        "10.0.0.1:6036",
        "at:acme/depot/10.0.0.1:6036",
    ] {
        assert_eq!(show(&db, name), Ok("sn:A".into()), "{name}");
    }
    assert_eq!(
        show(&db, "10.0.0.2:9008"),
        Ok("at:acme/depot/10.0.0.2:9008".into())
    );
    assert_eq!(show(&db, "nothing"), Err(ErrorCode::DeviceUnknown));
}

/// Recorders that wander between the addresses of a site: however they do, each stands in one place
/// at most, and each address is asked once.
#[test]
fn wandering_devices_never_stand_in_two_places() {
    let hosts_of = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
    for seed in 1..60_u64 {
        let db = database();
        hosts(&db, &depot(), 4);
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut below = move |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % bound).unwrap()
        };
        for round in 1..12 {
            let mut boxes = vec![("A", 1), ("B", 2), ("C", 3), ("D", 4), ("E", 5)];
            let mut answers = Vec::new();
            for host in hosts_of {
                let (serial, last) = boxes.remove(below(u64::try_from(boxes.len()).unwrap()));
                if below(4) != 0 {
                    answers.push((host, serial, last));
                }
            }
            scan(&db, round, &answers);
            let mut standing = standing(&db);
            let addresses = standing.len();
            assert_eq!(addresses, 4, "seed {seed} round {round}: {standing:?}");
            for (host, serial, _) in &answers {
                let place = standing
                    .iter()
                    .find(|(name, _)| *name == format!("sn:{serial}"));
                let place = place.map(|(_, at)| at.as_str());
                assert_eq!(place, Some(*host), "seed {seed} round {round}: {serial}");
            }
            standing.sort();
            standing.dedup_by(|a, b| a.0 == b.0);
            assert_eq!(
                standing.len(),
                addresses,
                "seed {seed} round {round}: a name twice"
            );
        }
    }
}
