//! Asking the coordinator for a token: sealed there, and sealed back.

use std::path::PathBuf;
use std::time::Duration;

use prost::Message as _;
use tvtfleet_bus::closed_file::ClosedFileError;
use tvtfleet_bus::rpc::{RpcError, request};
use tvtfleet_bus::trust::{SealedBox, TrustError, XKey, open, prove_attest, prove_rotate, seal};
use tvtfleet_bus::{Bus, BusError, connect};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::subject;
use tvtfleet_proto::wire::v1;
use tvtfleet_proto::wire::v1::enrol_request::Kind;

use super::folder::Identity;

/// The coordinator's time to answer; refusals take a second longer than other answers.
const REPLY_LIMIT: Duration = Duration::from_secs(15);
/// The time for the newcomers' connection to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// The agent's identity cannot be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file of it cannot be read.
    #[error(transparent)]
    File(#[from] ClosedFileError),
    /// Its folder cannot be written.
    #[error("cannot write {}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Its facts make no sense.
    #[error("the identity is damaged: {0}")]
    Damaged(String),
    /// A key, signature or box is not good.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// There is an identity already.
    #[error("this agent has joined already, as {0}")]
    Joined(tvtfleet_proto::model::id::SiteId),
    /// The string is not good any more.
    #[error("the join string was good until {0}")]
    Expired(UtcMillis),
    /// The servers cannot be reached or refuse.
    #[error("cannot reach the fleet")]
    Bus(#[from] BusError),
    /// The coordinator does not answer or refuses.
    #[error("no token from the coordinator")]
    Rpc(#[from] RpcError),
}

impl IdentityError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::File(error) => error.code(),
            Self::Folder { .. } => ErrorCode::StorageIo,
            Self::Damaged(_) | Self::Joined(_) => ErrorCode::ConfigInvalid,
            Self::Expired(_) => ErrorCode::TrustRefused,
            Self::Trust(error) => error.code(),
            Self::Bus(error) => error.code(),
            Self::Rpc(error) => error.code(),
        }
    }

    /// What may be tried next.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Bus(error) => error.hint(),
            Self::Rpc(error) => error.hint(),
            Self::Joined(_) => Some("tvt-agent join --replace, with a new string"),
            Self::Damaged(_) => Some("join again: tvtctl admin site add, tvt-agent join --replace"),
            Self::Expired(_) => Some("ask for a new one: tvtctl admin site add"),
            Self::File(_) | Self::Folder { .. } | Self::Trust(_) => None,
        }
    }

    pub(super) fn key<E: std::fmt::Display>(error: E) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// A token, and the coordinator's time when it was given.
pub(super) struct Granted {
    pub(super) token: String,
    pub(super) at: UtcMillis,
}

/// Asks under `subject` for a token.
pub(super) async fn ask(
    bus: &Bus,
    subject: &str,
    kind: Kind,
    identity: &Identity,
) -> Result<Granted, IdentityError> {
    let curve = identity.curve()?;
    let request_body = v1::EnrolRequest { kind: Some(kind) }.encode_to_vec();
    let sealed = seal(&request_body, &curve, identity.coordinator())?;
    let reply =
        request::<_, v1::Sealed>(bus, subject, &v1::Sealed::from(sealed), REPLY_LIMIT).await?;
    read(reply.into(), &curve, identity)
}

fn read(sealed: SealedBox, curve: &XKey, identity: &Identity) -> Result<Granted, IdentityError> {
    const WHAT: &str = "the coordinator's answer";
    // Who else could seal it would have made the token too.
    if sealed.sender != identity.coordinator() {
        return Err(TrustError::Signature { what: WHAT }.into());
    }
    let reply = v1::EnrolReply::decode(open(WHAT, &sealed, curve)?.as_slice())
        .map_err(|error| IdentityError::Damaged(error.to_string()))?;
    Ok(Granted {
        token: reply.token,
        at: UtcMillis::new(reply.server_time_ms),
    })
}

/// What an agent that is known says.
pub(super) fn attest(identity: &Identity, now: UtcMillis) -> Result<v1::Attest, IdentityError> {
    let (user, site) = (identity.user()?, identity.site());
    Ok(v1::Attest {
        tenant: site.tenant.to_string(),
        site: site.site.to_string(),
        user_key: user.public_key(),
        asked_at_ms: now.millis(),
        signature: prove_attest(&user, site, now)?,
    })
}

/// What an agent says that changes its keys to those of `next`.
pub(super) fn rotate(
    identity: &Identity,
    next: &Identity,
    now: UtcMillis,
) -> Result<Kind, IdentityError> {
    let (old, new, site) = (identity.user()?, next.user()?, identity.site());
    let (user_key, curve_key) = (new.public_key(), next.curve_key()?);
    let keys = (user_key.as_str(), curve_key.as_str());
    Ok(Kind::Rotate(v1::Rotate {
        attest: Some(attest(identity, now)?),
        old_signature: prove_rotate(&old, site, now, keys)?,
        new_signature: prove_rotate(&new, site, now, keys)?,
        user_key,
        curve_key,
    }))
}

/// Asks as a newcomer does, over the newcomers' account.
pub(super) async fn ask_as_newcomer(
    urls: &[String],
    kind: Kind,
    identity: &Identity,
) -> Result<Granted, IdentityError> {
    let bus = connect(&identity.boot_options(urls)).await?;
    let granted = ask(&bus, subject::ENROLL, kind, identity).await;
    bus.close(CLOSE_LIMIT).await;
    granted
}
