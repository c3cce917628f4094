//! The table of channels that questions in SQL use.
//!
//! The record of a device's channels is the packed body of its state. This table is written behind
//! it, in portions, while no results wait to be applied or somebody asks: so it costs the intake
//! nothing, and a device whose state has changed since is known by `devices.channels_state`.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use tvtfleet_proto::model::channel::Channel;

use super::columns::{DeviceRow, count};
use super::error::DbError;
use super::report::{load_state, read_channels};

/// Brings the channels of up to `limit` devices up to date. Returns how many devices these were.
pub(crate) fn refresh(db: &Connection, limit: u32) -> Result<usize, DbError> {
    let due: Vec<(DeviceRow, i64)> = {
        let mut query = db.prepare_cached(
            "SELECT id, state FROM devices WHERE state IS NOT channels_state LIMIT ?1",
        )?;
        let rows = query.query_map([limit], |row| {
            Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.unwrap_or(0)))
        })?;
        rows.collect::<Result<_, _>>()?
    };
    for (device, state) in &due {
        write(db, *device, *state)?;
        db.prepare_cached("UPDATE devices SET channels_state = state WHERE id = ?1")?
            .execute([device])?;
    }
    Ok(due.len())
}

/// How many devices are not up to date.
pub(crate) fn pending(db: &Connection) -> Result<u32, DbError> {
    let mut query =
        db.prepare_cached("SELECT count(*) FROM devices WHERE state IS NOT channels_state")?;
    Ok(count(query.query_row([], |row| row.get(0))?))
}

/// A row as it stands.
struct Row {
    channel: Channel,
    since: i64,
}

fn write(db: &Connection, device: DeviceRow, state: i64) -> Result<(), DbError> {
    let from: i64 = db
        .prepare_cached("SELECT valid_from FROM device_states WHERE id = ?1")?
        .query_row([state], |row| row.get(0))?;
    let channels = read_channels(load_state(db, state)?.channels)?;
    let before = read(db, device)?;
    let mut since: HashMap<(&str, &str), i64> = HashMap::new();
    for row in &before {
        since.insert((&row.0, &row.1), row.2);
    }
    let rows: Vec<Row> = channels
        .into_iter()
        .map(|channel| {
            let key = (channel.label.to_string(), channel.status.as_str());
            let since = since.get(&(key.0.as_str(), key.1)).copied();
            Row {
                since: since.unwrap_or(from),
                channel,
            }
        })
        .collect();
    let mut insert = db.prepare_cached(
        "INSERT OR REPLACE INTO channels VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for (ordinal, Row { channel, since }) in (0_i64..).zip(&rows) {
        insert.execute(params![
            device,
            ordinal,
            channel.label.to_string(),
            channel.name,
            channel.address,
            channel.port,
            channel.status.as_str(),
            channel.protocol,
            channel.model,
            since,
        ])?;
    }
    let length = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    db.prepare_cached("DELETE FROM channels WHERE device = ?1 AND ordinal >= ?2")?
        .execute(params![device, length])?;
    Ok(())
}

/// Label, status and since when, of the rows that are there.
fn read(db: &Connection, device: DeviceRow) -> Result<Vec<(String, String, i64)>, DbError> {
    let mut query =
        db.prepare_cached("SELECT channel, status, since FROM channels WHERE device = ?1")?;
    let rows = query.query_map([device], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
