//! Moments as users write them. Days begin at midnight in UTC, as all output is in UTC.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use tvtfleet_proto::model::time::UtcMillis;

/// What help texts say of moments.
pub(crate) const HELP: &str = "\
A TIME is a moment (2026-11-02T14:30:00Z), a day (2026-11-02, today, yesterday, monday), both
(\"2026-11-02 14:30\"), or how long ago (90s, 30m, 2h, 3d, 1w). Days begin at midnight in UTC.";

/// A moment, perhaps relative to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// This one.
    At(UtcMillis),
    /// So long ago.
    Ago(Duration),
    /// The beginning of a day so many days ago.
    DaysAgo(i32),
    /// The beginning of the last such day; today counts.
    Last(Weekday),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        match lower.as_str() {
            "now" => return Ok(Self::Ago(Duration::ZERO)),
            "today" => return Ok(Self::DaysAgo(0)),
            "yesterday" => return Ok(Self::DaysAgo(1)),
            _ => {}
        }
        if let Some(day) = weekday(&lower) {
            return Ok(Self::Last(day));
        }
        let span = lower.strip_suffix("ago").unwrap_or(&lower).trim();
        if let Some(span) = span_of(span) {
            return Ok(Self::Ago(span));
        }
        let at = text
            .parse::<Timestamp>()
            .ok()
            .or_else(|| utc(text.parse().ok()?))
            .or_else(|| {
                utc(text
                    .parse::<Date>()
                    .ok()?
                    .to_datetime(jiff::civil::Time::midnight()))
            });
        at.map(|at| Self::At(UtcMillis::new(at.as_millisecond())))
            .ok_or_else(|| {
                "write a moment, a day such as 2026-11-02, monday or yesterday, or a span such as 2h"
                    .to_owned()
            })
    }
}

impl Moment {
    /// The moment, seen from `now`.
    #[must_use]
    pub(crate) fn from(self, now: UtcMillis) -> UtcMillis {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.before(span),
            Self::DaysAgo(days) => midnight(now, days),
            Self::Last(day) => {
                let today = Timestamp::from_millisecond(now.millis())
                    .map(|now| now.to_zoned(TimeZone::UTC).weekday());
                let days = today.map_or(0, |today| today.since(day));
                midnight(now, i32::from(days))
            }
        }
    }
}

/// The beginning of the day that was `days` before `now`.
fn midnight(now: UtcMillis, days: i32) -> UtcMillis {
    let start = Timestamp::from_millisecond(now.millis())
        .map(|now| now.to_zoned(TimeZone::UTC))
        .and_then(|now| now.date().checked_sub(days.days()))
        .and_then(|date| date.to_zoned(TimeZone::UTC));
    start.map_or(now, |start| {
        UtcMillis::new(start.timestamp().as_millisecond())
    })
}

fn utc(moment: DateTime) -> Option<Timestamp> {
    let zoned = moment.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp())
}

fn weekday(text: &str) -> Option<Weekday> {
    const DAYS: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    DAYS.iter()
        .find(|(name, _)| *name == text)
        .map(|(_, day)| *day)
}

fn span_of(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        'w' => 7 * 24 * 3600,
        _ => return None,
    };
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        // A Thursday.
        let now: UtcMillis = "2026-11-05T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("now", "2026-11-05T10:00:00.000Z"),
            ("2h", "2026-11-05T08:00:00.000Z"),
            ("3d ago", "2026-11-02T10:00:00.000Z"),
            ("1w", "2026-10-29T10:00:00.000Z"),
            ("today", "2026-11-05T00:00:00.000Z"),
            ("yesterday", "2026-11-04T00:00:00.000Z"),
            ("Monday", "2026-11-02T00:00:00.000Z"),
            ("thursday", "2026-11-05T00:00:00.000Z"),
            ("friday", "2026-10-30T00:00:00.000Z"),
            ("2026-11-02", "2026-11-02T00:00:00.000Z"),
            ("2026-11-02 14:30", "2026-11-02T14:30:00.000Z"),
            ("2026-11-02T14:30:00+01:00", "2026-11-02T13:30:00.000Z"),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.from(now).to_string(), expected, "{text}");
        }
        for bad in ["", "soon", "2026-13-01", "5", "-2h", "2026-11-31", "5y"] {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
    }
}
