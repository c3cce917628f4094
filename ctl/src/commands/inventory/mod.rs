//! `tvtctl inventory`: the devices of the fleet as they are known.

mod command;
mod edit;
mod export;
mod filter;
mod import;
mod import_results;
mod list;
mod search;
mod show;
mod view;

pub(crate) use command::Command;
