//! SDK bridges: an HTTP service, or a script that prints its answer.
//!
//! They exist in the field and are used as they are. What they answer is read by
//! `tvtfleet_proto::device::bridge`, which trusts none of it.

mod asks;
mod client;
mod driver;
mod reboot;
mod script;
mod still;

pub(crate) use client::Bridge;
pub(crate) use driver::{BridgeDevice, READS, Way};
pub(crate) use script::{find_node, find_script};
