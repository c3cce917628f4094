//! What changed between two scans.
//!
//! A device is the same device by its serial number, else its MAC, else its site and address, so
//! that two sites may use one address, a recorder that was swapped shows as such, and one that moved
//! is not "removed and added". A device that failed is unreachable: what is not known any more is
//! not a change, and neither is what was never known before.
//!
//! [`diff`] is pure and borrows from the scans. [`Outline`] does the same for large files in little
//! memory. [`pytvt`] reproduces pytvt's own comparison.

mod change;
mod channels;
mod compare;
mod identity;
mod keep;
mod matching;
mod outline;
pub mod pytvt;
pub mod render;
mod scan;

pub use change::{
    ChannelChange, ChannelCounts, ChannelDiff, DeviceChange, DeviceDiff, Diff, FieldChange, Reason,
    Totals, Value,
};
pub(crate) use compare::compare;
pub use compare::diff;
pub use outline::{Comparison, DigestKey, Kept, Outline, ReloadError, Reread};
pub use scan::Scan;

#[cfg(test)]
mod tests;
