//! Where a device is reached.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The longest host name, in bytes (RFC 1035).
const HOST_MAX: usize = 253;
/// What stands before a serial number in text.
const SERIAL_PREFIX: &str = "nat:";
/// Characters of a serial number; the vendor's library has room for the longer ones.
const SERIAL_LENGTHS: RangeInclusive<usize> = 4..=32;

/// An IP address, a host name or a serial number, as an inventory wrote it.
///
/// IP addresses are kept in their canonical form, host names in lower case, serial numbers as they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A name to be resolved at the site.
    Name(String),
    /// The serial number of a device that only a server of the vendor's can reach; written
    /// `nat:SERIAL`.
    Serial(String),
}

impl Host {
    /// The IP address, where it is one.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) | Self::Serial(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => f.pad(&ip.to_string()),
            Self::Name(name) => f.pad(name),
            Self::Serial(serial) => f.pad(&format!("{SERIAL_PREFIX}{serial}")),
        }
    }
}

/// The text is neither an IP address nor a host name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an IP address nor a host name")]
pub struct BadHost(pub String);

impl FromStr for Host {
    type Err = BadHost;

    /// Reads an address, with surrounding white space allowed.
    ///
    /// Text of digits and dots that is no IPv4 address (`999.1.1.1`) is refused, not resolved.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadHost(text.chars().take(80).collect());
        let trimmed = text.trim();
        if let Some(serial) = trimmed.strip_prefix(SERIAL_PREFIX) {
            let is_serial = SERIAL_LENGTHS.contains(&serial.len())
                && serial.bytes().all(|byte| byte.is_ascii_alphanumeric());
            return is_serial
                .then(|| Self::Serial(serial.to_owned()))
                .ok_or_else(bad);
        }
        let unbracketed = trimmed
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(trimmed);
        if let Ok(ip) = unbracketed.parse::<IpAddr>() {
            return Ok(Self::Ip(ip));
        }
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let labels = trimmed.strip_suffix('.').unwrap_or(trimmed);
        let numeric = labels.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if labels.len() <= HOST_MAX && !numeric && labels.split('.').all(label) {
            Ok(Self::Name(labels.to_ascii_lowercase()))
        } else {
            Err(bad())
        }
    }
}

/// A host and a TCP port; shown as `10.0.0.1:6036` or `[2001:db8::1]:6036`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The host.
    pub host: Host,
    /// The TCP port, 1 to 65535.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.host {
            Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]:{}", self.port),
            Host::Ip(IpAddr::V4(ip)) => format!("{ip}:{}", self.port),
            other @ (Host::Name(_) | Host::Serial(_)) => format!("{other}:{}", self.port),
        };
        f.pad(&text)
    }
}

impl FromStr for Endpoint {
    type Err = BadHost;

    /// Reads `HOST:PORT`, the form that `Display` writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadHost(text.chars().take(80).collect());
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        if host.contains(':') && !host.starts_with('[') && !host.starts_with(SERIAL_PREFIX) {
            return Err(bad());
        }
        let port = port
            .parse::<u16>()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(bad)?;
        Ok(Self {
            host: host.parse()?,
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_in_their_canonical_form() {
        assert_eq!(
            " 10.0.0.1 ".parse::<Host>().unwrap().to_string(),
            "10.0.0.1"
        );
        assert_eq!(
            "NVR.Example.".parse::<Host>().unwrap().to_string(),
            "nvr.example"
        );
        assert_eq!("[::1]".parse::<Host>().unwrap().to_string(), "::1");
        for bad in ["", "999.1.1.1", "a b", "-x", "a..b", "http://10.0.0.1"] {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
        }
    }

    #[test]
    fn endpoints_round_trip() {
        for text in [
            "10.0.0.1:6036",
            "[2001:db8::1]:9008",
            "nvr.example:6036",
            "nat:N1A2b3C4:6036",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        for bad in [
            "10.0.0.1",
            "10.0.0.1:0",
            "10.0.0.1:70000",
            "2001:db8::1:80",
            "nat:N1A2b3C4",
            "nat:abc:6036",
            "nat:a-b_c:6036",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }
}
