//! `tvtctl agents`: the programs that speak for the sites.

mod command;
mod list;

pub(crate) use command::Command;
