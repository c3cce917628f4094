//! Pins the codecs of this crate to the shared protocol vectors.

use serde_json::Value;

use super::cipher::{head_digest, head_username, xor};
use super::command;
use super::field::until_nul;
use super::frame::{FLAG, Frame, FrameDefect, Header, Unit, frame, split_frame};
use super::init::{INIT_LEN, Init};
use super::login::{Disguise, head_claim, standard_claim};
use super::reply::{HeadChannel, HeadReply, StandardReply, failure};
use super::tunnel::{TunnelRequest, tunnel_reply};

const FILE: &str = include_str!("../../../vectors/protocol.json");
/// The length limit that the stream vectors are written for.
const STREAM_LIMIT: u32 = 4_194_304;

struct Row {
    name: String,
    input: Value,
    expected: Value,
}

fn rows(op: &str) -> Vec<Row> {
    let file: Value = serde_json::from_str(FILE).unwrap();
    let rows: Vec<Row> = file["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["op"] == op)
        .map(|row| Row {
            name: row["name"].as_str().unwrap().to_owned(),
            input: row["input"].clone(),
            expected: row["expected"].clone(),
        })
        .collect();
    assert!(!rows.is_empty(), "no vectors for {op}");
    rows
}

fn unhex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().as_bytes();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn four(value: &Value) -> [u8; 4] {
    unhex(value).try_into().unwrap()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn byte(value: &Value) -> u8 {
    u8::try_from(value.as_u64().unwrap()).unwrap()
}

fn mac_bytes(value: &Value) -> Vec<u8> {
    value
        .as_str()
        .unwrap()
        .split(':')
        .map(|part| u8::from_str_radix(part, 16).unwrap())
        .collect()
}

#[test]
fn init_packets_are_built_as_the_vectors_have_them() {
    for row in rows("parse_init_full") {
        let expected = &row.expected;
        let packet = unhex(&row.input["packet_hex"]);
        let init = Init {
            flag: *b"head",
            dev_type: number(&expected["dev_type"]),
            product_type: number(&expected["product_type"]),
            protocol_ver: number(&expected["protocol_ver"]),
            config_ver: number(&expected["config_ver"]),
            id: number(&expected["id"]),
            encrypt_type: number(&expected["encrypt_type"]),
            encrypt_param: four(&expected["encrypt_param_hex"]),
            mac: mac_bytes(&expected["mac8"]).try_into().unwrap(),
            software_ver: number(&expected["software_ver"]),
            login_encrypt: byte(&expected["login_encrypt"]),
            login_nonce: unhex(&expected["login_nonce_hex"]).try_into().unwrap(),
            soft_encrypt: number(&expected["support_soft_encrypt"]),
            transport_encrypt: byte(&expected["transport_encrypt_type"]),
        };
        assert_eq!(init.encode()[..], packet[..INIT_LEN], "{}", row.name);
    }
}

#[test]
fn headers_are_built_as_the_vectors_have_them() {
    for row in rows("build_header") {
        let input = &row.input;
        let header = Header {
            flag: input["flag"]
                .as_str()
                .unwrap()
                .as_bytes()
                .try_into()
                .unwrap(),
            command: number(&input["cmd"]),
            id: number(&input["cmd_id"]),
            version: number(&input["cmd_ver"]),
            data_len: number(&input["data_len"]),
        };
        assert_eq!(
            header.encode(),
            unhex(&row.expected["bytes_hex"]),
            "{}",
            row.name
        );
    }
}

#[test]
fn password_and_username_fields_match() {
    for row in rows("password_field_standard") {
        let mut field = row.input["password"].as_str().unwrap().as_bytes().to_vec();
        field.resize(32, 0);
        let key = (!row.input["init_hex"].is_null()).then(|| unhex(&row.input["init_hex"]));
        if let Some(init) = key.filter(|init| matches!(init[44], 1 | 2)) {
            field = xor(&field, init[44..48].try_into().unwrap());
        }
        assert_eq!(field, unhex(&row.expected["bytes_hex"]), "{}", row.name);
    }
    for row in rows("password_field_head") {
        let digest = head_digest(
            row.input["password"].as_str().unwrap(),
            number(&row.input["nonce"]),
        );
        assert_eq!(
            digest[..],
            unhex(&row.expected["bytes_hex"]),
            "{}",
            row.name
        );
    }
    for row in rows("username_field_head") {
        let field = head_username(
            row.input["username"].as_str().unwrap(),
            number(&row.input["nonce"]),
        );
        assert_eq!(field[..], unhex(&row.expected["bytes_hex"]), "{}", row.name);
    }
}

#[test]
fn login_packets_are_accepted_with_their_own_credentials_only() {
    let mut checked = 0;
    for row in rows("login_packet") {
        if row.expected.get("packet_hex").is_none() {
            continue;
        }
        let init = unhex(&row.input["init_hex"]);
        let user = row.input["username"].as_str().unwrap();
        let password = row.input["password"].as_str().unwrap();
        let packet = unhex(&row.expected["packet_hex"]);
        let Unit::Frame(
            Frame::Command {
                command, payload, ..
            },
            used,
        ) = split_frame(&packet, 65_536)
        else {
            panic!("{}: no frame", row.name);
        };
        assert_eq!(used, packet.len(), "{}", row.name);
        let head = u32::from_le_bytes(init[12..16].try_into().unwrap()) >= 11;
        let nonce = u32::from_le_bytes([init[45], init[46], init[47], 0]);
        let disguise = match init[44] {
            1 | 2 => Disguise::Password(init[44..48].try_into().unwrap()),
            _ => Disguise::Plain,
        };
        let check = |user: &str, password: &str| {
            if head {
                head_claim(&payload, nonce, user, password)
            } else {
                standard_claim(&payload, disguise, user, password)
            }
        };
        assert_eq!(
            command,
            if head {
                command::HEAD_LOGIN
            } else {
                command::LOGIN
            },
            "{}",
            row.name
        );
        let claim = check(user, password).unwrap();
        assert_eq!(
            (claim.valid, claim.username.as_str()),
            (true, user),
            "{}",
            row.name
        );
        assert!(
            !check(user, &format!("{password}x")).unwrap().valid,
            "{}",
            row.name
        );
        assert!(
            !check(&format!("x{user}"), password).unwrap().valid,
            "{}",
            row.name
        );
        assert!(standard_claim(&payload[1..], disguise, user, password).is_none());
        checked += 1;
    }
    assert!(checked > 30, "only {checked} login vectors checked");
}

#[test]
fn standard_success_replies_are_built_as_the_vectors_have_them() {
    for row in rows("parse_login_success_full") {
        let want = &row.expected;
        let reply = StandardReply {
            config_data_len: number(&want["ConfigDataLen"]),
            ptz_preset_num: number(&want["PTZPresetNum"]),
            ptz_cruise_num: number(&want["PTZCruiseNum"]),
            ptz_presets_per_cruise: number(&want["PTZPresetNumForCruise"]),
            preset_name_max: number(&want["PresetNameMaxLen"]),
            cruise_name_max: number(&want["CruiseNameMaxLen"]),
            support_ptz: byte(&want["bSupportPTZ"]),
            video_format: byte(&want["videoFormat"]),
            sensor_inputs: byte(&want["sensorInNum"]),
            alarm_outputs: byte(&want["alarmOutNum"]),
            stream_count: byte(&want["ucStreamCount"]),
            support_snap: byte(&want["bSupportSnap"]),
            live_audio: byte(&want["ucLiveAudioStream"]),
            talk_audio: byte(&want["ucTalkAudioStream"]),
            audio_encoding: byte(&want["audioEncodeType"]),
            audio_bits: byte(&want["audioBitWidth"]),
            audio_channels: byte(&want["audioChannel"]),
            audio_rate: number(&want["dwAudioSample"]),
            user_right: number(&want["UserRight"]),
            software_ver: four(&want["softwareVer"]),
            build_date: number(&want["buildDate"]),
            mac: mac_bytes(&want["mac"]).try_into().unwrap(),
            device_name: want["deviceName"].as_str().unwrap().as_bytes().to_vec(),
            customer_id: number(&want["nCustomerID"]),
            picture_defaults: [
                byte(&want["defBrightness"]),
                byte(&want["defContrast"]),
                byte(&want["defHue"]),
                byte(&want["defSaturation"]),
            ],
            no_ptz: byte(&want["noSupportPTZ"]),
            speed_dome: byte(&want["speedDomePTZ"]),
            frame_rate: byte(&want["framerate"]),
            set_sub_stream: byte(&want["bSupportSetSubStream"]),
            flags: number(&want["_bf_68"]),
            pass_through_api: byte(&want["supportPassThroughApi"]),
            multi_channel: byte(&want["bSupportMultiChannel"]),
            api_version: number(&want["apiVersion"]),
            binary_version: number(&want["binaryVersion"]),
            more_flags: number(&want["_bf_78"]),
        };
        // Bytes 30, 110, 111 and 124..200 have no known meaning; the vectors may fill them, and
        // one has rubbish behind the end of the name.
        let mut payload = unhex(&row.input["payload_hex"]);
        let name_end = 58 + until_nul(&payload[58..92]).len();
        payload[name_end..92].fill(0);
        for at in [30, 110, 111].into_iter().chain(124..payload.len()) {
            payload[at] = 0;
        }
        assert_eq!(reply.encode(), payload, "{}", row.name);
    }
    for row in rows("parse_login_fail")
        .iter()
        .filter(|row| row.expected["code"].is_u64())
    {
        let payload = unhex(&row.input["payload_hex"]);
        assert_eq!(
            failure(number(&row.expected["code"])),
            payload[..4],
            "{}",
            row.name
        );
    }
}

#[test]
fn head_success_replies_are_built_as_the_vectors_have_them() {
    let mut checked = 0;
    for row in rows("parse_login_success_head") {
        let payload = unhex(&row.input["payload_hex"]);
        let Some(cameras) = row.expected["cameras"].as_array() else {
            continue;
        };
        let word = |at: usize| u16::from_le_bytes([payload[at], payload[at + 1]]);
        let records = cameras
            .iter()
            .enumerate()
            .map(|(index, camera)| {
                let online = camera["status"] == "Online";
                let status = payload[184 + index * 20 + 16..][..4].try_into().unwrap();
                let status = u32::from_le_bytes(status);
                assert_eq!(online, status & 0xFF == 1, "{}", row.name);
                HeadChannel {
                    number: number(&camera["channel"]),
                    status,
                }
            })
            .collect();
        // The expected serial is trimmed, which is the reader's business.
        let serial = until_nul(&payload[140..172]).to_vec();
        let trimmed = String::from_utf8_lossy(&serial).trim().to_owned();
        assert_eq!(row.expected["device_name"], trimmed, "{}", row.name);
        let reply = HeadReply {
            serial,
            count: u16::try_from(number(&row.expected["channel_count"])).unwrap(),
            max_channels: word(178),
            flags: u32::from(word(180)) | u32::from(word(182)) << 16,
            records,
        };
        let built = reply.encode();
        assert_eq!(built[140..], payload[140..built.len()], "{}", row.name);
        assert_eq!(built[16..20], payload[16..20], "{}", row.name);
        checked += 1;
    }
    assert!(checked > 5, "only {checked} head replies checked");
}

#[test]
fn tunnel_requests_are_read_and_replies_built() {
    for row in rows("http_request_packet") {
        let packet = unhex(&row.expected["packet_hex"]);
        let Unit::Frame(
            Frame::Command {
                command, payload, ..
            },
            _,
        ) = split_frame(&packet, 65_536)
        else {
            panic!("{}: no frame", row.name);
        };
        assert_eq!(command, command::TUNNEL_REQUEST, "{}", row.name);
        let request = TunnelRequest::decode(&payload).unwrap();
        assert_eq!(request.method, "GET", "{}", row.name);
        assert_eq!(
            request.path,
            row.input["path"].as_str().unwrap(),
            "{}",
            row.name
        );
        assert_eq!(request.seq, number(&row.input["seq"]), "{}", row.name);
    }
    for row in rows("http_reply_content")
        .iter()
        .filter(|row| row.expected["error"].is_null())
    {
        let payload = unhex(&row.input["payload_hex"]);
        let content = unhex(&row.expected["content_hex"]);
        let length = u32::from_le_bytes(payload[0..4].try_into().unwrap());
        let seq = u32::from_le_bytes(payload[4..8].try_into().unwrap());
        let built = tunnel_reply(seq, length, &content);
        assert!(payload.starts_with(&built), "{}", row.name);
    }
}

#[test]
fn streams_are_split_as_the_vectors_have_them() {
    for row in rows("decode_stream") {
        let stream = unhex(&row.input["stream_hex"]);
        let expected: Vec<Value> = row.expected["events"].as_array().unwrap().clone();
        // A device reads no greeting: the vectors start with one, which is checked elsewhere.
        if expected.first().is_none_or(|event| event["kind"] != "init") {
            continue;
        }
        let mut rest = &stream[INIT_LEN..];
        for event in &expected[1..] {
            match split_frame(rest, STREAM_LIMIT) {
                Unit::Frame(Frame::Heartbeat, used) => {
                    assert_eq!(event["kind"], "keepalive", "{}", row.name);
                    rest = &rest[used..];
                }
                Unit::Frame(
                    Frame::Command {
                        command, payload, ..
                    },
                    used,
                ) => {
                    assert_eq!(event["kind"], "command", "{}", row.name);
                    assert_eq!(number(&event["cmd"]), command, "{}", row.name);
                    assert_eq!(unhex(&event["payload_hex"]), payload, "{}", row.name);
                    rest = &rest[used..];
                }
                Unit::Incomplete => assert_eq!(event["error"], "truncated", "{}", row.name),
                Unit::Malformed(FrameDefect::TooLarge) => {
                    assert_eq!(event["error"], "frame_too_large", "{}", row.name);
                }
                Unit::Malformed(_) => assert_eq!(event["kind"], "error", "{}", row.name),
            }
        }
    }
}

#[test]
fn every_prefix_of_a_frame_is_incomplete() {
    let whole = frame(command::LOGIN, 7, &[1, 2, 3]);
    assert!(whole.starts_with(&FLAG));
    for cut in 0..whole.len() {
        assert_eq!(
            split_frame(&whole[..cut], 65_536),
            Unit::Incomplete,
            "cut at {cut}"
        );
    }
    let command = Frame::Command {
        command: command::LOGIN,
        id: 7,
        payload: vec![1, 2, 3],
    };
    assert_eq!(
        split_frame(&whole, 65_536),
        Unit::Frame(command, whole.len())
    );
    assert_eq!(
        split_frame(b"1111\x0f\0\0\0", 16),
        Unit::Malformed(FrameDefect::Length)
    );
    assert_eq!(
        split_frame(b"1111\x11\0\0\0", 16),
        Unit::Malformed(FrameDefect::TooLarge)
    );
    assert_eq!(split_frame(b"AAAA", 16), Unit::Malformed(FrameDefect::Flag));
}
