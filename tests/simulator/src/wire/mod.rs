//! The simulator's own reading of the binary protocol.
//!
//! Written from the layout tables alone and pinned to the shared vectors. It shares no code with
//! the codecs of the product, so that a misreading on one side cannot hide the same misreading on
//! the other. All integers are little-endian.

pub(crate) mod cipher;
pub(crate) mod command;
pub(crate) mod field;
pub(crate) mod frame;
pub(crate) mod init;
pub(crate) mod login;
pub(crate) mod reply;
pub(crate) mod tunnel;
#[cfg(test)]
mod vectors;
