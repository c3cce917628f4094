//! What our codec sends and reads, beside a second decoder: Wireshark's `tshark` with the public
//! dissector.
//!
//! The dissector is not ours to ship. `TVT_DISSECTOR=DIR` names a checkout of it, see the README of
//! the tests; without it, or without `tshark`, the test says so and ends.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tvtfleet_proto::device::tvt::explain::{
    ExplainedUnit, FieldValue, Kind, Piece, Sender, explain,
};
use tvtfleet_tests::exchange;
use tvtfleet_tests::pcap::{Capture, Link};

/// The environment variable that names the dissector's folder.
const DISSECTOR: &str = "TVT_DISSECTOR";

/// Fields of the dissector, with the field of ours, if another than a number is compared.
const FIELDS: [(&str, &str, Kind); 14] = [
    ("ipc.device.protocolVer", "protocol_version", Kind::Greeting),
    ("ipc.init.devType", "device_type", Kind::Greeting),
    ("ipc.init.EncryptType", "encrypt_type", Kind::Greeting),
    ("ipc.init.loginEncrypt", "login_encrypt", Kind::Greeting),
    ("ipc.init.loginNonce", "login_nonce", Kind::Greeting),
    ("ipc.login.connectType", "connect_type", Kind::LoginRequest),
    (
        "ipc.login.computerName",
        "computer_name",
        Kind::LoginRequest,
    ),
    (
        "ipc.device.protocolVer",
        "client_protocol_version",
        Kind::LoginRequest,
    ),
    (
        "ipc.config.ConfigDataLen",
        "config_data_len",
        Kind::LoginAccepted,
    ),
    ("ipc.config.buildDate", "build_date", Kind::LoginAccepted),
    ("ipc.config.deviceName", "device_name", Kind::LoginAccepted),
    (
        "ipc.config.supportPassThroughApi",
        "pass_through_api",
        Kind::LoginAccepted,
    ),
    (
        "ipc.http.content.len",
        "content_length",
        Kind::TunnelRequest,
    ),
    ("ipc.http.seq", "sequence", Kind::TunnelReply),
];

#[test]
fn another_decoder_reads_the_same() {
    let Some(folder) = std::env::var_os(DISSECTOR) else {
        println!("skipped: {DISSECTOR} names no dissector");
        return;
    };
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: there is no tshark");
        return;
    }
    let messages = exchange::camera_scan();
    let frames = dissect(Path::new(&folder), &messages);
    let units = explain(
        true,
        messages.iter().map(|(from_client, bytes)| Piece {
            sender: if *from_client {
                Sender::Client
            } else {
                Sender::Device
            },
            at: None,
            missing: 0,
            bytes,
        }),
    );
    assert_eq!(
        frames.len(),
        units.len(),
        "one frame for each unit: {frames:#?}"
    );
    for (frame, unit) in frames.iter().zip(&units) {
        compare(frame, unit);
    }
}

/// Runs `tshark` on a capture with one unit for each segment, which is what the dissector can read;
/// gives the dissector's fields of each frame.
fn dissect(folder: &Path, messages: &[exchange::Message]) -> Vec<Value> {
    let mut capture = Capture::open(
        Link::Ethernet,
        "10.0.0.5:50000".parse().unwrap(),
        "10.0.0.9:6036".parse().unwrap(),
    );
    for (from_client, bytes) in messages {
        if *from_client {
            capture.client_says(bytes);
        } else {
            capture.device_says(bytes);
        }
    }
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("scan.pcap");
    std::fs::write(&file, capture.pcap()).unwrap();
    let folder = folder.canonicalize().unwrap();
    let script = folder.join("proto/ipc.lua");
    let output = Command::new("tshark")
        .env("HOME", home.path())
        .env(
            "LUA_PATH",
            format!("{0}/?.lua;{0}/proto/struct/?.lua;;", folder.display()),
        )
        .arg("-X")
        .arg(format!("lua_script:{}", script.display()))
        .args([
            "-d",
            "tcp.port==6036,ipc",
            "-Y",
            "ipc",
            "-T",
            "json",
            "--no-duplicate-keys",
            "-r",
        ])
        .arg(&file)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(!errors.contains("Lua Error"), "{errors}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packets = document.as_array().unwrap();
    packets
        .iter()
        .map(|packet| packet["_source"]["layers"].clone())
        .collect()
}

fn compare(frame: &Value, unit: &ExplainedUnit) {
    if let Some(command) = unit.command {
        let id = find(frame, "ipc.cmd").unwrap_or_else(|| panic!("no command in {frame:#}"));
        let id = u32::from_str_radix(id.trim_start_matches("0x"), 16).unwrap();
        assert_eq!(id, command.0, "{unit:?}");
    }
    for (theirs, ours, kind) in FIELDS {
        if unit.kind != kind {
            continue;
        }
        let theirs = find(frame, theirs).unwrap_or_else(|| panic!("no {theirs} in {frame:#}"));
        let field = unit.fields.iter().find(|field| field.name == ours);
        let ours = match &field
            .unwrap_or_else(|| panic!("no {ours} in {unit:?}"))
            .value
        {
            FieldValue::Number(number) => number.to_string(),
            FieldValue::Text(text) | FieldValue::Lines(text) => text.clone(),
            FieldValue::Rows(_) => panic!("{ours} is a table"),
        };
        // Bytes are written as 71:0c:e5.
        assert_eq!(theirs.replace(':', ""), ours, "{unit:?}");
    }
}

/// The value of a field anywhere in a tree.
fn find(tree: &Value, name: &str) -> Option<String> {
    match tree {
        Value::Object(object) => match object.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Array(list)) => list.first()?.as_str().map(str::to_owned),
            Some(_) | None => object.values().find_map(|member| find(member, name)),
        },
        Value::Array(list) => list.iter().find_map(|member| find(member, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
