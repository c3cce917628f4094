//! Days and times, as devices write them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Hours that the simulated recorders are ahead of UTC; their zone says so the POSIX way.
const ZONE_HOURS: i64 = 8;
pub(super) const ZONE: &str = "CST-8";

/// The wall clock of a recorder whose clock is ahead by these seconds.
pub(super) fn now(offset_s: i64) -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    text(
        seconds
            .saturating_add(offset_s)
            .saturating_add(ZONE_HOURS * 3600),
    )
}

/// Seconds that a wall clock is ahead of the recorders' zone now.
pub(super) fn ahead(text: &str) -> Option<i64> {
    let mut parts = text.split(['-', ' ', ':']).map(str::parse::<i64>);
    let mut next = || parts.next()?.ok();
    let (year, month, day) = (next()?, next()?, next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    let (years, months) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * years + years.div_euclid(4) - years.div_euclid(100)
        + years.div_euclid(400)
        + (153 * months + 2) / 5
        + day
        - 1
        - 719_468;
    let there = days * 86_400 + hour * 3600 + minute * 60 + second - ZONE_HOURS * 3600;
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Some(there - i64::try_from(since.as_secs()).unwrap_or(0))
}

/// `YYYY-MM-DD HH:MM:SS` of seconds since 1970.
fn text(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Civil date from a count of days, with years that begin in March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for offset in [-90_000, 0, 3_600_000] {
            let read = ahead(&now(offset)).unwrap();
            assert!((read - offset).abs() <= 1, "{offset} {read}");
        }
    }

    #[test]
    fn known_moments() {
        assert_eq!(text(0), "1970-01-01 00:00:00");
        assert_eq!(text(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(text(1_736_937_000), "2025-01-15 10:30:00");
        assert_eq!(text(1_798_761_599), "2026-12-31 23:59:59");
    }
}
