//! A comparison says all that is needed to get from the old scan to the new one.

use std::collections::BTreeMap;

use super::*;

/// Stands for what a comparison does not say of a channel that was added.
const UNSAID: &str = "(unsaid)";

/// What a comparison is about, of one device.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    fields: BTreeMap<&'static str, String>,
    error: Option<(Option<String>, String)>,
    /// By channel: name, address and status. `None` where they are not known.
    channels: Option<BTreeMap<i64, BTreeMap<&'static str, String>>>,
}

fn known(record: &ResultRecord<'_>) -> Known {
    let fields = [
        ("site", record.site.to_string()),
        ("hostname", record.hostname.to_string()),
        ("nvr_ip", record.nvr_ip.to_string()),
        ("nvr_port", record.nvr_port.to_string()),
        ("device_name", record.device_name.to_string()),
        ("serial_number", record.serial_number.to_string()),
        ("firmware", record.firmware.to_string()),
    ];
    let channel = |camera: &CameraRecord<'_>| {
        let ChannelKey::Number(number) = camera.channel else {
            panic!("numbered");
        };
        let fields = [
            ("name", camera.name.to_string()),
            ("address", camera.address.to_string()),
            ("status", camera.status.to_string()),
        ];
        (number, fields.into())
    };
    Known {
        fields: fields.into(),
        error: (!record.success).then(|| {
            let code = record.error_code.as_deref().map(str::to_owned);
            (code, record.error.as_deref().unwrap_or_default().to_owned())
        }),
        channels: record
            .channels_known()
            .then(|| record.cameras.iter().map(channel).collect()),
    }
}

fn shown(value: Value<'_>) -> String {
    match value {
        Value::Nothing => String::new(),
        Value::Text(text) => text.to_owned(),
        Value::Number(number) => number.to_string(),
    }
}

fn number(channel: &ChannelKey<'_>) -> i64 {
    match channel {
        ChannelKey::Number(number) => *number,
        ChannelKey::Text(text) => panic!("{text}"),
    }
}

/// The old state with what the comparison says of the device.
fn applied(old: &Known, device: &DeviceDiff<'_>) -> Known {
    let mut state = old.clone();
    for change in device.fields.iter().chain(&device.newly_known) {
        // Counts of columns are no fields of the device.
        if !change.field.starts_with("cameras") {
            state.fields.insert(change.field, shown(change.new));
        }
    }
    match device.kind {
        DeviceChange::Unreachable | DeviceChange::FailsDifferently => {
            let reason = device.new_reason.unwrap();
            state.error = Some((reason.code.map(str::to_owned), reason.text.to_owned()));
        }
        DeviceChange::Recovered => state.error = None,
        DeviceChange::Added
        | DeviceChange::Removed
        | DeviceChange::Replaced
        | DeviceChange::Changed
        | DeviceChange::NewlyKnown => {}
    }
    // Channels that were not known before are counted, not listed one by one.
    if device.channels.new.is_none() || device.channels.old.is_none() {
        state.channels = None;
        return state;
    }
    let channels = state.channels.get_or_insert_default();
    let mut moved = Vec::new();
    for change in &device.channel_changes {
        let to = number(change.channel);
        match change.kind {
            ChannelChange::Removed => {
                channels.remove(&to).unwrap();
            }
            ChannelChange::Changed => {
                let mut channel = channels
                    .remove(&change.moved_from.map_or(to, number))
                    .unwrap();
                for field in &change.fields {
                    if let Some(cell) = channel.get_mut(field.field) {
                        *cell = shown(field.new);
                    }
                }
                moved.push((to, channel));
            }
            ChannelChange::Added => {
                let channel = [
                    ("name", change.name.to_owned()),
                    ("address", change.address.to_owned()),
                    ("status", UNSAID.to_owned()),
                ];
                moved.push((to, channel.into()));
            }
        }
    }
    for (to, channel) in moved {
        assert!(channels.insert(to, channel).is_none(), "channel {to} twice");
    }
    state
}

/// A device that says who it is, with numbered channels, each of which has an address.
fn any_state() -> impl Strategy<Value = Option<ResultRecord<'static>>> {
    let channels = prop::collection::btree_map(
        1_i64..6,
        (
            prop::sample::select(vec!["Door", "Yard", "Gate"]),
            prop::sample::select(vec!["10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.4"]),
            prop::bool::ANY,
        ),
        1..6,
    );
    let state = (
        prop::sample::select(vec!["A", "B"]),
        prop::sample::select(vec!["1.0", "1.1"]),
        prop::sample::select(vec!["", "lobby", "garage"]),
        0_u8..4,
        channels,
    );
    prop::option::weighted(
        0.9,
        state.prop_map(|(site, firmware, name, state, channels)| {
            let cameras = channels
                .into_iter()
                .map(|(channel, (name, address, on))| CameraRecord {
                    status: if on { "Online" } else { "Offline" }.into(),
                    ..camera(channel, name, address)
                });
            let good = ResultRecord {
                site: site.into(),
                firmware: firmware.into(),
                device_name: name.into(),
                cameras: cameras.collect(),
                ..ResultRecord::default()
            };
            match state {
                0 => failed(good, "device.login_rejected"),
                1 => failed(good, "device.connect_refused"),
                _ => ResultRecord {
                    success: true,
                    ..good
                },
            }
        }),
    )
}

/// Six devices, each at its address with its serial number, some of which are not there.
fn any_fleet() -> impl Strategy<Value = Vec<ResultRecord<'static>>> {
    prop::collection::vec(any_state(), 6).prop_map(|states| {
        let numbered = (1_u8..).zip(states);
        let record = |(number, state): (u8, Option<ResultRecord<'static>>)| {
            let state = state?;
            Some(ResultRecord {
                nvr_ip: format!("10.0.0.{number}").into(),
                nvr_port: 6036,
                device_id: Some(format!("sn:S{number}").into()),
                serial_number: if state.success {
                    format!("S{number}").into()
                } else {
                    "".into()
                },
                ..state
            })
        };
        numbered.filter_map(record).collect()
    })
}

proptest! {
    #[test]
    fn the_changes_of_a_and_b_make_b_of_a(old in any_fleet(), new in any_fleet()) {
        let key = |record: &ResultRecord<'_>| record.device_id.as_deref().unwrap().to_owned();
        let mut state: BTreeMap<String, Known> =
            old.iter().map(|record| (key(record), known(record))).collect();
        let wanted: BTreeMap<String, Known> =
            new.iter().map(|record| (key(record), known(record))).collect();
        let (old, new) = (scan(old), scan(new));
        let found = diff(&old, &new);
        for device in &found.devices {
            let key = device.device_id.unwrap().to_owned();
            match device.kind {
                DeviceChange::Removed => {
                    prop_assert!(state.remove(&key).is_some());
                }
                DeviceChange::Added => {
                    // Who it is; its channels are counted, not listed one by one.
                    prop_assert!(!state.contains_key(&key));
                    let added = wanted[&key].clone();
                    prop_assert_eq!(&added.fields["nvr_ip"], device.address);
                    prop_assert_eq!(&added.fields["site"], device.site);
                    prop_assert_eq!(added.channels.as_ref().map(BTreeMap::len), device.channels.new);
                    state.insert(key, added);
                }
                DeviceChange::Replaced
                | DeviceChange::Unreachable
                | DeviceChange::Recovered
                | DeviceChange::FailsDifferently
                | DeviceChange::Changed
                | DeviceChange::NewlyKnown => {
                    let now = applied(&state[&key], device);
                    state.insert(key, now);
                }
            }
        }
        prop_assert_eq!(state.len(), wanted.len());
        for (key, wanted) in &wanted {
            let found = &state[key];
            prop_assert_eq!(&found.error, &wanted.error, "{}", key);
            for (field, value) in &wanted.fields {
                // What a device does not say any more has not gone away.
                if !value.is_empty() && (wanted.error.is_none() || ["site", "nvr_ip"].contains(field)) {
                    prop_assert_eq!(&found.fields[field], value, "{} {}", key, field);
                }
            }
            if let (Some(channels), false) = (&wanted.channels, found.channels.is_none()) {
                let before = found.channels.as_ref().unwrap();
                prop_assert_eq!(before.keys().collect::<Vec<_>>(), channels.keys().collect::<Vec<_>>());
                for (number, channel) in channels {
                    for (field, value) in channel {
                        let said = &before[number][field];
                        if said != UNSAID {
                            prop_assert_eq!(said, value, "{} {} {}", key, number, field);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn two_devices_with_one_serial_stay_two() {
    let old = scan([record("A", "10.0.0.1", "S1"), record("A", "10.0.0.2", "S1")]);
    let newer = ResultRecord {
        firmware: "2.0".into(),
        ..record("A", "10.0.0.2", "S1")
    };
    let new = scan([newer, record("A", "10.0.0.1", "S1")]);
    let found = diff(&old, &new);
    assert_eq!(found.unchanged, 1);
    let [device] = found.devices.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(device.kind, DeviceChange::Changed);
    assert_eq!((device.address, device.moved), ("10.0.0.2", false));
    assert_eq!(field_names(device), ["firmware"]);
}

#[test]
fn a_site_that_another_took_the_place_of_is_not_the_same_site() {
    // Under a name of its own: its devices went, others came, although the addresses are the same.
    let old = scan([
        record("Old", "10.0.0.1", "S1"),
        record("Old", "10.0.0.2", "S2"),
    ]);
    let other = scan([
        record("New", "10.0.0.1", "S8"),
        record("New", "10.0.0.2", "S9"),
    ]);
    let totals = diff(&old, &other).totals();
    assert_eq!((totals.removed, totals.added, totals.moved), (2, 2, 0));
    // Under the old name: every recorder is another one.
    let replaced = scan([
        record("Old", "10.0.0.1", "S8"),
        record("Old", "10.0.0.2", "S9"),
    ]);
    assert_eq!(diff(&old, &replaced).totals().replaced, 2);
    // The same recorders under another name: the site was renamed, nothing was swapped.
    let renamed = scan([
        record("New", "10.0.0.1", "S1"),
        record("New", "10.0.0.2", "S2"),
    ]);
    let totals = diff(&old, &renamed).totals();
    assert_eq!((totals.changed, totals.moved, totals.removed), (2, 2, 0));
}
