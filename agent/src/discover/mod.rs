//! Finding the devices of a network: first what costs nothing, then multicast, then a paced sweep,
//! then greetings of hosts that are alive and still unknown.
//!
//! The deciding parts are pure: [`Hosts`] says what is in a sweep, `order` visits it scattered,
//! `pace` says when the next probe may go, `sweep` which one that is, and [`Sightings`] merges what
//! answers into devices. [`run()`] moves bytes and timers. No credential is sent, and what answers is
//! a claim: it makes nothing trusted.
//!
//! Pacing. All unicast probes share one bucket with a burst of 20 ms. A kernel without room (a full
//! neighbour table, reported as `ENOBUFS` because the sockets ask for errors) stops the sweep for
//! 20 ms, halves the pace, and the same address is asked again. A closed port or a refused
//! connection shows a host that is alive; an unreachable one is not asked again. The kernel's counters
//! of full queues and tables, read twice a second, lower the pace as well. Not measured on the way:
//! devices that answer more slowly than before.

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
mod trouble;

pub use consent::check_networks;
pub use event::{DiscoverContext, DiscoverError, DiscoverEvent};
pub use hosts::{Hosts, targets};
pub use merge::{Added, Seen, Sightings};
pub use run::run;
