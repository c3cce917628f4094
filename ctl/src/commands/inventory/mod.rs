//! `tvtctl inventory`: the devices of the fleet as they are known.

mod command;
mod export;
mod filter;
mod import;
mod list;
mod show;
mod view;

pub(crate) use command::Command;
