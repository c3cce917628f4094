//! What SDK helpers and bridges say.

use tvtfleet_proto::device::bridge::{self, CAMERAS_MAX};
use tvtfleet_proto::device::sdkpipe::{
    Answer, FrameReader, Hello, Request, channels, clock, disk, facts, found, plain_url, recording,
};

/// The longest payload that the body takes.
const PAYLOAD_MAX: usize = 4096;

/// Reads a stream of frames in pieces, and what is in them; byte 0 is the size of the pieces.
///
/// # Panics
///
/// Where a payload is longer than allowed, or a message does not survive being written again.
pub fn sdk_pipe(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else {
        return;
    };
    let mut reader = FrameReader::new(PAYLOAD_MAX);
    for piece in stream.chunks(usize::from(*size).max(1)) {
        reader.push(piece);
        loop {
            match reader.next_payload() {
                Ok(Some(payload)) => {
                    assert!(payload.len() <= PAYLOAD_MAX, "payloads are bounded");
                    message(&payload);
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

fn message(payload: &[u8]) {
    if let Ok(hello) = Hello::decode(payload) {
        let written = hello.encode().expect("a hello");
        assert_eq!(Hello::decode(&written), Ok(hello));
    }
    if let Ok(request) = Request::decode(payload) {
        let written = request.encode().expect("a request");
        let again = Request::decode(&written).expect("what was written");
        assert_eq!(again.name(), request.name());
    }
    let Ok(answer) = Answer::decode(payload) else {
        return;
    };
    let written = answer.encode().expect("an answer");
    assert_eq!(Answer::decode(&written).as_ref(), Ok(&answer));
    match answer {
        Answer::Device(record) => {
            let facts = facts(&record);
            assert!(!facts.name.chars().any(char::is_control));
        }
        Answer::Cameras(rows) => assert!(channels(&rows, &[]).len() <= rows.len()),
        Answer::Channels(rows) => assert!(channels(&[], &rows).len() <= rows.len()),
        Answer::Clock(time) => {
            let shown = clock(time).and_then(|reading| reading.local_time);
            assert!(shown.is_none_or(|text| text.len() == 19));
        }
        Answer::Disks(rows) => assert!(rows.iter().all(|row| disk(row).id.is_some())),
        Answer::Recording(rows) => assert!(rows.iter().all(|row| recording(row).state.is_some())),
        Answer::RtspUrl(url) => {
            let shown = url.as_deref().and_then(plain_url);
            assert!(shown.is_none_or(|url| !url.contains('@')));
        }
        Answer::Found(rows) => {
            for claims in rows.iter().filter_map(found) {
                assert!(claims.address.is_some(), "nobody is found nowhere");
                assert!(!claims.name.chars().any(char::is_control));
            }
        }
        Answer::Done | Answer::Picture(_) | Answer::Document(_) | Answer::Failed(_) => {}
    }
}

/// Reads an answer of a bridge, and as the output of a script.
///
/// # Panics
///
/// Where an answer breaks a bound.
pub fn bridge_reply(bytes: &[u8]) {
    match bridge::scan(bytes) {
        Ok(scan) => {
            assert!(scan.channels.len() <= CAMERAS_MAX, "cameras are bounded");
            for channel in scan.channels {
                assert!(!channel.name.chars().any(char::is_control));
            }
        }
        Err(failure) => assert!(failure.text.chars().count() <= 400, "texts are bounded"),
    }
    let failure = bridge::status_failure(500, "", bytes);
    assert!(!failure.text.is_empty());
    let _healthy = bridge::is_healthy(bytes);
    let shown = bridge::clock(bytes).ok().and_then(|clock| clock.local_time);
    assert!(shown.is_none_or(|text| text.len() == 19));
    let url = bridge::rtsp_url(bytes).ok().flatten();
    assert!(url.is_none_or(|url| !url.contains('@')));
    let name = bridge::device_info(bytes).ok().and_then(|info| info.name);
    assert!(name.is_none_or(|name| !name.chars().any(char::is_control)));
    assert!(bridge::done(bytes).is_err() || bytes.windows(9).any(|part| part == b"\"success\""));
    if let Ok(payload) = bridge::payload(&String::from_utf8_lossy(bytes)) {
        assert!(payload.len() <= bytes.len().saturating_mul(3));
    }
}
