//! `tvtctl sites`: the networks of the fleet.

mod add;
mod command;
mod list;
mod show;
mod view;

pub(crate) use command::Command;
