//! The kinds of `http.json` about pictures and streams.

use base64::Engine as _;
use serde_json::{Value, json};
use tvtfleet_proto::device::picture::{Codec, Jpeg, PictureError, framed};
use tvtfleet_proto::device::rtsp::url;
use tvtfleet_proto::model::address::Host;

use super::http::Found;

fn same(found: &Value, expected: &Value) -> Result<Found, String> {
    if found == expected {
        Ok(Found::Holds)
    } else {
        Err(format!("expected {expected}, found {found}"))
    }
}

fn bytes(vector: &Value) -> Vec<u8> {
    let text = vector["input"]["b64"].as_str().unwrap();
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

pub(super) fn framing(vector: &Value) -> Result<Found, String> {
    let input = bytes(vector);
    let (kept, complete) = framed(&input);
    let found = json!({
        "b64": base64::engine::general_purpose::STANDARD.encode(kept),
        "changed": kept.len() != input.len(),
        "complete": complete,
    });
    same(&found, &vector["expected"])
}

pub(super) fn probe(vector: &Value) -> Result<Found, String> {
    let found = match Jpeg::check(&bytes(vector)) {
        Ok(jpeg) => json!({
            "verdict": "accept",
            "width": jpeg.width,
            "height": jpeg.height,
            "bytes": jpeg.bytes,
            "stripped": jpeg.stripped,
        }),
        Err(error) => {
            let reason = match error {
                PictureError::Empty | PictureError::Document | PictureError::NotJpeg => "no_soi",
                PictureError::CutOff => "no_eoi",
                PictureError::NoFrameHeader => "no_frame_header",
                PictureError::Damaged
                | PictureError::TooLarge
                | PictureError::NoParameters
                | PictureError::NoSlice
                | PictureError::Unsupported(_) => return Err(error.to_string()),
            };
            json!({"verdict": "reject", "reason": reason})
        }
    };
    same(&found, &vector["expected"])
}

fn hex(vector: &Value, key: &str) -> Vec<u8> {
    let text = vector["input"][key].as_str().unwrap();
    let digit = |letter: u8| char::from(letter).to_digit(16).unwrap();
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).unwrap())
        .collect()
}

fn name(codec: Option<Codec>) -> Value {
    let name = match codec {
        Some(Codec::H264) => "h264",
        Some(Codec::H265) => "hevc",
        None => "",
    };
    json!({ "codec": name })
}

pub(super) fn sniff(vector: &Value) -> Result<Found, String> {
    let found = name(Codec::sniff(&hex(vector, "stream_hex")));
    same(&found, &vector["expected"])
}

pub(super) fn format(vector: &Value) -> Result<Found, String> {
    let found = name(Codec::of_format(&hex(vector, "payload_hex")));
    same(&found, &vector["expected"])
}

/// Only the address without a credential: the other one is never built.
pub(super) fn target(vector: &Value) -> Result<Found, String> {
    let input = &vector["input"];
    let host: Host = input["host"].as_str().unwrap().parse().unwrap();
    let port = input["port"].as_u64().unwrap().try_into().unwrap();
    let found = url(&host, port, input["path"].as_str().unwrap());
    same(
        &Value::from(found),
        &vector["expected"]["url_without_credentials"],
    )
}
