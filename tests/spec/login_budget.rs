//! A wrong password costs each device a try or two, and not the account: over jobs, over restarts, and
//! over all sites of a tenant.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;
use tvt_sim::{Counter, FleetSpec};
use tvtfleet_tests::eventually;
use tvtfleet_tests::fleet::TestFleet;
use tvtfleet_tests::program::Program;

/// Writes the credentials of all sites; agents read them when they start.
fn set_password(fleet: &TestFleet, password: &str) {
    let path = fleet.folder().join("credentials.toml");
    let text = format!(
        "default = \"recorders\"\n\n[credentials.recorders]\nusername = \"admin\"\npassword = {password:?}\n"
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

async fn start(spec: &FleetSpec, password: &str) -> TestFleet {
    let mut fleet = TestFleet::empty(spec, Duration::ZERO).await;
    set_password(&fleet, password);
    fleet.start_coordinator();
    fleet.know_sites().await;
    for site in fleet.sites() {
        fleet.start_agent(site);
    }
    fleet.until_online(fleet.sites().len()).await;
    fleet
}

async fn restart_agents(fleet: &mut TestFleet) {
    for site in fleet.sites() {
        fleet.kill_agent(site).await;
        fleet.start_agent(site);
    }
}

fn codes(json: &Value) -> BTreeMap<String, usize> {
    let mut codes = BTreeMap::new();
    for row in json.as_array().unwrap() {
        let code = row["error_code"].as_str().unwrap_or("none").to_owned();
        *codes.entry(code).or_default() += 1;
    }
    codes
}

fn only(code: &str, count: usize) -> BTreeMap<String, usize> {
    BTreeMap::from([(code.to_owned(), count)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_refuses_a_credential_twice_a_day_whatever_the_jobs_and_restarts() {
    let spec = FleetSpec {
        sites: 1,
        head: 1,
        ..FleetSpec::new(31, 3)
    };
    let mut fleet = start(&spec, "wrong-Fleet-2026").await;
    let scan = ["scan", "--all", "--format", "json"];
    let failed = |fleet: &TestFleet| fleet.simulator.totals().logins_failed;
    let first = fleet.ctl(&scan).await.ended(1).json();
    assert_eq!(
        (codes(&first), failed(&fleet)),
        (only("device.login_rejected", 3), 3)
    );
    restart_agents(&mut fleet).await;
    let second = fleet.ctl(&scan).await.ended(1).json();
    assert_eq!(
        (codes(&second), failed(&fleet)),
        (only("device.login_rejected", 3), 6)
    );
    restart_agents(&mut fleet).await;
    let third = fleet.ctl(&scan).await.ended(1).json();
    assert_eq!(
        (codes(&third), failed(&fleet)),
        (only("device.attempts_spent", 3), 6)
    );
    let text = third[0]["error"].as_str().unwrap();
    assert!(text.contains("not tried again before 20"), "{text}");

    // An operator who knows better may lift it, but not under a running agent.
    let config = fleet.folder().join("agent-acme-north.toml");
    let config = config.to_str().unwrap().to_owned();
    let folder = fleet.folder().to_owned();
    let forget = || {
        Program::new("tvt-agent", &folder)
            .args(["forget-refusals", "--config", &config])
            .run(Duration::from_secs(20))
    };
    let refused = forget().await;
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    fleet.kill_agent("acme/north").await;
    let said = forget().await;
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    let said = String::from_utf8(said.stdout).unwrap();
    // Two refusals of three devices, each known by two names.
    assert_eq!(said, "forgot 12 refusals and locks\n");

    // The right password needs no lifting, and the accounts are not locked.
    set_password(&fleet, "Fleet-2026");
    fleet.start_agent("acme/north");
    let last = fleet.ctl(&scan).await.ended(0).json();
    assert_eq!(last.as_array().unwrap().len(), 3);
    assert_eq!(fleet.simulator.totals().lockouts, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_of_a_tenant_stops_at_all_its_sites() {
    let spec = FleetSpec {
        sites: 3,
        ..FleetSpec::new(32, 36)
    };
    let mut fleet = start(&spec, "wrong-Fleet-2026").await;
    // The recorders stop answering once six have refused: then the coordinator has its time.
    fleet.simulator.pause_when(Counter::LoginsFailed, 6);
    let job = fleet
        .ctl(&["scan", "--tenant", "acme", "--parallel", "1", "--detach"])
        .await
        .ended(0);
    let job = job.stdout.split_whitespace().last().unwrap().to_owned();
    let show = ["jobs", "show", &job, "--format", "json"];
    eventually("the brake is pulled", || async {
        (fleet.ctl(&show).await.json()["reason"] == "job.braked").then_some(())
    })
    .await;
    fleet.simulator.resume();
    let _ = fleet.ctl(&["jobs", "wait", &job]).await.ended(1);
    let shown = fleet.ctl(&show).await.json();
    assert_eq!(
        (&shown["state"], &shown["reason"]),
        (&"cancelled".into(), &"job.braked".into())
    );
    let text = fleet.ctl(&["jobs", "show", &job]).await.stdout;
    assert!(
        text.contains("Reason    job.braked (many devices"),
        "{text}"
    );

    // Two sites that brake by themselves would have cost ten logins at least.
    let refused = fleet.simulator.totals().logins_failed;
    assert!((6..=8).contains(&refused), "{refused} refused logins");
    let results = ["jobs", "results", &job, "--format", "json"];
    let results = fleet.ctl(&results).await.ended(1).json();
    let codes = codes(&results);
    let refused = usize::try_from(refused).unwrap();
    assert!(codes["job.braked"] >= 24 - refused - 2, "{codes:?}");

    // With the right password the same devices are asked at once: nobody is locked or barred.
    set_password(&fleet, "Fleet-2026");
    restart_agents(&mut fleet).await;
    let again = fleet
        .ctl(&["scan", "--failed-of", &job, "--format", "json"])
        .await
        .ended(0)
        .json();
    assert_eq!(again.as_array().unwrap().len(), 24);
    assert_eq!(fleet.simulator.totals().lockouts, 0);
}
