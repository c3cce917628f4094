//! The orders of operators: a job that changes devices waits at each site for one.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use rusqlite::{Connection, params};

use tvtfleet_bus::trust::ChangeOrder;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{PAGE_BYTES, UnsignedWork};
use tvtfleet_proto::model::id::{JobId, SiteId};
use tvtfleet_proto::model::signed::SignedStatement;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::SiteWork;
use tvtfleet_proto::wire::v1;

use super::columns::{JobRow, SiteRow, moment, site_id};
use super::error::DbError;
use super::{job_rows, wants};

/// The most sites of one portion.
const PORTION: usize = 1_000;

/// A site of a job, with its work.
struct Open {
    ordinal: i64,
    row: SiteRow,
    site: SiteId,
    work: SiteWork,
}

/// What is still to be signed of a job: a portion; `None` where there is no such job.
pub(crate) fn unsigned(db: &Connection, job: JobId) -> Result<Option<UnsignedWork>, DbError> {
    let Some((row, not_after)) = head(db, job)? else {
        return Ok(None);
    };
    let mut bytes = 0_usize;
    let mut sites = Vec::new();
    each_unsigned(db, row, |open| {
        bytes = bytes.saturating_add(v1::SiteWork::from(open.work.clone()).encoded_len());
        let fits = sites.is_empty() || bytes <= PAGE_BYTES;
        if fits {
            sites.push((open.site, open.work));
        }
        Ok(fits && sites.len() < PORTION)
    })?;
    Ok(Some(UnsignedWork {
        job,
        not_after,
        sites,
    }))
}

/// Stores orders that their operator has signed, and lets the sites have the work. Sites that have an
/// order already keep it.
pub(crate) fn sign(
    db: &Connection,
    job: JobId,
    orders: &[(SiteId, ChangeOrder, SignedStatement)],
    now: UtcMillis,
) -> Result<(), DbError> {
    let unknown = || {
        let message = format!("there is no job {job}");
        DbError::refused(ErrorCode::JobUnknown, message, "see `tvtctl jobs`")
    };
    let (row, not_after) = head(db, job)?.ok_or_else(unknown)?;
    let mut missing: BTreeSet<&SiteId> = orders.iter().map(|(name, ..)| name).collect();
    let mut open = BTreeMap::new();
    // Orders come for the sites that the last portion named: they are the first ones here.
    each_unsigned(db, row, |site| {
        if missing.remove(&site.site) {
            open.insert(site.site.clone(), site);
        }
        Ok(!missing.is_empty())
    })?;
    for (name, order, signed) in orders {
        let Some(site) = open.get(name) else { continue };
        order
            .check(job, name, not_after, now)
            .and_then(|()| order.check_work(&site.work))
            .map_err(|fault| {
                let hint = "submit the job again";
                DbError::refused(ErrorCode::OrderRefused, format!("{name}: {fault}"), hint)
            })?;
        db.prepare_cached(
            "UPDATE job_sites SET signed_order = ?3 WHERE job = ?1 AND ordinal = ?2",
        )?
        .execute(params![row, site.ordinal, pack(signed)])?;
        wants::advance(db, site.row)?;
    }
    Ok(())
}

/// Reads an order as [`sign`] stored it.
pub(super) fn unpack(bytes: &[u8]) -> Result<SignedStatement, DbError> {
    v1::SignedDocument::decode(bytes)
        .map(Into::into)
        .map_err(|error| DbError::damaged("an order", error))
}

pub(super) fn pack(signed: &SignedStatement) -> Vec<u8> {
    v1::SignedDocument::from(signed.clone()).encode_to_vec()
}

fn head(db: &Connection, job: JobId) -> Result<Option<(JobRow, UtcMillis)>, DbError> {
    let Some((row, _)) = job_rows::find(db, job)? else {
        return Ok(None);
    };
    let mut query = db.prepare_cached("SELECT deadline_at FROM jobs WHERE id = ?1")?;
    Ok(Some((
        row,
        query.query_row([row], |row| moment(row, "deadline_at"))?,
    )))
}

/// Shows each site that waits for an order, until `take` has enough.
fn each_unsigned(
    db: &Connection,
    job: JobRow,
    mut take: impl FnMut(Open) -> Result<bool, DbError>,
) -> Result<(), DbError> {
    let mut query = db.prepare_cached(
        "SELECT j.spec, s.ordinal, s.site, p.tenant, p.name
         FROM jobs j JOIN job_sites s ON s.job = j.id JOIN sites p ON p.id = s.site
         WHERE j.id = ?1 AND j.needs_order = 1 AND s.signed_order IS NULL
           AND s.state = 'waiting' AND j.cancelled_at IS NULL ORDER BY s.ordinal",
    )?;
    let mut rows = query.query([job])?;
    while let Some(row) = rows.next()? {
        let options = job_rows::read_spec(row)?.work;
        let (tenant, name): (String, String) = (row.get("tenant")?, row.get("name")?);
        let ordinal = row.get("ordinal")?;
        let open = Open {
            ordinal,
            row: row.get("site")?,
            site: site_id(&tenant, &name)?,
            work: SiteWork {
                targets: wants::targets(db, job, ordinal, &options)?,
                options,
            },
        };
        if !take(open)? {
            break;
        }
    }
    Ok(())
}
