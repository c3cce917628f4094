//! The commands: one file each, with its arguments and what it does.

pub(crate) mod admin;
pub(crate) mod agents;
pub(crate) mod asking;
pub(crate) mod audit;
pub(crate) mod backends;
pub(crate) mod changes;
pub(crate) mod completions;
pub(crate) mod credentials;
pub(crate) mod decode;
pub(crate) mod device;
pub(crate) mod diff;
pub(crate) mod discover;
pub(crate) mod doctor;
pub(crate) mod inventory;
pub(crate) mod jobs;
pub(crate) mod local;
pub(crate) mod man;
pub(crate) mod ordering;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod sites;
pub(crate) mod snapshot;
pub(crate) mod sql;
pub(crate) mod status;
