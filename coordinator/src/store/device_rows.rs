//! Rows of devices: reading one, and the changes that a placement asks for.

use rusqlite::{Connection, OptionalExtension, Row, params};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::identity::DeviceId;
use tvtfleet_proto::model::inventory::{DEFAULT_PORT, InventoryEntry};
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::report::DeviceFacts;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::wire::v1;

use crate::inventory::merge::{Fate, Known};

use super::columns::{DeviceRow, SiteRow, code, mac, mac_bytes, moment, optional_moment};
use super::error::DbError;
use super::pack::{pack_message, unpack};

/// The most names by which one device is known; a device that invents more keeps the first ones.
const KEYS_MAX: i64 = 16;

/// A site that devices belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) row: SiteRow,
    pub(super) site: SiteId,
}

/// A device as stored.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) row: DeviceRow,
    /// Where it stands; `None` where it has been displaced.
    pub(super) address: Option<String>,
    pub(super) entry: InventoryEntry,
    pub(super) facts: DeviceFacts,
    pub(super) state: Option<i64>,
    pub(super) state_hash: Option<Vec<u8>>,
    pub(super) first_known: UtcMillis,
    pub(super) last_report: Option<UtcMillis>,
    pub(super) last_success: Option<UtcMillis>,
    pub(super) failing: bool,
    /// How the last report failed.
    pub(super) last_failure: Option<ErrorCode>,
    /// What the operators wrote about it.
    pub(super) note: String,
    /// Whether an operator took it out of the inventory.
    pub(super) forgotten: bool,
}

impl Device {
    /// What matters for its identity.
    pub(super) fn known(&self, elsewhere: bool) -> Known {
        Known {
            row: self.row,
            serial: self.facts.serial.clone(),
            mac: self.facts.mac,
            listed_mac: self.entry.mac().filter(|mac| mac.is_unicast()),
            since: self.first_known,
            last_success: self.last_success,
            elsewhere,
        }
    }
}

const COLUMNS: &str = "id, address, entry, facts, state, state_hash, first_known,
    last_report, last_success, failing, last_failure, note, forgotten_at";

/// The address of an entry, as it is stored.
pub(super) fn address_of(entry: &InventoryEntry) -> String {
    entry.endpoint(DEFAULT_PORT).to_string()
}

/// Reads a device.
pub(super) fn load(db: &Connection, row: DeviceRow) -> Result<Option<Device>, DbError> {
    let mut query = db.prepare_cached(&format!("SELECT {COLUMNS} FROM devices WHERE id = ?1"))?;
    query
        .query_row([row], |row| Ok(read(row)))
        .optional()?
        .transpose()
}

/// Reads the device at an address of a site.
pub(super) fn holder(
    db: &Connection,
    site: SiteRow,
    address: &str,
) -> Result<Option<Device>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM devices WHERE site = ?1 AND address = ?2");
    let mut query = db.prepare_cached(&sql)?;
    query
        .query_row(params![site, address], |row| Ok(read(row)))
        .optional()?
        .transpose()
}

/// Reads the device of a site that answers to a serial number or Ethernet address.
pub(super) fn by_key(
    db: &Connection,
    site: SiteRow,
    key: &DeviceId,
) -> Result<Option<Device>, DbError> {
    let mut query =
        db.prepare_cached("SELECT device FROM device_keys WHERE site = ?1 AND key = ?2")?;
    let found: Option<DeviceRow> = query
        .query_row(params![site, key.to_string()], |row| row.get(0))
        .optional()?;
    found.map_or(Ok(None), |row| load(db, row))
}

/// Adds a device at the end of its site's inventory.
pub(super) fn insert(
    db: &Connection,
    place: &Place,
    entry: &InventoryEntry,
    now: UtcMillis,
) -> Result<Device, DbError> {
    insert_at(db, place, entry, Some(address_of(entry)), now)
}

/// Adds a device that stands nowhere: something else has its address by now.
pub(super) fn insert_nowhere(
    db: &Connection,
    place: &Place,
    entry: &InventoryEntry,
    now: UtcMillis,
) -> Result<Device, DbError> {
    insert_at(db, place, entry, None, now)
}

fn insert_at(
    db: &Connection,
    place: &Place,
    entry: &InventoryEntry,
    address: Option<String>,
    now: UtcMillis,
) -> Result<Device, DbError> {
    let name = DeviceId::At(place.site.clone(), entry.endpoint(DEFAULT_PORT)).to_string();
    let listed = entry.mac().filter(|mac| mac.is_unicast());
    let facts = DeviceFacts::default();
    let mut query = db.prepare_cached(
        "INSERT INTO devices
           (site, position, address, name, entry, hostname, listed_mac, search, first_known)
         VALUES (?1, (SELECT coalesce(max(position), 0) + 1 FROM devices WHERE site = ?1),
                 ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    query.execute(params![
        place.row,
        address,
        name,
        pack_entry(entry),
        entry.hostname,
        mac_bytes(listed),
        search_text(entry, &facts, ""),
        now.millis(),
    ])?;
    Ok(Device {
        row: DeviceRow(db.last_insert_rowid()),
        address,
        entry: entry.clone(),
        facts,
        state: None,
        state_hash: None,
        first_known: now,
        last_report: None,
        last_success: None,
        failing: false,
        last_failure: None,
        note: String::new(),
        forgotten: false,
    })
}

/// Puts a known device at an address, where `entry` is what the inventory says of it now, and lets
/// the device that held the address give way.
pub(super) fn take_place(
    db: &Connection,
    device: &mut Device,
    holder: Option<&Device>,
    fate: Fate,
    entry: InventoryEntry,
) -> Result<(), DbError> {
    let vacated = device
        .address
        .as_ref()
        .map(|_| device.entry.endpoint(DEFAULT_PORT));
    if let Some(holder) = holder {
        make_room(db, holder, fate, device.row)?;
    }
    set_entry(db, device, entry)?;
    if let (Some(holder), Some(vacated), Fate::Displaced) = (holder, vacated, fate) {
        let entry = moved_entry(holder, &vacated, None);
        set_entry(db, &mut holder.clone(), entry)?;
    }
    Ok(())
}

/// Frees an address for another device.
pub(super) fn make_room(
    db: &Connection,
    holder: &Device,
    fate: Fate,
    survivor: DeviceRow,
) -> Result<(), DbError> {
    db.prepare_cached("UPDATE devices SET address = NULL WHERE id = ?1")?
        .execute([holder.row])?;
    if fate != Fate::Absorbed {
        return Ok(());
    }
    let pair = params![survivor, holder.row];
    for step in [
        // An operator had entered this address.
        "UPDATE devices SET trusted = max(trusted, (SELECT trusted FROM devices WHERE id = ?2))
         WHERE id = ?1",
        "UPDATE devices SET absorbed_into = ?1 WHERE id = ?2 OR absorbed_into = ?2",
        "UPDATE OR IGNORE device_keys SET device = ?1 WHERE device = ?2",
        "INSERT OR IGNORE INTO device_labels SELECT ?1, label FROM device_labels WHERE device = ?2",
        "INSERT OR IGNORE INTO imports (import, device) SELECT import, ?1 FROM imports WHERE device = ?2",
    ] {
        db.prepare_cached(step)?.execute(pair)?;
    }
    Ok(())
}

/// Trusts a device as much as another one.
pub(super) fn trust_like(
    db: &Connection,
    device: DeviceRow,
    other: DeviceRow,
) -> Result<(), DbError> {
    db.prepare_cached(
        "UPDATE devices SET trusted = (SELECT trusted FROM devices WHERE id = ?2) WHERE id = ?1",
    )?
    .execute(params![device, other])?;
    Ok(())
}

/// Notes that an operator vouches for a device. Returns whether that is new.
pub(super) fn vouch(db: &Connection, device: DeviceRow) -> Result<bool, DbError> {
    let changed = db
        .prepare_cached("UPDATE devices SET trusted = 1 WHERE id = ?1 AND trusted = 0")?
        .execute([device])?;
    Ok(changed > 0)
}

/// Writes what the inventory says of a device. Its address must be free, or its own.
pub(super) fn set_entry(
    db: &Connection,
    device: &mut Device,
    entry: InventoryEntry,
) -> Result<(), DbError> {
    let address = address_of(&entry);
    let listed = entry.mac().filter(|mac| mac.is_unicast());
    let mut query = db.prepare_cached(
        "UPDATE devices SET address = ?2, entry = ?3, hostname = ?4, listed_mac = ?5, search = ?6,
                forgotten_at = NULL
         WHERE id = ?1",
    )?;
    query.execute(params![
        device.row,
        address,
        pack_entry(&entry),
        entry.hostname,
        mac_bytes(listed),
        search_text(&entry, &device.facts, &device.note),
    ])?;
    device.address = Some(address);
    device.entry = entry;
    device.forgotten = false;
    Ok(())
}

/// Lets a device answer to the names that it gives itself, as far as no other device has them, and
/// stores the strongest of its names.
pub(super) fn claim_names(
    db: &Connection,
    place: &Place,
    device: &Device,
    extra_mac: Option<MacAddr>,
) -> Result<(), DbError> {
    let endpoint = device.entry.endpoint(DEFAULT_PORT);
    let listed = device.entry.mac();
    let mut wanted = Vec::new();
    let serial = device.facts.serial.trim();
    if !serial.is_empty() {
        wanted.push(DeviceId::Serial(serial.to_owned()).to_string());
    }
    for mac in [device.facts.mac, extra_mac, listed].into_iter().flatten() {
        let key = DeviceId::Mac(mac).to_string();
        if mac.is_unicast() && !wanted.contains(&key) {
            wanted.push(key);
        }
    }
    let mut held: i64 = db
        .prepare_cached("SELECT count(*) FROM device_keys WHERE device = ?1")?
        .query_row([device.row], |row| row.get(0))?;
    let mut name = None;
    for key in wanted {
        if held < KEYS_MAX {
            let added = db
                .prepare_cached("INSERT OR IGNORE INTO device_keys VALUES (?1, ?2, ?3)")?
                .execute(params![place.row, key, device.row])?;
            held = held.saturating_add(i64::try_from(added).unwrap_or(1));
        }
        if name.is_none() && owns(db, place.row, &key, device.row)? {
            name = Some(key);
        }
    }
    let name = name.unwrap_or_else(|| DeviceId::At(place.site.clone(), endpoint).to_string());
    db.prepare_cached("UPDATE devices SET name = ?2 WHERE id = ?1 AND name <> ?2")?
        .execute(params![device.row, name])?;
    Ok(())
}

/// The entry of a device that is now found at another address.
pub(super) fn moved_entry(
    device: &Device,
    to: &Endpoint,
    absorbed: Option<&Device>,
) -> InventoryEntry {
    let port = (to.port != DEFAULT_PORT || device.entry.port.is_some()).then_some(to.port);
    let mut entry = InventoryEntry {
        host: to.host.clone(),
        port,
        ..device.entry.clone()
    };
    // What was absorbed is the newer word of the operator on the same device.
    if let Some(newer) = absorbed.map(|absorbed| &absorbed.entry) {
        for (old, new) in [
            (&mut entry.site_label, &newer.site_label),
            (&mut entry.hostname, &newer.hostname),
            (&mut entry.mac_text, &newer.mac_text),
            (&mut entry.manufacturer, &newer.manufacturer),
        ] {
            if !new.is_empty() {
                old.clone_from(new);
            }
        }
        if newer.credential.is_some() {
            entry.credential.clone_from(&newer.credential);
        }
    }
    entry
}

pub(super) fn pack_entry(entry: &InventoryEntry) -> Vec<u8> {
    pack_message(&v1::InventoryEntry::from(entry.clone()))
}

pub(super) fn unpack_entry(body: &[u8]) -> Result<InventoryEntry, DbError> {
    let wire: v1::InventoryEntry = unpack("inventory entry", body)?;
    wire.try_into()
        .map_err(|error| DbError::damaged("inventory entry", error))
}

pub(super) fn pack_facts(facts: &DeviceFacts) -> Vec<u8> {
    pack_message(&v1::DeviceFacts::from(facts.clone()))
}

pub(super) fn unpack_facts(body: &[u8]) -> Result<DeviceFacts, DbError> {
    let wire: v1::DeviceFacts = unpack("device facts", body)?;
    wire.try_into()
        .map_err(|error| DbError::damaged("device facts", error))
}

/// The text in which a search looks, in lower case.
pub(super) fn search_text(entry: &InventoryEntry, facts: &DeviceFacts, note: &str) -> String {
    let mac = facts.mac.map(|mac| mac.to_string()).unwrap_or_default();
    [
        entry.hostname.as_str(),
        &entry.site_label,
        &entry.host.to_string(),
        &entry.mac_text,
        &mac,
        &facts.name,
        &facts.model,
        &facts.serial,
        note,
    ]
    .join("\n")
    .to_lowercase()
}

fn owns(db: &Connection, site: SiteRow, key: &str, device: DeviceRow) -> Result<bool, DbError> {
    let mut query =
        db.prepare_cached("SELECT device = ?3 FROM device_keys WHERE site = ?1 AND key = ?2")?;
    let owns = query
        .query_row(params![site, key, device], |row| row.get(0))
        .optional()?;
    Ok(owns.unwrap_or(false))
}

fn read(row: &Row<'_>) -> Result<Device, DbError> {
    Ok(Device {
        row: row.get("id")?,
        address: row.get("address")?,
        entry: unpack_entry(
            row.get_ref("entry")?
                .as_blob()
                .map_err(rusqlite::Error::from)?,
        )?,
        facts: unpack_facts(
            row.get_ref("facts")?
                .as_blob()
                .map_err(rusqlite::Error::from)?,
        )?,
        state: row.get("state")?,
        state_hash: row.get("state_hash")?,
        first_known: moment(row, "first_known")?,
        last_report: optional_moment(row, "last_report")?,
        last_success: optional_moment(row, "last_success")?,
        failing: row.get("failing")?,
        last_failure: code(&row.get::<_, String>("last_failure")?),
        note: row.get("note")?,
        forgotten: row.get::<_, Option<i64>>("forgotten_at")?.is_some(),
    })
}

/// Reads an Ethernet address column.
pub(super) fn read_mac(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<MacAddr>> {
    Ok(mac(row.get(column)?))
}
