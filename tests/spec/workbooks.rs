//! Workbooks of a fleet, read back by a reader that is not ours, and comparisons of every two
//! sources.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use calamine::{Data, Reader as _, Xlsx};
use serde_json::Value;
use tvt_sim::{Broken, FleetSpec};
use tvtfleet_tests::fleet::TestFleet;

/// Eight recorders at two sites, one of which refuses the password.
async fn fleet() -> TestFleet {
    let spec = FleetSpec {
        sites: 2,
        channels: 3,
        broken: [(Broken::WrongPassword, 1)].into(),
        ..FleetSpec::new(31, 8)
    };
    TestFleet::start(&spec, Duration::ZERO).await
}

/// The rows of a tab under its head.
fn tab(path: PathBuf, name: &str) -> Vec<Vec<String>> {
    let mut workbook: Xlsx<_> = calamine::open_workbook(path).unwrap();
    let range = workbook.worksheet_range(name).unwrap();
    range
        .rows()
        .skip(1)
        .map(|row| row.iter().map(Data::to_string).collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_file_holds_the_whole_fleet() {
    let fleet = fleet().await;
    let path = |name: &str| fleet.folder().join(name);
    let said = fleet
        .ctl(&["scan", "--all", "-o", "fleet.xlsx", "-o", "all.json"])
        .await
        .ended(1);
    assert!(
        said.stderr.contains("XLSX saved to: fleet.xlsx"),
        "{}",
        said.stderr
    );
    let rows: Value = serde_json::from_slice(&std::fs::read(path("all.json")).unwrap()).unwrap();
    let addresses = |name: &str| -> BTreeSet<String> {
        let devices = tab(path(name), "Devices");
        devices
            .iter()
            .map(|row| format!("{}:{}", row[2], row[3]))
            .collect()
    };
    let expected: BTreeSet<String> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{}:{}", row["nvr_ip"].as_str().unwrap(), row["nvr_port"]))
        .collect();
    assert_eq!(expected.len(), 8);
    assert_eq!(addresses("fleet.xlsx"), expected);
    assert_eq!(tab(path("fleet.xlsx"), "Cameras").len(), 7 * 3);
    let failures = tab(path("fleet.xlsx"), "Failures");
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0][5], "device.login_rejected");

    // The same job's results, and the inventory, say the same.
    let _ = fleet
        .ctl(&["jobs", "results", "last", "-o", "job.xlsx"])
        .await
        .ended(1);
    assert_eq!(addresses("job.xlsx"), expected);
    let feed = fleet
        .ctl(&["changes", "list", "--since", "1h", "--format", "json"])
        .await
        .ended(0)
        .json();
    let feed = feed["changes"].as_array().unwrap().len();
    let exported = fleet
        .ctl(&[
            "inventory",
            "export",
            "--since",
            "1h",
            "-o",
            "inventory.xlsx",
        ])
        .await
        .ended(0);
    assert!(
        exported.stderr.contains("8 devices written to"),
        "{}",
        exported.stderr
    );
    assert_eq!(addresses("inventory.xlsx"), expected);
    assert_eq!(tab(path("inventory.xlsx"), "Cameras").len(), 7 * 3);
    let listed = tab(path("inventory.xlsx"), "Changes");
    let listed = listed
        .iter()
        .filter(|row| row.len() > 4 && !row[4].is_empty())
        .count();
    assert_eq!(listed, feed);
    let _ = fleet
        .ctl(&[
            "inventory",
            "export",
            "--since",
            "1h",
            "-o",
            "inventory.json",
        ])
        .await
        .ended(2);

    // One site in one file is that site's own workbook.
    let site = &fleet.sites()[0];
    let _ = fleet
        .ctl(&["scan", "--site", site, "-o", "site.xlsx"])
        .await;
    assert_eq!(tab(path("site.xlsx"), "NVR Info").len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_two_sources_compare_in_every_form() {
    let fleet = fleet().await;
    let _ = fleet
        .ctl(&["scan", "--all", "-o", "now.json"])
        .await
        .ended(1);
    let bytes = std::fs::read(fleet.folder().join("now.json")).unwrap();
    let mut rows: Value = serde_json::from_slice(&bytes).unwrap();
    let good = rows
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find(|row| row["success"] == Value::Bool(true))
        .unwrap();
    good["firmware"] = "0.0.1".into();
    good["cameras"][0]["name"] = "Old name".into();
    std::fs::write(fleet.folder().join("old.json"), rows.to_string()).unwrap();
    let forms = [&["--json"][..], &["--csv"], &["--summary"], &[]];
    for new in [&["now.json"][..], &["last"], &["--to", "now"]] {
        for form in forms {
            let words = [&["diff", "old.json"][..], new, form, &["--exit-code"]].concat();
            let said = fleet.ctl(&words).await.ended(6);
            if !form.contains(&"--summary") {
                assert!(said.stdout.contains("0.0.1"), "{words:?}: {}", said.stdout);
                assert!(
                    said.stdout.contains("Old name"),
                    "{words:?}: {}",
                    said.stdout
                );
            }
        }
        let words = [
            &["diff", "old.json"][..],
            new,
            &["--summary", "-o", "d.xlsx"],
        ]
        .concat();
        let _ = fleet.ctl(&words).await.ended(0);
        let rows = tab(fleet.folder().join("d.xlsx"), "Differences");
        assert!(
            rows.iter().any(|row| row[9] == "0.0.1"),
            "{new:?}: {rows:?}"
        );
        assert!(
            rows.iter().any(|row| row[9] == "Old name"),
            "{new:?}: {rows:?}"
        );
    }
    for same in [
        &["now.json", "last"][..],
        &["last", "now.json"],
        &["last", "last"],
        &["last", "--to", "now"],
        &["now.json", "--to", "now"],
        &["--from", "now", "now.json"],
    ] {
        let words = [&["diff"][..], same, &["--summary", "--exit-code"]].concat();
        let _ = fleet.ctl(&words).await.ended(0);
    }
}
