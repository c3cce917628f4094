//! Judging the credential of a request to the web API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::http::Request;

/// What a request shows.
#[derive(Debug)]
pub(crate) enum Shown {
    /// Nothing.
    Nothing,
    /// A name with a right or wrong proof, and the nonce that was answered with its count.
    Digest {
        user: String,
        right: bool,
        nonce: String,
        count: u32,
    },
    /// A name with a right or wrong password.
    Basic { user: String, right: bool },
}

pub(crate) fn shown(request: &Request, user: &str, password: &str) -> Shown {
    let Some(header) = request.header("authorization") else {
        return Shown::Nothing;
    };
    if let Some(encoded) = header.strip_prefix("Basic ") {
        let decoded = STANDARD.decode(encoded).unwrap_or_default();
        let text = String::from_utf8(decoded).unwrap_or_default();
        let (name, word) = text.split_once(':').unwrap_or_default();
        return Shown::Basic {
            user: name.to_owned(),
            right: name == user && word == password,
        };
    }
    let part = |name: &str| parameter(header, name).unwrap_or_default();
    let sha = part("algorithm") == "SHA-256";
    let hash = |text: String| {
        if sha {
            hex(&Sha256::digest(text))
        } else {
            hex(&Md5::digest(text))
        }
    };
    let (name, nonce, count) = (part("username"), part("nonce"), part("nc"));
    let first = hash(format!("{user}:{}:{password}", part("realm")));
    let second = hash(format!("{}:{}", request.method, request.path));
    let wanted = hash(format!(
        "{first}:{nonce}:{count}:{}:auth:{second}",
        part("cnonce")
    ));
    Shown::Digest {
        right: name == user && part("uri") == request.path && part("response") == wanted,
        user: name,
        count: u32::from_str_radix(&count, 16).unwrap_or(0),
        nonce,
    }
}

/// The value of a parameter; quoted ones may hold commas.
fn parameter(header: &str, name: &str) -> Option<String> {
    let starts = [format!(" {name}="), format!(",{name}=")];
    let rest = starts
        .iter()
        .find_map(|start| header.split_once(start.as_str()))?
        .1;
    let value = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split(',').next(),
    };
    value.map(|value| value.trim().to_owned())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
