//! Discovery on networks that the tests make: namespaces joined by virtual cables, with simulated
//! recorders at one end and `tvtctl local discover` at the other.
//!
//! Needs root and the `ip` command. Without them each test says so and does nothing.

use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tvtfleet_tests::netns::{Lab, mac, recorder};

fn record(lab: &Lab) -> PathBuf {
    lab.folder().join("record.json")
}

fn start(lab: &Lab, arguments: &str) -> Child {
    lab.command("agent", "tvtctl")
        .args(["local", "discover", "--json"])
        .args(["--record", record(lab).to_str().unwrap()])
        .args(arguments.split_whitespace())
        .current_dir(lab.folder())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a discovery to its end.
fn discover(lab: &Lab, arguments: &str) -> Found {
    let began = Instant::now();
    let output = start(lab, arguments).wait_with_output().unwrap();
    Found::new(output, &record(lab), began.elapsed())
}

/// What a discovery said.
struct Found {
    devices: Vec<Value>,
    record: Value,
    stderr: String,
    status: Option<i32>,
    took: Duration,
}

impl Found {
    fn new(output: Output, record: &Path, took: Duration) -> Self {
        let devices = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let record = std::fs::read(record).ok();
        Self {
            devices,
            record: record
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or_default(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code(),
            took,
        }
    }

    fn all(&self, key: &str) -> Vec<String> {
        let mut values: Vec<String> = self
            .devices
            .iter()
            .map(|device| device[key].as_str().unwrap_or_default().to_owned())
            .collect();
        values.sort();
        values
    }

    fn by_mac(&self, mac: &str) -> &Value {
        self.devices
            .iter()
            .find(|device| device["mac"] == mac)
            .unwrap_or_else(|| {
                panic!(
                    "{mac} was not found: {:?}\n{}",
                    self.all("mac"),
                    self.stderr
                )
            })
    }
}

#[test]
fn every_recorder_behind_a_router_is_found_and_nothing_else() {
    let Some(mut lab) = Lab::new("a routed network") else {
        return;
    };
    lab.cable("site", "wan", "10.99.0.1/24", "10.99.0.2/24");
    lab.inside("agent", "ip route add 10.50.0.0/16 via 10.99.0.2");
    // Dark addresses swallow packets, as behind a real router with nobody there.
    lab.inside("site", "ip route add blackhole 10.50.0.0/16");
    lab.hosts(
        "site",
        "wan",
        (1..=18).map(|n| format!("10.50.0.{}/32", n * 13)),
    );
    let at = |n: u8| format!("10.50.0.{}", u32::from(n) * 13);
    let mut devices = Vec::new();
    for n in 1..=8 {
        let form = if n % 2 == 0 { "xml" } else { "http" };
        let search = json!({"model": "TD-3316", "form": form, "delay_ms": u64::from(n) * 300});
        devices.push(recorder(
            &at(n),
            n,
            6036,
            json!({"search": search, "search_only": n == 3}),
        ));
    }
    for n in 9..=11 {
        devices.push(recorder(&at(n), n, 6036, json!({})));
    }
    for n in 12..=14 {
        devices.push(recorder(&at(n), n, 9008, json!({})));
    }
    // Hosts that are none: one answers as an ordinary UPnP device, one resets, one is silent. The
    // last three refuse everything.
    let upnp = json!({"search": {"form": "upnp"}, "search_only": true});
    devices.push(recorder(&at(15), 15, 6036, upnp));
    devices.push(recorder(&at(16), 16, 6036, json!({"kind": "close"})));
    devices.push(recorder(&at(17), 17, 6036, json!({"kind": "silent"})));
    lab.simulate("site", &devices);

    let found = discover(&lab, "--subnet 10.50.0.0/24 --scanner-json found.json");
    assert_eq!(found.status, Some(0), "{}", found.stderr);
    assert_eq!(
        found.all("mac"),
        (1..=14).map(mac).collect::<Vec<_>>(),
        "{}",
        found.stderr
    );
    assert!(found.took < Duration::from_secs(10), "{:?}", found.took);
    let record = &found.record;
    let count = |key: &str| record[key].as_u64().unwrap();
    assert!(count("peak_rate") <= 300, "{record}");
    assert!(
        count("unicast") <= 2 * 254 && count("connects") <= 2 * 18,
        "{record}"
    );
    assert_eq!(
        (count("overruns"), count("send_errors")),
        (0, 0),
        "{record}"
    );
    // The port that answered is the port to scan.
    let saved = std::fs::read(lab.folder().join("found.json")).unwrap();
    let saved: Vec<Value> = serde_json::from_slice(&saved).unwrap();
    let port = |last| {
        saved
            .iter()
            .find(|entry| entry["mac"] == mac(last))
            .unwrap()["port"]
            .clone()
    };
    assert_eq!((port(9), port(12)), (6036.into(), 9008.into()));
    assert_eq!(found.by_mac(&mac(12))["_probe"], "tcp");
    assert_eq!(found.by_mac(&mac(2))["_probe"], "unicast");
}

#[test]
fn multicast_finds_what_a_lan_can_show_once_each() {
    let Some(mut lab) = Lab::new("a LAN with multicast") else {
        return;
    };
    // Two cables into the same site: every recorder can be seen on both.
    lab.cable("site", "lan0", "10.60.0.1/24", "10.60.0.2/24");
    lab.cable("site", "lan1", "10.61.0.1/24", "10.61.0.2/24");
    lab.hosts("site", "lan0", (10..20).map(|n| format!("10.60.0.{n}/24")));
    lab.hosts("site", "lan1", (10..20).map(|n| format!("10.61.0.{n}/24")));
    let search = |more: Value| {
        let mut search = json!({"model": "TD-3316"});
        search
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"search": search})
    };
    lab.simulate(
        "site",
        &[
            recorder("10.60.0.10", 1, 6036, search(json!({"mhed": false}))),
            recorder("10.61.0.10", 1, 6036, search(json!({"mhed": false}))),
            recorder("10.60.0.11", 2, 6036, search(json!({"form": "none"}))),
            // Its address is one of another network: only the vendor's search shows it.
            recorder(
                "10.60.0.12",
                3,
                6036,
                search(json!({"form": "none", "ip": "192.168.77.5"})),
            ),
            recorder("10.60.0.13", 4, 6036, json!({})),
            recorder("10.61.0.14", 5, 9008, json!({})),
        ],
    );
    let found = discover(&lab, "");
    assert_eq!(found.status, Some(0), "{}", found.stderr);
    assert_eq!(
        found.all("mac"),
        (1..=5).map(mac).collect::<Vec<_>>(),
        "{}",
        found.stderr
    );
    let twice = found.by_mac(&mac(1));
    assert_eq!(twice["addresses"], json!(["10.60.0.10", "10.61.0.10"]));
    assert_eq!(twice["interfaces"], json!(["lan0", "lan1"]));
    assert_eq!(found.by_mac(&mac(2))["seen_by"], json!(["mhed"]));
    let stray = found.by_mac(&mac(3));
    assert_eq!(
        (&stray["ip"], &stray["address_mismatch"]),
        (&"192.168.77.5".into(), &true.into())
    );
    assert_eq!(stray["source_addr"], "10.60.0.12");
    assert_eq!(found.by_mac(&mac(4))["seen_by"], json!(["tcp"]));
}

#[test]
fn announcements_are_heard_and_a_flood_is_bounded() {
    let Some(mut lab) = Lab::new("announcements") else {
        return;
    };
    lab.cable("site", "lan0", "10.62.0.1/24", "10.62.0.2/24");
    lab.hosts("site", "lan0", (10..12).map(|n| format!("10.62.0.{n}/24")));
    lab.simulate(
        "site",
        &[
            recorder(
                "10.62.0.10",
                1,
                6036,
                json!({"search": {"announce_ms": 200}}),
            ),
            recorder(
                "10.62.0.11",
                2,
                6036,
                json!({"search": {"flood": 10000, "form": "none"}}),
            ),
        ],
    );
    let passive = discover(&lab, "--methods announcements,neighbours --timeout 1");
    assert_eq!(passive.all("mac"), [mac(1)], "{}", passive.stderr);
    assert_eq!(passive.by_mac(&mac(1))["seen_by"], json!(["announcements"]));
    assert_eq!(passive.record["multicast"], 0);

    let flooded = discover(&lab, "--methods mhed");
    assert!(flooded.devices.len() <= 17, "{}", flooded.devices.len());
    assert!(flooded.all("mac").contains(&mac(1)), "{}", flooded.stderr);
    assert!(
        flooded.record["dropped_answers"].as_u64().unwrap() > 1_000,
        "{}",
        flooded.record
    );
}

#[test]
fn one_host_that_speaks_for_ten_thousand_hides_nobody() {
    let Some(mut lab) = Lab::new("a flood of SSDP answers") else {
        return;
    };
    lab.cable("site", "lan0", "10.66.0.1/26", "10.66.0.2/26");
    lab.hosts("site", "lan0", (10..31).map(|n| format!("10.66.0.{n}/26")));
    let quiet = |n: u8| {
        let search = json!({"mhed": false, "delay_ms": u64::from(n) * 100});
        recorder(
            &format!("10.66.0.{}", 9 + n),
            n,
            6036,
            json!({"search": search}),
        )
    };
    let mut devices: Vec<Value> = (1..=20).map(quiet).collect();
    let flood = json!({"mhed": false, "ssdp_flood": 10_000});
    devices.push(recorder("10.66.0.30", 200, 6036, json!({"search": flood})));
    lab.simulate("site", &devices);
    // Once to a search by multicast, once to one of a sweep.
    for arguments in ["--methods ssdp", "--subnet 10.66.0.0/26 --methods sweep"] {
        let mut child = lab.command("agent", "tvtctl");
        child
            .args(["local", "discover", "--json", "--record"])
            .arg(record(&lab))
            .args(arguments.split_whitespace())
            .current_dir(lab.folder());
        let (output, peak) = output_and_peak(&mut child);
        let found = Found::new(output, &record(&lab), Duration::ZERO);
        assert_eq!(found.status, Some(0), "{}", found.stderr);
        for last in 1..=20 {
            found.by_mac(&mac(last));
        }
        assert!(found.devices.len() <= 20 + 17, "{}", found.devices.len());
        let dropped = found.record["dropped_answers"].as_u64().unwrap();
        assert!(dropped > 1_000, "{}", found.record);
        assert!(
            found
                .stderr
                .contains(&format!("note: {dropped} answers were not used")),
            "{}",
            found.stderr
        );
        assert!(peak < 60 * 1024, "{arguments}: {peak} KiB");
    }
}

/// Runs a program to its end; gives what it said, and its peak of memory in KiB.
fn output_and_peak(command: &mut std::process::Command) -> (Output, u64) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (mut peak, mut out, mut err) = (0, Vec::new(), Vec::new());
    let mut stderr = child.stderr.take().unwrap();
    // Progress lines come all the time: each is a moment to look at the memory.
    let mut bytes = [0; 512];
    while let Ok(length @ 1..) = std::io::Read::read(&mut stderr, &mut bytes) {
        err.extend_from_slice(&bytes[..length]);
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
    }
    std::io::Read::read_to_end(child.stdout.as_mut().unwrap(), &mut out).unwrap();
    let output = Output {
        status: child.wait().unwrap(),
        stdout: out,
        stderr: err,
    };
    (output, peak)
}

#[test]
fn two_sites_may_have_the_same_addresses() {
    let labs: Option<Vec<Lab>> = [1_u8, 2]
        .into_iter()
        .map(|site| {
            let mut lab = Lab::new("overlapping sites")?;
            lab.cable("site", "lan0", "192.168.1.1/24", "192.168.1.2/24");
            lab.hosts("site", "lan0", ["192.168.1.50/24".to_owned()]);
            lab.simulate(
                "site",
                &[recorder("192.168.1.50", site, 6036, json!({"search": {}}))],
            );
            Some(lab)
        })
        .collect();
    let Some(labs) = labs else { return };
    let running: Vec<Child> = labs
        .iter()
        .map(|lab| start(lab, "--subnet 192.168.1.0/24"))
        .collect();
    for ((lab, child), site) in labs.iter().zip(running).zip([1_u8, 2]) {
        let found = Found::new(
            child.wait_with_output().unwrap(),
            &record(lab),
            Duration::ZERO,
        );
        assert_eq!(found.all("mac"), [mac(site)], "{}", found.stderr);
    }
}

#[test]
fn a_large_flat_network_does_not_overflow_the_neighbour_table() {
    let Some(mut lab) = Lab::new("a flat network") else {
        return;
    };
    lab.cable("site", "lan0", "10.64.0.1/20", "10.64.15.254/20");
    lab.hosts("site", "lan0", (0..12).map(|n| format!("10.64.{n}.77/20")));
    let devices: Vec<Value> = (0..12_u8)
        .map(|n| {
            recorder(
                &format!("10.64.{n}.77"),
                n + 1,
                6036,
                json!({"search": {"mhed": false}}),
            )
        })
        .collect();
    lab.simulate("site", &devices);
    // Ten times the pace that the table bears.
    let found = discover(
        &lab,
        "--subnet 10.64.0.0/20 --rate 2000 --methods sweep,tcp,neighbours",
    );
    assert_eq!(
        found.all("mac"),
        (1..=12).map(mac).collect::<Vec<_>>(),
        "{}",
        found.stderr
    );
    println!("{:?}: {}", found.took, found.record);
}

#[test]
fn what_cannot_be_done_is_said_at_once() {
    let Some(lab) = Lab::new("errors") else {
        return;
    };
    for (arguments, code, status) in [
        ("", "discovery.no_interface", 3),
        ("--interface eth7", "discovery.no_interface", 3),
        ("--bind 10.1.2.3", "discovery.bind_failed", 3),
        ("--subnet 10.0.0.0/8", "discovery.consent_needed", 2),
        ("--subnet 8.8.8.0/24", "discovery.consent_needed", 2),
        (
            "--subnet 10.0.0.0/30 --exclude 10.0.0.0/8",
            "usage.invalid",
            2,
        ),
    ] {
        let found = discover(&lab, arguments);
        assert_eq!(found.status, Some(status), "{arguments}: {}", found.stderr);
        assert!(
            found.stderr.contains(&format!("code: {code}")),
            "{arguments}: {}",
            found.stderr
        );
        assert!(found.took < Duration::from_secs(2));
    }
    // No way to the network: a note, and no device.
    let found = discover(&lab, "--subnet 10.1.0.0/28 --subnet 10.1.0.8/29");
    assert_eq!(found.status, Some(0), "{}", found.stderr);
    assert!(found.devices.is_empty());
    assert!(
        found.stderr.contains("14 probes could not be sent"),
        "{}",
        found.stderr
    );
}

#[test]
fn hosts_that_answer_pings_and_drop_connections_cost_little() {
    let Some(mut lab) = Lab::new("hosts that drop") else {
        return;
    };
    lab.cable("site", "wan", "10.99.0.1/24", "10.99.0.2/24");
    lab.inside("agent", "ip route add 10.51.0.0/24 via 10.99.0.2");
    lab.inside("site", "ip route add blackhole 10.51.0.0/24");
    lab.hosts("site", "wan", (1..=40).map(|n| format!("10.51.0.{n}/32")));
    // Connections to the upper half vanish; everything else of these hosts answers.
    lab.inside("site", "ip rule add pref 10 lookup local");
    lab.inside("site", "ip rule del pref 0");
    lab.inside(
        "site",
        "ip rule add pref 5 to 10.51.0.32/27 ipproto tcp blackhole",
    );
    lab.simulate(
        "site",
        &[
            recorder("10.51.0.5", 1, 6036, json!({})),
            recorder("10.51.0.33", 2, 6036, json!({})),
            recorder("10.51.0.34", 3, 6036, json!({"search": {}})),
        ],
    );
    let found = discover(&lab, "--subnet 10.51.0.0/24");
    assert_eq!(found.all("mac"), [mac(1), mac(3)], "{}", found.stderr);
    assert!(found.took < Duration::from_secs(15), "{:?}", found.took);
    // One connection per port and host that is alive, and no more.
    let connects = found.record["connects"].as_u64().unwrap();
    assert!((2..=80).contains(&connects), "{}", found.record);
}

#[test]
fn without_multicast_a_sweep_still_works() {
    let Some(mut lab) = Lab::new("no multicast") else {
        return;
    };
    lab.cable("site", "lan0", "10.63.0.1/28", "10.63.0.2/28");
    lab.hosts("site", "lan0", ["10.63.0.5/28".to_owned()]);
    lab.simulate(
        "site",
        &[recorder("10.63.0.5", 1, 6036, json!({"search": {}}))],
    );
    lab.inside("agent", "ip link set lan0 multicast off");
    let found = discover(&lab, "--methods mhed,ssdp,onvif");
    assert_eq!(found.status, Some(3), "{}", found.stderr);
    assert!(
        found.stderr.contains("code: discovery.no_interface"),
        "{}",
        found.stderr
    );
    let found = discover(&lab, "--subnet 10.63.0.0/28");
    assert_eq!(found.all("mac"), [mac(1)], "{}", found.stderr);
}

#[test]
fn multicast_that_cannot_leave_is_said() {
    let Some(mut lab) = Lab::new("multicast without a way out") else {
        return;
    };
    lab.cable("site", "lan0", "10.67.0.1/28", "10.67.0.2/28");
    lab.hosts("site", "lan0", ["10.67.0.5/28".to_owned()]);
    lab.simulate(
        "site",
        &[recorder("10.67.0.5", 1, 6036, json!({"search": {}}))],
    );
    // What a firewall or a container without the host's network does.
    lab.inside(
        "agent",
        "ip xfrm policy add dir out dst 224.0.0.0/4 action block",
    );
    let found = discover(&lab, "--methods mhed,ssdp,onvif");
    assert_eq!(found.status, Some(3), "{}", found.stderr);
    assert!(
        found
            .stderr
            .contains("code: discovery.multicast_unavailable"),
        "{}",
        found.stderr
    );
    assert!(found.took < Duration::from_secs(2), "{:?}", found.took);
    // With a network to sweep it is a note, and the recorder is found.
    let found = discover(&lab, "--subnet 10.67.0.0/28");
    assert_eq!(found.all("mac"), [mac(1)], "{}", found.stderr);
    // An interface that is down is none.
    lab.inside("agent", "ip link set lan0 down");
    let found = discover(&lab, "");
    assert!(
        found.stderr.contains("code: discovery.no_interface"),
        "{}",
        found.stderr
    );
}

#[test]
fn a_document_that_unfolds_is_not_read() {
    let Some(mut lab) = Lab::new("an XML bomb") else {
        return;
    };
    lab.cable("site", "lan0", "10.65.0.1/28", "10.65.0.2/28");
    lab.hosts("site", "lan0", (5..7).map(|n| format!("10.65.0.{n}/28")));
    let bomb = json!({"search": {"form": "bomb", "mhed": false}, "search_only": true});
    let good = json!({"search": {"mhed": false}});
    lab.simulate(
        "site",
        &[
            recorder("10.65.0.5", 1, 6036, bomb),
            recorder("10.65.0.6", 2, 6036, good),
        ],
    );
    let found = discover(&lab, "");
    assert_eq!(found.all("mac"), [mac(2)], "{}", found.stderr);
    assert!(found.took < Duration::from_secs(15), "{:?}", found.took);
}
