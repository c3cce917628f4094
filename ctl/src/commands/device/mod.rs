//! `tvtctl device`: questions to single devices, from this computer.

mod address;
mod ask;
mod command;
mod probe;

pub(crate) use command::Command;
