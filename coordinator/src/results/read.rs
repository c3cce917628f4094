//! Reading result files.

use std::borrow::Cow;

use serde::Deserialize;

use tvtfleet_proto::error::ErrorCode;

use super::encoding::{self, BadEncoding};
use super::record::ResultRecord;

/// A result file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResultsError {
    /// The bytes are no text.
    #[error(transparent)]
    Encoding(#[from] BadEncoding),
    /// The text is no JSON, or an entry holds something else than a result does.
    #[error("not a scan result at byte {offset} (line {line}): {reason}")]
    Malformed {
        /// From the text's beginning, from 0.
        offset: usize,
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// It is JSON, but no list of results.
    #[error("a scan result is a JSON array, this is {0}")]
    NotAList(&'static str),
    /// The objects have inventory keys and no `nvr_ip`.
    #[error("this is an inventory (its entries have `ip`, not `nvr_ip`); scan it first")]
    Inventory,
    /// The objects have no `nvr_ip`.
    #[error("no entry has `nvr_ip`: this is not a scan result")]
    NoAddresses,
}

impl ResultsError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::ResultMalformed
    }
}

/// Turns a result file's bytes into text: UTF-8, with or without byte order mark, or UTF-16.
///
/// # Errors
/// `result.malformed` with the offset of the first byte that is no text.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, ResultsError> {
    encoding::decode(bytes).map_err(ResultsError::Encoding)
}

/// Reads the results of pytvt or of tvtfleet; text without escapes is borrowed.
///
/// Missing keys are empty, unknown ones ignored. A wrapper object `{"results": […]}` is accepted.
///
/// # Errors
/// `result.malformed`, naming where it went wrong or what the file is instead.
pub fn parse(text: &str) -> Result<Vec<ResultRecord<'_>>, ResultsError> {
    let records: Vec<ResultRecord<'_>> = match first_character(text) {
        Some('[') => serde_json::from_str(text).map_err(|error| malformed(text, &error))?,
        Some('{') => {
            let wrapper: Wrapper<'_> =
                serde_json::from_str(text).map_err(|error| malformed(text, &error))?;
            wrapper.results.ok_or(ResultsError::NotAList("an object"))?
        }
        Some('"') => return Err(ResultsError::NotAList("text")),
        Some(_) | None => {
            return Err(match serde_json::from_str::<serde::de::IgnoredAny>(text) {
                Ok(_) => ResultsError::NotAList("a single value"),
                Err(error) => malformed(text, &error),
            });
        }
    };
    if !records.is_empty() && records.iter().all(|record| record.nvr_ip.is_empty()) {
        return Err(if is_inventory(text) {
            ResultsError::Inventory
        } else {
            ResultsError::NoAddresses
        });
    }
    Ok(records)
}

/// Reads results without borrowing from the file.
///
/// # Errors
/// As [`decode`] and [`parse`].
pub fn read(bytes: &[u8]) -> Result<Vec<ResultRecord<'static>>, ResultsError> {
    let text = decode(bytes)?;
    Ok(parse(&text)?
        .into_iter()
        .map(ResultRecord::into_owned)
        .collect())
}

#[derive(Deserialize)]
struct Wrapper<'a> {
    #[serde(borrow, default)]
    results: Option<Vec<ResultRecord<'a>>>,
}

fn first_character(text: &str) -> Option<char> {
    text.chars()
        .find(|character| !character.is_ascii_whitespace())
}

fn malformed(text: &str, error: &serde_json::Error) -> ResultsError {
    ResultsError::Malformed {
        offset: encoding::byte_offset(text, error.line(), error.column()),
        line: error.line(),
        reason: error.to_string(),
    }
}

fn is_inventory(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        ip: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_str::<Vec<Probe>>(text)
        .is_ok_and(|entries| entries.iter().any(|entry| entry.ip.is_some()))
}

#[cfg(test)]
mod tests {
    use super::super::record::ChannelKey;
    use super::*;

    #[test]
    fn loose_values_are_read() {
        let text = r#"[{"nvr_ip": 7, "site": null, "success": "false", "nvr_port": "6036",
            "total_channels": 16.9, "cameras": [null, 3, {"channel": "D1", "port": "9008"},
            {"channel": 2.0, "name": true}, {}], "device_info": [], "error": 5, "warnings": null,
            "new_key": {"a": []}}, {"nvr_ip": "b", "cameras": null}]"#;
        let records = parse(text).unwrap();
        let [first, second] = records.as_slice() else {
            panic!("two records")
        };
        assert_eq!((first.nvr_ip.as_ref(), first.site.as_ref()), ("7", ""));
        assert_eq!(
            (first.success, first.nvr_port, first.total_channels),
            (false, 6036, 16)
        );
        assert_eq!(first.error.as_deref(), Some("5"));
        let channels: Vec<_> = first.cameras.iter().map(|camera| &camera.channel).collect();
        assert_eq!(
            channels,
            [
                &ChannelKey::Text("D1".into()),
                &ChannelKey::Number(2),
                &ChannelKey::default()
            ]
        );
        assert_eq!(first.cameras.first().unwrap().port, 9008);
        assert!(second.cameras.is_empty());
    }

    #[test]
    fn plain_text_is_borrowed() {
        let records = parse(r#"[{"nvr_ip": "10.0.0.1", "site": "a\u00fc"}]"#).unwrap();
        let record = records.first().unwrap();
        assert!(matches!(record.nvr_ip, Cow::Borrowed(_)));
        assert_eq!(record.site, "aü");
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        let error = |bytes: &[u8]| read(bytes).unwrap_err();
        assert_eq!(error(br#"[{"ip": "10.0.0.1"}]"#), ResultsError::Inventory);
        assert_eq!(error(br#"[{"a": 1}]"#), ResultsError::NoAddresses);
        assert_eq!(error(br#"{"a": 1}"#), ResultsError::NotAList("an object"));
        assert_eq!(error(b"null"), ResultsError::NotAList("a single value"));
        assert!(matches!(
            error(b"[{]"),
            ResultsError::Malformed {
                offset: 2,
                line: 1,
                ..
            }
        ));
        assert!(matches!(error(b""), ResultsError::Malformed { .. }));
        assert!(matches!(
            error(b"[{\"site\": \"\xE4\"}]"),
            ResultsError::Encoding(_)
        ));
        assert_eq!(read(b" [] ").unwrap(), []);
        assert_eq!(
            read(b"\xEF\xBB\xBF{\"results\": [{\"nvr_ip\": \"x\"}]}")
                .unwrap()
                .len(),
            1
        );
    }
}
