//! `tvtctl admin push`.

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::id::TenantId;

use crate::exit::Outcome;
use crate::io::Io;
use crate::realm::Live;

use super::agent::settle;
use super::place::FolderArgs;

/// Arguments of `tvtctl admin push`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Needed after changes with --offline, after a restore, and where servers could not be reached; also
to have the old keys refused of agents that changed theirs later. It may be repeated.

Example:
  tvtctl admin push --dir fleet")]
pub(crate) struct Args {
    /// Other address of a server than the fleet's, several with commas
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    server: Vec<String>,
    #[command(flatten)]
    folder: FolderArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let mut realm = self.folder.open(io)?;
        let live = Live::of(&realm, &self.server);
        live.update_account(&realm.operators_token()?).await?;
        let tenants = realm.fleet.tenants.keys();
        let tenants: Vec<TenantId> = tenants.filter_map(|name| name.parse().ok()).collect();
        for tenant in &tenants {
            live.update_account(&realm.tenant_token(tenant)?).await?;
        }
        let taken = live.tell(realm.roster()?).await?;
        for tenant in settle(&mut realm, &taken)? {
            live.update_account(&realm.tenant_token(&tenant)?).await?;
        }
        io.note(&format!(
            "told of {} tenants and {} operators",
            tenants.len(),
            realm.fleet.operators.len()
        ));
        Ok(ExitStatus::Success)
    }
}
