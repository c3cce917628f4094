//! What makes a device the same device tomorrow.

use std::fmt;

use super::address::Endpoint;
use super::id::SiteId;
use super::mac::MacAddr;

/// The name of a device that lasts: its serial number, else its MAC, else where it stands.
///
/// Written `sn:N9K0042`, `mac:58:5B:69:10:00:0B` or `at:acme/depot/10.0.0.5:6036`. The order of the
/// variants is the order of strength: a device keeps answering to its weaker names when a stronger
/// one becomes known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceId {
    /// The serial number that the device reports.
    Serial(String),
    /// The device's Ethernet address. A recorder with two network ports may report either.
    Mac(MacAddr),
    /// Nothing better than the address at a site is known.
    At(SiteId, Endpoint),
    /// As [`Self::At`], on a network that belongs to no site (a local scan).
    Local(Endpoint),
}

impl DeviceId {
    /// The strongest name that these facts give. `serial` is trimmed; an empty one does not count.
    #[must_use]
    pub fn strongest(
        serial: &str,
        mac: Option<MacAddr>,
        site: Option<&SiteId>,
        endpoint: &Endpoint,
    ) -> Self {
        let serial = serial.trim();
        if !serial.is_empty() {
            return Self::Serial(serial.to_owned());
        }
        if let Some(mac) = mac.filter(|mac| mac.is_unicast()) {
            return Self::Mac(mac);
        }
        match site {
            Some(site) => Self::At(site.clone(), endpoint.clone()),
            None => Self::Local(endpoint.clone()),
        }
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Serial(serial) => format!("sn:{serial}"),
            Self::Mac(mac) => format!("mac:{mac}"),
            Self::At(site, endpoint) => format!("at:{site}/{endpoint}"),
            Self::Local(endpoint) => format!("at:{endpoint}"),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_fact_names_the_device() {
        let site: SiteId = "acme/depot".parse().unwrap();
        let endpoint: Endpoint = "10.0.0.5:6036".parse().unwrap();
        let mac = Some(MacAddr::from([0x58, 0x5B, 0x69, 0, 0, 1]));
        let name =
            |serial, mac, site| DeviceId::strongest(serial, mac, site, &endpoint).to_string();
        assert_eq!(name(" N9K ", mac, Some(&site)), "sn:N9K");
        assert_eq!(name("  ", mac, Some(&site)), "mac:58:5B:69:00:00:01");
        assert_eq!(
            name("", Some(MacAddr::from([0; 6])), Some(&site)),
            "at:acme/depot/10.0.0.5:6036"
        );
        assert_eq!(name("", None, None), "at:10.0.0.5:6036");
    }
}
