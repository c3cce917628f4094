//! Discovery at sites of the fleet: from `tvtctl discover` through NATS to agents in networks of
//! their own, and into the inventory.
//!
//! Needs root and the `ip` command. Without them each test says so and does nothing.

use std::collections::BTreeSet;
use std::fs;

use calamine::Reader as _;
use serde_json::{Value, json};
use tvtfleet_tests::eventually;
use tvtfleet_tests::fleet::{PASSWORD, TestFleet};
use tvtfleet_tests::netns::{Lab, mac, recorder};
use tvtfleet_tests::outpost::Outpost;

/// A LAN at 192.168.1.0/24 with these last bytes in use.
fn lan(test: &str, hosts: &[u8]) -> Option<Lab> {
    let mut lab = Lab::new(test)?;
    lab.cable("site", "lan0", "192.168.1.1/24", "192.168.1.2/24");
    lab.hosts(
        "site",
        "lan0",
        hosts.iter().map(|host| format!("192.168.1.{host}/24")),
    );
    Some(lab)
}

fn at(last: u8, number: u8) -> Value {
    let more = json!({"search": {"model": "TD-3316", "data_port": 6036}, "password": PASSWORD});
    recorder(&format!("192.168.1.{last}"), number, 6036, more)
}

/// Some keys of every row of a list, as text.
fn rows(document: &Value, noun: &str, keys: &[&str]) -> Vec<String> {
    let mut rows: Vec<String> = document[noun]
        .as_array()
        .unwrap_or_else(|| panic!("no {noun}: {document}"))
        .iter()
        .map(|row| {
            let cells: Vec<String> = keys
                .iter()
                .map(|key| match &row[*key] {
                    Value::String(text) => text.clone(),
                    Value::Array(words) => {
                        let words = words.iter().map(|word| word.as_str().unwrap_or_default());
                        words.collect::<Vec<_>>().join("+")
                    }
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                        row[*key].to_string()
                    }
                })
                .collect();
            cells.join(" ")
        })
        .collect();
    rows.sort();
    rows
}

async fn inventory(fleet: &TestFleet, more: &[&str]) -> Vec<String> {
    let words = [&["inventory", "list", "--format", "json"][..], more].concat();
    let said = fleet.ctl(&words).await.ended(0);
    rows(&said.json(), "devices", &["site", "host", "standings"])
}

const SUBNET: [&str; 2] = ["--subnet", "192.168.1.0/24"];

/// What was found, as files: by a discovery, by a scan that only discovers, and afterwards.
async fn files_of_a_discovery(fleet: &TestFleet) {
    let inventory = |name: &str| -> Vec<String> {
        let text = fs::read(fleet.folder().join(name)).unwrap();
        let listed: Value = serde_json::from_slice(&text).unwrap();
        let mut found: Vec<String> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| format!("{} {} {}", entry["site"], entry["ip"], entry["port"]))
            .collect();
        found.sort();
        found
    };
    let files = ["--scanner-json", "found.json", "--xlsx", "found.xlsx", "-q"];
    let words = [&["discover", "--tenant", "acme"][..], &SUBNET, &files].concat();
    let said = fleet.ctl(&words).await.ended(0);
    assert!(said.stderr.contains("(3 devices) saved"), "{}", said.stderr);
    let expected = [
        r#""north" "192.168.1.50" 6036"#,
        r#""north" "192.168.1.51" 6036"#,
        r#""south" "192.168.1.50" 6036"#,
    ];
    assert_eq!(inventory("found.json"), expected);
    let fixed = [
        &words[..],
        &["--scanner-json", "fixed.json", "--scan-port", "9008"],
    ]
    .concat();
    let twice = fleet.ctl(&fixed).await.ended(2);
    assert!(twice.stderr.contains("--scanner-json"), "{}", twice.stderr);

    let only = ["scan", "--tenant", "acme", "--discover-only", "-q"];
    let outputs = ["-o", "only.json", "-o", "only.csv", "-o", "only.xlsx"];
    let words = [&only[..], &SUBNET, &outputs].concat();
    let _ = fleet.ctl(&words).await.ended(0);
    assert_eq!(inventory("only.json"), expected);
    let list = fs::read_to_string(fleet.folder().join("only.csv")).unwrap();
    assert_eq!(list.lines().count(), 4, "{list}");
    assert!(list.contains("acme/south"), "{list}");
    for refused in [["--xlsx", "books"], ["--failed", "failed.json"]] {
        let words = [&only[..], &SUBNET, &refused].concat();
        let said = fleet.ctl(&words).await.ended(2);
        assert!(
            said.stderr.contains("nothing is scanned"),
            "{}",
            said.stderr
        );
        assert!(!fleet.folder().join(refused[1]).exists());
    }

    let _ = fleet
        .ctl(&["jobs", "results", "last", "-o", "later.json"])
        .await
        .ended(0);
    assert_eq!(inventory("later.json"), expected);
    for workbook in ["found.xlsx", "only.xlsx"] {
        let mut book = calamine::open_workbook_auto(fleet.folder().join(workbook)).unwrap();
        let sheet = book.worksheet_range("Discovered Devices").unwrap();
        let sites: BTreeSet<String> = sheet
            .rows()
            .skip(1)
            .map(|row| row.last().unwrap().to_string())
            .collect();
        assert_eq!(sites.into_iter().collect::<Vec<_>>(), ["north", "south"]);
        assert_eq!(sheet.rows().count(), 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_with_the_same_addresses_report_their_own_devices() {
    let (Some(mut north), Some(mut south)) = (
        lan("the fleet's discovery", &[50, 51]),
        lan("the fleet's discovery", &[50]),
    ) else {
        return;
    };
    north.simulate("site", &[at(50, 1)]);
    north.simulate("site", &[at(51, 2)]);
    south.simulate("site", &[at(50, 3)]);
    let fleet = TestFleet::centre(&["acme/north", "acme/south"]).await;
    let mut north = Outpost::new(&fleet, north, "acme/north", "");
    let _south = Outpost::new(&fleet, south, "acme/south", "");
    fleet.until_online(2).await;

    let words = [
        &["discover", "--tenant", "acme", "--format", "json"][..],
        &SUBNET,
    ]
    .concat();
    let said = fleet.ctl(&words).await.ended(0);
    let found = rows(&said.json(), "devices", &["site", "ip", "mac"]);
    let expected = [
        format!("acme/north 192.168.1.50 {}", mac(1)),
        format!("acme/north 192.168.1.51 {}", mac(2)),
        format!("acme/south 192.168.1.50 {}", mac(3)),
    ];
    assert_eq!(found, expected, "{}", said.stderr);
    assert_eq!(said.stderr.matches("— FOUND").count(), 3, "{}", said.stderr);
    assert!(said.stderr.contains("254 addresses"), "{}", said.stderr);

    let again = fleet
        .ctl(&["jobs", "results", "last", "--format", "json"])
        .await
        .ended(0);
    assert_eq!(
        rows(&again.json(), "devices", &["site", "ip", "mac"]),
        expected
    );
    let new = ["--state", "new"];
    assert_eq!(inventory(&fleet, &new).await.len(), 3);
    files_of_a_discovery(&fleet).await;

    // One device goes away. The other site is not asked.
    north.lab.end_simulator(1);
    north
        .lab
        .inside("site", "ip addr del 192.168.1.51/24 dev lan0");
    let words = [&["discover", "--site", "acme/north"][..], &SUBNET].concat();
    let _ = fleet.ctl(&words).await.ended(0);
    assert_eq!(
        inventory(&fleet, &["--state", "gone"]).await,
        ["acme/north 192.168.1.51 gone+unverified"]
    );
    let changes = fleet
        .ctl(&["changes", "list", "--kind", "gone", "--format", "json"])
        .await
        .ended(0);
    assert_eq!(
        rows(&changes.json(), "changes", &["site", "old"]),
        ["acme/north 192.168.1.51:6036"]
    );

    // Killed in the middle of a slow sweep, the agent goes on where it was.
    let words = [
        &[
            "discover",
            "--site",
            "acme/north",
            "--rate",
            "60",
            "--detach",
        ][..],
        &["--methods", "sweep,tcp"],
        &SUBNET,
    ]
    .concat();
    let job = fleet.ctl(&words).await.ended(0).stdout.trim().to_owned();
    let journal = north.lab.folder().join(format!("agent/jobs/{job}.job"));
    let accepted = || async { fs::metadata(&journal).ok().filter(|file| file.len() > 0) };
    eventually("the job is in the journal", accepted).await;
    let small = fs::metadata(&journal).unwrap().len();
    // A device or the cursor has been noted.
    eventually("the journal grows", || async {
        (fs::metadata(&journal).unwrap().len() > small).then_some(())
    })
    .await;
    north.kill();
    north.start();
    let said = fleet
        .ctl(&["jobs", "wait", &job, "--timeout", "60s"])
        .await
        .ended(0);
    let found = fleet
        .ctl(&["jobs", "results", &job, "--format", "json"])
        .await
        .ended(0);
    assert_eq!(
        rows(&found.json(), "devices", &["ip", "mac"]),
        [format!("192.168.1.50 {}", mac(1))],
        "{}",
        said.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_found_is_scanned_where_it_may_get_a_credential() {
    let Some(mut lab) = lan("a scan that discovers", &[60, 61]) else {
        return;
    };
    let mut stranger = at(61, 2);
    stranger["mac"] = "02:00:00:00:00:02".into();
    lab.simulate("site", &[at(60, 1), stranger]);
    let fleet = TestFleet::centre(&["acme/north"]).await;
    let _site = Outpost::new(&fleet, lab, "acme/north", "");
    fleet.until_online(1).await;

    let words = [
        &[
            "scan",
            "--site",
            "acme/north",
            "--discover",
            "--format",
            "json",
        ][..],
        &SUBNET,
    ]
    .concat();
    let said = fleet.ctl(&words).await.ended(1);
    let outcome = |said: &Value| {
        let mut rows: Vec<String> = said
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let ok = row["success"] == Value::Bool(true);
                let code = if ok {
                    "ok"
                } else {
                    row["error_code"].as_str().unwrap()
                };
                format!("{} {code}", row["nvr_ip"].as_str().unwrap())
            })
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(
        outcome(&said.json()),
        ["192.168.1.60 ok", "192.168.1.61 device.policy_refused"],
        "{}",
        said.stderr
    );
    let _ = fleet
        .ctl(&["inventory", "verify", "192.168.1.61"])
        .await
        .ended(0);
    let said = fleet
        .ctl(&["scan", "--all", "--format", "json"])
        .await
        .ended(0);
    assert_eq!(said.json().as_array().unwrap().len(), 2, "{}", said.stderr);
    assert_eq!(
        inventory(&fleet, &["--state", "unverified"]).await,
        ["acme/north 192.168.1.60 new+unverified"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_of_a_site_has_the_last_word() {
    let (Some(mut open), Some(closed)) = (lan("policy", &[70, 71]), lan("policy", &[70])) else {
        return;
    };
    open.simulate("site", &[at(70, 1), at(71, 2)]);
    let fleet = TestFleet::centre(&["acme/open", "acme/closed"]).await;
    let policy = "rate_max = 120\nexcludes = [\"192.168.1.71\"]";
    let _open = Outpost::new(&fleet, open, "acme/open", policy);
    let _closed = Outpost::new(&fleet, closed, "acme/closed", "networks = [\"10.0.0.0/8\"]");
    fleet.until_online(2).await;

    let words = [
        &[
            "discover",
            "--all",
            "--profile",
            "routed",
            "--methods",
            "sweep,tcp",
        ][..],
        &["--format", "json"],
        &SUBNET,
    ]
    .concat();
    let said = fleet.ctl(&words).await.ended(1);
    assert_eq!(
        rows(&said.json(), "devices", &["site", "ip"]),
        ["acme/open 192.168.1.70"],
        "{}",
        said.stderr
    );
    for text in [
        "site acme/open: the pace is 120 probes per second: this site allows no more",
        "site acme/closed: no discovery: this site's policy does not allow to touch 192.168.1.0/24",
        "site acme/closed: refused (device.policy_refused)",
    ] {
        assert!(said.stderr.contains(text), "{text}\n{}", said.stderr);
    }
    // A network by mistake is not even asked for.
    let said = fleet
        .ctl(&["discover", "--all", "--subnet", "10.0.0.0/8"])
        .await
        .ended(2);
    assert!(
        said.stderr.contains("discovery.consent_needed"),
        "{}",
        said.stderr
    );
}
