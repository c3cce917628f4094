//! What a datagram says: a device, a host that may be one, or nothing.

use std::net::Ipv4Addr;

use tvtfleet_proto::device::{mhed, ssdp, wsd};
use tvtfleet_proto::model::discovery::{Claims, Method};

use super::merge::Seen;

/// Where a datagram was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ear {
    /// The socket that searched by multicast.
    Search,
    /// The socket of the sweep.
    Sweep,
    /// A multicast group; searches of the vendor's kind were sent, or not.
    Group { searched: bool },
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A TVT device.
    Device(Box<Seen>),
    /// A host that a greeting may show to be one, with what it said so far.
    Candidate(Ipv4Addr, Box<Claims>),
}

/// Reads a datagram. `message` is the name of our WS-Discovery probe.
pub(crate) fn read(
    ear: Ear,
    source: Ipv4Addr,
    interface: Option<&str>,
    message: &str,
    datagram: &[u8],
) -> Vec<Heard> {
    let device = |method, claims| {
        let mut seen = Seen::new(method, source, claims);
        seen.interface = interface.map(str::to_owned);
        vec![Heard::Device(Box::new(seen))]
    };
    if let Ear::Group { searched } = ear
        && let Some(announcement) = mhed::read(datagram)
    {
        let method = if searched {
            Method::Mhed
        } else {
            Method::Announcements
        };
        return device(method, announcement.claims);
    }
    match ssdp::read(datagram) {
        Some(ssdp::Reply::Device(claims)) => {
            let method = match ear {
                Ear::Search => Method::Ssdp,
                Ear::Sweep => Method::Sweep,
                Ear::Group { .. } => Method::Announcements,
            };
            device(method, *claims)
        }
        Some(ssdp::Reply::Upnp(_)) => vec![Heard::Candidate(source, Box::default())],
        None if ear == Ear::Search => onvif(source, message, datagram),
        None => Vec::new(),
    }
}

fn onvif(source: Ipv4Addr, message: &str, datagram: &[u8]) -> Vec<Heard> {
    let Some(found) = wsd::read(datagram) else {
        return Vec::new();
    };
    // Some devices leave it out; an answer to somebody else's probe is not ours.
    if !found.relates_to.is_empty() && !found.relates_to.ends_with(message) {
        return Vec::new();
    }
    found
        .matches
        .into_iter()
        .map(|found| {
            let claims = Claims {
                name: found.name,
                model: found.hardware,
                http_port: found.http_port,
                ..Claims::default()
            };
            Heard::Candidate(found.address.unwrap_or(source), Box::new(claims))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

    fn methods(ear: Ear, datagram: &[u8]) -> Vec<Option<Method>> {
        read(ear, HOST, Some("eth0"), "m", datagram)
            .into_iter()
            .map(|heard| match heard {
                Heard::Device(seen) => Some(seen.method),
                Heard::Candidate(..) => None,
            })
            .collect()
    }

    #[test]
    fn the_ear_says_how_a_device_was_seen() {
        let document = b"<multicastSearchResult/>";
        assert_eq!(methods(Ear::Search, document), [Some(Method::Ssdp)]);
        assert_eq!(methods(Ear::Sweep, document), [Some(Method::Sweep)]);
        let mut announcement = mhed::search(8);
        announcement[8] = 2;
        assert_eq!(
            methods(Ear::Group { searched: true }, &announcement),
            [Some(Method::Mhed)]
        );
        let passive = Ear::Group { searched: false };
        assert_eq!(
            methods(passive, &announcement),
            [Some(Method::Announcements)]
        );
        assert!(methods(Ear::Sweep, &announcement).is_empty());
        let notify = b"NOTIFY * HTTP/1.1\r\nNT: upnp:rootdevice\r\n\r\n";
        assert_eq!(methods(passive, notify), [None]);
        assert!(methods(passive, ssdp::SEARCH).is_empty());
    }
}
