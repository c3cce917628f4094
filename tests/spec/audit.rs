//! The audit of a fleet with accounts: what it says, who may read it, and what tampering shows.

use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::Value;
use tvtfleet_tests::eventually;
use tvtfleet_tests::governed::GovernedFleet;

const SITE: &str = "acme/depot-1";

fn data(fleet: &GovernedFleet, name: &str) -> PathBuf {
    fleet.path("coordinator-data").join(name)
}

async fn rows(fleet: &GovernedFleet, who: &str, more: &[&str]) -> Vec<Value> {
    let arguments = [&["audit", "list", "--format", "json"], more].concat();
    let said = fleet.as_operator(who, &arguments).await.ended(0);
    said.json()["audit"].as_array().unwrap().clone()
}

/// Waits until the file beside the database has the newest row.
async fn until_witnessed(fleet: &GovernedFleet) -> String {
    eventually("the file knows the end", || async {
        let said = fleet
            .as_operator("admin", &["audit", "verify", "--format", "json"])
            .await;
        let head = said.json()["verified"][0]["head"].as_str()?.to_owned();
        let file = std::fs::read_to_string(data(fleet, "audit.head")).ok()?;
        (file.trim() == head).then_some(head)
    })
    .await
}

async fn fleet() -> GovernedFleet {
    let mut fleet = GovernedFleet::start(1, &["acme", "blue"], "").await;
    for (name, role, tenant) in [("anna", "operator", "acme"), ("vera", "viewer", "acme")] {
        let add = [
            "admin", "operator", "add", name, "--role", role, "--tenant", tenant, "--dir", "fleet",
        ];
        let _ = fleet.ctl(&add).await.ended(0);
    }
    let add = [
        "admin", "operator", "add", "otto", "--role", "admin", "--tenant", "acme", "--dir", "fleet",
    ];
    let _ = fleet.ctl(&add).await.ended(0);
    fleet.joined("one", SITE).await;
    fleet.start_agent("one");
    fleet.until_online(SITE).await;
    fleet
}

/// Requests that change something are recorded with who, what for, how decided and what came of it;
/// refusals as well; what reads is not.
#[tokio::test]
async fn the_audit_says_who_asked_what_and_what_came_of_it() {
    let fleet = fleet().await;
    let devices = r#"[{"ip": "127.0.0.9", "hostname": "nvr-1"}]"#;
    std::fs::write(fleet.path("devices.json"), devices).unwrap();
    let import = ["inventory", "import", "devices.json", "--site", SITE];
    let _ = fleet.as_operator("anna", &import).await.ended(0);
    let scan = ["scan", "--site", SITE, "--format", "json"];
    let _ = fleet.as_operator("anna", &scan).await;
    let foreign = ["scan", "--tenant", "blue"];
    assert_ne!(fleet.as_operator("anna", &foreign).await.code, Some(0));
    let site = ["sites", "add", "acme/depot-2"];
    assert_ne!(fleet.as_operator("vera", &site).await.code, Some(0));
    let _ = fleet.as_operator("admin", &site).await.ended(0);
    let _ = fleet.as_operator("vera", &["sites", "list"]).await.ended(0);

    let all = eventually("the job has ended", || async {
        let all = rows(&fleet, "admin", &[]).await;
        all.iter()
            .any(|row| row["kind"] == "job.end")
            .then_some(all)
    })
    .await;
    let find = |kind: &str, who: &str| -> &Value {
        all.iter()
            .find(|row| row["kind"] == kind && row["who"] == who)
            .unwrap_or_else(|| panic!("no {kind} of {who} in {all:#?}"))
    };
    assert_eq!(find("agent.enrol", "agent")["sites"][0], SITE);
    assert_eq!(find("roster.update", "authority")["decision"], "admitted");
    assert_eq!(find("inventory.import", "anna")["devices"], 1);
    let submitted: Vec<&Value> = all
        .iter()
        .filter(|row| row["kind"] == "job.submit" && row["who"] == "anna")
        .collect();
    assert_eq!(submitted.len(), 2);
    assert_eq!(submitted[0]["decision"], "admitted");
    assert!(
        submitted[0]["detail"]
            .as_str()
            .unwrap()
            .contains("127.0.0.9")
    );
    assert!(submitted[0]["key"].as_str().unwrap().starts_with('U'));
    assert_eq!(submitted[1]["decision"], "refused");
    assert_eq!(submitted[1]["code"], "trust.forbidden");
    assert!(
        submitted[1]["detail"]
            .as_str()
            .unwrap()
            .contains("tenants blue")
    );
    assert_eq!(find("site.add", "vera")["code"], "trust.forbidden");
    assert_eq!(find("site.add", "admin")["outcome"], "added");
    let end = find("job.end", "coordinator");
    assert_eq!(end["job"], submitted[0]["job"]);
    assert!(end["outcome"].as_str().unwrap().contains("of 1 devices"));
    assert!(all.iter().all(|row| row["kind"] != "site.list"));

    assert!(rows(&fleet, "admin", &["--who", "vera"]).await.len() == 1);
    assert_ne!(
        fleet.as_operator("anna", &["audit", "list"]).await.code,
        Some(0)
    );
    let own = rows(&fleet, "otto", &[]).await;
    assert!(own.iter().any(|row| row["kind"] == "job.submit"));
    assert!(own.iter().all(|row| {
        let mut sites = row["sites"].as_array().unwrap().iter();
        sites.all(|site| site.as_str().unwrap().starts_with("acme/"))
    }));
    assert_ne!(
        fleet.as_operator("otto", &["audit", "verify"]).await.code,
        Some(0)
    );
    assert_ne!(
        fleet
            .as_operator("otto", &["audit", "export", "x"])
            .await
            .code,
        Some(0)
    );
}

/// What was altered in the database, or cut off at its end, is named; an exported file tells by
/// itself; and an older database says so until somebody accepts it.
#[tokio::test]
async fn tampering_and_older_databases_are_noticed() {
    let mut fleet = fleet().await;
    let old = until_witnessed(&fleet).await;
    fleet.kill_coordinator().await;
    for name in ["coordinator.db", "coordinator.db-wal"] {
        let _ = std::fs::copy(data(&fleet, name), fleet.path(name));
    }
    fleet.start_coordinator();
    fleet.until_answering().await;
    for number in 2..5 {
        let site = format!("acme/depot-{number}");
        let add = ["sites", "add", &site];
        let _ = fleet.as_operator("admin", &add).await.ended(0);
    }
    let head = until_witnessed(&fleet).await;
    let verify = ["audit", "verify", "--head", &old, "--head", &head];
    let _ = fleet.as_operator("admin", &verify).await.ended(0);
    let export = ["audit", "export", "all.jsonl"];
    let _ = fleet.as_operator("admin", &export).await.ended(0);
    let file = ["audit", "verify", "all.jsonl", "--head", &head];
    let _ = fleet.ctl(&file).await.ended(0);

    // The file by itself.
    let text = std::fs::read_to_string(fleet.path("all.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len();
    let altered = text.replace("acme/depot-3", "acme/depot-9");
    let cut = lines[..last - 1].join("\n");
    let without = [&lines[..last - 2], &lines[last - 1..]].concat().join("\n");
    for (text, says) in [
        (altered, format!("row {} was altered", last - 1)),
        (cut, format!("row {last} was the last one known")),
        (without, format!("rows {0} to {0} are missing", last - 1)),
    ] {
        std::fs::write(fleet.path("bad.jsonl"), text).unwrap();
        let said = fleet
            .ctl(&["audit", "verify", "bad.jsonl", "--head", &head])
            .await;
        assert_eq!(said.code, Some(3), "{}", said.stderr);
        assert!(said.stderr.contains(&says), "{}", said.stderr);
        assert!(said.stderr.contains("audit.broken"), "{}", said.stderr);
    }

    // The database while the coordinator runs.
    let sql = |text: &str| {
        let db = Connection::open(data(&fleet, "coordinator.db")).unwrap();
        db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        db.execute_batch(text).unwrap();
    };
    sql("UPDATE audit SET who = who || 'x' WHERE number = 3");
    let said = fleet.as_operator("admin", &["audit", "verify"]).await;
    assert!(said.stderr.contains("row 3 was altered"), "{}", said.stderr);
    sql("UPDATE audit SET who = substr(who, 1, length(who) - 1) WHERE number = 3");
    let _ = fleet
        .as_operator("admin", &["audit", "verify"])
        .await
        .ended(0);
    sql("DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)");
    let said = fleet.as_operator("admin", &["audit", "verify"]).await;
    assert_eq!(said.code, Some(3));
    assert!(
        said.stderr.contains("was the last one known"),
        "{}",
        said.stderr
    );

    // An older database in its place.
    fleet.kill_coordinator().await;
    let _ = std::fs::remove_file(data(&fleet, "coordinator.db-wal"));
    let _ = std::fs::remove_file(data(&fleet, "coordinator.db-shm"));
    for name in ["coordinator.db", "coordinator.db-wal"] {
        let _ = std::fs::copy(fleet.path(name), data(&fleet, name));
    }
    fleet.start_coordinator();
    fleet.until_answering().await;
    let said = fleet.as_operator("admin", &["audit", "verify"]).await;
    assert_eq!(said.code, Some(3), "{}", said.stderr);
    assert!(said.stderr.contains("ended too early"), "{}", said.stderr);
    let rewound = rows(&fleet, "admin", &["--kind", "audit.rewound"]).await;
    assert_eq!(rewound.len(), 1);
    assert!(rewound[0]["detail"].as_str().unwrap().contains(&head));
    let number = rewound[0]["number"].to_string();
    let accept = ["audit", "verify", "--accept", &number];
    let _ = fleet.as_operator("admin", &accept).await.ended(0);
}
