//! Devices that a discovery found, as part of its job.

use rusqlite::{Connection, params};

use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::model::time::UtcMillis;

use super::change_log::ChangeLog;
use super::columns::{DeviceRow, JobRow, mac_bytes};
use super::device_rows::{Place, address_of, pack_entry};
use super::error::DbError;
use super::sighting::{self, Sighted};

/// The part of a job at one site.
pub(super) struct Part<'a> {
    pub(super) place: &'a Place,
    pub(super) job: JobRow,
    pub(super) ordinal: i64,
}

/// Makes a device that was found a target of the job. Returns it with the address it stands at.
pub(super) fn add_target(
    db: &Connection,
    part: &Part<'_>,
    report: &DeviceReport,
    now: UtcMillis,
) -> Result<(DeviceRow, String), DbError> {
    let Some(found) = &report.found else {
        return Err(DbError::damaged("report", "nothing was found"));
    };
    let sighted = Sighted {
        place: part.place,
        job: part.job,
        found,
        at: report.observed_at.min(now),
    };
    let device = sighting::join(db, &sighted, now, &mut log(db, part, report, now))?;
    let address = device
        .address
        .clone()
        .unwrap_or_else(|| address_of(&device.entry));
    db.prepare_cached("INSERT INTO job_targets VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)")?
        .execute(params![
            part.job,
            part.ordinal,
            report.target.0,
            device.row,
            address,
            pack_entry(&device.entry),
            mac_bytes(device.facts.mac),
        ])?;
    Ok((device.row, address))
}

/// Notes that a target of the job was found as well.
pub(super) fn note(
    db: &Connection,
    part: &Part<'_>,
    device: DeviceRow,
    report: &DeviceReport,
    now: UtcMillis,
) -> Result<(), DbError> {
    let Some(found) = &report.found else {
        return Ok(());
    };
    let sighted = Sighted {
        place: part.place,
        job: part.job,
        found,
        at: report.observed_at.min(now),
    };
    sighting::note(db, &sighted, device, &mut log(db, part, report, now))
}

fn log<'c>(
    db: &'c Connection,
    part: &Part<'_>,
    report: &DeviceReport,
    now: UtcMillis,
) -> ChangeLog<'c> {
    let (site, number) = (part.place.site.to_string(), report.target.0.to_be_bytes());
    let job = report.job.uuid();
    let source = [
        &b"found"[..],
        &job.as_bytes()[..],
        site.as_bytes(),
        &number[..],
    ];
    let at = report.observed_at.min(now);
    ChangeLog::new(db, part.place.row, at, Some(part.job), &source)
}
