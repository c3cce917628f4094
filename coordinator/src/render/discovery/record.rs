//! pytvt's device record, key by key.

use std::io::{self, Write};
use std::net::Ipv4Addr;

use serde::Serialize;
use tvtfleet_proto::model::discovery::{DiscoveredDevice, Method};

use crate::render::json::format::write_value;

/// A device as pytvt's `--json` shows it; keys after `_probe` are additions.
#[derive(Debug, Serialize)]
pub struct DiscoveredRecord<'a> {
    ip: String,
    mac: String,
    device_name: &'a str,
    product_model: &'a str,
    product_series: &'a str,
    device_type: &'static str,
    software_version: &'a str,
    kernel_version: &'a str,
    data_port: u16,
    http_port: u16,
    subnet_mask: String,
    gateway: String,
    dns1: String,
    dns2: String,
    source_addr: String,
    #[serde(rename = "_probe", skip_serializing_if = "Option::is_none")]
    probe: Option<&'static str>,
    serial: &'a str,
    vendor: &'a str,
    build_date: &'a str,
    rtsp_port: u16,
    channels: Option<u32>,
    dhcp: Option<bool>,
    type_source: &'static str,
    family: Option<&'static str>,
    protocol_version: Option<u32>,
    seen_by: Vec<&'static str>,
    greeted_ports: &'a [u16],
    addresses: Vec<String>,
    interfaces: &'a [String],
    address_mismatch: bool,
    flags: Vec<&'static str>,
}

impl<'a> From<&'a DiscoveredDevice> for DiscoveredRecord<'a> {
    fn from(device: &'a DiscoveredDevice) -> Self {
        use tvtfleet_proto::model::discovery::Flag;
        let claims = &device.claims;
        Self {
            ip: device.address.to_string(),
            mac: claims.mac.map(|mac| mac.to_string()).unwrap_or_default(),
            device_name: &claims.name,
            product_model: &claims.model,
            product_series: &claims.series,
            device_type: device.device_type.as_str(),
            software_version: &claims.software_version,
            kernel_version: &claims.kernel_version,
            data_port: claims.data_port,
            http_port: claims.http_port,
            subnet_mask: address(claims.subnet_mask),
            gateway: address(claims.gateway),
            dns1: address(claims.dns1),
            dns2: address(claims.dns2),
            source_addr: device.source.to_string(),
            probe: probe(device),
            serial: &claims.serial,
            vendor: &claims.vendor,
            build_date: &claims.build_date,
            rtsp_port: claims.rtsp_port,
            channels: claims.channels,
            dhcp: claims.dhcp,
            type_source: device.type_source.as_str(),
            family: claims.family.map(|family| family.as_str()),
            protocol_version: claims.protocol_version,
            seen_by: device
                .methods
                .iter()
                .map(|method| method.as_str())
                .collect(),
            greeted_ports: &device.greeted,
            addresses: device.addresses.iter().map(Ipv4Addr::to_string).collect(),
            interfaces: &device.interfaces,
            address_mismatch: device.flags.contains(&Flag::AddressMismatch),
            flags: device.flags.iter().map(|flag| flag.as_str()).collect(),
        }
    }
}

/// Writes all records as one JSON array, as pytvt lays it out.
///
/// # Errors
///
/// Those of the writer.
pub fn write_records(devices: &[DiscoveredDevice], writer: &mut impl Write) -> io::Result<()> {
    let records: Vec<DiscoveredRecord<'_>> = devices.iter().map(DiscoveredRecord::from).collect();
    write_value(writer, &records, 0)
}

/// What pytvt says of devices that a sweep found; nothing for those found by multicast.
fn probe(device: &DiscoveredDevice) -> Option<&'static str> {
    let seen = |method| device.methods.contains(&method);
    if seen(Method::Sweep) {
        Some("unicast")
    } else if seen(Method::Ssdp) || seen(Method::Mhed) || seen(Method::Announcements) {
        None
    } else {
        seen(Method::Tcp).then_some("tcp")
    }
}

fn address(address: Option<Ipv4Addr>) -> String {
    address
        .map(|address| address.to_string())
        .unwrap_or_default()
}
