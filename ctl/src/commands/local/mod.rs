//! `tvtctl local`: the agent's and the coordinator's work in one process, without a server.

mod command;
mod diff;
mod discover;
mod run;
mod scan;
mod snapshot;

pub(crate) use command::Command;
