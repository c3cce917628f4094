//! Device credentials that an operator pushes: sealed to one agent, signed, taken once.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tvt_sim::{FleetSpec, Options, Simulator};
use tvtfleet_bus::trust::{
    CredentialPush, KeyPair, PushContent, SignedDocument, XKey, key_of_credentials,
};
use tvtfleet_bus::want::{read_stored, write_want};
use tvtfleet_bus::{Bus, ConnectOptions, connect};
use tvtfleet_proto::model::id::{SiteId, WantRevision};
use tvtfleet_proto::model::secret::{Credential, Secret};
use tvtfleet_proto::model::signed::SignedStatement;
use tvtfleet_proto::model::want::WantDoc;
use tvtfleet_tests::eventually;
use tvtfleet_tests::fleet::Said;
use tvtfleet_tests::governed::GovernedFleet;

const PASSWORD: &str = "Fleet-2026";
const SITE: &str = "acme/depot-1";
const OTHER: &str = "acme/depot-2";

fn secret(fleet: &GovernedFleet, name: &str, text: &str) -> String {
    let path = fleet.path(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

async fn push(fleet: &GovernedFleet, file: &str, more: &[&str]) -> Said {
    let push = ["credentials", "push", "recorders", "--user", "admin"];
    let rest = ["--for", "any", "--password-file", file, "--format", "json"];
    fleet
        .as_operator("admin", &[&push[..], &rest, more].concat())
        .await
}

fn states(said: &Said) -> Vec<(String, String)> {
    let rows = said.json();
    let rows = rows["credentials"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    rows.map(|row| (text(&row["site"]), text(&row["state"])))
        .collect()
}

fn is(site: &str, state: &str) -> (String, String) {
    (site.to_owned(), state.to_owned())
}

async fn vault(fleet: &GovernedFleet, agent: &str) -> serde_json::Value {
    let config = fleet.path(&format!("{agent}.toml"));
    let config = config.to_str().unwrap().to_owned();
    let list = ["credentials", "list", "--json", "--config", &config];
    fleet.agent(&list).await.ended(0).json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_goes_to_the_vaults_of_sites_and_is_used_there() {
    let spec = FleetSpec {
        sites: 1,
        ..FleetSpec::new(43, 3)
    };
    let simulator = Simulator::start(spec.generate().unwrap(), Options::default()).unwrap();
    let mut fleet = GovernedFleet::start(1, &["acme"], "[timing]\noffline_after_ms = 4000\n").await;
    fleet.agent_lines = "[limits]\nheartbeat_ms = 1000\n".to_owned();
    let inventories =
        tvt_sim::save_inventories(&fleet.path("inventories"), &simulator.inventory()).unwrap();
    fleet.joined("one", SITE).await;
    fleet.joined("two", OTHER).await;
    fleet.start_agent("one");
    fleet.until_online(SITE).await;
    let file = secret(&fleet, "secret", PASSWORD);

    // One site is there, the other is away.
    let said = push(&fleet, &file, &["--tenant", "acme", "--wait", "5s"]).await;
    let said = said.ended(0);
    assert_eq!(states(&said), [is(SITE, "accepted"), is(OTHER, "waiting")]);
    assert!(said.stderr.contains("1 sites have not answered"));
    let listed = vault(&fleet, "one").await;
    assert_eq!(listed["credentials"][0]["label"], "recorders");
    // The same fingerprint on both sides.
    let shown = said.json()["credentials"][0]["fingerprint"].clone();
    assert_eq!(listed["sealing_key"], shown);
    let agent = fleet.as_operator("admin", &["agents", "show", SITE]).await;
    assert!(agent.stderr.contains(shown.as_str().unwrap()));

    // It waits in the database: the coordinator may die meanwhile.
    fleet.kill_coordinator().await;
    fleet.start_coordinator();
    fleet.until_answering().await;
    fleet.start_agent("two");
    let list = ["credentials", "list", "--format", "json"];
    eventually("the site that was away has it", || async {
        let said = fleet.as_operator("admin", &list).await.ended(0);
        (states(&said) == [is(SITE, "accepted"), is(OTHER, "accepted")]).then_some(())
    })
    .await;

    // It is good, and where it was nobody finds it.
    let inventory = inventories.last().unwrap().to_str().unwrap();
    let import = ["inventory", "import", inventory, "--site", SITE];
    let _ = fleet.as_operator("admin", &import).await.ended(0);
    let _ = fleet
        .as_operator("admin", &["scan", "--all"])
        .await
        .ended(0);
    assert_eq!(simulator.totals().logins_failed, 0);
    let audit = ["audit", "list", "--kind", "credential", "--format", "json"];
    let rows = fleet.as_operator("admin", &audit).await.ended(0).json();
    let kinds = rows["audit"].as_array().unwrap().iter();
    let kinds: Vec<&str> = kinds.filter_map(|row| row["kind"].as_str()).collect();
    assert!(kinds.contains(&"credential.push"), "{rows}");
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| **kind == "credential.answer")
            .count(),
        2
    );

    // An agent that was made anew has another key, which somebody must look at.
    fleet.kill_agent("two").await;
    fleet.joined("three", OTHER).await;
    let refused = push(&fleet, &file, &["--site", OTHER]).await.ended(1);
    assert!(refused.stderr.contains("trust.push_refused"), "{refused:?}");
    fleet.start_agent("three");
    fleet.until_online(OTHER).await;
    let said = push(&fleet, &file, &["--site", OTHER, "--accept-new-keys"]).await;
    assert_eq!(states(&said.ended(0)), [is(OTHER, "accepted")]);
}

async fn as_coordinator(fleet: &GovernedFleet) -> Bus {
    let options = ConnectOptions {
        urls: vec![fleet.url()],
        name: "intruder".to_owned(),
        credentials_file: Some(fleet.path("fleet/coordinator/coordinator.creds")),
        ca_file: Some(fleet.path("fleet/keys/ca.pem")),
        ..ConnectOptions::default()
    };
    connect(&options).await.unwrap()
}

/// Has the bucket say that these credentials are pushed.
async fn forge(bus: &Bus, credentials: Vec<SignedStatement>) {
    let site: SiteId = SITE.parse().unwrap();
    let stored = read_stored(bus, &site).await.unwrap().unwrap();
    let doc = stored.doc.unwrap().unwrap();
    let forged = WantDoc {
        revision: WantRevision(doc.revision.0 + 1),
        credentials,
        ..doc
    };
    write_want(bus, &forged, Some(stored.kv_revision))
        .await
        .unwrap();
}

/// Whoever holds everything of the coordinator can neither push a credential nor bring back an old one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_pushes_and_nothing_comes_back() {
    let mut fleet = GovernedFleet::start(1, &["acme"], "").await;
    fleet.joined("one", SITE).await;
    fleet.start_agent("one");
    fleet.until_online(SITE).await;
    let bus = as_coordinator(&fleet).await;
    let site: SiteId = SITE.parse().unwrap();
    let file = secret(&fleet, "secret", PASSWORD);

    // What an operator pushed is seen on its way, and kept.
    fleet.kill_agent("one").await;
    let said = push(&fleet, &file, &["--site", SITE, "--wait", "10ms"]).await;
    assert_eq!(states(&said.ended(0)), [is(SITE, "waiting")]);
    let seen = eventually("the push is on its way", || async {
        let doc = read_stored(&bus, &site).await.unwrap()?.doc.ok()??;
        doc.credentials.first().cloned()
    })
    .await;
    let text = String::from_utf8(seen.statement.clone()).unwrap();
    assert!(text.contains("recorders") && !text.contains(PASSWORD));
    fleet.start_agent("one");
    let list = ["credentials", "list", "--format", "json"];
    eventually("the site has it", || async {
        let said = fleet.as_operator("admin", &list).await.ended(0);
        (states(&said) == [is(SITE, "accepted")]).then_some(())
    })
    .await;
    let before = vault(&fleet, "one").await;
    fleet.kill_coordinator().await;

    // Taken out at the box: the old push does not bring it back.
    let config = fleet.path("one.toml").to_str().unwrap().to_owned();
    let remove = ["credentials", "remove", "recorders", "--config", &config];
    let _ = fleet.agent(&remove).await.ended(0);
    let key = fleet.path("fleet/operators/admin/operator.creds");
    let operator = key_of_credentials(&Secret::new(fs::read_to_string(key).unwrap())).unwrap();
    let real: CredentialPush = serde_json::from_slice(&seen.statement).unwrap();
    let content = |version| PushContent {
        label: "recorders".parse().unwrap(),
        version,
        expires: None,
        selectors: vec!["any".to_owned()],
        credential: Credential {
            username: "intruder".to_owned(),
            password: Secret::new("Intruder-1"),
        },
    };
    let (now, end) = (
        tvtfleet_proto::model::time::UtcMillis::new(real.issued_at),
        tvtfleet_proto::model::time::UtcMillis::new(real.not_after),
    );
    let made = |version, reader: &str, key: &KeyPair, number: u128| -> SignedStatement {
        let id = uuid::Uuid::from_u128(number);
        let push = CredentialPush::seal(id, &site, reader, &content(version), now, end).unwrap();
        SignedDocument::sign(&push, key).unwrap().into()
    };
    let newer = real.version + 10;
    let strangers = XKey::new().public_key();
    let mut changed = seen.clone();
    changed.statement = text.replace("recorders", "recorderz").into_bytes();
    let mut relabelled = real.clone();
    relabelled.version = newer;
    let relabelled = SignedDocument::sign(&relabelled, &operator).unwrap();
    let forged = vec![
        made(newer, &real.reader, &KeyPair::new_user(), 1),
        made(real.version, &real.reader, &operator, 2),
        made(newer, &strangers, &operator, 3),
        changed,
        relabelled.into(),
        SignedStatement {
            statement: b"{}".to_vec(),
            signature: vec![1; 64],
        },
    ];
    forge(&bus, forged).await;
    for number in [1_u128, 2, 3] {
        let name = uuid::Uuid::from_u128(number).to_string();
        fleet
            .until_agent_says_of("one", &name, "a pushed credential is refused")
            .await;
    }
    fleet
        .until_agent_says("one", "a pushed credential cannot be read")
        .await;
    let after = vault(&fleet, "one").await;
    assert_eq!(before["credentials"].as_array().unwrap().len(), 1);
    assert_eq!(after["credentials"].as_array().unwrap().len(), 0, "{after}");
    // The agent was not harmed: a real one still arrives.
    fleet.start_coordinator();
    fleet.until_answering().await;
    let said = push(&fleet, &file, &["--site", SITE]).await.ended(0);
    assert_eq!(states(&said), [is(SITE, "accepted")]);
}
