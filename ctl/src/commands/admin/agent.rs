//! `tvtctl admin agent`.

use clap::Subcommand;
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::id::SiteId;

use crate::exit::Outcome;
use crate::io::Io;

use super::place::{FolderArgs, TellArgs};

/// Revoke agents
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Cut off the agent of a site for good; another may join with a new string
    Revoke(RevokeArgs),
}

/// Arguments of `tvtctl admin agent revoke`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The servers drop its connection within seconds and let it in no more, and the coordinator gives it no
new token. With --offline, or while the coordinator is away, its token is good until it expires; name
its key with --key to have the servers refuse it all the same.

Example:
  tvtctl admin agent revoke acme/depot-1 --dir fleet")]
pub(crate) struct RevokeArgs {
    /// The site
    #[arg(value_name = "TENANT/SITE")]
    site: SiteId,
    /// Public key of the agent, where the coordinator cannot be asked; tvt-agent check shows it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    tell: TellArgs,
}

impl Command {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::Revoke(args) => args.run(io).await,
        }
    }
}

impl RevokeArgs {
    async fn run(self, io: &mut Io) -> Outcome {
        let mut realm = self.folder.open(io)?;
        let site = self.site;
        realm.revoke_agent(&site)?;
        if let Some(key) = &self.key {
            realm.refuse_agent_key(&site.tenant, key);
        }
        realm.save()?;
        if self.key.is_some() {
            let token = realm.tenant_token(&site.tenant)?;
            self.tell.account(&realm, &token).await?;
        }
        let revoked = self.tell.roster(&realm, realm.roster()?).await?;
        let mut count = 0_usize;
        for (_, key) in revoked.iter().filter(|(revoked, _)| *revoked == site) {
            realm.refuse_agent_key(&site.tenant, key);
            count = count.saturating_add(1);
        }
        if count > 0 {
            realm.save()?;
            let token = realm.tenant_token(&site.tenant)?;
            self.tell.account(&realm, &token).await?;
        }
        io.note(&format!(
            "revoked the agents of {site}: {count} keys are refused"
        ));
        Ok(ExitStatus::Success)
    }
}
