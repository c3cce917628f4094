//! Explaining a captured exchange unit by unit, for people who look for trouble in the field.
//!
//! Input is what a capture holds of one TCP connection: pieces of bytes, each with its sender, in the
//! order in which they were seen. Output is a list of [`ExplainedUnit`]s: the greeting, heartbeats
//! and frames with their names, fields and places. Nothing of a password comes out: the field of a
//! login is a constant, payloads that are not understood are counted and not shown, and HTTP text is
//! shown without what looks like a credential.
//!
//! A stream that breaks is not looked at any further: nothing hunts for the next flag.

mod commands;
mod conversation;
mod fields;
mod http;
mod login;
mod mask;
#[cfg(test)]
mod tests;
mod unit;

pub use commands::{CommandName, command_name, login_failure_name};
pub use conversation::{Explainer, Explanation, UNITS, explain};
pub use http::TEXT_SHOWN;
pub use mask::MASK;
pub use unit::{ExplainedUnit, Field, FieldValue, Kind, Piece, Sender};
