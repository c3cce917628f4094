//! Login requests, read as the device that issued the challenge reads them.

use super::cipher::{head_digest, head_username, xor};
use super::field::until_nul;

/// Payload length of a standard login.
pub(crate) const STANDARD_LEN: usize = 116;
/// Payload length of a head-variant login.
pub(crate) const HEAD_LEN: usize = 236;

/// How a standard login hides its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disguise {
    /// Username and password as they are.
    Plain,
    /// The password XORed with this key.
    Password([u8; 4]),
    /// Username and password each XORed with this key.
    Both([u8; 4]),
}

/// What a login request claims.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The username, or its hidden form in hexadecimal where it cannot be read.
    pub(crate) username: String,
    /// Whether username and password are the expected ones.
    pub(crate) valid: bool,
}

/// Checks a standard login; `None` when the payload has the wrong length.
pub(crate) fn standard_claim(
    payload: &[u8],
    disguise: Disguise,
    user: &str,
    password: &str,
) -> Option<Claim> {
    if payload.len() != STANDARD_LEN {
        return None;
    }
    let (username, secret) = (payload.get(4..36)?, payload.get(36..68)?);
    let (username, secret) = match disguise {
        Disguise::Plain => (username.to_vec(), secret.to_vec()),
        Disguise::Password(key) => (username.to_vec(), xor(secret, key)),
        Disguise::Both(key) => (xor(username, key), xor(secret, key)),
    };
    let username = String::from_utf8_lossy(until_nul(&username)).into_owned();
    let valid = username == user && until_nul(&secret) == password.as_bytes();
    Some(Claim { username, valid })
}

/// Checks a head-variant login; `None` when the payload has the wrong length.
pub(crate) fn head_claim(payload: &[u8], nonce: u32, user: &str, password: &str) -> Option<Claim> {
    if payload.len() != HEAD_LEN {
        return None;
    }
    let (username, digest) = (payload.get(36..100)?, payload.get(100..120)?);
    let known = username == head_username(user, nonce);
    let name = if known {
        user.to_owned()
    } else {
        revealed(username, nonce)
    };
    Some(Claim {
        username: name,
        valid: known && digest == head_digest(password, nonce),
    })
}

/// Undoes the XOR as far as possible, for the lock counter of a username nobody has.
fn revealed(field: &[u8], nonce: u32) -> String {
    let key = nonce.to_string();
    let plain: Vec<u8> = until_nul(field)
        .iter()
        .zip(key.bytes().cycle())
        .map(|(byte, key)| byte ^ key)
        .collect();
    String::from_utf8_lossy(&plain).into_owned()
}
