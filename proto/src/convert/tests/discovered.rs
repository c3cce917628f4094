//! Samples of what a discovery is told to do, and of what it finds.

use std::time::Duration;

use crate::model::discovery::*;
use crate::model::mac::MacAddr;
use crate::model::report::DeviceFamily;

pub(super) fn discover_options() -> DiscoverOptions {
    DiscoverOptions {
        subnets: vec!["10.20.0.0/24".parse().unwrap()],
        excludes: vec!["10.20.0.1/32".parse().unwrap()],
        methods: [Method::Ssdp, Method::Tcp].into(),
        profile: Profile::Routed,
        rate: Some(500),
        tcp_ports: vec![6036, 9008],
        parallel: 64,
        interfaces: vec!["eth0".into()],
        bind: Some([10, 20, 0, 9].into()),
        wait: Duration::from_millis(3200),
        rounds: 2,
        known: vec![[10, 20, 0, 7].into()],
        huge: true,
        resume: Some(SweepCursor {
            seed: 7,
            position: 9,
        }),
    }
}

pub(super) fn discover_report() -> DiscoverReport {
    let address = |last: u8| std::net::Ipv4Addr::from([10, 20, 0, last]);
    DiscoverReport {
        devices: vec![DiscoveredDevice {
            address: address(5),
            source: address(6),
            addresses: vec![address(5), address(6)],
            methods: [Method::Mhed, Method::Tcp].into(),
            interfaces: vec!["eth0".into()],
            greeted: vec![6036],
            device_type: DeviceType::Nvr,
            type_source: TypeSource::Series,
            flags: [Flag::AddressMismatch].into(),
            claims: Claims {
                mac: Some(MacAddr::from([0x58, 0x5B, 0x69, 0x10, 0, 0x0B])),
                address: Some(address(5)),
                name: "Depot".into(),
                model: "TD-3316B2".into(),
                series: "TVT_NVR".into(),
                serial: "N9K42".into(),
                vendor: "TVT".into(),
                software_version: "1.4.10.0".into(),
                kernel_version: "4.9".into(),
                build_date: "2023-05-10".into(),
                data_port: 6036,
                http_port: 80,
                rtsp_port: 554,
                subnet_mask: Some([255, 255, 255, 0].into()),
                gateway: Some(address(1)),
                dns1: Some(address(2)),
                dns2: Some(address(3)),
                dhcp: Some(true),
                channels: Some(16),
                type_code: Some(3),
                family: Some(DeviceFamily::Head),
                protocol_version: Some(11),
            },
        }],
        politeness: Politeness {
            rate: 200,
            peak_rate: 210,
            multicast: 8,
            unicast: 508,
            retries: 254,
            echoes: 240,
            connects: 12,
            overruns: 1,
            send_errors: 2,
            dropped: 3,
            addresses: 254,
            duration: Duration::from_millis(6500),
            changes: vec![RateChange {
                after: Duration::from_millis(900),
                rate: 100,
                reason: "the kernel had no room".into(),
            }],
        },
        notes: vec!["a note".into()],
        cursor: Some(SweepCursor {
            seed: 7,
            position: 9,
        }),
        covered: vec![],
    }
}
