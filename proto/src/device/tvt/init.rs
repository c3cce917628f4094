//! The greeting: 64 bytes that a device sends as soon as the connection is open.

use std::fmt;

use super::failure::CodecError;
use super::field::{array_at, u8_at, u32_at};
use super::frame::HEAD_FLAG;
use crate::error::ErrorCode;
use crate::model::mac::MacAddr;

/// Bytes of a greeting.
pub const INIT_LEN: usize = 64;

/// From this protocol version on a device speaks the head variant.
const HEAD_VARIANT_FROM: u32 = 11;
/// Larger protocol versions were never seen.
const LARGEST_PLAUSIBLE_VERSION: u32 = 255;

const DEVICE_TYPE_AT: usize = 4;
const PRODUCT_TYPE_AT: usize = 8;
const PROTOCOL_VERSION_AT: usize = 12;
const CONFIG_VERSION_AT: usize = 16;
const ID_AT: usize = 20;
const ENCRYPT_TYPE_AT: usize = 24;
const ENCRYPT_PARAM_AT: usize = 28;
const MAC_AT: usize = 32;
const MAC_REST_AT: usize = 38;
const SOFTWARE_VERSION_AT: usize = 40;
const LOGIN_ENCRYPT_AT: usize = 44;
const LOGIN_NONCE_AT: usize = 45;
const SUPPORT_SOFT_ENCRYPT_AT: usize = 48;
const TRANSPORT_ENCRYPT_TYPE_AT: usize = 52;
const RESERVED_AT: usize = 53;

/// What a device says about itself before anybody logs in.
///
/// Wire source: pytvt 0.5.1 and the public dissector, which agree on all offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// UNCERTAIN: 0 DVR, 1 DVS, 2 IPC, 3 NVR, 4 SuperDVR, 5 decoder, 6 N9000 DVR by a vendor list.
    pub device_type: u32,
    /// The maker's product number.
    pub product_type: u32,
    /// The protocol's version; from 11 on the device speaks the head variant.
    pub protocol_version: u32,
    /// The version of the configuration's layout.
    pub config_version: u32,
    /// Unknown.
    pub id: u32,
    /// 0 for none; the other values are not documented.
    pub encrypt_type: u32,
    /// Four bytes that change with each connection on cameras.
    pub encrypt_param: [u8; 4],
    /// The device's address; it may be that of a recorder's second network port.
    pub mac: MacAddr,
    /// The two bytes behind the address; 0 so far.
    pub mac_rest: [u8; 2],
    /// The firmware's version.
    pub software_version: SoftwareVersion,
    /// How a standard login hides the password: 0 not at all, 1 and 2 by XOR.
    pub login_encrypt: u8,
    /// The login's nonce in wire order.
    pub login_nonce: [u8; 3],
    /// Unknown.
    pub support_soft_encrypt: u32,
    /// 0 for a stream in clear. UNCERTAIN what other values do.
    pub transport_encrypt_type: u8,
    /// The bytes without a meaning, 53..63.
    pub reserved: [u8; 11],
}

impl Init {
    /// Reads a greeting; bytes after the 64th are ignored.
    ///
    /// # Errors
    ///
    /// `device.not_tvt` if the first bytes are not `head`, `device.truncated` if there are fewer
    /// than 64.
    pub fn parse(packet: &[u8]) -> Result<Self, CodecError> {
        if packet.first_chunk().is_some_and(|flag| *flag != HEAD_FLAG) {
            return Err(CodecError::new(
                ErrorCode::NotTvt,
                0,
                "the greeting is not TVT's",
            ));
        }
        Self::fields(packet).ok_or(CodecError::truncated(
            super::field::count(packet.len()),
            "the greeting has fewer than 64 bytes",
        ))
    }

    fn fields(packet: &[u8]) -> Option<Self> {
        Some(Self {
            device_type: u32_at(packet, DEVICE_TYPE_AT)?,
            product_type: u32_at(packet, PRODUCT_TYPE_AT)?,
            protocol_version: u32_at(packet, PROTOCOL_VERSION_AT)?,
            config_version: u32_at(packet, CONFIG_VERSION_AT)?,
            id: u32_at(packet, ID_AT)?,
            encrypt_type: u32_at(packet, ENCRYPT_TYPE_AT)?,
            encrypt_param: array_at(packet, ENCRYPT_PARAM_AT)?,
            mac: MacAddr::from(array_at::<6>(packet, MAC_AT)?),
            mac_rest: array_at(packet, MAC_REST_AT)?,
            software_version: SoftwareVersion(u32_at(packet, SOFTWARE_VERSION_AT)?),
            login_encrypt: u8_at(packet, LOGIN_ENCRYPT_AT)?,
            login_nonce: array_at(packet, LOGIN_NONCE_AT)?,
            support_soft_encrypt: u32_at(packet, SUPPORT_SOFT_ENCRYPT_AT)?,
            transport_encrypt_type: u8_at(packet, TRANSPORT_ENCRYPT_TYPE_AT)?,
            reserved: array_at(packet, RESERVED_AT)?,
        })
    }

    /// Whether the device speaks the head variant. That alone selects the layout of the login.
    #[must_use]
    pub const fn is_head_variant(&self) -> bool {
        self.protocol_version >= HEAD_VARIANT_FROM
    }

    /// The key of an XOR login as pytvt has it: greeting bytes 44..47.
    #[must_use]
    pub const fn login_key(&self) -> [u8; 4] {
        let [a, b, c] = self.login_nonce;
        [self.login_encrypt, a, b, c]
    }

    /// The nonce of a head-variant login, 0..16 777 215.
    #[must_use]
    pub const fn nonce(&self) -> u32 {
        let [a, b, c] = self.login_nonce;
        u32::from_le_bytes([a, b, c, 0])
    }

    /// Whether the values are ones that a real device would send. For scoring, not for rejecting.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        self.reserved == [0; 11]
            && self.mac.is_unicast()
            && self.protocol_version <= LARGEST_PLAUSIBLE_VERSION
    }
}

/// A firmware version: four numbers in one word, the first in the highest byte.
///
/// Shown as `1.4.10.0`. UNCERTAIN for standard login replies, whose byte order the sources dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SoftwareVersion(pub u32);

impl fmt::Display for SoftwareVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0.to_be_bytes();
        write!(f, "{a}.{b}.{c}.{d}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Vec<u8> {
        let mut packet = vec![0; INIT_LEN];
        packet[..4].copy_from_slice(b"head");
        packet[PROTOCOL_VERSION_AT] = 11;
        packet[MAC_AT..MAC_AT + 6].copy_from_slice(&[0x58, 0x5B, 0x69, 1, 2, 3]);
        packet[SOFTWARE_VERSION_AT..SOFTWARE_VERSION_AT + 4]
            .copy_from_slice(&0x0104_0A00_u32.to_le_bytes());
        packet[LOGIN_ENCRYPT_AT..LOGIN_ENCRYPT_AT + 4].copy_from_slice(&[2, 0x40, 0xE2, 1]);
        packet
    }

    #[test]
    fn a_greeting_names_the_device() {
        let init = Init::parse(&packet()).unwrap();
        assert!(init.is_head_variant() && init.is_plausible());
        assert_eq!(init.mac.to_string(), "58:5B:69:01:02:03");
        assert_eq!(init.software_version.to_string(), "1.4.10.0");
        assert_eq!(
            (init.nonce(), init.login_key()),
            (123_456, [2, 0x40, 0xE2, 1])
        );
    }

    #[test]
    fn other_first_bytes_and_short_greetings_are_told_apart() {
        assert_eq!(
            Init::parse(b"SSH-2.0-x").unwrap_err().code,
            ErrorCode::NotTvt
        );
        for length in 0..INIT_LEN {
            let error = Init::parse(&packet()[..length]).unwrap_err();
            assert_eq!(error.code, ErrorCode::Truncated, "{length} bytes");
        }
    }
}
