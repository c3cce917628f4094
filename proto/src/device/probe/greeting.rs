//! A greeting as a finding.

use crate::device::tvt::{INIT_LEN, Init};
use crate::model::discovery::Claims;
use crate::model::report::DeviceFamily;

/// Bytes of a greeting. No more is read to identify a device.
pub const GREETING_LEN: usize = INIT_LEN;

/// The first bytes of a greeting.
const FLAG: &[u8; 4] = b"head";

/// What the first bytes on a connection say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// A TVT device, with what its greeting says.
    Tvt(Box<Claims>),
    /// The greeting has begun well, or nothing has come yet: more bytes decide.
    Incomplete,
    /// Something else.
    Other,
}

/// Reads what a device sent so far. TVT is who sends `head` first and at least 64 bytes.
#[must_use]
pub fn fingerprint(bytes: &[u8]) -> Fingerprint {
    let compared = bytes.len().min(FLAG.len());
    if bytes.get(..compared) != FLAG.get(..compared) {
        return Fingerprint::Other;
    }
    if bytes.len() < GREETING_LEN {
        return Fingerprint::Incomplete;
    }
    match Init::parse(bytes) {
        Ok(init) => Fingerprint::Tvt(Box::new(claims(&init))),
        Err(_) => Fingerprint::Other,
    }
}

fn claims(init: &Init) -> Claims {
    let known_version = init.software_version.0 != 0;
    Claims {
        mac: Some(init.mac).filter(|mac| mac.is_unicast()),
        software_version: if known_version {
            init.software_version.to_string()
        } else {
            String::new()
        },
        type_code: Some(init.device_type),
        family: Some(if init.is_head_variant() {
            DeviceFamily::Head
        } else {
            DeviceFamily::Standard
        }),
        protocol_version: Some(init.protocol_version),
        ..Claims::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_of_a_greeting_is_incomplete_and_a_page_is_not() {
        let mut greeting = vec![0; GREETING_LEN];
        greeting[..4].copy_from_slice(b"head");
        for length in 0..GREETING_LEN {
            assert_eq!(
                fingerprint(&greeting[..length]),
                Fingerprint::Incomplete,
                "{length}"
            );
        }
        assert!(matches!(fingerprint(&greeting), Fingerprint::Tvt(_)));
        assert_eq!(fingerprint(b"<html><head>"), Fingerprint::Other);
        assert_eq!(fingerprint(b"1111"), Fingerprint::Other);
        assert_eq!(fingerprint(b"heap"), Fingerprint::Other);
    }
}
