//! The pace against a line made up of rules, with virtual time and seeds.

use super::super::order::mix;
use super::*;

/// A line that carries so many packets per second, holds so many, and loses some.
struct Line {
    capacity: u32,
    holds: Duration,
    trip: Duration,
    /// Percent of the answers that never come, whatever the pace.
    loss: u64,
    /// When the last packet is through.
    free: Instant,
    dice: u64,
}

impl Line {
    /// When the answer to a packet is here; `None` if it is lost.
    fn carry(&mut self, now: Instant) -> Option<Instant> {
        self.dice = mix(self.dice);
        if self.dice % 100 < self.loss || self.free > now + self.holds {
            return None;
        }
        self.free = self.free.max(now) + Duration::from_secs(1) / self.capacity;
        let jitter = Duration::from_micros(mix(self.dice) % 3_000);
        Some(self.free + self.trip + jitter)
    }
}

struct Run {
    throttle: Throttle,
    line: Line,
    now: Instant,
    /// Devices that answer echo requests, and such that answer searches only.
    echoing: u8,
    deaf: u8,
    /// Devices that have gone away.
    gone: Vec<Ipv4Addr>,
    coming: Vec<(Instant, Ipv4Addr, Option<u16>)>,
    changes: Vec<Change>,
    questions: u32,
}

fn device(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 50, 0, number)
}

impl Run {
    fn new(limits: Limits, capacity: u32, seed: u64) -> Self {
        let now = Instant::now();
        Self {
            throttle: Throttle::new(now, limits, true, seed),
            line: Line {
                capacity,
                holds: Duration::from_millis(400),
                trip: Duration::from_millis(15),
                loss: 0,
                free: now,
                dice: mix(seed),
            },
            now,
            echoing: 12,
            deaf: 0,
            gone: Vec::new(),
            coming: Vec::new(),
            changes: Vec::new(),
            questions: 0,
        }
    }

    fn find(&mut self) {
        for number in 0..self.echoing + self.deaf {
            self.throttle.found(device(number), true, true);
        }
    }

    /// Lets time pass; gives the probes per second.
    fn pass(&mut self, span: Duration) -> u32 {
        let end = self.now + span;
        let mut sent = 0_u32;
        while self.now < end {
            self.now += Duration::from_millis(1);
            let now = self.now;
            for (_, from, sequence) in self.coming.extract_if(.., |(at, ..)| *at <= now) {
                match sequence {
                    Some(sequence) => self.throttle.on_echo(now, from, sequence),
                    None => self.throttle.on_search(now, from),
                }
            }
            self.changes.extend(self.throttle.look(now));
            while self.throttle.ready_at() <= now {
                self.throttle.take(now);
                sent += 1;
                let answer = self.line.carry(now);
                let (to, sequence) = match self.throttle.question(now) {
                    Some(Question::Echo { to, sequence }) => (to, Some(sequence)),
                    Some(Question::Search(to)) => (to, None),
                    // A probe into the dark.
                    None => continue,
                };
                self.questions += 1;
                let hears = !self.gone.contains(&to)
                    && (sequence.is_none() || to.octets()[3] < self.echoing);
                if let Some(at) = answer.filter(|_| hears) {
                    self.coming.push((at, to, sequence));
                }
            }
        }
        let millis = u32::try_from(span.as_millis()).unwrap();
        sent * 1_000 / millis
    }
}

const DEFAULT: Limits = Limits {
    probes: 200,
    connects: 100,
    agreed: false,
};
const AGREED: Limits = Limits {
    probes: 2_000,
    connects: 100,
    agreed: true,
};

#[test]
fn a_line_that_bears_the_pace_gets_all_of_it() {
    for seed in 0..12 {
        for (limits, capacity) in [(DEFAULT, 400), (AGREED, 4_000)] {
            let mut run = Run::new(limits, capacity, seed);
            run.find();
            run.pass(Duration::from_secs(4));
            let rate = run.pass(Duration::from_secs(30));
            assert!(rate + rate / 50 >= limits.probes, "seed {seed}: {rate}");
            assert!(
                run.changes.iter().all(|change| change.reason == CLEAN),
                "seed {seed}: {:?}",
                run.changes
            );
            // Those who are asked again are no burden.
            assert!(run.questions <= 16 * 34, "{}", run.questions);
        }
    }
}

#[test]
fn a_line_that_is_too_narrow_slows_the_pace_to_what_it_bears() {
    for seed in 0..12 {
        for (limits, capacity) in [(DEFAULT, 60), (DEFAULT, 120), (AGREED, 300)] {
            let mut run = Run::new(limits, capacity, seed);
            run.find();
            run.pass(Duration::from_secs(8));
            let lowered: Vec<&Change> = run
                .changes
                .iter()
                .filter(|change| change.reason != CLEAN)
                .collect();
            assert!(!lowered.is_empty(), "seed {seed}, {capacity}/s");
            assert!(
                lowered
                    .iter()
                    .all(|change| change.reason.contains("devices found before")),
                "{lowered:?}"
            );
            let rate = run.pass(Duration::from_secs(40));
            assert!(
                rate < limits.probes * 4 / 5 && rate <= capacity * 3 / 2 && rate >= 20,
                "seed {seed}: {rate}/s on a line of {capacity}/s"
            );
        }
    }
}

#[test]
fn a_line_that_was_full_before_the_first_answer_is_noticed() {
    for seed in 0..10 {
        let mut run = Run::new(AGREED, 150, seed);
        run.pass(Duration::from_secs(2));
        run.find();
        run.pass(Duration::from_secs(4));
        assert!(
            run.changes.iter().any(|change| change.reason != CLEAN),
            "seed {seed}"
        );
    }
}

#[test]
fn the_pace_comes_back_when_the_line_does() {
    for seed in 0..10 {
        let mut run = Run::new(DEFAULT, 60, seed);
        run.find();
        run.pass(Duration::from_secs(15));
        run.line.capacity = 1_000;
        run.pass(Duration::from_secs(15));
        let rate = run.pass(Duration::from_secs(5));
        assert!(rate >= 190, "seed {seed}: {rate}");
    }
}

#[test]
fn where_nobody_answers_echo_requests_searches_show_the_loss() {
    for seed in 0..10 {
        let mut run = Run::new(DEFAULT, 1_000, seed);
        (run.echoing, run.deaf, run.line.loss) = (0, 12, 60);
        run.find();
        run.pass(Duration::from_secs(14));
        let reason = "questions to devices found before were not answered";
        assert!(
            run.changes
                .iter()
                .any(|change| change.reason.ends_with(reason)),
            "seed {seed}: {:?}",
            run.changes
        );
        // Three echo requests that say nothing, and one search: no more.
        assert!(run.questions <= 4 * 12, "{}", run.questions);
    }
}

#[test]
fn one_device_that_goes_away_is_no_loss_of_the_line() {
    let mut run = Run::new(DEFAULT, 1_000, 3);
    run.echoing = 3;
    run.find();
    run.pass(Duration::from_secs(3));
    run.gone.push(device(1));
    run.pass(Duration::from_secs(20));
    let rate = run.pass(Duration::from_secs(5));
    assert!(rate >= 190, "{rate}: {:?}", run.changes);
}

#[test]
fn a_little_loss_and_forged_answers_change_nothing() {
    let mut run = Run::new(DEFAULT, 1_000, 3);
    run.line.loss = 2;
    run.find();
    for _ in 0..30 {
        run.pass(Duration::from_secs(1));
        for sequence in 0..200 {
            let now = run.now;
            run.throttle
                .on_echo(now, Ipv4Addr::new(192, 0, 2, 1), sequence);
            run.throttle.on_search(now, device(1));
        }
    }
    assert!(
        run.changes.iter().all(|change| change.reason == CLEAN),
        "{:?}",
        run.changes
    );
}

#[test]
fn a_device_that_answers_without_end_is_asked_no_more_often() {
    for echoing in [0, 12] {
        let mut run = Run::new(DEFAULT, 1_000, 3);
        (run.echoing, run.deaf) = (echoing, 12 - echoing);
        for _ in 0..2_000 {
            run.find();
            for number in 0..12 {
                let now = run.now;
                run.throttle.on_search(now, device(number));
            }
            run.pass(Duration::from_millis(5));
        }
        assert!(run.questions <= 16 * 10 + 12, "{}", run.questions);
    }
}

#[test]
fn connections_are_slowed_with_the_probes() {
    let start = Instant::now();
    let mut throttle = Throttle::new(start, AGREED, false, 1);
    let mut now = start;
    while throttle.look(now).is_some() || now < start + Duration::from_secs(2) {
        now += Duration::from_millis(10);
    }
    let connects = |throttle: &mut Throttle, mut now: Instant| {
        let (end, mut count) = (now + Duration::from_secs(1), 0_u32);
        while now < end {
            while throttle.connect_at() <= now {
                throttle.connect(now);
                count += 1;
            }
            now += Duration::from_millis(1);
        }
        count
    };
    let before = connects(&mut throttle, now);
    now += Duration::from_secs(1);
    let change = throttle.overrun(now).unwrap();
    assert_eq!(change.rate, 1_000);
    now += Duration::from_secs(1);
    let after = connects(&mut throttle, now);
    assert!((95..=103).contains(&before), "{before}");
    assert!((46..=53).contains(&after), "{after}");
}
