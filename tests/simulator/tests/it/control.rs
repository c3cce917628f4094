//! The control port.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tvt_sim::{ControlError, ControlServer};

use crate::client::Client;
use crate::{free_port, standard, start_all};

#[tokio::test]
async fn requests_are_answered_line_by_line() {
    let simulator = Arc::new(start_all(vec![standard(), standard()]));
    let server = ControlServer::bind(free_port()).await.unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let running = tokio::spawn(server.run(Arc::clone(&simulator)));
    let (read_half, mut write_half) = stream.split();
    let mut lines = BufReader::new(read_half).lines();
    let mut ask = async |request: Value| -> Value {
        write_half
            .write_all(format!("{request}\n").as_bytes())
            .await
            .unwrap();
        serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap()
    };
    let device = &simulator.devices()[0];
    let address = device.address().to_string();

    let listed = ask(json!({"op": "devices"})).await;
    assert_eq!(listed["devices"][0]["device"], address);
    assert_eq!(listed["devices"][1]["listening"], true);
    let inventory = ask(json!({"op": "inventory"})).await;
    assert_eq!(inventory["inventory"][0]["mac"], "58:5B:69:01:02:03");

    let change = json!({"op": "mutate", "device": address, "change": "rename_camera",
                        "channel": 1, "name": "Hof"});
    assert_eq!(ask(change).await, json!({"ok": true}));
    let arm = json!({"op": "pause_when", "counter": "scans_completed", "at_least": 1});
    assert_eq!(ask(arm).await["ok"], true);
    let mut client = Client::logged_in(device.address()).await;
    let list = client.get("/queryIPCInfo", 1).await.unwrap().json();
    assert_eq!(list["IPCInfo"][0]["szChlname"], "Hof");
    let held = ask(json!({"op": "wait", "until": "paused", "timeout_ms": 10_000})).await;
    assert_eq!(held["totals"]["scans_completed"], 1);
    assert_eq!(ask(json!({"op": "resume"})).await["ok"], true);
    let wait = json!({"op": "wait", "until": "reached", "counter": "logins_tried",
                      "at_least": 2, "timeout_ms": 1});
    assert_eq!(ask(wait).await["ok"], false);
    let counted = ask(json!({"op": "counters", "device": address})).await;
    assert_eq!(counted["devices"][0]["counters"]["tunnel_requests"], 1);

    for wrong in [
        json!({"op": "dance"}),
        json!({"op": "mutate", "device": "nobody", "change": "remove"}),
        json!({"op": "mutate", "device": address, "change": "remove_camera", "channel": 77}),
        json!(7),
    ] {
        let refused = ask(wrong).await;
        assert_eq!(refused["ok"], false);
        assert!(refused["error"].is_string());
    }
    assert_eq!(ask(json!({"op": "stop"})).await["ok"], true);
    running.await.unwrap();
}

#[tokio::test]
async fn the_port_is_for_loopback_only() {
    let open = ControlServer::bind(([0, 0, 0, 0], 0).into()).await;
    assert!(matches!(open, Err(ControlError::NotLoopback(_))));
}
