//! What a recorder writes down about its clients.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tvt_sim::{BeforeLogin, Counter, Device, DeviceSpec, Fault, Simulator, Violation};

use crate::client::{Client, PASSWORD};
use crate::{head, standard, start};

async fn recorded(simulator: &Simulator, device: &Device) -> Vec<Violation> {
    let wait = std::time::Duration::from_secs(10);
    simulator
        .reached(Counter::Violations, 1, wait)
        .await
        .unwrap();
    device
        .counters()
        .violation_records
        .iter()
        .map(|record| record.violation)
        .collect()
}

#[tokio::test]
async fn bytes_before_the_greeting() {
    let spec = DeviceSpec {
        faults: vec![Fault::NoGreeting.into()],
        ..standard()
    };
    let (simulator, device) = start(spec);
    let mut stream = TcpStream::connect(device.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(
        recorded(&simulator, &device).await,
        [Violation::BytesBeforeInit]
    );
}

#[tokio::test]
async fn frames_that_are_none() {
    for (bytes, violation) in [
        (&b"2222\0\0\0\0"[..], Violation::BadFlag),
        (b"1111\x08\0\0\0", Violation::BadLength),
        (b"1111\xFF\xFF\xFF\xFF", Violation::BadLength),
    ] {
        let (simulator, device) = start(standard());
        let mut client = Client::connect(device.address()).await.unwrap();
        client.stream.write_all(bytes).await.unwrap();
        client.rest().await.unwrap();
        assert_eq!(recorded(&simulator, &device).await, [violation]);
    }
    let (simulator, device) = start(standard());
    let mut client = Client::connect(device.address()).await.unwrap();
    client.stream.write_all(b"1111\x84\0\0").await.unwrap();
    drop(client);
    assert_eq!(
        recorded(&simulator, &device).await,
        [Violation::TruncatedFrame]
    );
}

#[tokio::test]
async fn logins_that_should_not_be() {
    let (simulator, device) = start(standard());
    let mut client = Client::logged_in(device.address()).await;
    client.send_login("admin", PASSWORD).await;
    assert_eq!(
        recorded(&simulator, &device).await,
        [Violation::SecondLogin]
    );

    let (simulator, device) = start(head());
    let mut client = Client::connect(device.address()).await.unwrap();
    client.send(0x0101, 0, &[0; 116]).await.unwrap();
    assert_eq!(client.reply().await.unwrap().code(), 1);
    assert_eq!(
        recorded(&simulator, &device).await,
        [Violation::WrongVariant]
    );

    let (simulator, device) = start(standard());
    let mut client = Client::connect(device.address()).await.unwrap();
    client.send(0x0101, 0, &[0; 120]).await.unwrap();
    assert_eq!(client.reply().await.unwrap().code(), 1);
    assert_eq!(
        recorded(&simulator, &device).await,
        [Violation::LoginLength]
    );

    let (simulator, device) = start(standard());
    let mut client = Client::connect(device.address()).await.unwrap();
    assert_eq!(client.login("admin", "wrong").await.code(), 2);
    assert_eq!(client.login("admin", PASSWORD).await.command, 0x0100_0101);
    assert_eq!(
        recorded(&simulator, &device).await,
        [Violation::LoginAfterFailure]
    );
}

#[tokio::test]
async fn commands_out_of_turn() {
    let (simulator, device) = start(DeviceSpec {
        before_login: BeforeLogin::Close,
        ..standard()
    });
    let mut client = Client::connect(device.address()).await.unwrap();
    assert!(client.get("/queryIPCInfo", 1).await.is_err());
    assert_eq!(
        recorded(&simulator, &device).await,
        [Violation::CommandBeforeLogin]
    );

    let (simulator, device) = start(standard());
    let mut client = Client::logged_in(device.address()).await;
    simulator.pause();
    let request = [&[4, 0, 0, 0, 1, 0, 0, 0][..], &[0; 64], b"oops\0"].concat();
    client.send(0x0101_0D00, 1, &request).await.unwrap();
    assert_eq!(
        recorded(&simulator, &device).await,
        [Violation::BadTunnelRequest]
    );

    // Two requests are read before the first is answered, since answers are held.
    let text = b"GET /queryIPCInfo HTTP/1.1\r\n\r\n";
    let request = [&[30, 0, 0, 0, 1, 0, 0, 0][..], &[0; 64], &text[..], &[0]].concat();
    let before = device.counters().bytes_in;
    client.send(0x0101_0D00, 2, &request).await.unwrap();
    client.send(0x0101_0D00, 3, &request).await.unwrap();
    let both = u64::try_from(2 * (24 + request.len())).unwrap();
    simulator
        .reached(
            Counter::BytesIn,
            before + both,
            std::time::Duration::from_secs(10),
        )
        .await
        .unwrap();
    simulator.resume();
    client.reply().await.unwrap();
    client.reply().await.unwrap();
    let last = device
        .counters()
        .violation_records
        .last()
        .unwrap()
        .violation;
    assert_eq!(last, Violation::Pipelined);
}
