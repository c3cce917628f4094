//! Text for a terminal, in pytvt's layout.
//!
//! Everything that came from outside is made harmless first, and columns are padded by the cells
//! that a terminal gives to characters. Unlike pytvt's, the report shows channels without address.

mod device;
mod fleet;
pub(crate) mod text;

use std::io::{self, Write};

use crate::results::ResultRecord;

pub use device::{Layout, device_block, progress_line};
pub use fleet::{FleetSummary, SiteTotals};
pub use text::harmless;

/// What is known before a scan starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// How many devices will be asked.
    pub devices: usize,
    /// The backends, as `protocol`.
    pub backend: String,
    /// The user name; its password is never shown, nor how long it is.
    pub user: String,
    /// How many devices are asked at a time.
    pub concurrency: usize,
}

/// What a report's last line counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All devices.
    pub devices: usize,
    /// Devices asked with success.
    pub ok: usize,
    /// Channels with an address, of all devices.
    pub addressed: usize,
    /// Channels without one.
    pub unaddressed: usize,
}

impl Totals {
    /// Counts one device.
    pub fn add(&mut self, record: &ResultRecord<'_>) {
        let addressed = record.addressed().count();
        self.devices += 1;
        self.ok += usize::from(record.success);
        self.addressed += addressed;
        self.unaddressed += record.cameras.len().saturating_sub(addressed);
    }
}

/// The lines before a scan, the first of them empty.
#[must_use]
pub fn header(header: &Header) -> String {
    format!(
        "\nTVT NVR Camera Scanner\nFound {} unique TVT NVR(s) to scan\nBackend: {}\n\
         Credentials: {} / ********\nConcurrency: {}\n",
        header.devices,
        harmless(&header.backend),
        harmless(&header.user),
        header.concurrency
    )
}

/// Writes the block of every device and the summary.
///
/// # Errors
/// Those of the writer.
pub fn report<'a, R: Into<ResultRecord<'a>>>(
    rows: impl IntoIterator<Item = R>,
    layout: Layout,
    mut writer: impl Write,
) -> io::Result<Totals> {
    let mut totals = Totals::default();
    for row in rows {
        let record = row.into();
        totals.add(&record);
        writer.write_all(device_block(&record, layout).as_bytes())?;
    }
    writer.write_all(summary(&totals, layout).as_bytes())?;
    Ok(totals)
}

/// The last block of a report.
#[must_use]
pub fn summary(totals: &Totals, layout: Layout) -> String {
    let unaddressed = match (totals.unaddressed, layout) {
        (0, _) | (_, Layout::Compat) => String::new(),
        (count, Layout::Full) => format!(", {count} channels without address"),
    };
    let rule = device::HEAVY_RULE;
    format!(
        "\n{rule}\n  SUMMARY: {}/{} NVRs scanned successfully, {} cameras with addresses \
         found{unaddressed}\n{rule}\n",
        totals.ok, totals.devices, totals.addressed
    )
}

/// Writes a fleet's result in few lines: per site what went well, then the failures by code.
///
/// # Errors
/// Those of the writer.
pub fn fleet_summary<'a, R: Into<ResultRecord<'a>>>(
    rows: impl IntoIterator<Item = R>,
    writer: impl Write,
) -> io::Result<Totals> {
    let mut summary = FleetSummary::default();
    for row in rows {
        summary.add(&row.into());
    }
    summary.write(writer)?;
    Ok(summary.totals())
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::results;

    fn example(path: &str) -> String {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/examples/");
        std::fs::read_to_string(format!("{root}{path}")).unwrap()
    }

    fn reported<'a, R: Into<ResultRecord<'a>>>(
        rows: impl IntoIterator<Item = R>,
        layout: Layout,
    ) -> String {
        let mut bytes = Vec::new();
        report(rows, layout, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_blocks_are_pytvts() {
        for (json, stdout) in [
            ("csv/ok.json", "csv/ok.stdout.txt"),
            ("sdk-bridge/both.json", "sdk-bridge/both.stdout.txt"),
            ("xlsx/run1.json", "xlsx/run1.stdout.txt"),
        ] {
            let json = example(json);
            let ours = reported(results::parse(&json).unwrap(), Layout::Compat);
            let theirs = example(stdout);
            assert!(theirs.contains(&ours), "{ours}");
        }
    }

    #[test]
    fn progress_lines_are_pytvts() {
        let json = example("csv/ok.json");
        let theirs = example("csv/ok.stdout.txt");
        let records = results::parse(&json).unwrap();
        let addressed = records
            .iter()
            .filter(|record| record.addressed().count() == record.cameras.len());
        for (index, record) in addressed.enumerate() {
            let line = progress_line(index + 1, 5, record);
            let (_, after) = line.split_once("] ").unwrap();
            assert!(theirs.contains(&format!("] {after}\n")), "{line}");
        }
        let head = Header {
            devices: 4,
            backend: "protocol".to_owned(),
            user: "admin".to_owned(),
            concurrency: 4,
        };
        assert!(
            header(&head).starts_with("\nTVT NVR Camera Scanner\nFound 4 unique TVT NVR(s) to")
        );
    }

    #[test]
    fn channels_without_address_and_reasons_are_shown() {
        let text = reported(&sample::rows(), Layout::Full);
        assert!(
            text.contains("\n  2    Channel 2                    -                  -      Online")
        );
        assert!(text.contains("  ERROR: Connection refused [device.connect_refused]\n"));
        assert!(text.contains("[device.addresses_unknown]\n"));
        assert!(
            text.contains("2/5 NVRs") || text.contains("3/5 NVRs"),
            "{text}"
        );
        assert!(text.contains("2 cameras with addresses found, 2 channels without address\n"));
    }

    #[test]
    fn nothing_from_outside_reaches_the_terminal_raw() {
        let record = ResultRecord {
            site: "a\u{1b}[31mRED".into(),
            hostname: "b\nc".into(),
            success: true,
            cameras: vec![results::CameraRecord {
                name: "x\u{202e}y\u{9b}".into(),
                address: "10.0.0.1\r".into(),
                ..results::CameraRecord::default()
            }],
            ..ResultRecord::default()
        };
        for layout in [Layout::Full, Layout::Compat] {
            let text = reported([&record], layout);
            assert!(
                !text.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\r']),
                "{text:?}"
            );
        }
        assert!(!progress_line(1, 1, &record).contains(['\u{1b}', '\n']));
    }
}
