//! Which address is asked next, and how: the unicast part of a discovery, without IO or clock.
//!
//! Every address is searched in rounds, the next at least 1.5 s after the one before; the rounds
//! overlap with the time that devices take to answer. What stays silent is then asked whether it is
//! alive by an echo request, and who is alive but unknown is handed out for a greeting. Addresses in
//! a network of this computer need no echo: its neighbour table says who is there.
//!
//! In a wide sweep the second round is the echo, where echoes are known to pass: some devices found
//! in the first round are asked all the time. Dark addresses then cost two packets, and who is alive is searched
//! again. Without that knowledge the second round is a search.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;

use super::hosts::Hosts;
use super::marks::Marks;
use super::order::Order;

/// From this many addresses on a sweep is wide: more than a /22 has.
const WIDE: u64 = 1_023;
/// The least time between two probes of one address.
const GAP: Duration = Duration::from_millis(1_500);
/// How long after the last search a host that is alive is left to answer before it is greeted.
const GRACE: Duration = Duration::from_millis(700);
/// Devices that have to answer the first round before no loss is believed.
const NO_LOSS_FROM: u64 = 3;
/// Unreachable messages from a router after which a /24 without any answer is left alone.
const DISOWNED_FROM: u8 = 8;
/// Addresses skipped in one call, so that a call stays short.
const SKIPS_MAX: u32 = 65_536;
/// Points in time kept of a round.
const CHECKPOINTS: u64 = 4_096;

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send the search to an address; `again` if it was searched before.
    Search { to: Ipv4Addr, again: bool },
    /// Send an echo request.
    Echo(Ipv4Addr),
    /// Nothing before that moment.
    Wait(Instant),
    /// All rounds are done.
    Done,
}

/// What a sweep is about.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) hosts: Hosts,
    pub(crate) seed: u64,
    /// Where an interrupted first round goes on.
    pub(crate) position: u64,
    /// Search rounds.
    pub(crate) rounds: u8,
    /// Whether echo requests can be sent.
    pub(crate) echo: bool,
    /// Whether silent hosts are wanted for a greeting at all.
    pub(crate) greet: bool,
    /// The networks of this computer.
    pub(crate) own: Vec<Ipv4Net>,
    /// Where devices were last time.
    pub(crate) known: Vec<Ipv4Addr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Search,
    /// An echo; a search for addresses in a network of this computer.
    EchoOrSearch,
    Echo,
    /// Hands every silent host out for a greeting: where no echo can be sent, the answer to a
    /// connection is the sign of life.
    Knock,
}

/// A sweep in progress.
#[derive(Debug)]
pub(crate) struct Sweep {
    plan: Plan,
    order: Order,
    rounds: VecDeque<Round>,
    searches: u8,
    position: u64,
    /// When each part of the round before was done.
    touched: Vec<Instant>,
    touching: Vec<Instant>,
    stride: u64,
    answered: Marks,
    alive: Marks,
    dark: Marks,
    offered: Marks,
    /// Devices that answered before the first round ended, and after it.
    first_answers: u64,
    late: u64,
    echoed_twice: bool,
    echoes_pass: bool,
    again: VecDeque<Ipv4Addr>,
    lively: VecDeque<Ipv4Addr>,
    disowned: BTreeMap<u32, u8>,
    last_probe: Option<Instant>,
    last_search: Option<Instant>,
    greet_from: Option<Instant>,
    planned: bool,
}

impl Sweep {
    pub(crate) fn new(plan: Plan) -> Self {
        let size = plan.hosts.len();
        let marks = || Marks::new(size);
        let rounds = if size == 0 {
            VecDeque::new()
        } else {
            VecDeque::from([Round::Search])
        };
        Self {
            order: Order::new(size, plan.seed),
            rounds,
            searches: 0,
            position: plan.position.min(size),
            touched: Vec::new(),
            touching: Vec::new(),
            stride: size.div_ceil(CHECKPOINTS).max(16),
            answered: marks(),
            alive: marks(),
            dark: marks(),
            offered: marks(),
            first_answers: 0,
            late: 0,
            echoed_twice: false,
            echoes_pass: false,
            again: VecDeque::new(),
            lively: VecDeque::new(),
            disowned: BTreeMap::new(),
            last_probe: None,
            last_search: None,
            greet_from: None,
            planned: false,
            plan,
        }
    }

    /// What to do at `now`. A probe that is given out counts as sent.
    pub(crate) fn next(&mut self, now: Instant) -> Next {
        if let Some(to) = self.again.pop_front() {
            return self.search(now, to);
        }
        for _ in 0..SKIPS_MAX {
            let Some(round) = self.rounds.front().copied() else {
                return Next::Done;
            };
            let Some(host) = self.order.get(self.position) else {
                self.end_round(now);
                continue;
            };
            if let Some(wait) = self.too_early(now) {
                return Next::Wait(wait);
            }
            self.checkpoint(now);
            self.position += 1;
            let Some(to) = self.plan.hosts.address(host) else {
                continue;
            };
            if self.is_settled(round, host, to) {
                continue;
            }
            match round {
                Round::Search => return self.search(now, to),
                Round::EchoOrSearch if self.is_own(to) => return self.search(now, to),
                Round::EchoOrSearch | Round::Echo => {
                    self.last_probe = Some(now);
                    return Next::Echo(to);
                }
                Round::Knock => {
                    if self.offered.set(host) {
                        self.lively.push_back(to);
                    }
                }
            }
        }
        Next::Wait(now)
    }

    /// A device answered from this address.
    pub(crate) fn on_answer(&mut self, from: Ipv4Addr) {
        let Some(host) = self.plan.hosts.index(from) else {
            return;
        };
        if !self.answered.set(host) {
            return;
        }
        if self.searches == 0 {
            self.first_answers += 1;
        } else {
            self.late += 1;
        }
    }

    /// Whether echo requests come through to devices that were found.
    pub(crate) const fn set_echoes_pass(&mut self, pass: bool) {
        self.echoes_pass = pass;
    }

    /// Whether the first round is still under way.
    pub(crate) fn is_first_round(&self) -> bool {
        self.searches == 0 && !self.rounds.is_empty()
    }

    /// Whether an answer from there can be one to this sweep.
    pub(crate) fn has_asked(&self, from: Ipv4Addr) -> bool {
        self.plan.hosts.index(from).is_some()
    }

    /// There is a host: it answered an echo, refused something, or is a neighbour.
    pub(crate) fn on_alive(&mut self, at: Ipv4Addr, by_echo: bool) {
        let Some(host) = self.plan.hosts.index(at) else {
            return;
        };
        if self.answered.has(host) || !self.alive.set(host) {
            return;
        }
        let in_wide_echo = matches!(self.rounds.front(), Some(Round::EchoOrSearch));
        if in_wide_echo && by_echo {
            self.again.push_back(at);
        }
        if self.plan.greet && self.offered.set(host) {
            self.lively.push_back(at);
        }
    }

    /// Nothing is at this address: it is not asked again. `router` if another host said so.
    pub(crate) fn on_dark(&mut self, at: Ipv4Addr, router: bool) {
        let Some(host) = self.plan.hosts.index(at) else {
            return;
        };
        self.dark.set(host);
        // In our own network the kernel says it itself, host by host.
        if router && !self.is_own(at) {
            let count = self.disowned.entry(u32::from(at) >> 8).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// The next host to be greeted: alive, unknown, and past the time it had to answer.
    pub(crate) fn next_lively(&mut self, now: Instant) -> Option<Ipv4Addr> {
        if self.greet_from.is_none_or(|from| now < from) {
            return None;
        }
        while let Some(at) = self.lively.pop_front() {
            let answered = self
                .plan
                .hosts
                .index(at)
                .is_some_and(|host| self.answered.has(host));
            if !answered {
                return Some(at);
            }
        }
        None
    }

    /// When a host may have to be greeted; `None` if none waits.
    pub(crate) fn lively_at(&self) -> Option<Instant> {
        if self.lively.is_empty() {
            None
        } else {
            self.greet_from
        }
    }

    /// Whether every round is done and nobody waits for a greeting.
    pub(crate) fn is_done(&self) -> bool {
        self.rounds.is_empty() && self.again.is_empty() && self.lively.is_empty()
    }

    /// When the last search went.
    pub(crate) const fn last_search(&self) -> Option<Instant> {
        self.last_search
    }

    /// When the last echo request of a round went.
    pub(crate) const fn last_probe(&self) -> Option<Instant> {
        self.last_probe
    }

    /// Probes done so far and in all, for display.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let size = self.order.len();
        let left = u64::try_from(self.rounds.len()).unwrap_or(u64::MAX);
        let rounds = if self.planned {
            left
        } else {
            u64::from(self.plan.rounds)
        };
        let done_rounds = u64::from(self.searches);
        let total = size.saturating_mul(done_rounds.saturating_add(rounds));
        let within = if left == 0 { 0 } else { self.position };
        (
            size.saturating_mul(done_rounds)
                .saturating_add(within)
                .min(total),
            total,
        )
    }

    /// The seed and position of the first round; `None` once it is done.
    pub(crate) fn cursor(&self) -> Option<(u64, u64)> {
        self.is_first_round()
            .then(|| (self.order.seed(), self.position))
    }

    fn search(&mut self, now: Instant, to: Ipv4Addr) -> Next {
        self.last_search = Some(now);
        Next::Search {
            to,
            again: self.searches > 0,
        }
    }

    /// Whether the address needs nothing in this round.
    fn is_settled(&self, round: Round, host: u64, to: Ipv4Addr) -> bool {
        if self.answered.has(host) {
            return true;
        }
        let dark = self.dark.has(host) || self.is_disowned(to);
        match round {
            Round::Search => dark,
            Round::EchoOrSearch | Round::Echo => {
                let own = self.is_own(to);
                dark || (self.alive.has(host) && !own) || (own && round == Round::Echo)
            }
            Round::Knock => dark || self.is_own(to),
        }
    }

    fn is_disowned(&self, to: Ipv4Addr) -> bool {
        self.disowned
            .get(&(u32::from(to) >> 8))
            .is_some_and(|count| *count >= DISOWNED_FROM)
    }

    fn is_own(&self, to: Ipv4Addr) -> bool {
        self.plan.own.iter().any(|net| net.contains(&to))
    }

    fn is_wide(&self) -> bool {
        self.plan.hosts.len() >= WIDE
    }

    /// When this part of the order may be touched again.
    fn too_early(&self, now: Instant) -> Option<Instant> {
        let part = usize::try_from(self.position / self.stride).unwrap_or(usize::MAX);
        let from = *self.touched.get(part)? + GAP;
        (from > now).then_some(from)
    }

    /// Keeps the time of the last probe of each part, so that none is asked again too early.
    fn checkpoint(&mut self, now: Instant) {
        let part = usize::try_from(self.position / self.stride).unwrap_or(usize::MAX);
        match self.touching.get_mut(part) {
            Some(at) => *at = now,
            // A resumed round has no times for the parts before.
            None => self.touching.resize(part.saturating_add(1), now),
        }
    }

    fn end_round(&mut self, now: Instant) {
        let ended = self.rounds.pop_front();
        self.position = 0;
        self.touched = std::mem::take(&mut self.touching);
        if matches!(ended, Some(Round::Search | Round::EchoOrSearch)) {
            self.searches = self.searches.saturating_add(1);
        }
        if !self.planned {
            self.planned = true;
            self.rounds = self.further_rounds();
        } else if ended == Some(Round::Echo) && !self.echoed_twice && self.loss_is_likely() {
            self.echoed_twice = true;
            self.rounds.push_back(Round::Echo);
        }
        let searching = self.rounds.contains(&Round::Search);
        if !searching && self.greet_from.is_none() {
            self.greet_from = Some(now + GRACE);
            self.ask_known();
        }
    }

    /// What follows the first round.
    fn further_rounds(&self) -> VecDeque<Round> {
        let silent = self.plan.greet;
        let mut rounds = VecDeque::new();
        if self.is_wide() && silent && self.plan.rounds == 2 && self.echoes_pass {
            rounds.push_back(Round::EchoOrSearch);
            return rounds;
        }
        for _ in 1..self.plan.rounds {
            rounds.push_back(Round::Search);
        }
        match (silent, self.plan.echo) {
            (true, true) => rounds.push_back(Round::Echo),
            (true, false) if !self.is_wide() => rounds.push_back(Round::Knock),
            (true | false, _) => {}
        }
        rounds
    }

    /// Whether a second echo may find more: some devices answered only later than the first round,
    /// or there are too few to tell.
    fn loss_is_likely(&self) -> bool {
        !self.is_wide() && (self.late > 0 || self.first_answers < NO_LOSS_FROM)
    }

    /// Asks once more where devices were last time.
    fn ask_known(&mut self) {
        for at in &self.plan.known {
            let silent = self
                .plan
                .hosts
                .index(*at)
                .is_some_and(|host| !self.answered.has(host));
            if silent {
                self.again.push_back(*at);
            }
        }
    }
}

#[cfg(test)]
#[path = "sweep_tests.rs"]
mod tests;
