//! A sweep against a network made up of rules, with virtual time, seeds and loss.

use std::collections::{BTreeMap, BTreeSet};

use super::super::hosts::targets;
use super::super::order::mix;
use super::*;

/// What is at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// Answers searches this many milliseconds later, and echoes.
    Device(u64),
    /// Answers echoes only.
    Quiet,
    /// Answers searches only.
    Pingless,
}

struct Network {
    peers: BTreeMap<Ipv4Addr, Peer>,
    /// Percent of the packets lost, each way.
    loss: u64,
    dice: u64,
}

#[derive(Default)]
struct Log {
    searches: BTreeMap<Ipv4Addr, Vec<Duration>>,
    echoes: BTreeMap<Ipv4Addr, u32>,
    greeted: BTreeSet<Ipv4Addr>,
    answered: BTreeSet<Ipv4Addr>,
    packets: u64,
    took: Duration,
}

impl Log {
    fn found(&self) -> usize {
        self.greeted.union(&self.answered).count()
    }
}

impl Network {
    fn passes(&mut self) -> bool {
        self.dice = mix(self.dice);
        self.dice % 100 >= self.loss
    }

    /// Runs a sweep at `rate` to its end, and 3.2 s on.
    fn run(&mut self, plan: Plan, rate: u32) -> Log {
        let start = Instant::now();
        let (mut now, mut log, mut sweep) = (start, Log::default(), Sweep::new(plan));
        let mut coming: Vec<(Instant, Ipv4Addr, bool)> = Vec::new();
        let interval = Duration::from_secs(1) / rate;
        loop {
            let due: Vec<_> = coming.extract_if(.., |(at, ..)| *at <= now).collect();
            for (_, from, by_echo) in due {
                if by_echo {
                    sweep.on_alive(from, true);
                } else {
                    log.answered.insert(from);
                    sweep.on_answer(from);
                    let pingless = self.peers.get(&from) == Some(&Peer::Pingless);
                    sweep.set_echoes_pass(!pingless);
                }
            }
            while let Some(at) = sweep.next_lively(now) {
                assert!(log.greeted.insert(at), "{at} is greeted twice");
            }
            match sweep.next(now) {
                Next::Search { to, again } => {
                    let times = log.searches.entry(to).or_default();
                    assert_eq!(again, !times.is_empty() && again, "{to}");
                    times.push(now - start);
                    log.packets += 1;
                    let peer = self.peers.get(&to).copied();
                    if let Some(Peer::Device(delay)) = peer
                        && self.passes()
                        && self.passes()
                    {
                        coming.push((now + Duration::from_millis(delay), to, false));
                    } else if peer == Some(Peer::Pingless) && self.passes() && self.passes() {
                        coming.push((now + Duration::from_millis(1), to, false));
                    }
                }
                Next::Echo(to) => {
                    *log.echoes.entry(to).or_default() += 1;
                    log.packets += 1;
                    let peer = self.peers.get(&to);
                    if matches!(peer, Some(Peer::Device(_) | Peer::Quiet))
                        && self.passes()
                        && self.passes()
                    {
                        coming.push((now + Duration::from_millis(1), to, true));
                    }
                }
                Next::Wait(until) => {
                    assert!(until >= now);
                    now = now.max(until).min(now + Duration::from_millis(20));
                }
                Next::Done if sweep.is_done() && coming.is_empty() => break,
                Next::Done => {}
            }
            now += interval;
            assert!(
                now < start + Duration::from_secs(4000),
                "the sweep does not end"
            );
        }
        log.took = now - start;
        log
    }
}

fn plan(network: &str) -> Plan {
    Plan {
        hosts: targets(&[network.parse().unwrap()], &[]),
        seed: 5,
        position: 0,
        rounds: 2,
        echo: true,
        greet: true,
        own: Vec::new(),
        known: Vec::new(),
    }
}

fn at(index: u64) -> Ipv4Addr {
    targets(&["10.50.0.0/16".parse().unwrap()], &[])
        .address(index)
        .unwrap()
}

fn network(peers: impl IntoIterator<Item = (u64, Peer)>, loss: u64) -> Network {
    let peers = peers
        .into_iter()
        .map(|(index, peer)| (at(index), peer))
        .collect();
    Network {
        peers,
        loss,
        dice: 11,
    }
}

#[test]
fn a_small_network_costs_two_searches_and_one_echo_per_dark_address() {
    let devices = (0..10).map(|n| (n * 7, Peer::Device(30)));
    let quiet = (0..4).map(|n| (n * 7 + 3, Peer::Quiet));
    let mut network = network(devices.chain(quiet), 0);
    let log = network.run(plan("10.50.0.0/24"), 200);
    assert_eq!((log.answered.len(), log.greeted.len()), (10, 4));
    assert!(log.searches.values().all(|times| times.len() <= 2));
    assert!(log.echoes.values().all(|count| *count == 1));
    assert!(log.took < Duration::from_millis(4_500), "{:?}", log.took);
}

#[test]
fn no_address_is_searched_again_within_a_second_and_a_half() {
    for rate in [50, 200, 1_000, 10_000] {
        let log = network([(3, Peer::Quiet)], 0).run(plan("10.50.0.0/25"), rate);
        for (to, times) in &log.searches {
            for pair in times.windows(2) {
                assert!(pair[1] - pair[0] >= GAP, "{to} at {rate}/s: {times:?}");
            }
        }
    }
}

#[test]
fn a_host_that_answers_late_is_not_greeted() {
    let log = network([(9, Peer::Device(600))], 0).run(plan("10.50.0.0/24"), 200);
    assert!(log.greeted.is_empty());
    assert_eq!(log.answered.len(), 1);
}

#[test]
fn ten_percent_loss_hides_one_device_in_a_hundred_at_most() {
    let (mut found, mut devices) = (0, 0);
    for seed in 0..20 {
        let heard = (0..114).map(|n| (n * 2, Peer::Device(20)));
        let quiet = (0..18).map(|n| (n * 2 + 1, Peer::Quiet));
        let mut network = network(heard.chain(quiet), 10);
        network.dice = seed;
        found += network.run(plan("10.50.0.0/24"), 200).found();
        devices += 132;
    }
    assert!(found * 100 >= devices * 99, "{found} of {devices}");
}

#[test]
fn a_wide_sweep_finds_all_with_two_packets_per_address_where_echoes_pass() {
    let devices = (0..309).map(|n| (n * 200, Peer::Device(40)));
    let quiet = (0..41).map(|n| (n * 1500 + 7, Peer::Quiet));
    let log = network(devices.chain(quiet), 0).run(plan("10.50.0.0/16"), 2_000);
    assert_eq!((log.answered.len(), log.greeted.len()), (309, 41));
    assert!(log.took < Duration::from_secs(70), "{:?}", log.took);
    assert!(log.packets < 2 * 65_534 + 200, "{}", log.packets);
}

#[test]
fn where_echoes_do_not_pass_a_wide_sweep_searches_twice() {
    let devices = (0..300).map(|n| (n * 10, Peer::Pingless));
    let mut network = network(devices, 10);
    let log = network.run(plan("10.50.0.0/20"), 2_000);
    assert!(log.answered.len() >= 280, "{}", log.answered.len());
    assert!(log.searches.values().any(|times| times.len() == 2));
}

#[test]
fn addresses_of_our_own_network_get_no_echo_and_neighbours_are_greeted() {
    let mut plan = plan("10.50.0.0/24");
    plan.own = vec!["10.50.0.0/24".parse().unwrap()];
    let mut sweep = Sweep::new(plan);
    let start = Instant::now();
    let mut now = start;
    sweep.on_alive(at(9), false);
    let mut greeted = None;
    while now < start + Duration::from_secs(10) {
        assert!(!matches!(sweep.next(now), Next::Echo(_)));
        if let Some(lively) = sweep.next_lively(now) {
            greeted = Some((lively, now));
        }
        now += Duration::from_millis(5);
    }
    let (lively, when) = greeted.unwrap();
    assert_eq!(lively, at(9));
    assert!(when - start > GAP);
    assert!(sweep.is_done());
}

#[test]
fn without_echoes_every_silent_host_of_a_small_network_is_knocked_at() {
    let mut plan = plan("10.50.0.0/28");
    plan.echo = false;
    let log = network([(2, Peer::Pingless)], 0).run(plan, 1_000);
    assert_eq!((log.greeted.len(), log.answered.len()), (13, 1));
}

#[test]
fn unreachable_hosts_and_disowned_networks_are_left_alone() {
    let mut sweep = Sweep::new(plan("10.50.0.0/23"));
    let now = Instant::now();
    for index in 0..8 {
        sweep.on_dark(at(index), true);
    }
    sweep.on_dark(at(400), false);
    let mut asked = BTreeSet::new();
    let mut time = now;
    while time < now + Duration::from_secs(3) {
        if let Next::Search { to, .. } = sweep.next(time) {
            asked.insert(to);
        }
        time += Duration::from_millis(2);
    }
    assert!(asked.iter().all(|to| to.octets()[2] == 1));
    assert_eq!(asked.len(), 254);
}

#[test]
fn known_devices_get_a_third_search() {
    let mut plan = plan("10.50.0.0/28");
    plan.known = vec![at(4), "192.0.2.1".parse().unwrap()];
    let log = network([], 0).run(plan, 1_000);
    assert_eq!(log.searches[&at(4)].len(), 3);
    assert!(
        log.searches
            .iter()
            .all(|(to, times)| *to == at(4) || times.len() == 2)
    );
}

#[test]
fn an_interrupted_sweep_goes_on_where_it_was() {
    let mut first = Sweep::new(plan("10.50.0.0/24"));
    let mut now = Instant::now();
    let mut asked = BTreeSet::new();
    let mut take = |sweep: &mut Sweep, probes: usize| {
        for _ in 0..probes {
            now += Duration::from_millis(5);
            if let Next::Search { to, again: false } = sweep.next(now) {
                assert!(asked.insert(to), "{to} twice");
            }
        }
        asked.len()
    };
    assert_eq!(take(&mut first, 100), 100);
    let (seed, position) = first.cursor().unwrap();
    let mut second = Sweep::new(Plan {
        seed,
        position,
        ..plan("10.50.0.0/24")
    });
    assert_eq!(take(&mut second, 154), 254);
    assert_eq!(take(&mut second, 2), 254);
}
