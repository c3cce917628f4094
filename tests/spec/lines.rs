//! Slow lines that are cut, in networks of their own: nothing is lost, and nothing is counted twice.
//!
//! Needs root, the `ip` command and, for slowness, `tc`. Without them a test says so and does nothing.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};
use tvtfleet_tests::eventually;
use tvtfleet_tests::fleet::{PASSWORD, TestFleet};
use tvtfleet_tests::netns::{Lab, recorder};
use tvtfleet_tests::outpost::Outpost;

const SITE: &str = "acme/north";
/// Recorders at 192.168.1.10 and up.
const FIRST: u8 = 10;
const DEVICES: u8 = 16;
/// The far end of the line to the centre.
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// Of a bad line to a customer, each way.
const KILOBITS: u32 = 96;
/// For how long the line is cut, one time after the other: shorter and longer than what was sent is sent
/// again.
const CUTS: [Duration; 3] = [
    Duration::from_millis(400),
    Duration::from_millis(3000),
    Duration::from_millis(1500),
];

/// A recorder that takes its time.
fn at(host: u8, name: &str) -> Value {
    let more = json!({"password": PASSWORD, "latency_ms": 250, "name": name});
    recorder(&format!("192.168.1.{host}"), host, 6036, more)
}

/// A site with recorders, and a line from its agent to the centre.
fn site_with_a_line() -> Option<Lab> {
    let mut lab = Lab::new("slow lines that are cut")?;
    lab.cable("site", "lan0", "192.168.1.1/24", "192.168.1.2/24");
    lab.cable("centre", "wan0", "192.0.2.1/30", "192.0.2.2/30");
    let hosts = FIRST..FIRST + DEVICES;
    lab.hosts(
        "site",
        "lan0",
        hosts.map(|host| format!("192.168.1.{host}/24")),
    );
    let last = FIRST + DEVICES - 1;
    let recorders: Vec<Value> = (FIRST..last).map(|host| at(host, "first")).collect();
    lab.simulate("site", &recorders);
    lab.simulate("site", &[at(last, "first")]);
    (lab.narrow("agent", "wan0", KILOBITS) && lab.narrow("centre", "wan0", KILOBITS)).then_some(lab)
}

/// Cuts the line, and mends it after a while.
async fn cut(site: &Outpost, pause: Duration) {
    site.lab.inside("agent", "ip link set wan0 down");
    tokio::time::sleep(pause).await;
    site.lab.inside("agent", "ip link set wan0 up");
}

/// What a job has of its devices.
async fn reported(fleet: &TestFleet, job: &str) -> u64 {
    let show = fleet.ctl(&["jobs", "show", job, "--format", "json"]).await;
    show.json()["devices"]["ok"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_line_that_is_cut_loses_nothing() {
    let Some(lab) = site_with_a_line() else {
        return;
    };
    let fleet = TestFleet::centre(&[SITE]).await;
    let (port, ways) = lab.relay_over("agent", "centre", FAR, fleet.port());
    let mut site = Outpost::behind(lab, SITE, "", port, ways);
    fleet.until_online(1).await;
    let inventory = site.lab.folder().join("inventory.json");
    let hosts = FIRST..FIRST + DEVICES;
    let devices: Vec<Value> = hosts
        .map(|host| json!({"ip": format!("192.168.1.{host}"), "port": 6036}))
        .collect();
    std::fs::write(&inventory, Value::from(devices).to_string()).unwrap();
    let import = [
        "inventory",
        "import",
        inventory.to_str().unwrap(),
        "--site",
        SITE,
    ];
    let _ = fleet.ctl(&import).await.ended(0);

    scanned(&fleet, &mut site).await;
    // One recorder gets another name, which is one change however often its report is sent.
    site.lab.end_simulator(1);
    site.lab
        .simulate("site", &[at(FIRST + DEVICES - 1, "second")]);
    scanned(&fleet, &mut site).await;
    let changes = ["changes", "list", "--format", "json"];
    let changes = fleet.ctl(&changes).await.ended(0).json();
    let list = changes["changes"].as_array().unwrap();
    let named = list
        .iter()
        .filter(|change| change.to_string().contains("second"));
    assert_eq!((list.len(), named.count()), (1, 1), "{changes}");
}

/// Scans the site while its line is cut and its agent dies, and counts the devices.
async fn scanned(fleet: &TestFleet, site: &mut Outpost) {
    let scan = ["scan", "--all", "--parallel", "2", "--detach"];
    let said = fleet.ctl(&scan).await.ended(0);
    let job = said.stdout.split_whitespace().last().unwrap().to_owned();
    for (round, pause) in CUTS.into_iter().enumerate() {
        let least = u64::from(DEVICES) * u64::try_from(round).unwrap() / 6;
        eventually("some devices are reported", || async {
            (reported(fleet, &job).await >= least).then_some(())
        })
        .await;
        cut(site, pause).await;
        if round == 1 {
            site.kill();
            site.start();
        }
    }
    let _ = fleet.ctl(&["jobs", "wait", &job]).await.ended(0);
    let results = ["jobs", "results", &job, "--format", "json"];
    let results = fleet.ctl(&results).await.ended(0).json();
    let rows = results.as_array().unwrap();
    let hosts: BTreeSet<_> = rows.iter().map(|row| row["nvr_ip"].to_string()).collect();
    let all = usize::from(DEVICES);
    assert_eq!((rows.len(), hosts.len()), (all, all), "{results}");
    assert_eq!(reported(fleet, &job).await, u64::from(DEVICES));
}
