//! Reading a whole file.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::inventory::{DEFAULT_PORT, InventoryEntry};

use super::{entry, filter};
use crate::results::encoding::{self, BadEncoding};

/// How an inventory is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Whether entries that name another maker are kept too.
    pub include_all: bool,
    /// The port that an entry without one stands for when duplicates are looked for.
    pub default_port: u16,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            include_all: false,
            default_port: DEFAULT_PORT,
        }
    }
}

/// What an inventory file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InventoryFile {
    /// The entries taken, in the order of the file.
    pub entries: Vec<InventoryEntry>,
    /// The entries not taken, in the order of the file.
    pub dropped: Vec<Dropped>,
}

/// An entry that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its position in the file, from 1.
    pub position: usize,
    /// What it names, shortened: its host, else its name, else its beginning.
    pub what: String,
    /// Why: one of the `inventory.entry_…` codes.
    pub code: ErrorCode,
    /// Why, for people.
    pub reason: String,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "entry {} ({}): {}",
            self.position, self.what, self.reason
        )
    }
}

/// An inventory file cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InventoryFileError {
    /// The bytes are no text.
    #[error(transparent)]
    Encoding(#[from] BadEncoding),
    /// The text is no JSON.
    #[error("not JSON at byte {offset} (line {line}): {reason}")]
    Json {
        /// From the text's beginning, from 0.
        offset: usize,
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// It is JSON, but no inventory.
    #[error("an inventory is a JSON array or an object with `devices`, this is {0}")]
    Shape(&'static str),
}

impl InventoryFileError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::InventoryMalformed
    }
}

/// Reads an inventory.
///
/// Entries are dropped that cannot be used, name another maker (unless
/// [`ReadOptions::include_all`]), have a link-local address, or repeat the host and port of an
/// earlier entry at the same site label. The same address at two labels is two devices.
///
/// # Errors
/// `inventory.malformed` where the file is no inventory; entries never make the file fail.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<InventoryFile, InventoryFileError> {
    let text = encoding::decode(bytes)?;
    let document = serde_json::from_str(&text).map_err(|error| InventoryFileError::Json {
        offset: encoding::byte_offset(&text, error.line(), error.column()),
        line: error.line(),
        reason: error.to_string(),
    })?;
    let mut seen: BTreeMap<(String, Host, u16), usize> = BTreeMap::new();
    let mut file = InventoryFile::default();
    for (position, value) in (1..).zip(elements(document)?) {
        let outcome = entry::read(&value)
            .and_then(|entry| filter::check(entry, options.include_all))
            .and_then(|entry| {
                let port = entry.port.unwrap_or(options.default_port);
                let place = (entry.site_label.clone(), entry.host.clone(), port);
                match seen.get(&place) {
                    Some(earlier) => Err(entry::Refusal::duplicate(*earlier)),
                    None => {
                        seen.insert(place, position);
                        Ok(entry)
                    }
                }
            });
        match outcome {
            Ok(entry) => file.entries.push(entry),
            Err(refusal) => file.dropped.push(Dropped {
                position,
                what: entry::shown(&value),
                code: refusal.code,
                reason: refusal.reason,
            }),
        }
    }
    Ok(file)
}

fn elements(document: Value) -> Result<Vec<Value>, InventoryFileError> {
    match document {
        Value::Array(elements) => Ok(elements),
        Value::Object(mut object) => {
            for key in ["devices", "data", "results"] {
                if let Some(Value::Array(elements)) = object.remove(key) {
                    return Ok(elements);
                }
            }
            Err(InventoryFileError::Shape("an object without them"))
        }
        Value::Null => Err(InventoryFileError::Shape("null")),
        Value::Bool(_) => Err(InventoryFileError::Shape("a truth value")),
        Value::Number(_) => Err(InventoryFileError::Shape("a number")),
        Value::String(_) => Err(InventoryFileError::Shape("text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(path: &str) -> Vec<u8> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/examples/");
        std::fs::read(format!("{root}{path}")).unwrap()
    }

    fn read_text(text: &str) -> InventoryFile {
        read(text.as_bytes(), &ReadOptions::default()).unwrap()
    }

    fn codes(file: &InventoryFile) -> Vec<(usize, ErrorCode)> {
        file.dropped
            .iter()
            .map(|dropped| (dropped.position, dropped.code))
            .collect()
    }

    #[test]
    fn the_example_inventory_is_read() {
        let file = read(&example("scan/inventory.json"), &ReadOptions::default()).unwrap();
        assert_eq!(
            codes(&file),
            [
                (4, ErrorCode::InventoryEntryNotTvt),
                (6, ErrorCode::InventoryEntryLinkLocal)
            ]
        );
        assert_eq!(file.entries.len(), 20);
        let alternative = file
            .entries
            .iter()
            .find(|entry| entry.hostname == "nvr-sued-3")
            .unwrap();
        assert_eq!(alternative.port, Some(7036));
        assert_eq!(alternative.mac_text, "58:5b:69:10:00:16");
        let last = file.entries.last().unwrap();
        assert_eq!(*last, InventoryEntry::bare("127.0.0.32".parse().unwrap()));
    }

    #[test]
    fn all_makers_are_kept_on_request() {
        let options = ReadOptions {
            include_all: true,
            ..ReadOptions::default()
        };
        let file = read(&example("scan/inventory.json"), &options).unwrap();
        assert_eq!(codes(&file), [(6, ErrorCode::InventoryEntryLinkLocal)]);
    }

    #[test]
    fn one_bad_entry_stops_no_other() {
        let file = read_text(
            r#"{"devices": [null, 7, {"site": "a"}, {"ip": "10.0.0.1", "port": "abc"},
               {"ip": "10.0.0.2", "port": 70000}, {"ip": null}, {"ip": "999.1.1.1"},
               {"ip": "10.0.0.3", "site": {"a": 1}}, {"id": "SER1"}, {"ip": "10.0.0.9"},
               {"ip": "10.0.0.8", "credential": "No Label"}, {"ip": "fe80::1"}, {"ip": ""}]}"#,
        );
        assert_eq!(file.entries.len(), 1);
        assert_eq!(file.dropped.len(), 12);
        let link_local: Vec<usize> = file
            .dropped
            .iter()
            .filter(|dropped| dropped.code != ErrorCode::InventoryEntryInvalid)
            .map(|dropped| dropped.position)
            .collect();
        assert_eq!(link_local, [12]);
        let identifier = file
            .dropped
            .iter()
            .find(|dropped| dropped.position == 9)
            .unwrap();
        assert!(identifier.to_string().contains("SER1"), "{identifier}");
    }

    #[test]
    fn a_place_counts_once_per_site_label() {
        let file = read_text(
            r#"[{"ip": "10.0.0.1", "site": "A"}, {"ip": "10.0.0.1", "site": "B"},
               {"ip": " 10.0.0.1", "site": "A", "port": 6036}, {"ip": "10.0.0.1", "site": "A", "port": 9008}]"#,
        );
        assert_eq!(file.entries.len(), 3);
        assert_eq!(codes(&file), [(3, ErrorCode::InventoryEntryDuplicate)]);
        assert!(file.dropped.first().unwrap().reason.contains("entry 1"));
    }

    #[test]
    fn other_encodings_and_shapes_are_told_apart() {
        let options = ReadOptions::default();
        let utf16: Vec<u8> = [0xFF, 0xFE]
            .into_iter()
            .chain(
                r#"[{"ip": "10.0.0.1", "site": "Süd"}]"#
                    .encode_utf16()
                    .flat_map(u16::to_le_bytes),
            )
            .collect();
        assert_eq!(
            read(&utf16, &options)
                .unwrap()
                .entries
                .first()
                .unwrap()
                .site_label,
            "Süd"
        );
        assert_eq!(
            read(b"\xEF\xBB\xBF[]", &options).unwrap(),
            InventoryFile::default()
        );
        let error = |bytes: &[u8]| read(bytes, &options).unwrap_err();
        assert_eq!(
            error(b"[{\"site\": \"S\xFCd\"}]"),
            InventoryFileError::Encoding(BadEncoding::Utf8 {
                offset: 12,
                byte: 0xFC
            })
        );
        assert!(matches!(
            error(b"[\n{]"),
            InventoryFileError::Json {
                offset: 3,
                line: 2,
                ..
            }
        ));
        assert!(matches!(
            error(b""),
            InventoryFileError::Json { offset: 0, .. }
        ));
        assert_eq!(error(b"null"), InventoryFileError::Shape("null"));
        assert!(matches!(error(b"{}"), InventoryFileError::Shape(_)));
    }
}
