//! What the simulator promises, seen by a client written by hand.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test crate; functions beside the tests are not exempt"
)]

mod baseline;
mod books;
mod client;
mod control;
mod faults;
mod hold;
mod limits;
mod mutation;
mod program;
mod violations;

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use tvt_sim::{Device, DeviceSpec, Fleet, Kind, Options, Simulator};

/// Any free port of loopback.
fn free_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A standard recorder with two cameras.
fn standard() -> DeviceSpec {
    let mut spec = DeviceSpec::new(free_port());
    spec.name = "Front NVR".to_owned();
    spec.mac = "58:5B:69:01:02:03".parse().unwrap();
    spec.cameras = vec![
        json!({"channel": 1, "szChlname": "Kühlhaus", "szServer": "10.0.0.11", "status": 1}),
        json!({"channel": 2, "szChlname": "Yard", "szServer": "10.0.0.12", "status": 0}),
    ];
    spec
}

/// A head-variant recorder with three channels.
fn head() -> DeviceSpec {
    let mut spec = DeviceSpec::new(free_port());
    spec.kind = Kind::Head;
    spec.serial = "N12AB34CD56".to_owned();
    spec.channels = vec![(1, true), (2, false), (28, true)];
    spec
}

/// Starts one recorder.
fn start(spec: DeviceSpec) -> (Simulator, Arc<Device>) {
    let simulator = start_all(vec![spec]);
    let device = Arc::clone(&simulator.devices()[0]);
    (simulator, device)
}

/// Starts several recorders.
fn start_all(devices: Vec<DeviceSpec>) -> Simulator {
    Simulator::start(Fleet { devices }, Options::default()).unwrap()
}
