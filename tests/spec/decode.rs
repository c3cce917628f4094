//! `tvtctl decode` on captures: every kind of capture gives the same explanation, without passwords.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tvtfleet_tests::exchange::{self, PASSWORD, USERNAME};
use tvtfleet_tests::fleet::Said;
use tvtfleet_tests::pcap::{Capture, Link};
use tvtfleet_tests::program::Program;

async fn decode(file: &[u8], arguments: &[&str]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("capture"), file).unwrap();
    let program = Program::new("tvtctl", folder.path());
    program
        .args(["decode", "capture"])
        .args(arguments)
        .run(Duration::from_secs(30))
        .await
        .into()
}

fn addresses(is_v6: bool) -> (SocketAddr, SocketAddr) {
    if is_v6 {
        (
            "[fd00::5]:50000".parse().unwrap(),
            "[fd00::9]:9008".parse().unwrap(),
        )
    } else {
        (
            "10.0.0.5:50000".parse().unwrap(),
            "10.0.0.9:9008".parse().unwrap(),
        )
    }
}

/// A capture of a scan; `piece` is the largest segment.
fn capture(link: Link, is_v6: bool, piece: usize) -> Capture {
    let (client, device) = addresses(is_v6);
    let mut capture = Capture::open(link, client, device);
    for (from_client, bytes) in exchange::camera_scan() {
        for segment in bytes.chunks(piece) {
            if from_client {
                capture.client_says(segment);
            } else {
                capture.device_says(segment);
            }
        }
    }
    capture.close();
    capture
}

/// What was said, without the times, which follow the segments.
fn said(document: &Value) -> Vec<(String, String)> {
    let units = document["exchanges"][0]["units"].as_array().unwrap();
    let text = |unit: &Value, key: &str| unit[key].as_str().unwrap().to_owned();
    units
        .iter()
        .map(|unit| (text(unit, "kind"), text(unit, "summary")))
        .collect()
}

#[tokio::test]
async fn every_kind_of_capture_is_read() {
    let first = decode(
        &capture(Link::Ethernet, false, 1460).pcap(),
        &["--format", "json"],
    )
    .await;
    let first = said(&first.ended(0).json());
    let kinds: Vec<&str> = first.iter().map(|(kind, _)| kind.as_str()).collect();
    let expected = [
        "greeting",
        "heartbeat",
        "login_request",
        "pushed",
        "login_accepted",
        "tunnel_request",
        "tunnel_reply",
        "logout",
    ];
    assert_eq!(kinds, expected);
    for link in Link::ALL {
        for is_v6 in [false, true] {
            let capture = capture(link, is_v6, 41);
            for file in [capture.pcap(), capture.pcapng()] {
                let document = decode(&file, &["--format", "json"]).await.ended(0).json();
                assert_eq!(said(&document), first, "{link:?}, IPv6 {is_v6}");
                let exchange = &document["exchanges"][0];
                assert_eq!(exchange["device"], addresses(is_v6).1.to_string());
                assert_eq!(exchange["ended_by"], "client");
                assert_eq!(exchange["from_the_start"], true);
            }
        }
    }
}

#[tokio::test]
async fn no_form_of_output_shows_the_password() {
    let file = capture(Link::Ethernet, false, 1460).pcap();
    for arguments in [&[][..], &["--brief"], &["--format", "json"]] {
        let said = decode(&file, arguments).await.ended(0);
        assert!(said.stdout.contains(USERNAME), "{}", said.stdout);
        assert!(
            !said.stdout.contains(PASSWORD) && !said.stderr.contains(PASSWORD),
            "{}",
            said.stdout
        );
    }
}

#[tokio::test]
async fn lost_and_shuffled_packets_are_told_apart() {
    let mut shuffled = capture(Link::Ethernet, false, 41);
    shuffled.disturb(|packets| packets.reverse());
    let document = decode(&shuffled.pcap(), &["--format", "json"])
        .await
        .ended(0)
        .json();
    let kinds: Vec<String> = said(&document).into_iter().map(|(kind, _)| kind).collect();
    assert!(kinds.contains(&"login_accepted".to_owned()) && kinds.contains(&"logout".to_owned()));

    let mut lossy = capture(Link::Ethernet, false, 1460);
    // Opening, answer, greeting, heartbeat, login: the pushed frame is lost.
    lossy.disturb(|packets| {
        packets.remove(5);
    });
    let said = decode(&lossy.pcap(), &["--brief"]).await.ended(1);
    assert!(
        said.stdout.contains("the capture lacks 32 bytes"),
        "{}",
        said.stdout
    );

    let mut cut = capture(Link::Ethernet, false, 1460).pcap();
    cut.truncate(cut.len() - 10);
    let said = decode(&cut, &["--brief"]).await.ended(0);
    assert!(
        said.stderr.contains("ends in the middle of a packet"),
        "{}",
        said.stderr
    );
}

#[tokio::test]
async fn what_is_no_capture_of_a_device_is_said_so() {
    let file = capture(Link::Ethernet, false, 1460).pcap();
    let said = decode(&file, &["--port", "6036"]).await.ended(1);
    assert!(
        said.stderr.contains("no TCP connection to port 6036"),
        "{}",
        said.stderr
    );
    let said = decode(b"\xff\xfe\x00 neither", &[]).await.ended(2);
    assert!(
        said.stderr.contains("neither a capture nor hexadecimal"),
        "{}",
        said.stderr
    );
    let said = decode(&file[..10], &[]).await.ended(3);
    assert!(said.stderr.contains("cannot read"), "{}", said.stderr);
}
