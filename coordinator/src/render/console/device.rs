//! One device on a terminal.

use std::borrow::Cow;

use super::text::{cut, harmless, padded};
use crate::results::{CameraRecord, ResultRecord};

pub(super) const HEAVY_RULE: &str =
    "================================================================================";
const LIGHT_RULE: &str =
    "----------------------------------------------------------------------------";
/// The widths of the channel table's columns; the last is not padded.
const WIDTHS: [usize; 5] = [4, 28, 18, 6, 8];
/// How much of a channel's name is shown.
const NAME_SHOWN: usize = 27;

/// How a report is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// All channels, padded by terminal cells, with error codes and warnings.
    #[default]
    Full,
    /// As pytvt 0.5.1: only channels with an address, padded by characters.
    Compat,
}

/// The line that says that a device is done, without a line break.
#[must_use]
pub fn progress_line<'a>(done: usize, total: usize, row: impl Into<ResultRecord<'a>>) -> String {
    let record = row.into();
    let addressed = record.addressed().count();
    let outcome = if record.success { "OK" } else { "FAIL" };
    let mut line = format!(
        "  [{done}/{total}] {} / {} - {outcome} ({addressed} cameras",
        harmless(&record.site),
        harmless(record.shown_name()),
    );
    match record.cameras.len().saturating_sub(addressed) {
        0 => line.push(')'),
        unaddressed => line.push_str(&format!(", {unaddressed} channels without address)")),
    }
    if !record.success
        && let Some(error) = &record.error
    {
        line.push_str(": ");
        line.push_str(&harmless(error));
    }
    line
}

/// The block of one device, beginning with an empty line.
#[must_use]
pub fn device_block<'a>(row: impl Into<ResultRecord<'a>>, layout: Layout) -> String {
    let record = row.into();
    let mut block = format!(
        "\n{HEAVY_RULE}\n  Site: {}\n  NVR:  {} ({})\n{HEAVY_RULE}\n",
        harmless(&record.site),
        harmless(&record.hostname),
        harmless(&record.nvr_ip)
    );
    let mut line = |text: &str| {
        block.push_str("  ");
        block.push_str(text);
        block.push('\n');
    };
    let code = match (&record.error_code, layout) {
        (Some(code), Layout::Full) => format!(" [{}]", harmless(code)),
        (Some(_), Layout::Compat) | (None, _) => String::new(),
    };
    if !record.success {
        let error = record.error.as_deref().filter(|error| !error.is_empty());
        line(&format!(
            "ERROR: {}{code}",
            harmless(error.unwrap_or("Unknown error"))
        ));
        return block;
    }
    if !record.device_name.is_empty() || !record.device_model.is_empty() {
        let (name, model) = (
            harmless(&record.device_name),
            harmless(&record.device_model),
        );
        line(&format!("Device: {name} | Model: {model}"));
    }
    if !record.firmware.is_empty() {
        line(&format!("Firmware: {}", harmless(&record.firmware)));
    }
    if !record.serial_number.is_empty() {
        line(&format!("S/N: {}", harmless(&record.serial_number)));
    }
    line(&format!("Total Channels: {}", record.total_channels));
    if layout == Layout::Full && (record.error.is_some() || !code.is_empty()) {
        let warning = record.error.as_deref().unwrap_or("incomplete");
        line(&format!("Warning: {}{code}", harmless(warning)));
    }
    line(LIGHT_RULE);
    let mut cameras = record
        .cameras
        .iter()
        .filter(|camera| layout == Layout::Full || camera.has_address())
        .peekable();
    if cameras.peek().is_none() {
        line("No camera details available");
    } else {
        line("Ch   Camera Name                  Address            Port   Status   Model");
        line("--   ---------------------------  -----------------  ----   ------   -----");
        for camera in cameras {
            line(&camera_line(camera, layout));
        }
    }
    block
}

fn camera_line(camera: &CameraRecord<'_>, layout: Layout) -> String {
    let channel = camera.channel.to_string();
    let name = harmless(&camera.name);
    let port = match camera.port {
        0 if !camera.has_address() => "-".to_owned(),
        port => port.to_string(),
    };
    let address = if camera.has_address() {
        harmless(&camera.address)
    } else {
        Cow::Borrowed("-")
    };
    let shown_name = match layout {
        Layout::Full => cut(&name, NAME_SHOWN).to_owned(),
        Layout::Compat => name.chars().take(NAME_SHOWN).collect(),
    };
    let cells: [Cow<'_, str>; 5] = [
        harmless(&channel),
        shown_name.into(),
        address,
        port.into(),
        harmless(&camera.status),
    ];
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(WIDTHS) {
        match layout {
            Layout::Full => line.push_str(&padded(cell, width)),
            Layout::Compat => line.push_str(&format!("{cell:width$}")),
        }
        line.push(' ');
    }
    line.push_str(&harmless(&camera.model));
    line
}
