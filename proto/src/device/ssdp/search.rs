//! The search itself.

use std::net::Ipv4Addr;

/// The multicast group of SSDP.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
/// The UDP port of SSDP.
pub const PORT: u16 = 1900;
/// The time-to-live of a multicast search.
pub const TTL: u32 = 4;

/// The search datagram, 137 bytes. Devices answer to its source within `MX` seconds.
pub const SEARCH: &[u8; 137] = b"M-SEARCH * HTTP/1.1\r\n\
    HOST:239.255.255.250:1900\r\n\
    Man:\"ssdp:discover\"\r\n\
    ST:urn:schemas-upnp-org:service:EmbeddedNetDeviceControl:1\r\n\
    MX:3\r\n\
    \r\n";
