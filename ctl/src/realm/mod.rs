//! The folder from which a fleet is governed: its keys, its accounts, and the files that servers,
//! coordinator and operators get from it.
//!
//! `fleet.json` says what there is; keys stand below `keys/`; everything else is written from these two
//! and can be written again. Nobody but the authority of the fleet needs this folder, and nothing that
//! runs reads it.

mod accounts;
mod certificates;
mod conf;
mod fleet;
mod folder;
mod govern;
mod live;

pub(crate) use certificates::Given;
pub(crate) use fleet::ServerSpec;
pub(crate) use folder::Folder;
pub(crate) use govern::{Plan, Realm};
pub(crate) use live::{Live, Rotated, Taken};
