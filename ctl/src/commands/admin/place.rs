//! Where the fleet's folder is, and whether its servers are told.

use std::path::PathBuf;

use tvtfleet_bus::trust::SignedDocument;

use crate::env;
use crate::error::CliError;
use crate::io::Io;
use crate::realm::{Live, Realm, Taken};

/// Where the fleet's folder is.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Fleet")]
pub(super) struct FolderArgs {
    /// Folder that `tvtctl admin init` made [default: the variable TVT_FLEET_DIR]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Whether the fleet's servers and coordinator are told at once.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Fleet")]
pub(super) struct TellArgs {
    /// Only change the folder; `tvtctl admin push` tells the servers later
    #[arg(long)]
    offline: bool,
    /// Other address of a server than the fleet's, several with commas
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    server: Vec<String>,
}

impl FolderArgs {
    /// Opens the folder.
    pub(super) fn open(&self, io: &Io) -> Result<Realm, CliError> {
        let named = self.dir.clone().or_else(|| io.env.path(env::FLEET_DIR));
        let dir = named.ok_or_else(|| {
            CliError::usage("the fleet's folder is not named").hint("--dir, or TVT_FLEET_DIR")
        })?;
        Realm::open(&io.resolve(&dir), io.clock.now())
    }
}

impl TellArgs {
    /// The way to the servers; `None` where they shall not be told.
    pub(super) fn live(&self, realm: &Realm) -> Option<Live> {
        (!self.offline).then(|| Live::of(realm, &self.server))
    }

    /// Hands an account to the servers.
    pub(super) async fn account(&self, realm: &Realm, token: &str) -> Result<(), CliError> {
        match self.live(realm) {
            Some(live) => live.update_account(token).await.map_err(later),
            None => Ok(()),
        }
    }

    /// Tells the coordinator what the authority says.
    pub(super) async fn roster(
        &self,
        realm: &Realm,
        roster: SignedDocument,
    ) -> Result<Taken, CliError> {
        match self.live(realm) {
            Some(live) => live.tell(roster).await.map_err(later),
            None => Ok(Taken::default()),
        }
    }
}

/// The folder is changed already, so the way on is to tell the servers later.
fn later(error: CliError) -> CliError {
    let before = error.hint.clone();
    let next = "the folder is changed; once they can be reached: tvtctl admin push";
    match before {
        Some(hint) => error.hint(format!("{hint}; {next}")),
        None => error.hint(next),
    }
}
