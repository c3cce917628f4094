//! Texts of answers that anybody may have sent.

use std::net::Ipv4Addr;

use crate::model::mac::MacAddr;

/// Characters kept of a text; longer ones are cut.
const CHARACTERS_MAX: usize = 256;

/// Text without control characters, trimmed, at most 256 characters.
pub(crate) fn kept(text: &str) -> String {
    let spaced: String = text
        .trim_matches(|c: char| c.is_whitespace() || c.is_control())
        .chars()
        .take(CHARACTERS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    spaced.trim_end().to_owned()
}

/// A text of a fixed field: up to the first NUL.
pub(crate) fn field(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    kept(&String::from_utf8_lossy(text))
}

/// One to five ASCII digits with a value from 1 to 65535; anything else is 0.
pub(crate) fn port(text: &str) -> u16 {
    if text.len() > 5 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    text.parse().unwrap_or(0)
}

/// A dotted IPv4 address that can be a host's.
pub(crate) fn address(text: &str) -> Option<Ipv4Addr> {
    text.parse()
        .ok()
        .filter(|address: &Ipv4Addr| !address.is_unspecified())
}

/// An Ethernet address that names one device.
pub(crate) fn mac(text: &str) -> Option<MacAddr> {
    text.parse().ok().filter(|mac: &MacAddr| mac.is_unicast())
}
