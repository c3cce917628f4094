//! `tvtctl admin operator`.

use clap::Subcommand;
use serde::Serialize;
use tvtfleet_bus::trust::Role;
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::id::TenantId;
use tvtfleet_proto::model::time::UtcMillis;

use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format, Row};

use super::init::plain_name;
use super::place::{FolderArgs, TellArgs};

/// Add, revoke and list operators
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add an operator and write the folder that he or she gets
    Add(AddArgs),
    /// Take an operator's rights away: connections end at once
    Revoke(RevokeArgs),
    /// List operators
    List(ListArgs),
}

/// Arguments of `tvtctl admin operator add`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A viewer reads; an operator submits jobs and keeps the inventory too; an admin adds sites as well.
Without --tenant it is for all tenants.

Example:
  tvtctl admin operator add alice --role operator --tenant acme --dir fleet")]
pub(crate) struct AddArgs {
    /// Name of the operator
    #[arg(value_name = "NAME", value_parser = plain_name)]
    name: String,
    /// viewer, operator or admin
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// Only for this tenant; may be repeated
    #[arg(long, value_name = "TENANT")]
    tenant: Vec<TenantId>,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    tell: TellArgs,
}

/// Arguments of `tvtctl admin operator revoke`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tvtctl admin operator revoke alice --dir fleet")]
pub(crate) struct RevokeArgs {
    /// Name of the operator
    #[arg(value_name = "NAME", value_parser = plain_name)]
    name: String,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    tell: TellArgs,
}

/// Arguments of `tvtctl admin operator list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tvtctl admin operator list --dir fleet")]
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
            Self::Add(args) => args.run(io).await,
            Self::Revoke(args) => args.run(io).await,
            Self::List(args) => args.run(io),
        }
    }
}

impl AddArgs {
    async fn run(self, io: &mut Io) -> Outcome {
        let mut realm = self.folder.open(io)?;
        let place = realm.add_operator(&self.name, self.role, self.tenant)?;
        realm.save()?;
        self.tell.roster(&realm, realm.roster()?).await?;
        io.note(&format!(
            "give the operator {} the folder {}; tvtctl --config tvtctl.toml there",
            self.name,
            place.display()
        ));
        Ok(ExitStatus::Success)
    }
}

impl RevokeArgs {
    async fn run(self, io: &mut Io) -> Outcome {
        let mut realm = self.folder.open(io)?;
        realm.revoke_operator(&self.name)?;
        realm.save()?;
        self.tell.account(&realm, &realm.operators_token()?).await?;
        self.tell.roster(&realm, realm.roster()?).await?;
        io.note(&format!("revoked the operator {}", self.name));
        Ok(ExitStatus::Success)
    }
}

impl ListArgs {
    fn run(self, io: &mut Io) -> Outcome {
        let realm = self.folder.open(io)?;
        let rows: Vec<_> = realm
            .fleet
            .operators
            .iter()
            .map(|(name, entry)| OperatorRow {
                operator: name.clone(),
                role: entry.role.as_str(),
                tenants: entry.tenants.clone(),
                added_at: UtcMillis::new(entry.added_at).to_string(),
                user_key: entry.user_key.clone(),
            })
            .collect();
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}

#[derive(Default, Serialize)]
struct OperatorRow {
    operator: String,
    role: &'static str,
    /// None is all.
    tenants: Vec<String>,
    added_at: String,
    user_key: String,
}

impl Row for OperatorRow {
    const NOUN: &'static str = "operators";
    const HEADS: &'static [&'static str] = &["OPERATOR", "ROLE", "TENANTS", "ADDED", "KEY"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.operator.clone(),
            self.role.to_owned(),
            if self.tenants.is_empty() {
                "all".to_owned()
            } else {
                self.tenants.join(",")
            },
            self.added_at.clone(),
            self.user_key.clone(),
        ]
    }
}
