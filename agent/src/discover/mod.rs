//! Finding the devices of a network: first what costs nothing, then multicast, then a paced sweep,
//! then greetings of hosts that are alive and still unknown.
//!
//! The deciding parts are pure: [`Hosts`] says what is in a sweep, `order` visits it scattered,
//! `pace` says when the next probe may go, `sweep` which one that is, and [`Sightings`] merges what
//! answers into devices. [`run()`] moves bytes and timers. No credential is sent, and what answers is
//! a claim: it makes nothing trusted.
//!
//! Pacing. All unicast probes share one bucket with a burst of 20 ms; connections through a gateway
//! have a slower one as well. Every pace starts at 100 probes per second: the default grows by 50 a
//! second, an agreed one doubles every 150 ms until it is reached or there is trouble. Trouble halves it,
//! down to 20 per second, and every clean second lets it grow again:
//! - a kernel without room (a full neighbour table, reported as `ENOBUFS` because the sockets ask for
//!   errors), which also stops the sweep for 20 ms, and the same address is asked again;
//! - the kernel's counters of full queues and tables, read twice a second;
//! - devices found before, which `canary` asks again: more than a fifth of the questions unanswered, or
//!   round trips of more than three times the shortest;
//! - more than 50 messages of routers in a second that a host cannot be reached.
//!
//! One pace serves all networks of a sweep, so that the weakest line sets it. A closed port or a
//! refused connection shows a host that is alive; an unreachable one is not asked again.

mod canary;
mod consent;
mod echo;
mod event;
mod greet;
mod hosts;
mod interfaces;
mod listen;
mod losses;
mod marks;
mod merge;
mod multicast;
mod neighbours;
mod order;
mod pace;
mod politeness;
mod run;
mod sockets;
mod sweep;
mod throttle;
mod trouble;

pub use consent::check_networks;
pub use event::{DiscoverContext, DiscoverError, DiscoverEvent};
pub use hosts::{Hosts, targets};
pub use merge::{Added, Seen, Sightings};
pub use run::run;
