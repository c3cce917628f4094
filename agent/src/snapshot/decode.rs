//! Key frames to JPEG pictures, in Rust.
//!
//! Decoded are 8-bit and 10-bit H.264 (4:2:0, interlaced frames too) and H.265 (4:2:0 and 4:4:4, to 12
//! bits). Not decoded, and kept as raw key frames: single fields, other chroma formats, and streams of
//! smart codecs whose key frames lean on earlier pictures. UNCERTAIN how many recorders send those;
//! captures of H.264+ and H.265+ settle it.

use jpeg_encoder::{Encoder, SamplingFactor};
use tvtfleet_proto::device::picture::{Codec, KeyFrame, Look, PictureError, limits};

use super::colour::{Painted, Planes};

/// Qualities of JPEG, tried until the picture fits.
const QUALITIES: [u8; 3] = [90, 75, 50];

/// Decodes a key frame and encodes it as JPEG of at most `bytes_max` bytes. Looks at it on the way.
///
/// Takes as long and as much memory as it takes: bytes of devices get here in a process of its own.
///
/// # Errors
///
/// What is not decoded, or too large.
pub fn to_jpeg(
    frame: &KeyFrame,
    stream: &[u8],
    bytes_max: usize,
) -> Result<(Vec<u8>, Option<Look>), PictureError> {
    let planes = match frame.codec {
        Codec::H264 => h264(stream)?,
        Codec::H265 => h265(stream)?,
    };
    if u32::from(planes.width) != frame.format.width
        || u32::from(planes.height) != frame.format.height
    {
        // Half of an interlaced picture, or not what its parameter sets say.
        return Err(PictureError::Unsupported("a single field"));
    }
    let painted = Painted::new(planes, &frame.format);
    for quality in QUALITIES {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, quality);
        encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
        encoder
            .encode_image(&painted)
            .map_err(|_| PictureError::Damaged)?;
        if bytes.len() <= bytes_max {
            return Ok((bytes, painted.look()));
        }
    }
    Err(PictureError::TooLarge)
}

fn h264(stream: &[u8]) -> Result<Planes, PictureError> {
    use rust_h264::decoder::{ChromaFormat, Decoder};
    use rust_h264::error::DecodeError;

    let failed = |error| match error {
        DecodeError::Unsupported(_) => PictureError::Unsupported("this kind of H.264"),
        DecodeError::UnexpectedEof | DecodeError::InvalidSyntax(_) => PictureError::Damaged,
    };
    let mut decoder = Decoder::new();
    let mut found = None;
    for unit in rust_h264::nal::parse_annex_b(stream) {
        if let Some(frame) = decoder.decode_nal(&unit).map_err(failed)? {
            found.get_or_insert(frame);
        }
    }
    let frame = found.or_else(|| decoder.flush());
    let frame = frame.ok_or(PictureError::NoSlice)?;
    if frame.chroma_format != ChromaFormat::Yuv420 {
        return Err(PictureError::Unsupported("this chroma format"));
    }
    let narrow = |plane: Vec<u8>| -> Vec<u8> {
        if frame.bit_depth <= 8 {
            return plane;
        }
        let shift = u32::from(frame.bit_depth.min(16)) - 8;
        plane
            .chunks_exact(2)
            .map(|pair| match pair {
                [low, high] => eight(u16::from_le_bytes([*low, *high]), shift),
                _ => 0,
            })
            .collect()
    };
    planes(
        (frame.width, frame.height),
        narrow(frame.y),
        narrow(frame.u),
        narrow(frame.v),
        true,
    )
}

fn h265(stream: &[u8]) -> Result<Planes, PictureError> {
    use rust_h265::{DecodeError, DecodeLimits, Decoder, PixelData};

    let failed = |error| match error {
        DecodeError::Unsupported(_) => PictureError::Unsupported("this kind of H.265"),
        DecodeError::ResourceLimit(_) => PictureError::TooLarge,
        DecodeError::UnexpectedEof | DecodeError::InvalidSyntax(_) | _ => PictureError::Damaged,
    };
    let mut decoder = Decoder::with_limits(DecodeLimits {
        max_picture_pixels: limits::PIXELS,
        ..DecodeLimits::default()
    });
    let mut found = None;
    for unit in rust_h265::parse_annex_b(stream) {
        if let Some(frame) = decoder.decode_nal(&unit).map_err(failed)? {
            found.get_or_insert(frame);
        }
    }
    let frame = found.or_else(|| decoder.flush());
    let frame = frame.ok_or(PictureError::NoSlice)?;
    let halved = match frame.chroma_format_idc {
        1 => true,
        3 => false,
        _ => return Err(PictureError::Unsupported("this chroma format")),
    };
    let shift = u32::from(frame.bit_depth.min(16)).saturating_sub(8);
    let narrow = |plane: PixelData| match plane {
        PixelData::U8(samples) => samples,
        PixelData::U16(samples) => samples.iter().map(|one| eight(*one, shift)).collect(),
    };
    planes(
        (frame.width, frame.height),
        narrow(frame.y),
        narrow(frame.u),
        narrow(frame.v),
        halved,
    )
}

/// A sample in 8 bits.
fn eight(sample: u16, shift: u32) -> u8 {
    u8::try_from((sample >> shift).min(255)).unwrap_or(u8::MAX)
}

fn planes(
    (width, height): (u32, u32),
    luma: Vec<u8>,
    blue: Vec<u8>,
    red: Vec<u8>,
    halved: bool,
) -> Result<Planes, PictureError> {
    if !limits::allow(width, height) {
        return Err(PictureError::TooLarge);
    }
    let side = |side: u32| u16::try_from(side).map_err(|_| PictureError::TooLarge);
    let (width, height) = (side(width)?, side(height)?);
    let part = |side: u16| usize::from(if halved { side / 2 } else { side });
    let chroma = part(width) * part(height);
    let whole = luma.len() >= usize::from(width) * usize::from(height)
        && blue.len() >= chroma
        && red.len() >= chroma;
    if !whole {
        return Err(PictureError::Damaged);
    }
    Ok(Planes {
        width,
        height,
        luma,
        blue,
        red,
        chroma_width: part(width),
        chroma_halved: halved,
    })
}
