//! The two tables of a site's workbook, before any file format.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::results::{CameraRecord, ResultRecord};

/// The tab with one row per device.
pub(super) const INFO: &str = "NVR Info";
/// The tab with one row per channel.
pub(super) const CONFIG: &str = "NVR Config";
/// Excel's limit for the rows of a sheet.
const ROWS_MAX: usize = 1_048_576;
/// Excel's limit for a cell's text, in UTF-16 units.
const TEXT_MAX: usize = 32_767;

/// One tab.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table {
    /// The tab's name.
    pub(super) name: &'static str,
    /// The columns: pytvt's first, tvtfleet's at the right.
    pub(super) columns: &'static [&'static str],
    /// The rows below the header, each as long as the columns.
    pub(super) rows: Vec<Vec<Cell>>,
    /// Sets of columns by which a row is found again in an older table, the best first.
    pub(super) keys: &'static [&'static [usize]],
    /// The column that says which device a row belongs to.
    pub(super) owner: Option<usize>,
    /// Devices whose rows of an earlier run stay, because they could not be read this time.
    pub(super) keep: Vec<String>,
    /// What a row of an earlier run says in one of its columns.
    pub(super) stale_mark: Option<(usize, &'static str)>,
}

/// One cell. Text is clean: nothing in it is more than text to a spreadsheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// Nothing.
    Blank,
    /// Text, as it stands in the file before XML escapes.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl Table {
    /// The devices of a site, by host name as pytvt sorts them.
    pub(super) fn info(records: &[ResultRecord<'_>]) -> Self {
        let mut sorted: Vec<&ResultRecord<'_>> = records.iter().collect();
        sorted.sort_by(|a, b| a.hostname.cmp(&b.hostname));
        Self {
            name: INFO,
            columns: &[
                "Hostname",
                "IP",
                "MAC",
                "Port",
                "Device Name",
                "Model",
                "Serial Number",
                "Firmware",
                "Channels",
                "Status",
                "Error Code",
                "Device ID",
                "Backend",
                "Observed At",
            ],
            rows: sorted.into_iter().map(info_row).collect(),
            keys: &[&[1, 3], &[1], &[0]],
            owner: None,
            keep: Vec::new(),
            stale_mark: None,
        }
    }

    /// The channels of a site's devices, in the order of the result.
    pub(super) fn config(records: &[ResultRecord<'_>]) -> Self {
        let rows = records.iter().flat_map(|record| {
            record
                .cameras
                .iter()
                .map(|camera| config_row(record, camera))
        });
        Self {
            name: CONFIG,
            columns: &[
                "Camera Name",
                "Address",
                "Port",
                "Status",
                "Protocol",
                "Model",
                "NVR",
                "NVR IP",
                "Channel",
                "Status Source",
            ],
            rows: rows.collect(),
            keys: &[&[7, 8, 1], &[7, 1], &[1], &[7, 8], &[0]],
            owner: Some(7),
            keep: records
                .iter()
                .filter(|record| !record.channels_known())
                .map(|record| record.nvr_ip.clone().into_owned())
                .collect(),
            stale_mark: Some((9, "earlier run")),
        }
    }

    /// Whether the sheet can hold all rows.
    pub(super) fn fits(&self) -> bool {
        self.rows.len() < ROWS_MAX
    }

    /// The widths of the columns, in characters: the longest text and 3, at most 50.
    pub(super) fn widths(&self) -> Vec<u32> {
        let mut longest: Vec<usize> = self
            .columns
            .iter()
            .map(|name| name.chars().count())
            .collect();
        for row in &self.rows {
            for (longest, cell) in longest.iter_mut().zip(row) {
                *longest = (*longest).max(cell.length());
            }
        }
        longest
            .into_iter()
            .map(|longest| u32::try_from(longest + 3).unwrap_or(50).min(50))
            .collect()
    }
}

impl Cell {
    /// A cell with this text, without what a sheet cannot hold.
    pub(super) fn text(text: &str) -> Self {
        let clean = clean(text);
        if clean.is_empty() {
            Self::Blank
        } else {
            Self::Text(clean)
        }
    }

    /// The text of a cell before Excel's escapes, for writers that add them themselves.
    pub(super) fn plain(text: &str) -> Cow<'_, str> {
        if text.contains("_x005F_") {
            Cow::Owned(text.replace("_x005F_", "_"))
        } else {
            Cow::Borrowed(text)
        }
    }

    /// What the cell shows; empty where it is blank.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Blank => String::new(),
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Blank => 0,
            Self::Text(text) => text.chars().count(),
            Self::Number(number) => number.to_string().len(),
        }
    }
}

fn info_row(record: &ResultRecord<'_>) -> Vec<Cell> {
    let status = match (record.success, record.error.as_deref()) {
        (true, _) => "OK",
        (false, None | Some("")) => "Failed",
        (false, Some(error)) => error,
    };
    let optional = |text: &Option<Cow<'_, str>>| Cell::text(text.as_deref().unwrap_or(""));
    vec![
        Cell::text(&record.hostname),
        Cell::text(&record.nvr_ip),
        Cell::text(&record.nvr_mac),
        Cell::Number(record.nvr_port),
        Cell::text(&record.device_name),
        Cell::text(&record.device_model),
        Cell::text(&record.serial_number),
        Cell::text(&record.firmware),
        Cell::Number(record.total_channels),
        Cell::text(status),
        optional(&record.error_code),
        optional(&record.device_id),
        Cell::text(&record.backend),
        optional(&record.observed_at),
    ]
}

fn config_row(record: &ResultRecord<'_>, camera: &CameraRecord<'_>) -> Vec<Cell> {
    let port = match camera.port {
        0 if !camera.has_address() => Cell::Blank,
        port => Cell::Number(port),
    };
    let channel = match &camera.channel {
        crate::results::ChannelKey::Number(number) => Cell::Number(*number),
        crate::results::ChannelKey::Text(text) => Cell::text(text),
    };
    vec![
        Cell::text(&camera.name),
        Cell::text(&camera.address),
        port,
        Cell::text(&camera.status),
        Cell::text(&camera.protocol),
        Cell::text(&camera.model),
        Cell::text(&record.hostname),
        Cell::text(&record.nvr_ip),
        channel,
        Cell::text(camera.status_source.as_deref().unwrap_or("")),
    ]
}

/// Text without characters that XML or Excel cannot hold, cut to Excel's limit.
///
/// Excel takes `_x0041_` for an escaped character, so its underscore is escaped in turn.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut units = 0;
    for (at, character) in text.char_indices() {
        if character.is_control() || matches!(character, '\u{FFFE}' | '\u{FFFF}') {
            continue;
        }
        let looks_escaped = character == '_' && is_escape(text.get(at..).unwrap_or_default());
        units += if looks_escaped {
            7
        } else {
            character.len_utf16()
        };
        if units > TEXT_MAX {
            break;
        }
        if looks_escaped {
            let escape = write!(clean, "_x005F_");
            debug_assert!(escape.is_ok(), "a string takes everything");
        } else {
            clean.push(character);
        }
    }
    clean
}

/// Whether text begins like `_x0041_`.
fn is_escape(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, [b'_', b'x', a, b, c, d, b'_', ..]
        if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_only_what_a_sheet_can() {
        assert_eq!(
            Cell::text("a\u{1b}[31m\u{0}b\n"),
            Cell::Text("a[31mb".to_owned())
        );
        assert_eq!(Cell::text("\u{FFFF}"), Cell::Blank);
        assert_eq!(
            Cell::text("_x0041_"),
            Cell::Text("_x005F_x0041_".to_owned())
        );
        assert_eq!(Cell::text("_x00"), Cell::Text("_x00".to_owned()));
        let Cell::Text(long) = Cell::text(&"😀".repeat(20_000)) else {
            panic!()
        };
        assert_eq!(long.encode_utf16().count(), TEXT_MAX - 1);
    }
}
