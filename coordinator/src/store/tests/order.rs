//! Between devices the order of reports does not matter.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rusqlite::Connection;

use tvtfleet_proto::model::api::{DeviceView, ListDevices};
use tvtfleet_proto::model::change::{Change, ListChanges};
use tvtfleet_proto::model::channel::ChannelStatus;
use tvtfleet_proto::model::job::Selector;

use super::fixture::*;
use crate::store::{change, inventory};

const DEVICES: u8 = 4;
const SCANS: u8 = 3;

/// What one device says at one scan; `None` is a failure.
type Said = Option<(&'static str, &'static str, bool, i64)>;

fn said() -> impl Strategy<Value = Said> {
    let words = (
        prop::sample::select(vec!["1.0", "1.1"]),
        prop::sample::select(vec!["Gate", "Door"]),
        prop::bool::ANY,
        1_i64..4,
    );
    prop::option::weighted(0.8, words)
}

/// A device's reports, scan after scan.
type Reports = [Said; 3];

fn history() -> impl Strategy<Value = [Reports; 4]> {
    prop::array::uniform4(prop::array::uniform3(said()))
}

/// Each device as often as it reports: an order that keeps every device's own.
fn order() -> impl Strategy<Value = Vec<u8>> {
    let turns: Vec<u8> = (0..DEVICES).flat_map(|device| [device; 3]).collect();
    Just(turns).prop_shuffle()
}

#[derive(Debug, PartialEq)]
struct Known {
    devices: Vec<DeviceView>,
    changes: BTreeMap<String, Change>,
}

fn applied(history: &[Reports; 4], order: &[u8]) -> Known {
    let db = database();
    hosts(&db, &depot(), DEVICES.into());
    let jobs: Vec<_> = (1..=u128::from(SCANS))
        .map(|number| submit(&db, number, Selector::All))
        .collect();
    let mut next = [0_usize; 4];
    for (position, device) in (1..).zip(order) {
        let at_device = usize::from(*device);
        let scan = next[at_device];
        next[at_device] += 1;
        let job = jobs[scan];
        let mut told = match history[at_device][scan] {
            None => failed(job, (*device).into()),
            Some((firmware, name, online, channels)) => {
                let mut good = report(job, (*device).into(), &format!("S{device}"));
                good.facts.firmware = firmware.into();
                good.channels = (1..=channels).map(|number| channel(number, name)).collect();
                if !online {
                    good.channels[0].status = ChannelStatus::Offline;
                }
                good
            }
        };
        told.observed_at = at(10 + i64::try_from(scan).unwrap() * 10);
        let batch = message(position, &depot(), 1, position, vec![item(told)]);
        assert_eq!(apply_all(&db, vec![batch]).quarantined, 0);
    }
    Known {
        devices: devices(&db),
        changes: changes(&db),
    }
}

fn devices(db: &Connection) -> Vec<DeviceView> {
    let all = ListDevices {
        with_channels: true,
        ..ListDevices::default()
    };
    inventory::list(db, &all).unwrap().rows
}

fn changes(db: &Connection) -> BTreeMap<String, Change> {
    let mut request = ListChanges::default();
    let mut found = BTreeMap::new();
    loop {
        let page = change::list(db, &request).unwrap();
        for change in page.rows {
            let id = change.id.to_string();
            assert!(found.insert(id, change).is_none(), "a change twice");
        }
        match page.next {
            Some(next) => request.cursor = next,
            None => return found,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn only_the_order_within_a_device_matters(history in history(), order in order()) {
        let device_by_device: Vec<u8> = (0..DEVICES).flat_map(|device| [device; 3]).collect();
        prop_assert_eq!(applied(&history, &order), applied(&history, &device_by_device));
    }
}
