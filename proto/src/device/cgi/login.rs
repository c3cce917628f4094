//! The proofs of a login, and the cookie.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use sha2::Sha512;
use zeroize::Zeroizing;

use crate::model::secret::Secret;

/// Cookies kept.
const COOKIES_MAX: usize = 16;

/// The proof of the password for a nonce: SHA-512 over the upper-case MD5 digits, `#` and the nonce,
/// in lower-case hexadecimal. The nonce counts as sent, with braces if it has any.
#[must_use]
pub fn proof(password: &Secret, nonce: &str) -> Secret {
    sha512(&[&md5_upper(password), "#", nonce])
}

/// As [`proof`], with the public key that the client sends along; carriage returns do not count.
///
/// UNCERTAIN whether the line feed at the end counts on every firmware; a login to one settles it.
#[must_use]
pub fn proof_with_key(password: &Secret, nonce: &str, key_pem: &str) -> Secret {
    let pem = key_pem.replace('\r', "");
    sha512(&[&md5_upper(password), "#", nonce, "#", &pem])
}

/// How a password stands in `editUserPassword`: base64 of the MD5 digits' text.
#[must_use]
pub fn password_text(password: &Secret) -> Secret {
    Secret::new(STANDARD.encode(md5_upper(password).as_bytes()))
}

/// The password itself in base64, as the legacy login sends it.
pub(super) fn legacy_text(password: &Secret) -> Secret {
    Secret::new(STANDARD.encode(password.expose().as_bytes()))
}

/// The cookies of all later requests, from the `Set-Cookie` headers of the greeting and its
/// `sessionId` element. Cookies without a name or a value do not count.
#[must_use]
pub fn cookies<'a>(
    set_cookie: impl IntoIterator<Item = &'a str>,
    session_id: Option<&str>,
) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = Vec::new();
    for header in set_cookie {
        let pair = header.split(';').next().unwrap_or_default();
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || value.is_empty() || !is_plain(name) || !is_plain(value) {
            continue;
        }
        kept.retain(|(known, _)| known != name);
        if kept.len() < COOKIES_MAX {
            kept.push((name.to_owned(), value.to_owned()));
        }
    }
    let element = session_id.map(|id| id.trim().trim_start_matches('{').trim_end_matches('}'));
    if let Some(id) = element
        && !id.is_empty()
        && is_plain(id)
        && !kept.iter().any(|(name, _)| name == "sessionId")
    {
        kept.push(("sessionId".to_owned(), id.to_owned()));
    }
    kept
}

/// The 32 upper-case MD5 digits of a password.
pub(super) fn md5_upper(password: &Secret) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(32));
    for byte in Md5::digest(password.expose().as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    text
}

fn sha512(parts: &[&str]) -> Secret {
    let text = Zeroizing::new(parts.concat());
    let mut hex = String::with_capacity(128);
    for byte in Sha512::digest(text.as_bytes()) {
        let _ = write!(hex, "{byte:02x}");
    }
    Secret::new(hex)
}

/// What may stand in a header without breaking it.
fn is_plain(text: &str) -> bool {
    text.len() <= 512
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b';' && byte != b',')
}
