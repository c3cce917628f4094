//! `tvtctl device`: questions to single devices, from this computer.

mod command;
mod probe;

pub(crate) use command::Command;
