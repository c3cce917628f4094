//! ONVIF's WS-Discovery: UDP 3702, multicast. It finds cameras of every maker, so an answer is a
//! hint that a greeting has to confirm.

mod matches;
mod search;

pub use matches::{Matches, ProbeMatch, read};
pub use search::{GROUP, PORT, TTL, search};
