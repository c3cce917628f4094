//! Listing and showing devices.

use prost::Message;
use rusqlite::{Connection, Row, params};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{DeviceView, ListDevices, Page, ShowDevice};
use tvtfleet_proto::model::discovery::{Sighting, Standing};
use tvtfleet_proto::model::identity::DeviceId;
use tvtfleet_proto::model::inventory::DEFAULT_PORT;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::wire::v1;

use crate::jobs::select::{Filter, Value};

use super::columns::{DeviceRow, code, count, moment, optional_moment, site_id};
use super::device_rows::{unpack_entry, unpack_facts};
use super::error::DbError;
use super::history;
use super::pack::unpack;
use super::paging::{Placed, Room, bad_cursor, fill};
use super::report::{load_state, read_channels};

const COLUMNS: &str = "d.id, d.position, d.name, d.entry, d.facts, d.state, d.channel_count,
    d.note, d.first_known, d.last_report, d.last_success, d.last_failure,
    d.trusted, d.seen_at, d.seen, d.gone_at, d.added_by IS s.searched_by AND d.added_by IS NOT NULL AS is_new,
    d.moved_by IS s.searched_by AND d.moved_by IS NOT NULL AS has_moved,
    s.tenant AS tenant, s.name AS site_name, s.display_name";
/// How many devices of one name are looked at before it counts as ambiguous.
const AMBIGUOUS: usize = 2;

/// Reads a page of devices, by site and then in the order of the inventory. Devices that stand
/// nowhere any more are left out.
pub(crate) fn list(db: &Connection, request: &ListDevices) -> Result<Page<DeviceView>, DbError> {
    let room = Room::new(request.limit);
    let mut filter = Filter::default();
    filter.tenants(&request.tenants);
    filter.sites(&request.sites);
    filter.labels(&request.labels);
    filter.text(&request.text);
    filter.standings(&request.standings);
    if !request.cursor.is_empty() {
        let (tenant, name, position) = read_cursor(&request.cursor)?;
        let values = [tenant.clone(), name.clone(), tenant, name].map(Value::Text);
        filter.also(
            "(s.tenant, s.name) >= (?, ?) AND ((s.tenant, s.name) > (?, ?) OR d.position > ?)",
            values.into_iter().chain([Value::Number(position)]),
        );
    }
    let (standing, more) = match request.at {
        None => ("d.address IS NOT NULL".to_owned(), String::new()),
        Some(at) => {
            let at = filter.value(Value::Number(at.millis()));
            let standing = format!(
                "d.first_known <= {at} AND d.absorbed_into IS NULL AND {} <> ''",
                history::address_at(&at)
            );
            (standing, format!(", {}", history::columns_at(&at)))
        }
    };
    // The order of the join is the order of the rows, so that a page costs no sorting.
    let sql = format!(
        "SELECT {COLUMNS}{more} FROM sites s CROSS JOIN devices d ON d.site = s.id
         WHERE {standing} AND {}
         ORDER BY s.tenant, s.name, d.position LIMIT {}",
        filter.condition(),
        room.asked()
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(rusqlite::params_from_iter(filter.values()))?;
    fill(&mut rows, room, |row| {
        let view = read_at(db, row, request.at, request.with_channels)?;
        Ok(Placed {
            bytes: v1::DeviceView::from(view.clone()).encoded_len(),
            cursor: format!("{}/{}", view.site, row.get::<_, i64>("position")?),
            row: view,
        })
    })
}

/// Shows the one device that a name means, with its channels.
pub(crate) fn show(db: &Connection, request: &ShowDevice) -> Result<DeviceView, DbError> {
    let device = find_one(db, request.name.trim())?;
    let view = view(db, device, request.at, true)?;
    match request.at {
        Some(at) if at < view.first_known => {
            let message = format!("{:?} was not known at {at}", shorten(&request.name));
            Err(DbError::refused(ErrorCode::DeviceUnknown, message, ""))
        }
        Some(_) | None => Ok(view),
    }
}

/// Finds the one device that a name means.
pub(super) fn find_one(db: &Connection, name: &str) -> Result<DeviceRow, DbError> {
    let mut found = candidates(db, name)?;
    let Some(device) = found.pop() else {
        let message = format!("no device is called {:?}", shorten(name));
        let hint = "see `tvtctl inventory`";
        return Err(DbError::refused(ErrorCode::DeviceUnknown, message, hint));
    };
    if !found.is_empty() {
        let message = format!("more than one device is called {:?}", shorten(name));
        let hint = "use its place, as at:TENANT/SITE/ADDRESS:PORT";
        return Err(DbError::refused(ErrorCode::DeviceUnknown, message, hint));
    }
    Ok(device)
}

/// Reads a device as it is now, or was known at a moment.
pub(super) fn view(
    db: &Connection,
    device: DeviceRow,
    at: Option<UtcMillis>,
    with_channels: bool,
) -> Result<DeviceView, DbError> {
    let more = match at {
        None => String::new(),
        Some(_) => format!(", {}", history::columns_at("?2")),
    };
    let sql = format!(
        "SELECT {COLUMNS}{more} FROM devices d JOIN sites s ON s.id = d.site
         WHERE d.id = ?1 AND ?2 IS ?2"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![device, at.map(UtcMillis::millis)])?;
    let row = rows
        .next()?
        .ok_or_else(|| DbError::damaged("device", "row not found"))?;
    read_at(db, row, at, with_channels)
}

fn read_at(
    db: &Connection,
    row: &Row<'_>,
    at: Option<UtcMillis>,
    with_channels: bool,
) -> Result<DeviceView, DbError> {
    let view = read_view(db, row, with_channels && at.is_none())?;
    match at {
        None => Ok(view),
        Some(at) => history::rewind(db, row, view, at, with_channels),
    }
}

/// The devices that a name may mean, the best way of reading it first.
fn candidates(db: &Connection, name: &str) -> Result<Vec<DeviceRow>, DbError> {
    let text = |text: &str| Value::Text(text.to_owned());
    let key = |key: String| {
        (
            "SELECT DISTINCT device FROM device_keys WHERE key = ?1",
            vec![Value::Text(key)],
        )
    };
    let mut ways = Vec::new();
    if let Some((site, address)) = name.strip_prefix("at:").and_then(|at| at.rsplit_once('/')) {
        ways.push((
            "SELECT d.id FROM devices d JOIN sites s ON s.id = d.site
             WHERE s.tenant || '/' || s.name = ?1 AND d.address = ?2",
            vec![text(site), text(address)],
        ));
    }
    ways.push(key(name.to_owned()));
    if let Ok(mac) = name.strip_prefix("mac:").unwrap_or(name).parse::<MacAddr>() {
        ways.push(key(DeviceId::Mac(mac).to_string()));
    }
    ways.push(key(DeviceId::Serial(name.to_owned()).to_string()));
    ways.push((
        "SELECT id FROM devices WHERE hostname = ?1 AND hostname <> '' AND address IS NOT NULL",
        vec![text(name)],
    ));
    ways.push((
        "SELECT id FROM devices WHERE address IN (?1, ?2)",
        vec![text(name), Value::Text(default_address(name))],
    ));
    for (sql, values) in ways {
        let mut query = db.prepare_cached(&format!("{sql} LIMIT {AMBIGUOUS}"))?;
        let rows = query.query_map(rusqlite::params_from_iter(values), |row| row.get(0))?;
        let found = rows.collect::<Result<Vec<_>, _>>()?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// A host without a port, as it would be stored.
fn default_address(host: &str) -> String {
    use tvtfleet_proto::model::address::{Endpoint, Host};
    host.parse::<Host>()
        .map(|host| {
            Endpoint {
                host,
                port: DEFAULT_PORT,
            }
            .to_string()
        })
        .unwrap_or_default()
}

fn read_view(db: &Connection, row: &Row<'_>, with_channels: bool) -> Result<DeviceView, DbError> {
    let device: DeviceRow = row.get("id")?;
    let tenant: String = row.get("tenant")?;
    let site: String = row.get("site_name")?;
    let entry: Vec<u8> = row.get("entry")?;
    let facts: Vec<u8> = row.get("facts")?;
    let failure: String = row.get("last_failure")?;
    let channels = match row.get::<_, Option<i64>>("state")? {
        Some(state) if with_channels => read_channels(load_state(db, state)?.channels)?,
        Some(_) | None => Vec::new(),
    };
    Ok(DeviceView {
        device_id: row.get("name")?,
        site: site_id(&tenant, &site)?,
        site_display_name: row.get("display_name")?,
        entry: unpack_entry(&entry)?,
        labels: labels(db, device)?,
        facts: unpack_facts(&facts)?,
        channel_count: row.get::<_, Option<i64>>("channel_count")?.map(count),
        channels,
        first_known: moment(row, "first_known")?,
        last_report: optional_moment(row, "last_report")?,
        last_success: optional_moment(row, "last_success")?,
        last_failure: code(&failure),
        note: row.get("note")?,
        sighting: read_sighting(row)?,
    })
}

fn read_sighting(row: &Row<'_>) -> Result<Sighting, DbError> {
    let standings = [
        (Standing::New, row.get("is_new")?),
        (
            Standing::Gone,
            row.get::<_, Option<i64>>("gone_at")?.is_some(),
        ),
        (Standing::Moved, row.get("has_moved")?),
        (Standing::Unverified, !row.get::<_, bool>("trusted")?),
    ];
    let seen = match row.get::<_, Option<Vec<u8>>>("seen")? {
        Some(body) => {
            let wire: v1::DiscoveredDevice = unpack("sighting", &body)?;
            let seen = wire.try_into();
            Some(seen.map_err(|error| DbError::damaged("sighting", error))?)
        }
        None => None,
    };
    Ok(Sighting {
        standings: standings
            .into_iter()
            .filter_map(|(standing, holds)| holds.then_some(standing))
            .collect(),
        last_seen: optional_moment(row, "seen_at")?,
        seen: seen.map(Box::new),
    })
}

fn labels(db: &Connection, device: DeviceRow) -> Result<Vec<String>, DbError> {
    let mut query =
        db.prepare_cached("SELECT label FROM device_labels WHERE device = ?1 ORDER BY label")?;
    let labels = query.query_map([device], |row| row.get(0))?;
    Ok(labels.collect::<Result<_, _>>()?)
}

/// Reads `TENANT/SITE/POSITION`, where the last page ended.
fn read_cursor(cursor: &str) -> Result<(String, String, i64), DbError> {
    let mut parts = cursor.split('/');
    let read = |part: Option<&str>| part.map(ToOwned::to_owned);
    match (
        read(parts.next()),
        read(parts.next()),
        parts.next().and_then(|p| p.parse().ok()),
    ) {
        (Some(tenant), Some(site), Some(position)) => Ok((tenant, site, position)),
        _ => Err(bad_cursor(cursor)),
    }
}

fn shorten(name: &str) -> String {
    name.chars().take(80).collect()
}
