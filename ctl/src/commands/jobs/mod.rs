//! `tvtctl jobs`: what operators have asked, and what became of it.

mod cancel;
mod command;
mod list;
mod pictures;
mod reference;
mod results;
mod show;
mod view;
mod wait;

pub(crate) use command::Command;
pub(crate) use reference::JobReference;
