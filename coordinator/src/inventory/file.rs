//! Inventory files: reading those of pytvt and other tools, and writing them back.
//!
//! An inventory is a JSON array of objects, or an object that holds one under `devices` or `data`.
//! Every entry that is not taken is named with its position and the reason, and none stops the
//! others.
//!
//! | meaning | keys, the first that is there counts |
//! |---|---|
//! | host | `ip`, `host`, `address`, `nvr_ip` |
//! | port | `port`, `nvr_port` |
//! | site | `site` |
//! | name | `hostname`, `name` |
//! | MAC | `mac`, `nvr_mac` |
//! | maker | `manufacturer` |
//! | credential label | `credential` |

mod entry;
mod filter;
mod read;
mod write;

pub use read::{Dropped, InventoryFile, InventoryFileError, ReadOptions, read};
pub use write::{FailedEntry, write, write_failed};
