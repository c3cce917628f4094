//! Folders of pictures: lists, contact sheets, and what is told on the way. Pictures of this computer
//! and of the fleet look the same.

mod gather;
mod row;
pub(crate) mod sheet;
mod tally;

pub(crate) use gather::{GatherArgs, gather};
pub(crate) use row::Shown;
pub(crate) use tally::summary;
