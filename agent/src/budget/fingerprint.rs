//! Fingerprints of accounts: enough to know one again, useless to whoever steals them.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tvtfleet_proto::model::secret::Credential;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a key.
pub(super) const KEY_LEN: usize = 32;
/// Bytes of a block of SHA-256.
const BLOCK_LEN: usize = 64;

/// A name for an account that only the holder of the key can make: HMAC-SHA256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint([u8; 32]);

/// The fingerprints of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// Of the user name: what a device locks.
    pub(super) user: Fingerprint,
    /// Of user name and password together: what a device refuses.
    pub(super) credential: Fingerprint,
}

/// The key of an agent. Random, and never leaves its box.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct FingerprintKey([u8; KEY_LEN]);

impl FingerprintKey {
    pub(super) const fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// A new key, from the randomness of the operating system.
    pub(super) fn random() -> Self {
        let mut bytes = [0; KEY_LEN];
        // Two version 4 identifiers hold 244 random bits.
        let halves = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
        for (place, byte) in bytes
            .iter_mut()
            .zip(halves.iter().flat_map(|half| *half.as_bytes()))
        {
            *place = byte;
        }
        Self(bytes)
    }

    pub(super) const fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The fingerprints of a credential.
    pub(super) fn account(&self, credential: &Credential) -> Account {
        let user = credential.username.as_bytes();
        let password = credential.password.expose().as_bytes();
        Account {
            user: self.fingerprint(b"user", &[user]),
            credential: self.fingerprint(b"login", &[user, password]),
        }
    }

    fn fingerprint(&self, purpose: &[u8], parts: &[&[u8]]) -> Fingerprint {
        // HMAC fills a short key up with zeros to a block; done here, the length cannot be wrong.
        let mut block = Zeroizing::new([0; BLOCK_LEN]);
        for (place, byte) in block.iter_mut().zip(self.0) {
            *place = byte;
        }
        let mut hmac = Hmac::<Sha256>::new((&*block).into());
        hmac.update(purpose);
        for part in parts {
            // With its length, so that no two credentials give the same bytes.
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hmac.update(&length.to_le_bytes());
            hmac.update(part);
        }
        Fingerprint(hmac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(***)")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Fingerprint {
    /// Reads what `Display` writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 64] = text.as_bytes().try_into().ok()?;
        let mut fingerprint = [0; 32];
        for (place, pair) in fingerprint.iter_mut().zip(bytes.chunks_exact(2)) {
            *place = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(fingerprint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::model::secret::Secret;

    fn credential(username: &str, password: &str) -> Credential {
        Credential {
            username: username.into(),
            password: Secret::new(password),
        }
    }

    #[test]
    fn a_fingerprint_tells_accounts_apart_and_needs_the_key() {
        let key = FingerprintKey::random();
        let account = key.account(&credential("admin", "pw"));
        assert_eq!(account, key.account(&credential("admin", "pw")));
        let other_password = key.account(&credential("admin", "pw2"));
        assert_eq!(account.user, other_password.user);
        assert_ne!(account.credential, other_password.credential);
        assert_ne!(
            key.account(&credential("ab", "c")).credential,
            key.account(&credential("a", "bc")).credential
        );
        let other_box = FingerprintKey::random().account(&credential("admin", "pw"));
        assert_ne!(account.user, other_box.user);
        assert_ne!(account.credential, other_box.credential);
    }

    #[test]
    fn the_text_of_a_fingerprint_reads_back() {
        let print = FingerprintKey::new([7; KEY_LEN])
            .account(&credential("admin", "pw"))
            .credential;
        assert_eq!(Fingerprint::parse(&print.to_string()), Some(print));
        for bad in ["", "00", &"zz".repeat(32), &"0".repeat(65)] {
            assert_eq!(Fingerprint::parse(bad), None, "{bad}");
        }
    }
}
