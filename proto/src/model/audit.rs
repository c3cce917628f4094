//! The audit: who asked what, how it was decided, and what came of it, in a chain of hashes.
//!
//! Pure. A row's hash covers the hash of the row before it and everything that the row says, so that
//! no row can be altered, taken out or moved without all later hashes being wrong. A chain says
//! nothing about rows cut off at its end: for that, a [`AuditMark`] of the end is kept elsewhere.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::id::{JobId, SiteId, TenantId};
use super::time::UtcMillis;

mod verify;

pub use verify::{AuditFault, AuditVerifier, Verified};

/// The most sites that a row names; a row for more says how many there are.
pub const AUDIT_SITES_MAX: usize = 4096;
/// The longest text of a row, in characters.
pub const AUDIT_TEXT_MAX: usize = 2000;
/// What a row is about that says that rows before it were taken out because of their age.
pub const AUDIT_PRUNED: &str = "audit.prune";
/// What a row is about that says that the chain ended before what was known to be its end.
pub const AUDIT_REWOUND: &str = "audit.rewound";
/// Stands before everything that is hashed, so that no other hash can be one of a row.
const DOMAIN: &[u8] = b"tvtfleet audit row 1";

/// A hash of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// A hash from its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is no hash of the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
pub struct BadChainHash;

impl FromStr for ChainHash {
    type Err = BadChainHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0_u8; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(BadChainHash);
        }
        for (at, byte) in (0..).step_by(2).zip(&mut bytes) {
            let digits = text.get(at..at + 2).ok_or(BadChainHash)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| BadChainHash)?;
        }
        Ok(Self(bytes))
    }
}

/// How something was decided. Rows hold the text, so that decisions of later programs survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditDecision {
    /// It was done.
    Admitted,
    /// It was refused; the code says why.
    Refused,
    /// It was admitted and could not be done.
    Failed,
    /// Nobody asked: it happened.
    Noted,
}

impl AuditDecision {
    /// The text in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Noted => "noted",
        }
    }
}

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AuditEntry {
    /// When it was recorded.
    pub at: UtcMillis,
    /// Who asked: an operator's name, `agent`, `coordinator`, or the key where there is no name.
    pub who: String,
    /// The key with which was asked; may be empty.
    pub key: String,
    /// What it is about, as `job.submit`.
    pub kind: String,
    /// How it was decided: the text of an [`AuditDecision`], or of a later program's.
    pub decision: String,
    /// Why it was refused or failed; may be empty.
    pub code: String,
    /// The job, where it is about one.
    pub job: Option<JobId>,
    /// The sites that it is for, at most [`AUDIT_SITES_MAX`] of them.
    pub sites: Vec<SiteId>,
    /// How many sites it is for.
    pub sites_total: u32,
    /// How many devices it is for.
    pub devices: u32,
    /// What exactly was asked.
    pub detail: String,
    /// What came of it.
    pub outcome: String,
}

impl AuditEntry {
    /// Names the sites, as many as a row may.
    #[must_use]
    pub fn for_sites(mut self, sites: impl IntoIterator<Item = SiteId>) -> Self {
        let mut sites: Vec<SiteId> = sites.into_iter().collect();
        sites.sort_unstable();
        sites.dedup();
        self.sites_total = u32::try_from(sites.len()).unwrap_or(u32::MAX);
        sites.truncate(AUDIT_SITES_MAX);
        self.sites = sites;
        self
    }

    /// Whether the row is of these sites; a row with more sites than it can name is of any.
    #[must_use]
    pub fn names_any(&self, sites: &[SiteId]) -> bool {
        let named = u32::try_from(self.sites.len()).unwrap_or(u32::MAX);
        self.sites_total > named || self.sites.iter().any(|site| sites.contains(site))
    }

    /// Whether the row is about these tenants and no other.
    #[must_use]
    pub fn is_within(&self, tenants: &[TenantId]) -> bool {
        !self.sites.is_empty()
            && u32::try_from(self.sites.len()).is_ok_and(|named| named == self.sites_total)
            && self.sites.iter().all(|site| tenants.contains(&site.tenant))
    }

    fn cut(&mut self) {
        for text in [
            &mut self.who,
            &mut self.key,
            &mut self.kind,
            &mut self.decision,
            &mut self.code,
            &mut self.detail,
            &mut self.outcome,
        ] {
            if let Some((end, _)) = text.char_indices().nth(AUDIT_TEXT_MAX) {
                text.truncate(end);
            }
        }
    }
}

/// Where a chain stands: the number and hash of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AuditMark {
    /// The row's number; 0 before the first row.
    pub number: u64,
    /// The row's hash; zeros before the first row.
    pub hash: ChainHash,
}

impl fmt::Display for AuditMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.hash)
    }
}

impl FromStr for AuditMark {
    type Err = BadChainHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, hash) = text.trim().split_once(':').ok_or(BadChainHash)?;
        Ok(Self {
            number: number.parse().map_err(|_| BadChainHash)?,
            hash: hash.parse()?,
        })
    }
}

/// A row of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AuditRow {
    /// Its number; the first row is 1, and no number is left out.
    pub number: u64,
    /// The hash of the row before it; zeros before the first row.
    pub prior: ChainHash,
    /// What it says.
    pub entry: AuditEntry,
    /// Its hash.
    pub hash: ChainHash,
}

impl AuditRow {
    /// The row that follows `last`. Texts that are too long are cut.
    #[must_use]
    pub fn following(last: AuditMark, mut entry: AuditEntry) -> Self {
        entry.cut();
        let mut row = Self {
            number: last.number.saturating_add(1),
            prior: last.hash,
            entry,
            hash: ChainHash::default(),
        };
        row.hash = row.computed_hash();
        row
    }

    /// Where the chain stands with this row.
    #[must_use]
    pub const fn mark(&self) -> AuditMark {
        AuditMark {
            number: self.number,
            hash: self.hash,
        }
    }

    /// The hash that belongs to what the row says.
    #[must_use]
    pub fn computed_hash(&self) -> ChainHash {
        let entry = &self.entry;
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            // The length keeps neighbours apart.
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            hash.update(length.to_be_bytes());
            hash.update(bytes);
        };
        part(DOMAIN);
        part(&self.number.to_be_bytes());
        part(self.prior.bytes());
        part(&entry.at.millis().to_be_bytes());
        for text in [
            &entry.who,
            &entry.key,
            &entry.kind,
            &entry.decision,
            &entry.code,
        ] {
            part(text.as_bytes());
        }
        let job = entry.job.map(|job| job.uuid().into_bytes());
        part(job.as_ref().map_or(&[], |job| job.as_slice()));
        let sites: Vec<String> = entry.sites.iter().map(ToString::to_string).collect();
        part(sites.join(" ").as_bytes());
        part(&entry.sites_total.to_be_bytes());
        part(&entry.devices.to_be_bytes());
        part(entry.detail.as_bytes());
        part(entry.outcome.as_bytes());
        ChainHash(hash.finalize().into())
    }
}

/// Lists the audit, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ListAudit {
    /// Only rows about these tenants and no other; empty is any.
    pub tenants: Vec<TenantId>,
    /// Only rows about one of these sites; empty is any.
    pub sites: Vec<SiteId>,
    /// Only rows of one of these, by name or key; empty is any.
    pub who: Vec<String>,
    /// Only rows about one of these, as `job.submit` or `job`; empty is any.
    pub kinds: Vec<String>,
    /// Only rows recorded at or after this moment.
    pub since: Option<UtcMillis>,
    /// Only rows recorded before this moment.
    pub until: Option<UtcMillis>,
    /// Only rows with a greater number.
    pub after: u64,
    /// The most rows; 0 is [`super::api::PAGE_MAX`].
    pub limit: u32,
}

impl ListAudit {
    /// Whether a row is one of those that are listed; leaves [`Self::after`] aside.
    #[must_use]
    pub fn includes(&self, entry: &AuditEntry) -> bool {
        let is_kind = |kind: &String| {
            entry.kind == *kind
                || entry
                    .kind
                    .strip_prefix(kind.as_str())
                    .is_some_and(|rest| rest.starts_with('.'))
        };
        (self.tenants.is_empty() || entry.is_within(&self.tenants))
            && (self.sites.is_empty() || entry.names_any(&self.sites))
            && (self.who.is_empty()
                || self.who.contains(&entry.who)
                || (!entry.key.is_empty() && self.who.contains(&entry.key)))
            && (self.kinds.is_empty() || self.kinds.iter().any(is_kind))
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

/// One page of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AuditPage {
    /// The rows.
    pub rows: Vec<AuditRow>,
    /// The number behind which the next page begins; `None` after the last.
    pub next: Option<u64>,
    /// Where the database's chain ends; `None` for operators of some tenants.
    pub head: Option<AuditMark>,
    /// Where the chain ended as far as was noted outside of the database; likewise.
    pub witness: Option<AuditMark>,
}
