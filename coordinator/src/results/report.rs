//! From records of a file back to what a report would have said.

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::query::PastResult;
use tvtfleet_proto::model::report::{DeviceFacts, DeviceFamily, DeviceReport, Failure};
use tvtfleet_proto::model::time::UtcMillis;

use super::record::{CameraRecord, ChannelKey, ResultRecord};

impl ResultRecord<'_> {
    /// The record as a result of an earlier scan; `None` where it names no usable address.
    ///
    /// `at` is when the scan was, for records that do not say it themselves. Which try failed how,
    /// and which job it was, is not kept.
    #[must_use]
    pub fn to_past_result(&self, at: UtcMillis) -> Option<PastResult> {
        let port = u16::try_from(self.nvr_port).ok().filter(|port| *port != 0);
        let entry = InventoryEntry {
            port,
            site_label: self.site.to_string(),
            hostname: self.hostname.to_string(),
            mac_text: self.nvr_mac.to_string(),
            ..InventoryEntry::bare(self.nvr_ip.trim().parse().ok()?)
        };
        let observed = self.observed_at.as_deref().and_then(|at| at.parse().ok());
        let report = DeviceReport {
            job: JobId::new(uuid::Uuid::nil()),
            target: TargetNo(0),
            ask: Ask::Scan,
            observed_at: observed.unwrap_or(at),
            backend: self.backend.parse().unwrap_or(Backend::Protocol),
            facts: self.facts(),
            channels: self.cameras.iter().map(channel).collect(),
            failure: self.failure(),
            warnings: self.past_warnings(),
            attempts: Vec::new(),
            answer: None,
            found: None,
        };
        Some(PastResult { entry, report })
    }

    fn facts(&self) -> DeviceFacts {
        let info = &self.device_info;
        // For the head family pytvt writes the serial number as the name of `device_info`.
        let head_serial = info
            .device_name
            .as_deref()
            .filter(|_| info.channel_count.is_some() && self.serial_number.is_empty());
        let number = |number: i64| u32::try_from(number).ok();
        DeviceFacts {
            name: self.device_name.to_string(),
            model: self.device_model.to_string(),
            serial: head_serial.unwrap_or(&self.serial_number).to_owned(),
            firmware: self.firmware.to_string(),
            mac: info.mac.as_deref().and_then(|mac| mac.parse().ok()),
            total_channels: number(self.total_channels).filter(|total| *total > 0),
            family: match info.family.as_deref() {
                Some("head") => Some(DeviceFamily::Head),
                Some("standard") => Some(DeviceFamily::Standard),
                Some(_) | None => None,
            },
            protocol_version: info.protocol_version.and_then(number),
            device_type: None,
            config_data_len: info.config_data_len.and_then(number),
            software_ver_hex: info.software_ver.as_deref().unwrap_or_default().to_owned(),
            build_date: info.build_date.and_then(number),
        }
    }

    fn failure(&self) -> Option<Failure> {
        if self.success {
            return None;
        }
        let text = self.error.as_deref().unwrap_or_default();
        let code = self.code().unwrap_or_else(|| code_of_text(text));
        Some(Failure::new(code, text))
    }

    fn past_warnings(&self) -> Vec<ErrorCode> {
        let codes = self.warnings.iter().filter_map(|code| code.parse().ok());
        let mut codes: Vec<ErrorCode> = codes.collect();
        // pytvt tells only by a sentence that the channels could not be read.
        if codes.is_empty() && self.success && !self.channels_known() {
            codes.push(self.code().unwrap_or(ErrorCode::NoChannels));
        }
        codes
    }
}

/// The code that fits a sentence of pytvt best.
fn code_of_text(text: &str) -> ErrorCode {
    const KNOWN: [(&str, ErrorCode); 4] = [
        ("login failed", ErrorCode::LoginFailed),
        ("refused", ErrorCode::ConnectRefused),
        ("timed out", ErrorCode::ConnectTimeout),
        ("closed", ErrorCode::Closed),
    ];
    let text = text.to_lowercase();
    KNOWN
        .iter()
        .find(|(words, _)| text.contains(words))
        .map_or(ErrorCode::Unreachable, |(_, code)| *code)
}

fn channel(camera: &CameraRecord<'_>) -> Channel {
    Channel {
        label: match &camera.channel {
            ChannelKey::Number(number) => ChannelLabel::Number(*number),
            ChannelKey::Text(text) => ChannelLabel::Text(text.to_string()),
        },
        name: camera.name.to_string(),
        address: camera.address.to_string(),
        port: u16::try_from(camera.port).unwrap_or(0),
        status: ChannelStatus::from_text(&camera.status),
        status_source: if camera.status_source.as_deref()
            == Some(StatusSource::LoginRecord.as_str())
        {
            StatusSource::LoginRecord
        } else {
            StatusSource::ChannelList
        },
        protocol: camera.protocol.to_string(),
        model: camera.model.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_pytvt_is_what_its_scan_found() {
        let text = r#"[
          {"site": "Depot", "hostname": "nvr-1", "nvr_ip": "10.0.0.5", "nvr_port": 6036,
           "success": true, "device_model": "TD-3316", "serial_number": "N9K",
           "firmware": "1.4", "total_channels": 16, "backend": "protocol",
           "cameras": [{"channel": 1, "name": "Gate", "address": "192.168.1.5", "port": 9008,
                        "status": "Online", "protocol": "TVT", "model": ""}]},
          {"nvr_ip": "10.0.0.6", "success": false, "error": "Connection timed out (5s)"},
          {"nvr_ip": "", "success": false}
        ]"#;
        let at = UtcMillis::new(1_793_000_000_000);
        let records = super::super::parse(text).unwrap();
        let results: Vec<_> = records
            .iter()
            .map(|record| record.to_past_result(at))
            .collect();
        let good = results[0].as_ref().unwrap();
        assert_eq!(good.entry.hostname, "nvr-1");
        assert_eq!(
            (good.report.facts.serial.as_str(), good.report.observed_at),
            ("N9K", at)
        );
        assert_eq!(good.report.channels[0].label, ChannelLabel::Number(1));
        let failed = results[1].as_ref().unwrap();
        assert_eq!(
            failed.report.failure.as_ref().map(|failure| failure.code),
            Some(ErrorCode::ConnectTimeout)
        );
        assert!(results[2].is_none());
    }
}
