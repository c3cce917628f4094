//! The want documents: which sites need a new one, and what goes into it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use rusqlite::{Connection, OptionalExtension, params};

use tvtfleet_proto::model::id::{JobId, SiteId, TargetNo, WantRevision};
use tvtfleet_proto::model::inventory::DEFAULT_PORT;
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::signed::SignedStatement;
use tvtfleet_proto::model::want::{SiteWork, Target};

use crate::jobs::canary::size;
use crate::jobs::fanout::SiteJob;

use super::columns::{JobRow, SiteRow, count, job_id, moment, signed, site_id, unsigned};
use super::device_rows::{read_mac, unpack_entry};
use super::error::DbError;
use super::sighting::host_of;
use super::{canary, job_rows, orders, pushes, sites, undo};

/// Addresses of known devices that a discovery is told.
const KNOWN_MAX: u32 = 4_096;

/// A site whose newest want document is not in the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirtyWant {
    pub(crate) row: SiteRow,
    pub(crate) site: SiteId,
    /// The revision to write.
    pub(crate) revision: WantRevision,
    /// The bucket's revision of the document that is there.
    pub(crate) bucket: Option<u64>,
    /// Its open jobs, oldest first.
    pub(crate) jobs: Vec<SiteJob>,
    /// The credentials that it has not answered.
    pub(crate) credentials: Vec<SignedStatement>,
}

/// What the bucket holds for a site now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) row: SiteRow,
    /// The document's own revision; 0 is none, or one that cannot be read.
    pub(crate) revision: WantRevision,
    /// The bucket's revision of it.
    pub(crate) bucket: Option<u64>,
    /// The revision that the site's next document must have at least.
    pub(crate) at_least: WantRevision,
}

/// The sites, in portions, whose newest document is not in the bucket.
pub(crate) fn dirty(db: &Connection, limit: usize) -> Result<Vec<DirtyWant>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT id, tenant, name, want_revision, want_bucket FROM sites
         WHERE want_written < want_revision ORDER BY id LIMIT ?1",
    )?;
    let mut rows = query.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut dirty = Vec::new();
    while let Some(row) = rows.next()? {
        let tenant: String = row.get("tenant")?;
        let name: String = row.get("name")?;
        let site: SiteRow = row.get("id")?;
        dirty.push(DirtyWant {
            row: site,
            site: site_id(&tenant, &name)?,
            revision: WantRevision(unsigned(row.get("want_revision")?)),
            bucket: row.get::<_, Option<i64>>("want_bucket")?.map(unsigned),
            jobs: open_jobs(db, site)?,
            credentials: pushes::waiting(db, site)?,
        });
    }
    Ok(dirty)
}

/// Stores what the bucket holds. A document that has become outdated meanwhile stays dirty.
pub(crate) fn written(db: &Connection, written: &[Written]) -> Result<(), DbError> {
    let mut query = db.prepare_cached(
        "UPDATE sites SET want_written = ?2, want_bucket = ?3,
                want_revision = max(want_revision, ?4) WHERE id = ?1",
    )?;
    for site in written {
        query.execute(params![
            site.row,
            signed(site.revision.0),
            site.bucket.map(signed),
            signed(site.at_least.0),
        ])?;
    }
    Ok(())
}

/// Every site that ever had a want document, with its newest revision.
pub(crate) fn all(db: &Connection) -> Result<Vec<(SiteRow, SiteId, WantRevision)>, DbError> {
    let mut query =
        db.prepare("SELECT id, tenant, name, want_revision FROM sites WHERE want_revision > 0")?;
    let mut rows = query.query([])?;
    let mut sites = Vec::new();
    while let Some(row) = rows.next()? {
        let tenant: String = row.get("tenant")?;
        let name: String = row.get("name")?;
        let revision = WantRevision(unsigned(row.get("want_revision")?));
        sites.push((row.get("id")?, site_id(&tenant, &name)?, revision));
    }
    Ok(sites)
}

/// The work of one job at one site; `None` where it is not wanted (any more).
pub(crate) fn work(
    db: &Connection,
    site: &SiteId,
    job: JobId,
) -> Result<Option<SiteWork>, DbError> {
    let Some(site) = sites::find(db, site)? else {
        return Ok(None);
    };
    Ok(open_jobs(db, site)?
        .into_iter()
        .find(|open| open.job == job && !open.cancelled)
        .map(|open| SiteWork {
            options: open.options,
            targets: open.targets,
        }))
}

/// The newest revision of a site.
pub(super) fn revision(db: &Connection, site: SiteRow) -> Result<WantRevision, DbError> {
    let mut query = db.prepare_cached("SELECT want_revision FROM sites WHERE id = ?1")?;
    let revision = query.query_row([site], |row| row.get(0)).optional()?;
    Ok(WantRevision(revision.map_or(0, unsigned)))
}

/// Sets the newest revision of a site, so that a document of that revision is written.
pub(super) fn raise(db: &Connection, site: SiteRow, revision: WantRevision) -> Result<(), DbError> {
    db.prepare_cached("UPDATE sites SET want_revision = max(want_revision, ?2) WHERE id = ?1")?
        .execute(params![site, signed(revision.0)])?;
    Ok(())
}

/// What the site should be doing has changed.
pub(super) fn advance(db: &Connection, site: SiteRow) -> Result<(), DbError> {
    db.prepare_cached("UPDATE sites SET want_revision = want_revision + 1 WHERE id = ?1")?
        .execute([site])?;
    Ok(())
}

/// What every site should know has changed.
pub(super) fn advance_all(db: &Connection) -> Result<(), DbError> {
    db.execute("UPDATE sites SET want_revision = want_revision + 1", [])?;
    Ok(())
}

fn open_jobs(db: &Connection, site: SiteRow) -> Result<Vec<SiteJob>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT j.id, j.uuid, j.spec, j.deadline_at, j.cancelled_at, s.braked_at, j.traceparent,
                s.ordinal, s.signed_order, s.accepted
         FROM job_sites s JOIN jobs j ON j.id = s.job
         WHERE s.site = ?1 AND s.state IN ('waiting', 'accepted')
           AND (j.needs_order = 0 OR s.signed_order IS NOT NULL
                OR j.cancelled_at IS NOT NULL OR s.braked_at IS NOT NULL) ORDER BY j.id",
    )?;
    let mut rows = query.query([site])?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        let uuid: Vec<u8> = row.get("uuid")?;
        let cancelled: Option<i64> = row.get("cancelled_at")?;
        let braked: Option<i64> = row.get("braked_at")?;
        let spec = job_rows::read_spec(row)?;
        let mut options: WorkOptions = spec.work;
        let row_id: JobRow = row.get("id")?;
        let begun = row.get("accepted")? || row.get::<_, i64>("ordinal")? == canary::FIRST;
        if let Some(size) = size(&options).filter(|_| !begun)
            && canary::is_closed(db, row_id, size)?
        {
            continue;
        }
        if let Some(discover) = &mut options.discover {
            discover.known = known_addresses(db, site)?;
        }
        jobs.push(SiteJob {
            job: job_id(&uuid)?,
            cancelled: cancelled.is_some() || braked.is_some(),
            not_after: moment(row, "deadline_at")?,
            traceparent: row.get("traceparent")?,
            targets: targets(db, row_id, row.get("ordinal")?, &options)?,
            options,
            order: match row.get::<_, Option<Vec<u8>>>("signed_order")? {
                Some(bytes) => Some(orders::unpack(&bytes)?),
                None => None,
            },
        });
    }
    Ok(jobs)
}

/// Where the devices of a site stand, and the cameras of which its recorders told, for a discovery to
/// look there once more.
fn known_addresses(db: &Connection, site: SiteRow) -> Result<Vec<Ipv4Addr>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT address FROM (
           SELECT address, position, -1 AS ordinal FROM devices
           WHERE site = ?1 AND address IS NOT NULL
           UNION ALL
           SELECT c.address, d.position, c.ordinal FROM devices d JOIN channels c ON c.device = d.id
           WHERE d.site = ?1 AND d.address IS NOT NULL AND c.address <> '')
         ORDER BY ordinal >= 0, position, ordinal LIMIT ?2",
    )?;
    let mut rows = query.query(params![site, KNOWN_MAX])?;
    let (mut known, mut seen) = (Vec::new(), BTreeSet::new());
    while let Some(row) = rows.next()? {
        let address = row.get_ref(0)?.as_str().unwrap_or_default();
        // A device's with its port, a camera's without.
        let host = host_of(address).or_else(|| address.parse().ok());
        if let Some(host) = host.filter(|host| seen.insert(*host)) {
            known.push(host);
        }
    }
    Ok(known)
}

/// The targets of a job at a site, as its agent is told.
pub(super) fn targets(
    db: &Connection,
    job: JobRow,
    ordinal: i64,
    options: &WorkOptions,
) -> Result<Vec<Target>, DbError> {
    let undo = options.order.as_ref().and_then(|order| order.undo);
    let mut query = db.prepare_cached(
        "SELECT t.number, t.entry, t.mac, t.device, coalesce(d.trusted, 1) AS trusted
         FROM job_targets t LEFT JOIN devices d ON d.id = t.device
         WHERE t.job = ?1 AND t.ordinal = ?2 AND t.found = 0 ORDER BY t.number",
    )?;
    let mut rows = query.query(params![job, ordinal])?;
    let mut targets = Vec::new();
    while let Some(row) = rows.next()? {
        let body: Vec<u8> = row.get("entry")?;
        let entry = unpack_entry(&body)?;
        let known_mac = read_mac(row, "mac")?;
        targets.push(Target {
            number: TargetNo(count(row.get("number")?)),
            endpoint: entry.endpoint(DEFAULT_PORT),
            known_mac,
            // Whoever merely answered a discovery gets no credential, unless its maker is known.
            trusted: row.get::<_, bool>("trusted")? || known_mac.is_some_and(MacAddr::is_tvt),
            credential: entry.credential,
            settings: match undo {
                Some(job) => undo::settings(db, job, row.get("device")?)?,
                None => BTreeMap::new(),
            },
        });
    }
    Ok(targets)
}
