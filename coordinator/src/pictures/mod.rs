//! Pictures that sites send: taken out of their stream, stored by their digest, and taken out again
//! when they are too old or too many.
//!
//! A file is stored once its digest fits; until then it grows chunk by chunk beside the others, so that
//! a site whose line was cut goes on where it stopped. Nothing here is waited for by reports.

mod folder;
mod intake;
mod sweep;

pub(crate) use folder::Folder;
pub(crate) use intake::run as take_in;
pub(crate) use sweep::run as sweep;
