//! pytvt's table of discovered devices, and the lines that tell how it goes.

use std::io::{self, Write};

use tvtfleet_proto::model::discovery::{DiscoveredDevice, Flag, Politeness};

use crate::render::console::harmless;
use crate::render::console::text::{cut, padded};

const LINE: usize = 100;
/// The columns and their widths; the last is as long as it is.
const COLUMNS: [(&str, usize); 6] = [
    ("Type", 8),
    ("IP Address", 18),
    ("MAC", 20),
    ("Model", 20),
    ("Name", 20),
    ("FW", 12),
];
const NAME_MAX: usize = 19;
const FIRMWARE_MAX: usize = 11;

/// Writes the table; nothing found is one line.
///
/// # Errors
///
/// Those of the writer.
pub fn write_table(devices: &[DiscoveredDevice], writer: &mut impl Write) -> io::Result<()> {
    if devices.is_empty() {
        return writeln!(writer, "No TVT devices found on the network.");
    }
    let line = "=".repeat(LINE);
    writeln!(writer, "\n{line}")?;
    writeln!(
        writer,
        "  TVT LAN Device Discovery — {} device(s) found",
        devices.len()
    )?;
    writeln!(writer, "{line}")?;
    let heads = COLUMNS.map(|(name, width)| padded(name, width));
    writeln!(writer, "  {} Ports", heads.join(" "))?;
    let dashes = [4, 17, 19, 19, 19, 11].map(|length| "-".repeat(length));
    let dashes: Vec<String> = dashes
        .iter()
        .zip(COLUMNS)
        .map(|(dash, (_, width))| padded(dash, width))
        .collect();
    writeln!(writer, "  {} -----", dashes.join(" "))?;
    for device in devices {
        write_row(device, writer)?;
    }
    writeln!(writer)
}

fn write_row(device: &DiscoveredDevice, writer: &mut impl Write) -> io::Result<()> {
    let claims = &device.claims;
    let (model, name) = (harmless(&claims.model), harmless(&claims.name));
    let firmware = harmless(&claims.software_version);
    let cells = [
        device.device_type.to_string(),
        device.address.to_string(),
        claims.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        model.into_owned(),
        cut(&name, NAME_MAX).to_owned(),
        cut(&firmware, FIRMWARE_MAX).to_owned(),
    ];
    let cells: Vec<String> = cells
        .iter()
        .zip(COLUMNS)
        .map(|(cell, (_, width))| padded(cell, width))
        .collect();
    let marks = marks(device);
    let gap = if marks.is_empty() { "" } else { "  " };
    writeln!(
        writer,
        "  {} {}{gap}{marks}",
        cells.join(" "),
        ports(device)
    )
}

fn ports(device: &DiscoveredDevice) -> String {
    let named = [
        ("data", device.claims.data_port),
        ("http", device.claims.http_port),
    ];
    let shown: Vec<String> = named
        .iter()
        .filter(|(_, port)| *port != 0)
        .map(|(name, port)| format!("{name}:{port}"))
        .collect();
    shown.join(", ")
}

/// What an operator should look at, in words.
fn marks(device: &DiscoveredDevice) -> String {
    let words: Vec<String> = device
        .flags
        .iter()
        .map(|flag| match flag {
            Flag::AddressMismatch => format!("[answered from {}]", device.source),
            Flag::AddressClash => "[address claimed twice]".to_owned(),
            Flag::MacConflict => "[names two MAC addresses]".to_owned(),
            Flag::LinkLocal => "[not configured]".to_owned(),
        })
        .collect();
    words.join(" ")
}

/// The line for a device that was just found.
#[must_use]
pub fn found_line(device: &DiscoveredDevice) -> String {
    let claims = &device.claims;
    let what = [&claims.model, &claims.name]
        .into_iter()
        .find(|text| !text.is_empty())
        .map_or("TVT device", String::as_str);
    let how: Vec<&str> = device
        .methods
        .iter()
        .map(|method| method.as_str())
        .collect();
    let how = how.join(", ");
    format!(
        "  {} — FOUND ({}, by {how})",
        device.address,
        harmless(what)
    )
}

/// What the search did to the network, as lines for people.
#[must_use]
pub fn politeness_lines(record: &Politeness) -> Vec<String> {
    let mut lines = vec![format!(
        "{:.1} s, {} addresses: {} multicast, {} unicast ({} of them repeats), {} echo, {} TCP; \
         peak {}/s of {}/s",
        record.duration.as_secs_f64(),
        record.addresses,
        record.multicast,
        record.unicast,
        record.retries,
        record.echoes,
        record.connects,
        record.peak_rate,
        record.rate,
    )];
    if record.overruns > 0 || record.send_errors > 0 {
        lines.push(format!(
            "{} overruns of this computer's tables, {} probes not sent",
            record.overruns, record.send_errors
        ));
    }
    lines
}
