//! `tvtctl credentials push`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tvt_agent::vault::Selector;
use tvtfleet_bus::prompt;
use tvtfleet_bus::trust::{CredentialPush, PushContent, SignedDocument, fingerprint};
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::id::{CredentialLabel, SiteId, TenantId};
use tvtfleet_proto::model::push::{
    CredentialView, ListCredentials, ListSealingKeys, PUSHES_MAX, PushCredentials, PushState,
    SealingKey,
};
use tvtfleet_proto::model::secret::{Credential, Secret};
use tvtfleet_proto::model::time::UtcMillis;
use uuid::Uuid;

use crate::config::{ServerArgs, duration, read_password};
use crate::env;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::id;
use crate::io::Io;
use crate::known_agents::KnownAgents;
use crate::output::{self, Format};
use crate::server::Server;
use crate::signing;

use super::view::CredentialRow;

/// The time between two looks at what the sites said.
const LOOK_GAP: Duration = Duration::from_millis(500);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Arguments of `tvtctl credentials push`.
#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("which").required(true).multiple(true).args(["all", "tenant", "site"])),
    override_usage = "tvtctl credentials push <LABEL> --user <NAME> <--all|--tenant|--site> [OPTIONS]",
    after_help = "\
The password comes from --password-file, from TVT_PASSWORD, or is asked for; never from an argument.
It is sealed here to each agent's own key, and signed with the operator's: servers and coordinator
carry what they cannot read. A site that is away takes it when it is back, up to --days.

The first push to an agent keeps its key in known-agents.json beside the operator's credentials
file. Compare the fingerprint with what `tvt-agent check` shows on the box. Another key later is
refused until --accept-new-keys says that the agent was made anew.

Examples:
  tvtctl credentials push nvr --user admin --for any --site acme/depot-1
  tvtctl credentials push nvr --user admin --tenant acme --password-file secret
  pass show gate | tvtctl credentials push gate --user ops --for 10.0.5.0/24 --site acme/gate"
)]
pub(crate) struct Args {
    /// The label in the vaults
    #[arg(value_name = "LABEL")]
    label: CredentialLabel,
    /// The account's name on the devices
    #[arg(long, value_name = "NAME")]
    user: String,
    /// The devices that it serves: any, an address, a network, mac:ADDRESS or name:PATTERN; may be repeated
    #[arg(long = "for", value_name = "SELECTOR")]
    selectors: Vec<Selector>,
    /// Read the password from a file that nobody else can read
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Not to be used from this time on, as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<UtcMillis>,
    /// Every site with an agent that has joined
    #[arg(long, help_heading = "Which sites", conflicts_with_all = ["tenant", "site"])]
    all: bool,
    /// The sites of this tenant; may be repeated
    #[arg(long, value_name = "TENANT", help_heading = "Which sites")]
    tenant: Vec<TenantId>,
    /// This site; may be repeated
    #[arg(long, value_name = "TENANT/SITE", help_heading = "Which sites")]
    site: Vec<SiteId>,
    /// For how many days a site that is away may still take it, up to 365
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=365))]
    days: u64,
    /// How long to wait for the sites' answers
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    wait: Duration,
    /// Believe agents whose key is another than the one known from earlier
    #[arg(long)]
    accept_new_keys: bool,
    /// How to write the outcome: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let Some(file) = server.operator_file() else {
            let text = "pushing takes an operator's key";
            let error = CliError::new(ErrorCode::PushRefused, text);
            return Err(error.hint("--creds operator.creds").into());
        };
        let key = signing::operator_key(file)?;
        let agents = self.agents(&server).await?;
        let known = KnownAgents::beside(file)?;
        let known = self.compare(known, &agents, io)?;
        let credential = Credential {
            username: self.user.clone(),
            password: self.password(io)?,
        };
        let now = io.clock.now();
        let content = PushContent {
            label: self.label.clone(),
            // Higher than every earlier one without anybody being asked.
            version: u64::try_from(now.millis()).unwrap_or(0),
            expires: self.expires,
            selectors: self.selectors.iter().map(ToString::to_string).collect(),
            credential,
        };
        content
            .check()
            .map_err(|error| CliError::usage(error.to_string()))?;
        known.save()?;
        let mut ids = BTreeSet::new();
        for agents in agents.chunks(PUSHES_MAX) {
            let mut pushes = Vec::new();
            for agent in agents {
                let id = id::fresh(io.clock.as_ref());
                let until = now.after(DAY.saturating_mul(u32::try_from(self.days).unwrap_or(1)));
                let push =
                    CredentialPush::seal(id, &agent.site, &agent.curve_key, &content, now, until)
                        .and_then(|push| SignedDocument::sign(&push, &key))
                        .map_err(|error| signing::unusable(&error))?;
                ids.insert(id);
                pushes.push((agent.site.clone(), push.into()));
            }
            server.push_credentials(PushCredentials { pushes }).await?;
        }
        let views = self.outcome(&server, &ids, io).await?;
        let rows: Vec<CredentialRow> = views.iter().map(CredentialRow::from).collect();
        output::list(io, self.format, &rows)?;
        let count = |state| views.iter().filter(|view| view.state == state).count();
        let waiting = count(PushState::Waiting);
        if waiting > 0 {
            io.note(&format!(
                "{waiting} sites have not answered; they take it when they are back: \
                 tvtctl credentials list --label {}",
                self.label
            ));
        }
        if count(PushState::Refused).max(count(PushState::Expired)) > 0 {
            return Ok(ExitStatus::SomeFailed);
        }
        Ok(ExitStatus::Success)
    }

    /// The agents of the sites that are meant.
    async fn agents(&self, server: &Server) -> Result<Vec<SealingKey>, CliError> {
        let mut agents = Vec::new();
        let ask = |tenants: Vec<TenantId>, sites: Vec<SiteId>| {
            let request = ListSealingKeys {
                tenants,
                sites,
                ..ListSealingKeys::default()
            };
            server.sealing_keys(request)
        };
        if self.all || !self.tenant.is_empty() {
            agents.extend(ask(self.tenant.clone(), Vec::new()).await?);
        }
        if !self.site.is_empty() {
            agents.extend(ask(Vec::new(), self.site.clone()).await?);
        }
        agents.sort_by(|a, b| a.site.cmp(&b.site));
        agents.dedup_by(|a, b| a.site == b.site);
        let missing = self.site.iter();
        let missing: Vec<String> = missing
            .filter(|site| agents.iter().all(|agent| agent.site != **site))
            .map(ToString::to_string)
            .collect();
        if agents.is_empty() || !missing.is_empty() {
            let text = format!("no agent has joined for {}", missing.join(", "));
            let text = text.trim_end_matches(" for ").to_owned();
            return Err(CliError::new(ErrorCode::SiteUnknown, text)
                .hint("tvtctl admin site add, and tvt-agent join on the box"));
        }
        Ok(agents)
    }

    /// Compares the agents' keys with those that are known, and adds new ones.
    fn compare(
        &self,
        mut known: KnownAgents,
        agents: &[SealingKey],
        io: &Io,
    ) -> Result<KnownAgents, CliError> {
        let mut changed = Vec::new();
        for agent in agents {
            let shown = fingerprint(&agent.curve_key);
            match known.key(&agent.site) {
                Some(key) if *key == agent.curve_key => continue,
                Some(key) if !self.accept_new_keys => {
                    let before = fingerprint(key);
                    changed.push(format!("{}: known {before}, now {shown}", agent.site));
                    continue;
                }
                Some(_) | None => io.note(&format!(
                    "{}: new key {shown}; tvt-agent check on the box shows the same",
                    agent.site
                )),
            }
            known.learn(&agent.site, &agent.curve_key);
        }
        if changed.is_empty() {
            return Ok(known);
        }
        let text = "agents have other keys than those known from earlier; nothing is sent";
        let mut error = CliError::new(ErrorCode::PushRefused, text);
        for line in changed {
            error = error.cause(line);
        }
        Err(error.hint(
            "compare with tvt-agent check on the box; where the agent was made anew: --accept-new-keys",
        ))
    }

    fn password(&self, io: &Io) -> Result<Secret, CliError> {
        let password = if let Some(file) = &self.password_file {
            read_password(&io.resolve(file))?
        } else if let Some(text) = io.env.text(env::PASSWORD)? {
            Secret::new(text)
        } else {
            prompt::ask_password().map_err(|error| {
                let code = if error.kind() == std::io::ErrorKind::Interrupted {
                    ErrorCode::Interrupted
                } else {
                    ErrorCode::CredentialMissing
                };
                CliError::new(code, "the password cannot be read").because(&error)
            })?
        };
        if password.is_empty() {
            let error = CliError::new(ErrorCode::CredentialInvalid, "the password is empty");
            return Err(error.hint("name one with --password-file FILE or TVT_PASSWORD"));
        }
        Ok(password)
    }

    /// Waits for the answers of the sites, and reads them.
    async fn outcome(
        &self,
        server: &Server,
        ids: &BTreeSet<Uuid>,
        io: &Io,
    ) -> Result<Vec<CredentialView>, CliError> {
        let began = io.clock.instant();
        loop {
            let request = ListCredentials {
                tenants: self.tenant.clone(),
                sites: if self.tenant.is_empty() {
                    self.site.clone()
                } else {
                    Vec::new()
                },
                label: Some(self.label.clone()),
                ..ListCredentials::default()
            };
            let mut views = server.credentials(request).await?;
            views.retain(|view| ids.contains(&view.push));
            views.sort_by(|a, b| a.site.cmp(&b.site));
            let waits = views.iter().any(|view| view.state == PushState::Waiting);
            if !waits || io.clock.instant().duration_since(began) >= self.wait {
                return Ok(views);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_GAP) => {}
                () = io.interrupt.cancelled() => return Ok(views),
            }
        }
    }
}
