//! Records changes in the transaction that makes them.

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use tvtfleet_proto::model::change::ChangeKind;
use tvtfleet_proto::model::time::UtcMillis;

use crate::inventory::change::Draft;

use super::columns::{DeviceRow, JobRow, SiteRow};
use super::device_rows::Device;
use super::error::DbError;

/// The changes of one report, import or edit.
pub(super) struct ChangeLog<'c> {
    db: &'c Connection,
    site: SiteRow,
    at: UtcMillis,
    job: Option<JobRow>,
    /// The hash of what brings the changes about.
    source: Sha256,
    count: u32,
}

impl<'c> ChangeLog<'c> {
    /// Begins a log. `source` tells apart what brings changes about: the same report has the same.
    pub(super) fn new(
        db: &'c Connection,
        site: SiteRow,
        at: UtcMillis,
        job: Option<JobRow>,
        source: &[&[u8]],
    ) -> Self {
        let mut hash = Sha256::new();
        for part in source {
            // The length keeps neighbours apart.
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Self {
            db,
            site,
            at,
            job,
            source: hash,
            count: 0,
        }
    }

    /// Records one change of a device, which stands at `address`.
    pub(super) fn add(
        &mut self,
        device: DeviceRow,
        address: &str,
        draft: &Draft,
    ) -> Result<(), DbError> {
        let mut hash = self.source.clone();
        hash.update(self.count.to_be_bytes());
        self.count = self.count.saturating_add(1);
        let digest: [u8; 32] = hash.finalize().into();
        let (id, _) = digest.split_at(16);
        let mut query = self.db.prepare_cached(
            "INSERT OR IGNORE INTO changes
               (uid, at, site, device, address, kind, channel, channel_name, field, old, new, job)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        query.execute(params![
            id,
            self.at.millis(),
            self.site,
            device,
            address,
            draft.kind.as_str(),
            draft.channel,
            draft.channel_name,
            draft.field,
            draft.old,
            draft.new,
            self.job,
        ])?;
        Ok(())
    }

    /// Records that a device is now at `to`, and was at `from` before.
    pub(super) fn moved(
        &mut self,
        kind: ChangeKind,
        device: DeviceRow,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<(), DbError> {
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        if from == to {
            return Ok(());
        }
        self.add(device, to, &Draft::device(kind, "address", from, to))
    }

    /// Records what became of the device that gave way, if it still exists by itself.
    pub(super) fn gave_way(
        &mut self,
        holder: &Device,
        vacated: Option<&str>,
    ) -> Result<(), DbError> {
        let from = holder.address.as_deref();
        self.moved(ChangeKind::Displaced, holder.row, from, vacated)
    }
}
