//! JSON as pytvt writes it: indented by two, everything beyond ASCII escaped, no newline at the
//! end.

pub(crate) mod format;

use std::io::{self, Write};

use serde::Serialize;

use crate::results::ResultRecord;

pub(crate) use format::{python_float, write_value};

/// Writes a JSON array element by element, so that it need not be held in memory.
#[derive(Debug)]
pub struct ArrayWriter<W> {
    writer: W,
    empty: bool,
}

impl<W: Write> ArrayWriter<W> {
    /// Starts an array; nothing is written yet.
    pub const fn new(writer: W) -> Self {
        Self {
            writer,
            empty: true,
        }
    }

    /// Writes the next element.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn element(&mut self, value: &impl Serialize) -> io::Result<()> {
        let separator: &[u8] = if self.empty { b"[\n  " } else { b",\n  " };
        self.empty = false;
        self.writer.write_all(separator)?;
        write_value(&mut self.writer, value, 1)
    }

    /// Ends the array and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        let end: &[u8] = if self.empty { b"[]" } else { b"\n]" };
        self.writer.write_all(end)?;
        Ok(self.writer)
    }
}

/// Writes a scan result device by device: pytvt's keys in pytvt's order, tvtfleet's after them.
#[derive(Debug)]
pub struct ResultsWriter<W>(ArrayWriter<W>);

impl<W: Write> ResultsWriter<W> {
    /// Starts a result file; nothing is written yet.
    pub const fn new(writer: W) -> Self {
        Self(ArrayWriter::new(writer))
    }

    /// Writes one device.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn row<'a>(&mut self, row: impl Into<ResultRecord<'a>>) -> io::Result<()> {
        self.0.element(&row.into())
    }

    /// Ends the file and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

/// Writes a whole scan result.
///
/// # Errors
/// Those of the writer.
pub fn write_results<'a, R: Into<ResultRecord<'a>>>(
    rows: impl IntoIterator<Item = R>,
    writer: impl Write,
) -> io::Result<()> {
    let mut results = ResultsWriter::new(writer);
    for row in rows {
        results.row(row)?;
    }
    results.finish().map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::results;
    use serde_json::Value;

    fn example(path: &str) -> String {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/examples/");
        std::fs::read_to_string(format!("{root}{path}")).unwrap()
    }

    fn written<'a, R: Into<ResultRecord<'a>>>(rows: impl IntoIterator<Item = R>) -> String {
        let mut bytes = Vec::new();
        write_results(rows, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Takes the keys after `device_info`, and pytvt's second copy of the channels, away.
    fn only_pytvt_keys(text: &str) -> Vec<Value> {
        let mut records: Vec<Value> = serde_json::from_str(text).unwrap();
        for record in &mut records {
            let object = record.as_object_mut().unwrap();
            let end = object.keys().position(|key| key == "device_info").unwrap();
            while object.len() > end + 1 {
                let last = object.keys().next_back().unwrap().clone();
                object.shift_remove(&last);
            }
            object["device_info"]
                .as_object_mut()
                .unwrap()
                .shift_remove("cameras");
        }
        records
    }

    #[test]
    fn pytvts_files_keep_their_keys_values_and_order() {
        for path in [
            "scan/scan.json",
            "csv/error-first.json",
            "sdk-bridge/both.json",
        ] {
            let original = example(path);
            let ours = written(results::parse(&original).unwrap());
            let (ours, original) = (only_pytvt_keys(&ours), only_pytvt_keys(&original));
            assert_eq!(
                serde_json::to_string(&ours).unwrap(),
                serde_json::to_string(&original).unwrap(),
                "{path}"
            );
        }
    }

    #[test]
    fn the_formatting_is_pytvts_byte_for_byte() {
        let original = example("scan/scan.json");
        let values: Vec<Value> = serde_json::from_str(&original).unwrap();
        let mut array = ArrayWriter::new(Vec::new());
        for value in &values {
            array.element(value).unwrap();
        }
        assert_eq!(
            String::from_utf8(array.finish().unwrap()).unwrap(),
            original
        );
        assert_eq!(written(Vec::<ResultRecord<'_>>::new()), "[]");
    }

    #[test]
    fn a_row_has_pytvts_keys_and_then_ours() {
        let rows = sample::rows();
        let text = written(&rows);
        let records: Vec<Value> = serde_json::from_str(&text).unwrap();
        for record in &records {
            let keys: Vec<&str> = record
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(
                keys,
                [
                    "site",
                    "hostname",
                    "nvr_ip",
                    "nvr_mac",
                    "nvr_port",
                    "success",
                    "device_name",
                    "device_model",
                    "serial_number",
                    "firmware",
                    "total_channels",
                    "cameras",
                    "error",
                    "backend",
                    "device_info",
                    "device_id",
                    "error_code",
                    "warnings",
                    "attempts",
                    "observed_at",
                    "job_id"
                ]
            );
        }
        let [standard, head, refused, missing, empty] = records.as_slice() else {
            panic!()
        };
        let keys =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(
            keys(&standard["cameras"][0]),
            [
                "channel",
                "name",
                "address",
                "port",
                "status",
                "protocol",
                "model",
                "status_source"
            ]
        );
        assert_eq!(
            keys(&standard["device_info"])[..5],
            [
                "config_data_len",
                "software_ver",
                "build_date",
                "mac",
                "device_name"
            ]
        );
        assert_eq!(head["device_info"]["device_name"], "N9K0042");
        assert_eq!(head["device_info"]["cameras"].as_array().unwrap().len(), 2);
        assert_eq!(head["total_channels"], 16);
        assert_eq!(refused["error"], "Connection refused");
        assert_eq!(refused["attempts"][0]["code"], "device.connect_refused");
        assert_eq!(missing["success"], false);
        assert_eq!(missing["error_code"], "site.offline");
        assert!(missing["error"].as_str().unwrap().contains("offline"));
        assert_eq!(empty["success"], true);
        assert_eq!(
            empty["error"],
            "Connected but could not retrieve camera details via HTTP tunnel"
        );
        assert!(text.is_ascii());
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let rows = sample::rows();
        let text = written(&rows);
        let back = results::parse(&text).unwrap();
        assert_eq!(written(&back).len(), {
            // The second copy of a head device's channels is written from rows only.
            let mut copies: Vec<ResultRecord<'_>> = rows.iter().map(ResultRecord::from).collect();
            copies
                .iter_mut()
                .for_each(|record| record.device_info.cameras = None);
            assert_eq!(back, copies);
            written(copies).len()
        });
    }
}
