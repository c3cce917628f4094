//! `tvtctl agents`: the programs that speak for the sites.

mod command;
mod list;
mod show;

pub(crate) use command::Command;
