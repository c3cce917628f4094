//! What the commands that discover devices have in common: options, and how what is found is shown.

mod follow;
mod live;
mod options;
mod rows;
mod save;

pub(crate) use follow::Finds;
pub(crate) use live::Live;
pub(crate) use options::{LookArgs, ScanSearchArgs};
pub(crate) use rows::{FoundRow, tell_searched};
pub(crate) use save::{SaveArgs, Sites, save_found};
