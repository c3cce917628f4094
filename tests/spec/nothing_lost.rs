//! kill -9 in the middle of a scan: every device still counts exactly once.
//!
//! The simulator holds all recorders at a known point, so that the blow falls in the middle and not
//! before or after, whatever the speed of the machine.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tvt_sim::{Counter, FleetSpec};
use tvtfleet_tests::fleet::{SITES, TestFleet};
use tvtfleet_tests::{PATIENCE, eventually};

/// Devices of the fleet; enough that each site has work left when the blow falls.
const DEVICES: usize = 90;
/// Scans that are let through before everything stands still.
const BEFORE_THE_BLOW: u64 = 30;

/// Devices that each of the three sites asks at a time.
const PARALLEL: u64 = 4;
/// Devices that may be on their way, asked but not sealed yet, when the blow falls.
const ON_THEIR_WAY: u64 = 3 * PARALLEL;

fn spec() -> FleetSpec {
    FleetSpec {
        sites: 3,
        channels: 4,
        head: 30,
        ..FleetSpec::new(21, DEVICES)
    }
}

/// Submits a scan and waits until the recorders stand still in its middle.
async fn in_the_middle(fleet: &TestFleet) -> String {
    fleet
        .simulator
        .pause_when(Counter::ScansCompleted, BEFORE_THE_BLOW);
    let said = fleet
        .ctl(&[
            "scan",
            "--all",
            "--parallel",
            &PARALLEL.to_string(),
            "--detach",
        ])
        .await
        .ended(0);
    fleet
        .simulator
        .paused(PATIENCE)
        .await
        .expect("the scan reaches its middle");
    said.stdout
        .split_whitespace()
        .last()
        .expect("the job's id")
        .to_owned()
}

/// Waits for the job's end and checks that its result holds every device exactly once, with success.
async fn every_device_once(fleet: &TestFleet, job: &str) {
    fleet.until_answering().await;
    let _ = fleet.ctl(&["jobs", "wait", job]).await.ended(0);
    let rows = fleet
        .ctl(&["jobs", "results", job, "--format", "json"])
        .await
        .ended(0)
        .json();
    let rows = rows.as_array().expect("an array");
    assert_eq!(rows.len(), DEVICES);
    let ports: BTreeSet<_> = rows
        .iter()
        .map(|row| (row["nvr_ip"].to_string(), row["nvr_port"].as_u64()))
        .collect();
    assert_eq!(ports.len(), DEVICES, "a device stands twice");
    assert!(rows.iter().all(|row| row["success"] == Value::Bool(true)));
    let job = fleet
        .ctl(&["jobs", "show", job, "--format", "json"])
        .await
        .ended(0)
        .json();
    assert_eq!(job["devices"]["ok"], Value::from(DEVICES));
    assert_eq!(job["devices"]["failed"], Value::from(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_killed_goes_on_where_it_was() {
    let mut fleet = TestFleet::start(&spec(), Duration::from_millis(2)).await;
    let job = in_the_middle(&fleet).await;
    // What an agent has sealed it does not ask for again; let everything that is done be sealed.
    let done = fleet.simulator.totals().scans_completed;
    eventually("what is done has arrived", || async {
        let job = fleet
            .ctl(&["jobs", "show", &job, "--format", "json"])
            .await
            .json();
        (job["devices"]["ok"].as_u64() >= Some(done - ON_THEIR_WAY)).then_some(())
    })
    .await;
    for site in SITES {
        fleet.kill_agent(site).await;
    }
    fleet.simulator.resume();
    for site in SITES {
        fleet.start_agent(site);
    }
    every_device_once(&fleet, &job).await;
    let totals = fleet.simulator.totals();
    let again = totals.scans_completed - u64::try_from(DEVICES).unwrap();
    // Some were being asked, and some that had answered were not sealed.
    assert!(
        again <= 2 * ON_THEIR_WAY,
        "{again} devices were scanned again"
    );
    assert_eq!(totals.violations, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_is_killed_takes_over_what_was_sent_meanwhile() {
    let mut fleet = TestFleet::start(&spec(), Duration::from_millis(2)).await;
    let job = in_the_middle(&fleet).await;
    fleet.kill_coordinator().await;
    fleet.simulator.resume();
    let all = u64::try_from(DEVICES).unwrap();
    fleet
        .simulator
        .reached(Counter::ScansCompleted, all, PATIENCE)
        .await
        .expect("agents go on");
    fleet.start_coordinator();
    every_device_once(&fleet, &job).await;
    assert_eq!(
        fleet.simulator.totals().scans_completed,
        all,
        "no device was scanned twice"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_server_that_is_killed_comes_back() {
    let mut fleet = TestFleet::start(&spec(), Duration::from_millis(2)).await;
    let job = in_the_middle(&fleet).await;
    fleet.nats.kill9();
    fleet.simulator.resume();
    let all = u64::try_from(DEVICES).unwrap();
    fleet
        .simulator
        .reached(Counter::ScansCompleted, all, PATIENCE)
        .await
        .expect("agents go on");
    fleet.nats.resume().await;
    every_device_once(&fleet, &job).await;
    assert_eq!(
        fleet.simulator.totals().scans_completed,
        all,
        "no device was scanned twice"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_server_that_has_lost_its_disk_is_filled_again() {
    let mut fleet = TestFleet::start(&spec(), Duration::from_millis(2)).await;
    let job = in_the_middle(&fleet).await;
    fleet.nats.wipe().await;
    fleet.simulator.resume();
    every_device_once(&fleet, &job).await;
}
