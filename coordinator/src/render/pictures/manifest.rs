//! The list of pictures: what was taken, how, and what may be wrong with it.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use tvtfleet_proto::device::picture::{Look, Seen};

/// The version of the document. Keys are only ever added.
pub const SCHEMA: u32 = 1;

/// One run's pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When the run ended, RFC 3339.
    pub finished: String,
    /// Channels that were asked, or left out because they are away.
    pub channels: usize,
    /// Pictures that were taken.
    pub taken: usize,
    /// Channels that were left out because they are away.
    pub offline: usize,
    /// Channels without a picture.
    pub failed: usize,
    /// Each channel, and each device that could not even be asked for its channels.
    pub pictures: Vec<PictureRow>,
}

/// One channel's picture, or why there is none. Texts are empty where there is nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PictureRow {
    /// The site of the device, as the inventory names it.
    pub site: String,
    /// The device.
    pub device: String,
    /// Its port in the inventory.
    pub port: u16,
    /// Its name.
    pub hostname: String,
    /// The channel, from 1; absent where the device could not be asked.
    pub channel: Option<u32>,
    /// The channel's name on the recorder.
    pub name: String,
    /// `taken`, `offline` or `failed`.
    pub state: String,
    /// When it was taken, RFC 3339.
    pub time: String,
    /// The way: `webapi`, `sdk`, `rtsp` or `rtsp-camera`.
    pub way: String,
    /// The stream; empty for a still.
    pub stream: String,
    /// `jpeg`, or `h264` or `h265` for a raw key frame.
    pub format: String,
    /// The file beside the list.
    pub file: String,
    /// Its bytes.
    pub bytes: usize,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Doubts.
    pub flags: Vec<String>,
    /// The code of what failed.
    pub error_code: String,
    /// The same in words.
    pub error: String,
    /// Every try.
    pub attempts: Vec<AttemptRow>,
    /// How it looks, for the next run.
    pub look: String,
}

impl PictureRow {
    /// How the channel is called while pictures are taken: `192.0.2.1 ch4 (Gate)`, as pytvt does.
    #[must_use]
    pub fn shown_channel(&self) -> String {
        let mut text = self.device.clone();
        if let Some(channel) = self.channel {
            text.push_str(&format!(" ch{channel}"));
        }
        if !self.name.is_empty() {
            text.push_str(&format!(" ({})", self.name));
        }
        text
    }
}

/// One try.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttemptRow {
    /// The way.
    pub way: String,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// Bytes that came.
    pub bytes: usize,
    /// The code of what failed.
    pub error_code: String,
}

/// A list cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("no list of pictures: {0}")]
pub struct ManifestError(#[from] serde_json::Error);

impl Manifest {
    /// Reads a list; keys of newer versions are passed over.
    ///
    /// # Errors
    ///
    /// Where it is no such list.
    pub fn read(bytes: &[u8]) -> Result<Self, ManifestError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_json(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n")
    }

    /// Writes it as CSV, with a head row, without tries and looks.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_csv(&self, out: impl Write) -> io::Result<()> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(out);
        writer.write_record([
            "site",
            "device",
            "port",
            "hostname",
            "channel",
            "name",
            "state",
            "time",
            "way",
            "stream",
            "format",
            "file",
            "bytes",
            "width",
            "height",
            "sha256",
            "flags",
            "error_code",
            "error",
        ])?;
        for row in &self.pictures {
            let text = |text: &str| defused(text);
            let channel = row.channel.map(|channel| channel.to_string());
            writer.write_record([
                text(&row.site),
                text(&row.device),
                row.port.to_string(),
                text(&row.hostname),
                channel.unwrap_or_default(),
                text(&row.name),
                row.state.clone(),
                row.time.clone(),
                row.way.clone(),
                row.stream.clone(),
                row.format.clone(),
                text(&row.file),
                row.bytes.to_string(),
                row.width.to_string(),
                row.height.to_string(),
                row.sha256.clone(),
                row.flags.join(" "),
                row.error_code.clone(),
                text(&row.error),
            ])?;
        }
        writer.flush()
    }
}

impl PictureRow {
    /// What is remembered of the picture; `None` where there is none.
    #[must_use]
    pub fn seen(&self) -> Option<Seen> {
        let mut sha256 = [0; 32];
        if self.sha256.len() != 64 || !self.sha256.is_ascii() {
            return None;
        }
        for (byte, digits) in sha256
            .iter_mut()
            .zip(self.sha256.as_bytes().chunks_exact(2))
        {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Seen {
            sha256,
            taken_at: self.time.parse().ok()?,
            look: Look::from_text(&self.look),
        })
    }
}

/// Text that a spreadsheet does not take for a formula.
fn defused(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> PictureRow {
        PictureRow {
            site: "=1+1".into(),
            device: "10.0.0.9".into(),
            channel: Some(3),
            name: "Gate, north".into(),
            state: "taken".into(),
            time: "2026-11-02T10:00:00.000Z".into(),
            sha256: "ab".repeat(32),
            flags: vec!["black".into(), "maybe_stale".into()],
            ..PictureRow::default()
        }
    }

    #[test]
    fn a_list_is_read_back_and_a_newer_one_too() {
        let manifest = Manifest {
            schema: SCHEMA,
            pictures: vec![row()],
            ..Manifest::default()
        };
        let mut json = Vec::new();
        manifest.write_json(&mut json).unwrap();
        assert_eq!(Manifest::read(&json).unwrap(), manifest);
        let newer = Manifest::read(br#"{"schema": 9, "new": 1, "pictures": [{"more": []}]}"#);
        assert_eq!(newer.unwrap().pictures.len(), 1);
        assert!(Manifest::read(b"7").is_err());
    }

    #[test]
    fn csv_has_no_formula_and_one_line_a_channel() {
        let manifest = Manifest {
            pictures: vec![row(), row()],
            ..Manifest::default()
        };
        let mut csv = Vec::new();
        manifest.write_csv(&mut csv).unwrap();
        let text = String::from_utf8(csv).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.contains("'=1+1,10.0.0.9,0,,3,\"Gate, north\",taken,"),
            "{text}"
        );
        assert!(text.contains(",black maybe_stale,"), "{text}");
    }

    #[test]
    fn what_is_remembered_needs_a_digest_and_a_time() {
        let seen = row().seen().unwrap();
        assert_eq!(seen.sha256, [0xAB; 32]);
        for bad in ["", "zz", &"é".repeat(32)] {
            let row = PictureRow {
                sha256: bad.into(),
                ..row()
            };
            assert_eq!(row.seen(), None, "{bad}");
        }
    }
}
