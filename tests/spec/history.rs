//! What changed since when, from result files and scans to `changes`, `diff`, `--at` and `sql`.

use std::time::Duration;

use serde_json::Value;
use tvt_sim::{Firmware, FleetSpec, Mutation};
use tvtfleet_tests::eventually;
use tvtfleet_tests::fleet::TestFleet;

const SITE: &str = "acme/north";

async fn small() -> TestFleet {
    let spec = FleetSpec {
        sites: 1,
        channels: 4,
        ..FleetSpec::new(21, 3)
    };
    TestFleet::start(&spec, Duration::ZERO).await
}

/// Saves the results of a scan, changed as if they were of another time.
async fn save_changed(fleet: &TestFleet, name: &str, change: fn(&mut Value)) {
    let _ = fleet
        .ctl(&["scan", "--all", "-o", "all.json"])
        .await
        .ended(0);
    let bytes = std::fs::read(fleet.folder().join("all.json")).unwrap();
    let mut rows: Value = serde_json::from_slice(&bytes).unwrap();
    for row in rows.as_array_mut().unwrap() {
        row.as_object_mut().unwrap().remove("observed_at");
    }
    change(&mut rows[0]);
    let text = serde_json::to_string(&rows).unwrap();
    std::fs::write(fleet.folder().join(name), text).unwrap();
}

async fn changes(fleet: &TestFleet) -> Vec<String> {
    let said = fleet
        .ctl(&["changes", "list", "--since", "1h", "--format", "json"])
        .await
        .ended(0);
    said.json()["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            let by_job = if change["job"].is_null() {
                ""
            } else {
                " by a job"
            };
            format!("{}{by_job}", change["kind"].as_str().unwrap())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_of_last_week_can_be_compared_with_now() {
    let fleet = small().await;
    save_changed(&fleet, "old.json", |row| {
        row["firmware"] = "0.0.1".into();
    })
    .await;
    for updated in ["3", "0"] {
        let said = fleet
            .ctl(&[
                "inventory",
                "import-results",
                "old.json",
                "--site",
                SITE,
                "--at",
                "1w",
                "--format",
                "csv",
            ])
            .await
            .ended(0);
        let row = said.stdout.lines().nth(1).unwrap().to_owned();
        assert_eq!(row.split(',').nth(2), Some(updated), "{row}");
        if updated == "0" {
            break;
        }
    }
    let firmware = async |at: &[&str]| -> Vec<String> {
        let words = ["inventory", "list", "--format", "json"];
        let words: Vec<&str> = words.iter().chain(at).copied().collect();
        let listed = fleet.ctl(&words).await.ended(0).json();
        let devices = listed["devices"].as_array().unwrap();
        devices
            .iter()
            .map(|device| device["firmware"].to_string())
            .collect()
    };
    assert_eq!(firmware(&["--at", "2w"]).await.len(), 0);
    assert_eq!(firmware(&["--at", "3d"]).await[0], "\"0.0.1\"");
    assert_ne!(firmware(&[]).await[0], "\"0.0.1\"");
    let said = fleet
        .ctl(&[
            "diff",
            "--site",
            SITE,
            "--from",
            "3d",
            "--json",
            "--exit-code",
        ])
        .await
        .ended(6);
    assert!(said.stdout.contains("0.0.1"), "{}", said.stdout);
    for same in [
        &["diff", "--from", "3d", "--to", "2d"][..],
        &["diff", "all.json", "--to", "now"],
        &["diff", "--from", "now", "last"],
    ] {
        let words: Vec<&str> = same.iter().chain(&["--exit-code"]).copied().collect();
        let _ = fleet.ctl(&words).await.ended(0);
    }
    assert!(changes(&fleet).await.is_empty(), "the past is no news");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_files_and_times_are_compared_with_each_other() {
    let fleet = small().await;
    let scan = async |file: &'static str| -> String {
        let said = fleet.ctl(&["scan", "--all", "-o", file]).await.ended(0);
        drop(said);
        let jobs = ["jobs", "list", "--format", "json", "--limit", "1"];
        let listed = fleet.ctl(&jobs).await.ended(0).json();
        listed["jobs"][0]["id"].as_str().unwrap().to_owned()
    };
    let before = scan("before.json").await;
    fleet.simulator.devices()[1]
        .apply(Mutation::SetFirmware {
            firmware: Firmware([9, 8, 7, 6]),
        })
        .await
        .unwrap();
    let after = scan("after.json").await;
    assert_ne!(before, after);
    for (old, new) in [
        (before.as_str(), after.as_str()),
        (&before, "after.json"),
        ("before.json", &after),
        ("before.json", "after.json"),
        (&before, "last"),
    ] {
        let words = ["diff", old, new, "--json", "--exit-code"];
        let found = fleet.ctl(&words).await.ended(6).json();
        assert_eq!(found["totals"]["changed"], 1, "{old} {new}: {found}");
        let text = found.to_string();
        assert!(text.contains("9.8.7.6"), "{old} {new}: {text}");
    }
    for same in [[&before, "before.json"], [&after, "after.json"]] {
        let words = [&["diff"][..], &same, &["--exit-code"]].concat();
        let _ = fleet.ctl(&words).await.ended(0);
    }
    let job = ["diff", &before, "--to", "now", "--json", "--exit-code"];
    let found = fleet.ctl(&job).await.ended(6).json();
    assert_eq!(found["totals"]["changed"], 1, "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_listed_and_followed() {
    let fleet = small().await;
    save_changed(&fleet, "renamed.json", |row| {
        row["cameras"][0]["name"] = "Another name".into();
    })
    .await;
    assert!(changes(&fleet).await.is_empty(), "a first scan is no news");
    let follow = ["changes", "follow", "--count", "2", "--format", "json"];
    let mut following = fleet.tvtctl(&follow).spawn();
    let _ = eventually("the command follows", || async {
        let said = following.stderr.all();
        said.iter()
            .any(|line| line.contains("following"))
            .then_some(())
    })
    .await;
    let _ = fleet
        .ctl(&[
            "inventory",
            "import-results",
            "renamed.json",
            "--site",
            SITE,
            "--at",
            "now",
        ])
        .await
        .ended(0);
    let _ = fleet.ctl(&["scan", "--all"]).await.ended(0);
    assert_eq!(
        changes(&fleet).await,
        ["channel_renamed", "channel_renamed by a job"]
    );
    let lines = eventually("both changes are shown", || async {
        let lines = following.stdout.all();
        (lines.len() >= 2).then_some(lines)
    })
    .await;
    assert!(lines[0].contains("Another name"), "{lines:?}");
    assert!(following.ended().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_are_labelled_found_asked_about_and_forgotten() {
    let fleet = small().await;
    let _ = fleet.ctl(&["scan", "--all"]).await.ended(0);
    let asked = async |sql: &str| fleet.ctl(&["sql", sql, "--format", "json"]).await;
    let answer = asked("SELECT device_id FROM devices ORDER BY address")
        .await
        .ended(0)
        .json();
    let device = answer["rows"][0]["device_id"].as_str().unwrap().to_owned();
    let counted = asked("SELECT count(*) AS n, count(DISTINCT device_id) AS d FROM channels")
        .await
        .ended(0)
        .json();
    assert_eq!(
        (&counted["rows"][0]["n"], &counted["rows"][0]["d"]),
        (&12.into(), &3.into())
    );
    let refused = asked("DELETE FROM devices").await.ended(2);
    assert!(
        refused.stderr.contains("query.invalid"),
        "{}",
        refused.stderr
    );
    let said = fleet
        .ctl(&["inventory", "label", "--format", "json", &device, "+gold"])
        .await
        .ended(0);
    assert_eq!(said.json()["devices"][0]["labels"][0], "gold");
    let _ = fleet
        .ctl(&["inventory", "note", &device, "behind the bar"])
        .await
        .ended(0);
    let found = fleet
        .ctl(&["inventory", "search", "THE BAR", "--format", "json"])
        .await
        .ended(0)
        .json();
    assert_eq!(found["devices"].as_array().unwrap().len(), 1);
    let scanned = fleet
        .ctl(&["scan", "--label", "gold", "--format", "json"])
        .await
        .ended(0)
        .json();
    assert_eq!(scanned.as_array().unwrap().len(), 1);
    let _ = fleet
        .ctl(&["inventory", "label", &device, "-gold"])
        .await
        .ended(0);
    let _ = fleet.ctl(&["inventory", "forget", &device]).await.ended(0);
    let scanned = fleet
        .ctl(&["scan", "--all", "--format", "json"])
        .await
        .ended(0)
        .json();
    assert_eq!(scanned.as_array().unwrap().len(), 2);
    assert_eq!(changes(&fleet).await, ["forgotten"]);
    let _ = fleet.ctl(&["inventory", "forget", "nobody"]).await.ended(2);
}

/// What the reference prints can be pasted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_documented_question_is_answered() {
    let fleet = small().await;
    let _ = fleet.ctl(&["scan", "--all"]).await.ended(0);
    let reference = fleet.ctl(&["sql", "--schema"]).await.ended(0);
    let (_, questions) = reference.stdout.split_once("\nQuestions:\n").unwrap();
    let questions: Vec<&str> = questions
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .collect();
    assert_eq!(questions.len(), 10);
    for question in questions {
        let _ = fleet
            .ctl(&["sql", question, "--format", "csv"])
            .await
            .ended(0);
    }
}
