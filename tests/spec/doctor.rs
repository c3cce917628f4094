//! `tvtctl doctor` against a real fleet: all is well, then it is not.

use std::time::Duration;

use serde_json::Value;
use tvt_sim::FleetSpec;
use tvtfleet_bus::trust;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_tests::eventually;
use tvtfleet_tests::fleet::TestFleet;
use tvtfleet_tests::governed::GovernedFleet;

fn levels<'a>(findings: &'a Value, area: &str) -> Vec<(&'a str, &'a str)> {
    let all = findings["findings"].as_array().expect("findings").iter();
    all.filter(|finding| finding["area"] == area)
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().expect("text");
            (text("level"), text("subject"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_named_with_what_to_do() {
    let spec = FleetSpec {
        sites: 2,
        ..FleetSpec::new(3, 4)
    };
    let mut fleet = TestFleet::empty(&spec, Duration::ZERO).await;
    fleet.coordinator_lines = "[timing]\noffline_after_ms = 1500\n".into();
    fleet.agent_lines = "[limits]\nheartbeat_ms = 200\n".into();
    fleet.start_coordinator();
    fleet.know_sites().await;
    for site in fleet.sites() {
        fleet.start_agent(site);
    }
    fleet.until_online(2).await;
    let doctor = ["doctor", "--format", "json"];
    let found = fleet.ctl(&doctor).await.json();
    for area in ["server", "stream", "lag", "database"] {
        let found = levels(&found, area);
        assert!(!found.is_empty(), "{area}");
        assert!(found.iter().all(|(level, _)| *level == "ok"), "{found:?}");
    }
    assert!(
        levels(&found, "server").contains(&("ok", "clock")),
        "{found}"
    );
    assert_eq!(levels(&found, "agent"), [("ok", "")]);

    fleet.kill_agent("acme/south").await;
    let found = eventually("the dead agent is noticed", || async {
        let found = fleet.ctl(&doctor).await.json();
        (levels(&found, "agent").len() > 1).then_some(found)
    })
    .await;
    assert_eq!(levels(&found, "agent")[1], ("warn", "acme/south"));

    // The stream of results goes while nobody looks.
    let gone = async_nats::jetstream::new(raw(&fleet).await)
        .delete_stream("TVT_OUT")
        .await;
    assert!(gone.expect("an answer").success);
    let said = fleet
        .ctl(&["doctor", "--trouble", "--format", "json"])
        .await
        .ended(1);
    let found = said.json();
    assert!(
        levels(&found, "stream").contains(&("fail", "TVT_OUT")),
        "{found}"
    );
    let all = found["findings"].as_array().unwrap().iter();
    assert!(all.clone().all(|finding| finding["level"] != "ok"));
    assert!(all.clone().all(|finding| finding["advice"] != ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_have_ended_are_named() {
    let fleet = GovernedFleet::start(1, &["acme"], "").await;
    let doctor = ["doctor", "--format", "json"];
    let found = fleet.as_operator("admin", &doctor).await.ended(0).json();
    assert_eq!(levels(&found, "token"), [("ok", "")]);
    // The authority's own, and the one that the server shows.
    let certificates = levels(&found, "certificate");
    let shown = certificates.iter().filter(|(_, of)| of.contains("://"));
    assert_eq!(shown.count(), 1, "{found}");
    assert!(certificates.iter().all(|(level, _)| *level == "ok"));
    let file = fleet.path("fleet/coordinator/coordinator.creds");
    let shown = file.canonicalize().expect("our own file");
    let [(level, subject)] = levels(&found, "credentials")[..] else {
        panic!("one finding: {found}");
    };
    assert_eq!(level, "ok");
    let named = std::path::Path::new(subject).canonicalize();
    assert_eq!(named.expect("a file that is there"), shown);

    // The connection lasts; the next one would be refused.
    let (account, user) = (trust::KeyPair::new_account(), trust::KeyPair::new_user());
    let (issued, ended) = (UtcMillis::new(0), UtcMillis::new(1_700_000_000_000));
    let token = trust::scoped_user(
        "coordinator",
        &user.public_key(),
        &account.public_key(),
        &account,
        issued,
        Some(ended),
    );
    let text = trust::credentials(&token.expect("a token"), &user).expect("a file");
    std::fs::write(&file, text.expose()).expect("our own file");
    let found = fleet.as_operator("admin", &doctor).await.ended(1).json();
    let credentials = levels(&found, "credentials");
    assert_eq!(credentials.len(), 1, "{found}");
    assert_eq!(credentials[0].0, "fail");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_asked_what_only_they_know() {
    let mut fleet = TestFleet::empty(&FleetSpec::new(3, 1), Duration::ZERO).await;
    fleet.nats.configure("http: \"127.0.0.1:-1\"\n".to_owned());
    fleet.nats.restart().await;
    fleet.start_coordinator();
    fleet.until_answering().await;
    let found = fleet.ctl(&["doctor", "--format", "json"]).await.json();
    let sync = ("ok", "sync_interval");
    assert!(levels(&found, "server").contains(&sync), "{found}");
    let url = fleet.nats.monitoring_url();
    let doctor = ["doctor", "--monitor", &url, "--format", "json"];
    let found = fleet.ctl(&doctor).await.ended(0).json();
    assert!(!levels(&found, "server").contains(&sync), "{found}");
    let said = levels(&found, "monitor");
    assert!(said.iter().all(|(_, name)| *name == "test"), "{found}");
    assert!(said.contains(&("ok", "test")) && said.contains(&("warn", "test")));
    assert!(
        found.to_string().contains("sync_interval: always"),
        "{found}"
    );
    let nowhere = [
        "doctor",
        "--monitor",
        "http://127.0.0.1:1",
        "--format",
        "json",
    ];
    let found = fleet.ctl(&nowhere).await.ended(0).json();
    assert_eq!(levels(&found, "monitor"), [("warn", "http://127.0.0.1:1")]);
}

async fn raw(fleet: &TestFleet) -> async_nats::Client {
    async_nats::connect(fleet.nats.url())
        .await
        .expect("a connection")
}
