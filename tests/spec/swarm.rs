//! A small swarm of agents on real connections: every report is applied, and all come back after a
//! crash of the server.

use std::time::Duration;

use serde_json::Value;
use tvtfleet_tests::nats::locate;
use tvtfleet_tests::program::Program;

/// Far more than it takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(240);

async fn swarm(arguments: &[&str]) -> Value {
    let home = tempfile::tempdir().unwrap();
    let nats = locate(None).expect("a nats-server");
    let said = Program::new("tvt-bench", home.path())
        .env(xtask::nats_server::VARIABLE, nats)
        .args(["swarm", "--no-build", "--format", "json"])
        .args(arguments)
        .run(LIMIT)
        .await;
    // It fails by itself where a report or an agent is missing.
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    serde_json::from_slice(&said.stdout).expect("figures")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_of_many_sites_is_applied_completely() {
    let figures = swarm(&["--sites", "12", "--recorders", "15", "--channels", "4"]).await;
    let rows = figures["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 2, "{figures}");
    for row in rows {
        assert!(row["applied_per_s"].as_f64() > Some(0.0), "{figures}");
        assert!(row["questions"].as_u64() > Some(0), "{figures}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_that_come_at_once_are_let_in_and_come_back() {
    let figures = swarm(&["--register", "60", "--heartbeat", "1"]).await;
    let steps: Vec<_> = figures["rows"].as_array().expect("rows").iter().collect();
    let named: Vec<_> = steps.iter().map(|row| row["step"].as_str()).collect();
    let expected = ["first time", "at rest", "server restarted"];
    assert_eq!(named, expected.map(Some), "{figures}");
    assert!(steps[1]["heartbeats_per_s"].as_f64() > Some(1.0));
    assert!(steps[2]["wait_p99_ms"].as_f64() > Some(0.0));
}
