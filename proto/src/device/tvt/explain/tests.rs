use std::time::Duration;

use proptest::prelude::*;

use super::super::command::CommandId;
use super::super::config::KeySource;
use super::super::decode::{Decoder, Unit};
use super::super::frame::{Frame, HEARTBEAT};
use super::super::init::{INIT_LEN, Init};
use super::super::limits::FRAME_AFTER_LOGIN;
use super::super::login::LoginPlan;
use super::super::tunnel::tunnel_request;
use super::*;
use crate::error::ErrorCode;
use crate::model::report::DeviceFamily;
use crate::model::secret::{Credential, Secret};

fn greeting(version: u8, encrypt: u8, param: [u8; 4], login: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0; INIT_LEN];
    packet[..4].copy_from_slice(b"head");
    packet[12] = version;
    packet[24] = encrypt;
    packet[28..32].copy_from_slice(&param);
    packet[32..38].copy_from_slice(&[0x58, 0x5B, 0x69, 1, 2, 3]);
    packet[40..44].copy_from_slice(&0x0104_0A00_u32.to_le_bytes());
    packet[44..48].copy_from_slice(&login);
    packet
}

fn login(greeting: &[u8], source: KeySource, password: &str) -> Vec<u8> {
    let plan = LoginPlan::choose(&Init::parse(greeting).unwrap(), source).unwrap();
    let credential = Credential {
        username: "operator".into(),
        password: Secret::new(password),
    };
    plan.request(&credential).unwrap()
}

fn piece(sender: Sender, bytes: &[u8]) -> Piece<'_> {
    Piece {
        sender,
        at: Some(Duration::from_millis(5)),
        missing: 0,
        bytes,
    }
}

fn reply(id: u32, payload: Vec<u8>) -> Vec<u8> {
    Frame::new(CommandId(id), 0, 0, payload).encode()
}

fn tunnel_payload(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    [
        &length.to_le_bytes()[..],
        &1_u32.to_le_bytes(),
        &[0; 64],
        content,
    ]
    .concat()
}

fn field<'a>(unit: &'a ExplainedUnit, name: &str) -> Option<&'a FieldValue> {
    unit.fields
        .iter()
        .find(|field| field.name == name)
        .map(|field| &field.value)
}

fn text_of(unit: &ExplainedUnit, name: &str) -> String {
    match field(unit, name) {
        Some(FieldValue::Text(text) | FieldValue::Lines(text)) => text.clone(),
        other => panic!("{name}: {other:?} in {unit:?}"),
    }
}

fn kinds(units: &[ExplainedUnit]) -> Vec<Kind> {
    units.iter().map(|unit| unit.kind).collect()
}

/// Every login variant: its greeting and key source.
fn variants() -> Vec<(&'static str, Vec<u8>, KeySource)> {
    let param = [0xB0, 0x56, 0x1D, 0x7E];
    vec![
        (
            "plain",
            greeting(3, 0, [0; 4], [0, 1, 2, 3]),
            KeySource::LoginBytes,
        ),
        (
            "xor",
            greeting(3, 0, [0; 4], [2, 0x71, 0x0C, 0xE5]),
            KeySource::LoginBytes,
        ),
        (
            "encrypt_param",
            greeting(3, 1, param, [0; 4]),
            KeySource::EncryptParam,
        ),
        (
            "head",
            greeting(11, 0, [0; 4], [2, 0x40, 0xE2, 1]),
            KeySource::LoginBytes,
        ),
    ]
}

/// All ways in which bytes could be shown.
fn forms(bytes: &[u8]) -> Vec<String> {
    let lower = super::super::field::hex(bytes);
    let spaced: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        lower.to_uppercase(),
        lower,
        spaced.join(" "),
        spaced.join(":"),
        format!("{bytes:?}"),
        bytes.escape_ascii().to_string(),
        String::from_utf8_lossy(bytes).into_owned(),
    ]
}

#[test]
fn no_password_comes_out_in_any_form() {
    let password = "Zq7#vW-k9!pLx2";
    for (name, greeting, source) in variants() {
        let request = login(&greeting, source, password);
        // The password's field, or its digest, as it is on the wire.
        let hidden = if name == "head" {
            &request[124..144]
        } else {
            &request[60..92]
        };
        for length in [request.len(), request.len() - 1, request.len() + 4] {
            let mut payload = request[24..].to_vec();
            payload.resize(length - 24, 0);
            let id = u32::from_le_bytes(request[8..12].try_into().unwrap());
            let frame = reply(id, payload);
            for with_greeting in [true, false] {
                let mut pieces = vec![piece(Sender::Client, &frame)];
                if with_greeting {
                    pieces.insert(0, piece(Sender::Device, &greeting));
                }
                let shown = format!("{:#?}", explain(false, pieces));
                assert!(shown.contains(MASK), "{name}");
                for form in forms(password.as_bytes())
                    .into_iter()
                    .chain(forms(&hidden[..14]))
                {
                    assert!(
                        !shown.contains(&form),
                        "{name}, {length} bytes: {form} in {shown}"
                    );
                }
            }
        }
    }
}

#[test]
fn logins_show_who_and_how() {
    let expected = [
        "login as operator, password in clear",
        "login as operator, password under XOR with a key sent in clear",
        "login as operator, password in a way that is not documented",
        "login as operator, password as a digest",
    ];
    for ((name, greeting, source), expected) in variants().into_iter().zip(expected) {
        let request = login(&greeting, source, "secret12");
        let units = explain(
            true,
            [
                piece(Sender::Device, &greeting),
                piece(Sender::Client, &request),
            ],
        );
        assert_eq!(
            kinds(&units),
            [Kind::Greeting, Kind::LoginRequest],
            "{name}"
        );
        assert_eq!(units[1].summary, expected, "{name}");
        assert_eq!(text_of(&units[1], "username"), "operator", "{name}");
        assert_eq!(text_of(&units[1], "password"), MASK, "{name}");
    }
}

#[test]
fn a_hidden_user_name_stays_hidden_without_the_greeting() {
    for (name, greeting, source) in variants() {
        let request = login(&greeting, source, "secret12");
        let units = explain(true, [piece(Sender::Client, &request)]);
        let is_readable = matches!(name, "plain" | "xor");
        assert_eq!(
            field(&units[0], "username").is_some(),
            is_readable,
            "{name}"
        );
        assert_eq!(
            field(&units[0], "username_hidden").is_none(),
            is_readable,
            "{name}"
        );
    }
}

#[test]
fn secrets_inside_the_session_are_masked() {
    let secret = "S3cr3t";
    let contents = [
        format!("GET /x?user=a&pwd={secret} HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("GET /x HTTP/1.1\r\nAuthorization: Basic {secret}\r\n\r\n"),
        format!("GET /x HTTP/1.1\r\nX-Custom: {secret}\r\n {secret}\r\n\r\n"),
        format!("POST /x HTTP/1.1\r\n\r\n<config><password>{secret}</password></config>"),
        format!("POST /x HTTP/1.1\r\n\r\n{{\"userPassword\":\"{secret}\"}}"),
        format!("POST /x HTTP/1.1\r\n\r\n{{\"userPassword\":\"{secret}"),
        format!("POST /x HTTP/1.1\r\n\r\npassword={secret}"),
        format!("HTTP/1.1 200 OK\r\nSet-Cookie: s={secret}\r\n\r\n{{}}"),
        format!("HTTP/1.1 200 OK\r\n\r\n{{\"a\":{{\"url\":\"rtsp://u:{secret}@10.0.0.1/\"}}}}"),
        format!("{{\"Token\":\"{secret}\"}}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFF\r\n{secret}"),
        format!("{secret} is no HTTP"),
    ];
    for content in contents {
        for (sender, id) in [
            (Sender::Client, CommandId::TUNNEL_REQUEST),
            (Sender::Device, CommandId::TUNNEL_REPLY),
        ] {
            let frame = reply(id.0, tunnel_payload(content.as_bytes()));
            let shown = format!("{:#?}", explain(false, [piece(sender, &frame)]));
            assert!(!shown.contains(secret), "{content}: {shown}");
        }
    }
}

#[test]
fn payloads_that_are_not_understood_are_only_counted() {
    let frame = reply(0x0408, b"admin password=hunter2".to_vec());
    let units = explain(false, [piece(Sender::Client, &frame)]);
    assert_eq!(units[0].summary, "request 0x00000408, 22 bytes of payload");
    assert!(!format!("{units:?}").contains("hunter2"));
}

#[test]
fn a_standard_session_reads_from_the_top() {
    let greeting = greeting(3, 0, [0; 4], [2, 0x71, 0x0C, 0xE5]);
    let request = login(&greeting, KeySource::LoginBytes, "secret12");
    let mut accepted = vec![0; 200];
    accepted[58..63].copy_from_slice(b"Front");
    accepted[48..52].copy_from_slice(&20_230_510_u32.to_le_bytes());
    accepted[108] = 1;
    let from_device = [
        &greeting[..],
        &HEARTBEAT,
        &reply(0x0100_0B01, vec![0; 8]),
        &reply(0x0100_0101, accepted),
        &reply(
            CommandId::TUNNEL_REPLY.0,
            tunnel_payload(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n[{\"name\":\"Gate\"}]"),
        ),
    ]
    .concat();
    let from_client = [
        &request[..],
        &tunnel_request("/queryIPCInfo", 1),
        &Frame::new(CommandId(0x0205), 3, 0, Vec::new()).encode(),
        &Frame::logout().encode(),
    ]
    .concat();
    let units = explain(
        true,
        [
            piece(Sender::Device, &from_device),
            piece(Sender::Client, &from_client),
        ],
    );
    let expected = [
        (
            Kind::Greeting,
            "greeting: standard family, protocol 3, firmware 1.4.10.0, MAC 58:5B:69:01:02:03",
        ),
        (Kind::Heartbeat, "heartbeat"),
        (
            Kind::Pushed,
            "pushed frame REPLY_MOTION (status), 8 bytes of payload",
        ),
        (
            Kind::LoginAccepted,
            "login accepted: \"Front\", answers HTTP inside the session",
        ),
        (
            Kind::TunnelReply,
            "HTTP answer inside the session: HTTP/1.1 200 OK; cameras: 1",
        ),
        (
            Kind::LoginRequest,
            "login as operator, password under XOR with a key sent in clear",
        ),
        (
            Kind::TunnelRequest,
            "HTTP request inside the session: GET /queryIPCInfo HTTP/1.1",
        ),
        (
            Kind::Request,
            "request REQUEST_REBOOT (control), 0 bytes of payload, changes the device",
        ),
        (Kind::Logout, "logout"),
    ];
    let found: Vec<_> = units
        .iter()
        .map(|unit| (unit.kind, unit.summary.as_str()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(text_of(&units[3], "built"), "2023-05-10");
    assert_eq!(
        text_of(&units[4], "http_head"),
        "HTTP/1.1 200 OK\nServer: x"
    );
    assert!(
        units
            .iter()
            .all(|unit| unit.family == Some(DeviceFamily::Standard))
    );
}

#[test]
fn a_refusal_has_its_names() {
    for (wire, name, code) in [
        (
            2_u32,
            "NETERR_LOGIN_FAIL_USERPWD_ERR",
            ErrorCode::LoginRejected,
        ),
        (3, "NETERR_LOGIN_FAIL_OVERFLOW", ErrorCode::Busy),
        (
            0x1E,
            "NETERR_LOGIN_FAIL_FORCE_MODITY_PWD",
            ErrorCode::PasswordChangeRequired,
        ),
    ] {
        let frame = reply(CommandId::LOGIN_REFUSED.0, wire.to_le_bytes().to_vec());
        let units = explain(false, [piece(Sender::Device, &frame)]);
        assert_eq!(units[0].kind, Kind::LoginRefused);
        assert_eq!(units[0].code, Some(code));
        assert_eq!(text_of(&units[0], "vendor_name"), name);
    }
}

#[test]
fn a_head_session_shows_its_channels_once() {
    let greeting = greeting(11, 0, [0; 4], [2, 0x40, 0xE2, 1]);
    let mut record = vec![0; 184 + 40];
    record[140..144].copy_from_slice(b"N123");
    record[176] = 2;
    record[178] = 32;
    record[184] = 1;
    record[200] = 1;
    record[204] = 7;
    let frame = reply(0x0100_0304, record);
    let request = login(&greeting, KeySource::LoginBytes, "secret12");
    let units = explain(
        true,
        [
            piece(Sender::Device, &greeting),
            piece(Sender::Device, &frame),
            piece(Sender::Client, &request),
            piece(Sender::Device, &frame),
            piece(Sender::Device, &frame),
        ],
    );
    assert_eq!(
        kinds(&units),
        [
            Kind::Greeting,
            Kind::Reply,
            Kind::LoginRequest,
            Kind::LoginAccepted,
            Kind::Reply
        ]
    );
    assert_eq!(
        units[3].summary,
        "login accepted: serial \"N123\", 2 of at most 32 channels"
    );
    assert_eq!(
        units[1].name, None,
        "ids of the standard family mean nothing here"
    );
    match field(&units[3], "channels") {
        Some(FieldValue::Rows(rows)) => {
            assert_eq!(rows.len(), 2);
            assert_eq!(rows[0][2].value, FieldValue::Text("Online".into()));
            assert_eq!(rows[1][0].value, FieldValue::Number(7));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn breaks_gaps_and_ends_are_told_with_their_places() {
    let heartbeat = HEARTBEAT;
    let broken = [&heartbeat[..], b"junkjunkjunk"].concat();
    let units = explain(
        false,
        [
            piece(Sender::Device, &broken),
            piece(Sender::Device, b"more"),
        ],
    );
    assert_eq!(kinds(&units), [Kind::Heartbeat, Kind::Broken, Kind::Unread]);
    assert_eq!(
        (units[1].offset, units[1].code),
        (8, Some(ErrorCode::ProtocolViolation))
    );
    assert_eq!((units[2].offset, units[2].length), (16, 8));

    let gap = Piece {
        missing: 100,
        ..piece(Sender::Device, &heartbeat)
    };
    let units = explain(false, [piece(Sender::Device, &broken[..11]), gap]);
    assert_eq!(
        kinds(&units),
        [Kind::Heartbeat, Kind::Cut, Kind::Missing, Kind::Unread]
    );
    let places: Vec<_> = units
        .iter()
        .map(|unit| (unit.offset, unit.length))
        .collect();
    assert_eq!(places, [(0, 8), (8, 3), (11, 100), (111, 8)]);

    let units = explain(true, [piece(Sender::Device, b"SSH-2.0-x")]);
    assert_eq!(
        (units[0].kind, units[0].code),
        (Kind::Broken, Some(ErrorCode::NotTvt))
    );
    let units = explain(
        false,
        [piece(Sender::Device, &greeting(3, 0, [0; 4], [0; 4])[..40])],
    );
    assert_eq!(
        (units[0].kind, units[0].code),
        (Kind::Cut, Some(ErrorCode::Truncated))
    );
    assert_eq!(explain(true, []), []);
}

#[test]
fn a_greeting_that_looks_like_a_frame_is_one_at_the_start() {
    let mut packet = greeting(3, 0, [0; 4], [0; 4]);
    packet[4] = 16;
    assert_eq!(
        kinds(&explain(true, [piece(Sender::Device, &packet)])),
        [Kind::Greeting]
    );
    packet[4] = 3;
    assert_eq!(
        kinds(&explain(false, [piece(Sender::Device, &packet)])),
        [Kind::Greeting]
    );
}

#[test]
fn the_number_of_units_is_bounded() {
    let many = HEARTBEAT.repeat(UNITS + 7);
    let mut explainer = Explainer::new(false);
    explainer.take(piece(Sender::Client, &many));
    let explanation = explainer.finish();
    assert_eq!((explanation.units.len(), explanation.omitted), (UNITS, 7));
}

#[test]
fn ids_have_names_in_their_family_only() {
    let id = CommandId(0x0100_0304);
    assert_eq!(command_name(id, Some(DeviceFamily::Head)), None);
    assert_eq!(command_name(id, None), None);
    let known = command_name(id, Some(DeviceFamily::Standard)).unwrap();
    assert_eq!((known.name, known.group), (None, "picture settings"));
    let standard = |id| command_name(CommandId(id), Some(DeviceFamily::Standard));
    for (id, name) in [
        (0x0211, "REQUEST_MULTI_STREAM_INFO"),
        (0x0411, "REQUEST_API_PROTOCOL"),
        (0x0100_020E, "REPLY_MULTI_STREAM_INFO"),
        (0x0100_040F, "REPLY_API_PROTOCOL"),
        (0x0100_0509, "REPLY_LOGDATA"),
        (0x0100_0B07, "REPLY_SD_INFO"),
        (0x0100_1005, "REPLY_SMART_ALARM_MESSAGE"),
        (0x0101_0D00, "HTTP_REQUEST"),
    ] {
        assert_eq!(standard(id).unwrap().name, Some(name), "{id:#x}");
    }
    assert!(standard(0x0205).unwrap().changes && !standard(0x0206).unwrap().changes);
    assert_eq!(standard(0x0100), None);
    assert_eq!(standard(0x0900_0000), None);
}

proptest! {
    #[test]
    fn pieces_make_no_difference_and_all_bytes_have_their_place(
        greeted in any::<bool>(),
        frames in prop::collection::vec(
            (any::<u32>(), prop::collection::vec(any::<u8>(), 0..100)),
            0..6,
        ),
        tail in prop::collection::vec(any::<u8>(), 0..30),
        size in 1_usize..50,
    ) {
        let mut stream = if greeted { greeting(3, 0, [0; 4], [0; 4]) } else { Vec::new() };
        for (id, payload) in frames {
            stream.extend(reply(id, payload));
        }
        stream.extend(tail);
        let whole = explain(false, [piece(Sender::Device, &stream)]);
        let pieces = explain(false, stream.chunks(size).map(|part| piece(Sender::Device, part)));
        prop_assert_eq!(&whole, &pieces);
        let mut at = 0;
        for unit in &whole {
            prop_assert_eq!(unit.offset, at);
            at += unit.length;
        }
        prop_assert_eq!(at, u64::try_from(stream.len()).unwrap());
    }

    #[test]
    fn what_the_decoder_reads_is_what_is_explained(
        stream in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let stream = [&HEARTBEAT[..], &stream].concat();
        let mut decoder = Decoder::after_init(FRAME_AFTER_LOGIN);
        let mut rest = stream.as_slice();
        let mut number = 0;
        while let Ok(Some(Unit::Heartbeat | Unit::Command(_))) = decoder.next(&mut rest) {
            number += 1;
        }
        let units = explain(false, [piece(Sender::Client, &stream)]);
        prop_assert_eq!(units.iter().filter(|unit| !unit.kind.is_trouble()).count(), number);
    }
}
