//! `tvtctl audit list`.

use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::audit::ListAudit;
use tvtfleet_proto::model::id::{SiteId, TenantId};

use crate::config::ServerArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::moment::{self, Moment};
use crate::output::{self, Format};
use crate::server::Server;

use super::view::AuditLine;

/// Arguments of `tvtctl audit list`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Everything that changes something or has devices asked is recorded, with what came of it; so are
requests that were refused, agents that enrol, and the end of every job. What only reads is not.
It takes the role of an admin; admins of some tenants see the rows that are about those only.

Kinds: job.submit, job.cancel, job.end, inventory.import, inventory.edit, inventory.results,
site.add, roster.update, credential.push, credential.answer, agent.enrol, agent.admit, audit.prune,
audit.rewound; the first word
alone stands for all with it.

{}

Examples:
  tvtctl audit list --since yesterday
  tvtctl audit list --who anna --kind job --site acme/depot-1
  tvtctl audit list --since 1w --format csv", moment::HELP))]
pub(crate) struct Args {
    /// Only what this operator asked, by name or key; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "Which rows")]
    who: Vec<String>,
    /// Only what is about this site; may be repeated
    #[arg(long, value_name = "TENANT/SITE", help_heading = "Which rows")]
    site: Vec<SiteId>,
    /// Only what is about this tenant and no other; may be repeated
    #[arg(long, value_name = "TENANT", help_heading = "Which rows")]
    tenant: Vec<TenantId>,
    /// Only this sort, as job.submit or job; may be repeated
    #[arg(long, value_name = "KIND", help_heading = "Which rows")]
    kind: Vec<String>,
    /// Only rows recorded at or after this time
    #[arg(long, value_name = "TIME", help_heading = "Which rows")]
    since: Option<Moment>,
    /// Only rows recorded before this time
    #[arg(long, value_name = "TIME", help_heading = "Which rows")]
    until: Option<Moment>,
    /// How to write the list: table, json or csv
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        help_heading = "Options"
    )]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let now = io.clock.now();
        let mut request = ListAudit {
            tenants: self.tenant,
            sites: self.site,
            who: self.who,
            kinds: self.kind,
            since: self.since.map(|since| since.from(now)),
            until: self.until.map(|until| until.from(now)),
            ..ListAudit::default()
        };
        let server = Server::connect(&self.server, io).await?;
        let mut rows: Vec<AuditLine> = Vec::new();
        loop {
            let page = server.audit_page(request.clone()).await?;
            rows.extend(page.rows.iter().map(AuditLine::from));
            match page.next {
                Some(next) if next > request.after => request.after = next,
                _ => break,
            }
        }
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}
