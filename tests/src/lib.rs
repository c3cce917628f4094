//! The test harness: a real NATS server per test, waiting without sleeping, child processes, a
//! collector of spans, and small samples of fleet messages.
//!
//! Everything listens on the loopback interface, on ports that the operating system picks, and ends
//! when its value is dropped. Waiting always has a deadline and says what it waited for.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what goes wrong in a harness ends the test that uses it"
)]

pub mod bridge;
pub(crate) mod clock;
pub mod collector;
pub mod exchange;
pub mod fleet;
pub mod fuzz;
pub mod governed;
pub mod identity;
pub mod intruder;
pub mod line;
pub mod nats;
pub mod netns;
pub mod outpost;
pub mod pcap;
pub mod program;
pub mod sample;
pub mod soak;
pub mod wait;
pub mod wire;

pub use nats::NatsServer;
pub use wait::{EventLog, PATIENCE, eventually};
