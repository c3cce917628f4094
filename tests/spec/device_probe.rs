//! `tvtctl device probe`: what devices say before anybody logs in.

use std::time::Duration;

use tvt_sim::{FleetSpec, Options, Simulator};
use tvtfleet_tests::fleet::Said;
use tvtfleet_tests::program::Program;

async fn probe(arguments: &[String]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new("tvtctl", folder.path());
    program
        .args(["device", "probe"])
        .args(arguments)
        .run(Duration::from_secs(60))
        .await
        .into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_names_devices_and_logs_in_nowhere() {
    let spec = FleetSpec {
        head: 8,
        ..FleetSpec::new(7, 20)
    };
    let options = Options {
        latency: Duration::ZERO,
        seed: 7,
    };
    let simulator = Simulator::start(spec.generate().unwrap(), options).unwrap();
    let mut arguments: Vec<String> = simulator
        .devices()
        .iter()
        .map(|device| device.address().to_string())
        .collect();
    arguments.extend(["--format".to_owned(), "json".to_owned()]);
    let document = probe(&arguments).await.ended(0).json();
    let rows = document["devices"].as_array().unwrap();
    assert_eq!(rows.len(), 20);
    for (row, address) in rows.iter().zip(&arguments) {
        assert_eq!(row["address"], address.as_str());
        assert_eq!(row["success"], true, "{row}");
        assert!(
            row["mac"].as_str().is_some() && row["firmware"].as_str().is_some(),
            "{row}"
        );
        let version = row["protocol_version"].as_u64().unwrap();
        assert_eq!(
            row["family"],
            if version >= 11 { "head" } else { "standard" },
            "{row}"
        );
    }
    assert_eq!(simulator.totals().logins_tried, 0);
}

#[tokio::test]
async fn who_does_not_answer_is_listed_and_counts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    // It accepts, and says nothing until the time is over.
    let said = probe(&[
        "127.0.0.1".into(),
        "--port".into(),
        port,
        "--timeout".into(),
        "300ms".into(),
    ])
    .await;
    let said = said.ended(1);
    assert!(said.stdout.starts_with("ADDRESS"), "{}", said.stdout);
    assert!(said.stdout.contains("device."), "{}", said.stdout);
}
