//! `tvtctl decode`: how an explanation looks.

use std::fmt::Write as _;

use tvtfleet_proto::device::tvt::{
    CommandId, Frame, HEARTBEAT, INIT_LEN, Init, KeySource, LoginPlan, tunnel_request,
};
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::secret::{Credential, Secret};

use crate::sandbox::Sandbox;

const PASSWORD: &str = "Zq7#vW-k9!pLx2";

/// `length` zeros with these fields at their offsets.
fn fields(length: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (at, field) in fields {
        for (target, byte) in bytes.iter_mut().skip(*at).zip(*field) {
            *target = *byte;
        }
    }
    bytes
}

/// A greeting with a protocol version and a login mode.
fn greeting(version: u8, mode: u8) -> Vec<u8> {
    fields(
        INIT_LEN,
        &[
            (0, b"head"),
            (4, &[3]),
            (12, &[version]),
            (32, &[0x58, 0x5B, 0x69, 0x10, 0x00, 0x0B]),
            (40, &0x0104_0A00_u32.to_le_bytes()),
            (44, &[mode, 0x40, 0xE2, 0x01]),
        ],
    )
}

fn login(greeting: &[u8]) -> Vec<u8> {
    let plan = LoginPlan::choose(&Init::parse(greeting).unwrap(), KeySource::LoginBytes).unwrap();
    let credential = Credential {
        username: "operator".to_owned(),
        password: Secret::new(PASSWORD),
    };
    plan.request(&credential).unwrap()
}

fn reply(id: u32, payload: &[u8]) -> Vec<u8> {
    Frame::new(CommandId(id), 0, 0, payload.to_vec()).encode()
}

/// Units as a dump: the device's lines begin with `<`, the client's with `>`.
fn dump(units: &[(char, Vec<u8>)]) -> String {
    let mut text = String::from("# from a support case\n");
    for (mark, bytes) in units {
        text.push(*mark);
        for byte in bytes {
            write!(text, " {byte:02x}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn camera() -> String {
    let greeting = greeting(3, 2);
    let accepted = fields(
        200,
        &[
            (48, &20_230_510_u32.to_le_bytes()),
            (58, b"Front gate"),
            (108, &[1]),
        ],
    );
    let content = format!(
        "HTTP/1.1 200 OK\r\nSet-Cookie: {PASSWORD}\r\n\r\n[{{\"name\":\"Gate\",\"password\":\"{PASSWORD}\"}}]"
    );
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    let answer = [
        &length[..],
        &1_u32.to_le_bytes(),
        &[0; 64],
        content.as_bytes(),
    ]
    .concat();
    dump(&[
        ('<', greeting.clone()),
        ('<', [HEARTBEAT, HEARTBEAT].concat()),
        ('>', login(&greeting)),
        ('<', reply(0x0100_0B01, &[0; 8])),
        ('<', reply(0x0100_0101, &accepted)),
        ('>', tunnel_request("/queryIPCInfo?token=abc", 1)),
        ('<', reply(0x0101_0D01, &answer)),
        ('>', reply(0x0205, &[])),
        ('>', Frame::logout().encode()),
    ])
}

fn recorder() -> String {
    let greeting = greeting(11, 2);
    let mut accepted = fields(184, &[(140, b"N1234567"), (176, &[3]), (178, &[32])]);
    for number in 1..=3_u8 {
        accepted.extend(fields(20, &[(0, &[number]), (16, &[number % 2])]));
    }
    dump(&[
        ('<', greeting.clone()),
        ('>', login(&greeting)),
        ('<', reply(0x0100_0204, &[0x44, 3, 0, 0x20])),
        ('>', login(&greeting)),
        ('<', reply(0x0100_0304, &accepted)),
        ('<', b"junk and more".to_vec()),
    ])
}

async fn decode(name: &str, text: &str, arguments: &[&str]) -> String {
    let sandbox = Sandbox::new().file(name, text);
    let finished = sandbox
        .run(&[&["decode", name][..], arguments].concat())
        .await;
    let shown = finished.shown();
    assert!(!shown.contains(PASSWORD), "{shown}");
    shown
}

#[tokio::test]
async fn a_camera_is_explained_field_by_field() {
    insta::assert_snapshot!(decode("camera.hex", &camera(), &[]).await);
}

#[tokio::test]
async fn a_recorder_is_explained_line_by_line() {
    insta::assert_snapshot!(decode("recorder.hex", &recorder(), &["--brief"]).await);
}

#[tokio::test]
async fn a_recorder_is_explained_as_json() {
    insta::assert_snapshot!(decode("recorder.hex", &recorder(), &["--format", "json"]).await);
}

#[tokio::test]
async fn digits_on_the_command_line_are_read() {
    let sandbox = Sandbox::new();
    let finished = sandbox
        .run(&["decode", "--brief", "31313131 00000000"])
        .await;
    assert_eq!(finished.status, ExitStatus::Success);
    assert_eq!(finished.stdout, "dump\n  < 0+8          heartbeat\n");
    let finished = sandbox
        .run(&["decode", "--brief", "--from", "client", "3131313100000000"])
        .await;
    assert_eq!(finished.stdout, "dump\n  > 0+8          heartbeat\n");
    let finished = sandbox.run(&["decode", "no-such-file.pcap"]).await;
    assert_eq!(finished.status, ExitStatus::Config);
    let finished = sandbox.run(&["decode", "313"]).await;
    assert_eq!(finished.status, ExitStatus::Usage);
}
