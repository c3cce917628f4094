//! `tvtctl audit export`.

use std::io::Write as _;
use std::path::PathBuf;

use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::audit::ListAudit;

use crate::config::ServerArgs;
use crate::error::{CliError, output_error};
use crate::exit::Outcome;
use crate::io::Io;
use crate::moment::{self, Moment};
use crate::server::Server;

use super::view::AuditLine;

/// Arguments of `tvtctl audit export`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
The file holds a JSON object per line, with every field and the hashes. tvtctl audit verify FILE
checks it without a server. It takes an admin of all tenants: a chain has no holes.

{}

Examples:
  tvtctl audit export audit-2026.jsonl
  tvtctl audit export - --since 2026-11-01 | gzip > november.jsonl.gz", moment::HELP))]
pub(crate) struct Args {
    /// The file to write, or - for stdout
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Begin with the first row recorded at or after this time
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let since = self.since.map(|since| since.from(io.clock.now()));
        let server = Server::connect(&self.server, io).await?;
        let mut request = ListAudit {
            since,
            ..ListAudit::default()
        };
        let target = io.resolve(&self.file);
        let cannot_write = format!("cannot write {}", self.file.display());
        let failed = |error: std::io::Error| output_error(cannot_write.clone(), &error);
        let to_stdout = self.file.as_os_str() == "-";
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut file = if to_stdout {
            None
        } else {
            Some(tempfile::NamedTempFile::new_in(folder).map_err(failed)?)
        };
        let mut count = 0_u64;
        loop {
            let page = server.audit_page(request.clone()).await?;
            if page.head.is_none() {
                return Err(partial().into());
            }
            for row in &page.rows {
                // From the first row on nothing may be left out, wherever clocks were set to.
                request.since = None;
                let mut line = serde_json::to_string(&AuditLine::from(row)).map_err(|error| {
                    CliError::new(ErrorCode::Internal, "cannot write a row").because(&error)
                })?;
                line.push('\n');
                match &mut file {
                    Some(file) => file.write_all(line.as_bytes()).map_err(failed)?,
                    None => io.write_out(line.as_bytes())?,
                }
                count = count.saturating_add(1);
            }
            match page.next {
                Some(next) if next > request.after => request.after = next,
                _ => break,
            }
        }
        if let Some(file) = file {
            file.as_file().sync_all().map_err(failed)?;
            file.persist(&target)
                .map_err(|error| output_error(cannot_write.clone(), &error.error))?;
            io.note(&format!("{count} rows written to {}", self.file.display()));
        }
        Ok(ExitStatus::Success)
    }
}

/// An operator of some tenants asks for the chain as a whole.
pub(super) fn partial() -> CliError {
    CliError::new(
        ErrorCode::TrustForbidden,
        "the audit as a whole is only for admins of all tenants",
    )
    .hint("tvtctl audit list shows what is about your tenants")
}
