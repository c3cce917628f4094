//! `discovery.proto`.
//!
//! A method, type or flag of a newer program is left out or becomes `Unknown`: a device is not lost
//! because somebody learnt a new word. In options such a word is an error, because obeying half of
//! them would do something that nobody asked for.

use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use crate::model::discovery::{
    Claims, DeviceType, DiscoverOptions, DiscoverReport, DiscoveredDevice, NETWORKS_MAX,
    Politeness, RateChange, Searched, Sighting, SweepCursor, TypeSource,
};
use crate::model::id::JobId;
use crate::model::report::DeviceFamily;
use crate::model::time::UtcMillis;
use crate::wire::v1;

use super::field::{
    BadField, all, all_parsed, into_all, mac_bytes, millis, optional_mac, parsed, port, required,
    text_of, texts, uuid,
};

/// Addresses, devices and other items of one message; a sender of more is broken.
const ITEMS_MAX: usize = 65_536;

impl From<v1::SweepCursor> for SweepCursor {
    fn from(wire: v1::SweepCursor) -> Self {
        Self {
            seed: wire.seed,
            position: wire.position,
        }
    }
}

impl From<SweepCursor> for v1::SweepCursor {
    fn from(model: SweepCursor) -> Self {
        Self {
            seed: model.seed,
            position: model.position,
        }
    }
}

impl TryFrom<v1::DiscoverOptions> for DiscoverOptions {
    type Error = BadField;

    fn try_from(wire: v1::DiscoverOptions) -> Result<Self, BadField> {
        let rounds = u8::try_from(wire.rounds)
            .ok()
            .filter(|rounds| (1..=3).contains(rounds))
            .ok_or_else(|| BadField::new("rounds", "not 1 to 3"))?;
        let parallel = u16::try_from(wire.parallel)
            .ok()
            .filter(|parallel| *parallel > 0)
            .ok_or_else(|| BadField::new("parallel", "not 1 to 65535"))?;
        Ok(Self {
            subnets: all_parsed("subnets", &networks("subnets", wire.subnets)?)?,
            excludes: all_parsed("excludes", &networks("excludes", wire.excludes)?)?,
            methods: all_parsed("methods", &wire.methods)?.into_iter().collect(),
            profile: parsed("profile", &wire.profile)?,
            rate: (wire.rate != 0).then_some(wire.rate),
            tcp_ports: ports("tcp_ports", &wire.tcp_ports)?,
            parallel,
            interfaces: wire.interfaces,
            bind: address(wire.bind),
            wait: Duration::from_millis(wire.wait_ms),
            rounds,
            known: bounded("known", wire.known)?
                .into_iter()
                .filter_map(address)
                .collect(),
            huge: wire.huge,
            resume: wire.resume.map(SweepCursor::from),
        })
    }
}

impl From<DiscoverOptions> for v1::DiscoverOptions {
    fn from(model: DiscoverOptions) -> Self {
        let methods: Vec<_> = model.methods.into_iter().collect();
        Self {
            subnets: texts(&model.subnets),
            excludes: texts(&model.excludes),
            methods: texts(&methods),
            profile: model.profile.to_string(),
            rate: model.rate.unwrap_or(0),
            tcp_ports: model.tcp_ports.into_iter().map(u32::from).collect(),
            parallel: u32::from(model.parallel),
            interfaces: model.interfaces,
            bind: number(model.bind),
            wait_ms: millis(model.wait),
            rounds: u32::from(model.rounds),
            known: model.known.into_iter().map(u32::from).collect(),
            huge: model.huge,
            resume: model.resume.map(v1::SweepCursor::from),
        }
    }
}

impl TryFrom<v1::Claims> for Claims {
    type Error = BadField;

    fn try_from(wire: v1::Claims) -> Result<Self, BadField> {
        let family = match wire.family.as_str() {
            "" => None,
            "standard" => Some(DeviceFamily::Standard),
            "head" => Some(DeviceFamily::Head),
            other => return Err(BadField::new("family", format!("{other:?} is not known"))),
        };
        Ok(Self {
            mac: optional_mac("mac", &wire.mac)?,
            address: address(wire.address),
            name: wire.name,
            model: wire.model,
            series: wire.series,
            serial: wire.serial,
            vendor: wire.vendor,
            software_version: wire.software_version,
            kernel_version: wire.kernel_version,
            build_date: wire.build_date,
            data_port: port("data_port", wire.data_port)?,
            http_port: port("http_port", wire.http_port)?,
            rtsp_port: port("rtsp_port", wire.rtsp_port)?,
            subnet_mask: address(wire.subnet_mask),
            gateway: address(wire.gateway),
            dns1: address(wire.dns1),
            dns2: address(wire.dns2),
            dhcp: wire.dhcp,
            channels: wire.channels,
            type_code: wire.type_code,
            family,
            protocol_version: wire.protocol_version,
        })
    }
}

impl From<Claims> for v1::Claims {
    fn from(model: Claims) -> Self {
        Self {
            mac: mac_bytes(model.mac),
            address: number(model.address),
            name: model.name,
            model: model.model,
            series: model.series,
            serial: model.serial,
            vendor: model.vendor,
            software_version: model.software_version,
            kernel_version: model.kernel_version,
            build_date: model.build_date,
            data_port: u32::from(model.data_port),
            http_port: u32::from(model.http_port),
            rtsp_port: u32::from(model.rtsp_port),
            subnet_mask: number(model.subnet_mask),
            gateway: number(model.gateway),
            dns1: number(model.dns1),
            dns2: number(model.dns2),
            dhcp: model.dhcp,
            channels: model.channels,
            type_code: model.type_code,
            family: model
                .family
                .map(|family| family.as_str().to_owned())
                .unwrap_or_default(),
            protocol_version: model.protocol_version,
        }
    }
}

impl TryFrom<v1::DiscoveredDevice> for DiscoveredDevice {
    type Error = BadField;

    fn try_from(wire: v1::DiscoveredDevice) -> Result<Self, BadField> {
        let source = required("source", address(wire.source))?;
        Ok(Self {
            address: address(wire.address).unwrap_or(source),
            source,
            addresses: bounded("addresses", wire.addresses)?
                .into_iter()
                .filter_map(address)
                .collect(),
            methods: known_words(&wire.methods).collect(),
            interfaces: wire.interfaces,
            greeted: ports("greeted", &wire.greeted)?,
            device_type: wire.device_type.parse().unwrap_or(DeviceType::Unknown),
            type_source: wire.type_source.parse().unwrap_or(TypeSource::Nothing),
            flags: known_words(&wire.flags).collect(),
            claims: required("claims", wire.claims)?.try_into()?,
        })
    }
}

impl From<DiscoveredDevice> for v1::DiscoveredDevice {
    fn from(model: DiscoveredDevice) -> Self {
        let methods: Vec<_> = model.methods.into_iter().collect();
        let flags: Vec<_> = model.flags.into_iter().collect();
        Self {
            address: u32::from(model.address),
            source: u32::from(model.source),
            addresses: model.addresses.into_iter().map(u32::from).collect(),
            methods: texts(&methods),
            interfaces: model.interfaces,
            greeted: model.greeted.into_iter().map(u32::from).collect(),
            device_type: text_of(Some(&model.device_type)),
            type_source: text_of(Some(&model.type_source)),
            flags: texts(&flags),
            claims: Some(model.claims.into()),
        }
    }
}

impl From<v1::RateChange> for RateChange {
    fn from(wire: v1::RateChange) -> Self {
        Self {
            after: Duration::from_millis(wire.after_ms),
            rate: wire.rate,
            reason: wire.reason,
        }
    }
}

impl From<RateChange> for v1::RateChange {
    fn from(model: RateChange) -> Self {
        Self {
            after_ms: millis(model.after),
            rate: model.rate,
            reason: model.reason,
        }
    }
}

impl From<v1::Politeness> for Politeness {
    fn from(wire: v1::Politeness) -> Self {
        Self {
            rate: wire.rate,
            peak_rate: wire.peak_rate,
            multicast: wire.multicast,
            unicast: wire.unicast,
            retries: wire.retries,
            echoes: wire.echoes,
            connects: wire.connects,
            overruns: wire.overruns,
            send_errors: wire.send_errors,
            dropped: wire.dropped,
            addresses: wire.addresses,
            duration: Duration::from_millis(wire.duration_ms),
            changes: into_all(wire.changes),
        }
    }
}

impl From<Politeness> for v1::Politeness {
    fn from(model: Politeness) -> Self {
        Self {
            rate: model.rate,
            peak_rate: model.peak_rate,
            multicast: model.multicast,
            unicast: model.unicast,
            retries: model.retries,
            echoes: model.echoes,
            connects: model.connects,
            overruns: model.overruns,
            send_errors: model.send_errors,
            dropped: model.dropped,
            addresses: model.addresses,
            duration_ms: millis(model.duration),
            changes: into_all(model.changes),
        }
    }
}

impl TryFrom<v1::DiscoverReport> for DiscoverReport {
    type Error = BadField;

    fn try_from(wire: v1::DiscoverReport) -> Result<Self, BadField> {
        Ok(Self {
            devices: all(bounded("devices", wire.devices)?)?,
            politeness: required("politeness", wire.politeness)?.into(),
            notes: wire.notes,
            cursor: wire.cursor.map(SweepCursor::from),
            covered: all_parsed("covered", &bounded("covered", wire.covered)?)?,
        })
    }
}

impl From<DiscoverReport> for v1::DiscoverReport {
    fn from(model: DiscoverReport) -> Self {
        Self {
            devices: into_all(model.devices),
            politeness: Some(model.politeness.into()),
            notes: model.notes,
            cursor: model.cursor.map(v1::SweepCursor::from),
            covered: texts(&model.covered),
        }
    }
}

impl TryFrom<v1::Searched> for Searched {
    type Error = BadField;

    fn try_from(wire: v1::Searched) -> Result<Self, BadField> {
        Ok(Self {
            job: JobId::new(uuid("job", &wire.job)?),
            at: UtcMillis::new(wire.at_ms),
            politeness: required("politeness", wire.politeness)?.into(),
            notes: bounded("notes", wire.notes)?,
            covered: all_parsed("covered", &bounded("covered", wire.covered)?)?,
            excluded: all_parsed("excluded", &bounded("excluded", wire.excluded)?)?,
            found: wire.found,
            failure: wire.failure.map(Into::into),
        })
    }
}

impl From<Searched> for v1::Searched {
    fn from(model: Searched) -> Self {
        Self {
            job: model.job.uuid().as_bytes().to_vec(),
            at_ms: model.at.millis(),
            politeness: Some(model.politeness.into()),
            notes: model.notes,
            covered: texts(&model.covered),
            excluded: texts(&model.excluded),
            found: model.found,
            failure: model.failure.map(Into::into),
        }
    }
}

impl TryFrom<v1::Sighting> for Sighting {
    type Error = BadField;

    fn try_from(wire: v1::Sighting) -> Result<Self, BadField> {
        Ok(Self {
            standings: known_words(&wire.standings).collect(),
            last_seen: wire.last_seen_ms.map(UtcMillis::new),
            seen: wire.seen.map(TryInto::try_into).transpose()?.map(Box::new),
        })
    }
}

impl From<Sighting> for v1::Sighting {
    fn from(model: Sighting) -> Self {
        let standings: Vec<_> = model.standings.into_iter().collect();
        Self {
            standings: texts(&standings),
            last_seen_ms: model.last_seen.map(UtcMillis::millis),
            seen: model.seen.map(|seen| (*seen).into()),
        }
    }
}

fn address(number: u32) -> Option<Ipv4Addr> {
    (number != 0).then(|| Ipv4Addr::from(number))
}

fn number(address: Option<Ipv4Addr>) -> u32 {
    address.map_or(0, u32::from)
}

fn ports(field: &'static str, numbers: &[u32]) -> Result<Vec<u16>, BadField> {
    numbers
        .iter()
        .map(|number| match port(field, *number)? {
            0 => Err(BadField::new(field, "0 is no port")),
            port => Ok(port),
        })
        .collect()
}

fn networks(field: &'static str, texts: Vec<String>) -> Result<Vec<String>, BadField> {
    if texts.len() > NETWORKS_MAX {
        return Err(BadField::new(
            field,
            format!("{} networks are more than {NETWORKS_MAX}", texts.len()),
        ));
    }
    Ok(texts)
}

fn bounded<T>(field: &'static str, items: Vec<T>) -> Result<Vec<T>, BadField> {
    if items.len() > ITEMS_MAX {
        return Err(BadField::new(
            field,
            format!("{} items are too many", items.len()),
        ));
    }
    Ok(items)
}

fn known_words<T: FromStr>(words: &[String]) -> impl Iterator<Item = T> {
    words.iter().filter_map(|word| word.parse().ok())
}
