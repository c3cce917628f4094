//! What the fleet's authority tells the coordinator: who the operators are, and with which keys agents
//! of a tenant are let in. Always the whole of it, so that the newest document is all there is to know.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nkeys::{KeyPair, XKey};
use serde::{Deserialize, Serialize};
use tvtfleet_proto::model::id::{SiteId, TenantId};

use super::sealed::{SealedBox, open, seal};
use super::signed::{SignedDocument, Statement};
use super::token::TrustError;

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and submits jobs, and keeps the inventory.
    Operator,
    /// Everything, sites included.
    Admin,
}

impl Role {
    /// The name on the command line and in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// No role of this name.
#[derive(Debug, thiserror::Error)]
#[error("must be viewer, operator or admin")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Viewer, Self::Operator, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

/// One operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorGrant {
    /// The operator's name.
    pub name: String,
    /// The public key with which the operator connects.
    pub user_key: String,
    /// What the operator may do.
    pub role: Role,
    /// For which tenants; none is all.
    pub tenants: Vec<String>,
}

impl OperatorGrant {
    /// Whether this operator's orders count at the sites of a tenant.
    #[must_use]
    pub fn commands(&self, tenant: &TenantId) -> bool {
        let covered =
            self.tenants.is_empty() || self.tenants.iter().any(|name| name == tenant.as_str());
        covered && self.role >= Role::Operator
    }
}

/// The key that lets agents of one tenant in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantGrant {
    /// The tenant.
    pub tenant: String,
    /// The public key of the tenant's account.
    pub account: String,
    /// The seed of the key that signs agents, sealed to the coordinator.
    pub signer: String,
    /// Whose orders count at the tenant's sites, an [`OperatorList`](super::OperatorList) for the agents;
    /// missing in words of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operators: Option<SignedDocument>,
}

/// Agents of a site that are not believed any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentRevocation {
    /// The tenant.
    pub tenant: String,
    /// The site.
    pub site: String,
    /// Whoever enrolled at or before this moment, in milliseconds since 1970.
    pub enrolled_until: i64,
}

impl AgentRevocation {
    /// The site.
    #[must_use]
    pub fn is_for(&self, site: &SiteId) -> bool {
        self.tenant == site.tenant.as_str() && self.site == site.site.as_str()
    }
}

/// The agent of a site is to make new keys for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentRotation {
    /// The tenant.
    pub tenant: String,
    /// The site.
    pub site: String,
    /// The revision of the roster that asked first; an agent that has done so for a later one need not.
    pub since: u64,
}

impl AgentRotation {
    /// Whether it is about a site.
    #[must_use]
    pub fn is_for(&self, site: &SiteId) -> bool {
        self.tenant == site.tenant.as_str() && self.site == site.site.as_str()
    }
}

/// Everything that the authority says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// Grows with each change; an older one never replaces a newer one.
    pub revision: u64,
    /// When it was signed, in milliseconds since 1970.
    pub issued_at: i64,
    /// The public sealing key of whoever sealed [`TenantGrant::signer`].
    pub sender: String,
    /// The operators.
    pub operators: Vec<OperatorGrant>,
    /// The tenants.
    pub tenants: Vec<TenantGrant>,
    /// The agents that were revoked.
    pub revoked: Vec<AgentRevocation>,
    /// The agents that are to change their keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotations: Vec<AgentRotation>,
}

impl Statement for Roster {
    const KIND: &'static str = "roster v1";
}

impl TenantGrant {
    /// Seals the key that signs a tenant's agents to the coordinator.
    ///
    /// # Errors
    ///
    /// `trust.invalid`.
    pub fn seal(
        tenant: &TenantId,
        account: String,
        agents: &KeyPair,
        sender: &XKey,
        coordinator: &str,
    ) -> Result<Self, TrustError> {
        let seed = agents.seed().map_err(TrustError::key("the agents' key"))?;
        // Whose key it is stands inside: the box alone does not say.
        let content = format!("{tenant} {seed}");
        let sealed = seal(content.as_bytes(), sender, coordinator)?;
        Ok(Self {
            tenant: tenant.to_string(),
            account,
            signer: BASE64.encode(sealed.bytes),
            operators: None,
        })
    }

    /// Opens the key that signs the tenant's agents.
    ///
    /// # Errors
    ///
    /// `trust.refused`, `trust.invalid`.
    pub fn open(
        &self,
        sender: &str,
        coordinator: &XKey,
    ) -> Result<(TenantId, KeyPair), TrustError> {
        const WHAT: &str = "the agents' key";
        let malformed = || TrustError::malformed(WHAT, "damaged");
        let sealed = SealedBox {
            sender: sender.to_owned(),
            bytes: BASE64.decode(&self.signer).map_err(|_| malformed())?,
        };
        let content =
            String::from_utf8(open(WHAT, &sealed, coordinator)?).map_err(|_| malformed())?;
        let (tenant, seed) = content.split_once(' ').ok_or_else(malformed)?;
        if tenant != self.tenant {
            return Err(malformed());
        }
        let tenant = tenant.parse().map_err(|_| malformed())?;
        let key = KeyPair::from_seed(seed).map_err(TrustError::key(WHAT))?;
        Ok((tenant, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_key_reaches_the_coordinator_only_and_for_its_tenant_only() {
        let (sender, coordinator) = (XKey::new(), XKey::new());
        let agents = KeyPair::new_account();
        let acme = "acme".parse().unwrap();
        let mut grant = TenantGrant::seal(
            &acme,
            "A".into(),
            &agents,
            &sender,
            &coordinator.public_key(),
        )
        .unwrap();
        let (tenant, key) = grant.open(&sender.public_key(), &coordinator).unwrap();
        assert_eq!(
            (tenant.as_str(), key.public_key()),
            ("acme", agents.public_key())
        );
        assert!(grant.open(&sender.public_key(), &XKey::new()).is_err());
        grant.tenant = "other".into();
        assert!(grant.open(&sender.public_key(), &coordinator).is_err());
    }
}
