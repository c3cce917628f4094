//! The messages on the wire: every domain value survives the trip, and what was released stays.

mod audited;
mod discovered;
mod frozen;
mod health;
mod pushed;
mod roundtrip;
mod samples;
mod searched;
