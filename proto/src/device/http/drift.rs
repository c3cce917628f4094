//! How far a device's clock is off.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::model::answer::ClockReading;
use crate::model::time::UtcMillis;

/// Half of the second that the reading leaves open.
const GRAIN_MS: i64 = 500;

/// Notes the drift of a reading that was asked for at `sent` and came at `received`.
///
/// The device is taken to have read its clock halfway. A zone or time that cannot be understood
/// leaves the drift unknown.
pub fn measure(reading: &mut ClockReading, sent: UtcMillis, received: UtcMillis) {
    let zone = reading
        .time_zone
        .as_deref()
        .and_then(|zone| TimeZone::posix(zone).ok());
    let local = reading
        .local_time
        .as_deref()
        .and_then(|time| time.replacen('T', " ", 1).parse::<DateTime>().ok());
    let Some((zone, local)) = zone.zip(local) else {
        return;
    };
    let found = zone.to_ambiguous_timestamp(local);
    let ambiguous = found.is_ambiguous();
    let Ok(timestamp) = found.compatible() else {
        return;
    };
    let trip = received.millis().saturating_sub(sent.millis()).max(0);
    let here = sent.millis().saturating_add(trip / 2);
    // The device cut its clock down to whole seconds.
    let there = timestamp.as_millisecond().saturating_add(GRAIN_MS);
    reading.drift_ms = Some(there.saturating_sub(here));
    reading.drift_error_ms = u64::try_from(trip / 2 + GRAIN_MS).ok();
    reading.ambiguous = Some(ambiguous);
}

/// The wall clock of a zone at a moment, `YYYY-MM-DD HH:MM:SS`; `None` for a zone that cannot be
/// understood.
#[must_use]
pub fn local_time(zone: &str, millis: i64) -> Option<String> {
    let zone = TimeZone::posix(zone).ok()?;
    let moment = jiff::Timestamp::from_millisecond(millis).ok()?;
    let local = zone.to_datetime(moment);
    Some(local.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// A moment of a search as the wall clock of a zone: one that ends with a `Z` is UTC, others are on that
/// clock already. `None` for what cannot be understood.
#[must_use]
pub fn search_time(zone: Option<&str>, text: &str) -> Option<String> {
    let Some(utc) = text.strip_suffix('Z') else {
        return Some(text.to_owned());
    };
    let moment = utc.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?;
    local_time(zone?, moment.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drift(zone: &str, local: &str, sent: i64) -> ClockReading {
        let mut reading = ClockReading {
            time_zone: Some(zone.into()),
            local_time: Some(local.into()),
            ..ClockReading::default()
        };
        measure(
            &mut reading,
            UtcMillis::new(sent),
            UtcMillis::new(sent + 200),
        );
        reading
    }

    #[test]
    fn the_sign_of_a_posix_zone_is_the_other_way_round() {
        // 2025-01-15 10:30:00 in China is 02:30:00 UTC.
        let at = 1_736_908_200_000;
        let reading = drift("CST-8", "2025-01-15 10:30:00", at);
        assert_eq!(
            (reading.drift_ms, reading.drift_error_ms),
            (Some(400), Some(600))
        );
        assert_eq!(reading.ambiguous, Some(false));
        let late = drift("CST-8:00:00", "2025-01-15T10:31:00", at);
        assert_eq!(late.drift_ms, Some(60_400));
    }

    #[test]
    fn a_search_in_utc_is_told_in_the_devices_time() {
        let of = |zone, text| search_time(zone, text);
        assert_eq!(
            of(Some("CST-8"), "2026-11-01 20:00:00Z").as_deref(),
            Some("2026-11-02 04:00:00")
        );
        assert_eq!(
            of(None, "2026-11-01 20:00:00").as_deref(),
            Some("2026-11-01 20:00:00")
        );
        for (zone, text) in [
            (None, "2026-11-01 20:00:00Z"),
            (Some("nowhere"), "2026-11-01 20:00:00Z"),
            (Some("CST-8"), "2026-13-01 20:00:00Z"),
        ] {
            assert_eq!(of(zone, text), None, "{text}");
        }
    }

    #[test]
    fn the_repeated_hour_is_said_and_nonsense_is_unknown() {
        let zone = "CET-1CEST,M3.5.0,M10.5.0/3";
        assert_eq!(drift(zone, "2025-10-26 02:30:00", 0).ambiguous, Some(true));
        assert_eq!(drift("nowhere", "2025-10-26 02:30:00", 0).drift_ms, None);
        assert_eq!(drift(zone, "yesterday", 0).drift_ms, None);
    }
}
