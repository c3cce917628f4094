//! Benches of tvtfleet. Speed and memory are shown as ratios to a baseline of the same run, never as
//! limits that a slow machine could miss. `README.md` says how to run them.

pub mod apply;
pub mod asks;
pub mod diff;
pub mod discover;
pub mod figures;
mod fleet;
pub mod idle;
pub mod measure;
pub mod process;
pub mod programs;
mod queries;
pub mod results;
pub mod scan;
pub mod service;
pub mod simulator;
pub mod snapshots;
pub mod swarm;
pub mod workbooks;
