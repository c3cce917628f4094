//! The operations of `discovery.json`.

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tvt_agent::discover::{Seen, Sightings, targets};
use tvt_coordinator::render::discovery::{PortRule, scanner_entry};
use tvtfleet_proto::device::tvt::Init;
use tvtfleet_proto::device::{mhed, probe, ssdp, wsd};
use tvtfleet_proto::model::discovery::{Claims, DeviceType, DiscoveredDevice, Method, TypeSource};

use super::Suite;

pub(super) const SUITE: Suite = Suite {
    file: "discovery.json",
    operations: &[
        ("ssdp_msearch", ssdp_msearch),
        ("parse_ssdp_xml", parse_ssdp_xml),
        ("classify_device", classify_device),
        ("scanner_json", scanner_json),
        ("merge_replies", merge_replies),
        ("subnet_hosts", subnet_hosts),
        ("tcp_fingerprint", tcp_fingerprint),
        ("tcp_fingerprint_facts", tcp_fingerprint_facts),
        ("mhed_search", mhed_search),
        ("mhed_decode", mhed_decode),
        ("ws_discovery_parse", ws_discovery_parse),
    ],
};

fn ssdp_msearch(_: &Value) -> Result<Value, String> {
    Ok(json!({
        "bytes_hex": hex(ssdp::SEARCH),
        "length": ssdp::SEARCH.len(),
        "destination": format!("{}:{}", ssdp::GROUP, ssdp::PORT),
        "multicast_ttl": ssdp::TTL,
    }))
}

fn parse_ssdp_xml(vector: &Value) -> Result<Value, String> {
    let source = address(input(vector, "source_ip")?)?;
    let mut merged = Sightings::default();
    if let Some(ssdp::Reply::Device(claims)) = ssdp::read(&bytes(input(vector, "datagram_hex")?)?) {
        merged.add(Seen::new(Method::Ssdp, source, *claims));
    }
    let device = merged.devices().first().map_or(Value::Null, record);
    Ok(json!({ "device": device }))
}

fn classify_device(vector: &Value) -> Result<Value, String> {
    let (found, _) = probe::from_texts(
        input(vector, "product_series")?,
        input(vector, "product_model")?,
    );
    Ok(json!({ "device_type": found.as_str() }))
}

fn scanner_json(vector: &Value) -> Result<Value, String> {
    let site = input(vector, "site")?;
    let port = number(&vector["input"]["scan_port"])?;
    let devices = vector["input"]["devices"].as_array().ok_or("no devices")?;
    let entries: Result<Vec<Value>, String> = devices
        .iter()
        .map(|device| {
            let device = device_of(device)?;
            serde_json::to_value(scanner_entry(&device, site, PortRule::Fixed(port)))
                .map_err(|error| error.to_string())
        })
        .collect();
    Ok(json!({ "inventory": entries? }))
}

fn merge_replies(vector: &Value) -> Result<Value, String> {
    let datagrams = vector["input"]["datagrams"]
        .as_array()
        .ok_or("no datagrams")?;
    let mut merged = Sightings::default();
    for datagram in datagrams {
        let source = address(datagram["source_ip"].as_str().ok_or("no source")?)?;
        let datagram = bytes(datagram["datagram_hex"].as_str().ok_or("no datagram")?)?;
        if let Some(ssdp::Reply::Device(claims)) = ssdp::read(&datagram) {
            merged.add(Seen::new(Method::Ssdp, source, *claims));
        }
    }
    let devices: Vec<Value> = merged.devices().iter().map(record).collect();
    Ok(json!({ "devices": devices }))
}

fn subnet_hosts(vector: &Value) -> Result<Value, String> {
    let network = input(vector, "cidr")?
        .parse()
        .map_err(|error| format!("{error}"))?;
    let hosts = targets(&[network], &[]);
    Ok(json!({
        "count": hosts.len(),
        "first": hosts.address(0).map(|address| address.to_string()),
        "last": hosts.address(hosts.len() - 1).map(|address| address.to_string()),
    }))
}

fn tcp_fingerprint(vector: &Value) -> Result<Value, String> {
    let found = probe::fingerprint(&bytes(input(vector, "first_bytes_hex")?)?);
    Ok(json!({ "tvt": matches!(found, probe::Fingerprint::Tvt(_)) }))
}

fn tcp_fingerprint_facts(vector: &Value) -> Result<Value, String> {
    let first = bytes(input(vector, "first_bytes_hex")?)?;
    let probe::Fingerprint::Tvt(claims) = probe::fingerprint(&first) else {
        return Err("no greeting".to_owned());
    };
    let init = Init::parse(&first).map_err(|error| error.to_string())?;
    Ok(json!({
        "mac": text(claims.mac),
        "software_version": claims.software_version,
        "protocol_ver": claims.protocol_version,
        "head_variant": init.is_head_variant(),
    }))
}

fn mhed_search(vector: &Value) -> Result<Value, String> {
    let version = number(&vector["input"]["version"])?;
    Ok(json!({
        "bytes_hex": hex(&mhed::search(version)),
        "destination": format!("{}:{}", mhed::SEARCHES, mhed::PORT),
        "multicast_ttl": mhed::TTL,
    }))
}

fn mhed_decode(vector: &Value) -> Result<Value, String> {
    let found = mhed::read(&bytes(input(vector, "datagram_hex")?)?);
    let device = found.map_or(Value::Null, |found| {
        let claims = &found.claims;
        json!({
            "version": found.version,
            "mac": text(claims.mac),
            "ip": text(claims.address),
            "subnet_mask": text(claims.subnet_mask),
            "gateway": text(claims.gateway),
            "dns1": text(claims.dns1),
            "dns2": text(claims.dns2),
            "device_name": claims.name,
            "data_port": claims.data_port,
            "http_port": claims.http_port,
            "rtsp_port": claims.rtsp_port,
            "device_type_code": claims.type_code,
            "firmware_version": text(found.firmware),
            "firmware_text": found.firmware_text,
            "build_date": claims.build_date,
            "serial": claims.serial,
            "product_model": claims.model,
            "vendor": claims.vendor,
            "dhcp": claims.dhcp,
            "channels": claims.channels.unwrap_or(0),
        })
    });
    Ok(json!({ "device": device }))
}

fn ws_discovery_parse(vector: &Value) -> Result<Value, String> {
    let source = address(input(vector, "source_ip")?)?;
    let found = wsd::read(&bytes(input(vector, "datagram_hex")?)?).unwrap_or_default();
    let matches: Vec<Value> = found
        .matches
        .iter()
        .map(|found| {
            json!({
                "endpoint": found.endpoint,
                "types": found.types,
                "name": found.name,
                "hardware": found.hardware,
                "ip": found.address.unwrap_or(source).to_string(),
                "http_port": found.http_port,
                "xaddrs": found.services,
                "mac_hint": text(found.mac_hint),
            })
        })
        .collect();
    Ok(json!({ "matches": matches }))
}

/// A device as pytvt's record shows it.
fn record(device: &DiscoveredDevice) -> Value {
    let claims = &device.claims;
    json!({
        "ip": device.address.to_string(),
        "mac": text(claims.mac),
        "device_name": claims.name,
        "product_model": claims.model,
        "product_series": claims.series,
        "device_type": device.device_type.as_str(),
        "software_version": claims.software_version,
        "kernel_version": claims.kernel_version,
        "data_port": claims.data_port,
        "http_port": claims.http_port,
        "subnet_mask": text(claims.subnet_mask),
        "gateway": text(claims.gateway),
        "dns1": text(claims.dns1),
        "dns2": text(claims.dns2),
        "source_addr": device.source.to_string(),
    })
}

/// A record as a device.
fn device_of(record: &Value) -> Result<DiscoveredDevice, String> {
    let word = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
    let device_type: DeviceType = word("device_type")
        .parse()
        .map_err(|error| format!("{error}"))?;
    Ok(DiscoveredDevice {
        address: address(&word("ip"))?,
        source: address(&word("source_addr"))?,
        addresses: Vec::new(),
        methods: [Method::Ssdp].into(),
        interfaces: Vec::new(),
        greeted: Vec::new(),
        device_type,
        type_source: TypeSource::Nothing,
        flags: [].into(),
        claims: Claims {
            mac: word("mac").parse().ok(),
            name: word("device_name"),
            model: word("product_model"),
            series: word("product_series"),
            software_version: word("software_version"),
            data_port: number(&record["data_port"])?,
            http_port: number(&record["http_port"])?,
            ..Claims::default()
        },
    })
}

fn input<'a>(vector: &'a Value, key: &str) -> Result<&'a str, String> {
    vector["input"][key]
        .as_str()
        .ok_or(format!("no input {key}"))
}

fn number(value: &Value) -> Result<u16, String> {
    value
        .as_u64()
        .and_then(|number| u16::try_from(number).ok())
        .ok_or(format!("{value} is no small number"))
}

fn address(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| format!("{text:?} is no address"))
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    (0..hex.len())
        .step_by(2)
        .map(|at| {
            let digits = hex.get(at..at + 2).ok_or("odd number of digits")?;
            u8::from_str_radix(digits, 16).map_err(|error| error.to_string())
        })
        .collect()
}
