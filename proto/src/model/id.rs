//! Identifiers. Each has its own type, so that none is taken for another.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The longest name of a tenant or site, in bytes: it is one token of a NATS subject.
pub const NAME_MAX: usize = 40;

/// The text is no name of a tenant or site.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name: use 1 to {NAME_MAX} of a-z, 0-9 and -, with no - at either end")]
pub struct BadName(pub String);

fn check_name(text: &str) -> Result<(), BadName> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends =
        text.bytes().next().is_some_and(inner) && text.bytes().next_back().is_some_and(inner);
    if ends && text.len() <= NAME_MAX && text.bytes().all(|byte| inner(byte) || byte == b'-') {
        Ok(())
    } else {
        Err(BadName(text.chars().take(80).collect()))
    }
}

macro_rules! name {
    ($(#[doc = $doc:literal])+ $name:ident) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                check_name(text)?;
                Ok(Self(text.to_owned()))
            }
        }
    };
}

name! {
    /// A customer of the managed-service provider.
    ///
    /// Lower-case letters, digits and inner hyphens, 1 to 40 bytes: it is one token of a NATS subject.
    TenantId
}
name! {
    /// The short name of a site within its tenant; the same rules as [`TenantId`].
    SiteName
}
name! {
    /// The label under which a site's vault keeps a device credential; the same rules as [`TenantId`].
    CredentialLabel
}

/// A site: one network with one agent. Written `tenant/site`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId {
    /// The customer.
    pub tenant: TenantId,
    /// The site's name within the tenant.
    pub site: SiteName,
}

impl SiteId {
    /// Joins a tenant and a site name.
    #[must_use]
    pub const fn new(tenant: TenantId, site: SiteName) -> Self {
        Self { tenant, site }
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.tenant, self.site))
    }
}

/// The text is no site.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSiteId {
    /// There is no slash.
    #[error("{0:?} is no site: write TENANT/SITE")]
    NoSlash(String),
    /// One of the two names is wrong.
    #[error(transparent)]
    Name(#[from] BadName),
}

impl FromStr for SiteId {
    type Err = BadSiteId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (tenant, site) = text
            .split_once('/')
            .ok_or_else(|| BadSiteId::NoSlash(text.chars().take(80).collect()))?;
        Ok(Self {
            tenant: tenant.parse()?,
            site: site.parse()?,
        })
    }
}

macro_rules! uuid_id {
    ($(#[doc = $doc:literal])+ $name:ident) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that the caller made.
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// A job. Version 7, so that jobs sort by the time of submission.
    JobId
}
uuid_id! {
    /// One import of an inventory; names the devices it brought.
    ImportId
}
uuid_id! {
    /// One life of an agent's spool: random, made with the spool. Sequence numbers count within it.
    Epoch
}

/// The number of a device among the targets of a job at one site, from 0.
///
/// With the job and the site it is the natural key of a result: whatever is sent twice, a device
/// counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetNo(pub u32);

/// The recorder's own channel number, from 1, as its screens show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelNo(pub u32);

/// Position in an agent's outbox: counts sealed batches from 1 within an [`Epoch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The revision of a site's want document: grows with every change, from 1; 0 is "none yet".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WantRevision(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_subject_tokens() {
        for good in ["a", "acme", "site-01", "0"] {
            assert_eq!(good.parse::<TenantId>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a*", "a>", "a b", "ä", "$sys"] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad}");
        }
        assert!("a".repeat(40).parse::<SiteName>().is_ok());
        assert!("a".repeat(41).parse::<SiteName>().is_err());
    }

    #[test]
    fn a_site_is_written_with_a_slash() {
        let site: SiteId = "acme/depot-1".parse().unwrap();
        assert_eq!(site.to_string(), "acme/depot-1");
        assert!("acme".parse::<SiteId>().is_err());
        assert!("acme/x/y".parse::<SiteId>().is_err());
    }
}
