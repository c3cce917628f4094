//! Two replicas of the coordinator: one follows, takes over, and nothing is lost or done twice.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tvt_sim::{Counter, FleetSpec};
use tvtfleet_tests::fleet::TestFleet;
use tvtfleet_tests::program::Running;
use tvtfleet_tests::wait::{ELECTIONS, eventually_within};
use tvtfleet_tests::{PATIENCE, eventually};

const DEVICES: usize = 60;
const BEFORE_THE_BLOW: u64 = 20;
const LEASE: Duration = Duration::from_millis(1_500);

async fn fleet() -> TestFleet {
    let spec = FleetSpec {
        sites: 2,
        channels: 4,
        head: 20,
        ..FleetSpec::new(77, DEVICES)
    };
    let mut fleet = TestFleet::empty(&spec, Duration::from_millis(2)).await;
    fleet.agent_lines = "[limits]\nheartbeat_ms = 300\n".into();
    fleet
}

/// Waits until a replica has said this.
async fn until_says(replica: &Running, what: &str) {
    eventually(what, || async {
        let said = replica.stderr.all();
        said.iter().any(|line| line.contains(what)).then_some(())
    })
    .await;
}

/// Waits until `name` follows and has done everything that the leader did.
async fn until_level(fleet: &TestFleet, name: &str) {
    eventually("the standby is level", || async {
        let said = fleet.ctl(&["doctor", "--format", "json"]).await;
        let found: Value = serde_json::from_str(&said.stdout).ok()?;
        let findings = found["findings"].as_array()?.clone();
        let level = findings.iter().any(|finding| {
            finding["area"] == "replica"
                && finding["subject"] == name
                && finding["finding"]
                    .as_str()
                    .is_some_and(|text| text.contains("follows, 0 changes behind"))
        });
        level.then_some(())
    })
    .await;
}

async fn begin(fleet: &mut TestFleet) -> (Running, Running) {
    begin_with(fleet, LEASE).await
}

async fn begin_with(fleet: &mut TestFleet, lease: Duration) -> (Running, Running) {
    let first = fleet.start_replica("a", lease, false);
    fleet.know_sites().await;
    let second = fleet.start_replica("b", lease, true);
    for site in fleet.sites() {
        fleet.start_agent(site);
    }
    fleet.until_online(2).await;
    until_says(&second, "beginning anew from a snapshot").await;
    until_level(fleet, "b").await;
    (first, second)
}

async fn submit(fleet: &TestFleet) -> String {
    let said = fleet.ctl(&["scan", "--all", "--detach"]).await.ended(0);
    let id = said.stdout.split_whitespace().last();
    id.expect("the job's id").to_owned()
}

async fn every_device_once(fleet: &TestFleet, job: &str) {
    let _ = fleet.ctl(&["jobs", "wait", job]).await.ended(0);
    let said = fleet
        .ctl(&["jobs", "results", job, "--format", "json"])
        .await;
    let rows = said.ended(0).json();
    let rows = rows.as_array().expect("an array");
    let ports: BTreeSet<_> = rows
        .iter()
        .map(|row| (row["nvr_ip"].to_string(), row["nvr_port"].as_u64()))
        .collect();
    assert_eq!((rows.len(), ports.len()), (DEVICES, DEVICES));
    assert!(rows.iter().all(|row| row["success"] == Value::Bool(true)));
}

/// The changes of the fleet, each as its text.
async fn changes(fleet: &TestFleet) -> Vec<String> {
    let said = fleet.ctl(&["changes", "list", "--format", "json"]).await;
    let changes = said.ended(0).json();
    let all = changes["changes"].as_array().expect("changes").iter();
    let mut all: Vec<String> = all.map(Value::to_string).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_finishes_what_a_killed_leader_began() {
    let mut fleet = fleet().await;
    let (first, second) = begin(&mut fleet).await;
    let before = submit(&fleet).await;
    every_device_once(&fleet, &before).await;
    fleet.simulator.pause_when(
        Counter::ScansCompleted,
        fleet.simulator.totals().scans_completed + BEFORE_THE_BLOW,
    );
    let job = submit(&fleet).await;
    fleet.simulator.paused(PATIENCE).await.expect("the middle");
    first.kill().await;

    // Questions are answered meanwhile, and say what they are worth; orders are not taken.
    let said = eventually("the standby answers", || async {
        let said = fleet.ctl(&["jobs", "list"]).await;
        said.stderr
            .contains("the standby b answers")
            .then_some(said)
    })
    .await;
    assert!(said.stderr.contains(" s old at most"), "{}", said.stderr);
    let refused = fleet.ctl(&["sites", "add", "acme/late"]).await;
    if refused.code != Some(0) {
        assert!(
            refused.stderr.contains("coordinator.standby"),
            "{}",
            refused.stderr
        );
    }

    until_says(&second, "this replica leads").await;
    fleet.simulator.resume();
    fleet.until_online(2).await;
    every_device_once(&fleet, &job).await;
    let all = 2 * u64::try_from(DEVICES).unwrap();
    assert_eq!(
        fleet.simulator.totals().scans_completed,
        all,
        "no device was scanned twice"
    );
    let once = changes(&fleet).await;
    assert_eq!(once.iter().collect::<BTreeSet<_>>().len(), once.len());

    // Who led before follows now.
    let first = fleet.start_replica("a", LEASE, false);
    until_level(&fleet, "a").await;
    let known = fleet
        .ctl(&["inventory", "list", "--format", "json"])
        .await
        .ended(0)
        .stdout;
    let (sites, changed) = (
        fleet.ctl(&["sites", "list"]).await.stdout,
        changes(&fleet).await,
    );
    until_level(&fleet, "a").await;
    second.kill().await;
    until_says(&first, "this replica leads").await;
    fleet.until_answering().await;
    fleet.until_online(2).await;
    let after = fleet
        .ctl(&["inventory", "list", "--format", "json"])
        .await
        .ended(0)
        .stdout;
    assert_eq!(known, after);
    assert_eq!(changed, changes(&fleet).await);
    assert_eq!(
        sites.lines().count(),
        fleet.ctl(&["sites", "list"]).await.stdout.lines().count()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_told_to_stop_hands_over_at_once() {
    let mut fleet = fleet().await;
    // Nobody here would wait for so long.
    let lease = PATIENCE * 3;
    let (mut first, second) = begin_with(&mut fleet, lease).await;
    let before = fleet.simulator.totals().scans_completed;
    fleet
        .simulator
        .pause_when(Counter::ScansCompleted, before + BEFORE_THE_BLOW);
    let job = submit(&fleet).await;
    fleet.simulator.paused(PATIENCE).await.expect("the middle");
    first.signal(Signal::TERM);
    assert!(first.ended().await.success());
    until_says(&first, "the lead is handed over").await;
    until_says(&second, "this replica leads").await;
    fleet.simulator.resume();
    fleet.until_online(2).await;
    every_device_once(&fleet, &job).await;
    let devices = u64::try_from(DEVICES).unwrap();
    assert_eq!(fleet.simulator.totals().scans_completed, devices);
    // And back again: whoever is stopped does not lead again by itself.
    let first = fleet.start_replica("a", lease, false);
    until_says(&first, "following").await;
    second.signal(Signal::TERM);
    until_says(&first, "this replica leads").await;
    fleet.until_answering().await;
    every_device_once(&fleet, &job).await;
}

async fn until_finished(fleet: &TestFleet, job: &str) {
    eventually_within(ELECTIONS, "the job ends", || async {
        let said = fleet.ctl(&["jobs", "show", job, "--format", "json"]).await;
        let view: Value = serde_json::from_str(&said.stdout).ok()?;
        (view["state"] == "finished").then_some(())
    })
    .await;
}

/// The log on three servers: one dies while the fleet is scanned, then another one with the leader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_outlives_one_of_three_servers() {
    let mut fleet = fleet().await;
    fleet.use_cluster(3).await;
    let (first, second) = begin_with(&mut fleet, Duration::from_secs(5)).await;
    let devices = u64::try_from(DEVICES).unwrap();
    let before = fleet.simulator.totals().scans_completed;
    fleet
        .simulator
        .pause_when(Counter::ScansCompleted, before + BEFORE_THE_BLOW);
    let job = submit(&fleet).await;
    fleet.simulator.paused(PATIENCE).await.expect("the middle");
    fleet.nats.kill9();
    fleet.simulator.resume();
    until_finished(&fleet, &job).await;
    every_device_once(&fleet, &job).await;
    assert_eq!(fleet.simulator.totals().scans_completed, devices);
    fleet.nats.resume().await;
    fleet.nats.until_led().await;
    // Whoever leads now dies together with another server.
    let job = eventually_within(ELECTIONS, "a job is taken", || async {
        let said = fleet.ctl(&["scan", "--all", "--detach"]).await;
        let id = said.stdout.split_whitespace().last().map(str::to_owned);
        id.filter(|_| said.code == Some(0))
    })
    .await;
    fleet.peers[0].kill9();
    let (leader, other) = if reigns(&second) > 0 {
        (second, first)
    } else {
        (first, second)
    };
    let before = reigns(&other);
    leader.kill().await;
    eventually_within(ELECTIONS, "the other leads", || async {
        (reigns(&other) > before).then_some(())
    })
    .await;
    until_finished(&fleet, &job).await;
    every_device_once(&fleet, &job).await;
    let said = other.stderr.all();
    let strays = said.iter();
    let strays = strays.filter(|line| line.contains("is not what the leader's is"));
    assert_eq!(strays.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_stopped_and_goes_on_cannot_write() {
    let mut fleet = fleet().await;
    let (first, second) = begin(&mut fleet).await;
    first.signal(Signal::STOP);
    // Only the stopped leader listens now: it finds this request when it goes on.
    let late = fleet.tvtctl(&["sites", "add", "acme/late"]).spawn();
    until_says(&second, "this replica leads").await;
    first.signal(Signal::CONT);
    until_says(&first, "the lead is lost").await;
    let mut late = late;
    let _ = late.ended().await;
    until_level(&fleet, "a").await;
    let sites = fleet
        .ctl(&["sites", "list", "--format", "json"])
        .await
        .ended(0);
    assert!(!sites.stdout.contains("late"), "{}", sites.stdout);
    fleet.until_online(2).await;
    let job = submit(&fleet).await;
    every_device_once(&fleet, &job).await;
    // Nothing that it did differs from what the new leader did.
    assert!(
        !first
            .stderr
            .all()
            .iter()
            .any(|line| line.contains("is not what the leader's is"))
    );
    assert!(
        !first
            .stderr
            .all()
            .iter()
            .any(|line| line.contains("beginning anew"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_its_disk_is_given_a_new_log() {
    let mut fleet = fleet().await;
    let (first, second) = begin(&mut fleet).await;
    fleet.nats.wipe().await;
    // Its next entry finds no log; it begins another one, with what its database holds.
    eventually("the leader leads again", || async {
        let said = first.stderr.all().into_iter();
        let leads = said.filter(|line| line.contains("this replica leads"));
        (leads.count() == 2).then_some(())
    })
    .await;
    fleet.until_answering().await;
    fleet.until_online(2).await;
    until_level(&fleet, "b").await;
    let job = submit(&fleet).await;
    every_device_once(&fleet, &job).await;
    until_level(&fleet, "b").await;
    first.kill().await;
    until_says(&second, "this replica leads").await;
    fleet.until_answering().await;
    every_device_once(&fleet, &job).await;
}

/// How often a replica has taken the lead since it was started.
fn reigns(replica: &Running) -> usize {
    let said = replica.stderr.all().into_iter();
    said.filter(|line| line.contains("this replica leads"))
        .count()
}

/// The lead goes back and forth, at moments that a seed decides, by death and by standing still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_takeovers_lose_nothing_and_repeat_nothing() {
    const BLOWS: u64 = 6;
    let seed: u64 = std::env::var("TVT_STANDBY_SEED").map_or(5, |text| text.parse().unwrap());
    let mut dice = Dice(seed);
    let mut fleet = fleet().await;
    let (mut leader, mut other) = begin(&mut fleet).await;
    let (mut leads, mut follows) = ("a", "b");
    let devices = u64::try_from(DEVICES).unwrap();
    let mut known: Vec<String> = Vec::new();
    for blow in 0..BLOWS {
        let job = submit(&fleet).await;
        let moment = blow * devices + dice.below(devices);
        let reached = fleet
            .simulator
            .reached(Counter::ScansCompleted, moment, PATIENCE);
        reached.await.expect("the scan goes on");
        let before = reigns(&other);
        let kill = dice.below(2) == 0;
        if kill {
            leader.kill().await;
            leader = fleet.start_replica(leads, LEASE, false);
            // Whoever comes back first leads.
            eventually("somebody leads", || async {
                (reigns(&other) > before || reigns(&leader) > 0).then_some(())
            })
            .await;
        } else {
            leader.signal(Signal::STOP);
            eventually("the other leads", || async {
                (reigns(&other) > before).then_some(())
            })
            .await;
            leader.signal(Signal::CONT);
        }
        if reigns(&other) > before {
            std::mem::swap(&mut leader, &mut other);
            std::mem::swap(&mut leads, &mut follows);
        }
        fleet.until_answering().await;
        until_level(&fleet, follows).await;
        every_device_once(&fleet, &job).await;
        let asked = fleet.simulator.totals().scans_completed;
        assert_eq!(asked, (blow + 1) * devices, "seed {seed}, blow {blow}");
        let now = changes(&fleet).await;
        let lost = known.iter().filter(|change| !now.contains(change)).count();
        assert_eq!(lost, 0, "seed {seed}, blow {blow}");
        assert_eq!(now.iter().collect::<BTreeSet<_>>().len(), now.len());
        known = now;
    }
    for replica in [&leader, &other] {
        let said = replica.stderr.all();
        assert!(
            !said
                .iter()
                .any(|line| line.contains("is not what the leader's is")),
            "seed {seed}"
        );
    }
}

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
