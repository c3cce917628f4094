//! How credentials are hidden in the two login requests.

use md5::{Digest, Md5};
use sha1::Sha1;

/// XORs `field` with `key` repeated; the same call hides and reveals.
pub(crate) fn xor(field: &[u8], key: [u8; 4]) -> Vec<u8> {
    field
        .iter()
        .zip(key.iter().cycle())
        .map(|(byte, key)| byte ^ key)
        .collect()
}

/// Returns the 20-byte password digest of the head variant.
///
/// SHA-1 over the upper-case hex MD5 of the password and the nonce in decimal, eight digits.
pub(crate) fn head_digest(password: &str, nonce: u32) -> [u8; 20] {
    let mut text: String = Md5::digest(password.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    text.push_str(&format!("{nonce:08}"));
    Sha1::digest(text.as_bytes()).into()
}

/// Returns the username field of the head variant as a client must send it.
///
/// Every byte that is not zero is XORed with the nonce in decimal without padding. Where a byte
/// equals its key byte the result is zero, so the field cannot be reversed with certainty: a
/// device compares with what it expects.
pub(crate) fn head_username(username: &str, nonce: u32) -> [u8; 64] {
    let key = nonce.to_string();
    let mut field = [0; 64];
    for ((to, from), key) in field
        .iter_mut()
        .zip(username.bytes())
        .zip(key.bytes().cycle())
    {
        *to = if from == 0 { 0 } else { from ^ key };
    }
    field
}
