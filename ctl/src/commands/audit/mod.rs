//! `tvtctl audit`: who asked what, how it was decided, and what came of it.

mod command;
mod export;
mod list;
mod verify;
mod view;

pub(crate) use command::Command;
