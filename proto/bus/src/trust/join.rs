//! The one string with which an agent joins: where the fleet is, whom to believe, and a ticket that is
//! good once.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use tvtfleet_proto::model::id::{SiteId, SiteName, TenantId};
use tvtfleet_proto::model::time::UtcMillis;

use super::signed::{SignedDocument, Statement};
use super::token::TrustError;

/// What every join string begins with; the number is the version.
const PREFIX: &str = "tvt1.";
/// The longest join string, in bytes. Real ones have about 3,000.
const STRING_MAX: usize = 32 * 1024;
const WHAT: &str = "the join string";

/// The right to enrol one site once, signed by the fleet's authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// 128 random bits, as lower-case digits.
    pub id: String,
    /// The tenant.
    pub tenant: String,
    /// The site.
    pub site: String,
    /// When it was made, in milliseconds since 1970.
    pub issued_at: i64,
    /// Until when it is good, in milliseconds since 1970.
    pub expires_at: i64,
}

impl Statement for Ticket {
    const KIND: &'static str = "ticket v1";
}

impl Ticket {
    /// The site that it is for.
    ///
    /// # Errors
    ///
    /// `trust.invalid`.
    pub fn site(&self) -> Result<SiteId, TrustError> {
        let tenant: Result<TenantId, _> = self.tenant.parse();
        let site: Result<SiteName, _> = self.site.parse();
        match (tenant, site) {
            (Ok(tenant), Ok(site)) => Ok(SiteId::new(tenant, site)),
            (Err(error), _) | (_, Err(error)) => Err(TrustError::malformed("a ticket", error)),
        }
    }

    /// Until when it is good.
    #[must_use]
    pub fn expires_at(&self) -> UtcMillis {
        UtcMillis::new(self.expires_at)
    }
}

/// Everything that an agent needs to join. Whoever has it can enrol the site, once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinString {
    /// The servers.
    pub urls: Vec<String>,
    /// The certificates that may vouch for the servers, as PEM; empty where the system's will do.
    pub ca: String,
    /// The token of the newcomers' user.
    pub boot_token: String,
    /// The seed of the newcomers' user.
    pub boot_seed: String,
    /// The public key to which enrolment is sealed.
    pub coordinator: String,
    /// The public key of the fleet's authority.
    pub authority: String,
    /// The right to enrol.
    pub ticket: SignedDocument,
}

/// Leaves out what lets somebody in.
impl fmt::Debug for JoinString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinString")
            .field("urls", &self.urls)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl JoinString {
    /// Reads and checks the ticket.
    ///
    /// # Errors
    ///
    /// `trust.refused`, `trust.invalid`.
    pub fn ticket(&self) -> Result<Ticket, TrustError> {
        self.ticket.verify(&self.authority)
    }

    /// The string.
    ///
    /// # Errors
    ///
    /// `trust.invalid`.
    pub fn encode(&self) -> Result<String, TrustError> {
        let body = serde_json::to_vec(self).map_err(|error| TrustError::malformed(WHAT, error))?;
        Ok(format!("{PREFIX}{}", BASE64.encode(body)))
    }
}

impl FromStr for JoinString {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        if text.len() > STRING_MAX {
            return Err(TrustError::malformed(WHAT, "too long"));
        }
        // Mail programs and terminals break long lines.
        let text: String = text.split_whitespace().collect();
        let body = text
            .strip_prefix(PREFIX)
            .ok_or_else(|| TrustError::malformed(WHAT, "it does not begin with tvt1."))?;
        let body = BASE64
            .decode(body)
            .map_err(|_| TrustError::malformed(WHAT, "it is not complete"))?;
        // The parser's words could quote the seed.
        serde_json::from_slice(&body)
            .map_err(|_| TrustError::malformed(WHAT, "it is not complete, or of a newer version"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nkeys::KeyPair;

    #[test]
    fn a_join_string_reads_back_even_when_broken_into_lines() {
        let authority = KeyPair::new_operator();
        let ticket = Ticket {
            id: "00".repeat(16),
            tenant: "acme".into(),
            site: "depot-1".into(),
            issued_at: 1,
            expires_at: 2,
        };
        let join = JoinString {
            urls: vec!["tls://nats.example:4222".into()],
            ca: "PEM".into(),
            boot_token: "t".into(),
            boot_seed: "SUSECRET".into(),
            coordinator: "X".into(),
            authority: authority.public_key(),
            ticket: SignedDocument::sign(&ticket, &authority).unwrap(),
        };
        let text = join.encode().unwrap();
        let (head, tail) = text.split_at(80);
        let broken: JoinString = format!(" {head}\n  {tail}\n").parse().unwrap();
        assert_eq!(broken, join);
        assert_eq!(broken.ticket().unwrap(), ticket);
        assert_eq!(ticket.site().unwrap().to_string(), "acme/depot-1");
        assert!(!format!("{join:?}").contains("SUSECRET"));
        for bad in ["", "tvt2.abc", "tvt1.!!", "tvt1.e30", head] {
            assert!(bad.parse::<JoinString>().is_err(), "{bad}");
        }
    }
}
