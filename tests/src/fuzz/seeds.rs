//! Inputs to begin with, made of the reference vectors and of messages and files of this project.

use serde_json::Value;
use tvt_sim::{Mark, Scene};
use tvtfleet_proto::device::sdkpipe::{
    ANSWER_MAX, Answer, CallFailure, CameraRow, ChannelRow, DeviceRecord, DiskRow, Hello, Library,
    Reason, RecordingRow, Request, VERSION, WallClock, frame as framed,
};
use tvtfleet_proto::device::tvt::{CommandId, Frame, tunnel_request};
use tvtfleet_proto::envelope;
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{JobWant, SiteWork, Target, WantState};
use tvtfleet_proto::wire::v1;

use prost::Message as _;
use uuid::Uuid;

use crate::{exchange, sample};

/// The reference vectors of the protocol.
const VECTORS: &str = include_str!("../../vectors/protocol.json");
/// Inventories and results of pytvt's examples.
const HTTP: &str = include_str!("../../vectors/http.json");
const INVENTORY: &[u8] = include_bytes!("../../vectors/examples/scan/inventory.json");
const RESULTS: &[u8] = include_bytes!("../../vectors/examples/scan/scan.json");
const FAILED: &[u8] = include_bytes!("../../vectors/examples/scan/failed_devices.json");

/// What a bridge answered pytvt.
const BRIDGE: &str = include_str!("../../vectors/examples/sdk-bridge/bridge-replies.json");

/// A seed and the name of its target.
pub type Seed = (&'static str, Vec<u8>);

/// All seeds.
///
/// # Panics
///
/// The vectors are not what they were.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let vectors: Value = serde_json::from_str(VECTORS).expect("vectors");
    let vectors = vectors
        .get("vectors")
        .and_then(Value::as_array)
        .expect("a list of vectors");
    let mut seeds: Vec<Seed> = vectors.iter().flat_map(of_vector).collect();
    seeds.push(("explain", of_exchange(true)));
    seeds.push(("explain", of_exchange(false)));
    seeds.extend(of_messages());
    seeds.extend(of_web());
    seeds.extend(of_pictures());
    for file in [INVENTORY, FAILED] {
        seeds.push(("inventory_file", file.to_vec()));
    }
    for file in [RESULTS, FAILED, INVENTORY] {
        seeds.push(("result_file", file.to_vec()));
    }
    seeds.extend(of_helpers());
    seeds.extend(of_bridges());
    seeds
}

/// Pictures and key frames, as short as they can be.
fn of_pictures() -> Vec<Seed> {
    let jpeg = [
        &[
            0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8, 0x02, 0x40, 0x02, 0xC0, 1, 1, 0x11, 0,
        ][..],
        &[0xFF, 0xDA, 0, 2, 0x55, 0xFF, 0xD9, 0, 0],
    ];
    let h264 = [
        &[0, 0, 0, 1, 0x67, 66, 0, 30, 0xDA, 0x02, 0xC0, 0x49, 0x90][..],
        &[0, 0, 1, 0x65, 0x88],
    ];
    let h265 = [
        &[
            0, 0, 1, 0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0, 3, 0, 0, 3, 0, 0, 3, 0, 0x5D,
        ][..],
        &[0xA0, 0x02, 0x80, 0x80, 0x2D, 0x16, 0, 0, 1, 0x26, 1, 0xAF],
    ];
    let asked = b"RTSP/1.0 401 X\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\n\r\n";
    let scene = Scene::live(
        Mark {
            device: 0x0A0B_0C0D,
            channel: 3,
            stream: 1,
        },
        7,
    );
    [jpeg.concat(), h264.concat(), h265.concat(), asked.to_vec()]
        .into_iter()
        .map(|seed| ("picture", seed))
        .chain([("key_frames", scene.h264()), ("key_frames", scene.h265())])
        .collect()
}

/// A helper's life, in pieces of seven bytes.
fn of_helpers() -> Vec<Seed> {
    let hello = Hello {
        version: VERSION,
        arch: "x86_64".into(),
        path: "/opt/tvt/libdvrnetsdk.so".into(),
        library: Library::Ready {
            build: 60_222,
            version: 0x0001_0003,
            missing: Vec::new(),
        },
        companions: Vec::new(),
    };
    let answers = [
        Answer::Device(DeviceRecord::default()),
        Answer::Cameras(vec![CameraRow::default()]),
        Answer::Channels(vec![ChannelRow::default()]),
        Answer::Clock(WallClock::default()),
        Answer::Disks(vec![DiskRow::default()]),
        Answer::Recording(vec![RecordingRow::default()]),
        Answer::RtspUrl(Some("rtsp://192.0.2.1/x".into())),
        Answer::Failed(CallFailure {
            function: "NET_SDK_Login".into(),
            reason: Reason::Number(1),
        }),
        Answer::Done,
    ];
    let mut stream = vec![7];
    let mut add = |payload: Vec<u8>| {
        stream.extend_from_slice(&framed(&payload, ANSWER_MAX).expect("a frame"));
    };
    add(hello.encode().expect("a hello"));
    for answer in answers {
        add(answer.encode().expect("an answer"));
    }
    add(Request::Cameras.encode().expect("a request").to_vec());
    vec![("sdk_pipe", stream)]
}

fn of_bridges() -> Vec<Seed> {
    let replies: Value = serde_json::from_str(BRIDGE).expect("replies of a bridge");
    let bodies = replies.as_object().expect("replies by address").values();
    let seed = |reply: &Value| ("bridge_reply", reply["body"].to_string().into_bytes());
    let script = "noise\n___JSON_START___\n{\"success\":false}\n___JSON_END___\n";
    let mut seeds: Vec<Seed> = bodies.map(seed).collect();
    seeds.push(("bridge_reply", script.as_bytes().to_vec()));
    seeds
}

/// The documents of devices, each as the answer to every ask.
fn of_web() -> Vec<Seed> {
    let vectors: Value = serde_json::from_str(HTTP).expect("vectors");
    let vectors = vectors["vectors"].as_array().expect("a list of vectors");
    let mut seeds = Vec::new();
    for vector in vectors {
        let input = &vector["input"];
        let scripted = input["responses"].as_array().into_iter().flatten();
        let bodies = scripted
            .chain([input])
            .filter_map(|one| one["body"].as_str());
        let target = if vector["kind"] == "cgi_exchange" {
            "cgi"
        } else {
            "webapi"
        };
        for body in bodies.filter(|body| body.starts_with('<')) {
            seeds.push(("xml", body.as_bytes().to_vec()));
            for ask in [0, 5, 14] {
                seeds.push((target, [&[ask, 0][..], body.as_bytes()].concat()));
            }
        }
    }
    seeds
}

fn of_vector(vector: &Value) -> Vec<Seed> {
    let input = &vector["input"];
    let bytes = |key: &str| hex(input[key].as_str().unwrap_or_default());
    match vector["op"].as_str().unwrap_or_default() {
        "scripted_session" => {
            let mut stream = [bytes("after_connect_hex"), bytes("after_login_hex")].concat();
            let contents = input["http_content_hex"].as_object().into_iter().flatten();
            for (number, (_, content)) in (1_u32..).zip(contents) {
                let content = hex(content.as_str().unwrap_or_default());
                stream.extend(frame(CommandId::TUNNEL_REPLY, tunnel(number, &content)));
            }
            let whole = [&[0, 0, 0][..], &stream].concat();
            let pieces = [&[0x20, 7, 1][..], &stream].concat();
            vec![
                ("session", whole),
                ("session", pieces),
                ("explain", of_device(&stream)),
            ]
        }
        "decode_stream" | "read_frame" => {
            let stream = bytes("stream_hex");
            vec![
                ("decoder", [&[0][..], &stream].concat()),
                ("decoder", [&[3][..], &stream].concat()),
                ("session", [&[0, 0, 0][..], &stream].concat()),
            ]
        }
        "http_reply_content" => {
            let payload = bytes("payload_hex");
            let content = payload.get(72..).unwrap_or_default().to_vec();
            vec![("tunnel_reply", payload), ("tunnel_reply", content)]
        }
        "parse_login_success_standard"
        | "parse_login_success_full"
        | "parse_login_success_head" => {
            let stream = [
                exchange::greeting(),
                frame(CommandId::LOGIN_ACCEPTED, bytes("payload_hex")),
            ]
            .concat();
            vec![("decoder", [&[0][..], &stream].concat())]
        }
        "extract_cameras" => vec![("cameras_json", input["json"].to_string().into_bytes())],
        "normalize_camera" => vec![("cameras_json", format!("[{}]", input["item"]).into_bytes())],
        _ => Vec::new(),
    }
}

/// A device's stream as the `explain` target takes it.
fn of_device(stream: &[u8]) -> Vec<u8> {
    let mut seed = vec![1];
    pieces(&mut seed, 0, stream);
    seed
}

/// An exchange as the `explain` target takes it; the answer inside the session stands last, as its
/// length is no multiple of four.
fn of_exchange(whole: bool) -> Vec<u8> {
    let mut messages = exchange::camera_scan();
    let answer = messages.remove(6);
    messages.retain(|(_, bytes)| bytes.len() % 4 == 0);
    messages.push(answer);
    let mut seed = vec![u8::from(whole)];
    for (from_client, bytes) in messages {
        pieces(&mut seed, u8::from(from_client), &bytes);
    }
    seed
}

/// Pieces of up to 252 bytes, each behind its head.
fn pieces(seed: &mut Vec<u8>, sender: u8, stream: &[u8]) {
    for piece in stream.chunks(252) {
        let steps = u8::try_from(piece.len().div_ceil(4)).expect("at most 63 steps");
        seed.push(steps << 2 | sender);
        seed.extend(piece);
    }
}

fn of_messages() -> Vec<Seed> {
    let site = sample::site("acme/north");
    let mut want = sample::want(&site, 7);
    want.jobs.push(JobWant {
        job: JobId::new(Uuid::from_u128(0x70B)),
        state: WantState::Run,
        not_after: UtcMillis::new(1_793_000_600_000),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        target_count: 1,
        work: Some(SiteWork {
            options: WorkOptions::default(),
            targets: vec![Target {
                number: TargetNo(0),
                endpoint: "10.0.0.9:6036".parse::<Endpoint>().expect("an endpoint"),
                known_mac: "58:5B:69:10:00:0B".parse().ok(),
                trusted: true,
                credential: None,
                settings: Default::default(),
            }],
        }),
        order: None,
    });
    let batch = v1::OutBatch::from(sample::batch(&site, 3));
    let want = v1::WantDoc::from(want);
    let error = v1::ApiError {
        code: "internal".to_owned(),
        message: "camera ".repeat(300),
        hint: String::new(),
    };
    vec![
        ("want_doc", want.encode_to_vec()),
        ("out_batch", batch.encode_to_vec()),
        ("envelope", envelope::seal(&error)),
        ("envelope", envelope::seal(&batch)),
        ("tunnel_reply", tunnel_request("/queryIPCInfo", 1)),
    ]
}

fn tunnel(sequence: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a short answer");
    [
        &length.to_le_bytes()[..],
        &sequence.to_le_bytes(),
        &[0; 64],
        content,
    ]
    .concat()
}

fn frame(command: CommandId, payload: Vec<u8>) -> Vec<u8> {
    Frame::new(command, 0, 0, payload).encode()
}

fn hex(digits: &str) -> Vec<u8> {
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("digits");
            u8::from_str_radix(pair, 16).expect("hexadecimal digits")
        })
        .collect()
}
