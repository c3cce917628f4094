//! Which batch is sent next: go-back-N over the spool, without IO. Time is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tvtfleet_proto::model::id::Sequence;

/// The most batches on their way at a time.
const BATCHES_MAX: usize = 64;
/// The most bytes on their way at a time; one batch may always be.
const BYTES_MAX: usize = 512 * 1024;
/// A repeated wish of the coordinator to get batches again is followed no sooner than this: what was
/// sent again takes time to arrive.
const RESEND_PAUSE: Duration = Duration::from_secs(20);

/// One send: acknowledgements of an older window do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(u64);

/// What to do about a watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Delete everything up to here.
    Commit(Sequence),
    /// The coordinator knows numbers that this spool has never used: the disk lost batches that it
    /// had promised to keep. What is held must be given numbers after this one.
    Renumber(Sequence),
    /// The coordinator misses batches that it once had, as after a restore from a backup: what is held
    /// from here on counts as not committed again.
    Recall(Sequence),
}

/// The state of the outbox.
///
/// `committed <= acked <= sent <= appended`.
#[derive(Debug)]
pub(crate) struct Window {
    committed: Sequence,
    /// The stream has everything up to here.
    acked: Sequence,
    /// Everything up to here is on its way.
    sent: Sequence,
    /// The last batch in the spool.
    appended: Sequence,
    /// Batches on their way, with their size, and whether they have been acknowledged out of order.
    in_flight: BTreeMap<Sequence, Flight>,
    generation: Generation,
    connected: bool,
    welcome: bool,
    /// No sending before this moment, after an error.
    pause: Option<Instant>,
    failures: u32,
    resent: Option<(Sequence, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    bytes: usize,
    acked: bool,
}

impl Window {
    /// An outbox that starts again behind what the coordinator is known to have.
    pub(crate) fn new(committed: Sequence, appended: Sequence) -> Self {
        Self {
            committed,
            acked: committed,
            sent: committed,
            appended: appended.max(committed),
            in_flight: BTreeMap::new(),
            generation: Generation(0),
            connected: false,
            // Another copy of this spool may speak for the site: nothing goes out before the
            // coordinator has said that this one does.
            welcome: false,
            pause: None,
            failures: 0,
            resent: None,
        }
    }

    /// The stream has everything up to here.
    pub(crate) const fn stored(&self) -> Sequence {
        self.acked
    }

    /// Notes a new batch in the spool.
    pub(crate) fn on_appended(&mut self, last: Sequence) {
        self.appended = self.appended.max(last);
        self.check_invariants();
    }

    /// Notes the state of the connection. What was on its way over a lost one is sent again.
    pub(crate) fn on_connection(&mut self, connected: bool) {
        if self.connected && !connected {
            self.drop_window();
            // Meanwhile another copy of this spool may have come to speak for the site.
            self.welcome = false;
        }
        self.connected = connected;
        // The last error was the old connection's.
        self.pause = None;
    }

    /// Notes whether the coordinator wants anything from this agent at all.
    pub(crate) fn on_welcome(&mut self, welcome: bool) {
        if !welcome {
            self.drop_window();
        }
        self.welcome = welcome;
    }

    /// The batch to send now, if any.
    pub(crate) fn next_to_send(&self, now: Instant) -> Option<Sequence> {
        let allowed = self.connected && self.welcome && self.pause.is_none_or(|end| end <= now);
        let bytes: usize = self.in_flight.values().map(|flight| flight.bytes).sum();
        let room = self.in_flight.len() < BATCHES_MAX && bytes < BYTES_MAX;
        (allowed && room && self.sent < self.appended).then(|| self.sent.next())
    }

    /// Notes that the batch of [`Self::next_to_send`] is on its way.
    pub(crate) fn on_sent(&mut self, sequence: Sequence, bytes: usize) -> Generation {
        debug_assert_eq!(sequence, self.sent.next(), "batches go out in order");
        self.sent = sequence;
        self.in_flight.insert(
            sequence,
            Flight {
                bytes,
                acked: false,
            },
        );
        self.check_invariants();
        self.generation
    }

    /// Notes that the stream has a batch.
    pub(crate) fn on_acked(&mut self, sequence: Sequence, generation: Generation) {
        if generation != self.generation {
            return;
        }
        if let Some(flight) = self.in_flight.get_mut(&sequence) {
            flight.acked = true;
        }
        while let Some((first, flight)) = self.in_flight.first_key_value()
            && flight.acked
        {
            self.acked = *first;
            self.in_flight.pop_first();
            self.failures = 0;
        }
        self.check_invariants();
    }

    /// Notes that a batch was not acknowledged: the whole window is sent again after the delay that
    /// `delay` gives for the number of failures in a row. Says whether this was news.
    pub(crate) fn on_failed(
        &mut self,
        generation: Generation,
        now: Instant,
        delay: impl FnOnce(u32) -> Duration,
    ) -> bool {
        if generation != self.generation {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        self.pause = Some(now + delay(self.failures));
        self.drop_window();
        true
    }

    /// The current generation, for errors before a batch was on its way.
    pub(crate) const fn generation(&self) -> Generation {
        self.generation
    }

    /// Takes the coordinator's word. `oldest` is the first batch that the spool holds.
    pub(crate) fn on_watermark(
        &mut self,
        now: Instant,
        committed: Sequence,
        resend_from: Option<Sequence>,
        oldest: Sequence,
    ) -> Verdict {
        if committed > self.appended {
            self.drop_window();
            return Verdict::Renumber(committed);
        }
        self.committed = self.committed.max(committed);
        self.acked = self.acked.max(self.committed);
        self.sent = self.sent.max(self.acked);
        self.in_flight = self.in_flight.split_off(&self.acked.next());
        if let Some(from) = resend_from.filter(|from| *from <= self.acked) {
            let from = from.max(oldest);
            let soon = self
                .resent
                .is_some_and(|(last, at)| last == from && now < at + RESEND_PAUSE);
            if from <= self.acked && !soon {
                self.resent = Some((from, now));
                self.acked = Sequence(from.0.saturating_sub(1));
                let recalled = self.acked < self.committed;
                self.committed = self.committed.min(self.acked);
                self.drop_window();
                if recalled {
                    self.check_invariants();
                    return Verdict::Recall(from);
                }
            }
        }
        self.check_invariants();
        Verdict::Commit(self.committed)
    }

    /// Starts again after the spool has been renumbered.
    pub(crate) fn on_renumbered(&mut self, committed: Sequence, appended: Sequence) {
        self.committed = committed;
        self.acked = committed;
        self.appended = appended.max(committed);
        self.drop_window();
        self.check_invariants();
    }

    /// When [`Self::next_to_send`] may say something else without anything having happened.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.pause
            .filter(|_| self.connected && self.welcome && self.sent < self.appended)
    }

    /// Whether every batch of the spool is in the stream.
    #[cfg(test)]
    fn is_idle(&self) -> bool {
        self.acked == self.appended
    }

    fn drop_window(&mut self) {
        self.in_flight.clear();
        self.sent = self.acked;
        self.generation = Generation(self.generation.0.saturating_add(1));
    }

    fn check_invariants(&self) {
        debug_assert!(self.committed <= self.acked, "{self:?}");
        debug_assert!(self.acked <= self.sent, "{self:?}");
        debug_assert!(self.sent <= self.appended, "{self:?}");
        debug_assert!(self.in_flight.len() <= BATCHES_MAX);
        let span = self.sent.0.saturating_sub(self.acked.0);
        debug_assert_eq!(
            u64::try_from(self.in_flight.len()).unwrap_or(u64::MAX),
            span
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, VecDeque};

    fn ready(appended: u64) -> Window {
        let mut window = Window::new(Sequence(0), Sequence(appended));
        window.on_connection(true);
        window.on_welcome(true);
        window
    }

    fn send(window: &mut Window, now: Instant, bytes: usize) -> Option<(Sequence, Generation)> {
        let next = window.next_to_send(now)?;
        Some((next, window.on_sent(next, bytes)))
    }

    #[test]
    fn the_window_has_two_bounds() {
        let now = Instant::now();
        let mut window = ready(1000);
        while send(&mut window, now, 10).is_some() {}
        assert_eq!(window.in_flight.len(), BATCHES_MAX);
        let mut window = ready(1000);
        while send(&mut window, now, BYTES_MAX / 2).is_some() {}
        assert_eq!(window.in_flight.len(), 2);
    }

    #[test]
    fn one_error_sends_the_whole_window_again() {
        let now = Instant::now();
        let mut window = ready(3);
        let (first, old) = send(&mut window, now, 1).unwrap();
        send(&mut window, now, 1);
        send(&mut window, now, 1);
        window.on_acked(first, old);
        assert!(window.on_failed(old, now, |failures| Duration::from_secs(failures.into())));
        assert!(
            !window.on_failed(old, now, |_| Duration::from_secs(99)),
            "one window, one failure"
        );
        assert_eq!(window.next_to_send(now), None);
        assert_eq!(window.wake_at(), Some(now + Duration::from_secs(1)));
        let later = now + Duration::from_secs(1);
        assert_eq!(window.next_to_send(later), Some(Sequence(2)));
        window.on_acked(Sequence(2), old);
        assert_eq!(
            window.next_to_send(later),
            Some(Sequence(2)),
            "an old acknowledgement is void"
        );
    }

    #[test]
    fn watermarks_move_forward_and_resends_back() {
        let now = Instant::now();
        let mut window = ready(10);
        while let Some((sequence, generation)) = send(&mut window, now, 1) {
            window.on_acked(sequence, generation);
        }
        assert!(window.is_idle());
        assert_eq!(
            window.on_watermark(now, Sequence(4), None, Sequence(1)),
            Verdict::Commit(Sequence(4))
        );
        assert_eq!(
            window.on_watermark(now, Sequence(2), None, Sequence(1)),
            Verdict::Commit(Sequence(4))
        );
        window.on_watermark(now, Sequence(4), Some(Sequence(3)), Sequence(5));
        assert_eq!(
            window.next_to_send(now),
            Some(Sequence(5)),
            "what is deleted is not sent again"
        );
        while let Some((sequence, generation)) = send(&mut window, now, 1) {
            window.on_acked(sequence, generation);
        }
        window.on_watermark(now, Sequence(4), Some(Sequence(5)), Sequence(5));
        assert_eq!(window.next_to_send(now), None, "not twice at once");
        let later = now + RESEND_PAUSE;
        window.on_watermark(later, Sequence(4), Some(Sequence(5)), Sequence(5));
        assert_eq!(window.next_to_send(later), Some(Sequence(5)));
    }

    #[test]
    fn a_coordinator_that_knows_more_asks_for_new_numbers() {
        let now = Instant::now();
        let mut window = ready(3);
        assert_eq!(
            window.on_watermark(now, Sequence(9), None, Sequence(1)),
            Verdict::Renumber(Sequence(9))
        );
        window.on_renumbered(Sequence(9), Sequence(12));
        assert_eq!(window.next_to_send(now), Some(Sequence(10)));
    }

    #[test]
    fn what_is_kept_is_sent_again_to_a_coordinator_that_was_restored() {
        let now = Instant::now();
        let mut window = Window::new(Sequence(8), Sequence(9));
        window.on_connection(true);
        window.on_welcome(true);
        let verdict = window.on_watermark(now, Sequence(3), Some(Sequence(4)), Sequence(6));
        assert_eq!(verdict, Verdict::Recall(Sequence(6)));
        assert_eq!(
            window.next_to_send(now),
            Some(Sequence(6)),
            "the first that is there"
        );
        let verdict = window.on_watermark(now, Sequence(7), None, Sequence(6));
        assert_eq!(verdict, Verdict::Commit(Sequence(7)));
        assert_eq!(window.next_to_send(now), Some(Sequence(8)));
    }

    #[test]
    fn nothing_is_sent_to_a_coordinator_that_refuses_or_has_not_spoken() {
        let now = Instant::now();
        let mut window = Window::new(Sequence(0), Sequence(3));
        window.on_connection(true);
        assert_eq!(window.next_to_send(now), None);
        let mut window = ready(3);
        window.on_welcome(false);
        assert_eq!(window.next_to_send(now), None);
        window.on_welcome(true);
        assert_eq!(window.next_to_send(now), Some(Sequence(1)));
    }

    /// A small generator of random numbers: the seed alone decides a run.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % sides
        }
    }

    /// Agent, stream and coordinator with everything that can happen between them.
    struct World {
        dice: Dice,
        now: Instant,
        window: Window,
        /// The agent's disk: committed and last number.
        disk: (u64, u64),
        /// Batches on the wire with their generation.
        wire: Vec<(Sequence, Generation)>,
        stream: VecDeque<u64>,
        dedup: BTreeSet<u64>,
        high: u64,
        sparse: BTreeSet<u64>,
        applied: BTreeSet<u64>,
    }

    impl World {
        fn new(seed: u64) -> Self {
            Self {
                dice: Dice(seed | 1),
                now: Instant::now(),
                window: ready(0),
                disk: (0, 0),
                wire: Vec::new(),
                stream: VecDeque::new(),
                dedup: BTreeSet::new(),
                high: 0,
                sparse: BTreeSet::new(),
                applied: BTreeSet::new(),
            }
        }

        fn store(&mut self, sequence: Sequence) {
            if self.dedup.insert(sequence.0) {
                self.stream.push_back(sequence.0);
            }
        }

        fn step(&mut self, faults: bool) {
            match self.dice.roll(if faults { 16 } else { 8 }) {
                0 if faults => {
                    self.disk.1 += 1;
                    self.window.on_appended(Sequence(self.disk.1));
                }
                0..=2 => {
                    if let Some((sequence, generation)) = send(&mut self.window, self.now, 1000) {
                        assert!(sequence.0 > self.disk.0, "sends what is deleted");
                        self.wire.push((sequence, generation));
                    }
                }
                3 | 4 => {
                    if let Some((sequence, generation)) = self.take_from_wire() {
                        self.store(sequence);
                        self.window.on_acked(sequence, generation);
                    }
                }
                5 => self.apply(),
                6 => self.heartbeat(),
                7 => self.now += Duration::from_secs(self.dice.roll(5)),
                8 => {
                    // Lost on the way there, or only the acknowledgement lost.
                    if let Some((sequence, generation)) = self.take_from_wire() {
                        if self.dice.roll(2) == 0 {
                            self.store(sequence);
                        }
                        self.window
                            .on_failed(generation, self.now, |_| Duration::from_secs(1));
                    }
                }
                9 => {
                    self.window.on_connection(false);
                    self.wire.clear();
                }
                10 => self.window.on_connection(true),
                11 => {
                    // The agent dies and starts from its disk.
                    self.window = Window::new(Sequence(self.disk.0), Sequence(self.disk.1));
                    self.window.on_connection(true);
                    self.window.on_welcome(true);
                    self.wire.clear();
                }
                12 if self.dice.roll(4) == 0 => {
                    // The stream loses what the coordinator has not read, and forgets the ids.
                    self.stream.clear();
                    self.dedup.clear();
                }
                13 if self.dice.roll(8) == 0 => self.dedup.clear(),
                _ => self.apply(),
            }
        }

        fn take_from_wire(&mut self) -> Option<(Sequence, Generation)> {
            let length = u64::try_from(self.wire.len()).unwrap();
            let place = if length == 0 {
                return None;
            } else {
                self.dice.roll(length)
            };
            Some(self.wire.remove(usize::try_from(place).unwrap()))
        }

        fn apply(&mut self) {
            let Some(sequence) = self.stream.pop_front() else {
                return;
            };
            if sequence > self.high && self.sparse.insert(sequence) {
                assert!(self.applied.insert(sequence), "applied twice");
            }
            while self.sparse.remove(&(self.high + 1)) {
                self.high += 1;
            }
        }

        fn heartbeat(&mut self) {
            self.window.on_welcome(true);
            let missing = self.stream.is_empty() && self.high < self.disk.1;
            let resend = missing.then_some(Sequence(self.high + 1));
            match self.window.on_watermark(
                self.now,
                Sequence(self.high),
                resend,
                Sequence(self.disk.0 + 1),
            ) {
                Verdict::Commit(committed) => {
                    assert!((1..=committed.0).all(|number| self.applied.contains(&number)));
                    self.disk.0 = committed.0;
                }
                Verdict::Renumber(_) => {
                    panic!("the coordinator knows numbers that were never used")
                }
                Verdict::Recall(_) => panic!("what is deleted cannot be recalled"),
            }
        }
    }

    #[test]
    fn nothing_is_lost_or_counted_twice_whatever_happens() {
        for seed in 1..=300 {
            let mut world = World::new(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15));
            for _ in 0..1500 {
                world.step(true);
            }
            world.window.on_connection(true);
            for _ in 0..50_000 {
                if world.disk.0 == world.disk.1 {
                    break;
                }
                world.step(false);
            }
            assert_eq!(
                world.disk.0, world.disk.1,
                "seed {seed}: not drained, {:?}",
                world.window
            );
            assert_eq!(
                u64::try_from(world.applied.len()).unwrap(),
                world.disk.1,
                "seed {seed}"
            );
        }
    }
}
