//! What a recorder answers now, encoded once and shared by all its connections.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fault::{Fault, TunnelBody};
use super::random::Random;
use super::script::Script;
use super::spec::{DeviceSpec, XorKey};
use crate::wire::field::put;
use crate::wire::frame::{FLAG, HEAD_FLAG};
use crate::wire::init::Init;
use crate::wire::login::Disguise;
use crate::wire::reply::{
    HEAD_REPLY_MIN, HeadChannel, HeadReply, STANDARD_REPLY_LEN, StandardReply,
};
use crate::wire::tunnel::http_response;

/// Path of the tunnelled channel list.
const CHANNEL_PATH: &str = "/queryIPCInfo";
/// Most channels that a recorder of any size is sold with.
const USUAL_MAX_CHANNELS: u16 = 32;
/// Depth of the deep JSON fault.
const DEEP: usize = 5_000;
/// A name whose bytes are no UTF-8: "Ger" + Latin-1 ae + "t".
const LATIN_NAME: [u8; 6] = *b"Ger\xE4t\0";

/// The state of one recorder with its encoded replies.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) spec: DeviceSpec,
    standard_reply: Vec<u8>,
    head_reply: Vec<u8>,
    answers: BTreeMap<String, Answer>,
    not_found: Vec<u8>,
}

/// HTTP content for one tunnelled path.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status line, headers and body.
    pub(crate) content: Vec<u8>,
    /// The content is a channel list, as it should be.
    pub(crate) channel_list: bool,
    body: Vec<u8>,
}

/// What one connection was greeted with.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    /// Nonce of the head variant, 24 bits.
    pub(crate) nonce: u32,
    /// How a standard login must hide its credentials.
    pub(crate) disguise: Disguise,
    /// The 64 greeting bytes.
    pub(crate) greeting: Vec<u8>,
}

impl Live {
    /// Encodes the replies of a recorder.
    pub(crate) fn new(spec: DeviceSpec) -> Self {
        let mut answers = BTreeMap::new();
        if !spec.cameras.is_empty() {
            let list = json!({ "IPCInfo": spec.cameras });
            answers.insert(CHANNEL_PATH.to_owned(), Answer::new(CHANNEL_PATH, &list));
        }
        for (path, reply) in &spec.path_replies {
            answers.insert(path.clone(), Answer::new(path, reply));
        }
        Self {
            standard_reply: standard_reply(&spec).encode(),
            head_reply: padded(head_reply(&spec).encode(), HEAD_REPLY_MIN),
            answers,
            not_found: http_response("404 Not Found", "text/plain", b"not found"),
            spec,
        }
    }

    /// Makes up the greeting of one connection.
    pub(crate) fn challenge(&self, script: &Script, random: &mut Random) -> Challenge {
        let spec = &self.spec;
        let fresh = u32::try_from(random.below(1 << 24)).unwrap_or(0);
        let nonce = spec.nonce.unwrap_or(fresh) & 0x00FF_FFFF;
        let [low, middle, high, _] = nonce.to_le_bytes();
        let fresh = u32::try_from(random.next() >> 32)
            .unwrap_or(0)
            .to_le_bytes();
        let param = if spec.encrypt_type == 0 && spec.xor_key == XorKey::LoginBytes {
            [0; 4]
        } else {
            fresh
        };
        let disguise = match (spec.xor_key, spec.encrypt) {
            (XorKey::EncryptParam, _) => Disguise::Both(param),
            (XorKey::LoginBytes, 1 | 2) => Disguise::Password([spec.encrypt, low, middle, high]),
            (XorKey::LoginBytes, _) => Disguise::Plain,
        };
        let mut mac = [0; 8];
        put(&mut mac, 0, &spec.mac.0);
        let wrong_flag = script.has(&Fault::GreetingFlag1111);
        let init = Init {
            flag: if wrong_flag { FLAG } else { HEAD_FLAG },
            dev_type: script.dev_type().unwrap_or(spec.dev_type),
            protocol_ver: spec.protocol_version(),
            encrypt_type: spec.encrypt_type,
            encrypt_param: param,
            mac,
            software_ver: u32::from_be_bytes(spec.firmware.0),
            login_encrypt: spec.encrypt,
            login_nonce: [low, middle, high],
            ..Init::default()
        };
        Challenge {
            nonce,
            disguise,
            greeting: init.encode().to_vec(),
        }
    }

    /// Returns the payload of a login success; the flag says whether it is as it should be.
    pub(crate) fn login_payload(&self, script: &Script) -> (Vec<u8>, bool) {
        let head = self.spec.is_head();
        let mut payload = if head {
            self.head_reply.clone()
        } else {
            self.standard_reply.clone()
        };
        let mut faithful = true;
        if script.has(&Fault::NonUtf8Name) {
            put(&mut payload, if head { 140 } else { 58 }, &LATIN_NAME);
        }
        if let (true, Some(count)) = (head, script.head_count()) {
            put(&mut payload, 16, &u32::from(count).to_le_bytes());
            put(&mut payload, 176, &count.to_le_bytes());
            faithful = false;
        }
        if let Some(size) = script.login_reply_size() {
            let size = usize::from(size);
            faithful &= !head || size >= payload.len();
            payload.resize(size, 0);
        }
        (payload, faithful)
    }

    /// Returns the answer for a tunnelled path.
    pub(crate) fn answer(&self, path: &str) -> Option<&Answer> {
        self.answers.get(path)
    }

    /// Returns the content for every other path.
    pub(crate) fn not_found(&self) -> &[u8] {
        &self.not_found
    }
}

impl Answer {
    fn new(path: &str, value: &Value) -> Self {
        let body = value.to_string().into_bytes();
        Self {
            content: http_response("200 OK", "application/json", &body),
            channel_list: path == CHANNEL_PATH || path.ends_with("/Channel/Table"),
            body,
        }
    }

    /// Returns what a fault puts in place of the content.
    pub(crate) fn distorted(&self, body: TunnelBody) -> Vec<u8> {
        let json = |body: &[u8]| http_response("200 OK", "application/json", body);
        match body {
            TunnelBody::Chunked => chunked(&self.body),
            TunnelBody::Html => http_response(
                "200 OK",
                "text/html",
                b"<html><head><title>WEB SERVICE</title></head><body>login</body></html>",
            ),
            TunnelBody::Xml => http_response(
                "200 OK",
                "application/xml",
                b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
                  <config version=\"1.0\"><status>fail</status></config>",
            ),
            TunnelBody::DeepJson => json(["[".repeat(DEEP), "]".repeat(DEEP)].concat().as_bytes()),
            TunnelBody::InvalidUtf8 => json(
                b"{\"IPCInfo\":[{\"channel\":1,\"szChlname\":\"\xC3\x28\",\
                       \"szServer\":\"10.9.9.9\",\"nPort\":9008,\"status\":1}]}",
            ),
            TunnelBody::Empty => Vec::new(),
        }
    }
}

fn standard_reply(spec: &DeviceSpec) -> StandardReply {
    StandardReply {
        config_data_len: 4096,
        ptz_preset_num: 128,
        ptz_cruise_num: 32,
        ptz_presets_per_cruise: 16,
        preset_name_max: 36,
        cruise_name_max: 36,
        support_ptz: 1,
        sensor_inputs: 4,
        alarm_outputs: 1,
        stream_count: 2,
        support_snap: 1,
        live_audio: 1,
        talk_audio: 1,
        audio_encoding: 2,
        audio_bits: 16,
        audio_channels: 1,
        audio_rate: 8000,
        user_right: u32::MAX,
        software_ver: spec.firmware.0,
        build_date: spec.build_date,
        mac: spec.mac.0,
        device_name: spec.name.clone().into_bytes(),
        set_sub_stream: 1,
        pass_through_api: u8::from(spec.pass_through),
        multi_channel: 1,
        api_version: 0x0001_0002,
        binary_version: 5,
        ..StandardReply::default()
    }
}

fn head_reply(spec: &DeviceSpec) -> HeadReply {
    let count = u16::try_from(spec.channels.len()).unwrap_or(u16::MAX);
    let serial = if spec.serial.is_empty() {
        &spec.name
    } else {
        &spec.serial
    };
    HeadReply {
        serial: serial.clone().into_bytes(),
        count,
        max_channels: count.max(USUAL_MAX_CHANNELS),
        flags: 0,
        records: spec
            .channels
            .iter()
            .map(|(number, online)| HeadChannel {
                number: *number,
                status: u32::from(*online),
            })
            .collect(),
    }
}

fn padded(mut bytes: Vec<u8>, least: usize) -> Vec<u8> {
    let length = bytes.len().max(least);
    bytes.resize(length, 0);
    bytes
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                      Transfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    for chunk in body.chunks(STANDARD_REPLY_LEN) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_and_path_replies_become_answers() {
        let mut spec = DeviceSpec::new("127.0.0.1:0".parse().unwrap());
        spec.cameras = vec![json!({"channel": 1, "szChlname": "Kühlhaus"})];
        spec.path_replies.insert(
            "/LAPI/V1.0/System/DeviceInfo".to_owned(),
            json!({"Model": "X"}),
        );
        let live = Live::new(spec);
        let list = live.answer("/queryIPCInfo").unwrap();
        let text = String::from_utf8(list.content.clone()).unwrap();
        assert!(
            text.ends_with("\r\n\r\n{\"IPCInfo\":[{\"channel\":1,\"szChlname\":\"Kühlhaus\"}]}")
        );
        assert!(list.channel_list);
        assert!(
            !live
                .answer("/LAPI/V1.0/System/DeviceInfo")
                .unwrap()
                .channel_list
        );
        assert!(live.answer("/other").is_none());
        assert!(live.not_found().starts_with(b"HTTP/1.1 404 Not Found\r\n"));
    }

    #[test]
    fn chunks_add_up_to_the_body() {
        let body: Vec<u8> = (0..450_usize).map(|at| b"abcdefghij"[at % 10]).collect();
        let text = String::from_utf8(chunked(&body)).unwrap();
        assert!(text.contains("\r\n\r\nc8\r\nabc"));
        assert!(text.contains("\r\n32\r\n"));
        assert!(text.ends_with("\r\n0\r\n\r\n"));
    }

    #[test]
    fn greetings_are_fresh_unless_the_nonce_is_given() {
        let mut spec = DeviceSpec::new("127.0.0.1:0".parse().unwrap());
        let greet = |spec: &DeviceSpec, connection| {
            let mut random = Random::new(1, connection);
            Live::new(spec.clone())
                .challenge(&Script::default(), &mut random)
                .greeting
        };
        assert_ne!(greet(&spec, 1), greet(&spec, 2));
        assert_eq!(greet(&spec, 1), greet(&spec, 1));
        spec.nonce = Some(0x00E5_0C71);
        assert_eq!(greet(&spec, 1), greet(&spec, 2));
        assert_eq!(greet(&spec, 1)[44..48], [0x02, 0x71, 0x0C, 0xE5]);
    }
}
