//! Users of the accounts, and the files that hold them.

use nkeys::KeyPair;
use serde::Serialize;
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::secret::Secret;
use tvtfleet_proto::model::time::UtcMillis;

use super::token::{Claims, TrustError, sign};

/// How agents, operators and newcomers may connect. Not as leaf nodes, and not by MQTT.
pub(super) const CONNECTION_TYPES: [&str; 2] = ["STANDARD", "WEBSOCKET"];

/// What a user may publish and hear.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Permissions {
    #[serde(rename = "pub")]
    pub(super) publish: Rule,
    #[serde(rename = "sub")]
    pub(super) subscribe: Rule,
}

/// The subjects of a permission; none is every subject.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Rule {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
}

impl Rule {
    pub(super) fn allowing(subjects: impl IntoIterator<Item = String>) -> Self {
        Self {
            allow: subjects.into_iter().collect(),
        }
    }
}

#[derive(Serialize)]
struct Nats<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer_account: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(flatten)]
    unscoped: Option<Unscoped>,
    r#type: &'static str,
    version: u8,
}

/// What a user's token says whose signer has no scope. 0 would mean none at all.
#[derive(Serialize)]
struct Unscoped {
    #[serde(flatten)]
    permissions: Permissions,
    subs: i64,
    data: i64,
    payload: i64,
}

/// Writes the token of a user who may do everything that the account `account` may: the coordinator, and
/// who manages the servers.
///
/// # Errors
///
/// `trust.invalid`.
pub fn plain_user(
    name: &str,
    user: &str,
    account: &KeyPair,
    now: UtcMillis,
) -> Result<String, TrustError> {
    let unscoped = Unscoped {
        permissions: Permissions::default(),
        subs: -1,
        data: -1,
        payload: -1,
    };
    let nats = Nats {
        issuer_account: None,
        tags: Vec::new(),
        unscoped: Some(unscoped),
        r#type: "user",
        version: 2,
    };
    issue(name, user, account, &nats, now, None)
}

/// Writes the token of a user who may do what the scope of the key `signer` says, in the account
/// `account`.
///
/// # Errors
///
/// `trust.invalid`.
pub fn scoped_user(
    name: &str,
    user: &str,
    account: &str,
    signer: &KeyPair,
    now: UtcMillis,
    expires_at: Option<UtcMillis>,
) -> Result<String, TrustError> {
    let nats = scoped(account, Vec::new());
    issue(name, user, signer, &nats, now, expires_at)
}

/// Writes the token of a site's agent. The tag is what the server fills into the scope's subjects.
///
/// # Errors
///
/// `trust.invalid`.
pub fn agent_user(
    site: &SiteId,
    user: &str,
    account: &str,
    signer: &KeyPair,
    now: UtcMillis,
    expires_at: UtcMillis,
) -> Result<String, TrustError> {
    let nats = scoped(account, vec![format!("site:{}", site.site)]);
    issue(
        &site.to_string(),
        user,
        signer,
        &nats,
        now,
        Some(expires_at),
    )
}

const fn scoped(account: &str, tags: Vec<String>) -> Nats<'_> {
    Nats {
        issuer_account: Some(account),
        tags,
        unscoped: None,
        r#type: "user",
        version: 2,
    }
}

fn issue(
    name: &str,
    user: &str,
    signer: &KeyPair,
    nats: &Nats<'_>,
    now: UtcMillis,
    expires_at: Option<UtcMillis>,
) -> Result<String, TrustError> {
    let claims = Claims {
        name,
        subject: user,
        issued_at: now,
        expires_at,
        nats,
    };
    sign(&claims, signer)
}

/// The seed of a key, as text.
///
/// # Errors
///
/// `trust.invalid` where the key has no seed.
pub fn seed(key: &KeyPair) -> Result<String, TrustError> {
    key.seed().map_err(TrustError::key("the user's key"))
}

/// The user key of a credentials file's text.
///
/// # Errors
///
/// `trust.invalid` where there is none.
pub fn key_of_credentials(text: &Secret) -> Result<KeyPair, TrustError> {
    let mut lines = text.expose().lines().map(str::trim);
    let seed = lines
        .find(|line| line.contains("BEGIN USER NKEY SEED"))
        .and_then(|_| lines.find(|line| !line.is_empty()))
        .ok_or_else(|| TrustError::malformed("the credentials file", "it has no key"))?;
    KeyPair::from_seed(seed).map_err(TrustError::key("the key of the credentials file"))
}

/// The text of a credentials file: a user's token and the seed of the user's key.
///
/// # Errors
///
/// `trust.invalid` where the key has no seed.
pub fn credentials(token: &str, user: &KeyPair) -> Result<Secret, TrustError> {
    let seed = seed(user)?;
    Ok(Secret::new(format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )))
}
