//! When the next probe may go.
//!
//! A bucket without bursts: at most 20 ms worth of probes leave together. The pace is halved on
//! trouble and grows again by the second. A pace that nobody asked for starts at 100 per second.

use std::time::{Duration, Instant};

use super::order::mix;

/// What may leave at once, as time.
const BURST: Duration = Duration::from_millis(20);
/// How long nothing is sent after the kernel had no room.
const REST: Duration = Duration::from_millis(20);
/// The pace never falls below this.
const FLOOR: u32 = 20;
/// Where a pace starts that nobody asked for.
const START: u32 = 100;
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
    jitter: u64,
}

/// A change of the pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) rate: u32,
}

impl Pace {
    /// A pace of at most `cap` probes per second. An `agreed` one starts there.
    pub(crate) fn new(now: Instant, cap: u32, agreed: bool, seed: u64) -> Self {
        let cap = cap.max(1);
        Self {
            cap,
            rate: if agreed { cap } else { cap.min(START) },
            next: now,
            rest_until: now,
            changed: now,
            lowered: None,
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

    /// The kernel had no room: rests, and halves the pace at most once a second.
    pub(crate) fn overrun(&mut self, now: Instant) -> Option<Changed> {
        self.rest(now);
        self.lower(now)
    }

    /// Raises the pace after a clean second. To be called now and then.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Changed> {
        if self.rate >= self.cap || now.saturating_duration_since(self.changed) < SECOND {
            return None;
        }
        let step = STEP.max(self.cap / STEP_PART);
        self.rate = self.rate.saturating_add(step).min(self.cap);
        self.changed = now;
        Some(Changed { rate: self.rate })
    }

    fn lower(&mut self, now: Instant) -> Option<Changed> {
        self.changed = now;
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

#[cfg(test)]
mod tests {
    use super::*;

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
                let mut pace = Pace::new(start, cap, true, 1);
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
        let mut pace = Pace::new(start, 200, true, 1);
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
        assert_eq!(pace.overrun(now), Some(Changed { rate: 75 }));
        assert!(!pace.take(now) && pace.ready_at() >= now + REST);
        assert_eq!(pace.overrun(now + REST), None);
        for _ in 0..10 {
            now += SECOND;
            pace.overrun(now);
        }
        assert_eq!(pace.rate, FLOOR);
        for _ in 0..10 {
            now += SECOND;
            pace.tick(now);
        }
        assert_eq!(pace.rate, 200);
    }

    #[test]
    fn the_next_probe_may_go_when_it_is_said_to() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now, 300, true, 9);
        for _ in 0..1000 {
            while pace.take(now) {}
            now = pace.ready_at();
            assert!(pace.take(now));
        }
    }
}
