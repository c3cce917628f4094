//! The log and the snapshots by which standby coordinators follow the leading one.
//!
//! An entry is stored only where the log still ends where its writer believes it ends. So one act
//! hands a change on and proves that nobody else has taken the lead.

mod log;
mod snapshot;

pub use log::{LogReader, LogState, LogWriter, ensure, state};
pub use snapshot::{fetch, newest, store};
