//! pytvt's inventory of discovered devices: what `--scanner-json` writes and a scan reads.

use std::io::{self, Write};

use serde::Serialize;
use tvtfleet_proto::model::discovery::DiscoveredDevice;

use crate::render::json::format::write_value;

/// The port of a device that says nothing about it.
const DATA_PORT: u16 = 9008;
const SCAN_PORT: u16 = 6036;
const MANUFACTURER: &str = "TVT";

/// Which port an entry names for the scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortRule {
    /// The one that answered, else the announced one, else 6036.
    Answered,
    /// This one for every device, as pytvt does.
    Fixed(u16),
}

/// One entry.
#[derive(Debug, Serialize)]
pub struct ScannerEntry<'a> {
    ip: String,
    port: u16,
    data_port: u16,
    http_port: u16,
    mac: String,
    hostname: String,
    site: &'a str,
    manufacturer: &'static str,
    model: &'a str,
    firmware: &'a str,
    device_type: &'static str,
    serial: &'a str,
    #[serde(rename = "_discovered")]
    discovered: bool,
}

/// Makes the entry of a device.
#[must_use]
pub fn scanner_entry<'a>(
    device: &'a DiscoveredDevice,
    site: &'a str,
    rule: PortRule,
) -> ScannerEntry<'a> {
    let claims = &device.claims;
    let ip = device.address.to_string();
    let hostname = [&claims.name, &claims.model]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or(&ip)
        .clone();
    ScannerEntry {
        port: match rule {
            PortRule::Answered => device.scan_port().unwrap_or(SCAN_PORT),
            PortRule::Fixed(port) => port,
        },
        data_port: if claims.data_port == 0 {
            DATA_PORT
        } else {
            claims.data_port
        },
        http_port: claims.http_port,
        mac: claims.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        hostname,
        site,
        manufacturer: MANUFACTURER,
        model: &claims.model,
        firmware: &claims.software_version,
        device_type: device.device_type.as_str(),
        serial: &claims.serial,
        discovered: true,
        ip,
    }
}

/// A device and the site that it was found at.
#[derive(Clone, Copy, Debug)]
pub struct Find<'a> {
    /// What an inventory is to call the site.
    pub site: &'a str,
    /// The device.
    pub device: &'a DiscoveredDevice,
}

/// Writes the inventory of all devices, without a newline at the end, as pytvt does.
///
/// # Errors
///
/// Those of the writer.
pub fn write_inventory(
    finds: &[Find<'_>],
    rule: PortRule,
    writer: &mut impl Write,
) -> io::Result<()> {
    let entries: Vec<ScannerEntry<'_>> = finds
        .iter()
        .map(|find| scanner_entry(find.device, find.site, rule))
        .collect();
    write_value(writer, &entries, 0)
}
