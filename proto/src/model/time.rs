//! Moments and spans as they are stored and sent.

use std::fmt;
use std::str::FromStr;

/// A moment: milliseconds since 1970-01-01T00:00:00Z. Shown as RFC 3339 in UTC.
///
/// The largest and smallest moments that RFC 3339 can show bound the range; values from outside are
/// clamped to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UtcMillis(i64);

impl UtcMillis {
    /// 0001-01-01T00:00:00Z.
    const MIN: i64 = -62_135_596_800_000;
    /// 9999-12-30T22:00:00Z, the end of jiff's range less a margin.
    const MAX: i64 = 253_402_207_200_000;

    /// A moment from its milliseconds, clamped to what can be shown.
    #[must_use]
    pub fn new(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN, Self::MAX))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The moment `span` later.
    #[must_use]
    pub fn after(self, span: std::time::Duration) -> Self {
        Self::new(
            self.0
                .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// The moment `span` earlier.
    #[must_use]
    pub fn before(self, span: std::time::Duration) -> Self {
        Self::new(
            self.0
                .saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// The span from `earlier` to this moment; zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        let millis = self.0.saturating_sub(earlier.0);
        std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

impl fmt::Display for UtcMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = jiff::Timestamp::from_millisecond(self.0)
            .map_or_else(|_| self.0.to_string(), |moment| format!("{moment:.3}"));
        f.pad(&text)
    }
}

/// The text is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no RFC 3339 moment")]
pub struct BadMoment(pub String);

impl FromStr for UtcMillis {
    type Err = BadMoment;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .map(|moment| Self::new(moment.as_millisecond()))
            .map_err(|_| BadMoment(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc_and_read_back() {
        let moment = UtcMillis::new(1_793_000_000_123);
        assert_eq!(moment.to_string().parse(), Ok(moment));
        assert!(moment.to_string().ends_with(".123Z"), "{moment}");
        assert_eq!(
            "2026-11-02T00:00:00+01:00".parse(),
            Ok(UtcMillis::new(1_793_574_000_000))
        );
    }

    #[test]
    fn the_ends_of_the_range_can_be_shown() {
        for millis in [i64::MIN, i64::MAX] {
            let moment = UtcMillis::new(millis);
            assert_eq!(moment.to_string().parse(), Ok(moment));
        }
    }
}
