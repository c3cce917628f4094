//! Pages of a job's results: one row per target, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use rusqlite::{Connection, params};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{Page, ReadResults, ResultRow, RowOutcome};
use tvtfleet_proto::model::id::{JobId, SiteId};
use tvtfleet_proto::model::inventory::DEFAULT_PORT;
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::wire::v1;

use crate::jobs::tracker::SiteTrack;

use super::columns::{JobRow, site_id};
use super::device_rows::unpack_entry;
use super::error::DbError;
use super::pack::unpack;
use super::paging::{Placed, Room, bad_cursor, fill};
use super::report::load_state;
use super::{job_rows, sites};

/// Reads a page: site by site, in the order of the job's targets. `online` are the sites whose
/// agent is connected.
pub(crate) fn page(
    db: &Connection,
    request: &ReadResults,
    online: &BTreeSet<SiteId>,
) -> Result<Page<ResultRow>, DbError> {
    let Some((job, _)) = job_rows::find(db, request.job)? else {
        let message = format!("there is no job {}", request.job);
        return Err(DbError::refused(
            ErrorCode::JobUnknown,
            message,
            "see `tvtctl jobs`",
        ));
    };
    let (mut after_ordinal, mut after_number) = read_cursor(&request.cursor)?;
    let mut only = None;
    if let Some(site) = &request.site {
        let ordinal = site_ordinal(db, job, site)?;
        only = Some(ordinal);
        if let Some(after) = request.after {
            (after_ordinal, after_number) =
                (after_ordinal, after_number).max((ordinal, i64::from(after.0)));
        }
    }
    let room = Room::new(request.limit);
    let mut query = db.prepare_cached(
        "SELECT t.ordinal, t.number, t.entry, r.state, r.report, d.name, d.absorbed_into
         FROM job_targets t
         LEFT JOIN job_results r ON r.job = t.job AND r.ordinal = t.ordinal AND r.number = t.number
         JOIN devices d ON d.id = coalesce(r.device, t.device)
         WHERE t.job = ?1 AND (t.ordinal, t.number) > (?2, ?3)
           AND (?5 IS NULL OR t.ordinal = ?5)
         ORDER BY t.ordinal, t.number LIMIT ?4",
    )?;
    let mut rows = query.query(params![
        job,
        after_ordinal,
        after_number,
        room.asked(),
        only,
    ])?;
    let mut sites = Sites {
        db,
        job,
        known: BTreeMap::new(),
    };
    fill(&mut rows, room, |row| {
        let ordinal: i64 = row.get("ordinal")?;
        let number: i64 = row.get("number")?;
        let entry: Vec<u8> = row.get("entry")?;
        let entry = unpack_entry(&entry)?;
        let site = sites.get(ordinal)?;
        let outcome = match row.get::<_, Option<Vec<u8>>>("report")? {
            Some(body) => {
                RowOutcome::Reported(Box::new(read_report(db, &body, row.get("state")?)?))
            }
            None => missing(request.job, site, online),
        };
        let site_label = if !entry.site_label.is_empty() {
            entry.site_label.clone()
        } else if !site.display_name.is_empty() {
            site.display_name.clone()
        } else {
            site.id.to_string()
        };
        let result = ResultRow {
            site: Some(site.id.clone()),
            site_label,
            port: entry.port.unwrap_or(DEFAULT_PORT),
            entry,
            device_id: device_name(db, row.get("name")?, row.get("absorbed_into")?)?,
            outcome,
        };
        Ok(Placed {
            bytes: v1::ResultRow::from(result.clone()).encoded_len(),
            cursor: format!("{ordinal}.{number}"),
            row: result,
        })
    })
}

/// The ordinal of a site in a job.
fn site_ordinal(db: &Connection, job: JobRow, site: &SiteId) -> Result<i64, DbError> {
    let found = match sites::find(db, site)? {
        Some(row) => job_rows::find_site(db, job, row)?,
        None => None,
    };
    match found {
        Some((ordinal, _)) => Ok(ordinal),
        None => Err(DbError::refused(
            ErrorCode::SiteUnknown,
            format!("the job is not for site {site}"),
            "",
        )),
    }
}

/// A site of the job, as far as rows need it.
struct Site {
    id: SiteId,
    display_name: String,
    track: SiteTrack,
}

/// The sites that have come up so far: a page rarely holds more than a few.
struct Sites<'a> {
    db: &'a Connection,
    job: JobRow,
    known: BTreeMap<i64, Site>,
}

impl Sites<'_> {
    fn get(&mut self, ordinal: i64) -> Result<&Site, DbError> {
        if !self.known.contains_key(&ordinal) {
            let site = self.load(ordinal)?;
            self.known.insert(ordinal, site);
        }
        self.known
            .get(&ordinal)
            .ok_or_else(|| DbError::damaged("job", "site not found"))
    }

    fn load(&self, ordinal: i64) -> Result<Site, DbError> {
        let mut query = self.db.prepare_cached(
            "SELECT s.tenant, s.name, s.display_name, j.* FROM job_sites j
             JOIN sites s ON s.id = j.site WHERE j.job = ?1 AND j.ordinal = ?2",
        )?;
        let mut rows = query.query(params![self.job, ordinal])?;
        let row = rows
            .next()?
            .ok_or_else(|| DbError::damaged("job", "site not found"))?;
        let tenant: String = row.get("tenant")?;
        let name: String = row.get("name")?;
        Ok(Site {
            id: site_id(&tenant, &name)?,
            display_name: row.get("display_name")?,
            track: job_rows::read_site_track(row)?,
        })
    }
}

fn missing(job: JobId, site: &Site, online: &BTreeSet<SiteId>) -> RowOutcome {
    RowOutcome::Missing {
        job,
        code: site.track.missing_code(online.contains(&site.id)),
    }
}

fn read_report(db: &Connection, body: &[u8], state: Option<i64>) -> Result<DeviceReport, DbError> {
    let mut wire: v1::DeviceReport = unpack("report", body)?;
    if let Some(state) = state {
        let state = load_state(db, state)?;
        wire.facts = state.facts;
        wire.channels = state.channels;
    }
    wire.try_into()
        .map_err(|error| DbError::damaged("report", error))
}

/// The name of a device, or of the one that it turned out to be.
fn device_name(
    db: &Connection,
    name: String,
    absorbed_into: Option<i64>,
) -> Result<String, DbError> {
    let Some(survivor) = absorbed_into else {
        return Ok(name);
    };
    let mut query = db.prepare_cached("SELECT name FROM devices WHERE id = ?1")?;
    Ok(query.query_row([survivor], |row| row.get(0))?)
}

/// Reads `ORDINAL.NUMBER`, where the last page ended; empty is before the first row.
fn read_cursor(cursor: &str) -> Result<(i64, i64), DbError> {
    if cursor.is_empty() {
        return Ok((-1, -1));
    }
    cursor
        .split_once('.')
        .and_then(|(ordinal, number)| Some((ordinal.parse().ok()?, number.parse().ok()?)))
        .ok_or_else(|| bad_cursor(cursor))
}
