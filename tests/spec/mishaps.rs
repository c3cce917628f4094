//! What goes wrong at customers and in the office: clocks that are a day off, boxes that are made anew or
//! copied, a coordinator that is away for longer than tokens last.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tvt_sim::{Counter, FleetSpec, Options, Simulator};
use tvtfleet_bus::trust;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_tests::governed::GovernedFleet;
use tvtfleet_tests::{PATIENCE, eventually};

const SITE: &str = "acme/depot-1";
const DEVICES: usize = 6;
const DAY_S: i64 = 24 * 60 * 60;
const SCAN: [&str; 4] = ["scan", "--all", "--parallel", "2"];

fn recorders() -> Simulator {
    let spec = FleetSpec {
        web: true,
        sites: 1,
        ..FleetSpec::new(59, DEVICES)
    };
    Simulator::start(spec.generate().unwrap(), Options::default()).unwrap()
}

/// A fleet with recorders at one site, whose agent has not joined yet.
async fn fleet_with(simulator: &Simulator, trust: &str) -> GovernedFleet {
    let mut fleet = GovernedFleet::start(1, &["acme"], trust).await;
    let devices = simulator.devices().iter();
    let web: Vec<u16> = devices
        .filter_map(|device| Some(device.web_address()?.port()))
        .collect();
    fleet.agent_lines = format!(
        "[limits]\nheartbeat_ms = 500\n\
         [policy]\nasks = ['scan', 'services', 'set-services']\n\
         [web]\nhttps_ports = []\nhttp_ports = {web:?}\n"
    );
    fleet.give_credentials();
    let add = ["sites", "add", SITE];
    let _ = fleet.as_operator("admin", &add).await.ended(0);
    fleet.import(SITE, simulator).await;
    fleet
}

/// Waits for a job and checks that it holds every device once, with success.
async fn every_device_once(fleet: &GovernedFleet, job: &str) {
    let _ = fleet
        .as_operator("admin", &["jobs", "wait", job])
        .await
        .ended(0);
    let results = ["jobs", "results", job, "--format", "json"];
    let rows = fleet.as_operator("admin", &results).await.ended(0).json();
    let rows = rows.as_array().unwrap();
    let ports: BTreeSet<_> = rows.iter().map(|row| row["nvr_port"].as_u64()).collect();
    assert_eq!((rows.len(), ports.len()), (DEVICES, DEVICES));
    assert!(rows.iter().all(|row| row["success"] == Value::Bool(true)));
}

/// Submits a scan and returns its number.
async fn submitted(fleet: &GovernedFleet) -> String {
    let scan = [&SCAN[..], &["--detach"]].concat();
    let said = fleet.as_operator("admin", &scan).await.ended(0);
    said.stdout.split_whitespace().last().unwrap().to_owned()
}

async fn scanned(fleet: &GovernedFleet) {
    let job = submitted(fleet).await;
    every_device_once(fleet, &job).await;
}

/// A change of one setting, as an operator orders it.
async fn changed(fleet: &GovernedFleet) -> tvtfleet_tests::fleet::Said {
    let set = ["run", "set-services", "--all", "--set", "rtsp=false"];
    let rest = ["--yes", "--format", "json"];
    fleet
        .as_operator("admin", &[&set[..], &rest].concat())
        .await
}

fn writes(simulator: &Simulator) -> usize {
    let devices = simulator.devices().iter();
    devices.map(|device| device.web_writes().len()).sum()
}

fn scans(devices: usize) -> u64 {
    u64::try_from(devices).unwrap()
}

async fn doctor(fleet: &GovernedFleet) -> String {
    fleet.as_operator("admin", &["doctor"]).await.stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_whose_clock_is_a_day_off_works_and_changes_nothing() {
    for offset in [-DAY_S, DAY_S] {
        let simulator = recorders();
        let mut fleet = fleet_with(&simulator, "").await;
        fleet.set_clock("one", offset);
        fleet.joined("one", SITE).await;
        fleet.start_agent("one");
        fleet.until_online(SITE).await;
        scanned(&fleet).await;
        let said = doctor(&fleet).await;
        let sign = if offset < 0 { "-86" } else { "86" };
        assert!(
            said.contains(&format!("its clock is off by {sign}")),
            "{said}"
        );
        // Orders are judged by its own clock: whoever gives out the time could use an old one again.
        let refused = changed(&fleet).await.ended(1).json();
        let code = &refused["devices"][0]["error_code"];
        assert_eq!(code, "trust.order_refused", "{refused}");
        assert_eq!(writes(&simulator), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_work_on_for_a_coordinator_whose_clock_is_a_day_off() {
    for offset in [-DAY_S, DAY_S] {
        let simulator = recorders();
        let mut fleet = fleet_with(&simulator, "").await;
        fleet.joined("one", SITE).await;
        fleet.start_agent("one");
        fleet.until_online(SITE).await;
        fleet.kill_coordinator().await;
        fleet.set_clock("coordinator", offset);
        fleet.start_coordinator();
        fleet.until_answering().await;
        fleet.until_online(SITE).await;
        scanned(&fleet).await;
        let said = doctor(&fleet).await;
        let side = if offset < 0 { "ahead of" } else { "behind" };
        assert!(
            said.contains(&format!("{side} the coordinator's")),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_whose_clock_is_ahead_changes_nothing() {
    for offset in [-DAY_S, DAY_S] {
        let simulator = recorders();
        let mut fleet = fleet_with(&simulator, "").await;
        fleet.joined("one", SITE).await;
        fleet.start_agent("one");
        fleet.until_online(SITE).await;
        fleet.set_clock("admin", offset);
        scanned(&fleet).await;
        let said = changed(&fleet).await;
        if offset < 0 {
            // An order that was signed earlier is good until its job ends.
            let _ = said.ended(0);
            assert_eq!(writes(&simulator), DEVICES);
        } else {
            let said = said.ended(1);
            assert!(said.stderr.contains("signed in the future"), "{said:?}");
            assert!(said.stderr.contains("code: trust.order_refused"));
            assert_eq!(writes(&simulator), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_that_was_made_anew_joins_again_in_its_place() {
    let simulator = recorders();
    let mut fleet = fleet_with(&simulator, "").await;
    fleet.joined("one", SITE).await;
    fleet.start_agent("one");
    fleet.until_online(SITE).await;
    scanned(&fleet).await;
    fleet.kill_agent("one").await;
    std::fs::remove_dir_all(fleet.path("one")).unwrap();
    fleet.joined("one", SITE).await;
    fleet.start_agent("one");
    fleet.until_online(SITE).await;
    scanned(&fleet).await;
    let agents = ["agents", "list", "--format", "json"];
    let agents = fleet.as_operator("admin", &agents).await.ended(0).json();
    assert_eq!(agents["agents"].as_array().unwrap().len(), 1);
}

/// Copies a folder, as whoever clones a box does.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_boxes_with_one_identity_one_speaks() {
    let simulator = recorders();
    let mut fleet = fleet_with(&simulator, "").await;
    fleet.joined("one", SITE).await;
    fleet.start_agent("one");
    fleet.until_online(SITE).await;
    scanned(&fleet).await;
    fleet.kill_agent("one").await;
    copy(&fleet.path("one"), &fleet.path("two"));
    fleet.start_agent("one");
    fleet.until_agent_says("one", "connected").await;
    fleet.until_online(SITE).await;
    fleet.start_agent("two");
    fleet.until_agent_says("two", "site.claimed").await;
    let before = simulator.totals().scans_completed;
    scanned(&fleet).await;
    let asked = simulator.totals().scans_completed - before;
    assert_eq!(asked, scans(DEVICES), "both boxes asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_is_away_for_longer_than_tokens_last_loses_nothing() {
    let simulator = recorders();
    let mut fleet = fleet_with(&simulator, "token_life_ms = 4000\n").await;
    fleet.joined("one", SITE).await;
    fleet.start_agent("one");
    fleet.until_online(SITE).await;
    simulator.pause_when(Counter::ScansCompleted, 2);
    let job = submitted(&fleet).await;
    simulator.paused(PATIENCE).await.unwrap();
    fleet.kill_coordinator().await;
    simulator.resume();
    let creds = std::fs::read_to_string(fleet.path("one/identity/agent.creds")).unwrap();
    let token = creds.lines().nth(1).unwrap().to_owned();
    let end = trust::lifetime(&token).unwrap().expires_at.unwrap();
    eventually(
        "the token has expired and the devices are asked",
        || async {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let now = UtcMillis::new(i64::try_from(now.unwrap().as_millis()).unwrap());
            let all = simulator.totals().scans_completed == scans(DEVICES);
            (now.millis() > end.millis() + 2000 && all).then_some(())
        },
    )
    .await;
    // The box is restarted meanwhile, too.
    fleet.kill_agent("one").await;
    fleet.start_agent("one");
    fleet.until_agent_says("one", "agent starts").await;
    fleet.start_coordinator();
    fleet.until_answering().await;
    fleet.until_agent_says("one", "gave a new token").await;
    every_device_once(&fleet, &job).await;
    assert_eq!(simulator.totals().scans_completed, scans(DEVICES));
}
