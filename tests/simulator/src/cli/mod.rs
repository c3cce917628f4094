//! The command line of `tvt-sim`, one file per subcommand.

mod control;
mod generate;
mod output;
mod parse;
mod root;
mod serve;

pub(crate) use root::main;
