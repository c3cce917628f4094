//! Several replicas of the coordinator: one leads, the others follow and take over.
//!
//! `LOG.md` beside this file says how. Where to start reading: `run` goes back and forth between
//! `follow` and `lead`; `reader` decides what an entry of the log means, and does no IO.

mod follow;
mod lead;
mod reader;
mod run;
mod standby;

pub(crate) use lead::{Reigning, Standby, keep_lead};
pub(crate) use run::run;
