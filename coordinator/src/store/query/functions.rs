//! Functions of questions: times, versions, and what lies packed in the stored rows.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, Result};
use serde::Serialize;
use uuid::Uuid;

use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::wire::v1;

use super::super::columns;
use super::super::pack::unpack;

/// Functions that a question may not use: they read or load what is none of its business.
pub(super) const DENIED: &[&str] = &["load_extension", "fts3_tokenizer", "readfile", "writefile"];

/// Makes the functions known to a connection.
pub(super) fn register(db: &Connection, now: UtcMillis) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    db.create_scalar_function("moment", 1, flags, |context| {
        let millis: Option<i64> = context.get(0)?;
        Ok(millis.map(|millis| UtcMillis::new(millis).to_string()))
    })?;
    db.create_scalar_function("ago_ms", 1, flags, move |context| {
        ago(context, now).map(UtcMillis::millis)
    })?;
    db.create_scalar_function("ago", 1, flags, move |context| {
        ago(context, now).map(|moment| moment.to_string())
    })?;
    db.create_scalar_function("version", 1, flags, |context| {
        Ok(context.get::<Option<String>>(0)?.map(|text| version(&text)))
    })?;
    db.create_scalar_function("uuid_text", 1, flags, |context| {
        let bytes: Option<Vec<u8>> = context.get(0)?;
        Ok(bytes
            .and_then(|bytes| Uuid::from_slice(&bytes).ok())
            .map(|uuid| uuid.to_string()))
    })?;
    db.create_scalar_function("mac_text", 1, flags, |context| {
        Ok(columns::mac(context.get(0)?).map(|mac| mac.to_string()))
    })?;
    db.create_scalar_function("report_json", 1, flags, report_json)?;
    Ok(())
}

/// `3d` before now; also `s`, `m`, `h` and `w`.
fn ago(context: &Context<'_>, now: UtcMillis) -> Result<UtcMillis> {
    let text: String = context.get(0)?;
    let span = span(text.trim()).ok_or_else(|| {
        rusqlite::Error::UserFunctionError("write a span as 90m, 12h, 3d or 2w".into())
    })?;
    Ok(now.before(span))
}

fn span(text: &str) -> Option<std::time::Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        'w' => 7 * 24 * 3600,
        _ => return None,
    };
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    Some(std::time::Duration::from_secs(number.checked_mul(seconds)?))
}

/// Text that sorts as versions do: every number in it has ten digits.
fn version(text: &str) -> String {
    let mut key = String::with_capacity(text.len().saturating_mul(2));
    let mut digits = String::new();
    for character in text.trim().chars().chain([' ']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        if !digits.is_empty() {
            key.push_str(&format!("{:0>10}", digits.trim_start_matches('0')));
            digits.clear();
        }
        key.extend(character.to_lowercase());
    }
    key.trim_end().to_owned()
}

#[derive(Serialize)]
struct ReportJson {
    observed_at: i64,
    backend: String,
    code: Option<String>,
    attempts: Vec<AttemptJson>,
}

#[derive(Serialize)]
struct AttemptJson {
    backend: String,
    started_at: i64,
    duration_ms: u64,
    code: String,
}

/// The small part of a stored report, as JSON.
fn report_json(context: &Context<'_>) -> Result<Option<String>> {
    let Some(body) = context.get::<Option<Vec<u8>>>(0)? else {
        return Ok(None);
    };
    let failed =
        |error: Box<dyn std::error::Error + Send + Sync>| rusqlite::Error::UserFunctionError(error);
    let report: v1::DeviceReport =
        unpack("report", &body).map_err(|error| failed(Box::new(error)))?;
    let json = ReportJson {
        observed_at: report.observed_at_ms,
        backend: report.backend,
        code: report
            .failure
            .map(|failure| failure.code)
            .or_else(|| report.warnings.into_iter().next()),
        attempts: report
            .attempts
            .into_iter()
            .map(|attempt| AttemptJson {
                backend: attempt.backend,
                started_at: attempt.started_at_ms,
                duration_ms: attempt.duration_ms,
                code: attempt.code,
            })
            .collect(),
    };
    serde_json::to_string(&json)
        .map(Some)
        .map_err(|error| failed(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_by_their_numbers() {
        let mut versions = ["5.2.10", "5.2.4", "1.4.10.0", "5.2.4b", "10.0"];
        versions.sort_by_key(|text| version(text));
        assert_eq!(versions, ["1.4.10.0", "5.2.4", "5.2.4b", "5.2.10", "10.0"]);
        assert_eq!(version("V05.2"), version("v5.2"));
    }

    #[test]
    fn spans_are_read() {
        let seconds = |text| span(text).map(|span| span.as_secs());
        assert_eq!(seconds("90m"), Some(5400));
        assert_eq!(seconds("2w"), Some(14 * 24 * 3600));
        for bad in ["", "d", "3", "-1d", "3y", "99999999999999999999d"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
