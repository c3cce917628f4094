//! Devices that sites found, as users read and parse them.

use serde::Serialize;
use tvt_coordinator::render::discovery::politeness_lines;
use tvtfleet_proto::model::api::{ResultRow, RowOutcome, SiteSearched};
use tvtfleet_proto::model::discovery::DiscoveredDevice;

use crate::io::Io;
use crate::output::Row;

/// A device that a site found. The keys from `ip` to `source_addr` are those of pytvt.
#[derive(Debug, Default, Serialize)]
pub(crate) struct FoundRow {
    site: String,
    device_id: String,
    ip: String,
    mac: String,
    device_name: String,
    product_model: String,
    product_series: String,
    device_type: String,
    software_version: String,
    kernel_version: String,
    data_port: u16,
    http_port: u16,
    source_addr: String,
    serial: String,
    vendor: String,
    channels: Option<u32>,
    scan_port: Option<u16>,
    greeted_ports: Vec<u16>,
    seen_by: Vec<&'static str>,
    addresses: Vec<String>,
    interfaces: Vec<String>,
    flags: Vec<&'static str>,
    observed_at: String,
}

impl FoundRow {
    /// Devices that were found without a server.
    pub(crate) fn local(devices: &[DiscoveredDevice]) -> Vec<Self> {
        devices.iter().map(Self::device).collect()
    }

    /// The devices among the results of a job that a discovery found.
    pub(crate) fn all(rows: &[ResultRow]) -> Vec<Self> {
        rows.iter().filter_map(Self::of).collect()
    }

    fn of(row: &ResultRow) -> Option<Self> {
        let RowOutcome::Reported(report) = &row.outcome else {
            return None;
        };
        Some(Self {
            site: row
                .site
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            device_id: row.device_id.clone(),
            observed_at: report.observed_at.to_string(),
            ..Self::device(report.found.as_ref()?)
        })
    }

    fn device(found: &DiscoveredDevice) -> Self {
        let claims = &found.claims;
        Self {
            ip: found.address.to_string(),
            mac: claims.mac.map(|mac| mac.to_string()).unwrap_or_default(),
            device_name: claims.name.clone(),
            product_model: claims.model.clone(),
            product_series: claims.series.clone(),
            device_type: found.device_type.to_string(),
            software_version: claims.software_version.clone(),
            kernel_version: claims.kernel_version.clone(),
            data_port: claims.data_port,
            http_port: claims.http_port,
            source_addr: found.source.to_string(),
            serial: claims.serial.clone(),
            vendor: claims.vendor.clone(),
            channels: claims.channels,
            scan_port: found.scan_port(),
            greeted_ports: found.greeted.clone(),
            seen_by: found.methods.iter().map(|method| method.as_str()).collect(),
            addresses: found.addresses.iter().map(ToString::to_string).collect(),
            interfaces: found.interfaces.clone(),
            flags: found.flags.iter().map(|flag| flag.as_str()).collect(),
            ..Self::default()
        }
    }
}

impl Row for FoundRow {
    const NOUN: &'static str = "devices";
    const HEADS: &'static [&'static str] = &[
        "SITE", "TYPE", "ADDRESS", "PORT", "MAC", "MODEL", "NAME", "FIRMWARE", "SEEN BY", "FLAGS",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.site.clone(),
            self.device_type.clone(),
            self.ip.clone(),
            self.scan_port
                .map(|port| port.to_string())
                .unwrap_or_default(),
            self.mac.clone(),
            self.product_model.clone(),
            self.device_name.clone(),
            self.software_version.clone(),
            self.seen_by.join(","),
            self.flags.join(","),
        ]
    }
}

/// Tells how the discovery of each site went. Says whether one of them failed.
pub(crate) fn tell_searched(searches: &[SiteSearched], quiet: bool, io: &Io) -> bool {
    let mut failed = false;
    for SiteSearched { site, searched } in searches {
        if let Some(failure) = &searched.failure {
            io.warn(&format!(
                "site {site}: no discovery: {failure} ({})",
                failure.code
            ));
            failed = true;
            continue;
        }
        for note in &searched.notes {
            io.note(&format!("note: site {site}: {note}"));
        }
        if !quiet {
            for line in politeness_lines(&searched.politeness) {
                io.note(&format!("site {site}: {line}"));
            }
        }
    }
    failed
}
