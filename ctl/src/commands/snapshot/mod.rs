//! `tvtctl snapshot`: pictures of the fleet.

mod args;

pub(crate) use args::Args;
