//! Entries of an inventory: what an operator knows about a device before it is asked.

use super::address::{Endpoint, Host};
use super::mac::MacAddr;

/// The TCP port of a recorder's binary protocol where an inventory names none.
pub const DEFAULT_PORT: u16 = 6036;

/// One device of an inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryEntry {
    /// Where to reach it.
    pub host: Host,
    /// Its TCP port; `None` is the configured default.
    pub port: Option<u16>,
    /// The operator's name of the place, free text; empty where none was given.
    pub site_label: String,
    /// The operator's name of the device, free text; may be empty.
    pub hostname: String,
    /// The Ethernet address as the inventory wrote it; may be empty or no address at all.
    pub mac_text: String,
    /// The maker as the inventory wrote it; may be empty.
    pub manufacturer: String,
    /// The name of the credential to use; `None` is the job's or site's default.
    pub credential: Option<super::id::CredentialLabel>,
}

impl InventoryEntry {
    /// An entry of which only the host is known.
    #[must_use]
    pub const fn bare(host: Host) -> Self {
        Self {
            host,
            port: None,
            site_label: String::new(),
            hostname: String::new(),
            mac_text: String::new(),
            manufacturer: String::new(),
            credential: None,
        }
    }

    /// The Ethernet address, where the inventory wrote one that can be read.
    #[must_use]
    pub fn mac(&self) -> Option<MacAddr> {
        self.mac_text.parse().ok()
    }

    /// Where to connect to.
    #[must_use]
    pub fn endpoint(&self, default_port: u16) -> Endpoint {
        Endpoint {
            host: self.host.clone(),
            port: self.port.unwrap_or(default_port),
        }
    }
}
