//! Jobs that change devices are done only as an operator signed them: with the files of
//! `tvtctl admin init`, and a coordinator in the hands of somebody else.

use tvt_sim::{FleetSpec, Options, Simulator};
use tvtfleet_bus::trust::{ChangeOrder, KeyPair, OperatorList, SignedDocument, key_of_credentials};
use tvtfleet_bus::want::{read_stored, write_want};
use tvtfleet_bus::{Bus, ConnectOptions, connect};
use tvtfleet_proto::model::id::{JobId, SiteId, WantRevision};
use tvtfleet_proto::model::secret::Secret;
use tvtfleet_proto::model::want::{JobWant, WantDoc};
use tvtfleet_tests::eventually;
use tvtfleet_tests::governed::GovernedFleet;

const SITE: &str = "acme/depot-1";

/// A fleet with one site whose recorders may be changed, and its agent, which has joined and waits to
/// be started.
async fn changeable() -> (GovernedFleet, Simulator) {
    let spec = FleetSpec {
        web: true,
        sites: 1,
        ..FleetSpec::new(41, 2)
    };
    let simulator = Simulator::start(spec.generate().unwrap(), Options::default()).unwrap();
    let mut fleet = GovernedFleet::start(1, &["acme"], "").await;
    let devices = simulator.devices().iter();
    let web: Vec<u16> = devices
        .filter_map(|device| Some(device.web_address()?.port()))
        .collect();
    fleet.agent_lines = format!(
        "[policy]\nasks = ['services', 'set-services']\n\
         [web]\nhttps_ports = []\nhttp_ports = {web:?}\n"
    );
    fleet.give_credentials();
    fleet.joined("one", SITE).await;
    fleet.import(SITE, &simulator).await;
    (fleet, simulator)
}

fn writes(simulator: &Simulator) -> usize {
    let devices = simulator.devices().iter();
    devices.map(|device| device.web_writes().len()).sum()
}

/// The coordinator's place on the bus, in the hands of somebody else.
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

/// Writes a document with one job in place of what is there; returns its revision.
async fn forge(bus: &Bus, doc: &WantDoc, want: JobWant) -> WantRevision {
    let site = doc.site.clone();
    let stored = read_stored(bus, &site).await.unwrap().unwrap();
    let revision = WantRevision(stored.doc.unwrap().unwrap().revision.0 + 1);
    let forged = WantDoc {
        revision,
        jobs: vec![want],
        ..doc.clone()
    };
    write_want(bus, &forged, Some(stored.kv_revision))
        .await
        .unwrap();
    revision
}

fn operator(fleet: &GovernedFleet, name: &str) -> KeyPair {
    let file = fleet.path(&format!("fleet/operators/{name}/operator.creds"));
    key_of_credentials(&Secret::new(std::fs::read_to_string(file).unwrap())).unwrap()
}

fn number(last: u128) -> JobId {
    JobId::new(uuid::Uuid::from_u128(last))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_done_as_an_operator_signed_it_and_only_once() {
    let (mut fleet, simulator) = changeable().await;
    let set = [
        "run",
        "set-services",
        "--all",
        "--set",
        "rtsp=false",
        "--yes",
    ];
    let order = [&set[..], &["--detach"]].concat();
    let _ = fleet.as_operator("admin", &order).await.ended(0);
    let site: SiteId = SITE.parse().unwrap();
    let bus = as_coordinator(&fleet).await;
    let doc = eventually("the job is wanted", || async {
        let doc = read_stored(&bus, &site).await.unwrap()?.doc.ok()??;
        (!doc.jobs.is_empty()).then_some(doc)
    })
    .await;
    let real = doc.jobs[0].clone();
    assert!(real.order.is_some() && doc.operators.is_some());
    fleet.kill_coordinator().await;

    // What an intruder who has everything of the coordinator may try.
    let mut other_work = real.clone();
    other_work.job = number(1);
    let mut changed = real.clone();
    let work = changed.work.as_mut().unwrap();
    let settings = &mut work.options.order.as_mut().unwrap().settings;
    settings.insert("web_api".to_owned(), "false".to_owned());
    let mut unsigned = real.clone();
    unsigned.job = number(2);
    unsigned.order = None;
    let sign = |job, key: &KeyPair| {
        let work = real.work.as_ref().unwrap();
        let now = doc.issued_at;
        let order = ChangeOrder::of(job, &site, work, now, real.not_after);
        JobWant {
            job,
            order: Some(SignedDocument::sign(&order, key).unwrap().into()),
            ..real.clone()
        }
    };
    let stranger = sign(number(3), &KeyPair::new_user());
    let mut longer = real.clone();
    longer.job = number(4);
    longer.not_after = longer.not_after.after(std::time::Duration::from_secs(3600));
    // Of what an operator signed, one setting more.
    let mut content = sign(number(8), &operator(&fleet, "admin"));
    content.work = changed.work.clone();
    let attempts = [
        (other_work, "for another job or site"),
        (unsigned, "the work is refused"),
        (content, "the work is refused"),
        (stranger, "no operator whose orders count"),
        (longer, "an order is refused"),
    ];
    fleet.start_agent("one");
    let (first, said) = attempts.first().cloned().unwrap();
    forge(&bus, &doc, first).await;
    fleet.until_agent_says("one", said).await;
    for (attempt, said) in attempts.into_iter().skip(1) {
        let job = attempt.job;
        forge(&bus, &doc, attempt).await;
        fleet
            .until_agent_says_of("one", &job.to_string(), said)
            .await;
    }
    assert_eq!(writes(&simulator), 0, "nothing was changed");

    // The order itself is good, once.
    forge(&bus, &doc, real.clone()).await;
    eventually("the devices are changed", || async {
        (writes(&simulator) == 2).then_some(())
    })
    .await;
    // A list of operators that somebody else made, with the intruder on it, changes nothing.
    let thief = KeyPair::new_user();
    let list = OperatorList {
        revision: u64::MAX,
        tenant: "acme".into(),
        issued_at: 0,
        keys: vec![thief.public_key()],
    };
    let forged = WantDoc {
        operators: Some(SignedDocument::sign(&list, &thief).unwrap().into()),
        ..doc.clone()
    };
    let by_thief = sign(number(5), &thief);
    forge(&bus, &forged, by_thief).await;
    fleet
        .until_agent_says_of(
            "one",
            &number(5).to_string(),
            "no operator whose orders count",
        )
        .await;
    // Replayed, changed under its own name, and after a restart with nothing wanted in between.
    forge(&bus, &doc, real.clone()).await;
    forge(&bus, &doc, changed).await;
    forge(&bus, &doc, sign(number(6), &KeyPair::new_user())).await;
    fleet
        .until_agent_says_of(
            "one",
            &number(6).to_string(),
            "no operator whose orders count",
        )
        .await;
    fleet.kill_agent("one").await;
    forge(&bus, &doc, real.clone()).await;
    fleet.start_agent("one");
    fleet.until_agent_says("one", "connected").await;
    forge(&bus, &doc, sign(number(7), &KeyPair::new_user())).await;
    fleet
        .until_agent_says_of(
            "one",
            &number(7).to_string(),
            "no operator whose orders count",
        )
        .await;
    assert_eq!(writes(&simulator), 2, "a replay changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_coordinator_passes_on_what_was_signed_and_a_revoked_key_signs_no_more() {
    let (mut fleet, simulator) = changeable().await;
    fleet.start_agent("one");
    fleet.until_online(SITE).await;
    let add = |name: &'static str, role: &'static str| {
        [
            "admin", "operator", "add", name, "--role", role, "--dir", "fleet",
        ]
    };
    let _ = fleet.ctl(&add("ann", "operator")).await.ended(0);
    let _ = fleet.ctl(&add("eve", "viewer")).await.ended(0);
    let set = [
        "run",
        "set-services",
        "--all",
        "--set",
        "rtsp=false",
        "--yes",
    ];
    let forbidden = fleet.as_operator("eve", &set).await;
    assert!(forbidden.stderr.contains("code: trust.forbidden"));
    // An operator who was added a moment ago is believed at the site.
    let _ = fleet.as_operator("ann", &set).await.ended(0);
    assert_eq!(writes(&simulator), 2);
    let undo = ["run", "set-services", "--all", "--undo", "last", "--yes"];
    let _ = fleet.as_operator("ann", &undo).await.ended(0);
    assert_eq!(writes(&simulator), 4);

    let ann = operator(&fleet, "ann");
    let revoke = ["admin", "operator", "revoke", "ann", "--dir", "fleet"];
    let _ = fleet.ctl(&revoke).await.ended(0);
    let list = fleet.path("one/identity/operators.json");
    eventually("the agent hears of it", || async {
        let text = std::fs::read_to_string(&list).ok()?;
        let list: SignedDocument = serde_json::from_str(&text).ok()?;
        let authority = std::fs::read_to_string(fleet.path("one/identity/identity.json")).ok()?;
        let authority: serde_json::Value = serde_json::from_str(&authority).ok()?;
        let list: OperatorList = list.verify(authority["authority"].as_str()?).ok()?;
        (!list.keys.contains(&ann.public_key())).then_some(())
    })
    .await;
}
