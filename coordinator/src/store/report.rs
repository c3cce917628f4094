//! Applies one device report to the inventory.

use rusqlite::{Connection, params};

use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::change::ChangeKind;
use tvtfleet_proto::model::channel::Channel;
use tvtfleet_proto::model::identity::DeviceId;
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::report::{DeviceFacts, DeviceReport};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::wire::v1;

use crate::inventory::change;
use crate::inventory::merge::{self, Fate, Placement};

use super::change_log::ChangeLog;
use super::columns::{DeviceRow, JobRow, code_text, mac_bytes};
use super::device_rows::{self as rows, Device, Place};
use super::error::DbError;
use super::pack::{pack_message, unpack};
use super::state::{State, state_body};

/// The target that a report answers.
pub(super) struct Asked<'a> {
    pub(super) place: &'a Place,
    pub(super) job: JobRow,
    /// When the job was submitted.
    pub(super) submitted: UtcMillis,
    pub(super) ordinal: i64,
    pub(super) device: DeviceRow,
    pub(super) address: String,
}

/// How a report is kept with its job.
pub(super) struct Kept {
    /// The device that answered.
    pub(super) device: DeviceRow,
    /// The state whose facts and channels are exactly the report's.
    pub(super) state: Option<i64>,
    /// The rest of the report, or all of it.
    pub(super) body: Vec<u8>,
}

impl Kept {
    /// A report that is kept as it is.
    pub(super) fn whole(device: DeviceRow, report: DeviceReport) -> Self {
        Self {
            device,
            state: None,
            body: pack_message(&v1::DeviceReport::from(report)),
        }
    }
}

/// Applies a report: finds its device, updates what is known of it and its history.
///
/// A report that is older than what is known changes nothing but is kept with its job.
pub(super) fn apply_report(
    db: &Connection,
    asked: &Asked<'_>,
    mut report: DeviceReport,
    ready: Option<State>,
    now: UtcMillis,
) -> Result<Kept, DbError> {
    // A clock that runs ahead at the site must not outdate what comes later, and one that is behind
    // must not make the answer to a new job older than what is known.
    let observed = report.observed_at.max(asked.submitted).min(now);
    let (site, number) = (asked.place.site.to_string(), report.target.0.to_be_bytes());
    let job = report.job.uuid();
    let source = [&job.as_bytes()[..], site.as_bytes(), &number[..]];
    let mut log = ChangeLog::new(db, asked.place.row, observed, Some(asked.job), &source);
    let Some(device) = find(db, asked, &report, now, &mut log)? else {
        return Ok(Kept::whole(asked.device, report));
    };
    // What is known from the future was stored, or is being stored, by a clock that has jumped.
    let observed = match device.last_report {
        Some(last) if last > now => last,
        Some(_) | None => observed,
    };
    let state = update(db, &device, &report, ready, observed, &mut log)?;
    if state.is_some() {
        report.channels = Vec::new();
    }
    let mut wire = v1::DeviceReport::from(report);
    if state.is_some() {
        wire.facts = None;
    }
    Ok(Kept {
        device: device.row,
        state,
        body: pack_message(&wire),
    })
}

/// Finds the device that answered and puts it where it stands now. `None` where nobody stands at
/// the address any more and the report does not say who answered.
fn find(
    db: &Connection,
    asked: &Asked<'_>,
    report: &DeviceReport,
    now: UtcMillis,
    log: &mut ChangeLog<'_>,
) -> Result<Option<Device>, DbError> {
    let facts = &report.facts;
    let target = rows::load(db, asked.device)?;
    // A job that was under way must not bring back what an operator took out.
    if target.as_ref().is_some_and(|target| target.forgotten) {
        return Ok(None);
    }
    let holder = match target {
        Some(target) if target.address.as_deref() == Some(&asked.address) => Some(target),
        Some(_) | None => rows::holder(db, asked.place.row, &asked.address)?,
    };
    let serial = facts.serial.trim();
    let mac = facts.mac.filter(|mac| mac.is_unicast());
    let says_nothing_new = holder.as_ref().is_some_and(|holder| {
        (serial.is_empty() || serial == holder.facts.serial)
            && (mac.is_none() || mac == holder.facts.mac)
    });
    if says_nothing_new || (serial.is_empty() && mac.is_none()) {
        return Ok(holder);
    }
    let lookup = |key: Option<DeviceId>| match key {
        Some(key) => rows::by_key(db, asked.place.row, &key),
        None => Ok(None),
    };
    let by_serial = lookup((!serial.is_empty()).then(|| DeviceId::Serial(serial.to_owned())))?;
    let by_mac = lookup(mac.map(DeviceId::Mac))?;
    let placement = {
        let known = |device: Option<&Device>| -> Result<_, DbError> {
            let Some(device) = device else {
                return Ok(None);
            };
            Ok(Some(
                device.known(answered_elsewhere(db, asked, device.row)?),
            ))
        };
        merge::place_report(
            facts,
            holder.as_ref().map(|holder| holder.known(false)).as_ref(),
            known(by_serial.as_ref())?.as_ref(),
            known(by_mac.as_ref())?.as_ref(),
        )
    };
    let mut device = match (placement, holder) {
        (Placement::Holder, holder) => match holder {
            Some(holder) => holder,
            None => return Ok(None),
        },
        (Placement::Moved(row, fate), holder) => {
            let moved = by_serial
                .into_iter()
                .chain(by_mac)
                .find(|other| other.row == row);
            let Some(moved) = moved else {
                return Ok(holder);
            };
            move_here(db, asked, moved, holder.as_ref(), fate, log)?
        }
        (Placement::New(fate), holder) => add_here(db, asked, holder.as_ref(), fate, now, log)?,
    };
    // The names are claimed before the facts are merged, so that both can be compared later.
    let before = device.facts.clone();
    device.facts = merge::merge_facts(&before, facts);
    rows::claim_names(db, asked.place, &device, mac)?;
    device.facts = before;
    Ok(Some(device))
}

fn move_here(
    db: &Connection,
    asked: &Asked<'_>,
    mut moved: Device,
    holder: Option<&Device>,
    fate: Fate,
    log: &mut ChangeLog<'_>,
) -> Result<Device, DbError> {
    let vacated = moved.address.clone();
    let absorbed = holder.filter(|_| fate == Fate::Absorbed);
    let entry = rows::moved_entry(&moved, &endpoint(&asked.address)?, absorbed);
    rows::take_place(db, &mut moved, holder, fate, entry)?;
    log.moved(
        ChangeKind::Moved,
        moved.row,
        vacated.as_deref(),
        moved.address.as_deref(),
    )?;
    if let (Some(holder), Fate::Displaced) = (holder, fate) {
        log.gave_way(holder, vacated.as_deref())?;
    }
    Ok(moved)
}

fn add_here(
    db: &Connection,
    asked: &Asked<'_>,
    holder: Option<&Device>,
    fate: Fate,
    now: UtcMillis,
    log: &mut ChangeLog<'_>,
) -> Result<Device, DbError> {
    let device = add_row(db, asked, holder, fate, now)?;
    log.moved(
        ChangeKind::Added,
        device.row,
        None,
        device.address.as_deref(),
    )?;
    if let (Some(holder), Fate::Displaced) = (holder, fate) {
        log.gave_way(holder, None)?;
    }
    Ok(device)
}

fn add_row(
    db: &Connection,
    asked: &Asked<'_>,
    holder: Option<&Device>,
    fate: Fate,
    now: UtcMillis,
) -> Result<Device, DbError> {
    let Some(holder) = holder else {
        let endpoint = endpoint(&asked.address)?;
        let entry = InventoryEntry {
            port: Some(endpoint.port),
            ..InventoryEntry::bare(endpoint.host)
        };
        return rows::insert(db, asked.place, &entry, now);
    };
    // Names and labels that the operator gave belong to the place, and so to what stands there now.
    rows::make_room(db, holder, fate, holder.row)?;
    let device = rows::insert(db, asked.place, &holder.entry, now)?;
    db.prepare_cached(
        "INSERT OR IGNORE INTO device_labels SELECT ?1, label FROM device_labels WHERE device = ?2",
    )?
    .execute(params![device.row, holder.row])?;
    rows::trust_like(db, device.row, holder.row)?;
    Ok(device)
}

fn endpoint(address: &str) -> Result<Endpoint, DbError> {
    address
        .parse()
        .map_err(|error| DbError::damaged("target address", error))
}

/// Whether a device has already answered from another address in the same job.
fn answered_elsewhere(
    db: &Connection,
    asked: &Asked<'_>,
    device: DeviceRow,
) -> Result<bool, DbError> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM job_results
                        WHERE job = ?1 AND ordinal = ?2 AND device = ?3 AND ok = 1)",
    )?;
    Ok(query.query_row(params![asked.job, asked.ordinal, device], |row| row.get(0))?)
}

/// Updates what is known of a device, and records what changed. Returns the state that the report
/// equals. `ready` is what the report alone would make of the device.
pub(super) fn update(
    db: &Connection,
    device: &Device,
    report: &DeviceReport,
    ready: Option<State>,
    observed: UtcMillis,
    log: &mut ChangeLog<'_>,
) -> Result<Option<i64>, DbError> {
    if device.last_report.is_some_and(|last| observed < last) {
        return Ok(None);
    }
    let address = device.address.as_deref().unwrap_or_default();
    let before = device.last_report.map(|_| device.last_failure);
    let failure = report.failure.as_ref().map(|failure| failure.code);
    if let Some(draft) = change::of_outcome(before, failure) {
        log.add(device.row, address, &draft)?;
    }
    let facts = merge::merge_facts(&device.facts, &report.facts);
    let channels = merge::reported_channels(report);
    let outcome = Outcome { observed, report };
    if channels.is_none() && facts == device.facts {
        outcome.touch(db, device)?;
        return Ok(None);
    }
    let exact = channels.is_some() && facts == report.facts;
    let new = match ready.filter(|_| exact) {
        Some(ready) => Some(ready),
        None => {
            let known = match (channels, device.state) {
                (None, Some(state)) => Some(load_state(db, state)?.channels),
                (_, _) => None,
            };
            state_body(known.as_deref(), &facts, channels).map(State::of_body)
        }
    };
    let Some(new) = new else {
        // A failed login may still name the device; its channels have never been known.
        record_changes(device, None, &facts, None, log)?;
        outcome.write(db, device, &facts, None)?;
        return Ok(None);
    };
    if let Some(state) = device.state
        && device.state_hash.as_deref() == Some(&new.hash[..])
    {
        outcome.touch(db, device)?;
        return Ok(exact.then_some(state));
    }
    let known = match (channels, device.state) {
        (Some(_), Some(state)) => Some(load_state(db, state)?.channels),
        (_, _) => None,
    };
    record_changes(device, known, &facts, channels, log)?;
    if let Some(state) = device.state {
        db.prepare_cached("UPDATE device_states SET valid_to = ?2 WHERE id = ?1")?
            .execute(params![state, observed.millis()])?;
    }
    let hash = new.hash;
    db.prepare_cached("INSERT INTO device_states (device, valid_from, body) VALUES (?1, ?2, ?3)")?
        .execute(params![device.row, observed.millis(), new.into_packed()])?;
    let state = db.last_insert_rowid();
    let count = channels.map(<[Channel]>::len);
    outcome.write(
        db,
        device,
        &facts,
        Some(NewState {
            row: state,
            hash,
            channels: count,
        }),
    )?;
    Ok(exact.then_some(state))
}

/// Records what differs between what was known of a device and what is known now.
fn record_changes(
    device: &Device,
    known: Option<Vec<v1::Channel>>,
    facts: &DeviceFacts,
    channels: Option<&[Channel]>,
    log: &mut ChangeLog<'_>,
) -> Result<(), DbError> {
    let known = known.map(read_channels).transpose()?;
    let before = change::Known {
        facts: &device.facts,
        channels: known.as_deref(),
    };
    let after = change::Known { facts, channels };
    for draft in change::between(before, after) {
        log.add(
            device.row,
            device.address.as_deref().unwrap_or_default(),
            &draft,
        )?;
    }
    Ok(())
}

/// The channels of a stored state.
pub(super) fn read_channels(wire: Vec<v1::Channel>) -> Result<Vec<Channel>, DbError> {
    let channels = wire.into_iter().map(TryInto::try_into);
    channels
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| DbError::damaged("channel", error))
}

/// Reads facts and channels of a state.
pub(super) fn load_state(db: &Connection, state: i64) -> Result<v1::DeviceReport, DbError> {
    let mut query = db.prepare_cached("SELECT body FROM device_states WHERE id = ?1")?;
    let body: Vec<u8> = query.query_row([state], |row| row.get(0))?;
    unpack("device state", &body)
}

struct NewState {
    row: i64,
    hash: [u8; 16],
    /// How many channels; `None` where the report did not say.
    channels: Option<usize>,
}

/// What a report says about how the device fared.
struct Outcome<'a> {
    observed: UtcMillis,
    report: &'a DeviceReport,
}

impl Outcome<'_> {
    fn failing(&self) -> bool {
        !self.report.is_success()
    }

    fn failure(&self) -> &'static str {
        code_text(self.report.failure.as_ref().map(|failure| failure.code))
    }

    fn success_at(&self) -> Option<i64> {
        self.report.is_success().then(|| self.observed.millis())
    }

    /// Stores that the device was asked, and nothing else has changed.
    fn touch(&self, db: &Connection, device: &Device) -> Result<(), DbError> {
        // The index over `failing` is left alone in the common case.
        let sql = if device.failing == self.failing() {
            "UPDATE devices SET last_report = ?2, last_success = coalesce(?3, last_success),
                    last_failure = ?4, gone_at = iif(?3 IS NULL, gone_at, NULL) WHERE id = ?1"
        } else {
            "UPDATE devices SET last_report = ?2, last_success = coalesce(?3, last_success),
                    last_failure = ?4, gone_at = iif(?3 IS NULL, gone_at, NULL),
                    failing = ?4 <> '' WHERE id = ?1"
        };
        db.prepare_cached(sql)?.execute(params![
            device.row,
            self.observed.millis(),
            self.success_at(),
            self.failure(),
        ])?;
        Ok(())
    }

    fn write(
        &self,
        db: &Connection,
        device: &Device,
        facts: &DeviceFacts,
        state: Option<NewState>,
    ) -> Result<(), DbError> {
        if *facts != device.facts {
            write_facts(db, device, facts)?;
        }
        let Some(state) = state else {
            return self.touch(db, device);
        };
        let channels = state
            .channels
            .and_then(|channels| i64::try_from(channels).ok());
        let sql = if device.failing == self.failing() {
            "UPDATE devices SET last_report = ?2, last_success = coalesce(?3, last_success),
                    last_failure = ?4, gone_at = iif(?3 IS NULL, gone_at, NULL),
                    state = ?5, state_hash = ?6, channel_count = coalesce(?7, channel_count)
             WHERE id = ?1"
        } else {
            "UPDATE devices SET last_report = ?2, last_success = coalesce(?3, last_success),
                    last_failure = ?4, gone_at = iif(?3 IS NULL, gone_at, NULL),
                    state = ?5, state_hash = ?6, channel_count = coalesce(?7, channel_count),
                    failing = ?4 <> '' WHERE id = ?1"
        };
        db.prepare_cached(sql)?.execute(params![
            device.row,
            self.observed.millis(),
            self.success_at(),
            self.failure(),
            state.row,
            state.hash,
            channels,
        ])?;
        Ok(())
    }
}

/// Stores what a device says of itself.
pub(super) fn write_facts(
    db: &Connection,
    device: &Device,
    facts: &DeviceFacts,
) -> Result<(), DbError> {
    let mut query = db.prepare_cached(
        "UPDATE devices SET facts = ?2, serial = ?3, mac = ?4, search = ?5, device_name = ?6,
                        model = ?7, firmware = ?8 WHERE id = ?1",
    )?;
    query.execute(params![
        device.row,
        rows::pack_facts(facts),
        facts.serial,
        mac_bytes(facts.mac),
        rows::search_text(&device.entry, facts, &device.note),
        facts.name,
        facts.model,
        facts.firmware,
    ])?;
    Ok(())
}

/// Makes a state the current one of a device; `channels` is `None` where the report did not say.
pub(super) fn write_state(
    db: &Connection,
    device: &Device,
    state: i64,
    hash: [u8; 16],
    channels: Option<usize>,
) -> Result<(), DbError> {
    let channels = channels.and_then(|channels| i64::try_from(channels).ok());
    let mut query = db.prepare_cached(
        "UPDATE devices SET state = ?2, state_hash = ?3,
                        channel_count = coalesce(?4, channel_count) WHERE id = ?1",
    )?;
    query.execute(params![device.row, state, hash, channels])?;
    Ok(())
}
