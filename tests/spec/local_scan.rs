//! `tvtctl local scan` against the recorders of pytvt's example run: what pytvt 0.5.1 found is found,
//! and what it lost is found too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tvt_sim::{Fleet, Options, Simulator};
use tvtfleet_tests::fleet::Said;
use tvtfleet_tests::program::Program;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/examples/scan")
}

/// Reads an example with its addresses moved into a /24 of the caller's own, so that tests do not meet
/// on the fixed port that the files name.
fn moved(file: &str, network: u8) -> String {
    let text = std::fs::read_to_string(examples().join(file)).unwrap();
    text.replace("127.0.0.", &format!("127.{network}.0."))
}

struct Bench {
    folder: tempfile::TempDir,
    _simulator: Simulator,
}

impl Bench {
    fn start(network: u8) -> Self {
        let fleet = Fleet::from_json(&moved("fleet.json", network)).unwrap();
        let simulator = Simulator::start(
            fleet,
            Options {
                latency: Duration::ZERO,
                seed: 1,
            },
        )
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("inventory.json"),
            moved("inventory.json", network),
        )
        .unwrap();
        Self {
            folder,
            _simulator: simulator,
        }
    }

    async fn scan(&self, arguments: &[&str]) -> Said {
        let program = Program::new("tvtctl", self.folder.path()).env("TVT_PASSWORD", "Fleet-2026");
        let fixed = [
            "local",
            "scan",
            "inventory.json",
            "-u",
            "admin",
            "--timeout",
            "4",
        ];
        program
            .args(fixed)
            .args(arguments)
            .run(Duration::from_secs(60))
            .await
            .into()
    }
}

/// The devices by site and address: pytvt drops an address that another site has too.
fn by_place(text: &str) -> BTreeMap<(String, String), Value> {
    let rows: Vec<Value> = serde_json::from_str(text).unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.into_iter()
        .map(|row| ((text(&row, "site"), text(&row, "nvr_ip")), row))
        .collect()
}

/// A recorder that answers the login with an unknown command. pytvt goes on as if it had been let in;
/// here it is a login that was not answered.
const UNANSWERED_LOGIN: &str = "nvr-unknown";
/// A recorder whose three tunnel paths give different lists. pytvt asks all and keeps the last; here
/// the first list that names a camera counts.
const SEVERAL_LISTS: &str = "nvr-sued-4";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_pytvt_finds_is_found() {
    let bench = Bench::start(41);
    let _ = bench.scan(&["-o", "ours.json"]).await.ended(1);
    let ours = std::fs::read_to_string(bench.folder.path().join("ours.json")).unwrap();
    let (ours, theirs) = (by_place(&ours), by_place(&moved("scan.json", 41)));
    for (place, theirs) in &theirs {
        let address = &place.1;
        let ours = ours
            .get(place)
            .unwrap_or_else(|| panic!("{place:?} is missing"));
        for key in ["site", "hostname", "nvr_ip", "nvr_mac", "nvr_port"] {
            assert_eq!(ours[key], theirs[key], "{address} {key}");
        }
        if ours["hostname"] == UNANSWERED_LOGIN {
            assert_eq!(ours["error_code"], "device.login_timeout", "{address}");
            continue;
        }
        if ours["hostname"] == SEVERAL_LISTS {
            assert_eq!(ours["cameras"].as_array().unwrap().len(), 1, "{address}");
            continue;
        }
        if theirs["success"] == Value::Bool(true) {
            assert_eq!(
                ours["success"],
                Value::Bool(true),
                "{address}: {}",
                ours["error"]
            );
        }
        let cameras = |row: &Value| row["cameras"].as_array().unwrap().clone();
        let found = cameras(ours);
        for camera in cameras(theirs) {
            let same = found.iter().find(|other| {
                other["channel"] == camera["channel"] && other["name"] == camera["name"]
            });
            let same = same.unwrap_or_else(|| panic!("{address} lacks {camera}"));
            for key in ["address", "port", "protocol", "model"] {
                assert_eq!(same[key], camera[key], "{address} {key}");
            }
            // pytvt loses the status 0; here it is Offline.
            let lost = camera["status"] == "" && same["status"] == "Offline";
            assert!(
                lost || same["status"] == camera["status"],
                "{address} {camera} {same}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_pytvt_loses_is_found() {
    let bench = Bench::start(42);
    let said = bench
        .scan(&["-o", "ours.json", "--failed", "failed.json"])
        .await
        .ended(1);
    let ours = by_place(&std::fs::read_to_string(bench.folder.path().join("ours.json")).unwrap());
    let theirs = by_place(&moved("scan.json", 42));
    let lost: Vec<_> = ours
        .iter()
        .filter(|(place, _)| !theirs.contains_key(place))
        .map(|(_, row)| row["hostname"].as_str().unwrap())
        .collect();
    // A port that is no number, an entry with an address only, an address that two sites have.
    assert_eq!(lost, ["", "kw-badport", "same-ip-again"]);
    assert!(
        ours.values()
            .all(|row| row["device_id"].as_str().is_some_and(|id| !id.is_empty()))
    );
    // Every entry that is not scanned is named.
    for named in ["made by Hikvision, not TVT", "a link-local address"] {
        assert!(said.stderr.contains(named), "{named}:\n{}", said.stderr);
    }
    let failed: Vec<Value> = serde_json::from_str(
        &std::fs::read_to_string(bench.folder.path().join("failed.json")).unwrap(),
    )
    .unwrap();
    let count = ours
        .values()
        .filter(|row| row["success"] == Value::Bool(false))
        .count();
    assert_eq!(failed.len(), count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_never_shows() {
    let bench = Bench::start(43);
    let said = bench
        .scan(&["-o", "ours.json", "-o", "ours.csv", "--xlsx", "books"])
        .await
        .ended(1);
    assert!(!said.stdout.contains("Fleet-2026") && !said.stderr.contains("Fleet-2026"));
    for file in ["ours.json", "ours.csv"] {
        let text = std::fs::read_to_string(bench.folder.path().join(file)).unwrap();
        assert!(!text.contains("Fleet-2026"), "{file}");
    }
}
