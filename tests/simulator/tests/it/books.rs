//! Generated fleets, scanned whole: the books must balance.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tvt_sim::{Broken, FleetSpec, Kind, Options, Simulator};

use crate::client::{Client, PASSWORD};

#[tokio::test]
async fn each_healthy_recorder_is_scanned_exactly_once() {
    let spec = FleetSpec {
        sites: 3,
        channels: 4,
        head: 10,
        broken: BTreeMap::from([
            (Broken::Absent, 2),
            (Broken::WrongPassword, 2),
            (Broken::Close, 2),
            (Broken::Busy, 2),
            (Broken::Reset, 2),
        ]),
        ..FleetSpec::new(1, 40)
    };
    let options = Options {
        latency: Duration::from_millis(1),
        seed: 5,
    };
    let simulator = Simulator::start(spec.generate().unwrap(), options).unwrap();
    let mut scans = JoinSet::new();
    for entry in simulator.inventory() {
        let address = format!("{}:{}", entry.ip, entry.port).parse().unwrap();
        scans.spawn(async move {
            let Ok(mut client) = Client::connect(address).await else {
                return;
            };
            client.send_login("admin", PASSWORD).await;
            let Ok(reply) = client.login_reply().await else {
                return;
            };
            if reply.command == 0x0100_0101 {
                let list = client.get("/queryIPCInfo", 1).await.unwrap().json();
                assert_eq!(list["IPCInfo"].as_array().unwrap().len(), 4);
            }
            if matches!(reply.command, 0x0100_0101 | 0x0100_0304) {
                client.leave().await;
            }
        });
    }
    while let Some(done) = scans.join_next().await {
        done.unwrap();
    }
    let totals = simulator.totals();
    // Absent ones are never reached; closing ones accept but are not asked.
    assert_eq!((totals.connections, totals.logins_tried), (38, 36));
    assert_eq!((totals.logins_succeeded, totals.logins_failed), (32, 4));
    assert_eq!((totals.scans_completed, totals.sessions_max), (30, 1));
    assert_eq!(totals.violation_records, []);
    for device in simulator.devices() {
        let spec = device.spec();
        let healthy = matches!(spec.kind, Kind::Standard | Kind::Head)
            && spec.faults.is_empty()
            && spec.password == tvt_sim::Password::default();
        assert_eq!(
            device.counters().scans_completed,
            u64::from(healthy),
            "{}",
            device.address()
        );
        assert!(device.counters().logins_tried <= 1);
    }
}

#[tokio::test]
async fn a_device_is_found_by_address_and_by_name() {
    let fleet = FleetSpec {
        sites: 2,
        ..FleetSpec::new(3, 4)
    }
    .generate()
    .unwrap();
    let simulator = Simulator::start(fleet, Options::default()).unwrap();
    let last = &simulator.devices()[3];
    for key in [
        last.address().to_string(),
        last.address().ip().to_string(),
        last.spec().name,
    ] {
        assert!(Arc::ptr_eq(simulator.device(&key).unwrap(), last), "{key}");
    }
    assert!(simulator.device("127.0.0.250").is_err());
    let entry = &simulator.inventory()[3];
    assert_eq!(
        serde_json::to_value(entry).unwrap()["site"],
        last.spec().site
    );
    assert_eq!(entry.manufacturer, "TVT");
}
