//! The inventory: files that describe it, and how reports change it.

pub(crate) mod change;
pub mod file;
pub(crate) mod merge;
