//! Bringing results of earlier scans into the history.
//!
//! Results that are newer than what is known count like a report. Older ones never change what is
//! known now, nor where a device stands: their states are put between those that are there.

use rusqlite::{Connection, OptionalExtension, params};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::Imported;
use tvtfleet_proto::model::identity::DeviceId;
use tvtfleet_proto::model::query::{ImportResults, PastResult};
use tvtfleet_proto::model::report::{DeviceFacts, DeviceReport};
use tvtfleet_proto::model::time::UtcMillis;

use crate::inventory::merge;

use super::change_log::ChangeLog;
use super::device_rows::{self as rows, Device, Place, address_of};
use super::error::DbError;
use super::import::{self, Effect};
use super::pack::{hash, pack, unpack_plain};
use super::report;
use super::sites;
use super::state::state_body;

/// Imports results.
pub(crate) fn import(
    db: &Connection,
    request: &ImportResults,
    now: UtcMillis,
) -> Result<Imported, DbError> {
    let Some(row) = sites::find(db, &request.site)? else {
        let message = format!("there is no site {}", request.site);
        return Err(DbError::refused(ErrorCode::SiteUnknown, message, ""));
    };
    let place = Place {
        row,
        site: request.site.clone(),
    };
    let mut done = Imported::default();
    for result in &request.results {
        let observed = result.report.observed_at.min(now);
        let (device, added) = locate(db, &place, result, observed)?;
        import::remember(db, request.import, device.row)?;
        let effect = if added {
            take(db, &place, request, &device, result, observed)?;
            Effect::Added
        } else if device.last_report.is_none_or(|last| last <= observed) {
            take(db, &place, request, &device, result, observed)?
        } else {
            backfill(db, &device, &result.report, observed)?
        };
        db.prepare_cached("UPDATE devices SET first_known = min(first_known, ?2) WHERE id = ?1")?
            .execute(params![device.row, observed.millis()])?;
        match effect {
            Effect::Added => done.added = done.added.saturating_add(1),
            Effect::Updated => done.updated = done.updated.saturating_add(1),
            Effect::Unchanged => done.unchanged = done.unchanged.saturating_add(1),
        }
    }
    Ok(done)
}

/// Finds the device of a result, or adds it. Returns whether it was added.
fn locate(
    db: &Connection,
    place: &Place,
    result: &PastResult,
    observed: UtcMillis,
) -> Result<(Device, bool), DbError> {
    let (facts, entry) = (&result.report.facts, &result.entry);
    let serial = facts.serial.trim();
    let keys = [
        (!serial.is_empty()).then(|| DeviceId::Serial(serial.to_owned())),
        facts.mac.filter(|mac| mac.is_unicast()).map(DeviceId::Mac),
        entry
            .mac()
            .filter(|mac| mac.is_unicast())
            .map(DeviceId::Mac),
    ];
    for key in keys.into_iter().flatten() {
        if let Some(device) = rows::by_key(db, place.row, &key)?
            && !contradicts(&device, facts)
        {
            return Ok((device, false));
        }
    }
    let holder = rows::holder(db, place.row, &address_of(entry))?;
    match holder {
        Some(holder) if !contradicts(&holder, facts) => Ok((holder, false)),
        // Something else stands there now: this one is known, but stands nowhere.
        Some(_) => Ok((rows::insert_nowhere(db, place, entry, observed)?, true)),
        None => Ok((rows::insert(db, place, entry, observed)?, true)),
    }
}

fn contradicts(device: &Device, facts: &DeviceFacts) -> bool {
    let (known, serial) = (&device.facts, facts.serial.trim());
    if !known.serial.is_empty() && !serial.is_empty() {
        return known.serial != serial;
    }
    matches!((known.mac, facts.mac), (Some(one), Some(other)) if one != other)
}

/// A result that is newer than what is known.
fn take(
    db: &Connection,
    place: &Place,
    request: &ImportResults,
    device: &Device,
    result: &PastResult,
    observed: UtcMillis,
) -> Result<Effect, DbError> {
    let mut named = device.clone();
    named.facts = merge::merge_facts(&device.facts, &result.report.facts);
    let site = place.site.to_string();
    if named.address.is_some() {
        rows::claim_names(db, place, &named, None)?;
    }
    let address = address_of(&result.entry);
    let import = request.import.uuid();
    let source = [&import.as_bytes()[..], site.as_bytes(), address.as_bytes()];
    let mut log = ChangeLog::new(db, place.row, observed, None, &source);
    report::update(db, device, &result.report, None, observed, &mut log)?;
    let after = rows::load(db, device.row)?;
    let same = after.is_some_and(|after| {
        (after.state, &after.facts, after.last_failure)
            == (device.state, &device.facts, device.last_failure)
            && device.last_report.is_some()
    });
    Ok(if same {
        Effect::Unchanged
    } else {
        Effect::Updated
    })
}

/// A result that is older than what is known: only its state is kept, from its moment to the next
/// thing that is known.
fn backfill(
    db: &Connection,
    device: &Device,
    report: &DeviceReport,
    observed: UtcMillis,
) -> Result<Effect, DbError> {
    let facts = merge::merge_facts(&DeviceFacts::default(), &report.facts);
    let Some(channels) = merge::reported_channels(report) else {
        return Ok(Effect::Unchanged);
    };
    let Some(body) = state_body(None, &facts, Some(channels)) else {
        return Ok(Effect::Unchanged);
    };
    let at = observed.millis();
    let Some(current) = device.state else {
        // Nothing was ever known: this is the best there is.
        let state = insert_state(db, device, at, None, &pack(&body))?;
        let known = merge::merge_facts(&facts, &device.facts);
        report::write_facts(db, device, &known)?;
        report::write_state(db, device, state, hash(&body), Some(channels.len()))?;
        return Ok(Effect::Updated);
    };
    let covering: Option<(i64, i64, Option<i64>, Vec<u8>)> = db
        .prepare_cached(
            "SELECT id, valid_from, valid_to, body FROM device_states
             WHERE device = ?1 AND valid_from <= ?2 AND (valid_to IS NULL OR valid_to > ?2)
             ORDER BY valid_from DESC LIMIT 1",
        )?
        .query_row(params![device.row, at], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((covering, from, to, known)) = covering else {
        let next: i64 = db.query_row(
            "SELECT min(valid_from) FROM device_states WHERE device = ?1",
            [device.row],
            |row| row.get(0),
        )?;
        insert_state(db, device, at, Some(next), &pack(&body))?;
        return Ok(Effect::Updated);
    };
    if from == at || unpack_plain("device state", &known)? == body {
        return Ok(Effect::Unchanged);
    }
    db.execute(
        "UPDATE device_states SET valid_to = ?2 WHERE id = ?1",
        params![covering, at],
    )?;
    match (to, device.last_report) {
        (None, Some(last)) if covering == current => {
            // What is known now was seen again by the last report.
            insert_state(db, device, at, Some(last.millis()), &pack(&body))?;
            let state = insert_state(db, device, last.millis(), None, &known)?;
            db.execute(
                "UPDATE devices SET state = ?2 WHERE id = ?1",
                params![device.row, state],
            )?;
        }
        (to, _) => {
            insert_state(db, device, at, to, &pack(&body))?;
        }
    }
    Ok(Effect::Updated)
}

fn insert_state(
    db: &Connection,
    device: &Device,
    from: i64,
    to: Option<i64>,
    body: &[u8],
) -> Result<i64, DbError> {
    db.prepare_cached(
        "INSERT INTO device_states (device, valid_from, valid_to, body) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![device.row, from, to, body])?;
    Ok(db.last_insert_rowid())
}
