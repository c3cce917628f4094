//! Bringing devices into the inventory. Known devices are updated, none is removed.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{ImportDevices, Imported};
use tvtfleet_proto::model::change::ChangeKind;
use tvtfleet_proto::model::id::{ImportId, SiteId};
use tvtfleet_proto::model::identity::DeviceId;
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::time::UtcMillis;

use crate::inventory::merge::{self, Fate, Placement};

use super::change_log::ChangeLog;
use super::columns::DeviceRow;
use super::device_rows::{self as rows, Place, address_of};
use super::error::DbError;
use super::sites;

/// Imports devices. Doing it again with the same entries changes nothing.
pub(crate) fn import(
    db: &Connection,
    request: &ImportDevices,
    now: UtcMillis,
) -> Result<Imported, DbError> {
    let mut done = Imported::default();
    let mut added: BTreeSet<SiteId> = BTreeSet::new();
    for (position, (site, entry)) in (0_u32..).zip(&request.entries) {
        let row = match sites::find(db, site)? {
            Some(row) => row,
            None if request.create_sites => {
                added.insert(site.clone());
                sites::ensure(db, site, now)?.0
            }
            None => {
                let reason = format!("there is no site {site}");
                done.refused
                    .push((position, ErrorCode::InventoryEntryNoSite, reason));
                continue;
            }
        };
        let place = Place {
            row,
            site: site.clone(),
        };
        let (device, effect) = upsert(db, &place, request.import, entry, now)?;
        let labelled = label(db, device, &request.labels)?;
        remember(db, request.import, device)?;
        match effect {
            Effect::Added => done.added = done.added.saturating_add(1),
            Effect::Unchanged if !labelled => done.unchanged = done.unchanged.saturating_add(1),
            Effect::Updated | Effect::Unchanged => done.updated = done.updated.saturating_add(1),
        }
    }
    done.sites_added = added.into_iter().collect();
    Ok(done)
}

/// What an entry did.
pub(super) enum Effect {
    Added,
    Updated,
    Unchanged,
}

pub(super) fn upsert(
    db: &Connection,
    place: &Place,
    import: ImportId,
    entry: &InventoryEntry,
    now: UtcMillis,
) -> Result<(DeviceRow, Effect), DbError> {
    let mac = entry.mac().filter(|mac| mac.is_unicast());
    let address = address_of(entry);
    let holder = rows::holder(db, place.row, &address)?;
    let by_mac = match mac {
        Some(mac) => rows::by_key(db, place.row, &DeviceId::Mac(mac))?,
        None => None,
    };
    let named_before = match &by_mac {
        Some(device) => is_part(db, import, device.row)?,
        None => false,
    };
    let placement = merge::place_entry(
        mac,
        holder.as_ref().map(|holder| holder.known(false)).as_ref(),
        by_mac
            .as_ref()
            .map(|device| device.known(named_before))
            .as_ref(),
    );
    let (device, effect) = match (placement, holder, by_mac) {
        (Placement::Moved(_, fate), holder, Some(mut moved)) => {
            let vacated = moved.address.clone();
            let absorbed = holder.as_ref().filter(|_| fate == Fate::Absorbed);
            let known = absorbed.map_or(&moved.entry, |holder| &holder.entry);
            let merged = updated(known, entry);
            rows::take_place(db, &mut moved, holder.as_ref(), fate, merged)?;
            let site = place.site.to_string();
            let id = import.uuid();
            let source = [&id.as_bytes()[..], site.as_bytes(), address.as_bytes()];
            let mut log = ChangeLog::new(db, place.row, now, None, &source);
            log.moved(
                ChangeKind::Moved,
                moved.row,
                vacated.as_deref(),
                moved.address.as_deref(),
            )?;
            if let (Some(holder), Fate::Displaced) = (&holder, fate) {
                log.gave_way(holder, vacated.as_deref())?;
            }
            (moved, Effect::Updated)
        }
        (Placement::Holder, Some(mut holder), _) => {
            let merged = updated(&holder.entry, entry);
            if merged == holder.entry {
                (holder, Effect::Unchanged)
            } else {
                rows::set_entry(db, &mut holder, merged)?;
                (holder, Effect::Updated)
            }
        }
        (Placement::New(_) | Placement::Holder | Placement::Moved(..), ..) => {
            (rows::insert(db, place, entry, now)?, Effect::Added)
        }
    };
    rows::claim_names(db, place, &device, None)?;
    rows::vouch(db, device.row)?;
    Ok((device.row, effect))
}

/// An entry after an import: what the file leaves empty stays as it was.
fn updated(known: &InventoryEntry, new: &InventoryEntry) -> InventoryEntry {
    let text = |new: &str, old: &str| if new.is_empty() { old } else { new }.to_owned();
    InventoryEntry {
        host: new.host.clone(),
        port: new.port,
        site_label: text(&new.site_label, &known.site_label),
        hostname: text(&new.hostname, &known.hostname),
        mac_text: text(&new.mac_text, &known.mac_text),
        manufacturer: text(&new.manufacturer, &known.manufacturer),
        credential: new.credential.clone().or_else(|| known.credential.clone()),
    }
}

/// Puts labels on a device. Returns whether any was new.
fn label(db: &Connection, device: DeviceRow, labels: &[String]) -> Result<bool, DbError> {
    let mut query = db.prepare_cached("INSERT OR IGNORE INTO device_labels VALUES (?1, ?2)")?;
    let mut new = false;
    for label in labels {
        new |= query.execute(params![device, label])? > 0;
    }
    Ok(new)
}

pub(super) fn remember(
    db: &Connection,
    import: ImportId,
    device: DeviceRow,
) -> Result<(), DbError> {
    db.prepare_cached("INSERT OR IGNORE INTO imports (import, device) VALUES (?1, ?2)")?
        .execute(params![import.uuid().as_bytes(), device])?;
    Ok(())
}

fn is_part(db: &Connection, import: ImportId, device: DeviceRow) -> Result<bool, DbError> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM imports WHERE import = ?1 AND device = ?2)",
    )?;
    Ok(query.query_row(params![import.uuid().as_bytes(), device], |row| row.get(0))?)
}
