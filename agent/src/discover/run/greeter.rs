//! Greetings in progress: one connection at a time per host, a bound on all of them.

use std::collections::{BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::discover::greet::{Greeted, greet};

/// The least time between two connections to one host.
const GAP: Duration = Duration::from_millis(250);
/// Ports taken over from announcements.
const LEARNT_MAX: usize = 4;
/// Hosts that wait; further ones are left out.
const WAITING_MAX: usize = 1 << 20;
/// How often a connection is tried that this computer had no room for.
const TRIES: u8 = 3;

/// One connection to be made.
#[derive(Clone, Copy, Debug)]
struct Turn {
    host: Ipv4Addr,
    /// The position in the list of ports.
    port: usize,
    from: Instant,
    tries: u8,
}

/// What came of a connection.
pub(super) struct Outcome {
    pub(super) host: Ipv4Addr,
    pub(super) port: u16,
    pub(super) greeted: Greeted,
}

/// The greetings of one discovery.
pub(super) struct Greeter {
    ports: Vec<u16>,
    bind: Option<Ipv4Addr>,
    parallel: usize,
    /// Ordered by time: a host's next port is due after every turn that waits already, or soon.
    waiting: VecDeque<Turn>,
    later: VecDeque<Turn>,
    seen: BTreeSet<Ipv4Addr>,
    tasks: JoinSet<(Turn, u16, Greeted)>,
}

impl Greeter {
    pub(super) fn new(ports: Vec<u16>, bind: Option<Ipv4Addr>, parallel: u16) -> Self {
        Self {
            ports,
            bind,
            parallel: usize::from(parallel.max(1)),
            waiting: VecDeque::new(),
            later: VecDeque::new(),
            seen: BTreeSet::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Puts a host at the end of the queue, once.
    pub(super) fn add(&mut self, host: Ipv4Addr, now: Instant) {
        if self.seen.len() < WAITING_MAX && self.seen.insert(host) {
            self.waiting.push_back(Turn {
                host,
                port: 0,
                from: now,
                tries: 0,
            });
        }
    }

    /// Takes over a port that devices announce.
    pub(super) fn learn(&mut self, port: u16, configured: usize) {
        if port != 0 && !self.ports.contains(&port) && self.ports.len() < configured + LEARNT_MAX {
            self.ports.push(port);
        }
    }

    /// Whether a connection could be begun now.
    pub(super) fn is_ready(&mut self, now: Instant) -> bool {
        while let Some(turn) = self.later.front().copied().filter(|turn| turn.from <= now) {
            self.later.pop_front();
            self.waiting.push_front(turn);
        }
        self.tasks.len() < self.parallel && !self.waiting.is_empty()
    }

    /// When a host's next port is due; `None` if none waits for its time.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.later.front().map(|turn| turn.from)
    }

    /// Begins a connection.
    pub(super) fn begin(&mut self) {
        let Some(turn) = self.waiting.pop_front() else {
            return;
        };
        let Some(port) = self.ports.get(turn.port).copied() else {
            return;
        };
        let (to, bind) = (SocketAddrV4::new(turn.host, port), self.bind);
        self.tasks
            .spawn(async move { (turn, port, greet(to, bind).await) });
    }

    /// Waits for a connection to end; for ever if there is none.
    pub(super) async fn ended(&mut self) -> Outcome {
        loop {
            match self.tasks.join_next().await {
                Some(Ok((turn, port, greeted))) => {
                    self.go_on(turn, &greeted);
                    return Outcome {
                        host: turn.host,
                        port,
                        greeted,
                    };
                }
                // A greeting that was torn down says nothing.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Whether nothing waits and nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.later.is_empty() && self.tasks.is_empty()
    }

    fn go_on(&mut self, turn: Turn, greeted: &Greeted) {
        let from = Instant::now() + GAP;
        match greeted {
            Greeted::Tvt(_) => {}
            Greeted::NoRoom if turn.tries < TRIES => {
                self.later.push_back(Turn {
                    from,
                    tries: turn.tries + 1,
                    ..turn
                });
            }
            Greeted::Other | Greeted::Nothing | Greeted::NoRoom => {
                let port = turn.port + 1;
                if port < self.ports.len() {
                    self.later.push_back(Turn {
                        port,
                        from,
                        tries: 0,
                        ..turn
                    });
                }
            }
        }
    }
}
