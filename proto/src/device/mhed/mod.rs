//! The vendor's LAN search: UDP 23456, multicast.
//!
//! Only the search is written here. The same packets can change a device's address, with the
//! password in them; those are neither written nor read.
//!
//! Wire source: public captures of several projects, which agree. Integers are little-endian,
//! addresses in network order.

mod announcement;
mod search;

pub use announcement::{Announcement, read};
pub use search::{ANSWERS, LENGTH, PORT, SEARCHES, TTL, VERSION_NEW, VERSION_SDK, search};
