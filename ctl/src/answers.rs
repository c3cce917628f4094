//! What devices answered to asks, on stdout: one line per record, and one per device without any.

use serde_json::{Map, Value, json};
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::api::{ResultRow, RowOutcome};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::channel::Channel;
use tvtfleet_proto::model::report::DeviceReport;

use crate::error::Stop;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format, SCHEMA};

const CHANNEL_COLUMNS: &[&str] = &[
    "channel", "name", "address", "port", "status", "protocol", "model",
];

/// One device with what became of the question to it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The site; empty for devices that were asked from here.
    pub(crate) site: String,
    /// Where it is reached.
    pub(crate) address: String,
    /// The report, or why there is none.
    pub(crate) outcome: Result<Box<DeviceReport>, ErrorCode>,
}

impl From<ResultRow> for Asked {
    fn from(row: ResultRow) -> Self {
        Self {
            site: row.site.map(|site| site.to_string()).unwrap_or_default(),
            address: row.entry.endpoint(row.port).to_string(),
            outcome: match row.outcome {
                RowOutcome::Reported(report) => Ok(report),
                RowOutcome::Missing { code, .. } => Err(code),
            },
        }
    }
}

impl Asked {
    fn is_success(&self) -> bool {
        self.outcome
            .as_ref()
            .is_ok_and(|report| report.is_success())
    }

    fn error(&self) -> (Option<ErrorCode>, Option<&str>) {
        match &self.outcome {
            Ok(report) => {
                let text = report.failure.as_ref().map(|failure| failure.text.as_str());
                (report.headline_code(), text)
            }
            Err(code) => (Some(*code), None),
        }
    }

    /// The records with their columns.
    fn records(&self, ask: Ask) -> (&'static [&'static str], Vec<Vec<Value>>) {
        let Ok(report) = &self.outcome else {
            return (&[], Vec::new());
        };
        match &report.answer {
            Some(answer) => (answer.columns(), answer.rows()),
            None if ask == Ask::Channels => (
                CHANNEL_COLUMNS,
                report.channels.iter().map(channel).collect(),
            ),
            None => (&[], Vec::new()),
        }
    }
}

/// Writes everything to stdout; the outcome says whether all devices answered.
///
/// # Errors
///
/// Where stdout cannot be written.
pub(crate) fn write(ask: Ask, asked: &[Asked], format: Format, io: &mut Io) -> Outcome {
    match format {
        Format::Table => write_table(ask, asked, io)?,
        Format::Json => write_json(ask, asked, io)?,
        Format::Csv => write_csv(ask, asked, io)?,
    }
    Ok(if asked.iter().all(Asked::is_success) {
        ExitStatus::Success
    } else {
        ExitStatus::SomeFailed
    })
}

fn write_table(ask: Ask, asked: &[Asked], io: &mut Io) -> Result<(), Stop> {
    let columns = columns(ask, asked);
    let with_site = asked.iter().any(|one| !one.site.is_empty());
    let heads: Vec<String> = with_site
        .then_some("site")
        .into_iter()
        .chain(["device"])
        .chain(columns.iter().copied())
        .chain(["error"])
        .map(|name| name.replace('_', " ").to_uppercase())
        .collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let lines = lines(ask, asked, columns.len()).map(|(one, cells)| {
        let site = with_site.then(|| one.site.clone());
        let error = one.error().0.map(ErrorCode::as_str).unwrap_or_default();
        site.into_iter()
            .chain([one.address.clone()])
            .chain(cells.iter().map(cell))
            .chain([error.to_owned()])
            .collect()
    });
    io.write_out(output::table(&heads, lines).as_bytes())?;
    for one in asked {
        if let (Some(code), Some(text)) = one.error() {
            io.note(&format!(
                "{}: {} ({code})",
                one.address,
                output::printable(text)
            ));
        }
    }
    Ok(())
}

fn write_csv(ask: Ask, asked: &[Asked], io: &mut Io) -> Result<(), Stop> {
    let columns = columns(ask, asked);
    let heads: Vec<&str> = ["site", "device", "success", "error_code"]
        .into_iter()
        .chain(columns.iter().copied())
        .collect();
    let rows = lines(ask, asked, columns.len()).map(|(one, cells)| {
        let code = one.error().0.map(ErrorCode::as_str).unwrap_or_default();
        let fixed = [
            Value::from(one.site.clone()),
            Value::from(one.address.clone()),
            Value::from(one.is_success()),
            Value::from(code),
        ];
        let flat = cells.into_iter().map(|value| match value {
            Value::Array(_) => Value::from(cell(&value)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => value,
        });
        fixed.into_iter().chain(flat).collect()
    });
    output::csv_table(io, &heads, rows)
}

fn write_json(ask: Ask, asked: &[Asked], io: &mut Io) -> Result<(), Stop> {
    let devices: Vec<Value> = asked
        .iter()
        .map(|one| {
            let (code, text) = one.error();
            let (columns, rows) = one.records(ask);
            let records: Vec<Value> = rows
                .into_iter()
                .map(|cells| {
                    let pairs = columns.iter().map(|name| (*name).to_owned()).zip(cells);
                    Value::Object(pairs.collect::<Map<_, _>>())
                })
                .collect();
            let report = one.outcome.as_ref().ok();
            let warnings = report.map(|report| report.warnings.iter().map(|code| code.as_str()));
            json!({
                "site": one.site,
                "device": one.address,
                "success": one.is_success(),
                "backend": report.map(|report| report.backend.as_str()),
                "observed_at": report.map(|report| report.observed_at.to_string()),
                "error_code": code.map(ErrorCode::as_str),
                "error": text,
                "warnings": warnings.into_iter().flatten().collect::<Vec<_>>(),
                "answer": records,
            })
        })
        .collect();
    output::json(
        io,
        &json!({"schema": SCHEMA, "ask": ask.as_str(), "devices": devices}),
    )
}

/// The columns of whoever answered.
fn columns(ask: Ask, asked: &[Asked]) -> &'static [&'static str] {
    asked
        .iter()
        .map(|one| one.records(ask).0)
        .find(|columns| !columns.is_empty())
        .unwrap_or(&[])
}

/// A line per record; a device without records has one of empty cells.
fn lines(ask: Ask, asked: &[Asked], width: usize) -> impl Iterator<Item = (&Asked, Vec<Value>)> {
    asked.iter().flat_map(move |one| {
        let (_, mut rows) = one.records(ask);
        if rows.is_empty() {
            rows.push(vec![Value::Null; width]);
        }
        rows.into_iter().map(move |cells| (one, cells))
    })
}

fn channel(channel: &Channel) -> Vec<Value> {
    let port = Some(channel.port).filter(|port| *port > 0);
    vec![
        channel.label.to_string().into(),
        channel.name.clone().into(),
        channel.address.clone().into(),
        port.into(),
        channel.status.as_str().into(),
        channel.protocol.clone().into(),
        channel.model.clone().into(),
    ]
}

/// A value for people.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
