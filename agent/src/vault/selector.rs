//! Which devices an entry of the vault serves. Pure.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::mac::MacAddr;

use super::book::Wanted;

/// The longest pattern of a name, in characters.
const PATTERN_MAX: usize = 253;

/// Which devices. The text is `any`, an address, a network as `10.0.0.0/24`, `mac:AA:BB:CC:DD:EE:FF`, or
/// `name:PATTERN` where `*` stands for any characters of a host name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// Every device.
    Any,
    /// Devices whose host name is like this, in lower case.
    Name(String),
    /// Devices in this network.
    Network(IpNet),
    /// The device with this Ethernet address, as far as the inventory knows it.
    Mac(MacAddr),
}

/// The text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of any, an address, a network, mac:ADDRESS or name:PATTERN")]
pub struct BadSelector(pub String);

impl Selector {
    /// The address, where it stands for a single one.
    #[must_use]
    pub fn single(&self) -> Option<std::net::IpAddr> {
        match self {
            Self::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                Some(network.addr())
            }
            Self::Network(_) | Self::Any | Self::Name(_) | Self::Mac(_) => None,
        }
    }

    /// How closely it names a device, where it does: more is closer. Ethernet addresses come before
    /// networks, these by their length, and these before names by the number of given characters.
    pub(super) fn closeness(&self, wanted: &Wanted<'_>) -> Option<u32> {
        match self {
            Self::Any => Some(0),
            Self::Name(pattern) => {
                let Host::Name(name) = wanted.host else {
                    return None;
                };
                let given = pattern.chars().filter(|character| *character != '*');
                let given = u32::try_from(given.count()).unwrap_or(u32::MAX);
                is_like(pattern, &name.to_string().to_ascii_lowercase()).then_some(given)
            }
            Self::Network(network) => {
                let Host::Ip(ip) = wanted.host else {
                    return None;
                };
                let length = 1000_u32.saturating_add(u32::from(network.prefix_len()));
                network.contains(ip).then_some(length)
            }
            Self::Mac(mac) => (wanted.mac == Some(*mac)).then_some(2000),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Name(pattern) => write!(f, "name:{pattern}"),
            Self::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                write!(f, "{}", network.addr())
            }
            Self::Network(network) => write!(f, "{network}"),
            Self::Mac(mac) => write!(f, "mac:{mac}"),
        }
    }
}

impl FromStr for Selector {
    type Err = BadSelector;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadSelector(text.chars().take(64).collect());
        if text == "any" {
            return Ok(Self::Any);
        }
        if let Some(mac) = text.strip_prefix("mac:") {
            return mac.parse().map(Self::Mac).map_err(|_| bad());
        }
        if let Some(pattern) = text.strip_prefix("name:") {
            let is_good = !pattern.is_empty()
                && pattern.len() <= PATTERN_MAX
                && pattern
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '*'));
            return is_good
                .then(|| Self::Name(pattern.to_ascii_lowercase()))
                .ok_or_else(bad);
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::Network(network.trunc()));
        }
        text.parse::<std::net::IpAddr>()
            .map(|ip| Self::Network(IpNet::from(ip)))
            .map_err(|_| bad())
    }
}

/// Whether a name is like a pattern. Takes time in proportion to both lengths: pieces are looked for
/// from left to right.
fn is_like(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_read_back() {
        for text in [
            "any",
            "10.0.0.0/24",
            "10.0.0.7",
            "fd00::/8",
            "mac:00:18:ae:01:02:03",
            "name:nvr-*.depot",
        ] {
            let read: Selector = text.parse().unwrap();
            assert_eq!(read.to_string().parse(), Ok(read.clone()), "{text}");
        }
        assert_eq!(
            "10.0.0.9/24".parse::<Selector>().unwrap().to_string(),
            "10.0.0.0/24"
        );
        for text in [
            "",
            "all",
            "name:",
            "name:a b",
            "mac:1",
            "10.0.0.0/33",
            "nvr",
        ] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("nvr", "nvr", true),
            ("nvr", "nvr1", false),
            ("nvr*", "nvr1", true),
            ("*", "x", true),
            ("*-a", "n-b-a", true),
            ("*-a", "n-a-b", false),
            ("n*b*a", "nxbya", true),
            ("a*a", "a", false),
            ("n*b*a", "nxya", false),
        ] {
            assert_eq!(is_like(pattern, name), expected, "{pattern} {name}");
        }
    }
}
