//! Telling running servers and the coordinator what has changed in the folder.

use std::time::Duration;

use tvtfleet_bus::trust::SignedDocument;
use tvtfleet_bus::{Bus, ConnectOptions, claims, rpc};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::subject::{self, ApiOp};
use tvtfleet_proto::wire::v1;

use crate::error::CliError;

use super::govern::Realm;

/// The credentials that let accounts be handed to servers.
pub(super) const SYSTEM_CREDENTIALS: &str = "keys/system.creds";
/// The credentials that reach the coordinator.
pub(super) const OWN_CREDENTIALS: &str = "keys/admin.creds";

/// The coordinator's time to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A way to the running servers of a fleet.
pub(crate) struct Live {
    options: ConnectOptions,
    own: ConnectOptions,
}

/// What the coordinator knows of the agents that the authority spoke about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    /// The keys of the agents that are revoked, with their sites.
    pub(crate) revoked: Vec<(SiteId, String)>,
    /// How far those are that were asked for new keys.
    pub(crate) rotated: Vec<Rotated>,
}

/// How far an agent is with its new keys.
#[derive(Clone, Debug)]
pub(crate) struct Rotated {
    pub(crate) site: SiteId,
    /// Whether the new keys have been used.
    pub(crate) done: bool,
    /// Whether there is no agent that could do it.
    pub(crate) refused: bool,
    /// The user key that counts now.
    pub(crate) user_key: String,
    /// The sealing key that counts now.
    pub(crate) curve_key: String,
    /// User keys that counted before.
    pub(crate) replaced: Vec<String>,
}

impl Live {
    /// Prepares connections as the folder says; nothing is sent yet. `urls` are other addresses than
    /// the fleet's.
    pub(crate) fn of(realm: &Realm, urls: &[String]) -> Self {
        let urls = if urls.is_empty() {
            realm.fleet.urls()
        } else {
            urls.to_vec()
        };
        let ca = realm.folder.path(super::govern::CLIENT_CA);
        let options = |credentials: &str| ConnectOptions {
            urls: urls.clone(),
            name: "tvtctl admin".to_owned(),
            credentials_file: Some(realm.folder.path(credentials)),
            ca_file: Some(ca.clone()).filter(|path| path.exists()),
            ..ConnectOptions::default()
        };
        Self {
            options: options(SYSTEM_CREDENTIALS),
            own: options(OWN_CREDENTIALS),
        }
    }

    /// Gives the servers the token of a new or changed account.
    ///
    /// # Errors
    ///
    /// `bus.*`
    pub(crate) async fn update_account(&self, token: &str) -> Result<(), CliError> {
        let bus = self.connect().await?;
        let done = claims::update_account(&bus, token).await;
        done.map_err(|error| bus_error(&error))
    }

    /// Lets the servers forget an account.
    ///
    /// # Errors
    ///
    /// `bus.*`
    pub(crate) async fn delete_account(&self, token: &str) -> Result<(), CliError> {
        let bus = self.connect().await?;
        let done = claims::delete_account(&bus, token).await;
        done.map_err(|error| bus_error(&error))
    }

    /// Tells the coordinator what the authority says now. Returns what it knows of the agents that this
    /// is about.
    ///
    /// # Errors
    ///
    /// `bus.*`, `coordinator.*`, `trust.*`
    pub(crate) async fn tell(&self, roster: SignedDocument) -> Result<Taken, CliError> {
        let bus = tvtfleet_bus::connect(&self.own)
            .await
            .map_err(|error| bus_error(&error))?;
        let user = bus.user().unwrap_or(subject::ANONYMOUS_USER);
        let subject = subject::api(user, ApiOp::RosterUpdate);
        let request = v1::SignedDocument::from(roster);
        let taken =
            rpc::request::<_, v1::RosterTaken>(&bus, &subject, &request, ANSWER_WITHIN).await;
        let taken = taken.map_err(|error| {
            let hint = error.hint().unwrap_or_default().to_owned();
            CliError::new(error.code(), "the coordinator does not know of it yet")
                .because(&error)
                .hint(hint)
        })?;
        let agent = |revoked: v1::RevokedAgent| {
            let site = format!("{}/{}", revoked.tenant, revoked.site);
            Some((site.parse().ok()?, revoked.user_key))
        };
        let rotated = |rotated: v1::RotatedAgent| {
            let site = format!("{}/{}", rotated.tenant, rotated.site);
            Some(Rotated {
                site: site.parse().ok()?,
                done: rotated.done,
                refused: !rotated.refused.is_empty(),
                user_key: rotated.user_key,
                curve_key: rotated.curve_key,
                replaced: rotated.replaced,
            })
        };
        Ok(Taken {
            revoked: taken.revoked.into_iter().filter_map(agent).collect(),
            rotated: taken.rotated.into_iter().filter_map(rotated).collect(),
        })
    }

    async fn connect(&self) -> Result<Bus, CliError> {
        tvtfleet_bus::connect(&self.options)
            .await
            .map_err(|error| bus_error(&error))
    }
}

fn bus_error(error: &tvtfleet_bus::BusError) -> CliError {
    let code: ErrorCode = error.code();
    let hint = error.hint().unwrap_or_default();
    CliError::new(code, "the servers do not know of it yet")
        .because(error)
        .hint(hint)
}
