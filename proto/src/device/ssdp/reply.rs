//! What answers to a search.

use super::document::Document;
use crate::device::probe::text::{self, kept};
use crate::model::discovery::Claims;

/// The largest datagram that is read.
const DATAGRAM_MAX: usize = 65_535;

/// An answer to a search, or an announcement that a device sent by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The vendor's document.
    Device(Box<Claims>),
    /// An ordinary UPnP device: it may be a TVT one, which its greeting would show.
    Upnp(UpnpAnswer),
}

/// What an ordinary UPnP device says. The description behind `location` is not fetched: asking for
/// it crashes some recorders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpnpAnswer {
    /// The server's own words.
    pub server: String,
    /// Where its description is.
    pub location: String,
}

/// Reads a datagram. `None` is for everything else, searches of others among it.
#[must_use]
pub fn read(datagram: &[u8]) -> Option<Reply> {
    if datagram.len() > DATAGRAM_MAX {
        return None;
    }
    let decoded = String::from_utf8_lossy(datagram);
    if let Some(document) = Document::read(&decoded) {
        return Some(Reply::Device(Box::new(claims(&document))));
    }
    upnp(&decoded).map(Reply::Upnp)
}

fn claims(document: &Document) -> Claims {
    let first = |places: &[(&str, &str)]| document.first(places);
    let address = |places: &[(&str, &str)]| text::address(document.first(places));
    Claims {
        mac: text::mac(first(&[("tcpIp", "macAddr")])),
        address: address(&[("tcpIp", "ipAddr"), ("tcpIp", "ip")]),
        name: kept(first(&[("tcpIp", "devName"), ("productInfo", "devName")])),
        model: kept(first(&[
            ("productInfo", "productModel"),
            ("productInfo", "unit"),
        ])),
        series: kept(first(&[("productInfo", "productSeries")])),
        serial: kept(first(&[("productInfo", "customerSN")])),
        software_version: kept(first(&[("productInfo", "softwareVer")])),
        kernel_version: kept(first(&[("productInfo", "kernelVer")])),
        // The first spelling is the vendor's own.
        build_date: kept(first(&[
            ("productInfo", "softwareBulildDate"),
            ("productInfo", "softBuildDate"),
        ])),
        data_port: text::port(first(&[("port", "dataPort")])),
        http_port: text::port(first(&[("port", "httpPort")])),
        rtsp_port: text::port(first(&[("port", "rtspPort")])),
        subnet_mask: address(&[("tcpIp", "mask"), ("tcpIp", "maskAddr")]),
        gateway: address(&[("tcpIp", "gateway"), ("tcpIp", "route")]),
        dns1: address(&[("tcpIp", "dns1")]),
        dns2: address(&[("tcpIp", "dns2")]),
        dhcp: match first(&[("tcpIp", "dhcpSwitch")]) {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        },
        ..Claims::default()
    }
}

fn upnp(text: &str) -> Option<UpnpAnswer> {
    let mut lines = text.lines();
    let first = lines.next()?;
    let answer = first.starts_with("HTTP/1.1 200") || first.starts_with("HTTP/1.0 200");
    if !answer && !first.starts_with("NOTIFY * HTTP/1.") {
        return None;
    }
    let mut found = UpnpAnswer::default();
    let mut is_upnp = false;
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        match name.trim().to_ascii_uppercase().as_str() {
            "SERVER" => found.server = kept(value),
            "LOCATION" => {
                is_upnp = true;
                found.location = kept(value);
            }
            "ST" | "NT" | "USN" => is_upnp = true,
            _ => {}
        }
    }
    is_upnp.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn device(datagram: &str) -> Option<Claims> {
        match read(datagram.as_bytes())? {
            Reply::Device(claims) => Some(*claims),
            Reply::Upnp(_) => None,
        }
    }

    #[test]
    fn a_lone_ampersand_does_not_hide_a_device() {
        let claims = device(
            "<multicastSearchResult><tcpIp><devName>Bar & Grill A&B</devName></tcpIp></multicastSearchResult>",
        );
        assert_eq!(claims.unwrap().name, "Bar & Grill A&B");
    }

    #[test]
    fn bombs_are_refused() {
        let nested = |levels: usize| {
            format!(
                "<multicastSearchResult>{}{}</multicastSearchResult>",
                "<a>".repeat(levels),
                "</a>".repeat(levels)
            )
        };
        assert!(device(&nested(31)).is_some());
        assert!(device(&nested(32)).is_none());
        let wide = format!(
            "<multicastSearchResult>{}</multicastSearchResult>",
            "<a/>".repeat(200)
        );
        assert!(device(&wide).is_none());
        let inside =
            "<multicastSearchResult><!DOCTYPE x [<!ENTITY a \"b\">]></multicastSearchResult>";
        assert!(device(inside).is_none());
    }

    #[test]
    fn ordinary_upnp_devices_are_candidates_only() {
        let answer = b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nSERVER: Linux/3.4 UPnP/1.0\r\n\
                       LOCATION: http://10.0.0.9:49152/x.xml\r\n\r\n";
        let Some(Reply::Upnp(found)) = read(answer) else {
            panic!()
        };
        assert_eq!(found.server, "Linux/3.4 UPnP/1.0");
        assert_eq!(found.location, "http://10.0.0.9:49152/x.xml");
        assert_eq!(read(super::super::SEARCH), None);
        assert_eq!(
            read(b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n<html>"),
            None
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(&bytes);
            let mut document = b"<multicastSearchResult><tcpIp><devName>".to_vec();
            document.extend_from_slice(&bytes);
            document.extend_from_slice(b"</devName></tcpIp></multicastSearchResult>");
            if let Some(Reply::Device(claims)) = read(&document) {
                prop_assert!(claims.name.chars().count() <= 256);
                prop_assert!(!claims.name.chars().any(char::is_control));
            }
        }
    }
}
