//! The outputs of pytvt 0.5.1 for its own devices, from `tests/vectors/examples/discovery`.

use std::collections::BTreeSet;

use serde_json::Value;
use tvtfleet_proto::model::discovery::{
    Claims, DiscoveredDevice, Flag, Method, Politeness, TypeSource,
};

use super::*;

const RECORDS: &str = include_str!("../../../../tests/vectors/examples/discovery/discovery.json");
const TABLE: &str = include_str!("../../../../tests/vectors/examples/discovery/table.stdout.txt");
const INVENTORY: &str = include_str!("../../../../tests/vectors/examples/discovery/scanner.json");
const NOTHING: &str =
    include_str!("../../../../tests/vectors/examples/discovery/nothing.stdout.txt");

/// pytvt's devices, with the types that it gave them.
fn devices() -> Vec<DiscoveredDevice> {
    let records: Vec<Value> = serde_json::from_str(RECORDS).unwrap();
    records.iter().map(device).collect()
}

fn device(record: &Value) -> DiscoveredDevice {
    let text = |key: &str| record[key].as_str().unwrap().to_owned();
    let port = |key: &str| u16::try_from(record[key].as_u64().unwrap()).unwrap();
    let by_tcp = record["_probe"] == "tcp";
    DiscoveredDevice {
        address: text("ip").parse().unwrap(),
        source: text("source_addr").parse().unwrap(),
        addresses: vec![text("ip").parse().unwrap()],
        methods: [if by_tcp { Method::Tcp } else { Method::Sweep }].into(),
        interfaces: Vec::new(),
        greeted: if by_tcp {
            vec![port("data_port")]
        } else {
            Vec::new()
        },
        device_type: text("device_type").parse().unwrap(),
        type_source: TypeSource::Nothing,
        flags: BTreeSet::new(),
        claims: Claims {
            mac: text("mac").parse().ok(),
            name: text("device_name"),
            model: text("product_model"),
            series: text("product_series"),
            software_version: text("software_version"),
            kernel_version: text("kernel_version"),
            data_port: port("data_port"),
            http_port: port("http_port"),
            subnet_mask: text("subnet_mask").parse().ok(),
            gateway: text("gateway").parse().ok(),
            dns1: text("dns1").parse().ok(),
            dns2: text("dns2").parse().ok(),
            ..Claims::default()
        },
    }
}

fn shown(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_table_is_pytvts() {
    let table = shown(|out| write_table(&devices(), out));
    // Messages about files follow.
    assert!(TABLE.starts_with(&table), "{table}");
    assert_eq!(shown(|out| write_table(&[], out)), NOTHING);
}

#[test]
fn the_inventory_is_pytvts_where_one_port_is_asked_for() {
    let inventory =
        shown(|out| write_inventory(&at("Büro West", &devices()), PortRule::Fixed(6036), out));
    assert_eq!(inventory, INVENTORY);
    let inventory = shown(|out| write_inventory(&at("x", &devices()), PortRule::Answered, out));
    let entries: Vec<Value> = serde_json::from_str(&inventory).unwrap();
    let ports: Vec<u64> = entries
        .iter()
        .map(|entry| entry["port"].as_u64().unwrap())
        .collect();
    assert_eq!(ports, [6036, 9008, 9008, 9008, 9008]);
}

#[test]
fn records_begin_with_pytvts_keys_in_their_order() {
    let ours = shown(|out| write_records(&devices(), out));
    let ours: Vec<Value> = serde_json::from_str(&ours).unwrap();
    let theirs: Vec<Value> = serde_json::from_str(RECORDS).unwrap();
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let (ours, theirs) = (ours.as_object().unwrap(), theirs.as_object().unwrap());
        let first: Vec<_> = ours.iter().take(theirs.len()).collect();
        assert_eq!(first, theirs.iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_devices_say_of_themselves_cannot_steer_a_terminal() {
    let mut device = devices().remove(0);
    device.claims.model = "\u{1b}[2Jx\n".into();
    device.claims.name = "\u{202e}evil".into();
    device.flags = [Flag::AddressMismatch].into();
    let table = shown(|out| write_table(&[device.clone()], out));
    assert!(
        !table.contains('\u{1b}') && !table.contains('\u{202e}'),
        "{table}"
    );
    assert!(table.contains("[answered from 127.0.60.10]"), "{table}");
    assert!(!found_line(&device).contains('\u{1b}'));
}

#[test]
fn trouble_gets_a_line_of_its_own() {
    assert_eq!(politeness_lines(&Politeness::default()).len(), 1);
    let record = Politeness {
        overruns: 2,
        ..Politeness::default()
    };
    assert_eq!(politeness_lines(&record).len(), 2);
}

fn at<'a>(site: &'a str, devices: &'a [DiscoveredDevice]) -> Vec<Find<'a>> {
    let find = |device| Find { site, device };
    devices.iter().map(find).collect()
}
