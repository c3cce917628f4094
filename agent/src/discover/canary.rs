//! Whether the network bears the pace: some devices that were found are asked again and again.
//!
//! An echo request gives the time of a round trip and shows what is lost. A device that answers none
//! is searched once more instead, which shows loss only: it may take three seconds to answer a
//! search. No IO and no clock in here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Devices that are asked again.
const BIRDS_MAX: usize = 16;
/// Devices that are ever asked again in one discovery.
const EVER_MAX: usize = 1_024;
/// The least time between two questions to one device.
const GAP: Duration = Duration::from_millis(500);
/// Questions per second: this part of the pace, within these bounds.
const PART: u32 = 25;
const SLOWEST: u32 = 4;
const FASTEST: u32 = 16;
/// When an echo request counts as lost.
const ECHO_WAIT: Duration = Duration::from_secs(1);
/// When a search counts as lost: what `MX: 3` allows, and a little more.
const SEARCH_WAIT: Duration = Duration::from_millis(3_500);
/// How long an outcome counts.
const WINDOW: Duration = Duration::from_secs(4);
/// Outcomes without which nothing is concluded.
const ENOUGH: usize = 4;
/// Lost ones without which nothing is concluded.
const LOST_MIN: usize = 2;
/// More than one in this many lost is too much.
const LOST_PART: usize = 5;
/// How many times the shortest round trip is too long, for most of them.
const SLOW_TIMES: u32 = 3;
/// What a round trip may vary by without any meaning: this computer is busy too.
const SLOW_MIN: Duration = Duration::from_millis(20);
/// Unanswered echo requests after which a device is one that answers none.
const ECHOLESS: u8 = 3;
/// Questions missed in a row after which a device is gone, where others answer.
const GONE: u8 = 5;
/// How long a lowered pace is held at most where nothing is known of its effect.
const HOLD: Duration = Duration::from_secs(5);
/// Sequence numbers below are those of the sweep.
const FIRST_SEQUENCE: u16 = 2;

/// What is sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Echo { to: Ipv4Addr, sequence: u16 },
    Search(Ipv4Addr),
}

/// What the answers say of the pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing speaks against it.
    Borne,
    /// It was lowered a moment ago, and what that did is not known yet.
    Open,
    /// Too much is lost.
    Loss { lost: usize, of: usize },
    /// Round trips take too long.
    Slow { now: Duration, before: Duration },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Echo,
    Search,
}

/// A device that is asked again.
#[derive(Debug)]
struct Bird {
    way: Way,
    /// Whether it can be searched once more.
    searchable: bool,
    /// Whether it is behind a router.
    routed: bool,
    /// Whether it has answered an echo request.
    echoes: bool,
    asked: Option<Instant>,
    missed: u8,
}

/// A question without an answer yet.
#[derive(Debug)]
struct Asked {
    of: Ipv4Addr,
    at: Instant,
    sequence: Option<u16>,
}

#[derive(Debug)]
struct Outcome {
    of: Ipv4Addr,
    asked: Instant,
    settled: Instant,
    /// Whether an answer came, and for an echo how long it and the shortest one took.
    answer: Option<Option<(Duration, Duration)>>,
}

/// The devices that are asked again, and what came of it.
#[derive(Debug)]
pub(crate) struct Canaries {
    echo: bool,
    birds: BTreeMap<Ipv4Addr, Bird>,
    /// Who is or was one: nobody gets a second turn, however often it answers.
    ever: BTreeSet<Ipv4Addr>,
    turns: VecDeque<Ipv4Addr>,
    /// The shortest round trip of each /24: its hosts are behind the same line, and those found later
    /// may never have seen it empty.
    shortest: BTreeMap<u32, Duration>,
    asked: VecDeque<Asked>,
    outcomes: VecDeque<Outcome>,
    sequence: u16,
    last: Option<Instant>,
    lowered: Option<Instant>,
    echo_asked: u32,
    echo_answered: u32,
}

impl Canaries {
    /// `echo`: whether echo requests can be sent.
    pub(crate) const fn new(echo: bool) -> Self {
        Self {
            echo,
            birds: BTreeMap::new(),
            ever: BTreeSet::new(),
            turns: VecDeque::new(),
            shortest: BTreeMap::new(),
            asked: VecDeque::new(),
            outcomes: VecDeque::new(),
            sequence: FIRST_SEQUENCE,
            last: None,
            lowered: None,
            echo_asked: 0,
            echo_answered: 0,
        }
    }

    /// A device was found; `searchable` if it answered a search and may be searched once more,
    /// `routed` if it is behind a router.
    pub(crate) fn add(&mut self, device: Ipv4Addr, searchable: bool, routed: bool) {
        if (!self.echo && !searchable)
            || self.birds.len() >= BIRDS_MAX
            || self.ever.len() >= EVER_MAX
            || !self.ever.insert(device)
        {
            return;
        }
        let way = if self.echo { Way::Echo } else { Way::Search };
        self.birds.insert(
            device,
            Bird {
                way,
                searchable,
                routed,
                echoes: false,
                asked: None,
                missed: 0,
            },
        );
        self.turns.push_front(device);
    }

    /// The next question that is due at a pace. A question that is given out counts as sent.
    pub(crate) fn next(&mut self, now: Instant, rate: u32) -> Option<Question> {
        self.expire(now);
        let interval = Duration::from_secs(1) / (rate / PART).clamp(SLOWEST, FASTEST);
        let first = self.turns.front()?;
        let bird = self.birds.get(first)?;
        // The first question to a device does not wait.
        let early = |asked: Option<Instant>, gap| asked.is_some_and(|asked| now < asked + gap);
        if early(bird.asked, GAP) || (bird.asked.is_some() && early(self.last, interval)) {
            return None;
        }
        let to = self.turns.pop_front()?;
        let bird = self.birds.get_mut(&to)?;
        let is_first = bird.asked.replace(now).is_none();
        self.last = Some(now);
        let (question, sequence) = match bird.way {
            Way::Search => (Question::Search(to), None),
            Way::Echo => {
                self.echo_asked += u32::from(is_first && bird.routed);
                let sequence = self.sequence;
                self.sequence = sequence.checked_add(1).unwrap_or(FIRST_SEQUENCE);
                self.turns.push_back(to);
                (Question::Echo { to, sequence }, Some(sequence))
            }
        };
        self.asked.push_back(Asked {
            of: to,
            at: now,
            sequence,
        });
        Some(question)
    }

    /// A device answered an echo request.
    pub(crate) fn on_echo(&mut self, now: Instant, from: Ipv4Addr, sequence: u16) {
        self.on_answer(now, from, Some(sequence));
    }

    /// A device answered a search.
    pub(crate) fn on_search(&mut self, now: Instant, from: Ipv4Addr) {
        self.on_answer(now, from, None);
    }

    /// Whether echo requests come through to most devices behind a router.
    pub(crate) const fn echoes_pass(&self) -> bool {
        self.echo_asked > 0 && self.echo_answered.saturating_mul(2) >= self.echo_asked
    }

    /// What the answers of the last seconds say.
    pub(crate) fn verdict(&mut self, now: Instant) -> Verdict {
        self.expire(now);
        self.outcomes
            .retain(|outcome| now.saturating_duration_since(outcome.settled) <= WINDOW);
        let of = self.outcomes.len();
        let lost = self
            .outcomes
            .iter()
            .filter(|outcome| outcome.answer.is_none())
            .count();
        let mut trips: Vec<(Duration, Duration)> = self
            .outcomes
            .iter()
            .filter_map(|outcome| outcome.answer.flatten())
            .collect();
        if of >= ENOUGH && lost >= LOST_MIN && lost.saturating_mul(LOST_PART) > of {
            return Verdict::Loss { lost, of };
        }
        trips.sort_by_key(|(took, shortest)| took.saturating_sub(*shortest));
        if trips.len() >= ENOUGH
            && let Some((took, shortest)) = trips.get(trips.len() / 2)
            && *took > shortest.saturating_mul(SLOW_TIMES)
            && *took > *shortest + SLOW_MIN
        {
            return Verdict::Slow {
                now: *took,
                before: *shortest,
            };
        }
        let held = self
            .lowered
            .is_some_and(|at| now.saturating_duration_since(at) < HOLD);
        if held && of < ENOUGH && !self.birds.is_empty() {
            Verdict::Open
        } else {
            Verdict::Borne
        }
    }

    /// The pace was lowered: what was asked before says nothing of the new one.
    pub(crate) fn lowered(&mut self, now: Instant) {
        self.lowered = Some(now);
        self.outcomes.clear();
    }

    fn on_answer(&mut self, now: Instant, from: Ipv4Addr, sequence: Option<u16>) {
        let place = self
            .asked
            .iter()
            .position(|asked| asked.of == from && asked.sequence == sequence);
        let Some(asked) = place.and_then(|place| self.asked.remove(place)) else {
            return;
        };
        let Some(bird) = self.birds.get_mut(&from) else {
            return;
        };
        let missed = std::mem::take(&mut bird.missed);
        let mut trip = None;
        let mut lost_before = 0;
        if sequence.is_some() {
            // What was missed before the first answer was lost, then: it is a device that answers.
            if !std::mem::replace(&mut bird.echoes, true) {
                lost_before = missed;
                self.echo_answered += u32::from(bird.routed);
            }
            let took = now.saturating_duration_since(asked.at);
            let shortest = self.shortest.entry(u32::from(from) >> 8).or_insert(took);
            *shortest = took.min(*shortest);
            trip = Some((took, *shortest));
        } else {
            self.birds.remove(&from);
        }
        for _ in 0..lost_before {
            self.settle(now, &asked, None);
        }
        self.settle(now, &asked, Some(trip));
    }

    /// Gives up questions whose time has passed.
    fn expire(&mut self, now: Instant) {
        let is_over = |asked: &Asked| {
            let wait = asked.sequence.map_or(SEARCH_WAIT, |_| ECHO_WAIT);
            now >= asked.at + wait
        };
        // Searches wait longer than echo requests, so that the order is not that of the ends.
        let mut place = 0;
        while let Some(asked) = self.asked.get(place) {
            if !is_over(asked) {
                place += 1;
            } else if let Some(asked) = self.asked.remove(place) {
                self.miss(now, &asked);
            }
        }
    }

    fn miss(&mut self, now: Instant, asked: &Asked) {
        let others_answer = self
            .birds
            .iter()
            .any(|(other, bird)| *other != asked.of && bird.missed == 0 && bird.echoes);
        let Some(bird) = self.birds.get_mut(&asked.of) else {
            return;
        };
        bird.missed = bird.missed.saturating_add(1);
        if asked.sequence.is_none() {
            self.birds.remove(&asked.of);
        } else if !bird.echoes {
            // It has never answered one: that is its way, or loss that others will show.
            if bird.missed >= ECHOLESS {
                bird.way = Way::Search;
                if !bird.searchable {
                    self.drop_bird(asked.of);
                }
            }
            return;
        } else if bird.missed >= GONE && others_answer {
            self.drop_bird(asked.of);
            return;
        }
        self.settle(now, asked, None);
    }

    fn drop_bird(&mut self, device: Ipv4Addr) {
        self.birds.remove(&device);
        self.turns.retain(|turn| *turn != device);
        self.outcomes.retain(|outcome| outcome.of != device);
    }

    fn settle(
        &mut self,
        now: Instant,
        asked: &Asked,
        answer: Option<Option<(Duration, Duration)>>,
    ) {
        if self.lowered.is_some_and(|lowered| asked.at < lowered) {
            return;
        }
        self.outcomes.push_back(Outcome {
            of: asked.of,
            asked: asked.at,
            settled: now,
            answer,
        });
        debug_assert!(self.outcomes.iter().all(|kept| kept.asked <= kept.settled));
    }
}
