//! The published pytvt scans the simulator: so it speaks the protocol as real clients know it, and what
//! `tvtctl local scan` finds there can be held against a second opinion.
//!
//! Skipped, with the reason, where pytvt cannot be had: it is fetched from the Python package index.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tvt_sim::{FleetSpec, Options, Simulator};
use tvtfleet_tests::program::Program;
use xtask::pytvt::Pytvt;

const DEVICES: usize = 16;
const HEAD: usize = 5;
const CHANNELS: u32 = 6;
/// pytvt waits two seconds for each recorder that sends nothing after its greeting.
const LIMIT: Duration = Duration::from_secs(90);

fn by_address(path: &Path) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    rows.into_iter()
        .map(|row| (format!("{}:{}", row["nvr_ip"], row["nvr_port"]), row))
        .collect()
}

async fn theirs(pytvt: &Pytvt, folder: &Path) -> BTreeMap<String, Value> {
    let child = tokio::process::Command::new(pytvt.program("pytvt"))
        .args([
            "inventory.json",
            "--concurrency",
            "8",
            "--failed",
            "failed.json",
            "--output",
        ])
        .arg("theirs.json")
        .current_dir(folder)
        .env("TVT_USERNAME", "admin")
        .env("TVT_PASSWORD", "Fleet-2026")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LIMIT, child)
        .await
        .expect("pytvt takes too long")
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    by_address(&folder.join("theirs.json"))
}

async fn ours(folder: &Path) -> BTreeMap<String, Value> {
    let output = Program::new("tvtctl", folder)
        .env("TVT_USERNAME", "admin")
        .env("TVT_PASSWORD", "Fleet-2026")
        .args(["local", "scan", "inventory.json", "-o", "ours.json"])
        .run(LIMIT)
        .await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    by_address(&folder.join("ours.json"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pytvt_and_tvtctl_find_the_same() {
    let pytvt = match tokio::task::spawn_blocking(Pytvt::find_or_fetch)
        .await
        .unwrap()
    {
        Ok(pytvt) => pytvt,
        Err(error) => {
            eprintln!("skipped: pytvt cannot be had: {error:#}");
            return;
        }
    };
    let spec = FleetSpec {
        sites: 2,
        head: HEAD,
        channels: CHANNELS,
        ..FleetSpec::new(33, DEVICES)
    };
    let options = Options {
        latency: Duration::ZERO,
        seed: spec.seed,
    };
    let simulator = Simulator::start(spec.generate().unwrap(), options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let inventory = serde_json::to_vec(&simulator.inventory()).unwrap();
    std::fs::write(folder.path().join("inventory.json"), inventory).unwrap();

    let theirs = theirs(&pytvt, folder.path()).await;
    let ours = ours(folder.path()).await;
    assert_eq!((theirs.len(), ours.len()), (DEVICES, DEVICES));
    let mut cameras = 0;
    let mut head = 0;
    for (address, theirs) in &theirs {
        let ours = &ours[address];
        for row in [ours, theirs] {
            assert_eq!(row["success"], Value::Bool(true), "{address}: {row}");
        }
        for key in ["site", "hostname", "nvr_ip", "nvr_mac", "nvr_port"] {
            assert_eq!(ours[key], theirs[key], "{address} {key}");
        }
        // pytvt shows the serial number of head-variant recorders as their name.
        let named = ours["device_name"] == theirs["device_name"];
        let numbered = ours["serial_number"] == theirs["device_name"];
        assert!(named || numbered, "{address}: {ours} {theirs}");
        head += usize::from(!named);
        let lists = [ours, theirs].map(|row| row["cameras"].as_array().unwrap());
        assert_eq!(lists[0].len(), lists[1].len(), "{address}");
        for (our_camera, their_camera) in lists[0].iter().zip(lists[1]) {
            for key in ["channel", "name", "address", "port", "protocol", "model"] {
                assert_eq!(our_camera[key], their_camera[key], "{address} {key}");
            }
            // pytvt loses the status 0; here it is Offline.
            let lost = their_camera["status"] == "" && our_camera["status"] == "Offline";
            assert!(
                lost || our_camera["status"] == their_camera["status"],
                "{address}"
            );
            cameras += 1;
        }
    }
    assert_eq!(head, HEAD);
    assert_eq!(cameras, DEVICES * usize::try_from(CHANNELS).unwrap());
}
