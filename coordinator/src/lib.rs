//! The central part of tvtfleet: takes jobs, hands each site its work, gathers reports into an
//! inventory, compares, and renders.
//!
//! The library half is used by the command line too: [`render`], [`diff`], [`results`] and
//! [`inventory::file`] do no IO beyond the writer they are given.
//!
//! The service half is [`run()`]. Where to start reading it: `store` is the record, `intake` fills it
//! from the results stream, `publish` tells the sites what they should be doing, `agents` and
//! `serve` answer agents and operators, and `watchdog` looks at the clock. What they decide is in
//! `jobs`, `inventory::merge`, `ledger` and `presence`, which do no IO. `replica` lets several of
//! them follow one leader.

mod agents;
mod audit;
mod channels;
mod checkup;
pub mod config;
mod core;
pub mod diff;
mod intake;
pub mod inventory;
mod jobs;
mod ledger;
mod pictures;
mod presence;
mod publish;
pub mod render;
mod replica;
pub mod results;
mod retention;
mod run;
mod serve;
#[cfg(feature = "simulation")]
pub mod simulation;
mod store;
mod trust;
mod watchdog;

pub use config::{ConfigError, CoordinatorConfig};
pub use run::{CoordinatorError, run};
pub use store::{DbError, StoreError, Table, tables_help};
pub use trust::TrustStartError;
