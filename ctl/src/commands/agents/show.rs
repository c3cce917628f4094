//! `tvtctl agents show`.

use tvtfleet_bus::trust::fingerprint;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::push::ListSealingKeys;

use crate::commands::backends::BackendRow;
use crate::config::ServerArgs;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format};
use crate::server::Server;

/// Arguments of `tvtctl agents show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tvtctl agents show acme/depot-1")]
pub(crate) struct Args {
    /// The site that the agent speaks for
    #[arg(value_name = "TENANT/SITE")]
    site: SiteId,
    /// How to write it: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let server = Server::connect(&self.server, io).await?;
        let agents = server.list_agents().await?;
        let found = agents.into_iter().find(|agent| agent.site == self.site);
        let Some(agent) = found else {
            let message = format!("no agent of {} was ever heard", self.site);
            let hint = "tvtctl agents list shows those that were";
            return Err(CliError::new(ErrorCode::SiteOffline, message)
                .hint(hint)
                .into());
        };
        if agent.facts.backends.is_empty() {
            io.warn("the agent has not said which backends it has; it may be too old");
        }
        let request = ListSealingKeys {
            sites: vec![self.site.clone()],
            ..ListSealingKeys::default()
        };
        let keys = server.sealing_keys(request).await?;
        // Compared with what `tvt-agent check` shows on the box.
        if let Some(key) = keys.first() {
            io.note(&format!("key          {}", key.user_key));
            io.note(&format!("sealing key  {}", fingerprint(&key.curve_key)));
        }
        let rows: Vec<BackendRow> = agent.facts.backends.iter().map(BackendRow::from).collect();
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}
