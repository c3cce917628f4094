//! One simulated recorder: what it is, what it counts, and how it talks.
//!
//! [`spec`] is what a file or a generator says about it, `live` what it answers now, `lock` and
//! `counters` what it remembers, `conversation` one connection. Further ways to ask a recorder
//! (search probes, web interfaces, video) belong here as sibling modules that share `live`.

mod conversation;
mod counters;
mod fault;
mod foreign;
mod gate;
mod handle;
mod listener;
mod live;
mod lock;
mod mutation;
mod outlet;
mod random;
mod reader;
mod responder;
mod script;
mod search;
mod session_book;
mod spec;
mod value;
mod violation;

pub use counters::{Counter, CounterSnapshot};
pub use fault::{Fault, FaultRule, ForeignServer, Phase, TunnelBody};
pub use handle::Device;
pub use mutation::{Mutation, MutationError};
pub use spec::{BeforeLogin, DeviceSpec, Kind, LockRule, ReplyId, XorKey};
pub use value::{Firmware, Mac, Password, TextError};
pub use violation::{Violation, ViolationRecord};

pub(crate) use counters::Board;
pub(crate) use lock::Verdict;
pub(crate) use random::Random;
pub(crate) use responder::Responder;
