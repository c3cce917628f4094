//! What the library's records mean as answers to asks.

use super::records::{DeviceRecord, DiskRow, RecordingRow, WallClock};
use crate::device::probe::text::kept;
use crate::model::answer::{ClockReading, DeviceInfo, Disk, RecordingState};
use crate::model::mac::MacAddr;

/// Longer than any address of a stream.
const URL_MAX: usize = 1024;
/// Signs of a credential in the rest of an address.
const SECRET_SIGNS: [&str; 4] = ["@", "%40", "pass", "pwd"];

/// What a device says of itself, as the answer to `info`.
#[must_use]
pub fn info(record: &DeviceRecord) -> DeviceInfo {
    let said = |text: &str| Some(kept(text)).filter(|text| !text.is_empty());
    let mac = Some(MacAddr::from(record.mac)).filter(|mac| mac.is_unicast());
    DeviceInfo {
        name: said(&record.name),
        model: said(&record.model),
        serial: said(&record.serial),
        firmware: said(&record.firmware),
        hardware: said(&record.hardware),
        kernel: said(&record.kernel),
        mac: mac.map(|mac| mac.to_string()),
        channels: Some(u32::from(record.video_inputs)).filter(|count| *count > 0),
        alarm_in: Some(u32::from(record.alarm_in)),
        alarm_out: Some(u32::from(record.alarm_out)),
        ..DeviceInfo::default()
    }
}

/// A wall clock as a reading; `None` where it shows no moment. The library tells no zone, so that the
/// drift stays unknown.
#[must_use]
pub fn clock(clock: WallClock) -> Option<ClockReading> {
    let WallClock {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = clock;
    let shows = (1970..=2200).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    shows.then(|| ClockReading {
        local_time: Some(format!(
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
        )),
        ..ClockReading::default()
    })
}

/// A disk; states that are not known stay numbers.
#[must_use]
pub fn disk(row: &DiskRow) -> Disk {
    let status = match row.status {
        0 => "normal".to_owned(),
        1 => "unformatted".to_owned(),
        2 => "formatting".to_owned(),
        3 => "fault".to_owned(),
        other => other.to_string(),
    };
    Disk {
        id: Some(row.index.to_string()),
        total_mb: Some(u64::from(row.total_mb)),
        free_mb: Some(u64::from(row.free_mb)),
        status: Some(status),
        ..Disk::default()
    }
}

/// What a channel records; states that are not known stay numbers.
#[must_use]
pub fn recording(row: &RecordingRow) -> RecordingState {
    let state = match row.status {
        0 => "not_recording".to_owned(),
        1 => "recording".to_owned(),
        2 => "exception".to_owned(),
        other => other.to_string(),
    };
    let (width, height) = row.size;
    let known = |number: u32| Some(number).filter(|number| *number > 0);
    RecordingState {
        channel: Some(u32::from(row.channel).saturating_add(1)),
        state: Some(state),
        resolution: (width > 0 && height > 0).then(|| format!("{width}x{height}")),
        frame_rate: known(row.frame_rate),
        max_bitrate_kbps: known(row.bitrate_kbps),
        ..RecordingState::default()
    }
}

/// The address of a stream without the credential that the library may put into it; `None` where it is
/// no such address, or what is left may still hold one.
#[must_use]
pub fn plain_url(text: &str) -> Option<String> {
    let text = text.trim();
    let rest = text.strip_prefix("rtsp://")?;
    let is_plain = text.len() <= URL_MAX && rest.bytes().all(|byte| byte.is_ascii_graphic());
    // The last one: a password may hold more of them, and slashes.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let lower = rest.to_ascii_lowercase();
    let is_clean = !SECRET_SIGNS.iter().any(|sign| lower.contains(sign));
    let has_host = !rest.is_empty() && !rest.starts_with(['/', '?', ':']);
    (is_plain && is_clean && has_host).then(|| format!("rtsp://{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_told_without_what_opens_them() {
        for (said, shown) in [
            (
                "rtsp://192.0.2.1:554/?chID=1&streamType=main",
                Some("rtsp://192.0.2.1:554/?chID=1&streamType=main"),
            ),
            (
                "rtsp://admin:se/c@ret@192.0.2.1/a",
                Some("rtsp://192.0.2.1/a"),
            ),
            ("rtsp://192.0.2.1/a?user=admin&Password=x", None),
            ("rtsp://192.0.2.1/a?u=admin%40x", None),
            ("rtsp://admin:x@", None),
            ("rtsp:///a", None),
            ("http://192.0.2.1/", None),
            ("rtsp://192.0.2.1/\u{202e}", None),
            ("", None),
        ] {
            assert_eq!(plain_url(said).as_deref(), shown, "{said}");
        }
    }

    #[test]
    fn a_clock_that_shows_no_moment_is_none() {
        let at = WallClock {
            year: 2026,
            month: 2,
            day: 9,
            hour: 7,
            minute: 5,
            second: 1,
        };
        let shown = clock(at).unwrap().local_time;
        assert_eq!(shown.as_deref(), Some("2026-02-09 07:05:01"));
        for wrong in [
            WallClock { month: 0, ..at },
            WallClock { day: 32, ..at },
            WallClock { hour: 24, ..at },
            WallClock { year: 1900, ..at },
        ] {
            assert_eq!(clock(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn states_that_are_not_known_stay_numbers() {
        let status = |status| {
            let row = DiskRow {
                status,
                ..DiskRow::default()
            };
            disk(&row).status.unwrap()
        };
        assert_eq!([0, 1, 9].map(status), ["normal", "unformatted", "9"]);
        let row = RecordingRow {
            channel: 2,
            status: 7,
            size: (1920, 1080),
            ..RecordingRow::default()
        };
        let shown = recording(&row);
        assert_eq!(
            (shown.channel, shown.state.as_deref(), shown.frame_rate),
            (Some(3), Some("7"), None)
        );
        assert_eq!(shown.resolution.as_deref(), Some("1920x1080"));
    }

    proptest! {
        #[test]
        fn no_user_part_is_ever_left(user in "[a-z]{1,9}", password in "[!-~]{1,20}") {
            let said = format!("rtsp://{user}:{password}@192.0.2.1:554/x");
            let shown = plain_url(&said);
            prop_assert_eq!(shown.as_deref(), Some("rtsp://192.0.2.1:554/x"));
        }
    }
}
