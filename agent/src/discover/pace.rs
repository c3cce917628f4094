//! When the next probe may go.
//!
//! A bucket without bursts: at most 20 ms worth of probes leave together. The pace is halved on
//! trouble and grows again by the second. Every pace starts at 100 per second. One that was agreed on
//! doubles at short intervals until it is reached or the first trouble comes.

use std::time::{Duration, Instant};

use super::order::mix;

/// What may leave at once, as time.
const BURST: Duration = Duration::from_millis(20);
/// How long nothing is sent after the kernel had no room.
const REST: Duration = Duration::from_millis(20);
/// The pace never falls below this.
const FLOOR: u32 = 20;
/// Where a pace starts.
const START: u32 = 100;
/// How soon an agreed pace doubles before there was any trouble.
const EAGER: Duration = Duration::from_millis(150);
/// What a clean second adds, at least.
const STEP: u32 = 50;
/// A clean second adds this part of the allowed pace where that is more.
const STEP_PART: u32 = 20;
const SECOND: Duration = Duration::from_secs(1);

/// The pace of one discovery.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    cap: u32,
    rate: u32,
    /// When the bucket is empty again; probes may go while this is less than a burst ahead.
    next: Instant,
    /// Nothing goes before.
    rest_until: Instant,
    /// When the pace was last raised or lowered.
    changed: Instant,
    lowered: Option<Instant>,
    /// Whether it doubles instead of growing by the second.
    eager: bool,
    jitter: u64,
}

/// A change of the pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) rate: u32,
}

impl Pace {
    /// A pace of at most `cap` probes per second. An `agreed` one is there soon.
    pub(crate) fn new(now: Instant, cap: u32, agreed: bool, seed: u64) -> Self {
        let cap = cap.max(1);
        Self {
            cap,
            rate: cap.min(START),
            next: now,
            rest_until: now,
            changed: now,
            lowered: None,
            eager: agreed,
            jitter: seed,
        }
    }

    /// Takes leave for one probe.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let interval = self.interval();
        if now < self.rest_until || self.next > now + BURST.saturating_sub(interval) {
            return false;
        }
        self.next = self.next.max(now) + interval;
        true
    }

    /// When [`Self::take`] will say yes, with up to a tenth of an interval on top so that probes do
    /// not fall into step with something else.
    pub(crate) fn ready_at(&mut self) -> Instant {
        self.jitter = mix(self.jitter);
        let interval = self.interval();
        let jitter = interval.saturating_mul(u32::try_from(self.jitter % 100).unwrap_or(0)) / 1000;
        (self.next + jitter)
            .checked_sub(BURST.saturating_sub(interval))
            .unwrap_or(self.next)
            .max(self.rest_until)
    }

    /// Sends nothing for a moment.
    pub(crate) fn rest(&mut self, now: Instant) {
        self.rest_until = now + REST;
    }

    /// Probes per second.
    pub(crate) const fn rate(&self) -> u32 {
        self.rate
    }

    /// Takes the same part of its own most as another pace has of its most.
    pub(crate) fn follow(&mut self, other: &Self) {
        let part = u64::from(self.cap) * u64::from(other.rate) / u64::from(other.cap);
        self.rate = u32::try_from(part).unwrap_or(self.cap).clamp(1, self.cap);
    }

    /// Raises the pace after a clean second. To be called now and then.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Changed> {
        let (wait, step) = if self.eager {
            (EAGER, self.rate)
        } else {
            (SECOND, STEP.max(self.cap / STEP_PART))
        };
        if self.rate >= self.cap || now.saturating_duration_since(self.changed) < wait {
            return None;
        }
        self.rate = self.rate.saturating_add(step).min(self.cap);
        self.changed = now;
        Some(Changed { rate: self.rate })
    }

    /// Halves the pace, at most once a second.
    pub(crate) fn lower(&mut self, now: Instant) -> Option<Changed> {
        (self.changed, self.eager) = (now, false);
        let recent = self
            .lowered
            .is_some_and(|at| now.saturating_duration_since(at) < SECOND);
        if recent || self.rate <= FLOOR.min(self.cap) {
            return None;
        }
        self.lowered = Some(now);
        self.rate = (self.rate / 2).max(FLOOR.min(self.cap));
        Some(Changed { rate: self.rate })
    }

    fn interval(&self) -> Duration {
        SECOND / self.rate.max(1)
    }
}

/// Counts messages of routers that a host cannot be reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    second: Instant,
    count: u32,
}

/// Such messages in a second that are too many.
const BURST_MAX: u32 = 50;

impl Burst {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            second: now,
            count: 0,
        }
    }

    /// Counts one; true if that makes it too many, once a second.
    pub(crate) fn add(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.second) >= SECOND {
            (self.second, self.count) = (now, 0);
        }
        self.count = self.count.saturating_add(1);
        self.count == BURST_MAX + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An agreed pace that has had its time to start.
    fn reached(start: Instant, cap: u32) -> Pace {
        let mut pace = Pace::new(start - 10 * SECOND, cap, true, 1);
        let mut now = start - 10 * SECOND;
        while now < start - SECOND {
            now += EAGER;
            pace.tick(now);
        }
        assert_eq!(pace.rate, cap);
        pace
    }

    /// Sends whatever may go, stepping the clock by `step`; gives the times of the probes.
    fn sent(pace: &mut Pace, start: Instant, step: Duration, span: Duration) -> Vec<Duration> {
        let mut times = Vec::new();
        let mut now = start;
        while now < start + span {
            while pace.take(now) {
                times.push(now - start);
            }
            now += step;
        }
        times
    }

    fn peak_100ms(times: &[Duration]) -> usize {
        let window = Duration::from_millis(100);
        (0..times.len())
            .map(|at| {
                times[at..]
                    .iter()
                    .take_while(|time| **time < times[at] + window)
                    .count()
            })
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn the_pace_is_kept_and_never_bursts_even_with_a_slow_clock() {
        let start = Instant::now();
        for rate in [200_usize, 2_000, 10_000] {
            for step in [1, 7, 15] {
                let cap = u32::try_from(rate).unwrap();
                let mut pace = reached(start, cap);
                let times = sent(
                    &mut pace,
                    start,
                    Duration::from_millis(step),
                    Duration::from_secs(2),
                );
                assert!(
                    times.len() * 100 >= rate * 2 * 97,
                    "{rate}/s by {step} ms: {}",
                    times.len()
                );
                let peak = peak_100ms(&times) * 10;
                assert!(peak * 2 <= rate * 3, "{rate}/s by {step} ms: peak {peak}");
            }
        }
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let start = Instant::now();
        let mut pace = reached(start, 200);
        assert!(pace.take(start));
        let later = start + Duration::from_secs(60);
        let burst = std::iter::repeat_with(|| pace.take(later))
            .take_while(|sent| *sent)
            .count();
        assert!(burst <= 4, "{burst}");
    }

    #[test]
    fn trouble_halves_once_a_second_down_to_the_floor_and_clean_seconds_raise() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now, 200, false, 1);
        assert_eq!(pace.rate, 100);
        now += SECOND;
        assert_eq!(pace.tick(now), Some(Changed { rate: 150 }));
        assert_eq!(pace.lower(now), Some(Changed { rate: 75 }));
        pace.rest(now);
        assert!(!pace.take(now) && pace.ready_at() >= now + REST);
        assert_eq!(pace.lower(now + REST), None);
        for _ in 0..10 {
            now += SECOND;
            pace.lower(now);
        }
        assert_eq!(pace.rate, FLOOR);
        for _ in 0..10 {
            now += SECOND;
            pace.tick(now);
        }
        assert_eq!(pace.rate, 200);
    }

    #[test]
    fn an_agreed_pace_is_reached_in_about_a_second_unless_there_is_trouble() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 10_000, true, 1);
        let mut times = Vec::new();
        let mut now = start;
        while pace.rate < 10_000 {
            now += EAGER;
            assert_eq!(pace.tick(now - Duration::from_millis(1)), None);
            times.extend(pace.tick(now).map(|changed| changed.rate));
        }
        assert_eq!(times, [200, 400, 800, 1_600, 3_200, 6_400, 10_000]);
        assert!(now - start < Duration::from_millis(1_100));

        let mut pace = Pace::new(start, 10_000, true, 1);
        pace.tick(start + EAGER);
        assert_eq!(pace.lower(start + EAGER), Some(Changed { rate: 100 }));
        assert_eq!(pace.tick(start + 2 * EAGER), None);
        assert_eq!(
            pace.tick(start + EAGER + SECOND),
            Some(Changed { rate: 600 })
        );
    }

    #[test]
    fn a_pace_that_follows_has_the_same_part_of_its_most() {
        let start = Instant::now();
        let mut pace = reached(start, 2_000);
        let mut connects = reached(start, 100);
        pace.lower(start + SECOND);
        connects.follow(&pace);
        assert_eq!(connects.rate, 50);
        for second in 2..40 {
            pace.lower(start + second * SECOND);
            connects.follow(&pace);
        }
        assert_eq!((pace.rate, connects.rate), (FLOOR, 1));
        pace.rate = 2_000;
        connects.follow(&pace);
        assert_eq!(connects.rate, 100);
    }

    #[test]
    fn many_unreachable_hosts_in_a_second_are_a_burst_once() {
        let start = Instant::now();
        let mut burst = Burst::new(start);
        let count = |burst: &mut Burst, from: Instant, number: u32| {
            (0..number)
                .filter(|n| burst.add(from + Duration::from_millis(u64::from(*n))))
                .count()
        };
        assert_eq!(count(&mut burst, start, 50), 0);
        assert_eq!(count(&mut burst, start + SECOND, 300), 1);
        assert_eq!(count(&mut burst, start + 2 * SECOND, 51), 1);
    }

    #[test]
    fn the_next_probe_may_go_when_it_is_said_to() {
        let mut now = Instant::now();
        let mut pace = reached(now, 300);
        for _ in 0..1000 {
            while pace.take(now) {}
            now = pace.ready_at();
            assert!(pace.take(now));
        }
    }
}
