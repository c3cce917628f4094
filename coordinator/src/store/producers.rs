//! The spools of the agents: which epoch speaks for a site, and what of it has been applied.

use rusqlite::{Connection, OptionalExtension, params};

use tvtfleet_proto::model::agent::Hello;
use tvtfleet_proto::model::id::{Epoch, SiteId, WantRevision};
use tvtfleet_proto::model::time::UtcMillis;

use crate::jobs::fanout;
use crate::ledger::Ledger;

use super::columns::{SiteRow, signed, unsigned};
use super::error::DbError;
use super::{sites, wants};

/// What became of a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The site was never added.
    UnknownSite,
    /// Another agent speaks for the site.
    Taken,
    /// The agent speaks for the site.
    Granted {
        /// What of its spool has been applied.
        ledger: Ledger,
        /// The newest want document.
        want: WantRevision,
        /// Batches that the agent does not hold any more and that never arrived.
        lost: u64,
        /// Whether the newest want document has just been raised.
        wants_changed: bool,
    },
}

/// Lets an agent speak for its site. `alive` tells whether the epoch that speaks for it so far was
/// heard lately.
pub(crate) fn claim(
    db: &Connection,
    hello: &Hello,
    alive: bool,
    now: UtcMillis,
) -> Result<Claim, DbError> {
    let Some(site) = sites::find(db, &hello.site)? else {
        return Ok(Claim::UnknownSite);
    };
    let holder = sites::epoch(db, site)?;
    if holder.is_some_and(|holder| holder != hello.epoch && alive) {
        return Ok(Claim::Taken);
    }
    let mut ledger = load(db, site, hello.epoch)?.unwrap_or_default();
    let lost = ledger.skip_to(hello.oldest);
    save(db, site, hello.epoch, &ledger)?;
    sites::set_epoch(db, site, hello.epoch, &hello.facts, now)?;
    let known = wants::revision(db, site)?;
    let mut want = known;
    // The database is behind the agent where it was restored from a backup.
    if hello.want_revision > known {
        want = fanout::next_revision(known, hello.want_revision);
        wants::raise(db, site, want)?;
    }
    Ok(Claim::Granted {
        ledger,
        want,
        lost,
        wants_changed: want != known,
    })
}

/// Reads what of an epoch has been applied; `None` where the epoch is not known at this site.
pub(super) fn load(
    db: &Connection,
    site: SiteRow,
    epoch: Epoch,
) -> Result<Option<Ledger>, DbError> {
    let mut query =
        db.prepare_cached("SELECT through, runs FROM producers WHERE site = ?1 AND epoch = ?2")?;
    let ledger = query.query_row(params![site, epoch.uuid().as_bytes()], |row| {
        let runs: Vec<u8> = row.get(1)?;
        Ok(Ledger::restore(unsigned(row.get(0)?), &runs))
    });
    Ok(ledger.optional()?)
}

/// Writes what of an epoch has been applied.
pub(super) fn save(
    db: &Connection,
    site: SiteRow,
    epoch: Epoch,
    ledger: &Ledger,
) -> Result<(), DbError> {
    let mut query = db.prepare_cached(
        "INSERT INTO producers VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET through = excluded.through, runs = excluded.runs",
    )?;
    query.execute(params![
        site,
        epoch.uuid().as_bytes(),
        signed(ledger.committed().0),
        ledger.encode_runs()
    ])?;
    Ok(())
}

/// The site and epoch of a batch, as the database knows them.
#[derive(Clone, Debug)]
pub(super) struct Speaker {
    pub(super) site: SiteRow,
    pub(super) id: SiteId,
    /// The epoch that speaks for the site.
    pub(super) holder: Option<Epoch>,
}

/// Reads who speaks for a site.
pub(super) fn speaker(db: &Connection, id: &SiteId) -> Result<Option<Speaker>, DbError> {
    let Some(site) = sites::find(db, id)? else {
        return Ok(None);
    };
    Ok(Some(Speaker {
        site,
        id: id.clone(),
        holder: sites::epoch(db, site)?,
    }))
}
