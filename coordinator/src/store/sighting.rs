//! Joins what a discovery found with the inventory.
//!
//! Whoever answers may claim anything. So a device that was found gets a place of its own, without
//! trust; what a login established is not overwritten; and an address in use is taken over only by a
//! device that greeted there over TCP, which the sender of a forged datagram cannot do.

use std::net::{IpAddr, Ipv4Addr};

use rusqlite::{Connection, OptionalExtension, params};

use tvtfleet_proto::model::address::{Endpoint, Host};
use tvtfleet_proto::model::change::ChangeKind;
use tvtfleet_proto::model::discovery::{DiscoveredDevice, Flag, Method, Searched};
use tvtfleet_proto::model::identity::DeviceId;
use tvtfleet_proto::model::inventory::{DEFAULT_PORT, InventoryEntry};
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::wire::v1;

use crate::inventory::change::Draft;
use crate::inventory::merge::{self, Fate, Placement};

use super::change_log::ChangeLog;
use super::columns::{DeviceRow, JobRow, SiteRow};
use super::device_rows::{self as rows, Device, Place};
use super::error::DbError;
use super::pack::{pack_message, unpack};
use super::report::write_facts;

/// One device that a discovery found.
pub(super) struct Sighted<'a> {
    pub(super) place: &'a Place,
    pub(super) job: JobRow,
    pub(super) found: &'a DiscoveredDevice,
    pub(super) at: UtcMillis,
}

/// Finds the device of the inventory that was seen, or adds it, and says what it is now known to be.
pub(super) fn join(
    db: &Connection,
    sighted: &Sighted<'_>,
    now: UtcMillis,
    log: &mut ChangeLog<'_>,
) -> Result<Device, DbError> {
    let (mut device, agrees) = locate(db, sighted, now, log)?;
    if agrees {
        let claimed = sighted.found.facts();
        let facts = if device.last_success.is_some() {
            merge::merge_facts(&claimed, &device.facts)
        } else {
            merge::merge_facts(&device.facts, &claimed)
        };
        if facts != device.facts {
            write_facts(db, &device, &facts)?;
            device.facts = facts;
        }
        rows::claim_names(db, sighted.place, &device, None)?;
    }
    note(db, sighted, device.row, log)?;
    Ok(device)
}

/// Notes that a device was seen.
pub(super) fn note(
    db: &Connection,
    sighted: &Sighted<'_>,
    device: DeviceRow,
    log: &mut ChangeLog<'_>,
) -> Result<(), DbError> {
    let gone: Option<(Option<i64>, Option<String>)> = db
        .prepare_cached("SELECT gone_at, address FROM devices WHERE id = ?1")?
        .query_row([device], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((Some(_), address)) = gone {
        let address = address.unwrap_or_default();
        let back = Draft::device(ChangeKind::Back, "", "", address.as_str());
        log.add(device, &address, &back)?;
    }
    let body = pack_message(&v1::DiscoveredDevice::from(sighted.found.clone()));
    db.prepare_cached(
        "UPDATE devices SET seen_at = ?2, seen_by = ?3, seen = ?4, gone_at = NULL WHERE id = ?1",
    )?
    .execute(params![device, sighted.at.millis(), sighted.job, body])?;
    Ok(())
}

/// Stores how the discovery of a site went. It comes again with the same content.
pub(super) fn searched(
    db: &Connection,
    job: JobRow,
    ordinal: i64,
    place: &Place,
    searched: Searched,
) -> Result<(), DbError> {
    let worked = searched.failure.is_none();
    let body = pack_message(&v1::Searched::from(searched));
    let added = db
        .prepare_cached("INSERT OR IGNORE INTO searches VALUES (?1, ?2, ?3)")?
        .execute(params![job, ordinal, body])?;
    if worked && added > 0 {
        db.prepare_cached("UPDATE sites SET searched_by = ?2 WHERE id = ?1")?
            .execute(params![place.row, job])?;
    }
    Ok(())
}

/// Marks the devices that a complete discovery of their network did not see. All reports of the job
/// at the site have been applied.
pub(super) fn mark_gone(
    db: &Connection,
    job: JobRow,
    ordinal: i64,
    site: SiteRow,
) -> Result<(), DbError> {
    let body: Option<Vec<u8>> = db
        .prepare_cached("SELECT body FROM searches WHERE job = ?1 AND ordinal = ?2")?
        .query_row(params![job, ordinal], |row| row.get(0))
        .optional()?;
    let Some(body) = body else {
        return Ok(());
    };
    let wire: v1::Searched = unpack("discovery", &body)?;
    let searched =
        Searched::try_from(wire).map_err(|error| DbError::damaged("discovery", error))?;
    if searched.covered.is_empty() {
        return Ok(());
    }
    let mut query = db.prepare_cached(
        "SELECT d.id, d.address FROM devices d JOIN jobs j ON j.id = ?2
         WHERE d.site = ?1 AND d.address IS NOT NULL AND d.gone_at IS NULL
           AND d.seen_by IS NOT j.id AND d.first_known < j.submitted_at
           AND (d.last_success IS NULL OR d.last_success < j.submitted_at)
         ORDER BY d.id",
    )?;
    let standing = query
        .query_map(params![site, job], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(DeviceRow, String)>, _>>()?;
    let (name, part) = (searched.job.uuid(), ordinal.to_be_bytes());
    let source = [&b"gone"[..], &name.as_bytes()[..], &part[..]];
    let mut log = ChangeLog::new(db, site, searched.at, Some(job), &source);
    for (device, address) in standing {
        let asked = host_of(&address).is_some_and(|host| {
            searched.covered.iter().any(|net| net.contains(&host))
                && !searched.excluded.iter().any(|net| net.contains(&host))
        });
        if asked {
            db.prepare_cached("UPDATE devices SET gone_at = ?2 WHERE id = ?1")?
                .execute(params![device, searched.at.millis()])?;
            let gone = Draft::device(ChangeKind::Gone, "", address.as_str(), "");
            log.add(device, &address, &gone)?;
        }
    }
    Ok(())
}

/// Where a device of a site stood when it was seen, and whether it says what is known of it.
fn locate(
    db: &Connection,
    sighted: &Sighted<'_>,
    now: UtcMillis,
    log: &mut ChangeLog<'_>,
) -> Result<(Device, bool), DbError> {
    let (site, found) = (sighted.place.row, sighted.found);
    let facts = found.facts();
    let lookup = |key: Option<DeviceId>| match key {
        Some(key) => rows::by_key(db, site, &key),
        None => Ok(None),
    };
    let serial = facts.serial.trim();
    let by_serial = lookup((!serial.is_empty()).then(|| DeviceId::Serial(serial.to_owned())))?;
    let by_mac = lookup(facts.mac.filter(|mac| mac.is_unicast()).map(DeviceId::Mac))?;
    // A device with two addresses has not moved from one to the other.
    for known in [&by_mac, &by_serial].into_iter().flatten() {
        let host = known.address.as_deref().and_then(host_of);
        if host.is_some_and(|host| found.address == host || found.addresses.contains(&host)) {
            return Ok((known.clone(), true));
        }
    }
    let greeted = found.methods.contains(&Method::Tcp);
    let credible = greeted || !found.flags.contains(&Flag::AddressMismatch);
    let at = if credible {
        found.address
    } else {
        found.source
    };
    let holder = holder_at(db, sighted, at)?;
    let elsewhere = |device: &Device| seen_in(db, device.row, sighted.job);
    let known = |device: Option<&Device>| -> Result<_, DbError> {
        Ok(match device {
            Some(device) => Some(device.known(elsewhere(device)?)),
            None => None,
        })
    };
    let placement = merge::place_report(
        &facts,
        holder.as_ref().map(|holder| holder.known(false)).as_ref(),
        known(by_serial.as_ref())?.as_ref(),
        known(by_mac.as_ref())?.as_ref(),
    );
    let port = found.scan_port().unwrap_or(DEFAULT_PORT);
    let endpoint = Endpoint {
        host: Host::Ip(at.into()),
        port,
    };
    match (placement, holder) {
        (Placement::Holder, Some(holder)) => Ok((holder, true)),
        // An address in use is not given away because of a datagram.
        (Placement::New(Fate::Displaced), Some(holder)) if !greeted => Ok((holder, false)),
        (Placement::Moved(row, fate), holder) => {
            let moved = by_serial
                .into_iter()
                .chain(by_mac)
                .find(|known| known.row == row);
            let Some(mut moved) = moved else {
                return Err(DbError::damaged("device", "row not found"));
            };
            if !credible || (fate == Fate::Displaced && !greeted) {
                return Ok((moved, true));
            }
            let vacated = moved.address.clone();
            let entry = rows::moved_entry(&moved, &endpoint, None);
            let came_back = moved.forgotten;
            rows::take_place(db, &mut moved, holder.as_ref(), fate, entry)?;
            let trusted = !came_back && facts.mac.is_some_and(MacAddr::is_tvt);
            let sql = if came_back {
                "UPDATE devices SET added_by = ?2, trusted = 0 WHERE id = ?1 AND ?3 IS ?3"
            } else {
                "UPDATE devices SET moved_by = ?2, trusted = min(trusted, ?3) WHERE id = ?1"
            };
            db.prepare_cached(sql)?
                .execute(params![moved.row, sighted.job, trusted])?;
            let kind = if vacated.is_none() {
                ChangeKind::Added
            } else {
                ChangeKind::Moved
            };
            log.moved(
                kind,
                moved.row,
                vacated.as_deref(),
                moved.address.as_deref(),
            )?;
            if let (Some(holder), Fate::Displaced) = (&holder, fate) {
                log.gave_way(holder, vacated.as_deref())?;
            }
            Ok((moved, true))
        }
        (Placement::Holder | Placement::New(_), holder) => {
            if let Some(holder) = &holder {
                rows::make_room(db, holder, Fate::Displaced, holder.row)?;
            }
            let entry = InventoryEntry {
                port: Some(endpoint.port),
                ..InventoryEntry::bare(endpoint.host)
            };
            let device = rows::insert(db, sighted.place, &entry, now)?;
            db.prepare_cached("UPDATE devices SET added_by = ?2, trusted = 0 WHERE id = ?1")?
                .execute(params![device.row, sighted.job])?;
            log.moved(
                ChangeKind::Added,
                device.row,
                None,
                device.address.as_deref(),
            )?;
            if let Some(holder) = &holder {
                log.gave_way(holder, None)?;
            }
            Ok((device, true))
        }
    }
}

/// The device at an address, on whatever port; the one on the port that answered before others.
fn holder_at(
    db: &Connection,
    sighted: &Sighted<'_>,
    at: Ipv4Addr,
) -> Result<Option<Device>, DbError> {
    let port = sighted.found.scan_port().unwrap_or(DEFAULT_PORT);
    let exact = rows::holder(db, sighted.place.row, &format!("{at}:{port}"))?;
    if exact.is_some() {
        return Ok(exact);
    }
    // ';' comes after ':'.
    let mut query = db.prepare_cached(
        "SELECT address FROM devices WHERE site = ?1 AND address >= ?2 AND address < ?3
         ORDER BY address LIMIT 1",
    )?;
    let address: Option<String> = query
        .query_row(
            params![sighted.place.row, format!("{at}:"), format!("{at};")],
            |row| row.get(0),
        )
        .optional()?;
    match address {
        Some(address) => rows::holder(db, sighted.place.row, &address),
        None => Ok(None),
    }
}

/// Whether a device has already been seen in the same job.
fn seen_in(db: &Connection, device: DeviceRow, job: JobRow) -> Result<bool, DbError> {
    let mut query =
        db.prepare_cached("SELECT coalesce(seen_by = ?2, 0) FROM devices WHERE id = ?1")?;
    Ok(query.query_row(params![device, job], |row| row.get(0))?)
}

/// The IPv4 address of a stored address, where it is one.
pub(super) fn host_of(address: &str) -> Option<Ipv4Addr> {
    match address.parse::<Endpoint>().ok()?.host.ip()? {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}
