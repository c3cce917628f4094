//! New keys for an agent that keeps its place: `tvtctl admin agent rotate`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use prost::Message as _;
use tvt_sim::{FleetSpec, Options, Simulator};
use tvtfleet_bus::rpc::{RpcError, request};
use tvtfleet_bus::trust::{KeyPair, XKey, prove_attest, prove_rotate, seal};
use tvtfleet_bus::{ConnectOptions, connect};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::subject::{self, RpcOp};
use tvtfleet_proto::wire::v1;
use tvtfleet_tests::eventually;
use tvtfleet_tests::fleet::Said;
use tvtfleet_tests::governed::GovernedFleet;
use tvtfleet_tests::intruder::{Intruder, key_in};

const PASSWORD: &str = "Fleet-2026";
const SITE: &str = "acme/depot-1";
const OTHER: &str = "acme/depot-2";

async fn rotate(fleet: &GovernedFleet, site: &str, how: &[&str]) -> Said {
    let rotate = ["admin", "agent", "rotate", site, "--dir", "fleet"];
    fleet.ctl(&[&rotate[..], how].concat()).await
}

async fn states(fleet: &GovernedFleet) -> Vec<(String, String)> {
    let list = ["credentials", "list", "--format", "json"];
    let rows = fleet.as_operator("admin", &list).await.ended(0).json();
    let rows = rows["credentials"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    rows.map(|row| (text(&row["site"]), text(&row["state"])))
        .collect()
}

async fn push(fleet: &GovernedFleet, site: &str, more: &[&str]) -> Said {
    let file = fleet.path("secret");
    fs::write(&file, PASSWORD).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.display().to_string();
    let push = ["credentials", "push", "recorders", "--user", "admin"];
    let rest = ["--for", "any", "--password-file", &file, "--site", site];
    fleet
        .as_operator("admin", &[&push[..], &rest, more].concat())
        .await
}

/// Waits until the servers have ended a connection.
async fn until_dropped(intruder: &Intruder) {
    eventually("the old keys are cut off", || async {
        intruder.was_dropped().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_gets_new_keys_and_loses_nothing() {
    let spec = FleetSpec {
        sites: 1,
        ..FleetSpec::new(43, 3)
    };
    let simulator = Simulator::start(spec.generate().unwrap(), Options::default()).unwrap();
    let mut fleet = GovernedFleet::start(1, &["acme"], "").await;
    let inventories =
        tvt_sim::save_inventories(&fleet.path("inventories"), &simulator.inventory()).unwrap();
    fleet.joined("one", SITE).await;
    fleet.joined("two", OTHER).await;
    fleet.start_agent("one");
    fleet.until_online(SITE).await;
    let inventory = inventories.last().unwrap().to_str().unwrap();
    let import = ["inventory", "import", inventory, "--site", SITE];
    let _ = fleet.as_operator("admin", &import).await.ended(0);
    let _ = push(&fleet, SITE, &[]).await.ended(0);
    let _ = push(&fleet, OTHER, &["--wait", "10ms"]).await.ended(0);

    // The agent is there: it has new keys at once, and the old ones are cut off.
    for agent in ["one", "two"] {
        let creds = fleet.path(&format!("{agent}/identity/agent.creds"));
        fs::copy(creds, fleet.path(&format!("{agent}-old.creds"))).unwrap();
    }
    let thief = Intruder::with(&fleet, "one-old.creds").await;
    let said = rotate(&fleet, SITE, &[]).await.ended(0);
    assert!(said.stderr.contains("1 old ones are refused"), "{said:?}");
    let creds = |name: &str| fs::read_to_string(fleet.path(name)).unwrap();
    let (old, new) = (
        key_in(&creds("one-old.creds")),
        key_in(&creds("one/identity/agent.creds")),
    );
    assert_ne!(old, new);
    assert!(said.stderr.contains(&new), "{said:?}");
    until_dropped(&thief).await;
    fleet.until_online(SITE).await;
    assert!(!fleet.path("one/identity/replaces").exists());
    assert!(!fleet.path("one/identity.next").exists());

    // It goes on where it was: same life, same vault, jobs done with reports that count.
    let scan = ["scan", "--all", "--format", "json"];
    let said = fleet.as_operator("admin", &scan).await.ended(0);
    assert_eq!(said.json().as_array().unwrap().len(), 3);
    assert_eq!(simulator.totals().logins_failed, 0);
    let starts = fleet.logs();
    let starts = starts.iter().filter(|line| line.contains("agent starts"));
    assert_eq!(starts.count(), 1, "it was not started again");
    // New credentials are sealed to its new key; somebody must look at that.
    let refused = push(&fleet, SITE, &[]).await.ended(1);
    assert!(refused.stderr.contains("trust.push_refused"), "{refused:?}");
    let _ = push(&fleet, SITE, &["--accept-new-keys"]).await.ended(0);

    // An agent that is away is asked when it comes back. A push sealed to its old key still arrives.
    let _ = rotate(&fleet, OTHER, &["--detach"]).await.ended(0);
    let waited = rotate(&fleet, OTHER, &["--wait", "10ms"]).await.ended(5);
    assert!(
        waited.stderr.contains("has not used them yet"),
        "{waited:?}"
    );
    fleet.start_agent("two");
    fleet
        .until_agent_says("two", "the agent has new keys")
        .await;
    fleet.until_online(OTHER).await;
    eventually("the push has arrived", || async {
        let states = states(&fleet).await;
        let other = states.iter().find(|(site, _)| site == OTHER);
        (other.is_some_and(|(_, state)| state == "accepted")).then_some(())
    })
    .await;
    let thief = Intruder::with(&fleet, "two-old.creds").await;
    let _ = fleet
        .ctl(&["admin", "push", "--dir", "fleet"])
        .await
        .ended(0);
    until_dropped(&thief).await;

    let audit = ["audit", "list", "--kind", "agent", "--format", "json"];
    let rows = fleet.as_operator("admin", &audit).await.ended(0).json();
    let rows = rows["audit"].as_array().unwrap().clone();
    for kind in ["agent.rotate", "agent.rotated"] {
        let count = rows.iter().filter(|row| row["kind"] == kind).count();
        assert_eq!(count, 2, "{kind}: {rows:?}");
    }

    // Who is revoked gets no new keys.
    let revoke = ["admin", "agent", "revoke", SITE, "--dir", "fleet"];
    let _ = fleet.ctl(&revoke).await.ended(0);
    let refused = rotate(&fleet, SITE, &[]).await.ended(1);
    assert!(
        refused.stderr.contains("code: trust.refused"),
        "{refused:?}"
    );
}

/// New keys on the box that the coordinator did not hear of, or whose answer was lost, lock nobody out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_keys_that_were_cut_off_are_finished_later() {
    let mut fleet = GovernedFleet::start(1, &["acme"], "").await;
    fleet.joined("one", SITE).await;
    fleet.start_agent("one");
    fleet.until_online(SITE).await;
    // The agent is there, the coordinator dies as it asks; either may be cut off anywhere.
    for _ in 0..3 {
        let _ = rotate(&fleet, SITE, &["--detach"]).await.ended(0);
        fleet.kill_coordinator().await;
        fleet.kill_agent("one").await;
        fleet.start_coordinator();
        fleet.start_agent("one");
        fleet.until_answering().await;
        fleet.until_online(SITE).await;
        let said = rotate(&fleet, SITE, &[]).await.ended(0);
        let creds = fs::read_to_string(fleet.path("one/identity/agent.creds")).unwrap();
        assert!(said.stderr.contains(&key_in(&creds)), "{said:?}");
    }
    let list = ["agents", "list", "--format", "json"];
    let agents = fleet.as_operator("admin", &list).await.ended(0).json();
    assert_eq!(agents["agents"].as_array().unwrap().len(), 1);
}

/// Whoever holds an agent's keys cannot change them by himself: the authority has to ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_changed_only_where_the_authority_asks() {
    let fleet = GovernedFleet::start(1, &["acme"], "").await;
    fleet.joined("one", SITE).await;
    let seed =
        |name: &str| fs::read_to_string(fleet.path(&format!("one/identity/{name}"))).unwrap();
    let old = KeyPair::from_seed(seed("agent.seed").trim()).unwrap();
    let curve = XKey::from_seed(seed("agent.xseed").trim()).unwrap();
    let facts: serde_json::Value = serde_json::from_str(&seed("identity.json")).unwrap();
    let options = ConnectOptions {
        urls: vec![fleet.url()],
        name: "thief".to_owned(),
        credentials_file: Some(fleet.path("one/identity/agent.creds")),
        ca_file: Some(fleet.path("fleet/keys/ca.pem")),
        ..ConnectOptions::default()
    };
    let bus = connect(&options).await.unwrap();
    let site: SiteId = SITE.parse().unwrap();
    let asked_at = UtcMillis::new(1_790_000_000_000);
    let ask = async |new: &KeyPair, proof: &KeyPair, sealer: &XKey| {
        let (user_key, curve_key) = (new.public_key(), XKey::new().public_key());
        let keys = (user_key.as_str(), curve_key.as_str());
        let rotate = v1::Rotate {
            attest: Some(v1::Attest {
                tenant: "acme".into(),
                site: "depot-1".into(),
                user_key: old.public_key(),
                asked_at_ms: asked_at.millis(),
                signature: prove_attest(&old, &site, asked_at).unwrap(),
            }),
            old_signature: prove_rotate(&old, &site, asked_at, keys).unwrap(),
            new_signature: prove_rotate(proof, &site, asked_at, keys).unwrap(),
            user_key: user_key.clone(),
            curve_key: curve_key.clone(),
        };
        let kind = Some(v1::enrol_request::Kind::Rotate(rotate));
        let body = v1::EnrolRequest { kind }.encode_to_vec();
        let sealed = seal(&body, sealer, facts["coordinator"].as_str().unwrap()).unwrap();
        let subject = subject::rpc(&site, RpcOp::Renew);
        let limit = Duration::from_secs(15);
        request::<_, v1::Sealed>(&bus, &subject, &v1::Sealed::from(sealed), limit).await
    };
    let refused = |answer: Result<v1::Sealed, RpcError>| match answer {
        Err(RpcError::Refused(error)) => error.code == ErrorCode::TrustRefused,
        _ => false,
    };
    let new = KeyPair::new_user();
    assert!(refused(ask(&new, &new, &curve).await), "nobody asked");
    let _ = rotate(&fleet, SITE, &["--detach"]).await.ended(0);
    let other = KeyPair::new_user();
    assert!(refused(ask(&new, &other, &curve).await), "not its own key");
    assert!(refused(ask(&old, &old, &curve).await), "no new key");
    assert!(refused(ask(&new, &new, &XKey::new()).await), "another box");
    assert!(ask(&new, &new, &curve).await.is_ok());
}
