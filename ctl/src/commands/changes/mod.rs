//! `tvtctl changes`: what changed in the fleet.

mod command;
mod filter;
mod follow;
mod list;
mod view;

pub(crate) use command::Command;
