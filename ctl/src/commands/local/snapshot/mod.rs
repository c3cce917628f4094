//! `tvtctl local snapshot`: the command that pytvt users know as `pytvt-snapshot`.

mod album;
mod args;
mod plan;

pub(crate) use args::Args;
