//! Pictures, key frames and what RTSP servers say first.

use tvt_agent::snapshot::to_jpeg;
use tvtfleet_proto::device::picture::{Codec, Jpeg, Look, key_frame, limits};
use tvtfleet_proto::device::rtsp::{Greeting, Meter};

/// Decodes bytes as a key frame of both codecs, where their parameter sets are within the limits.
///
/// # Panics
///
/// Where a picture comes out that is not as large as its parameter sets say.
pub fn key_frames(bytes: &[u8]) {
    for codec in [Codec::H264, Codec::H265] {
        let Ok(frame) = key_frame(codec, bytes) else {
            continue;
        };
        if let Ok((jpeg, _)) = to_jpeg(&frame, bytes, limits::JPEG_BYTES) {
            let made = Jpeg::check(&jpeg).expect("what is encoded is a picture");
            let size = (u32::from(made.width), u32::from(made.height));
            assert_eq!(size, (frame.format.width, frame.format.height), "its size");
        }
    }
}

/// Reads bytes as a picture, as a key frame of both codecs, as a remembered look and as an answer of
/// an RTSP server.
///
/// # Panics
///
/// Where something is accepted that is larger than allowed.
pub fn picture(bytes: &[u8]) {
    if let Ok(jpeg) = Jpeg::check(bytes) {
        assert!(jpeg.bytes <= bytes.len(), "nothing is added");
        assert!(
            limits::allow(jpeg.width.into(), jpeg.height.into()),
            "a picture is within its limits"
        );
    }
    for codec in [Codec::H264, Codec::H265] {
        if let Ok(frame) = key_frame(codec, bytes) {
            let format = frame.format;
            assert!(
                limits::allow(format.coded_width, format.coded_height),
                "a key frame is within its limits"
            );
        }
    }
    let _ = (Codec::sniff(bytes), Codec::of_format(bytes));
    let _ = Greeting::read(bytes);
    let _ = Meter::new(1024).count(bytes);
    let text = String::from_utf8_lossy(bytes);
    if let Some(look) = Look::from_text(&text) {
        assert_eq!(Look::from_text(&look.to_text()), Some(look), "looks keep");
    }
}
