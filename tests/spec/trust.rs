//! Accounts, joining and permissions: with the files that `tvtctl admin init` writes and real servers.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::timeout;
use tvtfleet_bus::trust;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_tests::governed::GovernedFleet;
use tvtfleet_tests::intruder::{Intruder, key_in};
use tvtfleet_tests::{PATIENCE, eventually};

/// Everybody may do what is theirs, and nothing else: what an agent, an operator and a newcomer can
/// publish and hear.
async fn permissions(servers: usize) {
    let fleet = GovernedFleet::start(servers, &["acme", "blue"], "").await;
    fleet.joined("one", "acme/depot-1").await;
    for server in 0..servers {
        check_permissions(&fleet, &fleet.url_of(server)).await;
    }
}

#[tokio::test]
async fn the_permissions_are_what_each_needs() {
    permissions(1).await;
}

#[tokio::test]
async fn the_permissions_are_the_same_on_every_server_of_a_cluster() {
    permissions(3).await;
}

async fn check_permissions(fleet: &GovernedFleet, url: &str) {
    let at = |credentials| Intruder::at(fleet, url.to_owned(), credentials);
    let agent = at("one/identity/agent.creds").await;
    let key = key_in(&std::fs::read_to_string(fleet.path("one/identity/agent.creds")).unwrap());
    let inbox = format!("_INBOX.{key}.*");
    agent
        .check(
            [
                &[
                    "tvt.v1.out.acme.depot-1.rec",
                    "tvt.v1.blob.acme.depot-1.snap",
                    "tvt.v1.rpc.acme.depot-1.hb",
                    "$JS.API.DIRECT.GET.KV_tvt_want.$KV.tvt_want.acme.depot-1",
                ],
                &[
                    "tvt.v1.out.acme.depot-2.rec",
                    "tvt.v1.out.blue.depot-1.rec",
                    "tvt.v1.rpc.acme.depot-2.hb",
                    "tvt.v1.push.want.acme.depot-1",
                    "tvt.v1.enroll",
                    "tvt.v1.api.x.job.submit",
                    "$KV.tvt_want.acme.depot-1",
                    "$JS.API.DIRECT.GET.KV_tvt_want.$KV.tvt_want.acme.depot-2",
                    "$JS.API.DIRECT.GET.KV_tvt_want",
                    "$JS.API.INFO",
                    "$JS.API.STREAM.INFO.TVT_OUT",
                    "$JS.API.STREAM.DELETE.TVT_OUT",
                    "$JS.API.CONSUMER.CREATE.TVT_OUT.x",
                    "$JS.ACK.TVT_OUT.x.1.1.1.1.0",
                    "$SYS.REQ.CLAIMS.UPDATE",
                    "$SRV.PING",
                    "_INBOX.other.1",
                    "_R_.other",
                ],
            ],
            [
                &["tvt.v1.push.*.acme.depot-1", &inbox],
                &[
                    ">",
                    "*.>",
                    "tvt.v1.push.*.acme.*",
                    "tvt.v1.push.>",
                    "tvt.v1.push.want.acme.depot-2",
                    "tvt.v1.out.acme.depot-1.*",
                    "tvt.v1.rpc.acme.depot-1.*",
                    "tvt.v1.enroll",
                    "_INBOX.>",
                    "$SYS.>",
                    "$JS.API.>",
                ],
            ],
        )
        .await;
    let operator = "fleet/operators/admin/operator.creds";
    let own = key_in(&std::fs::read_to_string(fleet.path(operator)).unwrap());
    let request = format!("tvt.v1.api.{own}.site.list");
    at(operator)
        .await
        .check(
            [
                &[&request],
                &[
                    "tvt.v1.api.other.site.list",
                    "tvt.v1.out.acme.depot-1.rec",
                    "tvt.v1.rpc.acme.depot-1.hb",
                    "$JS.API.STREAM.INFO.TVT_OUT",
                    "$KV.tvt_want.acme.depot-1",
                    "$SYS.REQ.CLAIMS.UPDATE",
                ],
            ],
            [&[], &[">", "tvt.v1.api.>", "tvt.v1.push.>", "_INBOX.>"]],
        )
        .await;
    at("one/identity/boot.creds")
        .await
        .check(
            [
                &["tvt.v1.enroll"],
                &[
                    "tvt.v1.rpc.acme.depot-1.hb",
                    "tvt.v1.out.acme.depot-1.rec",
                    "tvt.v1.api.x.site.list",
                    "$JS.API.INFO",
                ],
            ],
            [&[], &[">", "tvt.v1.enroll", "_INBOX.>"]],
        )
        .await;
}

/// The server answers where the asker says, with rights of its own. Between accounts that reaches
/// nothing that is stored.
#[tokio::test]
async fn replies_cannot_be_turned_into_messages_of_others() {
    let fleet = GovernedFleet::start(1, &["acme", "blue"], "").await;
    fleet.joined("one", "acme/depot-1").await;
    let agent = Intruder::with(&fleet, "one/identity/agent.creds").await;
    let core = Intruder::with(&fleet, "fleet/coordinator/coordinator.creds").await;
    let out = "tvt.v1.out.acme.depot-1.rec";
    let get = "$JS.API.DIRECT.GET.KV_tvt_want.$KV.tvt_want.acme.depot-1";
    let targets = [
        "tvt.v1.out.acme.depot-2.rec",
        "tvt.v1.out.blue.yard.rec",
        "$KV.tvt_want.acme.depot-2",
        "$KV.tvt_want.blue.yard",
        "$JS.API.STREAM.DELETE.TVT_OUT",
        "tvt.v1.enroll",
    ];
    for target in targets {
        for subject in [out, get] {
            agent
                .client
                .publish_with_reply(subject.to_owned(), target.to_owned(), "x".into())
                .await
                .unwrap();
        }
    }
    // Its acknowledgement comes after those of the publications before it.
    let stored = async_nats::jetstream::new(agent.client.clone())
        .publish(out, "last".into())
        .await
        .unwrap()
        .await
        .unwrap();
    assert!(
        stored.sequence > u64::try_from(targets.len()).unwrap(),
        "its own results are stored"
    );
    let streams = async_nats::jetstream::new(core.client.clone());
    for (stream, subject) in [
        ("TVT_OUT", targets[0]),
        ("TVT_OUT", targets[1]),
        ("KV_tvt_want", targets[2]),
        ("KV_tvt_want", targets[3]),
    ] {
        let stream = streams.get_stream(stream).await.expect("nobody deleted it");
        let found = stream.get_last_raw_message_by_subject(subject).await;
        assert!(found.is_err(), "{subject} was written: {found:?}");
    }
}

/// Even a user who may do everything that a tenant's account may hears and reaches nothing of another
/// tenant.
#[tokio::test]
async fn a_whole_tenant_reaches_no_other_tenant() {
    let fleet = GovernedFleet::start(1, &["acme", "blue"], "").await;
    let seed = std::fs::read_to_string(fleet.path("fleet/keys/tenants/blue/account.seed")).unwrap();
    let account = trust::KeyPair::from_seed(&seed).unwrap();
    let user = trust::KeyPair::new_user();
    let now = UtcMillis::new(1_700_000_000_000);
    let token = trust::plain_user("thief", &user.public_key(), &account, now).unwrap();
    let text = trust::credentials(&token, &user).unwrap();
    std::fs::write(fleet.path("thief.creds"), text.expose()).unwrap();
    let thief = Intruder::with(&fleet, "thief.creds").await;
    let core = Intruder::with(&fleet, "fleet/coordinator/coordinator.creds").await;
    let mut heard = thief.client.subscribe(">").await.unwrap();
    let info = || thief.client.request("tvt.v1.rpc.blue.yard.hb", "".into());
    let answer = timeout(PATIENCE, info()).await.unwrap().unwrap();
    assert!(
        answer.headers.is_some(),
        "the coordinator refuses, but hears it"
    );
    for site in ["acme.depot-1", "blue.yard"] {
        let subject = format!("tvt.v1.push.live.{site}");
        core.client.publish(subject, "x".into()).await.unwrap();
    }
    let pushed = loop {
        let message = timeout(PATIENCE, heard.next()).await.unwrap().unwrap();
        if message.subject.starts_with("tvt.v1.push.") {
            break message.subject;
        }
    };
    assert_eq!(
        pushed.as_str(),
        "tvt.v1.push.live.blue.yard",
        "the first that it hears"
    );
    // It would be a responder to itself.
    heard.unsubscribe().await.unwrap();
    info().await.unwrap();
    for foreign in [
        "tvt.v1.rpc.acme.depot-1.hb",
        "tvt.v1.api.x.site.list",
        "tvt.v1.enroll",
    ] {
        let error = timeout(PATIENCE, thief.client.request(foreign, "".into())).await;
        let error = error.unwrap().unwrap_err();
        assert_eq!(
            error.kind(),
            async_nats::RequestErrorKind::NoResponders,
            "{foreign}"
        );
    }
}

/// A join string is good once; what is damaged or foreign is good never.
#[tokio::test]
async fn a_join_string_is_good_once() {
    let fleet = GovernedFleet::start(1, &["acme"], "").await;
    let string = fleet.join_string("acme/depot-1").await;
    let _ = fleet.join("one", &string).await.ended(0);
    let again = fleet.join("one", &string).await.ended(3);
    assert!(again.stderr.contains("--replace"), "{}", again.stderr);
    let stolen = fleet.join("two", &string).await.ended(1);
    assert!(
        stolen.stderr.contains("code: trust.refused"),
        "{}",
        stolen.stderr
    );
    let late = [
        "admin",
        "site",
        "add",
        "acme/late",
        "--dir",
        "fleet",
        "--good-for",
        "10ms",
    ];
    let late = fleet.ctl(&late).await.ended(0).stdout;
    let late = fleet.join("three", late.trim()).await.ended(1);
    assert!(late.stderr.contains("was good until"), "{}", late.stderr);
    let cut: String = string.chars().take(string.len() / 2).collect();
    let damaged = fleet.join("four", &cut).await.ended(3);
    assert!(
        damaged.stderr.contains("code: trust.invalid"),
        "{}",
        damaged.stderr
    );
    let foreign = ["admin", "site", "add", "nobody/x", "--dir", "fleet"];
    let _ = fleet.ctl(&foreign).await.ended(2);
    let mut parsed: trust::JoinString = string.parse().unwrap();
    let other = trust::KeyPair::new_operator();
    parsed.authority = other.public_key();
    let mut ticket: trust::Ticket = string
        .parse::<trust::JoinString>()
        .unwrap()
        .ticket()
        .unwrap();
    ticket.site = "depot-9".into();
    parsed.ticket = trust::SignedDocument::sign(&ticket, &other).unwrap();
    let forged = fleet.join("five", &parsed.encode().unwrap()).await.ended(1);
    assert!(
        forged.stderr.contains("code: trust.refused"),
        "{}",
        forged.stderr
    );
}

/// Tokens are renewed while the agent is there, and had again after an absence that outlived them.
#[tokio::test]
async fn tokens_are_renewed_and_had_again_after_an_absence() {
    let mut fleet = GovernedFleet::start(1, &["acme"], "token_life_ms = 3000\n").await;
    fleet.joined("one", "acme/depot-1").await;
    let creds = fleet.path("one/identity/agent.creds");
    let first = std::fs::read_to_string(&creds).unwrap();
    let token = first.lines().nth(1).unwrap().to_owned();
    let end = trust::lifetime(&token).unwrap().expires_at.unwrap();
    let expired = u128::try_from(end.millis() + 1000).unwrap();
    eventually("the token expires", || async {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        (now.unwrap().as_millis() > expired).then_some(())
    })
    .await;
    fleet.start_agent("one");
    fleet.until_agent_says("one", "gave a new token").await;
    fleet.until_online("acme/depot-1").await;
    fleet.until_agent_says("one", "the token was renewed").await;
    fleet.until_online("acme/depot-1").await;
    fleet.kill_coordinator().await;
    fleet.start_coordinator();
    fleet.until_answering().await;
    fleet.until_online("acme/depot-1").await;
}

/// On one server and on three: who is revoked is cut off within seconds, and nobody else notices.
async fn revocation(servers: usize) {
    let mut fleet = GovernedFleet::start(servers, &["acme", "blue"], "").await;
    for (agent, site) in [
        ("one", "acme/depot-1"),
        ("two", "acme/depot-2"),
        ("three", "blue/yard"),
    ] {
        fleet.joined(agent, site).await;
        fleet.start_agent(agent);
        fleet.until_online(site).await;
    }
    let revoked = Intruder::with(&fleet, "one/identity/agent.creds").await;
    let neighbour = Intruder::with(&fleet, "two/identity/agent.creds").await;
    let foreign = Intruder::with(&fleet, "three/identity/agent.creds").await;
    let began = std::time::Instant::now();
    let revoke = ["admin", "agent", "revoke", "acme/depot-1", "--dir", "fleet"];
    let said = fleet.ctl(&revoke).await.ended(0);
    assert!(
        said.stderr.contains("1 keys are refused"),
        "{}",
        said.stderr
    );
    let dropped = Intruder::was_dropped;
    eventually("the connection is dropped", || async {
        dropped(&revoked).then_some(())
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    fleet
        .until_agent_says("one", "does not let this agent in")
        .await;
    for other in [&neighbour, &foreign] {
        other.settle().await;
        assert!(!dropped(other), "others are not disturbed");
    }
    // The site is free for another box.
    fleet.joined("four", "acme/depot-1").await;
    fleet.start_agent("four");
    fleet.until_agent_says("four", "connected").await;
    // A tenant that is removed is cut off as a whole.
    let remove = ["admin", "tenant", "remove", "blue", "--dir", "fleet"];
    let _ = fleet.ctl(&remove).await.ended(0);
    eventually("the tenant is cut off", || async {
        dropped(&foreign).then_some(())
    })
    .await;
    neighbour.settle().await;
    assert!(!dropped(&neighbour));
}

#[tokio::test]
async fn who_is_revoked_is_cut_off_within_seconds() {
    revocation(1).await;
}

#[tokio::test]
async fn who_is_revoked_is_cut_off_on_every_server_of_a_cluster() {
    revocation(3).await;
}

/// Roles and tenants of operators are the coordinator's to check, by the key in the subject.
#[tokio::test]
async fn operators_do_what_their_role_and_tenants_cover() {
    let fleet = GovernedFleet::start(1, &["acme", "blue"], "").await;
    for site in ["acme/depot-1", "blue/yard"] {
        let _ = fleet
            .as_operator("admin", &["sites", "add", site])
            .await
            .ended(0);
    }
    let add = async |name: &str, more: &[&str]| {
        let words = ["admin", "operator", "add", name, "--dir", "fleet", "--role"];
        let words: Vec<&str> = words.iter().chain(more).copied().collect();
        let _ = fleet.ctl(&words).await.ended(0);
    };
    add("viewer", &["viewer"]).await;
    add("bound", &["admin", "--tenant", "acme"]).await;
    let sites = async |name: &str| {
        let said = fleet
            .as_operator(name, &["sites", "list", "--format", "json"])
            .await;
        let sites = said.ended(0).json();
        let sites = sites["sites"].as_array().unwrap().iter();
        sites
            .map(|site| site["site"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let forbidden = async |name: &str, words: &[&str]| {
        let said = fleet.as_operator(name, words).await;
        assert!(
            said.stderr.contains("code: trust.forbidden"),
            "{name} {words:?}: {}",
            said.stderr
        );
    };
    assert_eq!(sites("viewer").await, ["acme/depot-1", "blue/yard"]);
    forbidden("viewer", &["sites", "add", "acme/new"]).await;
    assert_eq!(sites("bound").await, ["acme/depot-1"]);
    forbidden("bound", &["sites", "list", "--tenant", "blue"]).await;
    forbidden("bound", &["sites", "add", "blue/new"]).await;
    forbidden("bound", &["inventory", "list", "--tenant", "blue"]).await;
    forbidden("bound", &["sql", "SELECT * FROM sites"]).await;
    let _ = fleet
        .as_operator("bound", &["sites", "add", "acme/new"])
        .await
        .ended(0);
    let creds = fleet.path("fleet/operators/viewer/operator.creds");
    std::fs::copy(creds, fleet.path("kept.creds")).unwrap();
    let revoked = Intruder::with(&fleet, "kept.creds").await;
    let revoke = ["admin", "operator", "revoke", "viewer", "--dir", "fleet"];
    let _ = fleet.ctl(&revoke).await.ended(0);
    eventually("the connection is dropped", || async {
        revoked.was_dropped().then_some(())
    })
    .await;
    assert_eq!(
        sites("bound").await,
        ["acme/depot-1", "acme/new"],
        "others go on"
    );
}

/// The folder can be made again from its backup, and is believed.
#[tokio::test]
async fn a_fleet_is_governed_again_from_its_backup() {
    let fleet = GovernedFleet::start(1, &["acme"], "").await;
    let _ = fleet
        .ctl(&["admin", "backup", "b", "--dir", "fleet"])
        .await
        .ended(0);
    let _ = fleet
        .ctl(&["admin", "backup", "b", "--dir", "fleet"])
        .await
        .ended(3);
    let _ = fleet
        .ctl(&["admin", "restore", "b", "fleet"])
        .await
        .ended(3);
    let _ = fleet
        .ctl(&["admin", "restore", "b", "again"])
        .await
        .ended(0);
    let _ = fleet
        .ctl(&["admin", "push", "--dir", "again"])
        .await
        .ended(0);
    let _ = fleet
        .ctl(&["admin", "tenant", "add", "blue", "--dir", "again"])
        .await
        .ended(0);
    let string = ["admin", "site", "add", "blue/yard", "--dir", "again"];
    let string = fleet.ctl(&string).await.ended(0).stdout;
    let _ = fleet.join("one", string.trim()).await.ended(0);
}
