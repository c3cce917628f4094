//! What people meet when something is missing or wrong: a message with its code, a hint, the exit
//! code, and no result lost.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tvt_sim::{Counter, FleetSpec};
use tvtfleet_tests::fleet::{Said, TestFleet};

/// Eight recorders at one site.
fn one_site() -> FleetSpec {
    FleetSpec {
        sites: 1,
        ..FleetSpec::new(3, 8)
    }
}

/// Checks a message for people: its code, and a line that says what to do.
#[track_caller]
fn explains(said: &Said, exit: i32, code: &str, hint: &str) {
    assert_eq!(said.code, Some(exit), "{}", said.stderr);
    assert!(said.stderr.contains(code), "{}", said.stderr);
    assert!(said.stderr.contains(hint), "{}", said.stderr);
}

/// The code of every device in a result.
fn codes(result: &Value) -> Vec<Option<&str>> {
    let rows = result.as_array().expect("an array of devices");
    rows.iter().map(|row| row["error_code"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_coordinator_it_says_so() {
    let fleet = TestFleet::empty(&one_site(), Duration::ZERO).await;
    for command in [&["scan", "--all"][..], &["sites", "list"], &["status"]] {
        let said = fleet.ctl(command).await;
        explains(&said, 4, "coordinator.absent", "tvt-coordinator");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_that_nobody_knows_are_named() {
    let fleet = TestFleet::start(&one_site(), Duration::ZERO).await;
    let said = fleet.ctl(&["scan", "--site", "acme/nowhere"]).await;
    explains(&said, 2, "acme/nowhere", "tvtctl sites list");
    assert_eq!(fleet.simulator.totals().connections, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_without_credentials_reports_every_device_and_sends_nothing() {
    let mut fleet = TestFleet::empty(&one_site(), Duration::ZERO).await;
    fs::write(fleet.folder().join("credentials.toml"), "").unwrap();
    fleet.start_coordinator();
    fleet.know_sites().await;
    fleet.start_agent("acme/north");
    fleet.until_online(1).await;

    let said = fleet
        .ctl(&["scan", "--all", "--format", "json"])
        .await
        .ended(1);
    assert_eq!(codes(&said.json()), [Some("device.credential_missing"); 8]);
    assert_eq!(fleet.simulator.totals().logins_failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_fleet_password_stops_the_job_and_every_device_is_in_the_result() {
    let mut fleet = TestFleet::empty(&one_site(), Duration::ZERO).await;
    let path = fleet.folder().join("credentials.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("password = \"", "password = \"not-")).unwrap();
    fleet.start_coordinator();
    fleet.know_sites().await;
    fleet.start_agent("acme/north");
    fleet.until_online(1).await;

    let said = fleet
        .ctl(&["scan", "--all", "--parallel", "1", "--format", "json"])
        .await
        .ended(1);
    let result = said.json();
    let codes = codes(&result);
    assert_eq!(codes.len(), 8);
    let refused = codes
        .iter()
        .filter(|code| **code == Some("device.login_rejected"))
        .count();
    let held_back = codes
        .iter()
        .filter(|code| **code == Some("job.braked"))
        .count();
    assert!(refused > 0 && held_back > 0, "{codes:?}");
    assert_eq!(refused + held_back, 8, "{codes:?}");
    let logins = usize::try_from(fleet.simulator.totals().logins_failed).unwrap();
    assert_eq!(
        logins, refused,
        "one try for each device, none after the brake"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_tvtctl_leaves_the_job_running_and_says_how_to_go_on() {
    let fleet = TestFleet::start(&one_site(), Duration::ZERO).await;
    fleet.simulator.pause_when(Counter::ScansCompleted, 2);
    let mut scan = fleet.tvtctl(&["scan", "--all"]).spawn();
    fleet
        .simulator
        .paused(Duration::from_secs(30))
        .await
        .unwrap();
    let pid = Pid::from_raw(i32::try_from(scan.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ended = scan.ended().await;
    fleet.simulator.resume();
    assert_eq!(ended.code(), Some(1));
    let hint = |lines: &[String]| {
        let hint = lines
            .iter()
            .find(|line| line.contains("tvtctl jobs wait"))?;
        hint.contains("tvtctl jobs cancel").then_some(())
    };
    scan.stderr.wait_for("how to go on", hint).await;

    let jobs = fleet
        .ctl(&["jobs", "list", "--format", "json"])
        .await
        .json();
    let job = jobs["jobs"][0]["id"].as_str().unwrap().to_owned();
    let _ = fleet.ctl(&["jobs", "wait", &job]).await.ended(0);
    let results = fleet
        .ctl(&["jobs", "results", &job, "--format", "json"])
        .await;
    assert_eq!(codes(&results.ended(0).json()).len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_stays_away_is_named_with_every_device_that_was_not_asked() {
    let mut fleet = TestFleet::empty(&one_site(), Duration::ZERO).await;
    fleet.start_coordinator();
    fleet.know_sites().await;
    let scan = ["scan", "--all", "--deadline", "2", "--format", "json"];
    let said = fleet.ctl(&scan).await.ended(1);
    assert_eq!(codes(&said.json()), [Some("site.offline"); 8]);
    let named = "site acme/north: expired (site.offline); 8 of 8 devices not reported";
    assert!(said.stderr.contains(named), "{}", said.stderr);
}

/// More sites than an answer holds: lists come in pages and are whole for whoever asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_larger_than_an_answer_is_shown_whole() {
    const SITES: usize = 2_100;
    let mut fleet = TestFleet::empty(&one_site(), Duration::ZERO).await;
    fleet.start_coordinator();
    fleet.until_answering().await;
    let entries = (0..SITES)
        .map(|number| serde_json::json!({"ip": "127.9.0.1", "site": format!("s{number:04}")}));
    let path = fleet.folder().join("wide.json");
    fs::write(&path, Value::from_iter(entries).to_string()).unwrap();
    let path = path.to_str().unwrap();
    let import = [
        "inventory",
        "import",
        path,
        "--tenant",
        "wide",
        "--create-sites",
    ];
    let _ = fleet.ctl(&import).await.ended(0);

    let said = fleet
        .ctl(&["sites", "list", "--format", "json"])
        .await
        .ended(0);
    let listed = said.json();
    let listed = listed["sites"].as_array().expect("sites");
    let listed: Vec<_> = listed
        .iter()
        .filter_map(|row| row["site"].as_str())
        .collect();
    let expected: Vec<_> = (0..SITES)
        .map(|number| format!("wide/s{number:04}"))
        .collect();
    assert_eq!(listed, expected);

    let scan = fleet.ctl(&["scan", "--all", "--detach"]).await.ended(0);
    let job = scan.stdout.trim();
    let shown = fleet
        .ctl(&["jobs", "show", job, "--format", "json"])
        .await
        .ended(0);
    let sites = shown.json()["sites"].as_array().expect("sites").len();
    assert_eq!(sites, SITES);
    let _ = fleet.ctl(&["jobs", "cancel", job]).await.ended(0);
    let shown = fleet
        .ctl(&["jobs", "show", job, "--format", "json"])
        .await
        .ended(0);
    let shown = shown.json();
    let sites = shown["sites"].as_array().expect("sites");
    let cancelled = sites.iter().filter(|site| site["state"] == "cancelled");
    assert_eq!(cancelled.count(), SITES, "{}", shown["state"]);
}
