//! The 64-byte greeting that a recorder sends after the connection is made.

use super::field::put;

/// Length of the greeting in bytes.
pub(crate) const INIT_LEN: usize = 64;

/// The fields of one greeting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Init {
    pub(crate) flag: [u8; 4],
    pub(crate) dev_type: u32,
    pub(crate) product_type: u32,
    /// 11 and above announce the head variant.
    pub(crate) protocol_ver: u32,
    pub(crate) config_ver: u32,
    pub(crate) id: u32,
    pub(crate) encrypt_type: u32,
    pub(crate) encrypt_param: [u8; 4],
    /// Six bytes of address and two that are zero on known devices.
    pub(crate) mac: [u8; 8],
    /// 0xAABBCCDD is shown as A.B.C.D.
    pub(crate) software_ver: u32,
    pub(crate) login_encrypt: u8,
    /// Low byte first.
    pub(crate) login_nonce: [u8; 3],
    pub(crate) soft_encrypt: u32,
    pub(crate) transport_encrypt: u8,
}

impl Init {
    /// Writes the greeting.
    pub(crate) fn encode(&self) -> [u8; INIT_LEN] {
        let mut bytes = [0; INIT_LEN];
        put(&mut bytes, 0, &self.flag);
        put(&mut bytes, 4, &self.dev_type.to_le_bytes());
        put(&mut bytes, 8, &self.product_type.to_le_bytes());
        put(&mut bytes, 12, &self.protocol_ver.to_le_bytes());
        put(&mut bytes, 16, &self.config_ver.to_le_bytes());
        put(&mut bytes, 20, &self.id.to_le_bytes());
        put(&mut bytes, 24, &self.encrypt_type.to_le_bytes());
        put(&mut bytes, 28, &self.encrypt_param);
        put(&mut bytes, 32, &self.mac);
        put(&mut bytes, 40, &self.software_ver.to_le_bytes());
        put(&mut bytes, 44, &[self.login_encrypt]);
        put(&mut bytes, 45, &self.login_nonce);
        put(&mut bytes, 48, &self.soft_encrypt.to_le_bytes());
        put(&mut bytes, 52, &[self.transport_encrypt]);
        bytes
    }
}
