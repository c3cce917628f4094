//! Texts of fleet files that have a form of their own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A password of the test fleet; its `Debug` output hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// Wraps a password.
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    /// Returns the password itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Default for Password {
    fn default() -> Self {
        Self("Fleet-2026".to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// A text of a fleet file that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Not six hexadecimal bytes with colons.
    #[error("not a MAC address: {0:?}")]
    Mac(String),
    /// Not four numbers below 256 with dots.
    #[error("not a firmware version of four numbers: {0:?}")]
    Firmware(String),
}

/// A hardware address, shown in upper case with colons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let bytes: Option<Vec<u8>> = text
            .split(':')
            .map(|part| u8::from_str_radix(part, 16).ok())
            .collect();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| TextError::Mac(text.to_owned()))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{f:02X}")
    }
}

impl TryFrom<String> for Mac {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

/// A firmware version of four numbers, most significant first.
///
/// The greeting carries it as one word (0xAABBCCDD is A.B.C.D), the login reply in wire order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Firmware(pub [u8; 4]);

impl Default for Firmware {
    fn default() -> Self {
        Self([5, 2, 3, 0])
    }
}

impl FromStr for Firmware {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let parts: Option<Vec<u8>> = text.split('.').map(|part| part.parse().ok()).collect();
        parts
            .and_then(|parts| parts.try_into().ok())
            .map(Self)
            .ok_or_else(|| TextError::Firmware(text.to_owned()))
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(formatter, "{a}.{b}.{c}.{d}")
    }
}

impl TryFrom<String> for Firmware {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        text.parse()
    }
}

impl From<Firmware> for String {
    fn from(firmware: Firmware) -> Self {
        firmware.to_string()
    }
}
