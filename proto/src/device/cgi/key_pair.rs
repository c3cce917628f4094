//! The key pair of one login of the newest kind: the recorder sends the session's key to it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand_core::CryptoRng;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use rsa::{Pkcs1v15Encrypt, RsaPrivateKey};
use zeroize::Zeroizing;

use super::cipher::SessionKey;

/// Bits of the modulus, as the pages make it.
const BITS: usize = 1024;
/// Base64 characters of a key that came back: one block.
const WRAPPED_MAX: usize = 256;

/// A key pair that lives for one session.
///
/// UNCERTAIN whether every firmware pads by PKCS #1 v1.5, as is presumed; a login to one settles it.
#[derive(Clone)]
pub struct KeyPair {
    private: RsaPrivateKey,
    pem: String,
}

impl KeyPair {
    /// Makes a key pair; takes tens of milliseconds. `None` where the numbers would not fit.
    #[must_use]
    pub fn generate(random: &mut impl CryptoRng) -> Option<Self> {
        let private = RsaPrivateKey::new(random, BITS).ok()?;
        let pem = private
            .to_public_key()
            .to_public_key_pem(LineEnding::LF)
            .ok()?;
        Some(Self { private, pem })
    }

    /// The public key as it is sent, with line feeds.
    #[must_use]
    pub fn public_pem(&self) -> &str {
        &self.pem
    }

    /// Unwraps the `sessionKey` of a login answer. `None` for what is no key.
    #[must_use]
    pub fn unwrap(&self, wrapped: &str) -> Option<SessionKey> {
        if wrapped.len() > WRAPPED_MAX {
            return None;
        }
        let bytes = STANDARD.decode(wrapped.trim()).ok()?;
        let plain = Zeroizing::new(self.private.decrypt(Pkcs1v15Encrypt, &bytes).ok()?);
        SessionKey::new(std::str::from_utf8(&plain).ok()?.trim_end_matches('\0'))
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair(***)")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use rand_core::{TryCryptoRng, TryRng};

    use super::*;

    /// Numbers that look random and are the same in every run.
    pub(crate) struct Counted(pub(crate) u64);

    impl TryRng for Counted {
        type Error = core::convert::Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            let [first, second, third, fourth, ..] = self.try_next_u64()?.to_be_bytes();
            Ok(u32::from_be_bytes([first, second, third, fourth]))
        }

        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            Ok(mixed ^ (mixed >> 31))
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            for byte in bytes {
                [*byte, ..] = self.try_next_u64()?.to_be_bytes();
            }
            Ok(())
        }
    }

    impl TryCryptoRng for Counted {}

    #[test]
    fn a_key_comes_back_and_what_is_none_is_refused() {
        let mut random = Counted(7);
        let pair = KeyPair::generate(&mut random).unwrap();
        let pem = pair.public_pem();
        assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{pem}");
        assert!(pem.ends_with("-----END PUBLIC KEY-----\n"), "{pem}");
        let wrap = |text: &[u8], random: &mut Counted| {
            let public = pair.private.to_public_key();
            let wrapped = public.encrypt(random, Pkcs1v15Encrypt, text).unwrap();
            STANDARD.encode(wrapped)
        };
        let key = pair
            .unwrap(&wrap(b"0123456789abcdef0123456789abcdef", &mut random))
            .unwrap();
        assert_eq!(key.text().expose(), "0123456789abcdef0123456789abcdef");
        for wrapped in [
            wrap(b"short", &mut random),
            wrap(&[0xFF; 16], &mut random),
            String::new(),
            "AAAA".to_owned(),
            "not base64!".to_owned(),
            "A".repeat(172),
            "A".repeat(1000),
        ] {
            assert!(pair.unwrap(&wrapped).is_none(), "{wrapped}");
        }
        assert_eq!(format!("{pair:?}"), "KeyPair(***)");
    }
}
