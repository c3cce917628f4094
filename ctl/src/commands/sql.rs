//! `tvtctl sql`.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};
use tvt_coordinator::tables_help;
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::query::{QueryPage, RunQuery, SqlValue};

use crate::config::ServerArgs;
use crate::error::Stop;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format, SCHEMA};
use crate::server::Server;

/// Arguments of `tvtctl sql`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The question is SQLite's SQL, and can only read the tables that --schema shows. It may take five
seconds. version() makes versions comparable; ago('7d') and ago_ms('7d') are moments.

Examples:
  Firmware older than 5.2.4:
    tvtctl sql \"SELECT site, address, model, firmware FROM devices
                WHERE version(firmware) < version('5.2.4') AND firmware <> ''\"
  Cameras offline for more than a week:
    tvtctl sql \"SELECT site, hostname, channel, name, since FROM channels
                WHERE status = 'Offline' AND since_ms < ago_ms('7d') ORDER BY since_ms\"
  Sites without a report for a month:
    tvtctl sql \"SELECT site, last_report FROM sites WHERE coalesce(last_report_ms, 0) < ago_ms('30d')\"
  Models by count:
    tvtctl sql \"SELECT model, count(*) AS devices FROM devices GROUP BY model ORDER BY devices DESC\"
  More, with the tables they use:
    tvtctl sql --schema")]
pub(crate) struct Args {
    /// The question, one SELECT
    #[arg(value_name = "SQL", required_unless_present = "schema")]
    sql: Option<String>,
    /// Show the tables and their columns instead; needs no server
    #[arg(long, conflicts_with = "sql")]
    schema: bool,
    /// The most rows
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// How to write the answer: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    /// Runs the command.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        let Some(sql) = self.sql.filter(|_| !self.schema) else {
            io.write_out(schema().as_bytes())?;
            return Ok(ExitStatus::Success);
        };
        let server = Server::connect(&self.server, io).await?;
        let answer = server
            .query(RunQuery {
                sql,
                skip: 0,
                limit: self.limit,
            })
            .await?;
        if answer.channels_pending > 0 {
            io.warn(&format!(
                "the channels of {} devices have changed and are not in the table yet",
                answer.channels_pending
            ));
        }
        let more = answer.more;
        write(io, self.format, answer)?;
        if more {
            io.note(&format!(
                "the first {} rows; --limit shows more",
                self.limit
            ));
        }
        Ok(ExitStatus::Success)
    }
}

fn write(io: &mut Io, format: Format, answer: QueryPage) -> Result<(), Stop> {
    let columns: Vec<&str> = answer.columns.iter().map(String::as_str).collect();
    match format {
        Format::Table => {
            let cells = answer
                .rows
                .iter()
                .map(|row| row.iter().map(text).collect::<Vec<String>>());
            io.write_out(output::table(&columns, cells).as_bytes())
        }
        Format::Json => {
            let rows: Vec<Value> = answer
                .rows
                .into_iter()
                .map(|row| {
                    let fields = answer.columns.iter().cloned();
                    Value::Object(fields.zip(row.into_iter().map(json)).collect())
                })
                .collect();
            let mut document = Map::new();
            document.insert("schema".into(), SCHEMA.into());
            document.insert("rows".into(), Value::Array(rows));
            output::json(io, &Value::Object(document))
        }
        Format::Csv => {
            let rows = answer
                .rows
                .into_iter()
                .map(|row| row.into_iter().map(json).collect::<Vec<Value>>());
            output::csv_table(io, &columns, rows)
        }
    }
}

fn json(value: SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(number) => number.into(),
        SqlValue::Real(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        SqlValue::Text(text) => text.into(),
        SqlValue::Blob(bytes) => hex(&bytes).into(),
    }
}

fn text(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => String::new(),
        SqlValue::Integer(number) => number.to_string(),
        SqlValue::Real(number) => number.to_string(),
        SqlValue::Text(text) => text.clone(),
        SqlValue::Blob(bytes) => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The tables, and questions that are often asked.
fn schema() -> String {
    let mut text = String::new();
    for table in tables_help() {
        let _ = writeln!(text, "{}: {}", table.name, table.about);
        for (column, about) in table.columns {
            let _ = writeln!(text, "  {column:<16} {about}");
        }
        text.push('\n');
    }
    text.push_str(FUNCTIONS);
    text.push_str("\nQuestions:\n");
    for (about, sql) in QUESTIONS {
        let _ = writeln!(text, "  {about}\n    {sql}");
    }
    text
}

const FUNCTIONS: &str = "\
Functions, beside those of SQLite:
  version(TEXT)    text that sorts as versions do
  ago(SPAN)        the moment 90s, 30m, 12h, 3d or 2w ago, as the tables show moments
  ago_ms(SPAN)     the same in milliseconds since 1970; comparing with ..._ms is quicker
";

/// Questions that are often asked.
const QUESTIONS: &[(&str, &str)] = &[
    (
        "Which recorders have firmware older than 5.2.4?",
        "SELECT site, address, model, firmware FROM devices WHERE version(firmware) < version('5.2.4') AND firmware <> ''",
    ),
    (
        "Which cameras have been offline for more than a week?",
        "SELECT site, hostname, channel, name, since FROM channels WHERE status = 'Offline' AND since_ms < ago_ms('7d') ORDER BY since_ms",
    ),
    (
        "Which sites have not been scanned for a month?",
        "SELECT site, name, last_report FROM sites WHERE coalesce(last_report_ms, 0) < ago_ms('30d')",
    ),
    (
        "How many devices of each model are there?",
        "SELECT model, count(*) AS devices FROM devices GROUP BY model ORDER BY devices DESC",
    ),
    (
        "Which camera addresses stand on more than one channel of a site?",
        "SELECT site, address, count(*) AS channels FROM channels WHERE address <> '' GROUP BY site, address, port HAVING count(*) > 1",
    ),
    (
        "Which devices fail, and why?",
        "SELECT error_code, count(*) AS devices FROM devices WHERE failing = 1 GROUP BY error_code ORDER BY devices DESC",
    ),
    (
        "Which devices were never asked with success?",
        "SELECT site, address, hostname, error_code FROM devices WHERE last_success IS NULL",
    ),
    (
        "Which devices went away in the last day?",
        "SELECT at, site, device_id, address, new AS error_code FROM changes WHERE kind = 'unreachable' AND at_ms > ago_ms('1d') ORDER BY at_ms",
    ),
    (
        "Which serial numbers stand at more than one site?",
        "SELECT serial, count(*) AS devices, group_concat(site, ' ') AS sites FROM devices WHERE serial <> '' GROUP BY serial HAVING count(*) > 1",
    ),
    (
        "Which devices took longest in the newest job?",
        "SELECT site, device_id, sum(duration_ms) AS ms FROM attempts WHERE job = (SELECT job FROM jobs ORDER BY submitted_at_ms DESC LIMIT 1) GROUP BY site, device_id ORDER BY ms DESC LIMIT 20",
    ),
];
