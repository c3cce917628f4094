//! Broken recorders, one fault at a time.

use std::io::ErrorKind;

use tvt_sim::{DeviceSpec, Fault, FaultRule, ForeignServer, Phase, TunnelBody};

use crate::client::{Client, PASSWORD, u32_at};
use crate::{head, standard, start};

const GREETING: Phase = Phase::Greeting;
const LOGIN: Phase = Phase::Login;
const TUNNEL: Phase = Phase::Tunnel;

fn broken(fault: Fault) -> DeviceSpec {
    DeviceSpec {
        faults: vec![fault.into()],
        ..standard()
    }
}

/// All bytes that a broken recorder sends in reaction to a login, until it closes.
async fn login_bytes(fault: Fault) -> std::io::Result<Vec<u8>> {
    let (_simulator, device) = start(DeviceSpec {
        ack: false,
        ..broken(fault)
    });
    let mut client = Client::connect(device.address()).await.unwrap();
    client.send_login("admin", PASSWORD).await;
    client.rest().await
}

#[tokio::test]
async fn greetings_go_wrong() {
    for fault in [
        Fault::GreetingDrip { ms: 0 },
        Fault::Split {
            phase: GREETING,
            at: 5,
            ms: 1,
        },
        Fault::DevType { value: 0x0203 },
        Fault::ExtraHeartbeats { count: 5 },
        Fault::Join { phase: GREETING },
        Fault::Stall {
            phase: GREETING,
            ms: 5,
        },
    ] {
        // A client that reads well does not mind any of these.
        let (_simulator, device) = start(broken(fault.clone()));
        let mut client = Client::logged_in(device.address()).await;
        assert_eq!(
            u32_at(&client.init, 4),
            if matches!(fault, Fault::DevType { .. }) {
                0x203
            } else {
                3
            }
        );
        client.get("/queryIPCInfo", 1).await.unwrap();
        client.leave().await;
        assert_eq!(device.counters().violation_records, [], "{fault:?}");
    }
    let first_bytes = async |fault: Fault| {
        let (_simulator, device) = start(broken(fault));
        let stream = tokio::net::TcpStream::connect(device.address())
            .await
            .unwrap();
        let mut client = Client {
            stream,
            init: [0; 64],
        };
        client.take(4).await
    };
    assert_eq!(first_bytes(Fault::GreetingFlag1111).await.unwrap(), b"1111");
    let ssh = Fault::ForeignServer {
        server: ForeignServer::Ssh,
    };
    assert_eq!(first_bytes(ssh).await.unwrap(), b"SSH-");
    for fault in [
        Fault::CloseBefore { phase: GREETING },
        Fault::CloseMidFrame {
            phase: GREETING,
            at: 3,
        },
        Fault::Reset { phase: GREETING },
    ] {
        assert!(first_bytes(fault.clone()).await.is_err(), "{fault:?}");
    }
}

#[tokio::test]
async fn login_replies_are_cut_and_bent() {
    let whole = login_bytes(Fault::CloseAfter { phase: LOGIN })
        .await
        .unwrap();
    assert_eq!(whole.len(), 224);
    let nothing = login_bytes(Fault::CloseBefore { phase: LOGIN })
        .await
        .unwrap();
    assert_eq!(nothing, b"");
    let reset = login_bytes(Fault::Reset { phase: LOGIN })
        .await
        .unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    for at in [0, 3, 8, 24, 100] {
        let cut = login_bytes(Fault::CloseMidFrame { phase: LOGIN, at })
            .await
            .unwrap();
        assert_eq!(cut, whole[..at], "cut at {at}");
    }
    let with = async |fault: Fault| {
        let (_simulator, device) = start(DeviceSpec {
            ack: false,
            ..broken(fault)
        });
        let mut client = Client::connect(device.address()).await.unwrap();
        client.send_login("admin", PASSWORD).await;
        client.take(24).await.unwrap()
    };
    for value in [8, 15, u32::MAX] {
        let header = with(Fault::FrameLength {
            phase: LOGIN,
            value,
        })
        .await;
        assert_eq!((u32_at(&header, 4), u32_at(&header, 20)), (value, 200));
    }
    for delta in [-60, 1] {
        let header = with(Fault::PayloadLength {
            phase: LOGIN,
            delta,
        })
        .await;
        assert_eq!(u32_at(&header, 4), 216);
        assert_eq!(u32_at(&header, 20), 200_u32.wrapping_add_signed(delta));
    }
    for size in [79, 80, 92, 109, 300] {
        let header = with(Fault::LoginReplySize { size }).await;
        assert_eq!(u32_at(&header, 20), u32::from(size));
    }
}

#[tokio::test]
async fn a_login_reply_split_anywhere_is_whole_in_the_end() {
    let (simulator, device) = start(standard());
    for at in 0..224 {
        let faults = vec![FaultRule::always(Fault::Split {
            phase: LOGIN,
            at,
            ms: 0,
        })];
        device
            .apply(tvt_sim::Mutation::SetFaults { faults })
            .await
            .unwrap();
        Client::logged_in(device.address()).await.leave().await;
    }
    assert_eq!(simulator.totals().logins_succeeded, 224);
}

#[tokio::test]
async fn frames_come_that_nobody_asked_for() {
    for fault in [
        Fault::Pushed {
            phase: LOGIN,
            count: 3,
        },
        Fault::Pushed {
            phase: TUNNEL,
            count: 2,
        },
        Fault::AckFirst,
    ] {
        for joined in [false, true] {
            let mut spec = broken(fault.clone());
            if joined {
                spec.faults.push(Fault::Join { phase: LOGIN }.into());
                spec.faults.push(Fault::Join { phase: TUNNEL }.into());
            }
            let (_simulator, device) = start(spec);
            let mut client = Client::connect(device.address()).await.unwrap();
            client.send_login("admin", PASSWORD).await;
            let mut pushed = 0;
            let mut expect = async |client: &mut Client, command: u32| loop {
                let reply = client.reply().await.unwrap();
                if reply.command == command {
                    return;
                }
                assert_eq!((reply.command, reply.id), (0x0100_0B01, u32::MAX));
                pushed += 1;
            };
            expect(&mut client, 0x0100_0101).await;
            let request = [&[30, 0, 0, 0, 1, 0, 0, 0][..], &[0; 64]].concat();
            let request = [&request[..], b"GET /queryIPCInfo HTTP/1.1\r\n\r\n\0"].concat();
            client.send(0x0101_0D00, 1, &request).await.unwrap();
            expect(&mut client, 0x0101_0D01).await;
            let wanted = if let Fault::Pushed { count, .. } = fault {
                count
            } else {
                0
            };
            assert_eq!(pushed, wanted);
        }
    }
}

#[tokio::test]
async fn logins_fail_with_any_code_and_succeed_with_any_number() {
    let (_simulator, device) = start(broken(Fault::LoginCode { code: 0x1E }));
    let mut client = Client::connect(device.address()).await.unwrap();
    assert_eq!(client.login("admin", PASSWORD).await.code(), 0x1E);

    let (_simulator, device) = start(broken(Fault::UnknownLoginReply));
    let mut client = Client::connect(device.address()).await.unwrap();
    let reply = client.login("admin", PASSWORD).await;
    assert_eq!(
        (reply.command, &reply.payload[..]),
        (0x0100_7F7F, &[0; 32][..])
    );
    client.get("/queryIPCInfo", 1).await.unwrap();

    let (_simulator, device) = start(broken(Fault::NonUtf8Name));
    let mut client = Client::connect(device.address()).await.unwrap();
    let reply = client.login("admin", PASSWORD).await;
    assert_eq!(reply.payload[58..64], *b"Ger\xE4t\0");

    let fault = Fault::HeadCount { count: 65_535 };
    let (_simulator, device) = start(DeviceSpec {
        faults: vec![fault.into()],
        ..head()
    });
    let mut client = Client::connect(device.address()).await.unwrap();
    let reply = client.login("admin", PASSWORD).await;
    assert_eq!(reply.payload[176..178], [0xFF, 0xFF]);
    client.leave().await;
    assert_eq!(device.counters().scans_completed, 0);
}

#[tokio::test]
async fn tunnel_replies_go_wrong() {
    let reply = async |fault: Fault| {
        let (_simulator, device) = start(broken(fault));
        let mut client = Client::logged_in(device.address()).await;
        let reply = client.get("/queryIPCInfo", 7).await.unwrap();
        client.leave().await;
        (reply, device.counters().scans_completed)
    };
    let (good, scans) = reply(Fault::ExtraHeartbeats { count: 0 }).await;
    let length = u32_at(&good.payload, 0);
    assert_eq!((scans, u32_at(&good.payload, 4)), (1, 7));
    assert_eq!(good.payload.len(), 72 + usize::try_from(length).unwrap());

    let (tail, _) = reply(Fault::TunnelTrailingNul).await;
    assert_eq!(u32_at(&tail.payload, 0), length);
    assert_eq!(tail.payload, [&good.payload[..], &[0]].concat());
    let (wrong, scans) = reply(Fault::TunnelContentLength { delta: 9 }).await;
    assert_eq!((u32_at(&wrong.payload, 0), scans), (length + 9, 0));
    let (other, _) = reply(Fault::TunnelSequence { seq: 99 }).await;
    assert_eq!(u32_at(&other.payload, 4), 99);

    let body = async |body: TunnelBody| {
        let (reply, scans) = reply(Fault::TunnelBody { body }).await;
        assert_eq!(scans, 0, "{body:?}");
        reply.payload[72..].to_vec()
    };
    let contains = |bytes: &[u8], part: &str| {
        assert!(String::from_utf8_lossy(bytes).contains(part), "no {part:?}");
    };
    contains(
        &body(TunnelBody::Chunked).await,
        "Transfer-Encoding: chunked",
    );
    contains(&body(TunnelBody::Html).await, "<html>");
    contains(&body(TunnelBody::Xml).await, "<?xml");
    contains(&body(TunnelBody::DeepJson).await, &"[".repeat(1000));
    assert!(String::from_utf8(body(TunnelBody::InvalidUtf8).await).is_err());
    assert_eq!(body(TunnelBody::Empty).await, b"");
}

#[tokio::test]
async fn a_mute_tunnel_keeps_the_session() {
    let (_simulator, device) = start(broken(Fault::TunnelMute));
    let mut client = Client::logged_in(device.address()).await;
    let request = [&[30, 0, 0, 0, 1, 0, 0, 0][..], &[0; 64]].concat();
    let request = [&request[..], b"GET /queryIPCInfo HTTP/1.1\r\n\r\n\0"].concat();
    client.send(0x0101_0D00, 1, &request).await.unwrap();
    client.send(0x0102, 0, &[]).await.unwrap();
    assert_eq!(client.rest().await.unwrap(), b"");
    assert_eq!(device.counters().tunnel_requests, 1);
}

#[tokio::test]
async fn faults_strike_by_position() {
    let fault = Fault::CloseBefore { phase: GREETING };
    let spec = DeviceSpec {
        faults: vec![FaultRule::on(fault, [1, 3])],
        ..standard()
    };
    let (_simulator, device) = start(spec);
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(Client::connect(device.address()).await.is_ok());
    }
    assert_eq!(outcomes, [false, true, false, true]);
}
