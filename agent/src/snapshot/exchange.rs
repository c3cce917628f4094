//! What the process that decodes is told, and what it says: the bytes of both.
//!
//! An order is a length, a head of [`HEAD`] bytes and the bytes of a picture; an answer is a length, a
//! kind and what was made. Numbers are little-endian, lengths have 32 bits and do not count themselves.
//! Pictures are large and no secrets, so that they are not copied for their frames, as the requests to
//! the vendor's library are.

use tvtfleet_proto::device::picture::{Codec, Look, limits};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::Failure;

use super::still::Thumbnail;

/// Bytes of an order before its picture: kind, and two numbers.
const HEAD: usize = 9;
/// The longest order, in bytes.
pub(super) const ORDER_MAX: usize = limits::JPEG_BYTES + HEAD;
/// The longest answer, in bytes: a picture and how it looks.
pub(super) const ANSWER_MAX: usize = limits::JPEG_BYTES + 4096;

const DEVELOP_H264: u8 = 1;
const DEVELOP_H265: u8 = 2;
const LOOK: u8 = 3;
const SMALL: u8 = 4;

const FAILED: u8 = 0;
const PICTURE: u8 = 1;
const SEEN: u8 = 2;
const SMALLER: u8 = 3;

/// What to do with the bytes of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Makes a JPEG picture of a key frame.
    Develop {
        /// How it is encoded.
        codec: Codec,
        /// The most bytes of the picture.
        bytes_max: u32,
    },
    /// Says how a JPEG picture looks.
    Look,
    /// Makes a small picture of a JPEG picture.
    Small {
        /// The most columns.
        width: u32,
        /// The most rows.
        height: u32,
    },
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// A JPEG picture, and how it looks.
    Picture(Vec<u8>, Option<Look>),
    /// How a picture looks; `None` where it cannot be decoded.
    Seen(Option<Look>),
    /// A small picture; `None` where it cannot be decoded.
    Small(Option<Thumbnail>),
    /// Nothing.
    Failed(Failure),
}

impl Order {
    /// Length and head of an order for a picture of so many bytes; `None` where that is too large.
    pub(super) fn head(self, picture: usize) -> Option<Vec<u8>> {
        let length = picture
            .checked_add(HEAD)
            .filter(|length| *length <= ORDER_MAX)?;
        let (kind, first, second) = match self {
            Self::Develop { codec, bytes_max } => match codec {
                Codec::H264 => (DEVELOP_H264, bytes_max, 0),
                Codec::H265 => (DEVELOP_H265, bytes_max, 0),
            },
            Self::Look => (LOOK, 0, 0),
            Self::Small { width, height } => (SMALL, width, height),
        };
        let mut head = u32::try_from(length).ok()?.to_le_bytes().to_vec();
        head.push(kind);
        head.extend(first.to_le_bytes());
        head.extend(second.to_le_bytes());
        Some(head)
    }

    /// An order and its picture, without the length.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (kind, rest) = bytes.split_first()?;
        let (first, rest) = number(rest)?;
        let (second, picture) = number(rest)?;
        let develop = |codec| Self::Develop {
            codec,
            bytes_max: first,
        };
        let order = match *kind {
            DEVELOP_H264 => develop(Codec::H264),
            DEVELOP_H265 => develop(Codec::H265),
            LOOK => Self::Look,
            SMALL => Self::Small {
                width: first,
                height: second,
            },
            _ => return None,
        };
        Some((order, picture))
    }
}

impl Made {
    /// The bytes of an answer, with its length; `None` where it is longer than allowed.
    pub(super) fn write(&self) -> Option<Vec<u8>> {
        let text = |look: &Option<Look>| look.as_ref().map(Look::to_text).unwrap_or_default();
        let mut bytes = vec![0; 4];
        match self {
            Self::Picture(picture, look) => {
                let look = text(look);
                bytes.push(PICTURE);
                bytes.extend(u32::try_from(look.len()).ok()?.to_le_bytes());
                bytes.extend(look.as_bytes());
                bytes.extend(picture);
            }
            Self::Seen(look) => {
                bytes.push(SEEN);
                bytes.extend(text(look).as_bytes());
            }
            Self::Small(small) => {
                bytes.push(SMALLER);
                if let Some(small) = small {
                    bytes.extend(u32::try_from(small.width).ok()?.to_le_bytes());
                    bytes.extend(u32::try_from(small.height).ok()?.to_le_bytes());
                    bytes.extend(&small.rgb);
                }
            }
            Self::Failed(failure) => {
                bytes.push(FAILED);
                bytes.extend(format!("{}\n{}", failure.code, failure.text).into_bytes());
            }
        }
        let length = bytes.len().checked_sub(4)?;
        if length > ANSWER_MAX {
            return None;
        }
        let length = u32::try_from(length).ok()?.to_le_bytes();
        bytes.get_mut(..4)?.copy_from_slice(&length);
        Some(bytes)
    }

    /// An answer without its length.
    pub(super) fn read(mut bytes: Vec<u8>) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let look = |bytes: &[u8]| -> Option<Option<Look>> {
            if bytes.is_empty() {
                return Some(None);
            }
            let text = std::str::from_utf8(bytes).ok()?;
            Look::from_text(text).map(Some)
        };
        match *kind {
            PICTURE => {
                let (length, rest) = number(rest)?;
                let length = usize::try_from(length).ok()?;
                let look = look(rest.get(..length)?)?;
                let picture = bytes.split_off(5_usize.checked_add(length)?);
                Some(Self::Picture(picture, look))
            }
            SEEN => look(rest).map(Self::Seen),
            SMALLER if rest.is_empty() => Some(Self::Small(None)),
            SMALLER => {
                let (width, rest) = number(rest)?;
                let (height, rgb) = number(rest)?;
                let (width, height) = (usize::try_from(width).ok()?, usize::try_from(height).ok()?);
                let wanted = width.checked_mul(height)?.checked_mul(3)?;
                (rgb.len() == wanted).then(|| {
                    Self::Small(Some(Thumbnail {
                        width,
                        height,
                        rgb: rgb.to_vec(),
                    }))
                })
            }
            FAILED => {
                let text = std::str::from_utf8(rest).ok()?;
                let (code, text) = text.split_once('\n')?;
                let code: ErrorCode = code.parse().ok()?;
                Some(Self::Failed(Failure::new(code, text)))
            }
            _ => None,
        }
    }
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn look() -> Look {
        let luma: Vec<u8> = (0..320 * 192)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect();
        Look::of(&luma, 320, 192).unwrap()
    }

    #[test]
    fn orders_and_answers_are_read_back() {
        for order in [
            Order::Develop {
                codec: Codec::H264,
                bytes_max: 7,
            },
            Order::Develop {
                codec: Codec::H265,
                bytes_max: u32::MAX,
            },
            Order::Look,
            Order::Small {
                width: 3,
                height: 4,
            },
        ] {
            let mut bytes = order.head(5).unwrap();
            bytes.extend(b"bytes");
            assert_eq!(Order::read(&bytes[4..]), Some((order, &b"bytes"[..])));
        }
        let small = Thumbnail {
            width: 2,
            height: 1,
            rgb: vec![9; 6],
        };
        let late = Failure::new(ErrorCode::PictureTooLarge, "two\nlines");
        for made in [
            Made::Picture(b"picture".to_vec(), Some(look())),
            Made::Picture(Vec::new(), None),
            Made::Seen(Some(look())),
            Made::Seen(None),
            Made::Small(Some(small)),
            Made::Small(None),
            Made::Failed(late),
        ] {
            let bytes = made.write().unwrap();
            assert_eq!(Made::read(bytes[4..].to_vec()), Some(made));
        }
    }

    #[test]
    fn what_is_too_long_is_not_sent() {
        assert_eq!(Order::Look.head(limits::JPEG_BYTES + 1), None);
        assert!(Order::Look.head(limits::JPEG_BYTES).is_some());
        assert_eq!(Made::Picture(vec![0; ANSWER_MAX], None).write(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Order::read(&bytes);
            if let Some(made) = Made::read(bytes) {
                prop_assert_eq!(Made::read(made.write().unwrap()[4..].to_vec()), Some(made));
            }
        }
    }
}
