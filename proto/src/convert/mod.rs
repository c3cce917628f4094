//! Turns wire messages into domain types, naming the field that is wrong, and back.
//!
//! `TryFrom<wire>` checks, `From<model>` cannot fail, and the round trip is the identity (tested).

mod answer;
mod api;
mod audit;
mod checkup;
mod device;
mod discovery;
mod field;
mod fleet;
mod history;
mod job;
mod order;
mod picture;
mod push;
mod replica;
mod results;
mod rpc;
mod signing;
mod site;
#[cfg(test)]
mod tests;

pub use field::BadField;
