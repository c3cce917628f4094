//! A device credential that an operator pushes to one agent.
//!
//! The credential, its label, site, version and expiry are in a box that only the agent's sealing key
//! opens. Around it stands a statement that the operator signs: for whom it is, and until when it may be
//! taken. What stands in both must agree, so that nobody can put one operator's box under another label.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nkeys::XKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tvtfleet_proto::model::id::{CredentialLabel, SiteId};
use tvtfleet_proto::model::push::PUSH_BYTES;
use tvtfleet_proto::model::secret::{Credential, Secret};
use tvtfleet_proto::model::time::UtcMillis;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::order::{AHEAD_MAX_MS, OperatorList, OrderFault};
use super::sealed::{SealedBox, open, seal};
use super::signed::{SignedDocument, Statement};
use super::token::TrustError;

/// The longest user name or password, in bytes.
pub const PUSH_TEXT_MAX: usize = 1024;
/// The most selectors of a pushed credential, and the longest, in bytes.
pub const PUSH_SELECTORS_MAX: usize = 64;
const SELECTOR_BYTES: usize = 100;
/// Groups of four digits of a key's fingerprint: 128 bits.
const GROUPS: usize = 8;
const WHAT: &str = "the pushed credential";

/// What people compare to be sure of a sealing key: 32 hexadecimal digits of the SHA-256 of its text.
#[must_use]
pub fn fingerprint(curve_key: &str) -> String {
    let digest = Sha256::digest([b"tvtfleet sealing key 1\n", curve_key.as_bytes()].concat());
    let groups = digest.chunks(2).take(GROUPS);
    let groups: Vec<String> = groups.map(super::token::hex).collect();
    groups.join("-")
}

/// What the site gets.
#[derive(Clone, Debug)]
pub struct PushContent {
    /// The label in the site's vault.
    pub label: CredentialLabel,
    /// Higher than that of every earlier push of the label.
    pub version: u64,
    /// When the credential may not be used any more.
    pub expires: Option<UtcMillis>,
    /// Which devices it serves where a job names no label, as the vault reads them.
    pub selectors: Vec<String>,
    /// The user name and the password.
    pub credential: Credential,
}

/// What an operator signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialPush {
    /// The push, a UUID.
    pub id: String,
    /// The tenant.
    pub tenant: String,
    /// The site.
    pub site: String,
    /// The label, as in the box.
    pub label: String,
    /// The version, as in the box.
    pub version: u64,
    /// The public sealing key of the agent.
    pub reader: String,
    /// The public sealing key that was made for this push.
    pub sender: String,
    /// The box, in base64.
    pub sealed: String,
    /// When it was signed, in milliseconds since 1970.
    pub issued_at: i64,
    /// Until when the agent may take it, in milliseconds since 1970.
    pub not_after: i64,
}

impl Statement for CredentialPush {
    const KIND: &'static str = "credential push v1";
}

/// What is in the box.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    tenant: String,
    site: String,
    label: String,
    version: u64,
    expires_ms: Option<i64>,
    selectors: Vec<String>,
    username: String,
    password: Zeroizing<String>,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// A credential that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPush {
    /// A text is too long.
    #[error("the user name or the password is longer than 1024 bytes")]
    Text,
    /// There are too many selectors, or one is too long.
    #[error("more than 64 selectors, or one of more than 100 bytes")]
    Selectors,
}

impl PushContent {
    /// Checks the sizes.
    ///
    /// # Errors
    ///
    /// What is too large.
    pub fn check(&self) -> Result<(), BadPush> {
        let Credential { username, password } = &self.credential;
        if username.len().max(password.expose().len()) > PUSH_TEXT_MAX {
            return Err(BadPush::Text);
        }
        let mut selectors = self.selectors.iter();
        if self.selectors.len() > PUSH_SELECTORS_MAX
            || selectors.any(|selector| selector.len() > SELECTOR_BYTES)
        {
            return Err(BadPush::Selectors);
        }
        Ok(())
    }
}

impl CredentialPush {
    /// Seals a credential to the holder of `reader` at `site`.
    ///
    /// # Errors
    ///
    /// `trust.invalid` where `reader` is no sealing key.
    pub fn seal(
        id: Uuid,
        site: &SiteId,
        reader: &str,
        content: &PushContent,
        issued_at: UtcMillis,
        not_after: UtcMillis,
    ) -> Result<Self, TrustError> {
        let inside = Content {
            tenant: site.tenant.to_string(),
            site: site.site.to_string(),
            label: content.label.to_string(),
            version: content.version,
            expires_ms: content.expires.map(UtcMillis::millis),
            selectors: content.selectors.clone(),
            username: content.credential.username.clone(),
            password: Zeroizing::new(content.credential.password.expose().to_owned()),
        };
        let text = serde_json::to_vec(&inside).map(Zeroizing::new);
        let text = text.map_err(|error| TrustError::malformed(WHAT, error))?;
        // A key for this push only: nobody can open the box afterwards but its reader.
        let sealed = seal(&text, &XKey::new(), reader)?;
        Ok(Self {
            id: id.to_string(),
            tenant: inside.tenant.clone(),
            site: inside.site.clone(),
            label: inside.label.clone(),
            version: content.version,
            reader: reader.to_owned(),
            sender: sealed.sender,
            sealed: BASE64.encode(sealed.bytes),
            issued_at: issued_at.millis(),
            not_after: not_after.millis(),
        })
    }

    /// Which push it is; `None` where it does not say so in order.
    #[must_use]
    pub fn id(&self) -> Option<Uuid> {
        self.id.parse().ok()
    }

    /// Checks that it is for this agent, and good now.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self, site: &SiteId, reader: &str, now: UtcMillis) -> Result<(), OrderFault> {
        if self.tenant != site.tenant.as_str()
            || self.site != site.site.as_str()
            || self.reader != reader
        {
            return Err(OrderFault::Elsewhere);
        }
        if self.not_after <= now.millis() {
            return Err(OrderFault::Expired);
        }
        if self.issued_at > now.millis().saturating_add(AHEAD_MAX_MS) {
            return Err(OrderFault::Early);
        }
        Ok(())
    }

    /// Opens the box with the agent's key, and compares what is inside with what is around it.
    ///
    /// # Errors
    ///
    /// `trust.refused` where it is for somebody else or the two disagree; `trust.invalid`.
    pub fn open(&self, reader: &XKey) -> Result<PushContent, TrustError> {
        let bytes = BASE64.decode(&self.sealed);
        let sealed = SealedBox {
            sender: self.sender.clone(),
            bytes: bytes.map_err(|_| TrustError::malformed(WHAT, "no base64"))?,
        };
        let text = Zeroizing::new(open(WHAT, &sealed, reader)?);
        // The parser's own words could show part of a password.
        let inside: Content = serde_json::from_slice(&text)
            .map_err(|error| TrustError::malformed(WHAT, format!("line {}", error.line())))?;
        if (&inside.tenant, &inside.site, &inside.label, inside.version)
            != (&self.tenant, &self.site, &self.label, self.version)
        {
            return Err(TrustError::Signature { what: WHAT });
        }
        let label = inside.label.parse();
        let content = PushContent {
            label: label.map_err(|error| TrustError::malformed(WHAT, error))?,
            version: inside.version,
            expires: inside.expires_ms.map(UtcMillis::new),
            selectors: inside.selectors.clone(),
            credential: Credential {
                username: inside.username.clone(),
                password: Secret::new(inside.password.as_str()),
            },
        };
        let fits = content.check();
        fits.map_err(|error| TrustError::malformed(WHAT, error))?;
        Ok(content)
    }
}

impl OperatorList {
    /// Reads a push, if one of these operators signed it.
    ///
    /// # Errors
    ///
    /// [`OrderFault::Signer`].
    pub fn push(&self, document: &SignedDocument) -> Result<CredentialPush, OrderFault> {
        if document.len() > PUSH_BYTES {
            return Err(OrderFault::Signer);
        }
        let mut keys = self.keys.iter();
        keys.find_map(|key| document.verify(key).ok())
            .ok_or(OrderFault::Signer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nkeys::KeyPair;

    fn content() -> PushContent {
        PushContent {
            label: "nvr".parse().unwrap(),
            version: 7,
            expires: Some(UtcMillis::new(99)),
            selectors: vec!["any".into()],
            credential: Credential {
                username: "depot-admin".into(),
                password: Secret::new("hunter2hunter2"),
            },
        }
    }

    fn site() -> SiteId {
        "acme/depot".parse().unwrap()
    }

    fn push(reader: &XKey) -> CredentialPush {
        let (now, end) = (UtcMillis::new(10), UtcMillis::new(50));
        let id = Uuid::from_u128(5);
        CredentialPush::seal(id, &site(), &reader.public_key(), &content(), now, end).unwrap()
    }

    #[test]
    fn only_the_agent_reads_it_and_nothing_secret_shows() {
        let (reader, other) = (XKey::new(), XKey::new());
        let push = push(&reader);
        let text = serde_json::to_string(&push).unwrap();
        for secret in ["hunter2", "depot-admin"] {
            assert!(!text.contains(secret));
            assert!(!text.contains(&BASE64.encode(secret)));
        }
        let opened = push.open(&reader).unwrap();
        assert_eq!(opened.credential.password.expose(), "hunter2hunter2");
        assert_eq!(
            (opened.version, opened.expires),
            (7, Some(UtcMillis::new(99)))
        );
        assert!(!format!("{opened:?}").contains("hunter2"));
        assert!(push.open(&other).is_err());
    }

    #[test]
    fn a_box_fits_one_label_version_and_site_only() {
        let reader = XKey::new();
        let edits: [fn(&mut CredentialPush); 4] = [
            |push| push.label = "gate".into(),
            |push| push.version += 1,
            |push| push.site = "other".into(),
            |push| push.tenant = "other".into(),
        ];
        for edit in edits {
            let mut other = push(&reader);
            edit(&mut other);
            assert!(other.open(&reader).is_err());
        }
    }

    #[test]
    fn it_is_for_one_agent_and_one_time() {
        let (reader, key) = (XKey::new(), XKey::new().public_key());
        let push = push(&reader);
        let own = reader.public_key();
        let at = |site: &str, key: &str, now| {
            push.check(&site.parse().unwrap(), key, UtcMillis::new(now))
        };
        assert_eq!(at("acme/depot", &own, 49), Ok(()));
        assert_eq!(at("acme/other", &own, 49), Err(OrderFault::Elsewhere));
        assert_eq!(at("acme/depot", &key, 49), Err(OrderFault::Elsewhere));
        assert_eq!(at("acme/depot", &own, 50), Err(OrderFault::Expired));
        let early = at("acme/depot", &own, -AHEAD_MAX_MS);
        assert_eq!(early, Err(OrderFault::Early));
    }

    #[test]
    fn only_operators_of_the_list_push() {
        let (operator, other) = (KeyPair::new_user(), KeyPair::new_user());
        let list = OperatorList {
            revision: 1,
            tenant: "acme".into(),
            issued_at: 0,
            keys: vec![operator.public_key()],
        };
        let push = push(&XKey::new());
        let by = |key| list.push(&SignedDocument::sign(&push, key).unwrap());
        assert_eq!(by(&operator), Ok(push.clone()));
        assert_eq!(by(&other), Err(OrderFault::Signer));
    }

    #[test]
    fn fingerprints_are_of_the_whole_key() {
        let (one, two) = (XKey::new().public_key(), XKey::new().public_key());
        assert_ne!(fingerprint(&one), fingerprint(&two));
        assert_eq!(fingerprint(&one).len(), 39);
        assert_eq!(fingerprint("X"), fingerprint("X"), "the same on both sides");
    }
}
