//! The spool: what the site has to tell, on its own disk, until the coordinator has it for good.
//!
//! Batches are appended to segment files with a length, a sequence number and a checksum each, and
//! reach the disk before anybody hears of them. Segments are deleted once the coordinator's watermark
//! has passed them. A half-written last batch is cut off; a damaged segment is set aside, what can be
//! read of it is kept, and a batch that cannot be read is replaced by an empty one, so that its number
//! does not hold up the rest.

mod error;
mod record;
mod segment;
mod state;
mod store;

pub use error::SpoolError;
pub(crate) use state::sync_folder;
pub use store::{Damage, Spool, SpoolRecord, SpoolSettings};
