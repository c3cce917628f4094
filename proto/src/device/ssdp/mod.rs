//! The SSDP search for TVT devices: UDP 1900, multicast or to one address.
//!
//! Wire source: pytvt 0.5.1. UNCERTAIN whether current devices answer with the vendor's document; a
//! capture of one that does settles it. Many answer as ordinary UPnP devices, which is a hint only.

mod document;
mod reply;
mod search;

pub use reply::{Reply, UpnpAnswer, read};
pub use search::{GROUP, PORT, SEARCH, TTL};
