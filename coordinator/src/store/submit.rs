//! Submitting a job: the selector is evaluated once, and what it means is stored.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::id::{JobId, SiteId};
use tvtfleet_proto::model::job::{JobSpec, Selector};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::wire::v1;

use crate::jobs::canary::size;
use crate::jobs::select::{Filter, Value};

use super::columns::{JobRow, SiteRow, job_id};
use super::error::DbError;
use super::pack::pack_message;
use super::{canary, job_rows, undo, wants};

/// The most devices of one job.
const TARGETS_MAX: u32 = 1_000_000;

/// A job to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    /// The id it gets, unless it was submitted before.
    pub(crate) id: JobId,
    /// The same key submits the same job once.
    pub(crate) idempotency: Uuid,
    /// What is asked.
    pub(crate) spec: JobSpec,
    /// Who asks.
    pub(crate) user: String,
    /// When.
    pub(crate) now: UtcMillis,
    /// The trace that it belongs to.
    pub(crate) traceparent: String,
    /// Whether no site gets it before an operator has signed the site's work.
    pub(crate) needs_order: bool,
    /// The sites whose agents are there, of which the canary of changes is chosen.
    pub(crate) online: BTreeSet<SiteId>,
}

/// Stores a job with its targets. Returns its id, which is an earlier one where the same key was
/// used before.
pub(crate) fn submit(db: &Connection, submission: &Submission) -> Result<JobId, DbError> {
    let mut query = db.prepare_cached("SELECT uuid FROM jobs WHERE idempotency = ?1")?;
    let before: Option<Vec<u8>> = query
        .query_row([submission.idempotency.as_bytes()], |row| row.get(0))
        .optional()?;
    if let Some(before) = before {
        return job_id(&before);
    }
    let job = insert_job(db, submission)?;
    let spec = &submission.spec;
    let (total, sites) = insert_targets(db, job, spec)?;
    if spec.work.discover.is_some() && sites == 0 {
        let message = "no site matches";
        return Err(DbError::refused(
            ErrorCode::JobNoTargets,
            message,
            "see `tvtctl sites`",
        ));
    }
    if spec.work.discover.is_none() && total == 0 {
        let hint = "see `tvtctl inventory` and `tvtctl sites`";
        let message = "no device of the inventory matches";
        return Err(DbError::refused(ErrorCode::JobNoTargets, message, hint));
    }
    if size(&spec.work).is_some() {
        canary::choose(db, job, &submission.online)?;
    }
    db.execute(
        "UPDATE jobs SET sites_total = ?2, total = ?3 WHERE id = ?1",
        params![job, sites, total],
    )?;
    Ok(submission.id)
}

fn insert_job(db: &Connection, submission: &Submission) -> Result<JobRow, DbError> {
    let spec = v1::JobSpec::from(submission.spec.clone());
    db.execute(
        "INSERT INTO jobs (uuid, idempotency, spec, submitted_by, submitted_at, deadline_at,
                           traceparent, state, sites_total, sites_ended, sites_expired, total, ok,
                           failed, channels, version, needs_order)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'open', 0, 0, 0, 0, 0, 0, 0, 1, ?8)",
        params![
            submission.id.uuid().as_bytes(),
            submission.idempotency.as_bytes(),
            pack_message(&spec),
            submission.user,
            submission.now.millis(),
            submission.now.after(submission.spec.deadline).millis(),
            submission.traceparent,
            submission.needs_order,
        ],
    )?;
    Ok(JobRow(db.last_insert_rowid()))
}

/// Stores the targets site by site, numbered in the order of the inventory. Returns how many
/// targets and sites there are.
fn insert_targets(db: &Connection, job: JobRow, spec: &JobSpec) -> Result<(u32, i64), DbError> {
    let (sql, filter) = targets_of(db, spec)?;
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query(rusqlite::params_from_iter(filter.values()))?;
    let mut target =
        db.prepare_cached("INSERT INTO job_targets VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)")?;
    let mut current: Option<SiteRow> = None;
    let (mut total, mut ordinal, mut number) = (0_u32, -1_i64, 0_u32);
    while let Some(row) = rows.next()? {
        let site: SiteRow = row.get("site")?;
        if current != Some(site) {
            if let Some(before) = current {
                insert_site(db, job, ordinal, before, number)?;
            }
            current = Some(site);
            ordinal = ordinal.saturating_add(1);
            number = 0;
        }
        // A site that is to look for devices need not have any.
        let Some(device) = row.get::<_, Option<i64>>("id")? else {
            continue;
        };
        let address: String = row.get("address")?;
        let entry: Vec<u8> = row.get("entry")?;
        let mac: Option<Vec<u8>> = row.get("known_mac")?;
        target.execute(params![job, ordinal, number, device, address, entry, mac])?;
        number = number.saturating_add(1);
        total = total.saturating_add(1);
        if total > TARGETS_MAX {
            let message = format!("the job is for more than {TARGETS_MAX} devices");
            let hint = "submit it tenant by tenant";
            return Err(DbError::refused(ErrorCode::JobTooLarge, message, hint));
        }
    }
    if let Some(last) = current {
        insert_site(db, job, ordinal, last, number)?;
    }
    Ok((total, ordinal.saturating_add(1)))
}

fn insert_site(
    db: &Connection,
    job: JobRow,
    ordinal: i64,
    site: SiteRow,
    targets: u32,
) -> Result<(), DbError> {
    db.prepare_cached(
        "INSERT INTO job_sites (job, ordinal, site, state, accepted, reason, total, ok, failed, channels)
         VALUES (?1, ?2, ?3, 'waiting', 0, '', ?4, 0, 0, 0)",
    )?
    .execute(params![job, ordinal, site, targets])?;
    wants::advance(db, site)
}

/// The query for the devices that a selector means.
///
/// Devices that stand nowhere are not asked. Sites come by name; devices in the order of the
/// inventory, of the imported file, or of the earlier job.
fn targets_of(db: &Connection, spec: &JobSpec) -> Result<(String, Filter), DbError> {
    let mut filter = Filter::default();
    let selector = &spec.selector;
    if spec.work.discover.is_some() {
        return sites_of(selector, spec.work.ask);
    }
    let (join, order) = match selector {
        Selector::All => ("", "d.position"),
        Selector::Match {
            tenants,
            sites,
            labels,
        } => {
            filter.tenants(tenants);
            filter.sites(sites);
            filter.labels(labels);
            ("", "d.position")
        }
        Selector::Import(import) => {
            let bytes = Value::Bytes(import.uuid().as_bytes().to_vec());
            filter.also("i.import = ?", [bytes]);
            ("JOIN imports i ON i.device = d.id", "i.id")
        }
        Selector::FailedOf(job) => {
            let Some((row, _)) = job_rows::find(db, *job)? else {
                let message = format!("there is no job {job}");
                return Err(DbError::refused(
                    ErrorCode::JobUnknown,
                    message,
                    "see `tvtctl jobs`",
                ));
            };
            filter.also(
                "d.id IN (SELECT coalesce(o.absorbed_into, o.id) FROM job_targets t
                          LEFT JOIN job_results r USING (job, ordinal, number)
                          JOIN devices o ON o.id = coalesce(r.device, t.device)
                          WHERE t.job = ? AND coalesce(r.ok, 0) = 0)",
                [Value::Number(row.0)],
            );
            ("", "d.position")
        }
    };
    if let Some(undo) = spec.work.order.as_ref().and_then(|order| order.undo) {
        undo::only_changed(db, undo, spec.work.ask, &mut filter)?;
    }
    let sql = format!(
        "SELECT d.id, d.site AS site, d.address, d.entry, coalesce(d.mac, d.listed_mac) AS known_mac
         FROM sites s JOIN devices d ON d.site = s.id {join}
         WHERE d.address IS NOT NULL AND {} ORDER BY s.tenant, s.name, {order}",
        filter.condition()
    );
    Ok((sql, filter))
}

/// The query for the sites that are to look for devices, with their devices where these are to be
/// asked too.
fn sites_of(selector: &Selector, ask: Ask) -> Result<(String, Filter), DbError> {
    let mut filter = Filter::default();
    match selector {
        Selector::All => {}
        Selector::Match {
            tenants,
            sites,
            labels,
        } => {
            filter.tenants(tenants);
            filter.sites(sites);
            filter.labels(labels);
        }
        Selector::Import(_) | Selector::FailedOf(_) => {
            let message = "a discovery is for sites, and not for single devices";
            return Err(DbError::refused(
                ErrorCode::UsageInvalid,
                message,
                "name sites, tenants or labels",
            ));
        }
    }
    let wanted = if ask == Ask::Discover {
        "0"
    } else {
        "d.address IS NOT NULL"
    };
    let sql = format!(
        "SELECT d.id, s.id AS site, d.address, d.entry,
                coalesce(d.mac, d.listed_mac) AS known_mac
         FROM sites s LEFT JOIN devices d ON d.site = s.id AND {wanted}
         WHERE {} ORDER BY s.tenant, s.name, d.position",
        filter.condition()
    );
    Ok((sql, filter))
}
