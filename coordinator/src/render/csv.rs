//! CSV: one row per channel, in pytvt's columns and dialect, with tvtfleet's columns after them.

use std::borrow::Cow;
use std::io::{self, Write};

use csv::{ByteRecord, QuoteStyle, Terminator, WriterBuilder};

use crate::results::{CameraRecord, ResultRecord};

/// pytvt's columns with its sixteenth, which is always there, then tvtfleet's.
const COLUMNS: [&str; 24] = [
    "site",
    "nvr_hostname",
    "nvr_ip",
    "nvr_mac",
    "nvr_device_name",
    "nvr_model",
    "nvr_firmware",
    "nvr_serial",
    "channel",
    "camera_name",
    "camera_address",
    "camera_port",
    "camera_status",
    "camera_protocol",
    "camera_model",
    "error",
    "nvr_port",
    "success",
    "total_channels",
    "backend",
    "device_id",
    "error_code",
    "observed_at",
    "job_id",
];

/// What differs from pytvt's CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// Whether channels without an address get no row, as in pytvt.
    pub addressed_only: bool,
    /// Whether text that a spreadsheet would take for a formula gets an apostrophe in front.
    pub neutralise: bool,
    /// Whether tvtfleet's columns follow.
    pub additions: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            addressed_only: false,
            neutralise: true,
            additions: true,
        }
    }
}

impl CsvOptions {
    /// Exactly pytvt's sixteen columns and rows.
    #[must_use]
    pub const fn compat() -> Self {
        Self {
            addressed_only: true,
            neutralise: false,
            additions: false,
        }
    }

    fn columns(&self) -> usize {
        if self.additions { COLUMNS.len() } else { 16 }
    }
}

/// Writes a scan result device by device.
pub struct ResultsWriter<W: Write> {
    csv: csv::Writer<W>,
    options: CsvOptions,
    record: ByteRecord,
}

impl<W: Write> ResultsWriter<W> {
    /// Starts a table and writes its header.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(writer: W, options: CsvOptions) -> io::Result<Self> {
        let mut csv = WriterBuilder::new()
            .terminator(Terminator::CRLF)
            .quote_style(QuoteStyle::Necessary)
            .from_writer(writer);
        csv.write_record(COLUMNS.iter().take(options.columns()))
            .map_err(into_io)?;
        Ok(Self {
            csv,
            options,
            record: ByteRecord::new(),
        })
    }

    /// Writes one device: a row per channel, or one row without channel.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn row<'a>(&mut self, row: impl Into<ResultRecord<'a>>) -> io::Result<()> {
        let record = row.into();
        let addressed_only = self.options.addressed_only;
        let mut lonely = true;
        for camera in &record.cameras {
            if !addressed_only || camera.has_address() {
                lonely = false;
                self.write(&record, Some(camera))?;
            }
        }
        if lonely {
            self.write(&record, None)
        } else {
            Ok(())
        }
    }

    /// Ends the table and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(self) -> io::Result<W> {
        self.csv.into_inner().map_err(|error| error.into_error())
    }

    fn write(
        &mut self,
        record: &ResultRecord<'_>,
        camera: Option<&CameraRecord<'_>>,
    ) -> io::Result<()> {
        let of_camera =
            |part: fn(&CameraRecord<'_>) -> String| camera.map(part).unwrap_or_default();
        let optional = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
        // A device's error stands in its own row; a camera's row is about the camera.
        let error = if camera.is_none() {
            optional(&record.error)
        } else {
            String::new()
        };
        let cells: [Cow<'_, str>; COLUMNS.len()] = [
            Cow::Borrowed(&record.site),
            Cow::Borrowed(&record.hostname),
            Cow::Borrowed(&record.nvr_ip),
            Cow::Borrowed(&record.nvr_mac),
            Cow::Borrowed(&record.device_name),
            Cow::Borrowed(&record.device_model),
            Cow::Borrowed(&record.firmware),
            Cow::Borrowed(&record.serial_number),
            of_camera(|camera| camera.channel.to_string()).into(),
            Cow::Borrowed(camera.map_or("", |camera| &camera.name)),
            Cow::Borrowed(camera.map_or("", |camera| &camera.address)),
            of_camera(|camera| camera.port.to_string()).into(),
            Cow::Borrowed(camera.map_or("", |camera| &camera.status)),
            Cow::Borrowed(camera.map_or("", |camera| &camera.protocol)),
            Cow::Borrowed(camera.map_or("", |camera| &camera.model)),
            error.into(),
            record.nvr_port.to_string().into(),
            Cow::Borrowed(if record.success { "true" } else { "false" }),
            record.total_channels.to_string().into(),
            Cow::Borrowed(&record.backend),
            optional(&record.device_id).into(),
            optional(&record.error_code).into(),
            optional(&record.observed_at).into(),
            optional(&record.job_id).into(),
        ];
        self.record.clear();
        for cell in cells.iter().take(self.options.columns()) {
            if self.options.neutralise {
                self.record.push_field(neutral(cell).as_bytes());
            } else {
                self.record.push_field(cell.as_bytes());
            }
        }
        self.csv.write_byte_record(&self.record).map_err(into_io)
    }
}

/// Writes a whole scan result.
///
/// # Errors
/// Those of the writer.
pub fn write_results<'a, R: Into<ResultRecord<'a>>>(
    rows: impl IntoIterator<Item = R>,
    options: &CsvOptions,
    writer: impl Write,
) -> io::Result<()> {
    let mut results = ResultsWriter::new(writer, *options)?;
    for row in rows {
        results.row(row)?;
    }
    results.finish().map(drop)
}

/// Text that no spreadsheet takes for a formula.
pub(crate) fn neutral(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

pub(crate) fn into_io(error: csv::Error) -> io::Error {
    if error.is_io_error()
        && let csv::ErrorKind::Io(error) = error.into_kind()
    {
        return error;
    }
    io::Error::other("a row has another number of cells than the header")
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

    fn written<'a, R: Into<ResultRecord<'a>>>(
        rows: impl IntoIterator<Item = R>,
        options: &CsvOptions,
    ) -> String {
        let mut bytes = Vec::new();
        write_results(rows, options, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn compat_is_pytvts_file_byte_for_byte() {
        let json = example("csv/error-first.json");
        let ours = written(results::parse(&json).unwrap(), &CsvOptions::compat());
        assert_eq!(ours, example("csv/error-first.csv"));
    }

    #[test]
    fn the_first_fifteen_columns_are_pytvts_for_every_fleet() {
        let json = example("csv/ok.json");
        let ours = written(results::parse(&json).unwrap(), &CsvOptions::compat());
        let cut: String = ours
            .split_inclusive("\r\n")
            .map(|line| {
                match line
                    .strip_suffix(",error\r\n")
                    .or(line.strip_suffix(",\r\n"))
                {
                    Some(line) => format!("{line}\r\n"),
                    None => panic!("{line}"),
                }
            })
            .collect();
        assert_eq!(cut, example("csv/ok.csv"));
        let mixed = example("csv/mixed.json");
        let ours = written(results::parse(&mixed).unwrap(), &CsvOptions::compat());
        assert!(ours.contains("Login failed: invalid credentials"), "{ours}");
    }

    #[test]
    fn every_channel_and_every_device_has_a_row_and_no_cell_is_a_formula() {
        let text = written(&sample::rows(), &CsvOptions::default());
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 1 + 2 + 2 + 1 + 1 + 1);
        for line in &lines {
            assert_eq!(line.split(',').count(), COLUMNS.len(), "{line}");
        }
        assert!(text.contains(",'=1+1,10.9.0.2,"), "{text}");
        assert!(
            text.contains(",2,Channel 2,,0,Online,,,,6036,true,16,protocol,"),
            "{text}"
        );
        assert!(text.contains("site.offline"), "{text}");
    }
}
