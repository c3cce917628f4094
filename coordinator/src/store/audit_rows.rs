//! The audit's rows. What changes something adds its row in the same transaction, so that neither is
//! ever there without the other.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use tvtfleet_proto::model::audit::{
    AUDIT_PRUNED, AUDIT_SITES_MAX, AuditDecision, AuditEntry, AuditMark, AuditPage, AuditRow,
    ChainHash, ListAudit,
};
use tvtfleet_proto::model::id::{JobId, SiteId};
use tvtfleet_proto::model::job::{JobState, Selector, WorkOptions};
use tvtfleet_proto::model::time::UtcMillis;

use crate::jobs::tracker::JobTrack;

use super::columns::{JobRow, count, job_id, moment, signed, unsigned};
use super::error::DbError;
use super::job_rows;
use super::paging::Room;
use super::submit::Submission;

/// Rows that are looked at for one page.
const LOOK_MAX: usize = 20_000;
/// Devices of a job that its row names.
const TARGETS_NAMED: u32 = 20;
/// About what a row takes in a page besides its texts, in bytes.
const ROW_BYTES: usize = 160;

/// Adds a row. Returns where the chain stands then.
pub(crate) fn append(db: &Connection, entry: AuditEntry) -> Result<AuditMark, DbError> {
    let row = AuditRow::following(head(db)?, entry);
    let entry = &row.entry;
    let sites: Vec<String> = entry.sites.iter().map(ToString::to_string).collect();
    db.prepare_cached(
        "INSERT INTO audit (number, prior, at, who, key, kind, decision, code, job, sites,
                            sites_total, devices, detail, outcome, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        signed(row.number),
        row.prior.bytes(),
        entry.at.millis(),
        entry.who,
        entry.key,
        entry.kind,
        entry.decision,
        entry.code,
        entry.job.map(|job| job.uuid().into_bytes()),
        sites.join(" "),
        entry.sites_total,
        entry.devices,
        entry.detail,
        entry.outcome,
        row.hash.bytes(),
    ])?;
    Ok(row.mark())
}

/// Where the chain stands.
pub(crate) fn head(db: &Connection) -> Result<AuditMark, DbError> {
    let mut query =
        db.prepare_cached("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")?;
    let found = query.query_row([], |row| Ok((row.get(0)?, row.get(1)?)));
    match found.optional()? {
        Some((number, bytes)) => Ok(AuditMark {
            number: unsigned(number),
            hash: hash(bytes)?,
        }),
        None => Ok(AuditMark::default()),
    }
}

/// The hash of a row; `None` where there is no such row.
pub(crate) fn hash_of(db: &Connection, number: u64) -> Result<Option<ChainHash>, DbError> {
    let mut query = db.prepare_cached("SELECT hash FROM audit WHERE number = ?1")?;
    let found = query.query_row([signed(number)], |row| row.get(0));
    found.optional()?.map(hash).transpose()
}

/// Reads a page of the audit. It may hold few rows or none and still not be the last.
pub(crate) fn list(db: &Connection, request: &ListAudit) -> Result<AuditPage, DbError> {
    let mut room = Room::new(request.limit);
    let mut query = db.prepare_cached("SELECT * FROM audit WHERE number > ?1 ORDER BY number")?;
    let mut rows = query.query([signed(request.after)])?;
    let mut page = AuditPage {
        head: Some(head(db)?),
        ..AuditPage::default()
    };
    let mut looked = 0_usize;
    while let Some(row) = rows.next()? {
        let row = read(row)?;
        let number = row.number;
        looked = looked.saturating_add(1);
        if request.includes(&row.entry) {
            room.take(weight(&row.entry));
            page.rows.push(row);
        }
        if looked >= LOOK_MAX || room.is_full() {
            page.next = Some(number);
            break;
        }
    }
    Ok(page)
}

/// Takes out the rows at the beginning that were recorded before, and says so in a new row. Returns
/// how many rows went.
pub(super) fn prune(
    db: &Connection,
    before: UtcMillis,
    now: UtcMillis,
    portion: u32,
) -> Result<usize, DbError> {
    // Clocks may have been set back: only what has no younger row before it goes.
    let last: Option<i64> = db.query_row(
        "SELECT max(number) FROM (SELECT number FROM audit
           WHERE number < coalesce((SELECT min(number) FROM audit WHERE at >= ?1),
                                   (SELECT max(number) FROM audit))
           ORDER BY number LIMIT ?2)",
        params![before.millis(), portion],
        |row| row.get(0),
    )?;
    let Some(last) = last else { return Ok(0) };
    let number = unsigned(last);
    let Some(hash) = hash_of(db, number)? else {
        return Ok(0);
    };
    let gone = db
        .prepare_cached("DELETE FROM audit WHERE number <= ?1")?
        .execute([last])?;
    let entry = AuditEntry {
        at: now,
        who: "coordinator".to_owned(),
        kind: AUDIT_PRUNED.to_owned(),
        decision: AuditDecision::Noted.as_str().to_owned(),
        detail: AuditMark { number, hash }.to_string(),
        outcome: format!("{gone} rows recorded before {before} taken out"),
        ..AuditEntry::default()
    };
    append(db, entry)?;
    Ok(gone)
}

/// Adds the row of a job that was just submitted.
pub(crate) fn submitted(db: &Connection, job: &Submission, key: &str) -> Result<(), DbError> {
    let Some((row, track)) = job_rows::find(db, job.id)? else {
        return Ok(());
    };
    let sites = sites_of(db, row)?;
    let mut query = db.prepare_cached(
        "SELECT address FROM job_targets WHERE job = ?1 ORDER BY ordinal, number LIMIT ?2",
    )?;
    let named = query.query_map(params![row, TARGETS_NAMED], |row| row.get::<_, String>(0))?;
    let named: Vec<String> = named.collect::<Result<_, _>>()?;
    let mut detail = described(&job.spec.selector);
    detail.insert_str(0, &format!("{} of ", ordered(&job.spec.work)));
    if !named.is_empty() {
        detail.push_str(": ");
        detail.push_str(&named.join(", "));
        if track.devices.total > TARGETS_NAMED {
            detail.push_str(" and more");
        }
    }
    let mut entry = AuditEntry {
        at: job.now,
        who: job.user.clone(),
        key: key.to_owned(),
        kind: "job.submit".to_owned(),
        decision: AuditDecision::Admitted.as_str().to_owned(),
        job: Some(job.id),
        devices: track.devices.total,
        detail,
        outcome: format!("until {}", track.deadline_at),
        ..AuditEntry::default()
    }
    .for_sites(sites);
    entry.sites_total = track.sites_total;
    append(db, entry)?;
    Ok(())
}

/// Adds the row of a job that somebody stopped.
pub(crate) fn cancelled(
    db: &Connection,
    job: JobId,
    who: &str,
    key: &str,
    now: UtcMillis,
) -> Result<(), DbError> {
    let Some((row, track)) = job_rows::find(db, job)? else {
        return Ok(());
    };
    let mut entry = AuditEntry {
        at: now,
        who: who.to_owned(),
        key: key.to_owned(),
        kind: "job.cancel".to_owned(),
        decision: AuditDecision::Admitted.as_str().to_owned(),
        job: Some(job),
        devices: track.devices.total,
        outcome: counted(&track),
        ..AuditEntry::default()
    }
    .for_sites(sites_of(db, row)?);
    entry.sites_total = track.sites_total;
    append(db, entry)?;
    Ok(())
}

/// Adds the row of a job that has just ended.
pub(super) fn ended(db: &Connection, row: JobRow, track: &JobTrack) -> Result<(), DbError> {
    let Some(at) = track.ended_at else {
        return Ok(());
    };
    let mut query = db.prepare_cached("SELECT uuid, submitted_by FROM jobs WHERE id = ?1")?;
    let (uuid, user): (Vec<u8>, String) =
        query.query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut entry = AuditEntry {
        at,
        who: "coordinator".to_owned(),
        kind: "job.end".to_owned(),
        decision: AuditDecision::Noted.as_str().to_owned(),
        job: Some(job_id(&uuid)?),
        devices: track.devices.total,
        detail: format!("{}; submitted by {user}", state_text(track)),
        outcome: counted(track),
        ..AuditEntry::default()
    }
    .for_sites(sites_of(db, row)?);
    entry.sites_total = track.sites_total;
    append(db, entry)?;
    Ok(())
}

/// An ask in words, with what it sets. Passwords are not among it: a job names labels.
pub(crate) fn ordered(work: &WorkOptions) -> String {
    let mut text = work.ask.to_string();
    let Some(order) = work.order.as_deref() else {
        return text;
    };
    for (name, value) in &order.settings {
        text.push_str(&format!(" {name}={value}"));
    }
    if let Some(label) = &order.new_credential {
        text.push_str(&format!(" to credential {label}"));
    }
    if let Some(undone) = order.undo {
        text.push_str(&format!(" as before job {undone}"));
    }
    if order.dry_run {
        text.push_str(" (dry run)");
    }
    text
}

/// A selector in words.
pub(crate) fn described(selector: &Selector) -> String {
    let list = |noun: &str, names: Vec<String>| match names.len() {
        0 => String::new(),
        _ => format!(" {noun} {}", names.join(",")),
    };
    match selector {
        Selector::All => "all devices".to_owned(),
        Selector::Match {
            tenants,
            sites,
            labels,
        } => {
            let text = [
                list("tenants", tenants.iter().map(ToString::to_string).collect()),
                list("sites", sites.iter().map(ToString::to_string).collect()),
                list("labels", labels.clone()),
            ];
            format!("the devices of{}", text.concat())
        }
        Selector::Import(import) => format!("the devices of import {import}"),
        Selector::FailedOf(job) => format!("the failed devices of job {job}"),
    }
}

fn counted(track: &JobTrack) -> String {
    let devices = track.devices;
    let missing = devices
        .total
        .saturating_sub(devices.ok)
        .saturating_sub(devices.failed);
    format!(
        "{} ok, {} failed, {missing} not reported of {} devices; {} of {} sites ended",
        devices.ok, devices.failed, devices.total, track.sites_ended, track.sites_total
    )
}

fn state_text(track: &JobTrack) -> &'static str {
    if track.state == JobState::Cancelled && track.braked && track.cancelled_at.is_none() {
        "braked"
    } else {
        track.state.as_str()
    }
}

/// The sites of a job, not many more than a row may name.
fn sites_of(db: &Connection, job: JobRow) -> Result<Vec<SiteId>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT s.tenant || '/' || s.name FROM job_sites j JOIN sites s ON s.id = j.site
         WHERE j.job = ?1 ORDER BY j.ordinal LIMIT ?2",
    )?;
    let most = i64::try_from(AUDIT_SITES_MAX).unwrap_or(i64::MAX);
    let names = query.query_map(params![job, most], |row| row.get::<_, String>(0))?;
    names
        .map(|name| {
            name?
                .parse()
                .map_err(|error| DbError::damaged("site name", error))
        })
        .collect()
}

fn read(row: &Row<'_>) -> Result<AuditRow, DbError> {
    let sites: String = row.get("sites")?;
    let sites = sites.split_whitespace().map(|site| {
        site.parse()
            .map_err(|error| DbError::damaged("site of the audit", error))
    });
    let job: Option<Vec<u8>> = row.get("job")?;
    Ok(AuditRow {
        number: unsigned(row.get("number")?),
        prior: hash(row.get("prior")?)?,
        entry: AuditEntry {
            at: moment(row, "at")?,
            who: row.get("who")?,
            key: row.get("key")?,
            kind: row.get("kind")?,
            decision: row.get("decision")?,
            code: row.get("code")?,
            job: job.map(|job| job_id(&job)).transpose()?,
            sites: sites.collect::<Result<_, DbError>>()?,
            sites_total: count(row.get("sites_total")?),
            devices: count(row.get("devices")?),
            detail: row.get("detail")?,
            outcome: row.get("outcome")?,
        },
        hash: hash(row.get("hash")?)?,
    })
}

fn hash(bytes: Vec<u8>) -> Result<ChainHash, DbError> {
    let bytes: [u8; 32] = bytes
        .try_into()
        .map_err(|_| DbError::damaged("hash of the audit", "not 32 bytes"))?;
    Ok(ChainHash::new(bytes))
}

fn weight(entry: &AuditEntry) -> usize {
    let texts = [&entry.who, &entry.key, &entry.detail, &entry.outcome];
    let texts = texts.iter().map(|text| text.len());
    let sites = entry.sites.iter().map(|site| site.to_string().len());
    texts.chain(sites).fold(ROW_BYTES, usize::saturating_add)
}
