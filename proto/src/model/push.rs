//! Device credentials that operators push to sites. What is secret in them is sealed to the agents: here
//! it is bytes.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::error::ErrorCode;

use super::id::{CredentialLabel, SiteId, TenantId};
use super::signed::SignedStatement;
use super::time::UtcMillis;

/// The most pushes of one request.
pub const PUSHES_MAX: usize = 500;
/// The largest push with its signature, in bytes.
pub const PUSH_BYTES: usize = 24 * 1024;

/// What a site says about a credential that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialAnswer {
    /// The push.
    pub push: Uuid,
    /// When.
    pub at: UtcMillis,
    /// Why it is not in the vault; `None` where it is.
    pub refused: Option<ErrorCode>,
}

/// Brings credentials, one a site and label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushCredentials {
    /// The site and what it gets.
    pub pushes: Vec<(SiteId, SignedStatement)>,
}

/// Where a pushed credential stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushState {
    /// The site has not answered.
    Waiting,
    /// It is in the site's vault.
    Accepted,
    /// The site did not take it.
    Refused,
    /// The site did not answer in time, and will not take it any more.
    Expired,
}

impl PushState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for PushState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No state of a push.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of a pushed credential")]
pub struct UnknownPushState(pub String);

impl FromStr for PushState {
    type Err = UnknownPushState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let states = [Self::Waiting, Self::Accepted, Self::Refused, Self::Expired];
        let mut states = states.into_iter();
        states
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownPushState(text.to_owned()))
    }
}

/// Which pushed credentials to list: of each site and label the newest, and the newest that is in the
/// vault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListCredentials {
    /// Only of these tenants; all where empty.
    pub tenants: Vec<TenantId>,
    /// Only of these sites; all where empty.
    pub sites: Vec<SiteId>,
    /// Only this label.
    pub label: Option<CredentialLabel>,
    /// Where the page begins; empty for the first.
    pub cursor: String,
    /// The most rows; 0 for as many as fit.
    pub limit: u32,
}

/// A pushed credential as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialView {
    /// The push.
    pub push: Uuid,
    /// The site.
    pub site: SiteId,
    /// Its label in the site's vault.
    pub label: CredentialLabel,
    /// Grows with each push of a label.
    pub version: u64,
    /// Where it stands.
    pub state: PushState,
    /// Why the site did not take it.
    pub reason: Option<ErrorCode>,
    /// The operator's name.
    pub pushed_by: String,
    /// When it was brought.
    pub pushed_at: UtcMillis,
    /// Until when the site may take it.
    pub not_after: UtcMillis,
    /// When the site answered.
    pub answered_at: Option<UtcMillis>,
    /// The sealing key of the agent that it is for.
    pub reader: String,
}

/// Which agents' sealing keys to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListSealingKeys {
    /// Only of these tenants; all where empty.
    pub tenants: Vec<TenantId>,
    /// Only of these sites; all where empty.
    pub sites: Vec<SiteId>,
    /// Where the page begins; empty for the first.
    pub cursor: String,
    /// The most rows; 0 for as many as fit.
    pub limit: u32,
}

/// The keys of the agent that counts for a site: the one that enrolled last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealingKey {
    /// The site.
    pub site: SiteId,
    /// The key to which credentials are sealed.
    pub curve_key: String,
    /// The key with which the agent connects and signs.
    pub user_key: String,
    /// The name of its box.
    pub hostname: String,
    /// When it enrolled.
    pub enrolled_at: UtcMillis,
}
