//! Brings the journal up to date with the spool at a start.
//!
//! A report is on the disk of the spool before the journal notes it, and the note reaches the disk at
//! some time. What a crash leaves between the two is read from the spool, so that no device is asked
//! again whose report is there.

use std::cell::Cell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tvtfleet_proto::envelope;
use tvtfleet_proto::model::id::{JobId, Sequence};
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::want::{OutBatch, OutItem};
use tvtfleet_proto::wire::v1;

use crate::chain::Chain;
use crate::journal::{JobFile, Journal, JournalError, JournalJob, ReportedDevice};
use crate::outbox::sealed_batch;
use crate::spool::{Damage, Spool, SpoolError};

/// Bytes read from the spool at a time.
const READ_BYTES: usize = 256 * 1024;
/// Notes are written in any order within as many batches.
const DISORDER: u64 = 256;

/// Opens the journal of a folder and brings it up to date.
///
/// Devices whose reports a damaged disk has lost are forgotten, so that they are asked again; numbers
/// that anything is noted of are not given out again.
///
/// # Errors
///
/// `storage.io`, `storage.full`.
pub(crate) fn open_journal(
    folder: &Path,
    spool: &mut Spool,
    damages: Vec<Damage>,
) -> Result<(Journal, Vec<(JournalJob, JobFile)>), JournalError> {
    let (committed, next) = (spool.committed(), spool.next());
    let lost: BTreeSet<Sequence> = damages.into_iter().flat_map(|damage| damage.lost).collect();
    let noted = Cell::new(Sequence(0));
    let is_lost = |sequence: Sequence| {
        noted.set(noted.get().max(sequence));
        // What the coordinator has is not lost.
        sequence > committed && (sequence >= next || lost.contains(&sequence))
    };
    let (journal, mut jobs) = Journal::open(folder, &is_lost)?;
    spool.skip_to(noted.get());
    recover(spool, &mut jobs)?;
    Ok((journal, jobs))
}

/// Notes the reports of the spool that the jobs under way do not know of.
fn recover(spool: &mut Spool, jobs: &mut [(JournalJob, JobFile)]) -> Result<(), JournalError> {
    let mut open: BTreeMap<JobId, &mut (JournalJob, JobFile)> = jobs
        .iter_mut()
        .filter(|(job, _)| !job.ended)
        .map(|open| (open.0.want.job, open))
        .collect();
    let noted = open.values().map(|(job, _)| job.last_noted().0);
    let Some(noted) = noted.min() else {
        return Ok(());
    };
    let mut next = Sequence(noted.saturating_sub(DISORDER)).max(spool.oldest());
    while next < spool.next() {
        let records = match spool.read(next, READ_BYTES) {
            Ok(records) => records,
            Err(SpoolError::Damaged(_)) => {
                next = next.next();
                continue;
            }
            Err(error) => {
                // Devices may be asked again, which costs time and nothing else.
                tracing::warn!(error.r#type = %error.code(), error = %Chain(&error), "the spool is not compared with the journal");
                return Ok(());
            }
        };
        for record in records {
            next = record.sequence.next();
            for (job, target, device) in reports(&record.payload, record.sequence) {
                let Some((job, file)) = open.get_mut(&job).map(|open| (&mut open.0, &mut open.1))
                else {
                    continue;
                };
                if let Entry::Vacant(missing) = job.reported.entry(target) {
                    missing.insert(device);
                    file.note_reported(target, device)?;
                }
            }
        }
    }
    Ok(())
}

fn reports(
    payload: &[u8],
    sequence: Sequence,
) -> Vec<(JobId, tvtfleet_proto::model::id::TargetNo, ReportedDevice)> {
    let batch = sealed_batch(payload)
        .and_then(|sealed| envelope::open::<v1::OutBatch>(sealed, envelope::BODY_MAX).ok())
        .and_then(|wire| OutBatch::try_from(wire).ok());
    let items = batch.map(|batch| batch.items).unwrap_or_default();
    let reports = items.into_iter().filter_map(|item| match item {
        OutItem::Report(report) => Some(report),
        OutItem::Event(_) | OutItem::Searched(_) | OutItem::Credential(_) => None,
    });
    reports
        .map(|report| {
            let device = ReportedDevice {
                sequence,
                refused: report
                    .failure
                    .as_ref()
                    .is_some_and(Failure::is_refused_login),
                mac: report.facts.mac,
            };
            (report.job, report.target, device)
        })
        .collect()
}
