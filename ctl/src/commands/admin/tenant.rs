//! `tvtctl admin tenant`.

use clap::Subcommand;
use serde::Serialize;
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::id::TenantId;
use tvtfleet_proto::model::time::UtcMillis;

use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format, Row};

use super::place::{FolderArgs, TellArgs};

/// Add, remove and list tenants
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a tenant with an account of its own
    Add(ChangeArgs),
    /// Remove a tenant: its agents are cut off at once
    Remove(ChangeArgs),
    /// List tenants
    List(ListArgs),
}

/// Arguments of `tvtctl admin tenant add` and `remove`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  tvtctl admin tenant add acme --dir fleet\n  tvtctl admin tenant remove acme --dir fleet"
)]
pub(crate) struct ChangeArgs {
    /// The tenant: lower-case letters, digits and hyphens, up to 40
    #[arg(value_name = "TENANT")]
    tenant: TenantId,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    tell: TellArgs,
}

/// Arguments of `tvtctl admin tenant list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tvtctl admin tenant list --dir fleet")]
pub(crate) struct ListArgs {
    /// How to write the list: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    folder: FolderArgs,
}

impl Command {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::Add(args) => args.add(io).await,
            Self::Remove(args) => args.remove(io).await,
            Self::List(args) => args.run(io),
        }
    }
}

impl ChangeArgs {
    async fn add(self, io: &mut Io) -> Outcome {
        let mut realm = self.folder.open(io)?;
        realm.add_tenant(&self.tenant)?;
        let token = realm.tenant_token(&self.tenant)?;
        self.tell.account(&realm, &token).await?;
        self.tell.roster(&realm, realm.roster()?).await?;
        io.note(&format!("added the tenant {}", self.tenant));
        Ok(ExitStatus::Success)
    }

    async fn remove(self, io: &mut Io) -> Outcome {
        let mut realm = self.folder.open(io)?;
        let token = realm.remove_tenant(&self.tenant)?;
        if let Some(live) = self.tell.live(&realm) {
            live.delete_account(&token).await?;
        }
        self.tell.roster(&realm, realm.roster()?).await?;
        io.note(&format!("removed the tenant {}", self.tenant));
        Ok(ExitStatus::Success)
    }
}

impl ListArgs {
    fn run(self, io: &mut Io) -> Outcome {
        let realm = self.folder.open(io)?;
        let rows: Vec<_> = realm
            .fleet
            .tenants
            .iter()
            .map(|(name, entry)| TenantRow {
                tenant: name.clone(),
                added_at: UtcMillis::new(entry.added_at).to_string(),
                account: entry.account.clone(),
                revoked_agents: entry.revoked.len(),
            })
            .collect();
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}

#[derive(Default, Serialize)]
struct TenantRow {
    tenant: String,
    added_at: String,
    account: String,
    revoked_agents: usize,
}

impl Row for TenantRow {
    const NOUN: &'static str = "tenants";
    const HEADS: &'static [&'static str] = &["TENANT", "ADDED", "REVOKED AGENTS", "ACCOUNT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.tenant.clone(),
            self.added_at.clone(),
            self.revoked_agents.to_string(),
            self.account.clone(),
        ]
    }
}
