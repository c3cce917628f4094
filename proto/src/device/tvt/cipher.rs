//! How the fields of a login hide a user name and a password.
//!
//! None of it protects against who listens: the XOR key is sent in clear, and the digest is
//! searched offline at the speed of MD5. Longer input than a field is cut; callers check first.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::credentials::{HEAD_USERNAME, STANDARD_FIELD};

/// Bytes of the digest in a head-variant login.
const DIGEST: usize = 20;

/// The password field of a standard login: NUL-padded, XORed with the repeated key where there is
/// one. The padding is XORed too.
#[must_use]
pub fn password_standard(password: &str, key: Option<[u8; 4]>) -> [u8; STANDARD_FIELD] {
    xored(password, key)
}

/// The user name field of a standard login; devices with a key for it are UNCERTAIN.
#[must_use]
pub fn username_standard(username: &str, key: Option<[u8; 4]>) -> [u8; STANDARD_FIELD] {
    xored(username, key)
}

/// The password field of a head-variant login: SHA-1 over the upper-case MD5 digits of the password
/// and the nonce in eight decimal digits.
#[must_use]
pub fn password_head(password: &str, nonce: u32) -> [u8; DIGEST] {
    let mut text = Zeroizing::new(String::with_capacity(48));
    for byte in Md5::digest(password.as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    let _ = write!(text, "{nonce:08}");
    Sha1::digest(text.as_bytes()).into()
}

/// The user name field of a head-variant login: NUL-padded, each non-zero byte XORed with the
/// nonce's decimal digits.
///
/// A byte equal to its key byte becomes zero, so the device may see a shorter name. That is a flaw of
/// the scheme and sent as it is.
#[must_use]
pub fn username_head(username: &str, nonce: u32) -> [u8; HEAD_USERNAME] {
    let digits = nonce.to_string();
    let mut field = padded(username);
    for (byte, key) in field.iter_mut().zip(digits.bytes().cycle()) {
        if *byte != 0 {
            *byte ^= key;
        }
    }
    field
}

fn xored<const N: usize>(text: &str, key: Option<[u8; 4]>) -> [u8; N] {
    let mut field = padded(text);
    for (byte, key) in field.iter_mut().zip(key.unwrap_or_default().iter().cycle()) {
        *byte ^= key;
    }
    field
}

fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    for (target, byte) in field.iter_mut().zip(text.bytes()) {
        *target = byte;
    }
    field
}

#[cfg(test)]
mod tests {
    use super::super::field::hex;
    use super::*;

    #[test]
    fn the_published_examples_hold() {
        let field = password_standard("secret12", Some([0x02, 0x71, 0x0C, 0xE5]));
        assert!(hex(&field).starts_with("71146f9767053dd702710ce502710ce5"));
        assert_eq!(
            hex(&password_head("secret12", 123_456)),
            "0f19816f874a3553a80de36c385ab8e5afccad88"
        );
        assert!(hex(&username_head("admin", 123_456)).starts_with("50565e5d5b0000"));
    }

    #[test]
    fn a_name_byte_that_equals_its_key_byte_vanishes() {
        assert_eq!(username_head("0admin", 0)[0], 0);
    }
}
