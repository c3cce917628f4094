//! The vendor's device library, through helper processes.
//!
//! The library blocks, crashes and corrupts memory. So `tvt-netsdk-host` loads it, one process for each
//! device, and this side only speaks frames with it and kills it when time is up.

mod asks;
mod driver;
mod fuse;
mod helper;
mod library;
mod nat;
mod pages;
mod reboot;
mod still;

pub(crate) use driver::{NetsdkDevice, READS};
pub(crate) use fuse::Fuses;
pub(crate) use helper::Helper;
pub(crate) use library::{find_host, locate};
