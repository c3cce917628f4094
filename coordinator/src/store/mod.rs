//! The database: the record of sites, devices, jobs and results.
//!
//! SQLite with one writer on a thread of its own and a few readers. Whatever comes from an agent is
//! stored in one transaction with the high-water mark of its spool, so that a mark given to an
//! agent is a promise that holds through a power cut.

mod apply;
mod audit_rows;
mod brake;
mod canary;
mod change_log;
mod changes;
mod channels;
mod columns;
mod device_rows;
mod devices;
mod edit;
mod error;
mod found;
mod health;
mod history;
mod import;
mod job_rows;
mod jobs;
mod keys;
mod orders;
mod pack;
mod paging;
mod past;
mod pictures;
mod producers;
mod prune;
mod pushes;
mod quarantine;
mod query;
mod reign;
mod replica;
mod report;
mod results;
mod row_log;
mod schema;
mod searches;
mod sighting;
mod sites;
mod state;
mod stream;
mod submit;
#[cfg(test)]
mod tests;
mod undo;
mod wants;
mod worker;

pub(crate) use apply::{Applied, Batch, Incoming, Unreadable, apply};
pub(crate) use columns::{DeviceRow, SiteRow};
pub use error::{DbError, StoreError};
pub(crate) use health::Health;
pub(crate) use paging::Room;
pub(crate) use prune::{Cutoffs, prune};
pub use query::{Table, tables_help};
pub(crate) use worker::{Closed, Store};

/// Sets up a connection that writes.
#[cfg(feature = "simulation")]
pub(crate) fn prepare(db: &mut rusqlite::Connection) -> Result<(), StoreError> {
    schema::prepare(db, true)
}

/// Leading and following replicas.
pub(crate) mod lead {
    pub(crate) use super::reign::{Claim, Lead, Step};
    pub(crate) use super::replica::{Standing, standing};
}

/// Reading and changing devices.
pub(crate) mod inventory {
    pub(crate) use super::channels::{pending, refresh};
    pub(crate) use super::devices::{list, show};
    pub(crate) use super::edit::edit;
    pub(crate) use super::import::import;
    pub(crate) use super::past::import as import_results;
}

/// Reading what changed.
pub(crate) mod change {
    pub(crate) use super::changes::list;
}

/// Reading and changing jobs.
pub(crate) mod job {
    pub(crate) use super::job_rows::{version, view};
    pub(crate) use super::jobs::{cancel, due, expire, list, newest};
    pub(crate) use super::orders::{sign, unsigned};
    pub(crate) use super::results::page;
    pub(crate) use super::searches::page as searches;
    pub(crate) use super::submit::{Submission, submit};
}

/// Reading and changing sites, and what their agents said.
pub(crate) mod site {
    pub(crate) use super::producers::{Claim, claim};
    pub(crate) use super::quarantine::unsigned;
    pub(crate) use super::sites::{Standing, add, list, remember_seen, standings};
    pub(crate) use super::stream::{position, restart};
    pub(crate) use super::wants::{DirtyWant, Written, all, dirty, work, written};
}

/// Who asked what, and what came of it.
pub(crate) mod audit {
    pub(crate) use super::audit_rows::{
        append, cancelled, described, hash_of, head, list, ordered, submitted,
    };
}

/// Noting, listing and forgetting pictures.
pub(crate) mod picture {
    pub(crate) use super::pictures::{
        PictureBounds, drop_out, find, forget, keep, list, lose, stored, unneeded,
    };
}

/// Credentials that operators push to sites.
pub(crate) mod credential {
    pub(crate) use super::pushes::{Push, list, sealing_keys, store};
}

/// Whom the fleet believes.
pub(crate) mod belief {
    pub(crate) use super::keys::{
        AgentKey, agent, agents, enrol, renewed, roster, save_roster, stale_tokens, succeed,
        take_over, tenants_of_import, tenants_of_job,
    };
}
