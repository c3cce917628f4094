//! Tables of placements, and what a report leaves known.

use super::*;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::channel::{ChannelLabel, ChannelStatus, StatusSource};
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::time::UtcMillis;
use uuid::Uuid;

const M1: MacByte = MacByte(1);
const M2: MacByte = MacByte(2);

#[derive(Clone, Copy)]
struct MacByte(u8);

impl MacByte {
    fn get(self) -> MacAddr {
        MacAddr::from([0x58, 0x5B, 0x69, 0, 0, self.0])
    }
}

fn known(row: i64, serial: &str, mac: Option<MacByte>) -> Known {
    Known {
        row: DeviceRow(row),
        serial: serial.into(),
        mac: mac.map(MacByte::get),
        listed_mac: None,
        since: UtcMillis::new(0),
        last_success: (!serial.is_empty()).then(|| UtcMillis::new(5)),
        elsewhere: false,
    }
}

/// A bare entry that was listed after every device was last seen.
fn new_entry(row: i64) -> Known {
    Known {
        since: UtcMillis::new(9),
        ..known(row, "", None)
    }
}

fn listed(row: i64, mac: MacByte) -> Known {
    Known {
        listed_mac: Some(mac.get()),
        ..known(row, "", None)
    }
}

fn elsewhere(known: Known) -> Known {
    Known {
        elsewhere: true,
        ..known
    }
}

fn facts(serial: &str, mac: Option<MacByte>) -> DeviceFacts {
    DeviceFacts {
        serial: serial.into(),
        mac: mac.map(MacByte::get),
        ..DeviceFacts::default()
    }
}

#[test]
fn reports_find_their_device() {
    use Fate::{Absorbed, Displaced};
    use Placement::{Holder, Moved, New};
    let second = DeviceRow(2);
    type Case = (
        &'static str,
        DeviceFacts,
        Option<Known>,
        Option<Known>,
        Option<Known>,
        Placement,
    );
    let cases: Vec<Case> = vec![
        (
            "first answer at an address",
            facts("A", Some(M1)),
            Some(known(1, "", None)),
            None,
            None,
            Holder,
        ),
        (
            "the same again",
            facts("A", Some(M1)),
            Some(known(1, "A", Some(M1))),
            Some(known(1, "A", Some(M1))),
            Some(known(1, "A", Some(M1))),
            Holder,
        ),
        (
            "nothing is said",
            facts("", None),
            Some(known(1, "A", Some(M1))),
            None,
            None,
            Holder,
        ),
        (
            "nothing is said and nobody stood there",
            facts("", None),
            None,
            None,
            None,
            New(Fate::None),
        ),
        (
            "a second port of a known serial",
            facts("A", Some(M2)),
            Some(known(1, "A", Some(M1))),
            Some(known(1, "A", Some(M1))),
            None,
            Holder,
        ),
        (
            "only the second port is said",
            facts("", Some(M2)),
            Some(known(1, "A", Some(M1))),
            None,
            None,
            Holder,
        ),
        (
            "it moved to a new entry",
            facts("A", Some(M1)),
            Some(new_entry(1)),
            Some(known(2, "A", Some(M1))),
            None,
            Moved(second, Absorbed),
        ),
        (
            "it moved to an entry that was always there",
            facts("A", Some(M1)),
            Some(known(1, "", None)),
            Some(known(2, "A", Some(M1))),
            None,
            Moved(second, Displaced),
        ),
        (
            "it moved to where another stood",
            facts("A", Some(M1)),
            Some(known(1, "B", Some(M2))),
            Some(known(2, "A", Some(M1))),
            None,
            Moved(second, Displaced),
        ),
        (
            "it moved to where nobody stands",
            facts("A", Some(M1)),
            None,
            Some(known(2, "A", Some(M1))),
            None,
            Moved(second, Fate::None),
        ),
        (
            "known by MAC, moved, now with a serial",
            facts("A", Some(M1)),
            Some(new_entry(1)),
            None,
            Some(known(2, "", Some(M1))),
            Moved(second, Absorbed),
        ),
        (
            "addresses swapped by DHCP, MACs from the inventory",
            facts("A", Some(M2)),
            Some(listed(1, M1)),
            None,
            Some(listed(2, M2)),
            Moved(second, Displaced),
        ),
        (
            "another recorder hangs there now",
            facts("B", Some(M2)),
            Some(known(1, "A", Some(M1))),
            None,
            None,
            New(Displaced),
        ),
        (
            "another MAC where only a MAC was known",
            facts("", Some(M2)),
            Some(known(1, "", Some(M1))),
            None,
            None,
            New(Displaced),
        ),
        (
            "a wrong MAC in the inventory displaces nothing",
            facts("A", Some(M2)),
            Some(listed(1, M1)),
            None,
            None,
            Holder,
        ),
        (
            "one serial, both answered in this job",
            facts("A", None),
            Some(known(1, "", None)),
            Some(elsewhere(known(2, "A", None))),
            None,
            Holder,
        ),
        (
            "one serial, two MACs",
            facts("A", Some(M2)),
            Some(known(1, "", None)),
            Some(known(2, "A", Some(M1))),
            None,
            Holder,
        ),
        (
            "the twin in its next job",
            facts("A", Some(M2)),
            Some(known(1, "A", Some(M2))),
            Some(known(2, "A", Some(M1))),
            Some(known(1, "A", Some(M2))),
            Holder,
        ),
        (
            "one MAC, two serials",
            facts("B", Some(M1)),
            Some(known(1, "", None)),
            None,
            Some(known(2, "A", Some(M1))),
            Holder,
        ),
    ];
    for (name, facts, holder, by_serial, by_mac, expected) in cases {
        let placed = place_report(&facts, holder.as_ref(), by_serial.as_ref(), by_mac.as_ref());
        assert_eq!(placed, expected, "{name}");
    }
}

#[test]
fn entries_find_their_device() {
    use Placement::{Holder, Moved, New};
    let second = DeviceRow(2);
    type Case = (
        &'static str,
        Option<MacByte>,
        Option<Known>,
        Option<Known>,
        Placement,
    );
    let cases: Vec<Case> = vec![
        ("a new one", Some(M1), None, None, New(Fate::None)),
        (
            "known by its address",
            None,
            Some(known(1, "A", Some(M1))),
            None,
            Holder,
        ),
        (
            "known by both",
            Some(M1),
            Some(listed(1, M1)),
            Some(listed(1, M1)),
            Holder,
        ),
        (
            "known by its MAC, moved",
            Some(M1),
            None,
            Some(known(2, "A", Some(M1))),
            Moved(second, Fate::None),
        ),
        (
            "moved onto a bare entry",
            Some(M1),
            Some(new_entry(1)),
            Some(known(2, "A", Some(M1))),
            Moved(second, Fate::Absorbed),
        ),
        (
            "moved onto another device",
            Some(M1),
            Some(known(1, "B", Some(M2))),
            Some(known(2, "A", Some(M1))),
            Moved(second, Fate::Displaced),
        ),
        (
            "one MAC written twice in a file",
            Some(M1),
            None,
            Some(elsewhere(listed(2, M1))),
            New(Fate::None),
        ),
        (
            "and the same file once more",
            Some(M1),
            Some(listed(1, M1)),
            Some(listed(2, M1)),
            Holder,
        ),
        (
            "the file's MAC is not the device's",
            Some(M2),
            Some(known(1, "A", Some(M1))),
            None,
            Holder,
        ),
    ];
    for (name, mac, holder, by_mac, expected) in cases {
        let placed = place_entry(mac.map(MacByte::get), holder.as_ref(), by_mac.as_ref());
        assert_eq!(placed, expected, "{name}");
    }
}

fn report(
    ask: Ask,
    channels: usize,
    warnings: &[ErrorCode],
    failure: Option<ErrorCode>,
) -> DeviceReport {
    DeviceReport {
        job: JobId::new(Uuid::nil()),
        target: TargetNo(0),
        ask,
        observed_at: UtcMillis::new(0),
        backend: Backend::Protocol,
        facts: DeviceFacts::default(),
        channels: (0..channels)
            .map(|number| Channel {
                label: ChannelLabel::Number(i64::try_from(number).unwrap()),
                name: String::new(),
                address: String::new(),
                port: 0,
                status: ChannelStatus::Online,
                status_source: StatusSource::ChannelList,
                protocol: String::new(),
                model: String::new(),
            })
            .collect(),
        failure: failure.map(|code| Failure::new(code, "")),
        warnings: warnings.to_vec(),
        attempts: Vec::new(),
        answer: None,
        found: None,
    }
}

#[test]
fn only_a_full_answer_changes_the_channels() {
    let count = |report: DeviceReport| reported_channels(&report).map(<[Channel]>::len);
    assert_eq!(count(report(Ask::Scan, 4, &[], None)), Some(4));
    assert_eq!(
        count(report(Ask::Scan, 4, &[ErrorCode::AddressesUnknown], None)),
        Some(4)
    );
    assert_eq!(count(report(Ask::Scan, 0, &[], None)), Some(0));
    assert_eq!(
        count(report(Ask::Scan, 0, &[ErrorCode::TunnelTimeout], None)),
        None
    );
    assert_eq!(
        count(report(Ask::Scan, 0, &[], Some(ErrorCode::ConnectTimeout))),
        None
    );
    assert_eq!(count(report(Ask::Probe, 0, &[], None)), None);
}

#[test]
fn silence_is_no_news() {
    let known = DeviceFacts {
        model: "TD-1".into(),
        firmware: "1.0".into(),
        ..facts("A", Some(M1))
    };
    let said = DeviceFacts {
        firmware: " 1.1 ".into(),
        ..facts("", None)
    };
    let merged = merge_facts(&known, &said);
    assert_eq!(
        merged,
        DeviceFacts {
            firmware: "1.1".into(),
            ..known
        }
    );
}
