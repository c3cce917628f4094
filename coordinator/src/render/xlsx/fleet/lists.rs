//! The lists of devices, cameras, failures and changes.

use tvtfleet_proto::model::change::Change;

use crate::render::xlsx::list::{Column, List, Mark, Value, column, numbers};
use crate::results::{CameraRecord, ChannelKey, ResultRecord};

const ANSWERS: &str = "OK";
const FAILED: &str = "Failed";
const NOT_REPORTED: &str = "Not reported";

/// A row per device.
pub(super) const DEVICES: List = List {
    name: "Devices",
    columns: &[
        column("Site", 24),
        column("Hostname", 22),
        column("Address", 18),
        numbers("Port", 8),
        Column {
            head: "State",
            width: 14,
            right: false,
            marks: &[
                (ANSWERS, Mark::Good),
                (FAILED, Mark::Bad),
                (NOT_REPORTED, Mark::Waiting),
            ],
        },
        column("Error Code", 26),
        column("Device Name", 20),
        column("Model", 18),
        column("Firmware", 20),
        column("Serial Number", 20),
        column("MAC", 19),
        numbers("Channels", 10),
        numbers("Listed", 9),
        numbers("Online", 9),
        numbers("Offline", 9),
        column("Backend", 11),
        column("Observed At (UTC)", 20),
        column("Device ID", 26),
    ],
    pinned: 2,
    empty: "No devices",
};

/// A row per channel.
pub(super) const CAMERAS: List = List {
    name: "Cameras",
    columns: &[
        column("Site", 24),
        column("NVR", 22),
        column("NVR Address", 18),
        numbers("Channel", 9),
        column("Camera Name", 28),
        Column {
            head: "Status",
            width: 11,
            right: false,
            marks: &[("Online", Mark::Good), ("Offline", Mark::Bad)],
        },
        column("Address", 18),
        numbers("Port", 8),
        column("Protocol", 12),
        column("Model", 20),
        column("Status Source", 15),
    ],
    pinned: 2,
    empty: "No cameras",
};

/// A row per device that did not answer.
pub(super) const FAILURES: List = List {
    name: "Failures",
    columns: &[
        column("Site", 24),
        column("Hostname", 22),
        column("Address", 18),
        numbers("Port", 8),
        Column {
            head: "State",
            width: 14,
            right: false,
            marks: &[(FAILED, Mark::Bad), (NOT_REPORTED, Mark::Waiting)],
        },
        column("Error Code", 26),
        column("Error", 70),
        numbers("Tries", 7),
        column("Observed At (UTC)", 20),
    ],
    pinned: 2,
    empty: "Every device answered",
};

/// A row per change of the feed.
pub(super) const CHANGES: List = List {
    name: "Changes",
    columns: &[
        column("Seen At (UTC)", 20),
        column("Site", 24),
        column("Hostname", 22),
        column("Address", 18),
        Column {
            head: "Change",
            width: 18,
            right: false,
            marks: &[
                ("unreachable", Mark::Bad),
                ("channel_removed", Mark::Bad),
                ("reachable", Mark::Good),
                ("added", Mark::Good),
                ("channel_added", Mark::Good),
            ],
        },
        numbers("Channel", 9),
        column("Camera Name", 26),
        column("Field", 18),
        column("Old", 26),
        column("New", 26),
        column("Device ID", 26),
        column("Job", 38),
    ],
    pinned: 1,
    empty: "No changes in this time",
};

/// What the tab of changes says where there is no history to ask.
pub(super) const NO_FEED: &str =
    "A scan without a coordinator has no history; tvtctl diff compares two result files";

/// The row of a device.
pub(super) fn device(record: &ResultRecord<'_>) -> Vec<Value> {
    let status =
        |word: &str| u64::try_from(record.cameras.iter().filter(|c| c.status == word).count());
    let listed = u64::try_from(record.cameras.len()).unwrap_or(u64::MAX);
    let counted = |count: u64| {
        if record.channels_known() {
            Value::Count(count)
        } else {
            Value::Blank
        }
    };
    let mac = match record.nvr_mac.as_ref() {
        "" => record.device_info.mac.as_deref().unwrap_or_default(),
        mac => mac,
    };
    vec![
        Value::text(&record.site),
        Value::text(&record.hostname),
        Value::text(&record.nvr_ip),
        port(record.nvr_port),
        Value::text(state(record)),
        optional(record.error_code.as_deref()),
        Value::text(&record.device_name),
        Value::text(&record.device_model),
        Value::text(&record.firmware),
        Value::text(&record.serial_number),
        Value::text(mac),
        match u64::try_from(record.total_channels) {
            Ok(total) if total > 0 => Value::Count(total),
            Ok(_) | Err(_) => Value::Blank,
        },
        counted(listed),
        counted(status("Online").unwrap_or(u64::MAX)),
        counted(status("Offline").unwrap_or(u64::MAX)),
        Value::text(&record.backend),
        moment(record.observed_at.as_deref()),
        optional(record.device_id.as_deref()),
    ]
}

/// The row of a channel.
pub(super) fn camera(record: &ResultRecord<'_>, camera: &CameraRecord<'_>) -> Vec<Value> {
    vec![
        Value::text(&record.site),
        Value::text(&record.hostname),
        Value::text(&record.nvr_ip),
        match &camera.channel {
            ChannelKey::Number(number) => Value::Number(*number),
            ChannelKey::Text(text) => Value::text(text),
        },
        Value::text(&camera.name),
        Value::text(&camera.status),
        Value::text(&camera.address),
        port(camera.port),
        Value::text(&camera.protocol),
        Value::text(&camera.model),
        optional(camera.status_source.as_deref()),
    ]
}

/// The row of a device that did not answer; `None` where it did.
pub(super) fn failure(record: &ResultRecord<'_>) -> Option<Vec<Value>> {
    (!record.success).then(|| {
        vec![
            Value::text(&record.site),
            Value::text(&record.hostname),
            Value::text(&record.nvr_ip),
            port(record.nvr_port),
            Value::text(state(record)),
            optional(record.error_code.as_deref()),
            optional(record.error.as_deref()),
            match u64::try_from(record.attempts.len()) {
                Ok(tries) if tries > 0 => Value::Count(tries),
                Ok(_) | Err(_) => Value::Blank,
            },
            moment(record.observed_at.as_deref()),
        ]
    })
}

/// The row of a change.
pub(super) fn change(change: &Change) -> Vec<Value> {
    vec![
        Value::Moment(change.at),
        Value::text(&change.site.to_string()),
        Value::text(&change.hostname),
        Value::text(&change.address),
        Value::text(change.kind.as_str()),
        match change.channel.parse() {
            Ok(number) => Value::Number(number),
            Err(_) => Value::text(&change.channel),
        },
        Value::text(&change.channel_name),
        Value::text(&change.field),
        Value::text(&change.old),
        Value::text(&change.new),
        Value::text(&change.device_id),
        change
            .job
            .map_or(Value::Blank, |job| Value::text(&job.to_string())),
    ]
}

fn state(record: &ResultRecord<'_>) -> &'static str {
    let code = record.error_code.as_deref().unwrap_or_default();
    if record.success {
        ANSWERS
    } else if code.starts_with("site.") || code.starts_with("job.") {
        NOT_REPORTED
    } else {
        FAILED
    }
}

fn port(port: i64) -> Value {
    if port == 0 {
        Value::Blank
    } else {
        Value::Number(port)
    }
}

fn optional(text: Option<&str>) -> Value {
    Value::text(text.unwrap_or_default())
}

fn moment(text: Option<&str>) -> Value {
    text.map_or(Value::Blank, Value::moment)
}
