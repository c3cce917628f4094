//! A picture's bytes in a message: base64, for messages are JSON.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest picture that a library gives, in bytes.
pub const PICTURE_MAX: usize = 5 * 1024 * 1024;

/// What a library gave as a picture, unchecked.
#[derive(Clone, PartialEq, Eq)]
pub struct PictureBytes(pub Vec<u8>);

impl fmt::Debug for PictureBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PictureBytes({} bytes)", self.0.len())
    }
}

impl Serialize for PictureBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for PictureBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD
            .decode(text)
            .map_err(|_| D::Error::custom("not base64"))?;
        if bytes.len() > PICTURE_MAX {
            return Err(D::Error::custom("a picture that is too long"));
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ANSWER_MAX, Answer};
    use super::*;

    #[test]
    fn the_longest_picture_fits_into_an_answer_and_a_longer_one_is_refused() {
        let answer = |bytes| Answer::Picture(PictureBytes(vec![0x5A; bytes]));
        let longest = answer(PICTURE_MAX);
        let text = longest.encode().unwrap();
        assert!(text.len() <= ANSWER_MAX);
        assert_eq!(Answer::decode(&text).unwrap(), longest);
        let longer = answer(PICTURE_MAX + 1).encode().unwrap();
        assert!(Answer::decode(&longer).is_err());
        assert!(Answer::decode(br#"{"picture":"no base64!"}"#).is_err());
    }
}
