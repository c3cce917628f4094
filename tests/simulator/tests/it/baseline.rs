//! Healthy recorders.

use tvt_sim::{ReplyId, XorKey};

use crate::client::{Client, PASSWORD, u32_at};
use crate::{head, standard, start};

#[tokio::test]
async fn a_standard_recorder_is_scanned() {
    let (_simulator, device) = start(standard());
    let mut client = Client::connect(device.address()).await.unwrap();
    assert_eq!(client.init[..4], *b"head");
    assert_eq!(u32_at(&client.init, 12), 3);
    assert_eq!(client.init[32..38], [0x58, 0x5B, 0x69, 1, 2, 3]);
    assert_eq!(u32_at(&client.init, 40), 0x0502_0300);
    let reply = client.login("admin", PASSWORD).await;
    assert_eq!(
        (reply.command, reply.id, reply.payload.len()),
        (0x0100_0101, 9, 200)
    );
    assert_eq!(u32_at(&reply.payload, 48), 20_241_010);
    assert_eq!(reply.payload[58..68], *b"Front NVR\0");
    assert_eq!(reply.payload[108], 1);
    let list = client.get("/queryIPCInfo", 1).await.unwrap();
    assert_eq!((list.id, u32_at(&list.payload, 4)), (21, 1));
    assert_eq!(list.json()["IPCInfo"][0]["szChlname"], "Kühlhaus");
    let other = client.get("/nothing", 2).await.unwrap();
    assert!(other.content().starts_with("HTTP/1.1 404 Not Found\r\n"));
    client.leave().await;
    let counters = device.counters();
    assert_eq!((counters.connections, counters.logins_tried), (1, 1));
    assert_eq!(
        (counters.logins_succeeded, counters.tunnel_requests),
        (1, 2)
    );
    assert_eq!((counters.scans_completed, counters.sessions_open), (1, 0));
    assert_eq!(counters.violation_records, []);
    assert!(counters.bytes_in > 200 && counters.bytes_out > 500);
}

#[tokio::test]
async fn every_login_disguise_is_understood() {
    let plain = tvt_sim::DeviceSpec {
        encrypt: 0,
        ..standard()
    };
    let xored = tvt_sim::DeviceSpec {
        encrypt: 1,
        ..standard()
    };
    let param = tvt_sim::DeviceSpec {
        encrypt: 0,
        encrypt_type: 1,
        xor_key: XorKey::EncryptParam,
        ..standard()
    };
    for spec in [plain, xored, param] {
        let (_simulator, device) = start(spec);
        let mut client = Client::connect(device.address()).await.unwrap();
        assert_eq!(client.login("admin", "wrong").await.code(), 2);
        assert_eq!(client.login("admin", PASSWORD).await.command, 0x0100_0101);
        assert_eq!(device.counters().logins_failed, 1);
    }
}

#[tokio::test]
async fn a_head_recorder_lists_its_channels() {
    let (_simulator, device) = start(head());
    let mut client = Client::connect(device.address()).await.unwrap();
    assert_eq!(u32_at(&client.init, 12), 11);
    client.send_login("admin", PASSWORD).await;
    let short = client.reply().await.unwrap();
    assert!(short.payload.len() < 100);
    let long = client.reply().await.unwrap();
    assert_eq!((long.command, long.id), (0x0100_0304, 0x0101));
    assert!(long.payload.len() >= 680);
    assert_eq!(long.payload[140..152], *b"N12AB34CD56\0");
    assert_eq!((long.payload[176], long.payload[178]), (3, 32));
    let channels: Vec<(u32, u32)> = (0..3)
        .map(|index| 184 + index * 20)
        .map(|at| (u32_at(&long.payload, at), u32_at(&long.payload, at + 16)))
        .collect();
    assert_eq!(channels, [(1, 1), (2, 0), (28, 1)]);
    client.leave().await;
    let mut client = Client::connect(device.address()).await.unwrap();
    assert_eq!(client.login("admin", "wrong").await.command, 0x0100_0204);
    let counters = device.counters();
    assert_eq!((counters.scans_completed, counters.logins_failed), (1, 1));
    assert_eq!(counters.violation_records, []);
}

#[tokio::test]
async fn reply_numbers_may_be_zero() {
    let (_simulator, device) = start(tvt_sim::DeviceSpec {
        reply_id: ReplyId::Zero,
        ..standard()
    });
    let mut client = Client::connect(device.address()).await.unwrap();
    assert_eq!(client.login("admin", PASSWORD).await.id, 0);
}

#[tokio::test]
async fn an_idle_connection_gets_heartbeats_and_then_the_end() {
    let spec = tvt_sim::DeviceSpec {
        ack: false,
        heartbeat_ms: 10,
        idle_limit_ms: 200,
        ..standard()
    };
    let (_simulator, device) = start(spec);
    let mut client = Client::connect(device.address()).await.unwrap();
    let rest = client.rest().await.unwrap();
    assert!(
        rest.len() >= 8 && rest.len() % 8 == 0,
        "{} bytes",
        rest.len()
    );
    assert!(rest.chunks(8).all(|beat| beat == b"1111\0\0\0\0"));
    assert_eq!(device.counters().violations, 1);
}
