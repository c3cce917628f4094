//! `device.proto`.

use std::time::Duration;

use crate::error::ErrorCode;
use crate::model::address::Endpoint;
use crate::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};
use crate::model::id::{JobId, TargetNo};
use crate::model::inventory::InventoryEntry;
use crate::model::report::{Attempt, DeviceFacts, DeviceFamily, DeviceReport, Failure};
use crate::model::time::UtcMillis;
use crate::wire::v1;

use super::answer::read_answer;
use super::field::{
    BadField, all, code, credential, into_all, mac_bytes, millis, optional_code, optional_mac,
    parsed, port, required, text_of, texts, uuid,
};

impl TryFrom<v1::Endpoint> for Endpoint {
    type Error = BadField;

    fn try_from(wire: v1::Endpoint) -> Result<Self, BadField> {
        let port = port("port", wire.port)?;
        if port == 0 {
            return Err(BadField::new("port", "0 is no port"));
        }
        Ok(Self {
            host: parsed("host", &wire.host)?,
            port,
        })
    }
}

impl From<Endpoint> for v1::Endpoint {
    fn from(model: Endpoint) -> Self {
        Self {
            host: model.host.to_string(),
            port: u32::from(model.port),
        }
    }
}

impl TryFrom<v1::InventoryEntry> for InventoryEntry {
    type Error = BadField;

    fn try_from(wire: v1::InventoryEntry) -> Result<Self, BadField> {
        let number = port("port", wire.port)?;
        Ok(Self {
            host: parsed("host", &wire.host)?,
            port: (number != 0).then_some(number),
            site_label: wire.site_label,
            hostname: wire.hostname,
            mac_text: wire.mac_text,
            manufacturer: wire.manufacturer,
            credential: credential(&wire.credential)?,
        })
    }
}

impl From<InventoryEntry> for v1::InventoryEntry {
    fn from(model: InventoryEntry) -> Self {
        Self {
            host: model.host.to_string(),
            port: model.port.map_or(0, u32::from),
            site_label: model.site_label,
            hostname: model.hostname,
            mac_text: model.mac_text,
            manufacturer: model.manufacturer,
            credential: text_of(model.credential.as_ref()),
        }
    }
}

impl TryFrom<v1::Channel> for Channel {
    type Error = BadField;

    fn try_from(wire: v1::Channel) -> Result<Self, BadField> {
        let label = match required("label", wire.label)? {
            v1::channel::Label::Number(number) => ChannelLabel::Number(number),
            v1::channel::Label::Text(text) => ChannelLabel::Text(text),
        };
        let status_source = [StatusSource::ChannelList, StatusSource::LoginRecord]
            .into_iter()
            .find(|source| source.as_str() == wire.status_source)
            .ok_or_else(|| BadField::new("status_source", "not known"))?;
        Ok(Self {
            label,
            name: wire.name,
            address: wire.address,
            port: port("port", wire.port)?,
            status: ChannelStatus::from_text(&wire.status),
            status_source,
            protocol: wire.protocol,
            model: wire.model,
        })
    }
}

impl From<Channel> for v1::Channel {
    fn from(model: Channel) -> Self {
        let label = match model.label {
            ChannelLabel::Number(number) => v1::channel::Label::Number(number),
            ChannelLabel::Text(text) => v1::channel::Label::Text(text),
        };
        Self {
            label: Some(label),
            name: model.name,
            address: model.address,
            port: u32::from(model.port),
            status: model.status.as_str().to_owned(),
            status_source: model.status_source.as_str().to_owned(),
            protocol: model.protocol,
            model: model.model,
        }
    }
}

impl TryFrom<v1::DeviceFacts> for DeviceFacts {
    type Error = BadField;

    fn try_from(wire: v1::DeviceFacts) -> Result<Self, BadField> {
        let family = match wire.family.as_str() {
            "" => None,
            "standard" => Some(DeviceFamily::Standard),
            "head" => Some(DeviceFamily::Head),
            other => return Err(BadField::new("family", format!("{other:?} is not known"))),
        };
        Ok(Self {
            name: wire.name,
            model: wire.model,
            serial: wire.serial,
            firmware: wire.firmware,
            mac: optional_mac("mac", &wire.mac)?,
            total_channels: wire.total_channels,
            family,
            protocol_version: wire.protocol_version,
            device_type: wire.device_type,
            config_data_len: wire.config_data_len,
            software_ver_hex: wire.software_ver_hex,
            build_date: wire.build_date,
        })
    }
}

impl From<DeviceFacts> for v1::DeviceFacts {
    fn from(model: DeviceFacts) -> Self {
        Self {
            name: model.name,
            model: model.model,
            serial: model.serial,
            firmware: model.firmware,
            mac: mac_bytes(model.mac),
            total_channels: model.total_channels,
            family: text_of(model.family.as_ref()),
            protocol_version: model.protocol_version,
            device_type: model.device_type,
            config_data_len: model.config_data_len,
            software_ver_hex: model.software_ver_hex,
            build_date: model.build_date,
        }
    }
}

impl From<v1::Failure> for Failure {
    fn from(wire: v1::Failure) -> Self {
        let known = code(&wire.code);
        let text = if known == ErrorCode::MessageVersion && wire.code != known.as_str() {
            format!("{} ({})", wire.text, wire.code)
        } else {
            wire.text
        };
        Self {
            code: known,
            text,
            credentials_sent: wire.credentials_sent,
            wire_code: wire.wire_code,
        }
    }
}

impl From<Failure> for v1::Failure {
    fn from(model: Failure) -> Self {
        Self {
            code: model.code.to_string(),
            text: model.text,
            credentials_sent: model.credentials_sent,
            wire_code: model.wire_code,
        }
    }
}

impl TryFrom<v1::Attempt> for Attempt {
    type Error = BadField;

    fn try_from(wire: v1::Attempt) -> Result<Self, BadField> {
        Ok(Self {
            backend: parsed("backend", &wire.backend)?,
            started_at: UtcMillis::new(wire.started_at_ms),
            duration: Duration::from_millis(wire.duration_ms),
            code: optional_code(&wire.code),
        })
    }
}

impl From<Attempt> for v1::Attempt {
    fn from(model: Attempt) -> Self {
        Self {
            backend: model.backend.to_string(),
            started_at_ms: model.started_at.millis(),
            duration_ms: millis(model.duration),
            code: text_of(model.code.as_ref()),
        }
    }
}

impl TryFrom<v1::DeviceReport> for DeviceReport {
    type Error = BadField;

    fn try_from(wire: v1::DeviceReport) -> Result<Self, BadField> {
        Ok(Self {
            job: JobId::new(uuid("job", &wire.job)?),
            target: TargetNo(wire.target),
            ask: parsed("ask", &wire.ask)?,
            observed_at: UtcMillis::new(wire.observed_at_ms),
            backend: parsed("backend", &wire.backend)?,
            facts: required("facts", wire.facts)?.try_into()?,
            channels: all(wire.channels)?,
            failure: wire.failure.map(Failure::from),
            warnings: wire.warnings.iter().map(|text| code(text)).collect(),
            attempts: all(wire.attempts)?,
            answer: wire.answer.and_then(read_answer),
            found: wire.found.map(TryInto::try_into).transpose()?.map(Box::new),
        })
    }
}

impl From<DeviceReport> for v1::DeviceReport {
    fn from(model: DeviceReport) -> Self {
        Self {
            job: model.job.uuid().as_bytes().to_vec(),
            target: model.target.0,
            ask: model.ask.to_string(),
            observed_at_ms: model.observed_at.millis(),
            backend: model.backend.to_string(),
            facts: Some(model.facts.into()),
            channels: into_all(model.channels),
            failure: model.failure.map(v1::Failure::from),
            warnings: texts(&model.warnings),
            attempts: into_all(model.attempts),
            answer: model.answer.map(v1::Answer::from),
            found: model.found.map(|found| (*found).into()),
        }
    }
}
