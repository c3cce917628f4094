//! The brake of a tenant in a job, on the tables.

use rusqlite::{Connection, params};

use tvtfleet_proto::model::id::TenantId;
use tvtfleet_proto::model::time::UtcMillis;

use crate::jobs::brake::TenantLogins;
use crate::jobs::tracker::JobTrack;

use super::columns::{JobRow, SiteRow, count};
use super::error::DbError;
use super::{job_rows, wants};

/// Stops the open sites of a tenant where too many of its devices refused the login. Returns whether
/// anything changed.
pub(super) fn apply(
    db: &Connection,
    row: JobRow,
    job: &mut JobTrack,
    tenant: &TenantId,
    now: UtcMillis,
) -> Result<bool, DbError> {
    let logins = logins(db, row, tenant)?;
    if !logins.pull_brake() {
        return Ok(false);
    }
    let mut stopped = 0_usize;
    for (site, ordinal, mut track) in job_rows::open_sites(db, row)? {
        if !is_of(db, site, tenant)? || !track.brake(now) {
            continue;
        }
        stopped = stopped.saturating_add(1);
        job_rows::save_site(db, row, ordinal, &track)?;
        if track.state.is_terminal() {
            job.braked = true;
            job_rows::site_ended(db, job, site, &track, now)?;
        } else {
            wants::advance(db, site)?;
        }
    }
    if stopped > 0 {
        job.braked = true;
        tracing::warn!(
            %tenant, refused = logins.refused, asked = logins.asked, sites = stopped,
            "too many refused logins, the rest of the tenant's work in the job is stopped"
        );
    }
    Ok(stopped > 0)
}

fn logins(db: &Connection, job: JobRow, tenant: &TenantId) -> Result<TenantLogins, DbError> {
    let mut query = db.prepare_cached(
        "SELECT coalesce(sum(j.ok + j.failed - j.left_out), 0), coalesce(sum(j.refused), 0),
                coalesce(sum(j.refused > 0), 0)
         FROM job_sites j JOIN sites s ON s.id = j.site WHERE j.job = ?1 AND s.tenant = ?2",
    )?;
    let logins = query.query_row(params![job, tenant.as_str()], |row| {
        Ok(TenantLogins {
            asked: count(row.get(0)?),
            refused: count(row.get(1)?),
            sites: count(row.get(2)?),
        })
    })?;
    Ok(logins)
}

fn is_of(db: &Connection, site: SiteRow, tenant: &TenantId) -> Result<bool, DbError> {
    let mut query = db.prepare_cached("SELECT 1 FROM sites WHERE id = ?1 AND tenant = ?2")?;
    Ok(query.exists(params![site, tenant.as_str()])?)
}
