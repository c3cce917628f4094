//! Moving bytes and timers: what is sent and what an answer means is decided elsewhere.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tvtfleet_proto::device::ssdp;
use tvtfleet_proto::model::discovery::{
    Claims, DiscoverOptions, DiscoverReport, Method, SweepCursor,
};

use super::ears::Ears;
use super::greeter::{Greeter, Outcome};
use super::library::LibrarySearch;
use super::setup::{Setup, no_multicast};
use crate::discover::canary::Question;
use crate::discover::event::{DiscoverContext, DiscoverError, DiscoverEvent};
use crate::discover::greet::Greeted;
use crate::discover::listen::{self, Heard};
use crate::discover::losses::Losses;
use crate::discover::merge::{Added, Seen, Sightings};
use crate::discover::multicast::Shot;
use crate::discover::neighbours;
use crate::discover::politeness::{Record, Sent};
use crate::discover::sweep::{Next, Sweep};
use crate::discover::throttle::{Change, Throttle};
use crate::discover::trouble::{self, Fate, sent};

/// The longest sleep while something is under way.
const TICK: Duration = Duration::from_millis(50);
/// How often progress is told, and the neighbour table read.
const PROGRESS: Duration = Duration::from_millis(250);
const NEIGHBOURS: Duration = Duration::from_millis(500);
/// How long a host found by other means is left to answer searches before it is greeted.
const CANDIDATE_GRACE: Duration = Duration::from_millis(2_200);
/// How long the last echo requests are waited for.
const ECHO_WAIT: Duration = Duration::from_millis(800);
/// The sequence number of the sweep's own echo requests.
const ECHO_SEQUENCE: u16 = 1;
/// Hosts outside the sweep that are greeted.
const CANDIDATES_MAX: usize = 4_096;
/// Probes sent in one go before anything else is looked at.
const AT_ONCE: usize = 64;

/// One discovery in progress.
pub(super) struct Driver {
    options: DiscoverOptions,
    context: DiscoverContext,
    events: mpsc::Sender<DiscoverEvent>,
    began: Instant,
    message: String,
    own: Vec<Ipv4Net>,
    shots: std::vec::IntoIter<Shot>,
    next_shot: Option<Shot>,
    last_shot: Option<Instant>,
    ears: Ears,
    sweep: Sweep,
    throttle: Throttle,
    /// A probe that the kernel had no room for.
    held: Option<Next>,
    greeter: Greeter,
    library: LibrarySearch,
    /// What hosts that are no device yet say of themselves.
    candidates: BTreeMap<Ipv4Addr, Claims>,
    sightings: Sightings,
    record: Record,
    notes: Vec<String>,
    next_progress: Instant,
    next_neighbours: Instant,
    losses: Losses,
    abandoned: bool,
    /// The networks of the sweep; empty until it has come to its end.
    covered: Vec<Ipv4Net>,
}

impl Driver {
    pub(super) fn new(
        setup: Setup,
        context: DiscoverContext,
        events: mpsc::Sender<DiscoverEvent>,
    ) -> Self {
        let now = Instant::now();
        let addresses = setup.plan.hosts.len();
        let mut shots = setup.shots.into_iter();
        let next_shot = shots.next();
        let ports = setup.options.tcp_ports.clone();
        let (bind, parallel) = (setup.options.bind, setup.options.parallel);
        let searched = setup.options.methods.contains(&Method::Mhed);
        Self {
            record: Record::new(now, setup.limits.probes, addresses),
            throttle: Throttle::new(now, setup.limits, setup.echo.is_some(), setup.seed),
            message: setup.message.to_string(),
            own: setup.own,
            shots,
            next_shot,
            last_shot: None,
            ears: Ears::new(
                setup.searches,
                setup.groups,
                setup.sweep,
                setup.echo,
                searched,
            ),
            sweep: Sweep::new(setup.plan),
            held: None,
            greeter: Greeter::new(ports, bind, parallel),
            library: LibrarySearch::default(),
            candidates: BTreeMap::new(),
            sightings: Sightings::default(),
            notes: setup.notes,
            next_progress: now,
            next_neighbours: now,
            losses: Losses::default(),
            abandoned: false,
            covered: setup.covered,
            began: now,
            options: setup.options,
            context,
            events,
        }
    }

    pub(super) async fn run(
        mut self,
        cancel: &CancellationToken,
    ) -> Result<DiscoverReport, DiscoverError> {
        let addresses = self.record.so_far().addresses;
        if addresses > 0 {
            let rate = self.record.so_far().rate;
            self.tell(DiscoverEvent::Sweeping { addresses, rate });
        }
        for note in self.notes.clone() {
            self.tell(DiscoverEvent::Note(note));
        }
        self.ears.open().await;
        self.began = Instant::now();
        self.library = LibrarySearch::begin(&self.options, &self.context.vendor);
        let covered = std::mem::take(&mut self.covered);
        while !self.abandoned && !cancel.is_cancelled() {
            let now = Instant::now();
            self.hear(now);
            self.look_around(now);
            self.shoot(now);
            self.check_multicast()?;
            let wake = self.probe(now).min(self.greet(now));
            if self.is_over(now) {
                self.covered = covered;
                break;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => {}
                outcome = self.greeter.ended() => self.on_greeted(Instant::now(), outcome),
                found = self.library.ended() => self.on_searched(Instant::now(), found),
                () = self.ears.ready() => {}
                () = sleep_until(wake.into()) => {}
            }
        }
        Ok(self.finish())
    }

    /// Whether searches by multicast leave this computer, where nothing else is to be done.
    fn check_multicast(&self) -> Result<(), DiscoverError> {
        let so_far = self.record.so_far();
        let wants = |method| self.options.methods.contains(&method);
        let only =
            so_far.addresses == 0 && !wants(Method::Announcements) && !wants(Method::Neighbours);
        if self.last_shot.is_none() || so_far.multicast > 0 || !only {
            return Ok(());
        }
        Err(no_multicast(&self.notes))
    }

    fn is_over(&self, now: Instant) -> bool {
        let passed = |since: Option<Instant>, wait| since.is_none_or(|since| now >= since + wait);
        let wait = self.options.wait;
        // Without any search there is still something to listen to.
        let listens = self.ears.groups.is_empty() || now >= self.began + wait;
        listens
            && self.next_shot.is_none()
            && self.held.is_none()
            && self.sweep.is_done()
            && passed(self.last_shot, wait)
            && passed(
                self.sweep
                    .last_search()
                    .filter(|_| self.ears.sweep.is_some()),
                wait,
            )
            && passed(self.sweep.last_probe(), ECHO_WAIT)
            && (self.candidates.is_empty() || now >= self.began + CANDIDATE_GRACE)
            && self.greeter.is_idle()
            && self.library.is_over()
    }

    /// Takes in what has come.
    fn hear(&mut self, now: Instant) {
        let Self {
            ears,
            sweep,
            message,
            record,
            throttle,
            ..
        } = self;
        let (mut heard, mut unasked) = (Vec::new(), 0);
        let dropped = ears.hear(now, |datagram| {
            if let Some(sequence) = datagram.echo {
                sweep.on_alive(datagram.from, true);
                throttle.on_echo(now, datagram.from, sequence);
            } else if let Some(ear) = datagram.ear {
                if ear == listen::Ear::Sweep && !sweep.has_asked(datagram.from) {
                    unasked += 1;
                    return;
                }
                heard.extend(listen::read(
                    ear,
                    datagram.from,
                    datagram.interface,
                    message,
                    datagram.bytes,
                ));
            }
        });
        record.dropped(dropped + unasked);
        for heard in heard {
            match heard {
                Heard::Device(seen) => self.on_device(now, *seen),
                Heard::Candidate(at, claims) => self.on_candidate(at, *claims),
            }
        }
        self.read_errors(now);
    }

    fn on_device(&mut self, now: Instant, mut seen: Seen) {
        if seen.interface.is_none() && seen.method != Method::Tcp {
            let (ears, source) = (&self.ears, seen.source);
            seen.interface = ears
                .searches
                .iter()
                .find(|(interface, _)| interface.network.contains(&source))
                .map(|(interface, _)| interface.name.clone());
        }
        let by_search = seen.method == Method::Sweep;
        if by_search {
            self.throttle.on_search(now, seen.source);
        }
        if self.sweep.has_asked(seen.source) {
            let routed = !self.own.iter().any(|net| net.contains(&seen.source));
            let searchable = by_search && self.sweep.is_first_round();
            self.throttle.found(seen.source, searchable, routed);
        }
        self.sweep.on_answer(seen.source);
        if let Some(announced) = seen.claims.address {
            self.sweep.on_answer(announced);
        }
        self.greeter
            .learn(seen.claims.data_port, self.options.tcp_ports.len());
        match self.sightings.add(seen) {
            Added::New(number) => {
                if let Some(device) = self.sightings.device(number) {
                    self.tell(DiscoverEvent::Found(Box::new(device)));
                }
            }
            Added::More(number) => {
                if let Some(device) = self.sightings.device(number) {
                    self.tell(DiscoverEvent::Updated(Box::new(device)));
                }
            }
            Added::Nothing => {}
            Added::Dropped => self.record.dropped(1),
        }
    }

    /// A host that may be a device. Only those in the sweep or in a network of ours are greeted: the
    /// sender of a datagram can be forged.
    fn on_candidate(&mut self, at: Ipv4Addr, claims: Claims) {
        let in_sweep = self.sweep.has_asked(at);
        let wanted = self.options.methods.contains(&Method::Tcp)
            && (in_sweep || self.own.iter().any(|net| net.contains(&at)))
            && !self.options.excludes.iter().any(|net| net.contains(&at))
            && self.context.policy.check_address(at.into()).is_ok();
        if wanted && (self.candidates.len() < CANDIDATES_MAX || self.candidates.contains_key(&at)) {
            let kept = self.candidates.entry(at).or_default();
            if *kept == Claims::default() {
                *kept = claims;
            }
            if in_sweep {
                self.sweep.on_alive(at, false);
            }
        }
    }

    fn read_errors(&mut self, now: Instant) {
        let Some(socket) = &self.ears.sweep else {
            return;
        };
        let (sweep, throttle, own) = (&mut self.sweep, &mut self.throttle, &self.own);
        let (mut no_room, mut change) = (false, None);
        let mut each = |about, fate| match fate {
            Fate::Refused => sweep.on_alive(about, false),
            Fate::Unreachable { router } => {
                sweep.on_dark(about, router);
                // In our own network this computer says it itself.
                if router && !own.iter().any(|net| net.contains(&about)) {
                    change = throttle.unreachable(now).or(change.take());
                }
            }
            Fate::NoRoom => no_room = true,
            Fate::Queued => {}
        };
        trouble::drain(socket, &mut each);
        if let Some(echo) = &self.ears.echo {
            trouble::drain(&echo.socket, &mut each);
        }
        self.changed(now, change);
        if no_room {
            self.overrun(now);
        }
    }

    /// What costs nothing: the neighbour table, the clock, and telling how far it is.
    fn look_around(&mut self, now: Instant) {
        let change = self.throttle.look(now);
        self.changed(now, change);
        if now >= self.next_neighbours {
            self.next_neighbours = now + NEIGHBOURS;
            if self.losses.grew() {
                let change = self.throttle.lost(now);
                self.changed(now, change);
            }
            if self.options.methods.contains(&Method::Neighbours) {
                self.read_neighbours(now);
            }
        }
        if now >= self.next_progress {
            self.next_progress = now + PROGRESS;
            let (done, total) = self.sweep.progress();
            let found = u64::try_from(self.sightings.len()).unwrap_or(u64::MAX);
            let cursor = self.cursor();
            self.tell(DiscoverEvent::Progress {
                done,
                total,
                found,
                cursor,
            });
        }
    }

    fn read_neighbours(&mut self, now: Instant) {
        // Absent in some containers: then there is nothing to learn from it.
        let Ok(table) = neighbours::read() else {
            return;
        };
        for neighbour in table {
            let ours = self.options.interfaces.is_empty()
                || self.options.interfaces.contains(&neighbour.interface);
            let in_sweep = self.sweep.has_asked(neighbour.address);
            if self.sightings.lacks_mac(neighbour.address) {
                let claims = Claims {
                    mac: Some(neighbour.mac),
                    ..Claims::default()
                };
                self.on_device(
                    now,
                    Seen::new(Method::Neighbours, neighbour.address, claims),
                );
            } else if in_sweep {
                self.sweep.on_alive(neighbour.address, false);
            } else if ours && self.options.subnets.is_empty() {
                self.on_candidate(neighbour.address, Claims::default());
            }
        }
    }

    /// Sends the multicast datagrams that are due.
    fn shoot(&mut self, now: Instant) {
        while let Some(shot) = self
            .next_shot
            .take_if(|shot| now >= self.began + shot.after)
        {
            for (interface, socket) in &self.ears.searches {
                let ttl = socket2::SockRef::from(socket).set_multicast_ttl_v4(shot.ttl);
                let sent =
                    ttl.and_then(|()| socket.try_send_to(&shot.datagram, SocketAddr::V4(shot.to)));
                match sent {
                    Ok(_) => self.record.sent(now, Sent::Multicast),
                    Err(error) => {
                        self.record.send_error();
                        tracing::debug!(%error, interface = interface.name, "multicast not sent");
                        if shot.after.is_zero() {
                            self.notes.push(format!(
                                "multicast to {} cannot be sent on {}: {error}",
                                shot.to, interface.name
                            ));
                        }
                    }
                }
            }
            self.last_shot = Some(now);
            self.next_shot = self.shots.next();
        }
    }

    /// Sends the probes that may go; says when to come back.
    fn probe(&mut self, now: Instant) -> Instant {
        let latest = self
            .next_shot
            .as_ref()
            .map_or(now + TICK, |shot| (now + TICK).min(self.began + shot.after));
        for _ in 0..AT_ONCE {
            // Asked first, so that a probe is never taken without leave to send it.
            let ready = self.throttle.ready_at();
            if ready > now {
                return ready.min(latest);
            }
            if self.ask_again(now) {
                continue;
            }
            let next = self.held.take().unwrap_or_else(|| self.sweep.next(now));
            let sent = match next {
                Next::Search { to, again } => self.search(now, to, again),
                Next::Echo(to) => self.echo(now, to, ECHO_SEQUENCE),
                Next::Wait(until) => return until.min(latest).max(now),
                Next::Done => return latest,
            };
            if !sent {
                self.held = Some(next);
            }
        }
        now
    }

    /// Asks a device found before whether it still answers, where that is due; false if nothing was
    /// sent.
    fn ask_again(&mut self, now: Instant) -> bool {
        if self.sweep.is_done() && self.greeter.is_idle() {
            return false;
        }
        let question = self.throttle.question(now);
        self.sweep.set_echoes_pass(self.throttle.echoes_pass());
        // One that does not go out is a loss like another.
        match question {
            Some(Question::Echo { to, sequence }) => self.echo(now, to, sequence),
            Some(Question::Search(to)) => self.search(now, to, true),
            None => false,
        }
    }

    fn search(&mut self, now: Instant, to: Ipv4Addr, again: bool) -> bool {
        let Some(socket) = &self.ears.sweep else {
            return true;
        };
        let send = || socket.try_send_to(ssdp::SEARCH, (to, ssdp::PORT).into());
        let fate = sent(send);
        self.on_sent(now, to, fate, Sent::Search { again })
    }

    fn echo(&mut self, now: Instant, to: Ipv4Addr, sequence: u16) -> bool {
        let Some(echo) = &self.ears.echo else {
            return true;
        };
        let fate = sent(|| echo.try_send(to, sequence));
        self.on_sent(now, to, fate, Sent::Echo)
    }

    /// Takes the result of a send; false if the probe has to be sent again.
    fn on_sent(&mut self, now: Instant, to: Ipv4Addr, fate: Result<(), Fate>, what: Sent) -> bool {
        match fate {
            Ok(()) => {
                self.throttle.take(now);
                self.record.sent(now, what);
                true
            }
            Err(Fate::NoRoom) => {
                self.overrun(now);
                false
            }
            Err(Fate::Queued) => {
                self.throttle.rest(now);
                false
            }
            Err(Fate::Unreachable { .. }) => {
                self.record.send_error();
                self.sweep.on_dark(to, false);
                true
            }
            Err(Fate::Refused) => true,
        }
    }

    fn overrun(&mut self, now: Instant) {
        self.record.overrun();
        let change = self.throttle.overrun(now);
        self.changed(now, change);
    }

    fn changed(&mut self, now: Instant, change: Option<Change>) {
        if let Some(change) = change {
            self.record.changed(now, change);
        }
    }

    /// Begins the greetings that are due; says when to come back.
    fn greet(&mut self, now: Instant) -> Instant {
        while let Some(host) = self.sweep.next_lively(now) {
            if !self.sightings.knows(host) {
                self.greeter.add(host, now);
            }
        }
        let candidates_from = self.began + CANDIDATE_GRACE;
        if now >= candidates_from {
            let outside: Vec<Ipv4Addr> = self
                .candidates
                .keys()
                .copied()
                .filter(|at| !self.sweep.has_asked(*at) && !self.sightings.knows(*at))
                .collect();
            for host in outside {
                self.greeter.add(host, now);
            }
        }
        while self.greeter.is_ready(now) {
            let ready = self.throttle.connect_at();
            if ready > now {
                return ready;
            }
            self.throttle.connect(now);
            self.greeter.begin();
            self.record.sent(now, Sent::Connect);
        }
        let due = [
            self.greeter.due_at(),
            self.sweep.lively_at().filter(|at| *at > now),
        ];
        due.into_iter().flatten().fold(now + TICK, Instant::min)
    }

    fn on_greeted(&mut self, now: Instant, outcome: Outcome) {
        if let Greeted::Tvt(claims) = outcome.greeted {
            let mut seen = Seen::new(Method::Tcp, outcome.host, *claims);
            seen.port = Some(outcome.port);
            self.on_device(now, seen);
            if let Some(claims) = self.candidates.get(&outcome.host)
                && *claims != Claims::default()
            {
                let seen = Seen::new(Method::Onvif, outcome.host, claims.clone());
                self.on_device(now, seen);
            }
        }
    }

    fn on_searched(&mut self, now: Instant, (found, note): (Vec<Seen>, Option<String>)) {
        for seen in found {
            self.on_device(now, seen);
        }
        if let Some(note) = note {
            self.tell(DiscoverEvent::Note(note.clone()));
            self.notes.push(note);
        }
    }

    fn tell(&mut self, event: DiscoverEvent) {
        // Events are for display: one that finds no room is left out.
        if let Err(TrySendError::Closed(_)) = self.events.try_send(event) {
            self.abandoned = true;
        }
    }

    fn cursor(&self) -> Option<SweepCursor> {
        self.sweep
            .cursor()
            .map(|(seed, position)| SweepCursor { seed, position })
    }

    fn finish(mut self) -> DiscoverReport {
        let now = Instant::now();
        if self.options.methods.contains(&Method::Neighbours) {
            self.read_neighbours(now);
        }
        self.notes.extend(self.record.notes());
        let cursor = self.cursor();
        DiscoverReport {
            devices: self.sightings.devices(),
            politeness: self.record.finish(now),
            notes: self.notes,
            cursor,
            covered: self.covered,
        }
    }
}
