//! The one way by which time enters the binaries.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tvtfleet_proto::model::time::UtcMillis;

/// Tells the time. Deciding code takes moments as arguments; drivers ask the clock they were given.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The moment to store and send. May jump when somebody sets the machine's clock.
    fn now(&self) -> UtcMillis;

    /// A moment that never runs backwards, for deadlines and durations.
    fn instant(&self) -> Instant;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UtcMillis {
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        UtcMillis::new(match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => millis(since),
            Err(before) => millis(before.duration()).saturating_neg(),
        })
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<(UtcMillis, Instant)>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: UtcMillis) -> Self {
        Self {
            now: Mutex::new((now, Instant::now())),
        }
    }

    /// Moves both readings forward.
    pub fn advance(&self, span: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let (utc, instant) = *now;
        *now = (
            utc.after(span),
            instant.checked_add(span).unwrap_or(instant),
        );
    }

    /// Sets the time of day, as an administrator would; [`Clock::instant`] stays.
    pub fn set(&self, utc: UtcMillis) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0 = utc;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UtcMillis {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn instant(&self) -> Instant {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(UtcMillis::new(1_000));
        let before = clock.instant();
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), UtcMillis::new(6_000));
        assert_eq!(
            clock.instant().duration_since(before),
            Duration::from_secs(5)
        );
        clock.set(UtcMillis::new(0));
        assert_eq!(clock.now(), UtcMillis::new(0));
        assert_eq!(
            clock.instant().duration_since(before),
            Duration::from_secs(5)
        );
    }

    #[test]
    fn the_system_clock_reads_this_century() {
        assert!(SystemClock.now() > UtcMillis::new(1_700_000_000_000));
    }
}
