//! Making one device of everything that was seen of it, within bounds.
//!
//! A device is its Ethernet address, else the address it answers from. The first claim of each kind
//! stays: a later announcement never replaces an earlier device.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use tvtfleet_proto::device::probe::{self, Hints};
use tvtfleet_proto::model::discovery::{Claims, DiscoveredDevice, Flag, Method};
use tvtfleet_proto::model::mac::MacAddr;

/// Devices kept in one discovery.
const DEVICES_MAX: usize = 4096;
/// Devices that one sender may speak for: a recorder with the cameras behind it, and no flood.
const PER_SOURCE_MAX: u32 = 16;
/// Addresses and interfaces kept of one device.
const PLACES_MAX: usize = 16;

/// One answer, or one greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How it came.
    pub method: Method,
    /// Who sent it.
    pub source: Ipv4Addr,
    /// The interface it came in by, where that is known.
    pub interface: Option<String>,
    /// The TCP port of a greeting.
    pub port: Option<u16>,
    /// What it says.
    pub claims: Claims,
}

impl Seen {
    /// An answer from `source`.
    #[must_use]
    pub const fn new(method: Method, source: Ipv4Addr, claims: Claims) -> Self {
        Self {
            method,
            source,
            interface: None,
            port: None,
            claims,
        }
    }

    fn address(&self) -> Ipv4Addr {
        self.claims.address.unwrap_or(self.source)
    }
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// A device that was not known before; its number.
    New(usize),
    /// Something new about a device; its number.
    More(usize),
    /// Nothing new.
    Nothing,
    /// Not used: one sender too many times, or too many devices.
    Dropped,
}

/// Everything seen in one discovery.
#[derive(Clone, Debug, Default)]
pub struct Sightings {
    entries: Vec<Entry>,
    by_mac: BTreeMap<MacAddr, usize>,
    by_address: BTreeMap<Ipv4Addr, Vec<usize>>,
    spoken_for: BTreeMap<Ipv4Addr, u32>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    mac: Option<MacAddr>,
    announced: Option<Ipv4Addr>,
    source: Option<Ipv4Addr>,
    addresses: BTreeSet<Ipv4Addr>,
    methods: BTreeSet<Method>,
    interfaces: BTreeSet<String>,
    greeted: BTreeSet<u16>,
    claims: BTreeMap<Trust, Claims>,
    mismatch: bool,
    mac_conflict: bool,
    /// It was found to be another device of the list.
    gone: bool,
}

/// Whose word counts most, first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    Greeting,
    Mhed,
    Ssdp,
    Onvif,
}

impl Trust {
    const fn of(method: Method) -> Self {
        match method {
            Method::Tcp | Method::Neighbours => Self::Greeting,
            Method::Mhed | Method::Announcements | Method::Sdk => Self::Mhed,
            Method::Ssdp | Method::Sweep => Self::Ssdp,
            Method::Onvif => Self::Onvif,
        }
    }
}

impl Sightings {
    /// Takes an answer.
    pub fn add(&mut self, seen: Seen) -> Added {
        match self.find(&seen) {
            Some(number) => self.extend(number, seen),
            None => self.begin(seen),
        }
    }

    /// How many devices there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.gone).count()
    }

    /// Whether nothing was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a device is known at this address.
    #[must_use]
    pub fn knows(&self, address: Ipv4Addr) -> bool {
        self.by_address.contains_key(&address)
    }

    /// Whether the one device at this address has not said its Ethernet address.
    #[must_use]
    pub fn lacks_mac(&self, address: Ipv4Addr) -> bool {
        let found = self.by_address.get(&address).map_or(&[][..], Vec::as_slice);
        match found {
            [number] => self
                .entries
                .get(*number)
                .is_some_and(|entry| entry.mac.is_none()),
            _ => false,
        }
    }

    /// A device as it is known now.
    #[must_use]
    pub fn device(&self, number: usize) -> Option<DiscoveredDevice> {
        self.entries
            .get(number)
            .filter(|entry| !entry.gone)
            .map(|entry| self.shown(entry))
    }

    /// All devices, by the name of their type and their address.
    #[must_use]
    pub fn devices(&self) -> Vec<DiscoveredDevice> {
        let mut devices: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| !entry.gone)
            .map(|entry| self.shown(entry))
            .collect();
        devices.sort_by(|a, b| {
            let key = |device: &DiscoveredDevice| {
                (
                    device.device_type.as_str(),
                    device.address,
                    device.claims.mac,
                )
            };
            key(a).cmp(&key(b))
        });
        devices
    }

    fn find(&mut self, seen: &Seen) -> Option<usize> {
        let Some(mac) = seen.claims.mac else {
            return self.first_at(seen.address());
        };
        let nameless = self
            .first_at(seen.source)
            .or_else(|| self.first_at(seen.address()))
            .filter(|number| self.entries.get(*number).is_some_and(|e| e.mac.is_none()));
        match (self.by_mac.get(&mac).copied(), nameless) {
            (Some(known), Some(nameless)) => {
                self.absorb(nameless, known);
                Some(known)
            }
            (Some(known), None) => Some(known),
            (None, Some(nameless)) => Some(nameless),
            // Whoever greets at an address is the device that answered from there, even if it names
            // the Ethernet address of its second port.
            (None, None) if seen.method == Method::Tcp => self.first_at(seen.source),
            (None, None) => None,
        }
    }

    fn first_at(&self, address: Ipv4Addr) -> Option<usize> {
        self.by_address
            .get(&address)
            .and_then(|found| found.first())
            .copied()
    }

    /// Makes one device of two that turned out to be the same.
    fn absorb(&mut self, from: usize, into: usize) {
        let Some(gone) = self.entries.get_mut(from).map(|entry| {
            std::mem::replace(
                entry,
                Entry {
                    gone: true,
                    ..Entry::default()
                },
            )
        }) else {
            return;
        };
        for address in &gone.addresses {
            if let Some(found) = self.by_address.get_mut(address) {
                found.retain(|number| *number != from && *number != into);
                found.push(into);
            }
        }
        let Some(entry) = self.entries.get_mut(into) else {
            return;
        };
        entry.addresses.extend(gone.addresses);
        while entry.addresses.len() > PLACES_MAX {
            entry.addresses.pop_last();
        }
        entry.methods.extend(gone.methods);
        entry.interfaces.extend(gone.interfaces);
        entry.greeted.extend(gone.greeted);
        entry.announced = entry.announced.or(gone.announced);
        entry.mismatch |= gone.mismatch;
        for (trust, claims) in gone.claims {
            fill(entry.claims.entry(trust).or_default(), &claims);
        }
    }

    fn begin(&mut self, seen: Seen) -> Added {
        let spoken_for = self.spoken_for.get(&seen.source).copied().unwrap_or(0);
        if self.entries.len() >= DEVICES_MAX || spoken_for >= PER_SOURCE_MAX {
            return Added::Dropped;
        }
        self.spoken_for.insert(seen.source, spoken_for + 1);
        let number = self.entries.len();
        self.entries.push(Entry {
            source: Some(seen.source),
            ..Entry::default()
        });
        self.extend(number, seen);
        Added::New(number)
    }

    fn extend(&mut self, number: usize, seen: Seen) -> Added {
        let Some(entry) = self.entries.get_mut(number) else {
            return Added::Nothing;
        };
        let mut more = entry.methods.insert(seen.method);
        for address in [Some(seen.source), seen.claims.address]
            .into_iter()
            .flatten()
        {
            if entry.addresses.len() < PLACES_MAX && entry.addresses.insert(address) {
                self.by_address.entry(address).or_default().push(number);
                more = true;
            }
        }
        if let Some(interface) = seen.interface
            && entry.interfaces.len() < PLACES_MAX
        {
            more |= entry.interfaces.insert(interface);
        }
        if let Some(port) = seen.port
            && entry.greeted.len() < PLACES_MAX
        {
            more |= entry.greeted.insert(port);
        }
        match (entry.mac, seen.claims.mac) {
            (None, Some(mac)) => {
                entry.mac = Some(mac);
                self.by_mac.insert(mac, number);
            }
            (Some(known), Some(mac)) if known != mac => entry.mac_conflict = true,
            _ => {}
        }
        if let Some(announced) = seen.claims.address {
            entry.announced.get_or_insert(announced);
            entry.mismatch |= announced != seen.source;
        }
        let trust = Trust::of(seen.method);
        let kept = entry.claims.entry(trust).or_default();
        let before = kept.clone();
        fill(kept, &seen.claims);
        more |= *kept != before;
        if more {
            Added::More(number)
        } else {
            Added::Nothing
        }
    }

    fn shown(&self, entry: &Entry) -> DiscoveredDevice {
        let mut claims = Claims {
            mac: entry.mac,
            address: entry.announced,
            ..Claims::default()
        };
        for claimed in entry.claims.values() {
            fill(&mut claims, claimed);
        }
        let greeted: Vec<u16> = entry.greeted.iter().copied().collect();
        if claims.data_port == 0 {
            claims.data_port = greeted.first().copied().unwrap_or(0);
        }
        let code = |trust| entry.claims.get(&trust).and_then(|claims| claims.type_code);
        let hints = Hints {
            mhed_code: code(Trust::Mhed),
            channels: claims.channels,
            init_code: code(Trust::Greeting),
            greeted: &greeted,
        };
        let (device_type, type_source) = probe::conclude(&claims.series, &claims.model, &hints);
        let source = entry.source.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let address = entry.announced.unwrap_or(source);
        let clash = self
            .by_address
            .get(&address)
            .is_some_and(|found| found.len() > 1);
        let flags = [
            (entry.mismatch, Flag::AddressMismatch),
            (clash, Flag::AddressClash),
            (entry.mac_conflict, Flag::MacConflict),
            (address.is_link_local(), Flag::LinkLocal),
        ];
        DiscoveredDevice {
            address,
            source,
            addresses: entry.addresses.iter().copied().collect(),
            methods: entry.methods.clone(),
            interfaces: entry.interfaces.iter().cloned().collect(),
            greeted,
            device_type,
            type_source,
            flags: flags
                .into_iter()
                .filter_map(|(set, flag)| set.then_some(flag))
                .collect(),
            claims,
        }
    }
}

/// Takes from `more` what `claims` does not say yet.
fn fill(claims: &mut Claims, more: &Claims) {
    let text = |to: &mut String, from: &String| {
        if to.is_empty() {
            to.clone_from(from);
        }
    };
    let port = |to: &mut u16, from: u16| {
        if *to == 0 {
            *to = from;
        }
    };
    text(&mut claims.name, &more.name);
    text(&mut claims.model, &more.model);
    text(&mut claims.series, &more.series);
    text(&mut claims.serial, &more.serial);
    text(&mut claims.vendor, &more.vendor);
    text(&mut claims.software_version, &more.software_version);
    text(&mut claims.kernel_version, &more.kernel_version);
    text(&mut claims.build_date, &more.build_date);
    port(&mut claims.data_port, more.data_port);
    port(&mut claims.http_port, more.http_port);
    port(&mut claims.rtsp_port, more.rtsp_port);
    claims.mac = claims.mac.or(more.mac);
    claims.address = claims.address.or(more.address);
    claims.subnet_mask = claims.subnet_mask.or(more.subnet_mask);
    claims.gateway = claims.gateway.or(more.gateway);
    claims.dns1 = claims.dns1.or(more.dns1);
    claims.dns2 = claims.dns2.or(more.dns2);
    claims.dhcp = claims.dhcp.or(more.dhcp);
    claims.channels = claims.channels.or(more.channels);
    claims.type_code = claims.type_code.or(more.type_code);
    claims.family = claims.family.or(more.family);
    claims.protocol_version = claims.protocol_version.or(more.protocol_version);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mac(last: u8) -> Option<MacAddr> {
        Some(MacAddr::from([0x58, 0x5B, 0x69, 0, 0, last]))
    }

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, last)
    }

    fn seen(method: Method, source: u8, claims: Claims) -> Seen {
        Seen::new(method, ip(source), claims)
    }

    #[test]
    fn one_device_on_two_interfaces_is_one_device() {
        let mut all = Sightings::default();
        for (interface, method) in [
            ("eth0", Method::Ssdp),
            ("eth1", Method::Ssdp),
            ("eth1", Method::Mhed),
        ] {
            let claims = Claims {
                mac: mac(1),
                ..Claims::default()
            };
            all.add(Seen {
                interface: Some(interface.into()),
                ..seen(method, 1, claims)
            });
        }
        let devices = all.devices();
        assert_eq!(devices.len(), 1);
        assert_eq!(devices[0].interfaces, ["eth0", "eth1"]);
        assert_eq!(devices[0].methods, [Method::Mhed, Method::Ssdp].into());
        assert!(devices[0].flags.is_empty());
    }

    #[test]
    fn a_greeting_completes_what_answered_from_there_and_counts_most() {
        let mut all = Sightings::default();
        let told = Claims {
            model: "TD-3316".into(),
            software_version: "V1".into(),
            ..Claims::default()
        };
        assert_eq!(all.add(seen(Method::Sweep, 1, told)), Added::New(0));
        let greeting = Claims {
            mac: mac(1),
            software_version: "1.4.10.0".into(),
            ..Claims::default()
        };
        let seen_there = Seen {
            port: Some(6036),
            ..seen(Method::Tcp, 1, greeting)
        };
        assert_eq!(all.add(seen_there.clone()), Added::More(0));
        assert_eq!(all.add(seen_there), Added::Nothing);
        let device = all.device(0).unwrap();
        assert_eq!(
            (device.claims.mac, device.claims.model.as_str()),
            (mac(1), "TD-3316")
        );
        assert_eq!(device.claims.software_version, "1.4.10.0");
        assert_eq!(
            (device.greeted.as_slice(), device.claims.data_port),
            (&[6036][..], 6036)
        );
    }

    #[test]
    fn an_answer_without_a_mac_joins_the_device_that_its_greeting_names() {
        let mut all = Sightings::default();
        all.add(seen(
            Method::Mhed,
            1,
            Claims {
                mac: mac(1),
                ..Claims::default()
            },
        ));
        let told = Claims {
            model: "TD-3316".into(),
            ..Claims::default()
        };
        all.add(seen(Method::Sweep, 2, told));
        assert_eq!(all.len(), 2);
        all.add(seen(
            Method::Tcp,
            2,
            Claims {
                mac: mac(1),
                ..Claims::default()
            },
        ));
        let devices = all.devices();
        assert_eq!(devices.len(), 1);
        assert_eq!(devices[0].addresses, [ip(1), ip(2)]);
        assert_eq!(devices[0].claims.model, "TD-3316");
    }

    #[test]
    fn announced_and_source_address_are_kept_apart() {
        let mut all = Sightings::default();
        let claims = Claims {
            mac: mac(1),
            address: Some(ip(50)),
            ..Claims::default()
        };
        all.add(seen(Method::Ssdp, 9, claims));
        let device = all.device(0).unwrap();
        assert_eq!((device.address, device.source), (ip(50), ip(9)));
        assert_eq!(device.flags, [Flag::AddressMismatch].into());
        assert_eq!(device.addresses, [ip(9), ip(50)]);
    }

    #[test]
    fn two_devices_that_claim_one_address_are_both_kept() {
        let mut all = Sightings::default();
        for last in [1, 2] {
            let claims = Claims {
                mac: mac(last),
                name: format!("d{last}"),
                ..Claims::default()
            };
            all.add(seen(Method::Mhed, 1, claims));
        }
        let devices = all.devices();
        assert_eq!(devices.len(), 2);
        assert!(
            devices
                .iter()
                .all(|device| device.flags == [Flag::AddressClash].into())
        );
    }

    #[test]
    fn one_sender_speaks_for_a_few_devices_only() {
        let mut all = Sightings::default();
        let mut dropped = 0;
        for number in 0_u16..10_000 {
            let [high, low] = number.to_be_bytes();
            let claims = Claims {
                mac: Some(MacAddr::from([0x58, 0x5B, 0x69, 0, high, low])),
                address: Some(Ipv4Addr::new(10, 9, high, low)),
                ..Claims::default()
            };
            dropped += usize::from(all.add(seen(Method::Mhed, 66, claims)) == Added::Dropped);
        }
        assert_eq!((all.len(), dropped), (16, 10_000 - 16));
        let honest = Claims {
            mac: Some(MacAddr::from([0x58, 0x5B, 0x69, 9, 9, 9])),
            ..Claims::default()
        };
        assert_eq!(all.add(seen(Method::Mhed, 1, honest)), Added::New(16));
    }

    proptest! {
        #[test]
        fn whatever_comes_stays_within_bounds(
            answers in proptest::collection::vec(
                (any::<u8>(), any::<u8>(), any::<Option<u8>>(), 0_usize..7), 0..300)
        ) {
            let mut all = Sightings::default();
            for (source, announced, last, method) in answers {
                let claims = Claims {
                    mac: last.and_then(mac),
                    address: (announced > 100).then(|| ip(announced)),
                    ..Claims::default()
                };
                let before = all.len();
                let added = all.add(seen(Method::ALL[method], source, claims));
                if all.len() > before {
                    prop_assert!(matches!(added, Added::New(_)));
                }
            }
            let devices = all.devices();
            prop_assert_eq!(devices.len(), all.len());
            let macs: BTreeSet<_> = devices.iter().filter_map(|device| device.claims.mac).collect();
            prop_assert_eq!(macs.len(), devices.iter().filter(|d| d.claims.mac.is_some()).count());
            prop_assert!(devices.iter().all(|device| device.addresses.len() <= PLACES_MAX));
        }
    }
}
