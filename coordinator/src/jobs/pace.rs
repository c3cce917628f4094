//! How many sites are told at a time what they should be doing.
//!
//! Pure: moments are arguments. A job for the whole fleet reaches its sites in waves, so that they do
//! not all begin, and report, in the same instant. A job for a few sites is not held up.

use std::time::{Duration, Instant};

/// Sites that are told at once.
pub(crate) const WAVE_SITES: u32 = 512;
/// The time in which as many more may follow.
pub(crate) const WAVE_INTERVAL: Duration = Duration::from_secs(1);

/// Lets sites through: a wave at once, then as many for each interval.
#[derive(Debug)]
pub(crate) struct Pace {
    /// How much of a wave has been used, as time until it is whole again.
    debt: Duration,
    at: Instant,
}

impl Pace {
    /// A pace of which nothing has been used.
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            debt: Duration::ZERO,
            at: now,
        }
    }

    /// How many of `wanted` sites may be told now; at least one unless [`Self::wait`] is longer than
    /// nothing.
    pub(crate) fn take(&mut self, now: Instant, wanted: usize) -> usize {
        self.recover(now);
        let free = WAVE_INTERVAL.saturating_sub(self.debt).as_nanos() / Self::share().as_nanos();
        let free = usize::try_from(free).unwrap_or(usize::MAX);
        let taken = wanted.min(free);
        let cost = Self::share().saturating_mul(u32::try_from(taken).unwrap_or(u32::MAX));
        self.debt = self.debt.saturating_add(cost);
        taken
    }

    /// Gives back what was taken and not used.
    pub(crate) fn give_back(&mut self, unused: usize) {
        let cost = Self::share().saturating_mul(u32::try_from(unused).unwrap_or(u32::MAX));
        self.debt = self.debt.saturating_sub(cost);
    }

    /// How long until a quarter of a wave may be told: few large steps instead of many small ones.
    pub(crate) fn wait(&mut self, now: Instant) -> Duration {
        self.recover(now);
        let quarter = WAVE_INTERVAL / 4;
        quarter.saturating_sub(WAVE_INTERVAL.saturating_sub(self.debt))
    }

    fn recover(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        self.debt = self.debt.saturating_sub(passed);
        self.at = self.at.max(now);
    }

    /// The time that one site costs.
    fn share() -> Duration {
        WAVE_INTERVAL / WAVE_SITES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WAVE: usize = 512;

    #[test]
    fn few_sites_are_told_at_once_and_many_in_waves() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.take(start, 40), 40);
        assert_eq!(pace.take(start, 10_000), WAVE - 40);
        assert_eq!(pace.take(start, 1), 0);
        assert!(pace.wait(start) > Duration::ZERO);
        let later = start + WAVE_INTERVAL;
        assert_eq!(pace.wait(later), Duration::ZERO);
        assert_eq!(pace.take(later, 10_000), WAVE);
        pace.give_back(WAVE);
        assert_eq!(pace.take(later, 10_000), WAVE);
    }

    #[test]
    fn ten_thousand_sites_take_about_twenty_seconds() {
        let start = Instant::now();
        let (mut pace, mut now, mut left) = (Pace::new(start), start, 10_000_usize);
        while left > 0 {
            left -= pace.take(now, left.min(256));
            now += pace.wait(now);
        }
        let took = now - start;
        assert!((18..=20).contains(&took.as_secs()), "{took:?}");
    }

    proptest! {
        #[test]
        fn no_interval_sees_more_than_two_waves(
            steps in proptest::collection::vec((0_u64..400, 0_usize..2000), 1..60)
        ) {
            let start = Instant::now();
            let (mut pace, mut now) = (Pace::new(start), start);
            let mut told: Vec<(Instant, usize)> = Vec::new();
            for (millis, wanted) in steps {
                now += Duration::from_millis(millis);
                told.push((now, pace.take(now, wanted)));
                let recent = told.iter().filter(|(at, _)| now - *at < WAVE_INTERVAL);
                prop_assert!(recent.map(|(_, count)| count).sum::<usize>() <= 2 * WAVE);
            }
        }
    }
}
