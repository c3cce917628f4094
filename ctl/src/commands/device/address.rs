//! Where a device is reached, as people write it.

use tvtfleet_proto::model::address::{Endpoint, Host};

/// Where a device is reached, with or without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A host; the port is the usual one.
    Host(Host),
    /// A host with its port.
    Endpoint(Endpoint),
}

impl Address {
    /// The endpoint; `port` is that of addresses that name none.
    pub(super) fn endpoint(&self, port: u16) -> Endpoint {
        match self {
            Self::Host(host) => Endpoint {
                host: host.clone(),
                port,
            },
            Self::Endpoint(endpoint) => endpoint.clone(),
        }
    }
}

/// Reads `HOST` or `HOST:PORT`.
pub(super) fn address(text: &str) -> Result<Address, String> {
    if let Ok(host) = text.parse() {
        return Ok(Address::Host(host));
    }
    text.parse()
        .map(Address::Endpoint)
        .map_err(|_| "write a host, or HOST:PORT with an IPv6 address in brackets".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port_or_not() {
        for (text, expected) in [
            ("10.0.0.9", "10.0.0.9:6036"),
            ("10.0.0.9:9008", "10.0.0.9:9008"),
            ("::1", "[::1]:6036"),
            ("[::1]", "[::1]:6036"),
            ("[::1]:80", "[::1]:80"),
            ("Camera-1", "camera-1:6036"),
        ] {
            let endpoint = address(text).unwrap().endpoint(6036);
            assert_eq!(endpoint.to_string(), expected, "{text}");
        }
        for bad in ["", "10.0.0", "http://x", "x:0", "x:99999"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
