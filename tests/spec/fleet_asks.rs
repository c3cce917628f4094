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

/// A fleet whose first site allows changes.
async fn changeable() -> TestFleet {
    let spec = FleetSpec {
        web: true,
        ..FleetSpec::new(32, 3)
    };
    let mut fleet = TestFleet::empty(&spec, Duration::ZERO).await;
    fleet.agent_lines = "[policy]\nasks = ['services', 'set-services']\n".to_owned();
    fleet.start_coordinator();
    fleet.know_sites().await;
    for site in fleet.sites() {
        fleet.start_agent(site);
    }
    fleet.until_online(fleet.sites().len()).await;
    fleet
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_of_a_fleet_are_switched_and_switched_back() {
    let fleet = changeable().await;
    let set = [
        "run",
        "set-services",
        "--all",
        "--set",
        "rtsp=false",
        "--format",
        "json",
    ];
    let unconfirmed = fleet.ctl(&set).await.ended(2);
    assert!(
        unconfirmed.stderr.contains("change.unconfirmed"),
        "{}",
        unconfirmed.stderr
    );
    let with = |more: &'static str| [&set[..], &[more]].concat();
    let outcomes = |said: &tvtfleet_tests::fleet::Said| -> Vec<String> {
        let document = said.json();
        let devices = document["devices"].as_array().unwrap().clone();
        let rows = devices
            .iter()
            .flat_map(|device| device["answer"].as_array().unwrap().clone());
        rows.map(|row| format!("{} {} {}", row["old"], row["new"], row["outcome"]))
            .collect()
    };
    let dry = fleet.ctl(&with("--dry-run")).await.ended(0);
    assert_eq!(outcomes(&dry), vec![r#""true" "false" "would_change""#; 3]);
    let writes = || -> usize {
        let devices = fleet.simulator.devices().iter();
        devices.map(|device| device.web_writes().len()).sum()
    };
    assert_eq!(writes(), 0);
    let changed = fleet.ctl(&with("--yes")).await.ended(0);
    assert_eq!(outcomes(&changed), vec![r#""true" "false" "changed""#; 3]);
    assert_eq!(writes(), 3);
    let undo = [
        "run",
        "set-services",
        "--all",
        "--undo",
        "last",
        "--yes",
        "--format",
        "json",
    ];
    let undone = fleet.ctl(&undo).await.ended(0);
    assert_eq!(outcomes(&undone), vec![r#""false" "true" "changed""#; 3]);
    // What the policy of the sites does not name is refused there.
    let refused = fleet
        .ctl(&["run", "reboot", "--all", "--yes", "--format", "json"])
        .await
        .ended(1);
    assert!(refused.stdout.contains("device.policy_refused"));
    assert_eq!(writes(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_a_crash_interrupts_is_settled_by_looking() {
    for (fault, outcome) in [
        (tvt_sim::WriteFault::MuteAfter, "changed"),
        (tvt_sim::WriteFault::MuteBefore, "failed"),
    ] {
        let mut fleet = changeable().await;
        let device = std::sync::Arc::clone(&fleet.simulator.devices()[0]);
        let web = |write_fault| tvt_sim::WebSpec {
            write_fault,
            ..device.spec().web.unwrap()
        };
        let held = tvt_sim::Mutation::SetWeb {
            web: web(Some(fault)),
        };
        device.apply(held).await.unwrap();
        let site = fleet.sites()[0];
        let job = fleet
            .ctl(&[
                "run",
                "set-services",
                "--site",
                site,
                "--set",
                "rtsp=false",
                "--yes",
                "--detach",
            ])
            .await
            .ended(0);
        let job = job.stdout.trim().to_owned();
        let sent = || async { (!device.web_writes().is_empty()).then_some(()) };
        tvtfleet_tests::wait::eventually("the change is sent", sent).await;
        fleet.kill_agent(site).await;
        let free = tvt_sim::Mutation::SetWeb { web: web(None) };
        device.apply(free).await.unwrap();
        fleet.start_agent(site);
        let waited = fleet.ctl(&["jobs", "wait", &job]).await;
        assert!(matches!(waited.code, Some(0 | 1)), "{}", waited.stderr);
        let results = fleet
            .ctl(&["jobs", "results", &job, "--format", "json"])
            .await;
        assert!(
            results.stdout.contains(outcome),
            "{outcome}: {}",
            results.stdout
        );
        assert_eq!(device.web_writes().len(), 1, "it is not sent again");
    }
}
