//! NATS JSON Web Tokens, version 2: three parts in base64 without padding, the last an Ed25519 signature
//! over the first two. Layout as nats-server 2.11 to 2.15 reads it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use nkeys::KeyPair;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::time::UtcMillis;

/// The first part of every token.
const HEADER: &str = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;
/// The longest token that is looked at, in bytes. Those of accounts with many revocations are long.
const TOKEN_MAX: usize = 1024 * 1024;

/// A key, token or box cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A key is damaged, or of another kind than needed.
    #[error("{what} is no usable key")]
    Key {
        /// Which one.
        what: &'static str,
        /// Why.
        source: nkeys::error::Error,
    },
    /// A document is not what it should be.
    #[error("{what} cannot be read: {reason}")]
    Malformed {
        /// What it is.
        what: &'static str,
        /// What is wrong, without any of its text.
        reason: String,
    },
    /// A signature does not fit, or is of somebody else.
    #[error("{what} is not signed by who should have signed it")]
    Signature {
        /// What it is.
        what: &'static str,
    },
    /// A sealed box is for another reader, or was changed.
    #[error("{what} cannot be opened")]
    Sealed {
        /// What it is.
        what: &'static str,
    },
}

impl TrustError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Key { .. } | Self::Malformed { .. } => ErrorCode::TrustInvalid,
            Self::Signature { .. } | Self::Sealed { .. } => ErrorCode::TrustRefused,
        }
    }

    pub(crate) fn key(what: &'static str) -> impl FnOnce(nkeys::error::Error) -> Self {
        move |source| Self::Key { what, source }
    }

    pub(crate) fn malformed(what: &'static str, reason: impl ToString) -> Self {
        Self::Malformed {
            what,
            reason: reason.to_string(),
        }
    }
}

/// What a token says; `nats` depends on its kind.
#[derive(Debug)]
pub(super) struct Claims<'a, N> {
    pub(super) name: &'a str,
    /// The public key that the token is about.
    pub(super) subject: &'a str,
    pub(super) issued_at: UtcMillis,
    /// `None` is never.
    pub(super) expires_at: Option<UtcMillis>,
    pub(super) nats: &'a N,
}

#[derive(Serialize)]
struct Payload<'a, N> {
    jti: &'a str,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    iss: String,
    name: &'a str,
    sub: &'a str,
    nats: &'a N,
}

/// Writes and signs a token.
pub(super) fn sign<N: Serialize>(
    claims: &Claims<'_, N>,
    key: &KeyPair,
) -> Result<String, TrustError> {
    let unwritable = |error: serde_json::Error| TrustError::malformed("a token", error);
    let mut payload = Payload {
        jti: "",
        iat: claims.issued_at.millis().div_euclid(1000),
        exp: claims.expires_at.map(|at| at.millis().div_euclid(1000)),
        iss: key.public_key(),
        name: claims.name,
        sub: claims.subject,
        nats: claims.nats,
    };
    // The resolver tells versions of an account apart by this.
    let digest = Sha256::digest(serde_json::to_vec(&payload).map_err(unwritable)?);
    let id = hex(&digest);
    payload.jti = &id;
    let body = serde_json::to_vec(&payload).map_err(unwritable)?;
    let signed = format!("{}.{}", BASE64.encode(HEADER), BASE64.encode(body));
    let signature = key
        .sign(signed.as_bytes())
        .map_err(TrustError::key("the signing key"))?;
    Ok(format!("{signed}.{}", BASE64.encode(signature)))
}

/// The lower-case digits of bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// From when to when a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// When it was issued.
    pub issued_at: UtcMillis,
    /// When it expires; `None` is never.
    pub expires_at: Option<UtcMillis>,
}

impl Lifetime {
    /// When half of it is over; `None` is never.
    #[must_use]
    pub fn half(&self) -> Option<UtcMillis> {
        let (from, to) = (self.issued_at.millis(), self.expires_at?.millis());
        Some(UtcMillis::new(
            from.saturating_add(to.saturating_sub(from) / 2),
        ))
    }
}

/// Reads from when to when a token is good. Does not check its signature: the server does.
///
/// # Errors
///
/// `trust.invalid`.
pub fn lifetime(token: &str) -> Result<Lifetime, TrustError> {
    #[derive(Deserialize)]
    struct Times {
        iat: i64,
        exp: Option<i64>,
    }
    let invalid = |reason: &str| TrustError::malformed("a token", reason);
    if token.len() > TOKEN_MAX {
        return Err(invalid("too long"));
    }
    let body = token.split('.').nth(1).ok_or_else(|| invalid("no body"))?;
    let body = BASE64.decode(body).map_err(|_| invalid("no base64"))?;
    let times: Times = serde_json::from_slice(&body).map_err(|_| invalid("no claims"))?;
    let moment = |seconds: i64| UtcMillis::new(seconds.saturating_mul(1000));
    Ok(Lifetime {
        issued_at: moment(times.iat),
        expires_at: times.exp.filter(|seconds| *seconds > 0).map(moment),
    })
}

/// Asks the servers to forget an account.
///
/// # Errors
///
/// `trust.invalid`.
pub fn deletion_token(
    account: &str,
    operator: &KeyPair,
    now: UtcMillis,
) -> Result<String, TrustError> {
    #[derive(Serialize)]
    struct Deletion<'a> {
        accounts: [&'a str; 1],
        r#type: &'static str,
        version: u8,
    }
    let nats = Deletion {
        accounts: [account],
        r#type: "generic",
        version: 2,
    };
    let subject = operator.public_key();
    let claims = Claims {
        name: "remove",
        subject: &subject,
        issued_at: now,
        expires_at: None,
        nats: &nats,
    };
    sign(&claims, operator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_signed_and_tell_their_life() {
        let key = KeyPair::new_account();
        let nats = serde_json::json!({"type": "user", "version": 2});
        let claims = Claims {
            name: "x",
            subject: "U",
            issued_at: UtcMillis::new(1_700_000_000_999),
            expires_at: Some(UtcMillis::new(1_700_000_600_000)),
            nats: &nats,
        };
        let token = sign(&claims, &key).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64.decode(signature).unwrap();
        key.verify(signed.as_bytes(), &signature).unwrap();
        let life = lifetime(&token).unwrap();
        assert_eq!(life.issued_at.millis(), 1_700_000_000_000);
        assert_eq!(life.half().unwrap().millis(), 1_700_000_300_000);
        for broken in ["", "a", "a.b", "a.!.c", "a.e30.c"] {
            assert_eq!(
                lifetime(broken).unwrap_err().code(),
                ErrorCode::TrustInvalid
            );
        }
    }
}
