//! The session key: wrapped under the password, and wrapping the passwords of edits.
//!
//! AES in ECB mode, padded with NUL to whole blocks, aligned text without an extra block.

use aes::cipher::{BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use aes::{Aes128, Aes192, Aes256, Block};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize as _, Zeroizing};

use crate::model::secret::Secret;

use super::login::md5_upper;

const BLOCK: usize = 16;
/// Base64 characters of a wrapped key.
const WRAPPED_MAX: usize = 256;

/// A session key of 16, 24 or 32 characters.
#[derive(Clone, Debug)]
pub struct SessionKey(Secret);

impl SessionKey {
    /// Unwraps the `sessionKey` of a login answer. `None` for what is no key.
    #[must_use]
    pub fn unwrap(wrapped: &str, password: &Secret) -> Option<Self> {
        if wrapped.len() > WRAPPED_MAX {
            return None;
        }
        let mut bytes = Zeroizing::new(STANDARD.decode(wrapped.trim()).ok()?);
        if bytes.is_empty() || bytes.len() % BLOCK != 0 {
            return None;
        }
        let cipher = Aes256::new_from_slice(md5_upper(password).as_bytes()).ok()?;
        for chunk in bytes.chunks_exact_mut(BLOCK) {
            let mut block = Block::try_from(&*chunk).ok()?;
            cipher.decrypt_block(&mut block);
            chunk.copy_from_slice(&block);
            block.as_mut_slice().zeroize();
        }
        let text = std::str::from_utf8(&bytes).ok()?.trim_end_matches('\0');
        Self::new(text)
    }

    /// A key from its text; `None` for a length that AES does not have.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        matches!(text.len(), 16 | 24 | 32).then(|| Self(Secret::new(text)))
    }

    /// The key's text.
    #[must_use]
    pub const fn text(&self) -> &Secret {
        &self.0
    }

    /// Encrypts a field of an edit, in base64.
    #[must_use]
    pub fn encrypt(&self, plain: &Secret) -> Option<Secret> {
        let key = self.0.expose().as_bytes();
        let mut bytes = Zeroizing::new(plain.expose().as_bytes().to_vec());
        let whole = bytes.len().div_ceil(BLOCK) * BLOCK;
        bytes.resize(whole, 0);
        for chunk in bytes.chunks_exact_mut(BLOCK) {
            let mut block = Block::try_from(&*chunk).ok()?;
            match key.len() {
                16 => Aes128::new_from_slice(key).ok()?.encrypt_block(&mut block),
                24 => Aes192::new_from_slice(key).ok()?.encrypt_block(&mut block),
                _ => Aes256::new_from_slice(key).ok()?.encrypt_block(&mut block),
            }
            chunk.copy_from_slice(&block);
        }
        Some(Secret::new(STANDARD.encode(&*bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_key_is_refused() {
        let password = Secret::new("x");
        for wrapped in ["", "AAAA", "not base64!", "AAAAAAAAAAAAAAAAAAAAAA=="] {
            assert!(
                SessionKey::unwrap(wrapped, &password).is_none(),
                "{wrapped}"
            );
        }
        assert!(SessionKey::new("short").is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_encrypted_to_whole_blocks(text in ".{0,40}", length in 0_usize..3) {
            let key = SessionKey::new(&"k".repeat(16 + length * 8)).unwrap();
            let encrypted = key.encrypt(&Secret::new(text.clone())).unwrap();
            let bytes = STANDARD.decode(encrypted.expose()).unwrap();
            prop_assert_eq!(bytes.len(), text.len().div_ceil(16) * 16);
        }
    }
}
