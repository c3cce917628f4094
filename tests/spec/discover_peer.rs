//! The published pytvt-discover looks for the same simulated recorders: where it finds one, both say
//! the same of it.
//!
//! Needs root and the `ip` command, and pytvt from the Python package index. Without them the test
//! says so and does nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};
use tvtfleet_tests::netns::{Lab, mac, recorder};
use xtask::pytvt::Pytvt;

type Devices = BTreeMap<String, Map<String, Value>>;

/// What one of the programs found, by address: as JSON, and as an inventory to scan.
struct Found {
    devices: Devices,
    inventory: Devices,
}

fn run(mut command: Command, folder: &Path, file: &str) -> Found {
    let inventory = folder.join(file);
    let output = command
        .args(["--subnet", "10.50.0.0/28", "--json", "--site", "Lobby"])
        .args(["--timeout", "1", "--scanner-json"])
        .arg(&inventory)
        .current_dir(folder)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    // pytvt talks before its JSON, and after it.
    let list = stdout.split_once("[\n").expect("a list").1;
    let list = list.split_once("\n]").expect("an end").0;
    let devices: Value = serde_json::from_str(&format!("[{list}]")).unwrap();
    let saved: Value = serde_json::from_slice(&std::fs::read(inventory).unwrap()).unwrap();
    Found {
        devices: by_address(devices),
        inventory: by_address(saved),
    }
}

fn by_address(list: Value) -> Devices {
    let Value::Array(list) = list else {
        panic!("no list: {list}");
    };
    list.into_iter()
        .map(|device| {
            let device = device.as_object().expect("a device").clone();
            (device["ip"].as_str().unwrap().to_owned(), device)
        })
        .collect()
}

#[test]
fn pytvt_discover_and_tvtctl_find_the_same() {
    let Some(mut lab) = Lab::new("pytvt-discover as a peer") else {
        return;
    };
    let pytvt = match Pytvt::find_or_fetch() {
        Ok(pytvt) => pytvt,
        Err(error) => {
            eprintln!("skipped: pytvt cannot be had: {error:#}");
            return;
        }
    };
    lab.cable("site", "wan", "10.99.0.1/24", "10.99.0.2/24");
    lab.inside("agent", "ip route add 10.50.0.0/16 via 10.99.0.2");
    lab.inside("site", "ip route add blackhole 10.50.0.0/16");
    lab.hosts("site", "wan", (1..=6).map(|n| format!("10.50.0.{n}/32")));
    let at = |n: u8| format!("10.50.0.{n}");
    let search = |form: &str| json!({"search": {"model": "TD-3316", "form": form}});
    lab.simulate(
        "site",
        &[
            recorder(&at(1), 1, 6036, search("xml")),
            recorder(&at(2), 2, 9008, search("http")),
            recorder(&at(3), 3, 6036, search("http")),
            recorder(&at(4), 4, 9008, json!({})),
            // pytvt greets on 9008 only.
            recorder(&at(5), 5, 6036, json!({})),
            recorder(&at(6), 6, 6036, json!({"kind": "close"})),
        ],
    );

    let mut tvtctl = lab.command("agent", "tvtctl");
    tvtctl.args(["local", "discover", "-q"]);
    let ours = run(tvtctl, lab.folder(), "ours.json");
    let theirs = run(
        lab.outside("agent", &pytvt.program("pytvt-discover")),
        lab.folder(),
        "theirs.json",
    );
    let found = |found: &Found| found.devices.keys().cloned().collect::<Vec<_>>();
    assert_eq!(found(&ours), (1..=5).map(at).collect::<Vec<_>>());
    assert_eq!(found(&theirs), (1..=4).map(at).collect::<Vec<_>>());

    for (address, theirs) in &theirs.devices {
        let ours = &ours.devices[address];
        let by_greeting = theirs["_probe"] == "tcp";
        assert_eq!(by_greeting, *address == at(4));
        for (key, value) in theirs {
            assert!(ours.contains_key(key), "{address}: no {key} in {ours:?}");
            // A greeting and a model tell more than pytvt reads out of them.
            let read_by_us = value == "Unknown" || by_greeting && (value == "" || value == 0);
            assert!(
                read_by_us || ours[key] == *value,
                "{address} {key}: {} and pytvt's {value}",
                ours[key]
            );
        }
    }
    assert_eq!(ours.devices[&at(4)]["mac"], mac(4));
    for (address, theirs) in &theirs.inventory {
        let ours = &ours.inventory[address];
        for (key, value) in theirs {
            assert!(ours.contains_key(key), "{address}: no {key} in {ours:?}");
            // pytvt names 6036 for every device, ours the port that answered.
            let differs = key == "port" || value == "Unknown" || *address == at(4);
            assert!(
                differs || ours[key] == *value,
                "{address} {key}: {} and pytvt's {value}",
                ours[key]
            );
        }
        assert_eq!(ours["_discovered"], true);
    }
    assert_eq!(ours.inventory[&at(2)]["port"], 9008);
    assert_eq!(theirs.inventory[&at(2)]["port"], 6036);
}
