//! Column values: row ids, and conversions between SQLite's signed integers and the domain.

use rusqlite::Row;
use uuid::Uuid;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::{Epoch, JobId, SiteId};
use tvtfleet_proto::model::job::{JobState, SiteJobState};
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::time::UtcMillis;

use crate::jobs::select::Value;

use super::error::DbError;

macro_rules! row_id {
    ($(#[doc = $doc:literal])+ $name:ident) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(pub(crate) i64);

        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                self.0.to_sql()
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<Self> {
                value.as_i64().map(Self)
            }
        }
    };
}

row_id! {
    /// The row of a site.
    SiteRow
}
row_id! {
    /// The row of a device.
    DeviceRow
}
row_id! {
    /// The row of a job.
    JobRow
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Number(number) => number.to_sql(),
            Self::Bytes(bytes) => bytes.to_sql(),
        }
    }
}

/// SQLite has no unsigned integers; what does not fit becomes the largest.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The reverse of [`signed`]; negative numbers become 0.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A count; what does not fit becomes the nearest.
pub(super) fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

pub(super) fn moment(row: &Row<'_>, column: &str) -> rusqlite::Result<UtcMillis> {
    row.get(column).map(UtcMillis::new)
}

pub(super) fn optional_moment(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<UtcMillis>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(UtcMillis::new))
}

pub(super) fn uuid(what: &'static str, bytes: &[u8]) -> Result<Uuid, DbError> {
    Uuid::from_slice(bytes).map_err(|error| DbError::damaged(what, error))
}

pub(super) fn job_id(bytes: &[u8]) -> Result<JobId, DbError> {
    uuid("job id", bytes).map(JobId::new)
}

pub(super) fn epoch(bytes: &[u8]) -> Result<Epoch, DbError> {
    uuid("epoch", bytes).map(Epoch::new)
}

pub(super) fn site_id(tenant: &str, name: &str) -> Result<SiteId, DbError> {
    let damaged = |error| DbError::damaged("site name", error);
    Ok(SiteId::new(
        tenant.parse().map_err(damaged)?,
        name.parse().map_err(damaged)?,
    ))
}

pub(super) fn mac(bytes: Option<Vec<u8>>) -> Option<MacAddr> {
    let octets: [u8; 6] = bytes?.try_into().ok()?;
    Some(MacAddr::from(octets))
}

pub(super) fn mac_bytes(mac: Option<MacAddr>) -> Option<[u8; 6]> {
    mac.map(MacAddr::octets)
}

/// A stored code; one that this version does not know any more counts as internal.
pub(super) fn code(text: &str) -> Option<ErrorCode> {
    if text.is_empty() {
        None
    } else {
        Some(text.parse().unwrap_or(ErrorCode::Internal))
    }
}

pub(super) fn code_text(code: Option<ErrorCode>) -> &'static str {
    code.map_or("", ErrorCode::as_str)
}

pub(super) fn job_state(text: &str) -> Result<JobState, DbError> {
    JobState::ALL
        .iter()
        .copied()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| DbError::damaged("job state", text))
}

pub(super) fn site_job_state(text: &str) -> Result<SiteJobState, DbError> {
    SiteJobState::ALL
        .iter()
        .copied()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| DbError::damaged("site state", text))
}
