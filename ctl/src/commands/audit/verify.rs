//! `tvtctl audit verify`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::audit::{
    AUDIT_SITES_MAX, AUDIT_TEXT_MAX, AuditFault, AuditMark, AuditVerifier, ListAudit, Verified,
};

use crate::config::ServerArgs;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format, Row};
use crate::server::Server;

use super::export::partial;
use super::view::AuditLine;

/// The longest line of a file, in bytes: all texts escaped, and all sites with their longest names.
const LINE_MAX: usize = AUDIT_TEXT_MAX * 6 * 8 + AUDIT_SITES_MAX * 160 + 4096;

/// Arguments of `tvtctl audit verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads every row and computes every hash here. Rows cut off at the end are noticed because the
coordinator also keeps the end of the chain in a file beside its database (audit.head); the end that
you noted down earlier, or the last line of an exported file, tells even if that file was changed
too: give it with --head. After an older database was put in place, a row says so (audit.rewound):
what it replaced is gone, and verify fails until you accept that row.

Examples:
  tvtctl audit verify
  tvtctl audit verify --head 812:9f2c... --accept 640
  tvtctl audit verify audit-2026.jsonl")]
pub(crate) struct Args {
    /// A file that tvtctl audit export wrote, instead of the coordinator's audit
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// A row that is known to have been there, as NUMBER:HASH; may be repeated
    #[arg(long, value_name = "NUMBER:HASH")]
    head: Vec<AuditMark>,
    /// A row that says that the audit was put back, and that was looked into; may be repeated
    #[arg(long, value_name = "NUMBER")]
    accept: Vec<u64>,
    /// How to write what was found: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

/// What was found.
#[derive(Default, Serialize)]
struct Finding {
    rows: u64,
    first: u64,
    last: u64,
    head: String,
    rewound: Vec<u64>,
}

impl Row for Finding {
    const NOUN: &'static str = "verified";
    const HEADS: &'static [&'static str] = &["ROWS", "FIRST", "LAST", "HEAD"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.rows.to_string(),
            self.first.to_string(),
            self.last.to_string(),
            self.head.clone(),
        ]
    }
}

impl Args {
    pub(super) async fn run(self, io: &mut Io) -> Outcome {
        let verified = match &self.file {
            Some(file) => verify_file(&io.resolve(file), self.head)?,
            None => {
                let server = Server::connect(&self.server, io).await?;
                verify_server(&server, self.head).await?
            }
        };
        let finding = Finding {
            rows: verified.rows,
            first: verified.first,
            last: verified.head.number,
            head: verified.head.to_string(),
            rewound: verified.rewound.clone(),
        };
        output::list(io, self.format, &[finding])?;
        let open = verified.rewound.iter();
        let mut open = open.filter(|row| !self.accept.contains(row));
        match open.next() {
            None => Ok(ExitStatus::Success),
            Some(row) => Err(CliError::new(
                ErrorCode::AuditBroken,
                format!("row {row} says that the audit once ended too early"),
            )
            .cause("an older database was put in its place, or rows were cut off")
            .hint(format!(
                "see that row with tvtctl audit list --kind audit.rewound; then --accept {row}"
            ))
            .into()),
        }
    }
}

async fn verify_server(server: &Server, known: Vec<AuditMark>) -> Result<Verified, CliError> {
    let mut request = ListAudit::default();
    let mut verifier = None;
    loop {
        let page = server.audit_page(request.clone()).await?;
        let Some(head) = page.head else {
            return Err(partial());
        };
        let verifier = verifier.get_or_insert_with(|| {
            let mut marks = known.clone();
            marks.extend(page.witness);
            marks.push(head);
            AuditVerifier::new(marks)
        });
        for row in &page.rows {
            verifier.row(row).map_err(broken)?;
        }
        match page.next {
            Some(next) if next > request.after => request.after = next,
            _ => break,
        }
    }
    verifier.unwrap_or_default().end(true).map_err(broken)
}

fn verify_file(path: &Path, known: Vec<AuditMark>) -> Result<Verified, CliError> {
    let unreadable = |error: std::io::Error| {
        let message = format!("cannot read {}", path.display());
        CliError::new(ErrorCode::ConfigUnreadable, message).because(&error)
    };
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut verifier = AuditVerifier::new(known);
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        number = number.saturating_add(1);
        let limit = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
        let mut bounded = file.by_ref().take(limit);
        if bounded.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            break;
        }
        let bad = |why: String| {
            let message = format!("line {number} of {} is no row of an audit", path.display());
            CliError::new(ErrorCode::AuditBroken, message).cause(why)
        };
        let row: AuditLine =
            serde_json::from_slice(&line).map_err(|error| bad(error.to_string()))?;
        let row = row.row().map_err(|field| bad(format!("field {field}")))?;
        verifier.row(&row).map_err(broken)?;
    }
    // A file may begin anywhere; what it begins with is shown.
    verifier.end(false).map_err(broken)
}

fn broken(fault: AuditFault) -> CliError {
    CliError::new(
        ErrorCode::AuditBroken,
        "the audit is not as it was recorded",
    )
    .cause(fault.to_string())
    .hint("compare with an exported file or a backup of the coordinator's database")
}
