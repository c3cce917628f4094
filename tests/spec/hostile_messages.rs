//! Whatever arrives on a subject: whoever hears it lives on, counts it, and answers requests with a code.
//! The subjects are those that `proto::subject` names: a new one without a line here fails.

use std::time::Duration;

use async_nats::{Client, HeaderMap};
use futures_util::StreamExt as _;
use futures_util::stream;
use prost::Message as _;
use tokio::time::timeout;
use tvt_sim::{FleetSpec, Options, Simulator};
use tvtfleet_bus::rpc::ERROR_HEADER;
use tvtfleet_proto::envelope::{self, BODY_MAX};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::want::Lane;
use tvtfleet_proto::subject::{self, ApiOp, RpcOp};
use tvtfleet_proto::wire::v1;
use tvtfleet_tests::eventually;
use tvtfleet_tests::governed::GovernedFleet;
use tvtfleet_tests::intruder::{Intruder, key_in};

const SITE: &str = "acme/depot-1";
/// A site without an agent: nothing that it sends is refused for want of a signature.
const OPEN: &str = "acme/open";
/// An answer must come within this time; refusals at the door take a second on purpose.
const ANSWER: Duration = Duration::from_secs(20);
/// Requests under way at once.
const AT_ONCE: usize = 24;
/// With the headers of `wrong_headers` a little less than the largest message that a server takes.
const LARGE: usize = 1_000_000;

/// How a subject is attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    /// As the request of an agent, each of them.
    Rpc,
    /// As the request of an operator, each of them.
    Api,
    /// As some other request.
    Request,
    /// As a message that goes into a stream, on each lane.
    Out,
    /// As any message.
    Publish,
    /// Names no subject of its own: a pattern, a stream, a word, or what another line here covers.
    None,
}

/// Every public name of `proto::subject`.
const NAMES: &[(&str, Attack)] = &[
    ("WANT_BUCKET", Attack::None),
    ("WANT_STREAM", Attack::None),
    ("WANT_ALL", Attack::None),
    ("PUSH_WANT_ALL", Attack::None),
    ("OUT_STREAM", Attack::None),
    ("OUT_ALL", Attack::None),
    ("RPC_ALL", Attack::None),
    ("API_ALL", Attack::None),
    ("COORDINATOR_QUEUE", Attack::None),
    ("RPC_TREE", Attack::None),
    ("OUT_TREE", Attack::None),
    ("BLOB_STREAM", Attack::None),
    ("BLOB_ALL", Attack::None),
    ("BLOB_TREE", Attack::None),
    ("PUSH_TREE", Attack::None),
    ("API_TREE", Attack::None),
    ("WANT_GET_TREE", Attack::None),
    ("REPLICA_LOG_STREAM", Attack::None),
    ("REPLICA_LOG", Attack::Publish),
    ("SNAPSHOT_STREAM", Attack::None),
    ("SNAPSHOT_ALL", Attack::None),
    ("SNAPSHOT_NEWEST", Attack::Publish),
    ("STANDBY_REPORT", Attack::Request),
    ("ENROLL", Attack::Request),
    ("ANONYMOUS_USER", Attack::None),
    ("snapshot_part", Attack::Publish),
    ("snapshot_parts", Attack::None),
    ("RpcOp", Attack::Rpc),
    ("ApiOp", Attack::Api),
    ("want_key", Attack::None),
    ("want_subject", Attack::Publish),
    ("push_all", Attack::None),
    ("push_want", Attack::Publish),
    ("out", Attack::Out),
    ("parse_out", Attack::None),
    ("blob", Attack::Publish),
    ("parse_blob", Attack::None),
    ("rpc", Attack::None),
    ("parse_rpc", Attack::None),
    ("api", Attack::None),
    ("api_of", Attack::None),
    ("tenant_services", Attack::None),
    ("tenant_pushes", Attack::None),
    ("agent_publishes", Attack::None),
    ("agent_hears", Attack::None),
    ("inbox_of", Attack::None),
    ("parse_api", Attack::None),
];

/// The names that the code has now.
fn names_in_code() -> Vec<String> {
    let code = include_str!("../../proto/src/subject.rs");
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let named = code.lines().filter_map(|line| {
        let rest = line.strip_prefix("pub ")?;
        let words = ["const fn ", "fn ", "const ", "static ", "enum ", "struct "];
        let rest = words.iter().find_map(|word| rest.strip_prefix(word))?;
        let name = rest
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .next()?;
        Some(name.to_owned())
    });
    named.collect()
}

#[test]
fn every_subject_of_the_code_is_attacked() {
    let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names_in_code(), known, "a new subject needs a line here");
}

fn site(name: &str) -> SiteId {
    name.parse().unwrap()
}

/// The subjects behind a name.
fn subjects(name: &str, attack: Attack, operator: &str) -> Vec<String> {
    let (site, open) = (site(SITE), site(OPEN));
    match (name, attack) {
        (_, Attack::None) => Vec::new(),
        (_, Attack::Rpc) => RpcOp::ALL
            .iter()
            .map(|op| subject::rpc(&site, *op))
            .collect(),
        (_, Attack::Api) => ApiOp::ALL
            .iter()
            .map(|op| subject::api(operator, *op))
            .collect(),
        (_, Attack::Out) => [Lane::Records, Lane::Events]
            .into_iter()
            .flat_map(|lane| [subject::out(&site, lane), subject::out(&open, lane)])
            .collect(),
        ("STANDBY_REPORT", _) => vec![subject::STANDBY_REPORT.to_owned()],
        ("ENROLL", _) => vec![subject::ENROLL.to_owned()],
        ("REPLICA_LOG", _) => vec![subject::REPLICA_LOG.to_owned()],
        ("SNAPSHOT_NEWEST", _) => vec![subject::SNAPSHOT_NEWEST.to_owned()],
        ("snapshot_part", _) => vec![subject::snapshot_part("x", 1)],
        ("want_subject", _) => vec![subject::want_subject(&site)],
        ("push_want", _) => vec![subject::push_want(&site)],
        ("blob", _) => vec![subject::blob(&site), subject::blob(&open)],
        (name, attack) => panic!("{name} is attacked as {attack:?}, but with which subject?"),
    }
}

/// Bytes that the seed alone decides.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    bytes.take(length).collect()
}

/// What is sent: none of it is a request that means anything.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let packed = |packing: u8, body: &[u8]| [&[packing], body].concat();
    let hello = v1::Hello {
        site: SITE.to_owned(),
        epoch: vec![7; 16],
        home: "x".repeat(300),
        ..v1::Hello::default()
    };
    let hello = hello.encode_to_vec();
    // 64 MiB of nothing in a few kilobytes.
    let bomb = envelope::seal(&v1::ShowDevice {
        name: "\0".repeat(64 * 1024 * 1024),
        at_ms: None,
    });
    assert!(bomb.len() < LARGE);
    // A field that says it is longer than everything.
    let endless = [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3];
    // Groups within groups, which a careless reader follows down.
    let deep = vec![0x0b; 100_000];
    vec![
        ("empty", Vec::new()),
        ("one byte", vec![0]),
        ("unknown packing", packed(9, &hello)),
        ("noise", noise(1, 100)),
        ("packed noise", packed(1, &noise(2, 5_000))),
        ("plain noise", packed(0, &noise(3, 2_000))),
        ("cut off", packed(0, &hello[..hello.len() - 7])),
        ("endless field", packed(0, &endless)),
        ("deep", packed(0, &deep)),
        ("bomb", bomb),
        ("large noise", packed(0, &noise(4, LARGE))),
        ("large zeros", vec![0; LARGE]),
    ]
}

fn wrong_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let long = "z".repeat(20_000);
    for (name, value) in [
        ("traceparent", "00-zz-zz-zz"),
        ("tracestate", long.as_str()),
        ("Tvt-Signature", "not base64 \u{7f}"),
        ("Tvt-Error", "no.such_code"),
        ("Tvt-Note", long.as_str()),
        ("KV-Operation", "EXPLODE"),
        ("X-Other", "1"),
    ] {
        headers.append(name, value);
    }
    headers
}

/// Sends a request and reads the answer's code; `None` where the answer is no refusal.
async fn ask(client: &Client, subject: String, what: &str, body: Vec<u8>) -> Option<ErrorCode> {
    let headers = wrong_headers();
    let request = client.request_with_headers(subject.clone(), headers, body.into());
    let answer = timeout(ANSWER, request).await;
    let answer = answer.unwrap_or_else(|_| panic!("{subject}: no answer to {what}"));
    let answer = answer.unwrap_or_else(|error| panic!("{subject}: {what}: {error}"));
    let headers = answer.headers.unwrap_or_default();
    let code = headers.get(ERROR_HEADER)?;
    let code: ErrorCode = code.as_str().parse().expect("a code of the list");
    assert_ne!(code, ErrorCode::Internal, "{subject}: {what}");
    let error: v1::ApiError =
        envelope::open(&answer.payload, BODY_MAX).expect("a readable refusal");
    assert_eq!(error.code, code.as_str(), "{subject}: {what}");
    Some(code)
}

/// Whether a body may be a request that asks for nothing in particular.
fn may_be_read(subject: &str, what: &str) -> bool {
    // Two questions have no contents, so nobody looks at what comes with them.
    let op = subject::parse_api(subject).map(|(_, op)| op);
    let bare = matches!(op, Some(ApiOp::CoordinatorInfo | ApiOp::CoordinatorCheck));
    // An empty message is one whose every field has its default; fields that nobody knows are skipped.
    bare || what == "one byte"
}

/// How many messages were set aside; `None` while nobody answers.
async fn quarantined(fleet: &GovernedFleet) -> Option<u64> {
    let status = ["status", "--format", "json"];
    let status = fleet.as_operator("admin", &status).await;
    if status.code == Some(4) {
        return None;
    }
    let status = status.ended(0).json();
    let count = status["status"][0]["quarantined"].as_u64();
    Some(count.unwrap_or_else(|| panic!("{status}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_arrives_stops_anybody() {
    let spec = FleetSpec {
        sites: 1,
        ..FleetSpec::new(51, 3)
    };
    let simulator = Simulator::start(spec.generate().unwrap(), Options::default()).unwrap();
    // As one of several replicas, so that it hears their subjects too.
    let mut fleet = GovernedFleet::start(1, &["acme"], "[replica]\nname = 'a'\n").await;
    fleet.agent_lines = "[limits]\nheartbeat_ms = 1000\n".to_owned();
    fleet.give_credentials();
    fleet.joined("one", SITE).await;
    fleet.start_agent("one");
    fleet.until_online(SITE).await;
    let open = ["sites", "add", OPEN];
    let _ = fleet.as_operator("admin", &open).await.ended(0);
    fleet.import(SITE, &simulator).await;
    let before = quarantined(&fleet).await.unwrap();

    // Everything that the coordinator's account may: more than any agent or operator.
    let core = Intruder::with(&fleet, "fleet/coordinator/coordinator.creds").await;
    let operator = fleet.path("fleet/operators/admin/operator.creds");
    let operator = key_in(&std::fs::read_to_string(operator).unwrap());
    let (mut requests, mut stored, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (name, attack) in NAMES {
        for subject in subjects(name, *attack, &operator) {
            for (what, body) in bodies() {
                match attack {
                    Attack::Rpc | Attack::Api | Attack::Request => {
                        requests.push((subject.clone(), what, body));
                    }
                    Attack::Out => stored.push((subject.clone(), what, body)),
                    Attack::Publish | Attack::None => others.push((subject.clone(), what, body)),
                }
            }
        }
    }
    let asked = requests.len();
    let refused = stream::iter(requests)
        .map(|(subject, what, body)| {
            let client = core.client.clone();
            async move {
                let code = ask(&client, subject.clone(), what, body).await;
                assert!(
                    code.is_some() || may_be_read(&subject, what),
                    "{subject}: {what} was answered"
                );
                usize::from(code.is_some())
            }
        })
        .buffer_unordered(AT_ONCE)
        .fold(0, |sum, refused| async move { sum + refused })
        .await;
    assert!(refused > asked * 8 / 10, "{refused} of {asked} refused");

    let jetstream = async_nats::jetstream::new(core.client.clone());
    let mut taken = 0_u64;
    for (subject, what, body) in stored {
        let acknowledged = jetstream
            .publish_with_headers(subject.clone(), wrong_headers(), body.into())
            .await
            .unwrap()
            .await;
        match acknowledged {
            Ok(_) => taken += 1,
            Err(error) => assert!(what.starts_with("large"), "{subject}: {what}: {error}"),
        }
    }
    for (subject, _, body) in others {
        for headers in [HeaderMap::new(), wrong_headers()] {
            let (subject, body) = (subject.clone(), body.clone().into());
            let sent = core.client.publish_with_headers(subject, headers, body);
            sent.await.unwrap();
        }
    }
    core.client.flush().await.unwrap();

    // Counted, each of them. A replica whose log was written to by another leads again first.
    eventually("everything bad is set aside", || async {
        (quarantined(&fleet).await? - before == taken).then_some(())
    })
    .await;
    fleet
        .until_agent_says("one", "a want document is of no use")
        .await;
    eventually("pictures that are none are thrown away", || async {
        let lines = fleet.logs();
        let thrown = lines
            .iter()
            .filter(|line| line.contains("that is no picture"));
        (thrown.count() >= 2).then_some(())
    })
    .await;

    // And everybody works as before. A replica sees that its log was written to when it writes itself.
    eventually("the coordinator leads and stores", || async {
        let add = fleet.as_operator("admin", &["sites", "add", "acme/late"]);
        (add.await.code == Some(0)).then_some(())
    })
    .await;
    fleet.until_online(SITE).await;
    let scan = ["scan", "--all", "--format", "json"];
    let said = fleet.as_operator("admin", &scan).await.ended(0);
    assert_eq!(said.json().as_array().unwrap().len(), 3);
    assert_eq!(simulator.totals().logins_failed, 0);
    let logs = fleet.logs();
    let starts = |text: &str| logs.iter().filter(|line| line.contains(text)).count();
    assert_eq!(starts("agent starts"), 1);
    assert!(!logs.iter().any(|line| line.contains("panicked")));
}
