//! Quiet hours: when an agent begins no work, by the day's time at a fixed offset from UTC.

use std::collections::BTreeSet;
use std::fmt;

use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::time::UtcMillis;

/// The days of the week, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: i64 = 24 * 60;
const WEEK_MINUTES: i64 = 7 * DAY_MINUTES;
const MINUTE_MILLIS: i64 = 60_000;
/// From Monday to 1970-01-01, in days.
const EPOCH_WEEKDAY: i64 = 3;
/// The largest offset from UTC that a place on earth has, in minutes.
const OFFSET_MAX: i64 = 14 * 60;

/// The most windows of one site.
pub const WINDOWS_MAX: usize = 64;

/// One window that comes again each day, or on some days of the week.
///
/// A window whose end is not later than its start goes on past midnight; it belongs to the day on which
/// it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// Minutes after midnight, 0 to 1439.
    from: i64,
    /// Minutes after midnight, 1 to 1440; the first minute that is not quiet.
    to: i64,
    /// Minutes that the site's time is ahead of UTC.
    offset: i64,
    /// Whether the window begins on a day, Monday first.
    days: [bool; DAYS.len()],
    /// What is not begun; `None` is everything.
    asks: Option<BTreeSet<Ask>>,
}

/// Why a text is no part of a window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQuietHours {
    /// No time of day.
    #[error("{0:?} is no time of day, write 08:30")]
    Time(String),
    /// No offset from UTC.
    #[error("{0:?} is no offset from UTC up to 14 hours, write +01:00")]
    Offset(String),
    /// No day of the week.
    #[error("{0:?} is no day, write mon, tue, wed, thu, fri, sat or sun")]
    Day(String),
    /// A list that names nothing.
    #[error("{0} must name something; without it everything is meant")]
    Empty(&'static str),
    /// The window ends as it begins.
    #[error("from and to are the same time; write from 00:00 to 24:00 for whole days")]
    Nothing,
}

impl QuietHours {
    /// A window of every day and for every ask, from texts like `08:30`, in UTC.
    ///
    /// # Errors
    ///
    /// Texts that are no times of day, or the same time twice. `24:00` is an end only.
    pub fn new(from: &str, to: &str) -> Result<Self, BadQuietHours> {
        let bad = |text: &str| BadQuietHours::Time(text.to_owned());
        let start = minutes(from).filter(|at| *at < DAY_MINUTES);
        let start = start.ok_or_else(|| bad(from))?;
        let end = minutes(to).ok_or_else(|| bad(to))?;
        if start == end {
            return Err(BadQuietHours::Nothing);
        }
        Ok(Self {
            from: start,
            // Midnight as an end is the end of the day.
            to: if end == 0 { DAY_MINUTES } else { end },
            offset: 0,
            days: [true; DAYS.len()],
            asks: None,
        })
    }

    /// Sets how far the site's time is ahead of UTC, as `+01:00` or `-03:30`.
    ///
    /// # Errors
    ///
    /// A text that is no such offset, or one of more than 14 hours.
    pub fn at_offset(self, text: &str) -> Result<Self, BadQuietHours> {
        let bad = || BadQuietHours::Offset(text.to_owned());
        let (sign, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(rest), _) => (1, rest),
            (None, Some(rest)) => (-1, rest),
            (None, None) => return Err(bad()),
        };
        let span = minutes(rest).filter(|span| *span <= OFFSET_MAX);
        let offset = sign * span.ok_or_else(bad)?;
        Ok(Self { offset, ..self })
    }

    /// Sets the days on which the window begins, as `mon`.
    ///
    /// # Errors
    ///
    /// A text that is no day, or no days.
    pub fn on_days(self, texts: &[String]) -> Result<Self, BadQuietHours> {
        if texts.is_empty() {
            return Err(BadQuietHours::Empty("days"));
        }
        if let Some(text) = texts.iter().find(|text| !DAYS.contains(&text.as_str())) {
            return Err(BadQuietHours::Day(text.clone()));
        }
        let days = DAYS.map(|day| texts.iter().any(|text| text == day));
        Ok(Self { days, ..self })
    }

    /// Sets what is not begun.
    ///
    /// # Errors
    ///
    /// No asks.
    pub fn for_asks(self, asks: BTreeSet<Ask>) -> Result<Self, BadQuietHours> {
        if asks.is_empty() {
            return Err(BadQuietHours::Empty("asks"));
        }
        let asks = Some(asks);
        Ok(Self { asks, ..self })
    }

    fn covers(&self, ask: Ask) -> bool {
        self.asks.as_ref().is_none_or(|asks| asks.contains(&ask))
    }

    /// When the window ends that `now` is in, in minutes since the epoch.
    fn end(&self, now: i64) -> Option<i64> {
        let local = now + self.offset;
        let today = local.div_euclid(DAY_MINUTES);
        let past_midnight = if self.to <= self.from { DAY_MINUTES } else { 0 };
        [today - 1, today].into_iter().find_map(|day| {
            let weekday = (day + EPOCH_WEEKDAY).rem_euclid(7);
            let begins = usize::try_from(weekday).ok();
            let begins = begins.and_then(|weekday| self.days.get(weekday));
            let midnight = day * DAY_MINUTES;
            let window = midnight + self.from..midnight + self.to + past_midnight;
            (begins == Some(&true) && window.contains(&local)).then_some(window.end - self.offset)
        })
    }
}

/// When the quiet hours end that a moment is in, or `None` where work of this kind may begin. Windows
/// that follow each other without a gap are one; where there is never a gap, the end is more than a
/// week away.
#[must_use]
pub fn quiet_until(windows: &[QuietHours], ask: Ask, now: UtcMillis) -> Option<UtcMillis> {
    let begun = now.millis().div_euclid(MINUTE_MILLIS);
    let mut until = begun;
    while until - begun <= WEEK_MINUTES {
        let covering = windows.iter().filter(|window| window.covers(ask));
        match covering.filter_map(|window| window.end(until)).max() {
            Some(end) => until = end,
            None => break,
        }
    }
    (until > begun).then(|| UtcMillis::new(until * MINUTE_MILLIS))
}

/// The minutes that a text like `08:30` counts, up to `24:00`.
fn minutes(text: &str) -> Option<i64> {
    let two = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<i64>().ok()).flatten()
    };
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let sum = hours * 60 + minutes;
    (minutes < 60 && sum <= DAY_MINUTES).then_some(sum)
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |minutes: i64| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        write!(f, "{}-{}", clock(self.from), clock(self.to))?;
        let sign = if self.offset < 0 { '-' } else { '+' };
        match self.offset {
            0 => write!(f, " UTC")?,
            offset => write!(f, " UTC{sign}{}", clock(offset.abs()))?,
        }
        let named = DAYS.iter().zip(self.days).filter(|(_, begins)| *begins);
        let named: Vec<_> = named.map(|(day, _)| *day).collect();
        match named.len() {
            7 => write!(f, ", every day")?,
            _ => write!(f, ", {}", named.join(" "))?,
        }
        match &self.asks {
            None => write!(f, ": everything"),
            Some(asks) => {
                let asks: Vec<_> = asks.iter().map(ToString::to_string).collect();
                write!(f, ": {}", asks.join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UtcMillis {
        text.parse().unwrap()
    }

    fn window(from: &str, to: &str) -> QuietHours {
        QuietHours::new(from, to).unwrap()
    }

    fn ends(windows: &[QuietHours], now: &str) -> Option<String> {
        let until = quiet_until(windows, Ask::Scan, at(now))?;
        Some(until.to_string())
    }

    fn days(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_window_holds_from_its_first_minute_to_before_its_end() {
        let day = [window("08:00", "18:30")];
        let end = Some(at("2026-11-23T18:30:00Z").to_string());
        assert_eq!(ends(&day, "2026-11-23T07:59:59.999Z"), None);
        assert_eq!(ends(&day, "2026-11-23T08:00:00Z"), end);
        assert_eq!(ends(&day, "2026-11-23T18:29:59.999Z"), end);
        assert_eq!(ends(&day, "2026-11-23T18:30:00Z"), None);
        assert_eq!(ends(&[], "2026-11-23T12:00:00Z"), None);
    }

    #[test]
    fn a_window_across_midnight_belongs_to_the_day_it_begins_on() {
        // 2026-11-23 is a Monday.
        let night = window("22:00", "06:00").on_days(&days(&["mon"])).unwrap();
        let night = [night];
        let end = Some(at("2026-11-24T06:00:00Z").to_string());
        assert_eq!(ends(&night, "2026-11-23T05:00:00Z"), None);
        assert_eq!(ends(&night, "2026-11-23T22:00:00Z"), end);
        assert_eq!(ends(&night, "2026-11-24T05:59:00Z"), end);
        assert_eq!(ends(&night, "2026-11-24T22:00:00Z"), None);
        // Before 1970 as well: 1969-12-29 was a Monday.
        let end = Some(at("1969-12-30T06:00:00Z").to_string());
        assert_eq!(ends(&night, "1969-12-29T23:00:00Z"), end);
    }

    #[test]
    fn an_offset_moves_times_and_days() {
        let east = window("00:00", "02:00").on_days(&days(&["tue"])).unwrap();
        let east = [east.at_offset("+01:00").unwrap()];
        let end = Some(at("2026-11-24T01:00:00Z").to_string());
        assert_eq!(ends(&east, "2026-11-23T22:59:00Z"), None);
        assert_eq!(ends(&east, "2026-11-23T23:00:00Z"), end);
        assert_eq!(ends(&east, "2026-11-24T01:00:00Z"), None);
        let west = [window("08:00", "09:00").at_offset("-03:30").unwrap()];
        let end = Some(at("2026-11-24T12:30:00Z").to_string());
        assert_eq!(ends(&west, "2026-11-24T11:30:00Z"), end);
    }

    #[test]
    fn windows_without_a_gap_are_one_and_a_full_week_ends() {
        let two = [window("20:00", "00:00"), window("00:00", "07:00")];
        let end = Some(at("2026-11-24T07:00:00Z").to_string());
        assert_eq!(ends(&two, "2026-11-23T21:00:00Z"), end);
        let always = [window("00:00", "24:00")];
        let until = quiet_until(&always, Ask::Scan, at("2026-11-23T21:00:00Z")).unwrap();
        assert!(until > at("2026-11-30T21:00:00Z") && until < at("2026-12-02T21:00:00Z"));
    }

    #[test]
    fn only_the_named_asks_are_kept_back() {
        let window = window("08:00", "18:00");
        let reboots = [window.clone().for_asks([Ask::Reboot].into()).unwrap()];
        let noon = at("2026-11-23T12:00:00Z");
        assert!(quiet_until(&reboots, Ask::Reboot, noon).is_some());
        assert!(quiet_until(&reboots, Ask::Scan, noon).is_none());
        let all = [window];
        assert!(
            Ask::ALL
                .iter()
                .all(|ask| quiet_until(&all, *ask, noon).is_some())
        );
    }

    #[test]
    fn nonsense_is_refused_and_sense_is_shown() {
        for (from, to) in [
            ("8:00", "18:00"),
            ("24:00", "18:00"),
            ("08:60", "18:00"),
            ("08:00", "24:01"),
            ("08:00", "08:00"),
            ("+8:00", "18:00"),
            ("", "18:00"),
        ] {
            assert!(QuietHours::new(from, to).is_err(), "{from} {to}");
        }
        let window = window("22:00", "06:30");
        for offset in ["01:00", "+15:00", "+1", "-14:01", ""] {
            assert!(window.clone().at_offset(offset).is_err(), "{offset}");
        }
        assert!(window.clone().on_days(&days(&["monday"])).is_err());
        assert!(window.clone().on_days(&[]).is_err());
        assert!(window.clone().for_asks(BTreeSet::new()).is_err());
        assert_eq!(window.to_string(), "22:00-06:30 UTC, every day: everything");
        let narrow = window.at_offset("-03:30").unwrap();
        let narrow = narrow.on_days(&days(&["sat", "mon"])).unwrap();
        let narrow = narrow.for_asks([Ask::Scan, Ask::Reboot].into()).unwrap();
        assert_eq!(
            narrow.to_string(),
            "22:00-06:30 UTC-03:30, mon sat: scan reboot"
        );
    }
}
