//! One question to devices of the fleet: a job like any other, with typed answers.

use std::time::Duration;

use tvt_sim::FleetSpec;
use tvtfleet_tests::fleet::TestFleet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ask_goes_to_the_sites_and_its_answers_are_kept() {
    let spec = FleetSpec {
        web: true,
        ..FleetSpec::new(31, 2)
    };
    let fleet = TestFleet::start(&spec, Duration::ZERO).await;
    let said = fleet
        .ctl(&["run", "clock", "--site", "acme/north", "--format", "json"])
        .await
        .ended(0);
    let document = said.json();
    assert_eq!(document["ask"], "clock");
    let devices = document["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 2);
    for device in devices {
        assert_eq!(device["site"], "acme/north");
        assert_eq!(device["backend"], "webapi");
        let drift = device["answer"][0]["drift_ms"].as_i64().unwrap();
        assert!(drift.abs() < 5_000, "{drift}");
    }
    let said = fleet
        .ctl(&["run", "users", "--all", "--format", "csv"])
        .await
        .ended(0);
    assert_eq!(said.stdout.lines().count(), 3, "{}", said.stdout);
    assert!(
        said.stdout
            .starts_with("site,device,success,error_code,id,username")
    );
    assert!(
        said.stdout
            .contains(",admin,default_admin,true,Administrator,")
    );

    // A scan of these recorders knows more than the binary protocol tells.
    let said = fleet
        .ctl(&["scan", "--all", "--format", "json"])
        .await
        .ended(0);
    for row in said.json().as_array().unwrap() {
        assert_eq!(row["device_model"], "TD-EX3316");
        assert!(!row["serial_number"].as_str().unwrap().is_empty());
    }
    // Asks that change nothing of what is known leave no change behind.
    let said = fleet.ctl(&["run", "info", "--all"]).await.ended(0);
    assert!(said.stdout.contains("TD-EX3316"), "{}", said.stdout);
    let counters = fleet.simulator.totals();
    assert_eq!((counters.logins_failed, counters.violations), (0, 0));
}
