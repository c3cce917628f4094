//! What answers to a probe.

use std::net::Ipv4Addr;

use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use crate::device::probe::text::{self, kept};
use crate::model::mac::MacAddr;

const SOAP_ADDRESSING: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
const DISCOVERY: &str = "http://schemas.xmlsoap.org/ws/2005/04/discovery";
const SCOPE_NAME: &str = "onvif://www.onvif.org/name/";
const SCOPE_HARDWARE: &str = "onvif://www.onvif.org/hardware/";

/// Bytes of a datagram that is read.
const DATAGRAM_MAX: usize = 65_535;
/// Nesting of a document.
const DEPTH: usize = 32;
/// Elements of a document.
const ELEMENTS: usize = 400;
/// Devices in one answer, and words in one list of theirs.
const LIST_MAX: usize = 16;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// The probe that it answers, as `uuid:…`; empty where it does not say.
    pub relates_to: String,
    /// The devices in it, at most 16.
    pub matches: Vec<ProbeMatch>,
}

/// A device in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeMatch {
    /// The name of the device's endpoint.
    pub endpoint: String,
    /// Its types, without prefixes.
    pub types: Vec<String>,
    /// The scope `name`.
    pub name: String,
    /// The scope `hardware`.
    pub hardware: String,
    /// The address of its first IPv4 service; `None` where it names none.
    pub address: Option<Ipv4Addr>,
    /// The port of that service.
    pub http_port: u16,
    /// The addresses of its services, as it wrote them.
    pub services: Vec<String>,
    /// The end of the endpoint's name, where it is one of TVT's Ethernet addresses. UNCERTAIN
    /// whether devices keep to that.
    pub mac_hint: Option<MacAddr>,
}

impl ProbeMatch {
    /// Whether the device may be a TVT one, by the model's name or the Ethernet address.
    #[must_use]
    pub fn may_be_tvt(&self) -> bool {
        let hardware = self.hardware.to_uppercase();
        self.mac_hint.is_some() || hardware.starts_with("TD-") || hardware.starts_with("IP-")
    }
}

/// Reads a datagram; `None` for everything but an answer to a probe.
#[must_use]
pub fn read(datagram: &[u8]) -> Option<Matches> {
    if datagram.len() > DATAGRAM_MAX {
        return None;
    }
    let decoded = String::from_utf8_lossy(datagram);
    let mut reader = NsReader::from_str(decoded.trim_end_matches('\0'));
    let mut walk = Walk::default();
    loop {
        let (namespace, event) = reader.read_resolved_event().ok()?;
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => namespace.0.to_owned(),
            ResolveResult::Unbound | ResolveResult::Unknown(_) => String::new(),
        };
        match event {
            Event::Start(start) => {
                walk.start(&namespace, start.local_name().into_inner())?;
            }
            Event::Empty(start) => {
                walk.start(&namespace, start.local_name().into_inner())?;
                walk.end();
            }
            Event::End(_) => walk.end(),
            Event::Text(text) => walk.text.push_str(&text.xml10_content()),
            Event::CData(text) => walk.text.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                if let Some(character) = reference.resolve_char_ref().ok()? {
                    walk.text.push(character);
                } else if &*reference.xml10_content() == "amp" {
                    walk.text.push('&');
                } else {
                    return None;
                }
            }
            Event::DocType(_) => return None,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    (walk.open.is_empty() && !walk.found.matches.is_empty()).then_some(walk.found)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    RelatesTo,
    ProbeMatch,
    Endpoint,
    Address,
    Types,
    Scopes,
    XAddrs,
    Other,
}

#[derive(Default)]
struct Walk {
    found: Matches,
    open: Vec<Element>,
    elements: usize,
    text: String,
}

impl Walk {
    fn start(&mut self, namespace: &str, name: &str) -> Option<()> {
        self.elements += 1;
        if self.open.len() >= DEPTH || self.elements > ELEMENTS {
            return None;
        }
        let element = match (namespace, name) {
            (SOAP_ADDRESSING, "RelatesTo") => Element::RelatesTo,
            (SOAP_ADDRESSING, "EndpointReference") => Element::Endpoint,
            (SOAP_ADDRESSING, "Address") => Element::Address,
            (DISCOVERY, "ProbeMatch") => Element::ProbeMatch,
            (DISCOVERY, "Types") => Element::Types,
            (DISCOVERY, "Scopes") => Element::Scopes,
            (DISCOVERY, "XAddrs") => Element::XAddrs,
            _ => Element::Other,
        };
        if element == Element::ProbeMatch {
            if self.found.matches.len() >= LIST_MAX {
                return None;
            }
            self.found.matches.push(ProbeMatch::default());
        }
        self.open.push(element);
        self.text.clear();
        Some(())
    }

    fn end(&mut self) {
        let text = std::mem::take(&mut self.text);
        let Some(element) = self.open.pop() else {
            return;
        };
        if element == Element::RelatesTo {
            self.found.relates_to = kept(&text);
        }
        if !self.open.contains(&Element::ProbeMatch) {
            return;
        }
        let in_endpoint = self.open.contains(&Element::Endpoint);
        let Some(found) = self.found.matches.last_mut() else {
            return;
        };
        match element {
            Element::Address if in_endpoint => {
                found.endpoint = kept(&text);
                found.mac_hint = mac_hint(&found.endpoint);
            }
            Element::Types => {
                found.types = words(&text)
                    .map(|word| kept(word.rsplit(':').next().unwrap_or(word)))
                    .collect();
            }
            Element::Scopes => scopes(&text, found),
            Element::XAddrs => services(&text, found),
            Element::Address
            | Element::RelatesTo
            | Element::ProbeMatch
            | Element::Endpoint
            | Element::Other => {}
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().take(LIST_MAX)
}

fn scopes(text: &str, found: &mut ProbeMatch) {
    // Devices put dozens of scopes here; the datagram bounds them.
    for word in text.split_whitespace() {
        if let Some(name) = word.strip_prefix(SCOPE_NAME) {
            found.name = kept(&percent_decoded(name));
        } else if let Some(hardware) = word.strip_prefix(SCOPE_HARDWARE) {
            found.hardware = kept(&percent_decoded(hardware));
        }
    }
}

fn services(text: &str, found: &mut ProbeMatch) {
    found.services = words(text).map(kept).collect();
    for service in words(text) {
        let Some((_, rest)) = service.split_once("://") else {
            continue;
        };
        let authority = rest.split('/').next().unwrap_or(rest);
        let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
        if let (Some(address), port @ 1..) = (text::address(host), text::port(port)) {
            (found.address, found.http_port) = (Some(address), port);
            return;
        }
    }
}

fn mac_hint(endpoint: &str) -> Option<MacAddr> {
    let tail = endpoint.get(endpoint.len().checked_sub(12)?..)?;
    let is_hex = tail.bytes().all(|byte| byte.is_ascii_hexdigit());
    tail.parse()
        .ok()
        .filter(|mac: &MacAddr| is_hex && mac.is_tvt())
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let (Some((high, low)), [_, _, tail @ ..]) = (escaped, after) {
            bytes.push(high << 4 | low);
            rest = tail;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn our_own_probe_is_no_answer() {
        let probe = super::super::search(uuid::Uuid::nil());
        assert_eq!(read(probe.as_bytes()), None);
    }

    #[test]
    fn escapes_are_undone_and_broken_ones_kept() {
        assert_eq!(percent_decoded("IPC%201%2"), "IPC 1%2");
        assert_eq!(percent_decoded("100%zz"), "100%zz");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }
    }
}
