//! What a site reports counts with its agent's signature only, whatever the servers carry.

use tvt_sim::{FleetSpec, Options, Simulator};
use tvtfleet_bus::publish::{OutPublisher, Outgoing};
use tvtfleet_bus::trust::KeyPair;
use tvtfleet_bus::{ConnectOptions, connect};
use tvtfleet_proto::model::id::{Epoch, JobId, Sequence, SiteId};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{OutBatch, OutItem, SiteEvent};
use tvtfleet_tests::eventually;
use tvtfleet_tests::governed::GovernedFleet;

const SITE: &str = "acme/depot-1";
/// The password of generated recorders: test data of the simulator.
/// Batches that are forged.
const FORGED: u64 = 6;

/// The life of an agent's spool, from its log.
fn epoch(fleet: &GovernedFleet) -> Option<Epoch> {
    let lines = fleet.logs();
    let line = lines.iter().find(|line| line.contains("agent starts"))?;
    let (_, rest) = line.split_once("epoch=")?;
    Some(Epoch::new(rest.split_whitespace().next()?.parse().ok()?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_batches_are_refused_and_named_and_take_nobodys_place() {
    let spec = FleetSpec {
        sites: 1,
        ..FleetSpec::new(47, 3)
    };
    let simulator = Simulator::start(spec.generate().unwrap(), Options::default()).unwrap();
    let mut fleet = GovernedFleet::start(1, &["acme"], "").await;
    fleet.give_credentials();
    fleet.joined("one", SITE).await;
    fleet.start_agent("one");
    fleet.until_online(SITE).await;
    fleet.import(SITE, &simulator).await;

    // A server in wrong hands, which knows the numbers that the agent will use next.
    let site: SiteId = SITE.parse().unwrap();
    let epoch = epoch(&fleet).expect("the agent says its epoch");
    let options = ConnectOptions {
        urls: vec![fleet.url()],
        name: "intruder".to_owned(),
        credentials_file: Some(fleet.path("fleet/coordinator/coordinator.creds")),
        ca_file: Some(fleet.path("fleet/keys/ca.pem")),
        ..ConnectOptions::default()
    };
    let bus = connect(&options).await.unwrap();
    let publisher = OutPublisher::new(&bus);
    let stranger = KeyPair::new_user();
    for number in 1..=FORGED {
        let batch = OutBatch {
            site: site.clone(),
            epoch,
            sequence: Sequence(number),
            items: vec![OutItem::Event(SiteEvent::Accepted {
                job: JobId::new(uuid::Uuid::from_u128(7)),
                at: UtcMillis::new(0),
            })],
        };
        let forged = Outgoing::seal(&batch, String::new());
        let forged = if number % 2 == 0 {
            forged.signed(&stranger).unwrap()
        } else {
            forged
        };
        let stored = publisher.publish(&forged).await.unwrap().await.unwrap();
        assert!(!stored.duplicate);
    }
    eventually("they are counted and named", || async {
        let said = fleet
            .as_operator("admin", &["doctor", "--format", "json"])
            .await;
        let text = said.stdout;
        let counted = text.contains(&format!("{FORGED} batches without its agent's signature"));
        (counted && text.contains(SITE)).then_some(())
    })
    .await;
    assert!(
        fleet
            .logs()
            .iter()
            .any(|line| line.contains("trust.report_unsigned"))
    );

    // The agent's own batches of the same numbers arrive all the same.
    let scan = ["scan", "--all", "--format", "json"];
    let said = fleet.as_operator("admin", &scan).await.ended(0);
    assert_eq!(said.json().as_array().unwrap().len(), 3);
    assert_eq!(simulator.totals().logins_failed, 0);
}
