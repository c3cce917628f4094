//! Digest (RFC 7616) and Basic (RFC 7617).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::model::secret::{Credential, Secret};

use super::exchange::Method;

/// The hash of a challenge, the weaker first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// MD5.
    Md5,
    /// MD5 over the session.
    Md5Sess,
    /// SHA-256.
    Sha256,
    /// SHA-256 over the session.
    Sha256Sess,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Md5, Self::Md5Sess, Self::Sha256, Self::Sha256Sess];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
        }
    }

    /// The algorithm of a name, in any letter case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    const fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha256Sess)
    }

    fn hash(self, parts: &[&str]) -> String {
        let text = Zeroizing::new(parts.join(":"));
        let bytes: Vec<u8> = match self {
            Self::Md5 | Self::Md5Sess => Md5::digest(text.as_bytes()).to_vec(),
            Self::Sha256 | Self::Sha256Sess => Sha256::digest(text.as_bytes()).to_vec(),
        };
        bytes.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// The quality of protection that an answer uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// None, as before RFC 2617.
    None,
    /// `auth`.
    Auth,
}

/// A Digest challenge that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestChallenge {
    /// The realm, as sent.
    pub realm: String,
    /// The nonce.
    pub nonce: String,
    /// What is to be sent back unchanged.
    pub opaque: Option<String>,
    /// The hash; MD5 where none is named.
    pub algorithm: Algorithm,
    /// The protection chosen.
    pub qop: Qop,
    /// Whether only the nonce was too old; the credential was not looked at.
    pub stale: bool,
}

impl DigestChallenge {
    /// The challenge of these parameters; `None` where a part is missing or unknown.
    #[must_use]
    pub fn of(parameters: &BTreeMap<String, String>) -> Option<Self> {
        let algorithm = match parameters.get("algorithm") {
            Some(name) => Algorithm::named(name)?,
            None => Algorithm::Md5,
        };
        let qop = match parameters.get("qop").map(|list| list.trim()) {
            None | Some("") => Qop::None,
            Some(list)
                if list
                    .split(',')
                    .any(|one| one.trim().eq_ignore_ascii_case("auth")) =>
            {
                Qop::Auth
            }
            Some(_) => return None,
        };
        Some(Self {
            realm: parameters.get("realm")?.clone(),
            nonce: parameters.get("nonce")?.clone(),
            opaque: parameters.get("opaque").cloned(),
            algorithm,
            qop,
            stale: parameters
                .get("stale")
                .is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }
}

/// The three hashes of an answer, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestResponse {
    /// Of the credential.
    pub ha1: String,
    /// Of the request.
    pub ha2: String,
    /// Of both with the nonces.
    pub response: String,
}

impl DigestResponse {
    /// Computes an answer. `count` is the nonce count as it will be written.
    #[must_use]
    pub fn compute(
        challenge: &DigestChallenge,
        credential: &Credential,
        (method, uri): (&str, &str),
        (count, client_nonce): (&str, &str),
    ) -> Self {
        let (algorithm, nonce) = (challenge.algorithm, challenge.nonce.as_str());
        let user = credential.username.as_str();
        let plain = algorithm.hash(&[user, &challenge.realm, credential.password.expose()]);
        let ha1 = if algorithm.is_session() {
            algorithm.hash(&[&plain, nonce, client_nonce])
        } else {
            plain
        };
        let ha2 = algorithm.hash(&[method, uri]);
        let response = match challenge.qop {
            Qop::Auth => algorithm.hash(&[&ha1, nonce, count, client_nonce, "auth", &ha2]),
            Qop::None => algorithm.hash(&[&ha1, nonce, &ha2]),
        };
        Self { ha1, ha2, response }
    }
}

/// A challenge in use: counts how often its nonce was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestUse {
    challenge: DigestChallenge,
    count: u32,
}

impl DigestUse {
    /// Begins to use a challenge; the count starts anew with it.
    #[must_use]
    pub const fn new(challenge: DigestChallenge) -> Self {
        Self {
            challenge,
            count: 0,
        }
    }

    /// The value of `Authorization` for the next request. `random` makes the client's nonce.
    #[must_use]
    pub fn authorize(
        &mut self,
        credential: &Credential,
        method: Method,
        uri: &str,
        random: u128,
    ) -> Secret {
        self.count = self.count.wrapping_add(1);
        let (count, client_nonce) = (format!("{:08x}", self.count), format!("{random:032x}"));
        let challenge = &self.challenge;
        let answer = DigestResponse::compute(
            challenge,
            credential,
            (method.as_str(), uri),
            (&count, &client_nonce),
        );
        let mut header = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{}\", algorithm={}",
            quoted(&credential.username),
            quoted(&challenge.realm),
            quoted(&challenge.nonce),
            quoted(uri),
            answer.response,
            challenge.algorithm.as_str(),
        );
        let sends_nonce = challenge.qop == Qop::Auth || challenge.algorithm.is_session();
        if challenge.qop == Qop::Auth {
            let _ = write!(header, ", qop=auth, nc={count}");
        }
        if sends_nonce {
            let _ = write!(header, ", cnonce=\"{client_nonce}\"");
        }
        if let Some(opaque) = &challenge.opaque {
            let _ = write!(header, ", opaque=\"{}\"", quoted(opaque));
        }
        Secret::new(header)
    }
}

/// The value of `Authorization` that shows the password.
///
/// A user name with a colon is ambiguous: the caller refuses it.
#[must_use]
pub fn basic(credential: &Credential) -> Secret {
    let pair = Zeroizing::new(format!(
        "{}:{}",
        credential.username,
        credential.password.expose()
    ));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::http::challenges;

    fn credential() -> Credential {
        Credential {
            username: "ad\"min".into(),
            password: Secret::new("x"),
        }
    }

    fn challenge(header: &str) -> DigestChallenge {
        DigestChallenge::of(&challenges([header])[0].parameters).unwrap()
    }

    #[test]
    fn the_count_is_per_nonce_and_quotes_are_escaped() {
        let mut used = DigestUse::new(challenge("Digest realm=\"r\", nonce=\"n\", qop=\"auth\""));
        let first = used.authorize(&credential(), Method::Post, "/a", 1);
        let second = used.authorize(&credential(), Method::Post, "/a", 2);
        assert!(first.expose().contains("nc=00000001") && second.expose().contains("nc=00000002"));
        assert!(first.expose().contains("username=\"ad\\\"min\""));
        assert!(first.expose().contains(&format!("cnonce=\"{:032x}\"", 1)));
        let mut fresh = DigestUse::new(challenge("Digest realm=\"r\", nonce=\"m\", qop=\"auth\""));
        let again = fresh.authorize(&credential(), Method::Post, "/a", 3);
        assert!(again.expose().contains("nc=00000001"));
    }

    #[test]
    fn without_qop_no_count_is_sent() {
        let mut used = DigestUse::new(challenge("Digest realm=\"r\", nonce=\"n\", stale=TRUE"));
        assert!(used.challenge.stale);
        let header = used.authorize(&credential(), Method::Get, "/a", 1);
        assert!(!header.expose().contains("nc=") && !header.expose().contains("cnonce"));
        assert!(header.expose().contains("algorithm=MD5"));
    }
}
