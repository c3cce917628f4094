//! What the fleet's authority said last, checked and opened.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tvtfleet_bus::closed_file::{self, ClosedFileError};
use tvtfleet_bus::trust::{
    AgentRotation, KeyPair, OperatorGrant, Roster, SignedDocument, TrustError, XKey, agent_user,
};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::{SiteId, TenantId};
use tvtfleet_proto::model::time::UtcMillis;

use crate::config::TrustSettings;
use crate::store::belief::AgentKey;

/// The largest key file, in bytes.
const KEY_MAX: u64 = 4096;
/// The largest file with the authority's words, in bytes.
const ROSTER_MAX: u64 = 4 * 1024 * 1024;

/// The coordinator does not know whom to believe.
#[derive(Debug, thiserror::Error)]
pub enum TrustStartError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] ClosedFileError),
    /// The authority's words cannot be read.
    #[error("cannot read {}", path.display())]
    Roster {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key or signature is not good.
    #[error("the trust section cannot be used")]
    Trust(#[from] TrustError),
}

impl TrustStartError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::File(error) => error.code(),
            Self::Roster { .. } => ErrorCode::ConfigUnreadable,
            Self::Trust(error) => error.code(),
        }
    }
}

/// Whom to believe.
pub(crate) struct Trust {
    authority: String,
    /// Enrolment and the tenants' keys are sealed to it.
    key: XKey,
    /// For how long an agent's token is good.
    token_life: Duration,
    known: RwLock<Arc<Known>>,
}

/// What became of words of the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Adopted {
    /// The revision that counts now.
    pub(crate) revision: u64,
    /// Whether it is theirs, and was not known before.
    pub(crate) is_new: bool,
}

/// What the authority said last.
#[derive(Default)]
struct Known {
    revision: u64,
    words: Option<SignedDocument>,
    operators: BTreeMap<String, OperatorGrant>,
    tenants: BTreeMap<TenantId, Signer>,
    revoked: Vec<tvtfleet_bus::trust::AgentRevocation>,
    rotations: Vec<AgentRotation>,
}

/// What signs a tenant's agents.
struct Signer {
    account: String,
    key: KeyPair,
    /// Whose orders count, for the tenant's agents.
    operators: Option<SignedDocument>,
}

impl Trust {
    /// Reads the files that the settings name; `stored` is what the database has, which may be newer.
    pub(crate) fn open(
        settings: &TrustSettings,
        guarded: Option<&std::path::Path>,
        stored: Option<&str>,
    ) -> Result<Self, TrustStartError> {
        let seed = closed_file::read(&settings.key_file, guarded, KEY_MAX)?;
        let key = XKey::from_seed(seed.expose().trim()).map_err(|source| TrustError::Key {
            what: "the coordinator's key",
            source,
        })?;
        let trust = Self {
            authority: settings.authority.clone(),
            key,
            token_life: settings.token_life(),
            known: RwLock::default(),
        };
        let unreadable = |source| TrustStartError::Roster {
            path: settings.roster_file.clone(),
            source,
        };
        let file = std::fs::File::open(&settings.roster_file).map_err(unreadable)?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::Read::take(file, ROSTER_MAX), &mut text)
            .map_err(unreadable)?;
        for text in [Some(text.as_str()), stored].into_iter().flatten() {
            let document = serde_json::from_str(text).map_err(|error| TrustError::Malformed {
                what: "the roster",
                reason: error.to_string(),
            })?;
            trust.adopt(&document)?;
        }
        Ok(trust)
    }

    /// Takes the authority's words, if they are newer than what is known.
    pub(crate) fn adopt(&self, document: &SignedDocument) -> Result<Adopted, TrustError> {
        let roster: Roster = document.verify(&self.authority)?;
        let mut tenants = BTreeMap::new();
        for grant in &roster.tenants {
            let (tenant, key) = grant.open(&roster.sender, &self.key)?;
            let signer = Signer {
                account: grant.account.clone(),
                key,
                operators: grant.operators.clone(),
            };
            tenants.insert(tenant, signer);
        }
        let operators = roster.operators.into_iter();
        let next = Known {
            revision: roster.revision,
            words: Some(document.clone()),
            operators: operators
                .map(|grant| (grant.user_key.clone(), grant))
                .collect(),
            tenants,
            revoked: roster.revoked,
            rotations: roster.rotations,
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = next.revision > known.revision;
        if is_new {
            *known = Arc::new(next);
        }
        Ok(Adopted {
            revision: known.revision,
            is_new,
        })
    }

    /// The public key of the authority.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The key to which enrolment is sealed.
    pub(crate) const fn key(&self) -> &XKey {
        &self.key
    }

    /// For how long an agent's token is good.
    pub(crate) const fn token_life(&self) -> Duration {
        self.token_life
    }

    /// What an operator may do.
    pub(crate) fn operator(&self, user_key: &str) -> Option<OperatorGrant> {
        self.known().operators.get(user_key).cloned()
    }

    /// The words that count now, with their revision.
    pub(crate) fn words(&self) -> (u64, Option<SignedDocument>) {
        let known = self.known();
        (known.revision, known.words.clone())
    }

    /// Whose orders count at the sites of a tenant, as the authority signed it.
    pub(crate) fn operators_of(&self, tenant: &TenantId) -> Option<SignedDocument> {
        self.known().tenants.get(tenant)?.operators.clone()
    }

    /// Whether a tenant is known.
    pub(crate) fn knows(&self, tenant: &TenantId) -> bool {
        self.known().tenants.contains_key(tenant)
    }

    /// Whether the authority revoked an agent.
    pub(crate) fn is_revoked(&self, agent: &AgentKey) -> bool {
        self.known().revoked.iter().any(|revocation| {
            revocation.is_for(&agent.site)
                && agent.enrolled_at.millis() <= revocation.enrolled_until
        })
    }

    /// The wish that the agent of a site changes its keys, as the revision of the words that asked for
    /// it; 0 where there is none.
    pub(crate) fn rotation(&self, site: &SiteId) -> u64 {
        let known = self.known();
        let wishes = known.rotations.iter().filter(|wish| wish.is_for(site));
        wishes.map(|wish| wish.since).max().unwrap_or(0)
    }

    /// The sites whose agents are to change their keys.
    pub(crate) fn rotating_sites(&self) -> Vec<SiteId> {
        let known = self.known();
        let sites = known.rotations.iter().filter_map(|wish| {
            let tenant = wish.tenant.parse().ok()?;
            Some(SiteId::new(tenant, wish.site.parse().ok()?))
        });
        sites.collect()
    }

    /// What counts now, in a line for the audit.
    pub(crate) fn summary(&self) -> String {
        let known = self.known();
        let operators = known.operators.values().map(|grant| {
            let role = grant.role.as_str();
            match grant.tenants.len() {
                0 => format!("{} ({role})", grant.name),
                _ => format!("{} ({role} of {})", grant.name, grant.tenants.join(",")),
            }
        });
        let operators: Vec<String> = operators.collect();
        let revoked = known.revoked.iter();
        let revoked = revoked.map(|agent| format!("{}/{}", agent.tenant, agent.site));
        let revoked: Vec<String> = revoked.collect();
        let tenants: Vec<&str> = known.tenants.keys().map(TenantId::as_str).collect();
        let rotating = known.rotations.iter();
        let rotating = rotating.map(|agent| format!("{}/{}", agent.tenant, agent.site));
        let rotating: Vec<String> = rotating.collect();
        format!(
            "operators {}; tenants {}; agents revoked of {}; new keys asked of {}",
            or_none(&operators.join(", ")),
            or_none(&tenants.join(", ")),
            or_none(&revoked.join(", ")),
            or_none(&rotating.join(", "))
        )
    }

    /// The sites whose agents were revoked.
    pub(crate) fn revoked_sites(&self) -> Vec<SiteId> {
        let known = self.known();
        let sites = known.revoked.iter().filter_map(|revocation| {
            let tenant = revocation.tenant.parse().ok()?;
            Some(SiteId::new(tenant, revocation.site.parse().ok()?))
        });
        sites.collect()
    }

    /// Writes the token of an agent; `None` where its tenant is not known.
    pub(crate) fn agent_token(
        &self,
        site: &SiteId,
        user_key: &str,
        now: UtcMillis,
        expires_at: UtcMillis,
    ) -> Option<Result<String, TrustError>> {
        let known = self.known();
        let signer = known.tenants.get(&site.tenant)?;
        let (account, key) = (&signer.account, &signer.key);
        Some(agent_user(site, user_key, account, key, now, expires_at))
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_bus::trust::{AgentRevocation, Role, TenantGrant};

    fn trust(authority: &KeyPair) -> Trust {
        Trust {
            authority: authority.public_key(),
            key: XKey::new(),
            token_life: Duration::from_secs(60),
            known: RwLock::default(),
        }
    }

    fn roster(trust: &Trust, revision: u64, operators: &[&str]) -> Roster {
        let sender = XKey::new();
        let acme = "acme".parse().unwrap();
        let agents = KeyPair::new_account();
        let key = trust.key.public_key();
        Roster {
            revision,
            issued_at: 0,
            sender: sender.public_key(),
            operators: operators
                .iter()
                .map(|user| OperatorGrant {
                    name: "x".into(),
                    user_key: (*user).into(),
                    role: Role::Viewer,
                    tenants: Vec::new(),
                })
                .collect(),
            tenants: vec![TenantGrant::seal(&acme, "A".into(), &agents, &sender, &key).unwrap()],
            revoked: vec![AgentRevocation {
                tenant: "acme".into(),
                site: "depot".into(),
                enrolled_until: 100,
            }],
            rotations: Vec::new(),
        }
    }

    #[test]
    fn only_the_authority_is_believed_and_only_forwards() {
        let authority = KeyPair::new_operator();
        let trust = trust(&authority);
        let say = |revision, operators: &[&str], key: &KeyPair| {
            trust.adopt(&SignedDocument::sign(&roster(&trust, revision, operators), key).unwrap())
        };
        assert_eq!(say(2, &["U1"], &authority).unwrap().revision, 2);
        assert!(trust.operator("U1").is_some());
        assert_eq!(say(3, &["U2"], &authority).unwrap().revision, 3);
        assert!(trust.operator("U1").is_none(), "revoked");
        let replayed = say(2, &["U1"], &authority).unwrap();
        assert_eq!(
            (replayed.revision, replayed.is_new),
            (3, false),
            "a replay changes nothing"
        );
        assert!(trust.operator("U1").is_none());
        let error = say(9, &["U1"], &KeyPair::new_operator()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::TrustRefused);
        assert!(trust.operator("U1").is_none());
    }

    #[test]
    fn agents_are_revoked_by_site_and_time_of_enrolment() {
        let authority = KeyPair::new_operator();
        let trust = trust(&authority);
        let document = SignedDocument::sign(&roster(&trust, 1, &[]), &authority).unwrap();
        trust.adopt(&document).unwrap();
        let agent = |site: &str, at| AgentKey {
            site: site.parse().unwrap(),
            user_key: "U".into(),
            curve_key: "X".into(),
            hostname: String::new(),
            enrolled_at: UtcMillis::new(at),
            pending: false,
            rotation: 0,
        };
        assert!(trust.is_revoked(&agent("acme/depot", 100)));
        assert!(
            !trust.is_revoked(&agent("acme/depot", 101)),
            "enrolled again"
        );
        assert!(!trust.is_revoked(&agent("acme/other", 1)));
    }
}
