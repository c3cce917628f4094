//! The site's own store of device credentials: one file, sealed as a whole.
//!
//! [`Book`] decides which credential serves a device and does no IO; [`VaultFile`] seals it, [`VaultKey`]
//! is what it is sealed with, and [`VaultSource`] serves the agent and takes up changes while it runs.

mod book;
mod file;
mod key;
mod selector;
mod source;

pub use book::{Book, Entry, PushFault, Wanted};
pub use file::{VaultError, VaultFile};
pub use key::VaultKey;
pub use selector::{BadSelector, Selector};
pub use source::VaultSource;
