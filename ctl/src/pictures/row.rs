//! One line of the list on stdout.

use serde::Serialize;
use tvt_coordinator::render::pictures::PictureRow;

use crate::output::Row;

/// A channel and its picture. The list on the disk says more.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Shown {
    site: String,
    device: String,
    channel: Option<u32>,
    name: String,
    state: String,
    way: String,
    format: String,
    width: u32,
    height: u32,
    bytes: usize,
    sha256: String,
    flags: Vec<String>,
    file: String,
    error_code: String,
    error: String,
}

impl Shown {
    pub(crate) fn of(row: &PictureRow) -> Self {
        Self {
            site: row.site.clone(),
            device: row.device.clone(),
            channel: row.channel,
            name: row.name.clone(),
            state: row.state.clone(),
            way: row.way.clone(),
            format: row.format.clone(),
            width: row.width,
            height: row.height,
            bytes: row.bytes,
            sha256: row.sha256.clone(),
            flags: row.flags.clone(),
            file: row.file.clone(),
            error_code: row.error_code.clone(),
            error: row.error.clone(),
        }
    }
}

impl Row for Shown {
    const NOUN: &'static str = "pictures";
    const HEADS: &'static [&'static str] = &[
        "SITE", "DEVICE", "CHANNEL", "NAME", "STATE", "WAY", "SIZE", "FLAGS", "FILE",
    ];

    fn cells(&self) -> Vec<String> {
        let size = if self.width == 0 {
            String::new()
        } else {
            format!("{}x{}", self.width, self.height)
        };
        let channel = self.channel.map(|channel| channel.to_string());
        let file = if self.file.is_empty() {
            self.error_code.clone()
        } else {
            self.file.clone()
        };
        vec![
            self.site.clone(),
            self.device.clone(),
            channel.unwrap_or_default(),
            self.name.clone(),
            self.state.clone(),
            self.way.clone(),
            size,
            self.flags.join(" "),
            file,
        ]
    }
}
