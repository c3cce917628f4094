//! Waiting before the next try, so that thousands of sites do not come back in the same second.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Full jitter: any wait between the floor and a bound that doubles with each failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    floor: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// For servers across a network: 1 to 60 seconds.
    pub const NETWORK: Self = Self::new(Duration::from_secs(1), Duration::from_secs(60));
    /// For a server on this machine: 100 milliseconds to 5 seconds.
    pub const LOOPBACK: Self = Self::new(Duration::from_millis(100), Duration::from_secs(5));

    /// Waits between `floor` and at most `ceiling`.
    #[must_use]
    pub const fn new(floor: Duration, ceiling: Duration) -> Self {
        Self { floor, ceiling }
    }

    /// The wait before try number `attempt`, counted from 1. Differs from call to call.
    #[must_use]
    pub fn delay(&self, attempt: usize) -> Duration {
        // The hash keys that std draws for each state are random enough to spread sites.
        self.delay_at(attempt, RandomState::new().hash_one(attempt))
    }

    /// The wait that the number `random` picks.
    #[must_use]
    pub fn delay_at(&self, attempt: usize, random: u64) -> Duration {
        // Beyond 2^16 times the floor every ceiling is reached.
        let doublings = u32::try_from(attempt.min(16)).unwrap_or(16);
        let bound = self.floor.saturating_mul(1 << doublings).min(self.ceiling);
        let room = u64::try_from(bound.saturating_sub(self.floor).as_millis()).unwrap_or(u64::MAX);
        self.floor
            .saturating_add(Duration::from_millis(random % room.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_lies_between_floor_and_bound() {
        let backoff = Backoff::NETWORK;
        for attempt in [0, 1, 2, 3, 7, 50, usize::MAX] {
            for random in [0, 1, 999, 123_456_789, u64::MAX] {
                let delay = backoff.delay_at(attempt, random);
                assert!(delay >= Duration::from_secs(1), "{attempt} {random}");
                assert!(delay <= Duration::from_secs(60), "{attempt} {random}");
            }
        }
        assert_eq!(backoff.delay_at(1, 1_000), Duration::from_secs(2));
        assert_eq!(backoff.delay_at(50, 59_000), Duration::from_secs(60));
    }

    #[test]
    fn waits_differ() {
        let first = Backoff::NETWORK.delay(10);
        assert!((0..50).any(|_| Backoff::NETWORK.delay(10) != first));
    }
}
