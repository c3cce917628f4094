//! The main job: one scan of a whole fleet, from `tvtctl` through NATS to recorders and back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tvt_sim::{Broken, FleetSpec};
use tvtfleet_tests::fleet::{SITES, TestFleet};

/// A small mixed fleet at three sites: 24 recorders, 6 of them head variant, 4 broken.
fn mixed() -> FleetSpec {
    FleetSpec {
        sites: 3,
        channels: 4,
        head: 6,
        broken: BTreeMap::from([
            (Broken::WrongPassword, 1),
            (Broken::Close, 1),
            (Broken::TunnelMute, 1),
            (Broken::Http, 1),
        ]),
        ..FleetSpec::new(11, 24)
    }
}

fn rows(json: &Value) -> Vec<&Value> {
    json.as_array()
        .expect("an array of devices")
        .iter()
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_brings_every_device_of_every_site() {
    let fleet = TestFleet::start(&mixed(), Duration::ZERO).await;
    let said = fleet
        .ctl(&[
            "scan", "--all", "-o", "all.json", "-o", "all.csv", "--xlsx", "books",
        ])
        .await
        .ended(1);
    assert!(said.stdout.contains("SUMMARY"), "{}", said.stdout);

    let json: Value =
        serde_json::from_slice(&std::fs::read(fleet.folder().join("all.json")).unwrap()).unwrap();
    let rows = rows(&json);
    assert_eq!(rows.len(), 24);
    let addresses: BTreeSet<_> = rows
        .iter()
        .map(|row| (row["nvr_ip"].to_string(), row["nvr_port"].to_string()))
        .collect();
    assert_eq!(addresses.len(), 24, "every device once");

    let failed: BTreeMap<&str, usize> = rows
        .iter()
        .filter(|row| row["success"] == Value::Bool(false))
        .filter_map(|row| row["error_code"].as_str())
        .fold(BTreeMap::new(), |mut counts, code| {
            *counts.entry(code).or_default() += 1;
            counts
        });
    let expected = BTreeMap::from([
        ("device.login_rejected", 1),
        ("device.closed", 1),
        ("device.init_timeout", 1),
    ]);
    assert_eq!(failed, expected);
    let cameras: usize = rows
        .iter()
        .map(|row| row["cameras"].as_array().unwrap().len())
        .sum();
    assert_eq!(cameras, 20 * 4, "20 recorders name their 4 channels");

    let books = std::fs::read_dir(fleet.folder().join("books"))
        .unwrap()
        .count();
    assert_eq!(books, 3, "one workbook a site");
    let totals = fleet.simulator.totals();
    assert_eq!(totals.scans_completed, 20);
    assert_eq!(totals.violations, 0);
    assert_eq!(totals.logins_failed, 1, "a wrong password is tried once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_stand_in_the_order_of_sites_and_inventories() {
    let fleet = TestFleet::start(
        &FleetSpec {
            sites: 3,
            ..FleetSpec::new(5, 12)
        },
        Duration::ZERO,
    )
    .await;
    let said = fleet
        .ctl(&["scan", "--all", "--format", "json"])
        .await
        .ended(0);
    let json = said.json();
    let found: Vec<_> = rows(&json)
        .iter()
        .map(|row| row["nvr_port"].as_u64().unwrap())
        .collect();
    let mut expected = Vec::new();
    for site in SITES {
        let inventory: Value =
            serde_json::from_slice(&std::fs::read(fleet.inventory(site)).unwrap()).unwrap();
        expected.extend(
            rows(&inventory)
                .iter()
                .map(|entry| entry["port"].as_u64().unwrap()),
        );
    }
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selectors_pick_tenants_sites_labels_and_failures() {
    let fleet = TestFleet::start(&mixed(), Duration::ZERO).await;
    let count = |said: tvtfleet_tests::fleet::Said| rows(&said.json()).len();
    assert_eq!(
        count(
            fleet
                .ctl(&["scan", "--tenant", "acme", "--format", "json"])
                .await
        ),
        16
    );
    assert_eq!(
        count(
            fleet
                .ctl(&["scan", "--site", "globex/harbour", "--format", "json"])
                .await
        ),
        8
    );
    let _ = fleet
        .ctl(&["sites", "add", "acme/south", "--label", "gold"])
        .await
        .ended(0);
    assert_eq!(
        count(
            fleet
                .ctl(&["scan", "--label", "gold", "--format", "json"])
                .await
        ),
        8
    );

    let all = fleet.ctl(&["scan", "--all", "--detach"]).await.ended(0);
    let job = all.stdout.split_whitespace().last().unwrap().to_owned();
    let _ = fleet.ctl(&["jobs", "wait", &job]).await.ended(1);
    let again = fleet
        .ctl(&["scan", "--failed-of", &job, "--format", "json"])
        .await
        .ended(1);
    assert_eq!(count(again), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_is_offline_is_named_and_the_others_are_complete() {
    let mut fleet = TestFleet::start(
        &FleetSpec {
            sites: 3,
            ..FleetSpec::new(6, 9)
        },
        Duration::ZERO,
    )
    .await;
    fleet.kill_agent("acme/south").await;
    let job = fleet.ctl(&["scan", "--all", "--detach"]).await.ended(0);
    let job = job.stdout.split_whitespace().last().unwrap().to_owned();
    tvtfleet_tests::eventually("the other two sites are done", || async {
        let shown = fleet
            .ctl(&["jobs", "show", &job, "--format", "json"])
            .await
            .json();
        (shown["devices"]["ok"] == 6).then_some(())
    })
    .await;
    fleet.start_agent("acme/south");
    let _ = fleet.ctl(&["jobs", "wait", &job]).await.ended(0);
    let results = fleet
        .ctl(&["jobs", "results", &job, "--format", "json"])
        .await
        .ended(0)
        .json();
    assert_eq!(rows(&results).len(), 9);
    assert_eq!(fleet.simulator.totals().scans_completed, 9);
}
