//! `tvtctl credentials`: the passwords of devices, on their way to the sites' vaults.

mod command;
mod list;
mod push;
mod view;

pub(crate) use command::Command;
