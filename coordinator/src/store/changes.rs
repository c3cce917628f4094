//! Listing changes.

use prost::Message as _;
use rusqlite::{Connection, Row};

use tvtfleet_proto::model::change::{Change, ChangeKind, ChangePage, ListChanges};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::wire::v1;

use crate::jobs::select::{Filter, Value};

use super::columns::{job_id, moment, signed, site_id, unsigned, uuid};
use super::devices::find_one;
use super::error::DbError;
use super::paging::{Placed, Room, bad_cursor, fill};

/// Reads a page of changes: in the order of their time, or of recording where the request follows.
pub(crate) fn list(db: &Connection, request: &ListChanges) -> Result<ChangePage, DbError> {
    let room = Room::new(request.limit);
    let position = newest(db)?;
    let filter = filter(db, request)?;
    let order = if request.after.is_some() {
        "c.id"
    } else {
        "c.at, c.id"
    };
    let sql = format!(
        "SELECT c.*, s.tenant AS tenant, s.name AS site_name, d.name AS device_name, d.hostname,
                j.uuid AS job_uuid
         FROM changes c JOIN sites s ON s.id = c.site JOIN devices d ON d.id = c.device
         LEFT JOIN jobs j ON j.id = c.job
         WHERE {} ORDER BY {order} LIMIT {}",
        filter.condition(),
        room.asked()
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(rusqlite::params_from_iter(filter.values()))?;
    let mut last = 0_i64;
    let page = fill(&mut rows, room, |row| {
        let at: i64 = row.get("at")?;
        last = row.get("id")?;
        let change = read(row)?;
        Ok(Placed {
            bytes: v1::Change::from(change.clone()).encoded_len(),
            cursor: format!("{at}.{last}"),
            row: change,
        })
    })?;
    Ok(ChangePage {
        position: if page.next.is_some() {
            unsigned(last)
        } else {
            position
        },
        rows: page.rows,
        next: page.next,
    })
}

/// The position of the newest change; 0 is none.
fn newest(db: &Connection) -> Result<u64, DbError> {
    let mut query = db.prepare_cached("SELECT coalesce(max(id), 0) FROM changes")?;
    Ok(unsigned(query.query_row([], |row| row.get(0))?))
}

fn filter(db: &Connection, request: &ListChanges) -> Result<Filter, DbError> {
    let mut filter = Filter::default();
    // The sites are few; naming their rows lets the index over site and time be used.
    let mut sites = Filter::default();
    sites.tenants(&request.tenants);
    sites.sites(&request.sites);
    if !sites.values().is_empty() {
        let sql = format!("SELECT s.id FROM sites s WHERE {}", sites.condition());
        let mut query = db.prepare(&sql)?;
        let rows = query.query_map(rusqlite::params_from_iter(sites.values()), |row| row.get(0))?;
        any_of(&mut filter, "c.site", rows.collect::<Result<Vec<_>, _>>()?);
    }
    if !request.devices.is_empty() {
        let devices = request.devices.iter().map(|name| find_one(db, name.trim()));
        let devices = devices.map(|found| found.map(|device| device.0));
        any_of(
            &mut filter,
            "c.device",
            devices.collect::<Result<Vec<_>, _>>()?,
        );
    }
    if !request.kinds.is_empty() {
        let holders = vec!["?"; request.kinds.len()].join(", ");
        let kinds = request.kinds.iter().map(|kind| kind.as_str().to_owned());
        filter.also(&format!("c.kind IN ({holders})"), kinds.map(Value::Text));
    }
    if let Some(since) = request.since {
        filter.also("c.at >= ?", [Value::Number(since.millis())]);
    }
    if let Some(until) = request.until {
        filter.also("c.at < ?", [Value::Number(until.millis())]);
    }
    if let Some(after) = request.after {
        filter.also("c.id > ?", [Value::Number(signed(after))]);
    } else if !request.cursor.is_empty() {
        let (at, id) = read_cursor(&request.cursor)?;
        filter.also("(c.at, c.id) > (?, ?)", [at, id].map(Value::Number));
    }
    Ok(filter)
}

fn any_of(filter: &mut Filter, column: &str, rows: Vec<i64>) {
    let holders = vec!["?"; rows.len()].join(", ");
    filter.also(
        &format!("{column} IN ({holders})"),
        rows.into_iter().map(Value::Number),
    );
}

fn read(row: &Row<'_>) -> Result<Change, DbError> {
    let (tenant, site): (String, String) = (row.get("tenant")?, row.get("site_name")?);
    let (id, kind): (Vec<u8>, String) = (row.get("uid")?, row.get("kind")?);
    let job: Option<Vec<u8>> = row.get("job_uuid")?;
    let at: UtcMillis = moment(row, "at")?;
    Ok(Change {
        id: uuid("change id", &id)?,
        at,
        site: site_id(&tenant, &site)?,
        device_id: row.get("device_name")?,
        hostname: row.get("hostname")?,
        address: row.get("address")?,
        kind: kind.parse().unwrap_or(ChangeKind::Other),
        channel: row.get("channel")?,
        channel_name: row.get("channel_name")?,
        field: row.get("field")?,
        old: row.get("old")?,
        new: row.get("new")?,
        job: job.map(|job| job_id(&job)).transpose()?,
    })
}

/// Reads `AT.ID`, where the last page ended.
fn read_cursor(cursor: &str) -> Result<(i64, i64), DbError> {
    cursor
        .split_once('.')
        .and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)))
        .ok_or_else(|| bad_cursor(cursor))
}
