//! Replicas of the coordinator: the log by which standbys follow the leader.
//!
//! Every transaction of the leader is one entry, stored under the condition that nobody else has
//! stored one since: the same act hands the change on and proves that the leader still leads.

use crate::model::time::UtcMillis;

/// The largest part of a transaction, in bytes before packing. A server takes 1 MB.
pub const LOG_PART_MAX: usize = 512 * 1024;
/// The most parts of one transaction: 256 MB.
pub const LOG_PARTS_MAX: usize = 512;
/// The largest piece of a snapshot, in bytes before packing.
pub const SNAPSHOT_PART: usize = 512 * 1024;
/// The most pieces of a snapshot: 512 GB.
pub const SNAPSHOT_PARTS_MAX: u32 = 1 << 20;
/// The longest name of a replica, in characters.
pub const REPLICA_NAME_MAX: usize = 32;

/// Where in the log of changes a database stands: two databases with the same mark are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogMark {
    /// Which reign; each taking of the lead begins a new one. 0 was never led.
    pub term: u64,
    /// Changes since the first database.
    pub number: u64,
}

/// What an entry of the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// The leader is alive.
    Beat,
    /// Somebody takes the lead.
    Lead,
    /// One transaction, or a part of it.
    Changes,
    /// The leader stops, and whoever is ready may lead.
    Resign,
}

/// One message of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// What it says.
    pub kind: LogKind,
    /// Who says it.
    pub leader: String,
    /// Where a database must stand for the entry to fit.
    pub before: LogMark,
    /// Where it stands with the entry.
    pub after: LogMark,
    /// The version of the tables that it was made with.
    pub schema: u32,
    /// Which part of the transaction, from 0.
    pub part: u32,
    /// Parts of the transaction, from 1 to [`LOG_PARTS_MAX`].
    pub parts: u32,
    /// The changed rows, at most [`LOG_PART_MAX`] bytes.
    pub changes: Vec<u8>,
}

/// A copy of the leader's database that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotManifest {
    /// Names its parts: hexadecimal digits.
    pub id: String,
    /// Where the copy stands.
    pub mark: LogMark,
    /// The version of its tables.
    pub schema: u32,
    /// Its parts.
    pub parts: u32,
    /// Its size in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
    /// Who made it.
    pub leader: String,
    /// When.
    pub made_at: UtcMillis,
    /// Which log it continues in.
    pub log: i64,
    /// The position of the last entry of the log that is in it.
    pub position: u64,
}

/// What a standby tells the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandbyReport {
    /// Its name.
    pub name: String,
    /// Where its database stands.
    pub mark: LogMark,
    /// Its version.
    pub version: String,
}

/// Whether a text will do as the name of a replica: lower-case letters, digits and dashes.
#[must_use]
pub fn is_replica_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= REPLICA_NAME_MAX
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}
