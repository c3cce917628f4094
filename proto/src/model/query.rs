//! Edits of the inventory, results of earlier scans, and questions in SQL.

use super::id::{ImportId, SiteId};
use super::inventory::InventoryEntry;
use super::report::DeviceReport;

/// The longest question, in bytes.
pub const SQL_MAX: usize = 64 * 1024;
/// The most devices of one edit.
pub const EDIT_MAX: usize = 1000;

/// Labels, notes, verifies or forgets devices: all of them or, where one is not known, none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditDevices {
    /// The devices by any of their names, at most [`EDIT_MAX`].
    pub devices: Vec<String>,
    /// Labels to put on them.
    pub add_labels: Vec<String>,
    /// Labels to take off them.
    pub remove_labels: Vec<String>,
    /// The new note; `None` leaves it, empty text removes it.
    pub note: Option<String>,
    /// Whether to take them out of the inventory; their history stays.
    pub forget: bool,
    /// Whether the operator vouches for them: credentials may be sent to them from now on.
    pub verify: bool,
}

/// One device of an earlier scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastResult {
    /// Where it was asked.
    pub entry: InventoryEntry,
    /// What it said, and when. Job and target do not count.
    pub report: DeviceReport,
}

/// Brings results of an earlier scan into the history. Doing it again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportResults {
    /// The import; several requests may share one.
    pub import: ImportId,
    /// The site of all devices.
    pub site: SiteId,
    /// The devices, at most [`super::api::IMPORT_CHUNK`].
    pub results: Vec<PastResult>,
}

/// Asks a question in SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunQuery {
    /// One `SELECT`, at most [`SQL_MAX`] bytes.
    pub sql: String,
    /// How many rows of the answer to leave out: those of earlier pages.
    pub skip: u64,
    /// The most rows; 0 is as many as fit into one answer.
    pub limit: u32,
}

/// A value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// Any number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// Part of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryPage {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, each with as many values.
    pub rows: Vec<Vec<SqlValue>>,
    /// Whether there are more rows.
    pub more: bool,
    /// Devices whose channels had changed and were not yet in the `channels` table.
    pub channels_pending: u32,
}
