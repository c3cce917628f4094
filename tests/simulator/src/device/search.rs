//! What a recorder says in answer to search probes.

use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use serde_json::Value;

use super::spec::DeviceSpec;

/// The service type that TVT's search asks for.
const SERVICE: &str = "urn:schemas-upnp-org:service:EmbeddedNetDeviceControl:1";
/// The search targets that a recorder answers to.
const TARGETS: [&str; 3] = [SERVICE, "ssdp:all", "upnp:rootdevice"];

const MHED_MAGIC: &[u8; 4] = b"MHED";
const MHED_SEARCH: u32 = 1;
const MHED_ANNOUNCE: u32 = 2;
const MHED_VERSION: u16 = 8;
/// Bytes of the shortest packet, and of an announcement with everything in it.
const MHED_SHORT: usize = 140;
const MHED_LONG: usize = 240;

/// The form of a recorder's answer to an SSDP search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// The bare document.
    #[default]
    Xml,
    /// The document behind an HTTP header.
    Http,
    /// An ordinary UPnP answer.
    Upnp,
    /// A document that ends in the middle.
    Truncated,
    /// A document with entities that unfold to gigabytes.
    Bomb,
    /// No answer.
    None,
}

/// The `search` object of a fleet file. Its keys up to `http_port` are those of the examples.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Search {
    model: String,
    series: String,
    gateway: String,
    fw: String,
    data_port: Value,
    http_port: Value,
    /// The address it announces; absent: its own.
    ip: Option<Ipv4Addr>,
    pub(crate) form: Form,
    /// How long it waits before it answers.
    pub(crate) delay_ms: u64,
    /// Searches that it does not hear.
    pub(crate) lost: u32,
    /// Percent of the searches that it does not hear, or whose answer is lost.
    pub(crate) loss: u64,
    /// How often it sends each answer.
    pub(crate) copies: u32,
    /// Whether it answers the vendor's search.
    pub(crate) mhed: bool,
    /// How often it announces itself; 0: never.
    pub(crate) announce_ms: u64,
    /// Made-up devices that it announces with each answer to the vendor's search.
    pub(crate) flood: u32,
    /// Made-up devices that it speaks for with each answer to an SSDP search.
    pub(crate) ssdp_flood: u32,
    serial: String,
    vendor: String,
    channels: u32,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            model: String::new(),
            series: String::new(),
            gateway: String::new(),
            fw: "5.2.3.19033B241010".to_owned(),
            data_port: 9008.into(),
            http_port: 80.into(),
            ip: None,
            form: Form::default(),
            delay_ms: 0,
            lost: 0,
            loss: 0,
            copies: 1,
            mhed: true,
            announce_ms: 0,
            flood: 0,
            ssdp_flood: 0,
            serial: String::new(),
            vendor: String::new(),
            channels: 0,
        }
    }
}

impl Search {
    /// Reads the `search` object of a recorder, if it has one.
    pub(crate) fn of(spec: &DeviceSpec) -> Result<Option<Self>, serde_json::Error> {
        spec.search.clone().map(serde_json::from_value).transpose()
    }

    /// The answer to an SSDP search; `None` where it does not answer.
    pub(crate) fn ssdp_reply(&self, spec: &DeviceSpec) -> Option<Vec<u8>> {
        let document = self.document(spec);
        let text = match self.form {
            Form::Xml => document,
            Form::Http => format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n{document}"),
            Form::Truncated => document
                .chars()
                .take(document.chars().count() / 2)
                .collect(),
            Form::Upnp => format!(
                "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=100\r\nST: upnp:rootdevice\r\n\
                 USN: uuid:{}::upnp:rootdevice\r\nSERVER: Linux/4.9, UPnP/1.0, Portable SDK\r\n\
                 LOCATION: http://{}:49152/upnpdevicedesc.xml\r\n\r\n",
                spec.mac, spec.ip
            ),
            Form::Bomb => bomb(&document),
            Form::None => return None,
        };
        Some(text.into_bytes())
    }

    /// The document of a device that does not exist, with addresses that count up.
    pub(crate) fn made_up_document(&self, spec: &DeviceSpec, number: u32) -> Vec<u8> {
        let [_, high, middle, low] = number.to_be_bytes();
        let ip = format!("10.{high}.{middle}.{low}");
        let mac = format!("00:18:AE:{high:02X}:{middle:02X}:{low:02X}");
        self.document(spec)
            .replace(&spec.mac.to_string(), &mac)
            .replacen(
                &format!("<ipAddr>{}</ipAddr>", spec.ip),
                &format!("<ipAddr>{ip}</ipAddr>"),
                1,
            )
            .into_bytes()
    }

    fn document(&self, spec: &DeviceSpec) -> String {
        let ip = self.ip.map_or(spec.ip, IpAddr::V4);
        let plain = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let tags = |tags: &[(&str, String)]| -> String {
            tags.iter()
                .map(|(tag, text)| format!("<{tag}>{}</{tag}>", escaped(text)))
                .collect()
        };
        let tcp_ip = tags(&[
            ("devName", spec.name.clone()),
            ("ipAddr", ip.to_string()),
            ("mask", "255.255.255.0".to_owned()),
            ("gateway", self.gateway.clone()),
            ("dns1", "9.9.9.9".to_owned()),
            ("dns2", String::new()),
            ("macAddr", spec.mac.to_string()),
        ]);
        let port = tags(&[
            ("dataPort", plain(&self.data_port)),
            ("httpPort", plain(&self.http_port)),
        ]);
        let product = tags(&[
            ("devName", "NVR".to_owned()),
            ("productModel", self.model.clone()),
            ("productSeries", self.series.clone()),
            ("softwareVer", self.fw.clone()),
            ("kernelVer", "4.9.118".to_owned()),
        ]);
        format!(
            "<multicastSearchResult><tcpIp>{tcp_ip}</tcpIp><port>{port}</port>\
             <productInfo>{product}</productInfo></multicastSearchResult>"
        )
    }

    /// The announcement of the vendor's search protocol.
    pub(crate) fn announcement(&self, spec: &DeviceSpec) -> Vec<u8> {
        let mut packet = vec![0; MHED_LONG];
        let ip = match (self.ip, spec.ip) {
            (Some(ip), _) | (None, IpAddr::V4(ip)) => ip,
            (None, IpAddr::V6(_)) => Ipv4Addr::UNSPECIFIED,
        };
        let number = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
        let [a, b, c, d] = spec.firmware.0;
        header(&mut packet, MHED_ANNOUNCE);
        place(&mut packet, 12, spec.name.as_bytes(), 20);
        place(&mut packet, 32, &spec.mac.0, 6);
        place(
            &mut packet,
            38,
            &number(&self.data_port).unwrap_or(0).to_le_bytes(),
            2,
        );
        place(&mut packet, 40, &ip.octets(), 4);
        place(&mut packet, 44, &[255, 255, 255, 0], 4);
        place(&mut packet, 52, &[d, c, b, a], 4);
        place(&mut packet, 56, &spec.build_date.to_le_bytes(), 4);
        place(
            &mut packet,
            60,
            &number(&self.http_port).unwrap_or(0).to_le_bytes(),
            2,
        );
        place(&mut packet, 64, &spec.dev_type.to_le_bytes(), 4);
        place(&mut packet, 140, self.serial.as_bytes(), 16);
        place(&mut packet, 196, self.model.as_bytes(), 16);
        place(&mut packet, 212, self.vendor.as_bytes(), 16);
        place(&mut packet, 228, &self.channels.to_le_bytes(), 4);
        packet
    }

    /// The announcement of a device that does not exist, with an address that counts up.
    pub(crate) fn made_up(&self, spec: &DeviceSpec, number: u32) -> Vec<u8> {
        let mut packet = self.announcement(spec);
        let [_, high, middle, low] = number.to_be_bytes();
        place(&mut packet, 35, &[high, middle, low], 3);
        place(&mut packet, 41, &[high, middle, low], 3);
        packet
    }
}

/// Whether a datagram is a search that a recorder answers.
pub(crate) fn is_ssdp_search(datagram: &[u8]) -> bool {
    let text = String::from_utf8_lossy(datagram);
    let mut lines = text.lines();
    lines
        .next()
        .is_some_and(|line| line.starts_with("M-SEARCH * HTTP/1.1"))
        && lines.any(|line| {
            line.split_once(':').is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("ST") && TARGETS.contains(&value.trim())
            })
        })
}

/// Whether a datagram is the vendor's search, of any version that recorders know.
pub(crate) fn is_mhed_search(datagram: &[u8]) -> bool {
    datagram.len() >= MHED_SHORT
        && datagram.starts_with(MHED_MAGIC)
        && datagram.get(4).is_some_and(|version| *version >= 7)
        && datagram.get(8..12) == Some(&MHED_SEARCH.to_le_bytes())
}

fn header(packet: &mut [u8], command: u32) {
    place(packet, 0, MHED_MAGIC, 4);
    place(packet, 4, &MHED_VERSION.to_le_bytes(), 2);
    place(packet, 6, &1_u16.to_le_bytes(), 2);
    place(packet, 8, &command.to_le_bytes(), 4);
}

/// Puts as much as fits into a field of `width` bytes.
fn place(packet: &mut [u8], at: usize, bytes: &[u8], width: usize) {
    for (to, from) in packet.iter_mut().skip(at).take(width).zip(bytes) {
        *to = *from;
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The document behind a DTD whose last entity is ten to the ninth words, with that as its name.
fn bomb(document: &str) -> String {
    let mut text = String::from("<!DOCTYPE multicastSearchResult [<!ENTITY a0 \"tvt\">");
    for depth in 1..=9 {
        let inner = format!("&a{};", depth - 1).repeat(10);
        text.push_str(&format!("<!ENTITY a{depth} \"{inner}\">"));
    }
    text.push_str("]>");
    text + &document.replacen("<tcpIp>", "<tcpIp><devName>&a9;</devName>", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> DeviceSpec {
        serde_json::from_str(
            r#"{"ip": "10.0.0.8", "mac": "58:5B:69:11:12:13", "name": "Short",
                "search": {"model": "TD-3316", "data_port": "x"}}"#,
        )
        .unwrap()
    }

    #[test]
    fn answers_follow_the_examples() {
        let spec = spec();
        let search = Search::of(&spec).unwrap().unwrap();
        let text = String::from_utf8(search.ssdp_reply(&spec).unwrap()).unwrap();
        for part in [
            "<devName>Short</devName><ipAddr>10.0.0.8</ipAddr>",
            "<dataPort>x</dataPort><httpPort>80</httpPort>",
            "<softwareVer>5.2.3.19033B241010</softwareVer>",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let packet = search.announcement(&spec);
        assert_eq!(packet[32..38], [0x58, 0x5B, 0x69, 0x11, 0x12, 0x13]);
        assert_eq!((packet[40], packet[43], packet.len()), (10, 8, 240));
    }

    #[test]
    fn searches_are_told_from_other_datagrams() {
        let probe = format!("M-SEARCH * HTTP/1.1\r\nMan:\"ssdp:discover\"\r\nST:{SERVICE}\r\n\r\n");
        assert!(is_ssdp_search(probe.as_bytes()));
        assert!(!is_ssdp_search(
            b"M-SEARCH * HTTP/1.1\r\nST: urn:dial-multiscreen-org\r\n\r\n"
        ));
        assert!(!is_ssdp_search(b"NOTIFY * HTTP/1.1\r\nST:ssdp:all\r\n\r\n"));
        let mut packet = vec![0; MHED_SHORT];
        header(&mut packet, MHED_SEARCH);
        assert!(is_mhed_search(&packet));
        header(&mut packet, 3);
        assert!(!is_mhed_search(&packet));
    }

    #[test]
    fn unknown_keys_are_refused() {
        let mut spec = spec();
        spec.search = Some(serde_json::json!({"modell": "x"}));
        assert!(Search::of(&spec).is_err());
    }
}
