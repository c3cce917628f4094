//! Statements that somebody signed. What kind of statement it is is part of what is signed, so that no
//! statement can stand for another.

use base64::engine::general_purpose::STANDARD as BASE64;
use nkeys::KeyPair;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tvtfleet_proto::wire::v1;

use super::token::TrustError;

/// The longest statement that is looked at, in bytes.
const STATEMENT_MAX: usize = 512 * 1024;

/// Something that can be signed as JSON.
pub trait Statement: Serialize + DeserializeOwned {
    /// What it is, with its version: the first part of what is signed.
    const KIND: &'static str;
}

/// A statement and its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedDocument {
    /// The statement's JSON, byte for byte as it was signed.
    #[serde(with = "base64_text")]
    statement: Vec<u8>,
    #[serde(with = "base64_text")]
    signature: Vec<u8>,
}

impl SignedDocument {
    /// Signs a statement.
    ///
    /// # Errors
    ///
    /// `trust.invalid` where the key has no seed.
    pub fn sign<S: Statement>(statement: &S, key: &KeyPair) -> Result<Self, TrustError> {
        let statement =
            serde_json::to_vec(statement).map_err(|error| TrustError::malformed(S::KIND, error))?;
        let signature = key
            .sign(&signed_bytes(S::KIND, &statement))
            .map_err(TrustError::key("the signing key"))?;
        Ok(Self {
            statement,
            signature,
        })
    }

    /// The bytes of the statement and its signature.
    #[must_use]
    pub(super) const fn len(&self) -> usize {
        self.statement.len().saturating_add(self.signature.len())
    }

    /// The signature, which stands for the statement.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Reads the statement, if it was signed with the key whose public half is `signer`.
    ///
    /// # Errors
    ///
    /// `trust.refused` where the signature does not fit; `trust.invalid`.
    pub fn verify<S: Statement>(&self, signer: &str) -> Result<S, TrustError> {
        if self.statement.len() > STATEMENT_MAX {
            return Err(TrustError::malformed(S::KIND, "too long"));
        }
        let key =
            KeyPair::from_public_key(signer).map_err(TrustError::key("the authority's key"))?;
        key.verify(&signed_bytes(S::KIND, &self.statement), &self.signature)
            .map_err(|_| TrustError::Signature { what: S::KIND })?;
        serde_json::from_slice(&self.statement)
            .map_err(|error| TrustError::malformed(S::KIND, error))
    }
}

fn signed_bytes(kind: &str, statement: &[u8]) -> Vec<u8> {
    [b"tvtfleet ", kind.as_bytes(), b"\n", statement].concat()
}

impl From<SignedDocument> for v1::SignedDocument {
    fn from(document: SignedDocument) -> Self {
        Self {
            statement: document.statement,
            signature: document.signature,
        }
    }
}

impl From<v1::SignedDocument> for SignedDocument {
    fn from(document: v1::SignedDocument) -> Self {
        Self {
            statement: document.statement,
            signature: document.signature,
        }
    }
}

mod base64_text {
    use base64::Engine as _;

    use super::{BASE64, Deserialize};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64
            .decode(text)
            .map_err(|_| serde::de::Error::custom("no base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::error::ErrorCode;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct One(u32);
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Two(u32);
    impl Statement for One {
        const KIND: &'static str = "one v1";
    }
    impl Statement for Two {
        const KIND: &'static str = "two v1";
    }

    #[test]
    fn a_statement_stands_only_for_itself() {
        let (key, other) = (KeyPair::new_operator(), KeyPair::new_operator());
        let signed = SignedDocument::sign(&One(7), &key).unwrap();
        assert_eq!(signed.verify::<One>(&key.public_key()).unwrap(), One(7));
        let refused = |result: Result<(), TrustError>| {
            assert_eq!(result.unwrap_err().code(), ErrorCode::TrustRefused);
        };
        refused(signed.verify::<One>(&other.public_key()).map(drop));
        refused(signed.verify::<Two>(&key.public_key()).map(drop));
        let mut changed = signed.clone();
        changed.statement = b"8".to_vec();
        refused(changed.verify::<One>(&key.public_key()).map(drop));
        let text = serde_json::to_string(&signed).unwrap();
        assert_eq!(
            serde_json::from_str::<SignedDocument>(&text).unwrap(),
            signed
        );
    }
}
