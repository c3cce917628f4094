//! Joining a fleet with the string that `tvtctl admin site add` printed.

use std::path::Path;

use tvtfleet_bus::clock::Clock;
use tvtfleet_bus::trust::{JoinString, KeyPair, credentials, prove_join};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::wire::v1;
use tvtfleet_proto::wire::v1::enrol_request::Kind;

use super::exchange::{IdentityError, ask_as_newcomer};
use super::folder::{Beginning, Identity};

/// What an agent has become.
#[derive(Debug)]
pub struct Joined {
    /// Its identity.
    pub identity: Identity,
    /// The servers.
    pub urls: Vec<String>,
}

/// Joins: makes keys below `data_dir`, enrols them, and stores the token. A join that was cut off may
/// be repeated with the same string.
///
/// # Errors
///
/// `config.invalid` where the agent has joined and `replace` is not set; `trust.*` where the string is
/// not good or the coordinator refuses; `bus.*`, `coordinator.*`, `storage.io`.
pub async fn join(
    data_dir: &Path,
    string: &JoinString,
    replace: bool,
    hostname: String,
    clock: &dyn Clock,
) -> Result<Joined, IdentityError> {
    if let Some(known) = Identity::read(data_dir)?
        && !replace
    {
        return Err(IdentityError::Joined(known.site().clone()));
    }
    let ticket = string.ticket()?;
    let expires_at = ticket.expires_at();
    let boot = KeyPair::from_seed(&string.boot_seed).map_err(IdentityError::key)?;
    let beginning = Beginning {
        site: ticket.site()?,
        urls: string.urls.clone(),
        coordinator: string.coordinator.clone(),
        authority: string.authority.clone(),
        ticket: ticket.id,
        ca: &string.ca,
        boot: credentials(&string.boot_token, &boot)?,
    };
    let identity = Identity::begin(data_dir, &beginning)?;
    let (user, curve_key) = (identity.user()?, identity.curve()?.public_key());
    let kind = Kind::Join(v1::Join {
        signature: prove_join(&user, &string.ticket, &curve_key)?,
        ticket: Some(string.ticket.clone().into()),
        user_key: user.public_key(),
        curve_key,
        hostname,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    let granted = ask_as_newcomer(identity.urls(), kind, &identity).await;
    // The coordinator decides: a box without a battery may not know what day it is.
    let granted = granted.map_err(|error| {
        if error.code() == ErrorCode::TrustRefused && clock.now() > expires_at {
            IdentityError::Expired(expires_at)
        } else {
            error
        }
    })?;
    identity.store_token(&granted.token)?;
    let identity = identity.finish(data_dir)?;
    Ok(Joined {
        urls: identity.urls().to_vec(),
        identity,
    })
}
