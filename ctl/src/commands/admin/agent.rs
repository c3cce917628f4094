//! `tvtctl admin agent`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clap::Subcommand;
use tvtfleet_bus::trust::fingerprint;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::id::{SiteId, TenantId};

use crate::config::value;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::io::Io;
use crate::realm::{Realm, Rotated, Taken};

use super::place::{FolderArgs, TellArgs};

/// The pause between two looks whether an agent has its new keys.
const LOOK: Duration = Duration::from_millis(500);

/// Revoke agents, and give them new keys
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Cut off the agent of a site for good; another may join with a new string
    Revoke(RevokeArgs),
    /// Have the agent of a site make new keys for itself
    Rotate(RotateArgs),
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

/// Arguments of `tvtctl admin agent rotate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The agent makes a new user key and a new sealing key on its box and names them over its own line;
no private key leaves it, and its results, jobs and vault stay. The old keys are good until the new
ones were used once; then the coordinator takes nothing of the old ones, and the servers refuse
them. An agent that is not there now is asked when it comes back: use the command again then, or
`tvtctl admin push`, and the servers refuse its old keys too. Pushed credentials that are on their
way still arrive. For a box that was stolen this is not enough: revoke its agent.

Examples:
  tvtctl admin agent rotate acme/depot-1 --dir fleet
  tvtctl admin agent rotate acme/depot-1 --dir fleet --wait 10m
  tvtctl admin agent rotate acme/depot-1 --dir fleet --detach")]
pub(crate) struct RotateArgs {
    /// The site
    #[arg(value_name = "TENANT/SITE")]
    site: SiteId,
    /// How long to wait for the agent
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = value::duration)]
    wait: Duration,
    /// Ask, and do not wait
    #[arg(long, conflicts_with = "wait")]
    detach: bool,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    tell: TellArgs,
}

impl Command {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        match self {
            Self::Revoke(args) => args.run(io).await,
            Self::Rotate(args) => args.run(io).await,
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
        let revoked = self.tell.roster(&realm, realm.roster()?).await?.revoked;
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

impl RotateArgs {
    async fn run(self, io: &mut Io) -> Outcome {
        let mut realm = self.folder.open(io)?;
        let site = self.site;
        realm.rotate_agent(&site)?;
        realm.save()?;
        let Some(live) = self.tell.live(&realm) else {
            io.note(&format!(
                "the agent of {site} is asked for new keys once the coordinator is told: tvtctl admin push"
            ));
            return Ok(ExitStatus::Success);
        };
        let roster = realm.roster()?;
        let end = Instant::now().checked_add(self.wait);
        loop {
            let taken = self.tell.roster(&realm, roster.clone()).await?;
            let asked = taken.rotated.iter().find(|agent| agent.site == site);
            let Some(asked) = asked.cloned() else {
                let text = "the coordinator does not know how to ask agents for new keys";
                return Err(CliError::new(ErrorCode::MessageVersion, text)
                    .hint("bring it up to date, then: tvtctl admin push")
                    .into());
            };
            if asked.done || asked.refused {
                for tenant in settle(&mut realm, &taken)? {
                    live.update_account(&realm.tenant_token(&tenant)?).await?;
                }
                return say(&asked, io);
            }
            if self.detach || end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        io.note(&format!(
            "the agent of {site} is asked for new keys and has not used them yet; its old ones are good until then. \
             Use this command again, or tvtctl admin push, to have the servers refuse those"
        ));
        Ok(if self.detach {
            ExitStatus::Success
        } else {
            ExitStatus::TimedOut
        })
    }
}

fn say(agent: &Rotated, io: &mut Io) -> Outcome {
    let site = &agent.site;
    if agent.refused {
        let text = format!("{site} has no agent, or its agent was revoked");
        return Err(CliError::new(ErrorCode::TrustRefused, text)
            .hint("let one join: tvtctl admin site add, then tvt-agent join")
            .into());
    }
    io.note(&format!(
        "the agent of {site} has new keys, and {} old ones are refused\nuser key {}\nsealing key {}, fingerprint {}",
        agent.replaced.len(),
        agent.user_key,
        agent.curve_key,
        fingerprint(&agent.curve_key)
    ));
    Ok(ExitStatus::Success)
}

/// Takes up what the coordinator said of agents with new keys. Returns the tenants whose accounts the
/// servers have to hear of.
pub(super) fn settle(realm: &mut Realm, taken: &Taken) -> Result<BTreeSet<TenantId>, CliError> {
    let changed = realm.settle_rotations(&taken.rotated);
    if !changed.is_empty() {
        realm.save()?;
    }
    Ok(changed)
}
