//! Recorders that change while they run.

use std::io::ErrorKind;

use serde_json::json;
use tokio::net::TcpStream;
use tvt_sim::{Fault, FaultRule, Kind, Mutation, Password, Phase};

use crate::client::{Client, PASSWORD, u32_at};
use crate::{head, standard, start};

#[tokio::test]
async fn a_camera_is_renamed_within_a_session() {
    let (_simulator, device) = start(standard());
    let mut client = Client::logged_in(device.address()).await;
    let rename = Mutation::RenameCamera {
        channel: json!(2),
        name: "Hof".to_owned(),
    };
    device.apply(rename).await.unwrap();
    device
        .apply(Mutation::SetCameraOnline {
            channel: json!(2),
            online: true,
        })
        .await
        .unwrap();
    let list = client.get("/queryIPCInfo", 1).await.unwrap().json();
    assert_eq!(list["IPCInfo"][1]["szChlname"], "Hof");
    assert_eq!(list["IPCInfo"][1]["status"], 1);
    let missing = Mutation::RemoveCamera { channel: json!(9) };
    assert!(device.apply(missing).await.is_err());
}

#[tokio::test]
async fn a_head_channel_goes_offline_and_the_firmware_changes() {
    let (_simulator, device) = start(head());
    device
        .apply(Mutation::SetCameraOnline {
            channel: json!(1),
            online: false,
        })
        .await
        .unwrap();
    let firmware = "5.2.4.1".parse().unwrap();
    device
        .apply(Mutation::SetFirmware { firmware })
        .await
        .unwrap();
    let mut client = Client::connect(device.address()).await.unwrap();
    assert_eq!(u32_at(&client.init, 40), 0x0502_0401);
    let reply = client.login("admin", PASSWORD).await;
    assert_eq!(u32_at(&reply.payload, 184 + 16), 0);
}

#[tokio::test]
async fn a_recorder_goes_away_and_comes_back_at_its_address() {
    let (_simulator, device) = start(standard());
    let mut client = Client::logged_in(device.address()).await;
    device.apply(Mutation::Remove).await.unwrap();
    assert!(!device.listening());
    // The connection is gone, orderly or not.
    let _ = client.rest().await;
    let refused = TcpStream::connect(device.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(device.counters().sessions_open, 0);
    device.apply(Mutation::Restore).await.unwrap();
    Client::logged_in(device.address()).await.leave().await;
    assert_eq!(device.counters().logins_succeeded, 2);
}

#[tokio::test]
async fn an_absent_recorder_refuses_until_it_is_there() {
    let mut spec = standard();
    spec.kind = Kind::Absent;
    let (_simulator, device) = start(spec);
    assert_ne!(device.address().port(), 0);
    let refused = TcpStream::connect(device.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    device.apply(Mutation::Restore).await.unwrap();
    Client::logged_in(device.address()).await.leave().await;
}

#[tokio::test]
async fn password_and_faults_change() {
    let (_simulator, device) = start(standard());
    let password = Password::new("other-secret");
    device
        .apply(Mutation::SetPassword { password })
        .await
        .unwrap();
    let mut client = Client::connect(device.address()).await.unwrap();
    assert_eq!(client.login("admin", PASSWORD).await.code(), 2);
    assert_eq!(
        client.login("admin", "other-secret").await.command,
        0x0100_0101
    );
    client.leave().await;
    let faults = vec![FaultRule::always(Fault::CloseBefore {
        phase: Phase::Greeting,
    })];
    device.apply(Mutation::SetFaults { faults }).await.unwrap();
    assert!(Client::connect(device.address()).await.is_err());
    device
        .apply(Mutation::SetFaults { faults: Vec::new() })
        .await
        .unwrap();
    assert!(Client::connect(device.address()).await.is_ok());
}
