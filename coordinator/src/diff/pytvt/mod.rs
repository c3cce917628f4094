//! The comparison that pytvt 0.5.1 makes, with its three outputs byte for byte.
//!
//! For scripts that parse them. It has pytvt's blind spots: devices are known by their address
//! alone, channels without address are not seen, and a failed device loses all its channels. Values
//! are shown as Python shows them. [`crate::diff::diff`] is the better comparison.
//!
//! Not reproduced: the memory addresses that pytvt prints for cameras without channel (here it is
//! their position in the list), numbers beyond 64 bits, and inputs on which pytvt breaks off with a
//! traceback (here a [`LoadError`] or a result).

mod compare;
mod load;
mod output;
mod printable;
mod value;

pub use compare::{PytvtDiff, compare};
pub use load::{LoadError, PytvtScan};
pub use output::{json, summary, text};

#[cfg(test)]
mod tests;
