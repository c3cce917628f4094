//! Choosing how to log in, and the login requests themselves.

use zeroize::Zeroize as _;

use super::cipher::{password_head, password_standard, username_head, username_standard};
use super::command::CommandId;
use super::config::KeySource;
use super::credentials::{CredentialFault, check_credential};
use super::frame::Frame;
use super::init::Init;
use crate::error::ErrorCode;
use crate::model::secret::Credential;

/// The name a login gives for the client, which ends up in the device's log; pytvt's, NUL-padded.
const COMPUTER_NAME: [u8; 28] = *b"NVRScanner\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// `connectType` of a standard login.
const STANDARD_CONNECT_TYPE: u32 = 1;
/// The protocol version a standard login names.
const STANDARD_PROTOCOL_VERSION: u32 = 3;
/// Bytes of a standard login for the client's address, hardware address, product type and padding.
const STANDARD_UNUSED: [u8; 16] = [0; 16];
/// `connectType` of a head-variant login.
const HEAD_CONNECT_TYPE: u32 = 3;
/// `cmdId` and `cmdVer` of a head-variant login.
const HEAD_ID: u32 = 0x0101;
/// Bytes of a head-variant login between `connectType` and the user name.
const HEAD_RESERVED: [u8; 32] = [0; 32];
/// Bytes of a head-variant login behind the digest. The vendor's client has its name, addresses and
/// a random number there.
const HEAD_UNUSED: [u8; 116] = [0; 116];

/// Which layout a device's login has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Protocol versions below 11: IP cameras, older recorders.
    Standard,
    /// Protocol version 11 and up: current recorders.
    Head,
}

/// What a login does to a password on its way. What policy decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Nothing: who answers has it.
    Plain,
    /// XOR with a key that is sent in clear: the same as nothing.
    Xor,
    /// A digest over the password's MD5 and a nonce: can be searched offline.
    Digest,
}

/// A device whose way to log in is not known or not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginRefusal {
    /// A login mode nobody described. Never answered with a password in clear.
    #[error("the device asks for the unknown login mode {0}")]
    UnknownMode(u8),
    /// The device names an encryption but no login mode, and no key source was chosen for it.
    #[error("the device names the unknown encryption {0}; choose a key source for it")]
    UnknownEncryption(u32),
}

impl LoginRefusal {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        ErrorCode::UnsupportedVariant
    }
}

/// How to log in to one device on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginPlan {
    scheme: Scheme,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Standard {
        username_key: Option<[u8; 4]>,
        password_key: Option<[u8; 4]>,
    },
    Head {
        nonce: u32,
    },
}

impl LoginPlan {
    /// Chooses the login for a device that has greeted.
    ///
    /// # Errors
    ///
    /// A [`LoginRefusal`] where the way to hide the password is not known.
    pub fn choose(init: &Init, key_source: KeySource) -> Result<Self, LoginRefusal> {
        if init.is_head_variant() {
            return Ok(Self {
                scheme: Scheme::Head {
                    nonce: init.nonce(),
                },
            });
        }
        let plain = Scheme::Standard {
            username_key: None,
            password_key: None,
        };
        let scheme = match (init.login_encrypt, key_source) {
            (0..=2, KeySource::EncryptParam) => {
                // A zero key leaves the password as it is, and policy has to know.
                let key = Some(init.encrypt_param).filter(|key| *key != [0; 4]);
                Scheme::Standard {
                    username_key: key,
                    password_key: key,
                }
            }
            (0, KeySource::LoginBytes) if init.encrypt_type != 0 => {
                return Err(LoginRefusal::UnknownEncryption(init.encrypt_type));
            }
            (0, KeySource::LoginBytes) => plain,
            (1 | 2, KeySource::LoginBytes) => Scheme::Standard {
                username_key: None,
                password_key: Some(init.login_key()),
            },
            (mode, _) => return Err(LoginRefusal::UnknownMode(mode)),
        };
        Ok(Self { scheme })
    }

    /// The layout of the login.
    #[must_use]
    pub const fn variant(&self) -> Variant {
        match self.scheme {
            Scheme::Standard { .. } => Variant::Standard,
            Scheme::Head { .. } => Variant::Head,
        }
    }

    /// What the login does to the password.
    #[must_use]
    pub const fn protection(&self) -> Protection {
        match self.scheme {
            Scheme::Standard {
                password_key: None, ..
            } => Protection::Plain,
            Scheme::Standard {
                password_key: Some(_),
                ..
            } => Protection::Xor,
            Scheme::Head { .. } => Protection::Digest,
        }
    }

    /// The login request.
    ///
    /// # Errors
    ///
    /// A [`CredentialFault`] if the credential does not fit the login's fields.
    pub fn request(&self, credential: &Credential) -> Result<Vec<u8>, CredentialFault> {
        check_credential(credential, self.variant())?;
        let (username, password) = (credential.username.as_str(), credential.password.expose());
        let mut frame = match self.scheme {
            Scheme::Standard {
                username_key,
                password_key,
            } => {
                let payload = [
                    STANDARD_CONNECT_TYPE.to_le_bytes().as_slice(),
                    &username_standard(username, username_key),
                    &password_standard(password, password_key),
                    &COMPUTER_NAME,
                    &STANDARD_UNUSED,
                    &STANDARD_PROTOCOL_VERSION.to_le_bytes(),
                ]
                .concat();
                Frame::new(CommandId::LOGIN, 0, 0, payload)
            }
            Scheme::Head { nonce } => {
                let payload = [
                    HEAD_CONNECT_TYPE.to_le_bytes().as_slice(),
                    &HEAD_RESERVED,
                    &username_head(username, nonce),
                    &password_head(password, nonce),
                    &HEAD_UNUSED,
                ]
                .concat();
                Frame::new(CommandId::HEAD_LOGIN, HEAD_ID, HEAD_ID, payload)
            }
        };
        let bytes = frame.encode();
        frame.payload.zeroize();
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::init::INIT_LEN;
    use super::*;
    use crate::model::secret::Secret;

    fn init(version: u8, encrypt_type: u8, param: [u8; 4], login: [u8; 4]) -> Init {
        let mut packet = vec![0; INIT_LEN];
        packet[..4].copy_from_slice(b"head");
        packet[12] = version;
        packet[24] = encrypt_type;
        packet[28..32].copy_from_slice(&param);
        packet[44..48].copy_from_slice(&login);
        Init::parse(&packet).unwrap()
    }

    #[test]
    fn the_greeting_decides_the_login() {
        use KeySource::{EncryptParam, LoginBytes};
        use Protection::{Digest, Plain, Xor};
        let rows = [
            (
                init(3, 0, [0; 4], [0, 1, 2, 3]),
                LoginBytes,
                Ok((Variant::Standard, Plain)),
            ),
            (
                init(3, 9, [0; 4], [1, 1, 2, 3]),
                LoginBytes,
                Ok((Variant::Standard, Xor)),
            ),
            (
                init(10, 0, [0; 4], [2, 0, 0, 0]),
                LoginBytes,
                Ok((Variant::Standard, Xor)),
            ),
            (
                init(11, 9, [0; 4], [77, 0, 0, 0]),
                LoginBytes,
                Ok((Variant::Head, Digest)),
            ),
            (
                init(3, 1, [9; 4], [0; 4]),
                LoginBytes,
                Err(LoginRefusal::UnknownEncryption(1)),
            ),
            (
                init(3, 1, [9; 4], [0; 4]),
                EncryptParam,
                Ok((Variant::Standard, Xor)),
            ),
            (
                init(3, 1, [0; 4], [2; 4]),
                EncryptParam,
                Ok((Variant::Standard, Plain)),
            ),
            (
                init(3, 0, [9; 4], [3; 4]),
                LoginBytes,
                Err(LoginRefusal::UnknownMode(3)),
            ),
            (
                init(3, 0, [9; 4], [3; 4]),
                EncryptParam,
                Err(LoginRefusal::UnknownMode(3)),
            ),
        ];
        for (init, source, expected) in rows {
            let found =
                LoginPlan::choose(&init, source).map(|plan| (plan.variant(), plan.protection()));
            assert_eq!(found, expected, "{init:?} {source:?}");
        }
    }

    #[test]
    fn the_encryption_parameter_hides_both_fields() {
        let plan = LoginPlan::choose(
            &init(3, 1, [0xB0, 0x56, 0x1D, 0x7E], [0; 4]),
            KeySource::EncryptParam,
        )
        .unwrap();
        let credential = Credential {
            username: "admin".into(),
            password: Secret::new("123456"),
        };
        let request = plan.request(&credential).unwrap();
        assert_eq!(request.len(), 24 + 116);
        assert_eq!(
            request[28..33],
            [
                b'a' ^ 0xB0,
                b'd' ^ 0x56,
                b'm' ^ 0x1D,
                b'i' ^ 0x7E,
                b'n' ^ 0xB0
            ]
        );
        assert_eq!(request[60..62], [b'1' ^ 0xB0, b'2' ^ 0x56]);
    }
}
