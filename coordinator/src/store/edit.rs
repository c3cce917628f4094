//! Labels, notes, and taking devices out of the inventory.

use rusqlite::{Connection, params};

use tvtfleet_proto::model::api::{DeviceView, Page};
use tvtfleet_proto::model::change::ChangeKind;
use tvtfleet_proto::model::query::EditDevices;
use tvtfleet_proto::model::time::UtcMillis;

use crate::inventory::change::Draft;

use super::change_log::ChangeLog;
use super::columns::{DeviceRow, SiteRow};
use super::device_rows::{self as rows, Device, search_text};
use super::devices::{find_one, view};
use super::error::DbError;

/// Edits devices, and returns them as they are afterwards. Doing it again changes nothing.
pub(crate) fn edit(
    db: &Connection,
    request: &EditDevices,
    now: UtcMillis,
) -> Result<Page<DeviceView>, DbError> {
    let mut page = Page {
        rows: Vec::new(),
        next: None,
    };
    for name in &request.devices {
        let row = find_one(db, name.trim())?;
        let device =
            rows::load(db, row)?.ok_or_else(|| DbError::damaged("device", "row not found"))?;
        for label in &request.add_labels {
            db.prepare_cached("INSERT OR IGNORE INTO device_labels VALUES (?1, ?2)")?
                .execute(params![row, label])?;
        }
        for label in &request.remove_labels {
            db.prepare_cached("DELETE FROM device_labels WHERE device = ?1 AND label = ?2")?
                .execute(params![row, label])?;
        }
        if let Some(note) = &request.note {
            db.prepare_cached("UPDATE devices SET note = ?2, search = ?3 WHERE id = ?1")?
                .execute(params![
                    row,
                    note,
                    search_text(&device.entry, &device.facts, note)
                ])?;
        }
        if request.verify {
            verify(db, &device, now)?;
        }
        if request.forget {
            forget(db, &device, now)?;
        }
        page.rows.push(view(db, row, None, false)?);
    }
    Ok(page)
}

/// Notes that an operator vouches for a device that had merely answered a discovery.
fn verify(db: &Connection, device: &Device, now: UtcMillis) -> Result<(), DbError> {
    if !rows::vouch(db, device.row)? {
        return Ok(());
    }
    let DeviceRow(number) = device.row;
    let source = [
        &b"verify"[..],
        &number.to_be_bytes(),
        &now.millis().to_be_bytes(),
    ];
    let mut log = ChangeLog::new(db, site_of(db, device.row)?, now, None, &source);
    let address = device.address.as_deref().unwrap_or_default();
    log.add(
        device.row,
        address,
        &Draft::device(ChangeKind::Verified, "", "", ""),
    )
}

fn site_of(db: &Connection, device: DeviceRow) -> Result<SiteRow, DbError> {
    let mut query = db.prepare_cached("SELECT site FROM devices WHERE id = ?1")?;
    Ok(query.query_row([device], |row| row.get(0))?)
}

/// Takes a device out of the inventory. It stays known with its names and its history, and comes
/// back where it is imported again or found at another device's address.
fn forget(db: &Connection, device: &Device, now: UtcMillis) -> Result<(), DbError> {
    let Some(address) = &device.address else {
        db.execute(
            "UPDATE devices SET forgotten_at = coalesce(forgotten_at, ?2) WHERE id = ?1",
            params![device.row, now.millis()],
        )?;
        return Ok(());
    };
    let site = site_of(db, device.row)?;
    db.execute(
        "UPDATE devices SET address = NULL, forgotten_at = ?2 WHERE id = ?1",
        params![device.row, now.millis()],
    )?;
    let DeviceRow(number) = device.row;
    let source = [
        &b"forget"[..],
        &number.to_be_bytes(),
        &now.millis().to_be_bytes(),
    ];
    let mut log = ChangeLog::new(db, site, now, None, &source);
    log.moved(ChangeKind::Forgotten, device.row, Some(address), None)
}
