//! The codecs of the TVT binary protocol.

use tvtfleet_proto::device::tvt::explain::{self as explaining, FieldValue, Piece, Sender};
use tvtfleet_proto::device::tvt::{
    CodecError, Compat, Decoder, HeadLogin, HttpContent, Init, Json, StandardLogin, TunnelReply,
    Unit, extract, limits,
};

/// Decodes a stream at once and in pieces; byte 0 is the size of the pieces.
///
/// # Panics
///
/// Where the pieces change the answer, bytes vanish, or a length that was only announced costs
/// memory.
pub fn decoder(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else {
        return;
    };
    let whole = decode(stream, stream.len().max(1));
    let pieces = decode(stream, usize::from(*size).max(1));
    assert_eq!(whole, pieces, "pieces make no difference");
    for unit in &whole.0 {
        if let Unit::Command(frame) = unit {
            let encoded = frame.encode();
            let mut rest = encoded.as_slice();
            let again = Decoder::after_init(limits::FRAME_AFTER_LOGIN).next(&mut rest);
            assert_eq!(
                again,
                Ok(Some(Unit::Command(frame.clone()))),
                "decoding reverses encoding"
            );
            check_payload(&frame.payload);
        }
    }
}

fn decode(stream: &[u8], size: usize) -> (Vec<Unit>, Option<CodecError>) {
    let mut decoder = Decoder::new(limits::FRAME_AFTER_LOGIN);
    let mut units = Vec::new();
    for piece in stream.chunks(size) {
        let mut rest = piece;
        loop {
            match decoder.next(&mut rest) {
                Ok(Some(unit)) => units.push(unit),
                Ok(None) => break,
                Err(error) => return (units, Some(error)),
            }
        }
        assert!(rest.is_empty(), "an incomplete unit takes all bytes");
        assert!(
            decoder.held() <= stream.len().saturating_mul(2).max(128),
            "memory follows the bytes that came"
        );
    }
    (units, decoder.end())
}

/// Reads bytes as every kind of payload.
fn check_payload(payload: &[u8]) {
    let _ = Init::parse(payload);
    if let Ok(login) = StandardLogin::parse(payload) {
        check_text(login.name());
        let _ = login.built();
    }
    if let Ok(login) = HeadLogin::parse(payload) {
        check_text(&login.serial);
        assert!(
            login.channels.len() <= usize::from(limits::CHANNELS),
            "channels have a bound"
        );
    }
}

/// Reads the payload of an answer inside the session.
///
/// # Panics
///
/// Where more comes out than went in, or a bound is exceeded.
pub fn tunnel_reply(bytes: &[u8]) {
    if let Ok(content) = HttpContent::split(bytes) {
        assert!(
            content.body.len() <= bytes.len(),
            "a body is part of the content"
        );
    }
    if let Ok(reply) = TunnelReply::parse(bytes) {
        assert!(
            reply.content.len() <= bytes.len(),
            "content is part of the payload"
        );
        check_cameras(&reply);
    }
}

/// Looks for cameras in a document.
///
/// # Panics
///
/// Where a bound is exceeded or a text is not fit to be kept.
pub fn cameras_json(bytes: &[u8]) {
    check_cameras(&TunnelReply {
        sequence: 1,
        content: bytes,
    });
    if let Ok(document) = Json::read(&String::from_utf8_lossy(bytes)) {
        for compat in [Compat::None, Compat::Pytvt051] {
            let cameras = extract(&document, compat);
            assert!(
                cameras.channels.len() <= limits::CAMERAS,
                "cameras have a bound"
            );
        }
    }
}

fn check_cameras(reply: &TunnelReply<'_>) {
    for compat in [Compat::None, Compat::Pytvt051] {
        match reply.cameras(compat) {
            Ok(cameras) => {
                assert!(
                    cameras.channels.len() <= limits::CAMERAS,
                    "cameras have a bound"
                );
                for channel in &cameras.channels {
                    check_text(&channel.name);
                    check_text(&channel.address);
                    assert!(
                        !(channel.name.is_empty() && channel.address.is_empty()),
                        "a camera has a name or an address"
                    );
                }
            }
            Err(trouble) => assert!(!trouble.text.is_empty(), "trouble says what it is"),
        }
    }
}

/// A device's text as it may be kept: short, without control characters.
pub(super) fn check_text(text: &str) {
    assert!(
        text.chars().count() <= limits::TEXT_CHARACTERS,
        "texts have a bound"
    );
    assert!(
        !text.chars().any(char::is_control),
        "texts have no control characters"
    );
}

/// Explains an exchange. Byte 0 says whether it is whole; then come pieces: a byte whose lowest bit
/// is the sender, whose next one is a gap in front and whose others are the length in steps of four
/// bytes, and the bytes.
///
/// # Panics
///
/// Where bytes have no unit or two, or a text is not fit for a terminal.
pub fn explain(bytes: &[u8]) {
    let Some((whole, mut rest)) = bytes.split_first() else {
        return;
    };
    let mut pieces = Vec::new();
    let mut taken = [0_u64; 2];
    while let Some((head, behind)) = rest.split_first() {
        let length = usize::from(head >> 2).saturating_mul(4).min(behind.len());
        let (piece, behind) = behind.split_at(length);
        let sender = if head & 1 == 0 {
            Sender::Device
        } else {
            Sender::Client
        };
        pieces.push(Piece {
            sender,
            at: None,
            missing: u64::from(head & 2 != 0),
            bytes: piece,
        });
        rest = behind;
    }
    let units = explaining::explain(whole & 1 != 0, pieces.iter().copied());
    for unit in &units {
        let place = match unit.sender {
            Sender::Device => &mut taken[0],
            Sender::Client => &mut taken[1],
        };
        assert_eq!(unit.offset, *place, "units follow each other");
        *place += unit.length;
        check_line(&unit.summary);
        for field in &unit.fields {
            match &field.value {
                FieldValue::Text(text) => check_line(text),
                FieldValue::Lines(text) => {
                    assert!(text.len() < 100_000, "texts have a bound");
                    text.lines().for_each(check_line);
                }
                FieldValue::Number(_) | FieldValue::Rows(_) => {}
            }
        }
    }
    for (sender, taken) in [Sender::Device, Sender::Client].into_iter().zip(taken) {
        let sent: usize = pieces
            .iter()
            .filter(|piece| piece.sender == sender)
            .map(|piece| piece.bytes.len())
            .sum();
        let sent = u64::try_from(sent).unwrap_or(u64::MAX);
        assert!(taken >= sent, "every byte has its unit");
        assert!(
            pieces.iter().any(|piece| piece.missing > 0) || taken == sent,
            "no byte is made up"
        );
    }
}

fn check_line(text: &str) {
    assert!(
        !text.chars().any(char::is_control),
        "lines have no control characters"
    );
}
