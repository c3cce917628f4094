//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

/// An Ethernet (EUI-48) address; shown as `58:5B:69:10:00:0B`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr([u8; 6]);

/// The vendor prefixes known to be TVT's: 58:5B:69 (pytvt's filter) and 00:18:AE (IEEE registry).
const TVT_PREFIXES: [[u8; 3]; 2] = [[0x58, 0x5B, 0x69], [0x00, 0x18, 0xAE]];

impl MacAddr {
    /// The six bytes in wire order.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether the address can name one device: neither all zero, nor broadcast, nor multicast.
    #[must_use]
    pub fn is_unicast(self) -> bool {
        let [first, ..] = self.0;
        self.0 != [0; 6] && first & 1 == 0
    }

    /// Whether the vendor prefix is one of TVT's.
    #[must_use]
    pub fn is_tvt(self) -> bool {
        let [a, b, c, ..] = self.0;
        TVT_PREFIXES.contains(&[a, b, c])
    }
}

impl From<[u8; 6]> for MacAddr {
    fn from(octets: [u8; 6]) -> Self {
        Self(octets)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no Ethernet address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no MAC address")]
pub struct BadMac(pub String);

impl FromStr for MacAddr {
    type Err = BadMac;

    /// Reads twelve hexadecimal digits; `:`, `-`, `.` and blanks around or between them are skipped,
    /// so that `58:5B:69:10:00:0B`, `58-5b-69-10-00-0b`, `585b.6910.000b` and `585B6910000B` agree.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadMac(text.chars().take(64).collect());
        let mut octets = [0_u8; 6];
        let mut digits = 0_usize;
        for character in text.trim().chars() {
            if matches!(character, ':' | '-' | '.' | ' ') {
                continue;
            }
            let digit = character
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
                .ok_or_else(bad)?;
            let octet = octets.get_mut(digits / 2).ok_or_else(bad)?;
            *octet = (*octet << 4) | digit;
            digits += 1;
        }
        if digits == 12 {
            Ok(Self(octets))
        } else {
            Err(bad())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_spelling_is_read() {
        let expected = MacAddr::from([0x58, 0x5B, 0x69, 0x10, 0x00, 0x0B]);
        for text in [
            "58:5B:69:10:00:0B",
            "58-5b-69-10-00-0b",
            "585b.6910.000b",
            " 585B6910000B ",
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert_eq!(expected.to_string(), "58:5B:69:10:00:0B");
        assert!(expected.is_tvt() && expected.is_unicast());
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "58:5B",
            "58:5B:69:10:00:0B:00",
            "zz:5B:69:10:00:0B",
            "TVT",
        ] {
            assert!(text.parse::<MacAddr>().is_err(), "{text}");
        }
    }
}
