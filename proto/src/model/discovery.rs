//! What a discovery is told to do, and what it finds.
//!
//! Everything found is a claim by whoever answered: nothing here makes a device trusted.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::id::JobId;
use super::mac::MacAddr;
use super::report::{DeviceFacts, DeviceFamily, Failure};
use super::time::UtcMillis;

/// TCP ports on which devices greet: recorders on 6036, cameras on 9008.
pub const GREETING_PORTS: [u16; 2] = [6036, 9008];

/// The most networks to sweep, or to leave out, of one discovery.
pub const NETWORKS_MAX: usize = 1_024;
/// The most devices that one site reports of one discovery.
pub const FOUND_MAX: u32 = 4_096;

/// A word that is none of those of its list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {text:?}; it can be {known}")]
pub struct UnknownWord {
    /// What it was to be.
    pub what: &'static str,
    /// The words of the list.
    pub known: String,
    /// The word, at most 40 characters of it.
    pub text: String,
}

macro_rules! names {
    ($(#[doc = $doc:literal])+ $type:ident, $what:literal;
     $( $(#[doc = $item:literal])+ $variant:ident = $name:literal; )+) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $( $(#[doc = $item])+ $variant, )+ }

        impl $type {
            /// Every value.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The name used on the command line, in files and in messages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|value| value.as_str() == text)
                    .ok_or_else(|| UnknownWord {
                        what: $what,
                        known: Self::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(", "),
                        text: text.chars().take(40).collect(),
                    })
            }
        }
    };
}

names! {
    /// A way to look for devices, and how a device was seen.
    Method, "discovery method";
    /// The neighbour table of this computer; sends nothing.
    Neighbours = "neighbours";
    /// Announcements that devices send by themselves; sends nothing.
    Announcements = "announcements";
    /// The vendor's own search, UDP 23456 multicast.
    Mhed = "mhed";
    /// SSDP search by multicast.
    Ssdp = "ssdp";
    /// ONVIF WS-Discovery by multicast.
    Onvif = "onvif";
    /// The SSDP search sent to each address.
    Sweep = "sweep";
    /// The greeting on a TCP port.
    Tcp = "tcp";
    /// The search of the vendor's library, where that is installed; only where somebody asks for it.
    Sdk = "sdk";
}

names! {
    /// What kind of device it is; the names are pytvt's.
    DeviceType, "device type";
    /// A digital video recorder for analogue cameras.
    Dvr = "DVR";
    /// A network video recorder.
    Nvr = "NVR";
    /// An IP camera.
    Ipc = "IPC";
    /// A recorder for vehicles.
    Mdvr = "MDVR";
    /// A storage server.
    Storage = "Storage";
    /// A decoder for monitors.
    Decoder = "Decoder";
    /// A keyboard with joystick.
    NetworkKeyboard = "Network Keyboard";
    /// Nothing said what it is.
    Unknown = "Unknown";
}

names! {
    /// What a device's type was concluded from.
    TypeSource, "type source";
    /// The product series it names.
    Series = "series";
    /// The model it names.
    Model = "model";
    /// The type code or channel count of the vendor's search; a hint.
    Mhed = "mhed";
    /// The type word of the greeting; a hint.
    Init = "init";
    /// The port it greets on; a weak hint.
    Port = "port";
    /// Nothing.
    Nothing = "nothing";
}

names! {
    /// Something about a device that an operator should look at.
    Flag, "flag";
    /// The address it announces is not the one it answered from.
    AddressMismatch = "address_mismatch";
    /// Another device claims the same address.
    AddressClash = "address_clash";
    /// Its greeting and its announcement name different Ethernet addresses.
    MacConflict = "mac_conflict";
    /// It has a link-local address: it was never configured.
    LinkLocal = "link_local";
}

names! {
    /// How a device of the inventory stands to what discoveries saw.
    Standing, "standing";
    /// It came into the inventory by the site's last discovery.
    New = "new";
    /// The last complete discovery of its network did not see it.
    Gone = "gone";
    /// The site's last discovery saw it at another address than the inventory had.
    Moved = "moved";
    /// Nobody has vouched for it: it merely answered a discovery.
    Unverified = "unverified";
}

names! {
    /// How fast a discovery may be.
    Profile, "profile";
    /// 100 probes per second: for flat networks larger than a /23 and weak gateways.
    Polite = "polite";
    /// 200 probes per second: the default.
    Standard = "standard";
    /// 2,000 probes per second: for routed networks whose owner has agreed.
    Routed = "routed";
    /// 10,000 probes per second: for laboratories.
    Lab = "lab";
}

impl Method {
    /// The methods that need nothing of the vendor's.
    pub const OWN: [Self; 7] = [
        Self::Neighbours,
        Self::Announcements,
        Self::Mhed,
        Self::Ssdp,
        Self::Onvif,
        Self::Sweep,
        Self::Tcp,
    ];
}

impl Profile {
    /// Probes per second, all kinds together.
    #[must_use]
    pub const fn rate(self) -> u32 {
        match self {
            Self::Polite => 100,
            Self::Standard => 200,
            Self::Routed => 2_000,
            Self::Lab => 10_000,
        }
    }
}

/// What a discovery is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoverOptions {
    /// The networks to sweep; empty is the ones this computer is in, where they are small.
    pub subnets: Vec<Ipv4Net>,
    /// Addresses that nothing is sent to.
    pub excludes: Vec<Ipv4Net>,
    /// The ways to use.
    pub methods: BTreeSet<Method>,
    /// How fast it may be.
    pub profile: Profile,
    /// Probes per second instead of the profile's.
    pub rate: Option<u32>,
    /// TCP ports to expect a greeting on, in this order.
    pub tcp_ports: Vec<u16>,
    /// TCP connections open at the same time.
    pub parallel: u16,
    /// Names of the interfaces to use; empty is every suitable one.
    pub interfaces: Vec<String>,
    /// The local address to send from.
    pub bind: Option<Ipv4Addr>,
    /// How long to listen after the last probe.
    pub wait: Duration,
    /// How often a silent address is asked, 1 to 3.
    pub rounds: u8,
    /// Addresses where a device was last time: they are asked once more.
    pub known: Vec<Ipv4Addr>,
    /// Whether more addresses than [`ADDRESSES_MAX`] are meant.
    pub huge: bool,
    /// Where an interrupted sweep goes on.
    pub resume: Option<SweepCursor>,
}

/// Addresses that are swept without asking back: a /12.
pub const ADDRESSES_MAX: u64 = 1 << 20;

impl Default for DiscoverOptions {
    /// Every method of our own, the standard pace, two rounds, and time for a device that uses all of `MX: 3`.
    fn default() -> Self {
        Self {
            subnets: Vec::new(),
            excludes: Vec::new(),
            methods: Method::OWN.into(),
            profile: Profile::Standard,
            rate: None,
            tcp_ports: GREETING_PORTS.to_vec(),
            parallel: 64,
            interfaces: Vec::new(),
            bind: None,
            wait: Duration::from_millis(3_200),
            rounds: 2,
            known: Vec::new(),
            huge: false,
            resume: None,
        }
    }
}

impl DiscoverOptions {
    /// Probes per second that were asked for.
    #[must_use]
    pub fn asked_rate(&self) -> u32 {
        self.rate.unwrap_or(self.profile.rate()).max(1)
    }
}

/// Where a sweep was interrupted: its order is fixed by the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepCursor {
    /// The seed of the order.
    pub seed: u64,
    /// How many addresses of the first round were done.
    pub position: u64,
}

/// What one answer says of the device behind it. Empty text, 0 and `None` mean that it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The Ethernet address; never all zero, broadcast or multicast.
    pub mac: Option<MacAddr>,
    /// The address it says it has.
    pub address: Option<Ipv4Addr>,
    /// The configured name.
    pub name: String,
    /// The model, as `TD-3316B2`.
    pub model: String,
    /// The product series.
    pub series: String,
    /// The serial number.
    pub serial: String,
    /// The brand it is sold under.
    pub vendor: String,
    /// The firmware version.
    pub software_version: String,
    /// The kernel version.
    pub kernel_version: String,
    /// The build date, as `2023-05-10` or as the device wrote it.
    pub build_date: String,
    /// The port of the binary protocol.
    pub data_port: u16,
    /// The port of the web interface.
    pub http_port: u16,
    /// The port of RTSP.
    pub rtsp_port: u16,
    /// The network mask.
    pub subnet_mask: Option<Ipv4Addr>,
    /// The gateway.
    pub gateway: Option<Ipv4Addr>,
    /// The first name server.
    pub dns1: Option<Ipv4Addr>,
    /// The second name server.
    pub dns2: Option<Ipv4Addr>,
    /// Whether it gets its address by DHCP.
    pub dhcp: Option<bool>,
    /// How many channels it has, 1 to 512.
    pub channels: Option<u32>,
    /// The type code of the vendor's search or the type word of a greeting.
    ///
    /// UNCERTAIN: 0 DVR, 1 DVS, 2 IPC, 3 NVR, 4 SuperDVR, 5 decoder, 6 N9000 DVR by a vendor list.
    pub type_code: Option<u32>,
    /// The family, from a greeting.
    pub family: Option<DeviceFamily>,
    /// The protocol version of a greeting.
    pub protocol_version: Option<u32>,
}

/// One device, merged from everything that was seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveredDevice {
    /// Where to reach it: the address it announces, else the one it answered from.
    pub address: Ipv4Addr,
    /// Where its first answer came from.
    pub source: Ipv4Addr,
    /// Every address it answered from or announced, sorted.
    pub addresses: Vec<Ipv4Addr>,
    /// How it was seen.
    pub methods: BTreeSet<Method>,
    /// The interfaces it was seen on, sorted.
    pub interfaces: Vec<String>,
    /// TCP ports on which it greeted, sorted.
    pub greeted: Vec<u16>,
    /// What kind of device it is.
    pub device_type: DeviceType,
    /// What the kind was concluded from.
    pub type_source: TypeSource,
    /// What an operator should look at.
    pub flags: BTreeSet<Flag>,
    /// What it says of itself: the greeting counts most, then the vendor's search, SSDP and ONVIF.
    pub claims: Claims,
}

impl DiscoveredDevice {
    /// What it says of itself, as far as a report holds it.
    #[must_use]
    pub fn facts(&self) -> DeviceFacts {
        let claims = &self.claims;
        DeviceFacts {
            name: claims.name.clone(),
            model: claims.model.clone(),
            serial: claims.serial.clone(),
            firmware: claims.software_version.clone(),
            mac: claims.mac,
            total_channels: claims.channels,
            family: claims.family,
            protocol_version: claims.protocol_version,
            ..DeviceFacts::default()
        }
    }

    /// The port to scan it on: one it greeted on, else the announced one.
    #[must_use]
    pub fn scan_port(&self) -> Option<u16> {
        let announced = Some(self.claims.data_port).filter(|port| *port != 0);
        match announced {
            Some(port) if self.greeted.contains(&port) => announced,
            _ => self.greeted.first().copied().or(announced),
        }
    }
}

/// What a discovery did to the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Politeness {
    /// Probes per second that were allowed.
    pub rate: u32,
    /// The most probes per second in any 100 ms.
    pub peak_rate: u32,
    /// Multicast datagrams sent.
    pub multicast: u64,
    /// SSDP searches sent to single addresses.
    pub unicast: u64,
    /// Of those, second and third ones.
    pub retries: u64,
    /// ICMP echo requests sent.
    pub echoes: u64,
    /// TCP connections begun.
    pub connects: u64,
    /// Times the kernel had no room: a full neighbour table or send queue.
    pub overruns: u64,
    /// Datagrams that could not be sent at all.
    pub send_errors: u64,
    /// Answers that were not used: more than one sender may give, or asked of nobody.
    pub dropped: u64,
    /// Addresses in the sweep.
    pub addresses: u64,
    /// How long it took.
    pub duration: Duration,
    /// How the pace was changed on the way; at most 64 are kept.
    pub changes: Vec<RateChange>,
}

/// One change of the pace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateChange {
    /// When, from the start.
    pub after: Duration,
    /// Probes per second from then on.
    pub rate: u32,
    /// Why, in a few words.
    pub reason: String,
}

/// The result of a discovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoverReport {
    /// The devices, by type name, then by address.
    pub devices: Vec<DiscoveredDevice>,
    /// What it took to find them.
    pub politeness: Politeness,
    /// What the operator should know, a sentence each.
    pub notes: Vec<String>,
    /// Where to go on; `None` if nothing was left.
    pub cursor: Option<SweepCursor>,
    /// Networks of which every address was asked, by search and greeting, to the last round.
    pub covered: Vec<Ipv4Net>,
}

/// How the discovery of one site went. What it found is in the reports of the devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Searched {
    /// The job it was made for.
    pub job: JobId,
    /// When it ended.
    pub at: UtcMillis,
    /// What it took.
    pub politeness: Politeness,
    /// What the operator should know, a sentence each.
    pub notes: Vec<String>,
    /// Networks of which every address was asked, to the last round. A device in them that did not
    /// answer is gone.
    pub covered: Vec<Ipv4Net>,
    /// What was left out of them.
    pub excluded: Vec<Ipv4Net>,
    /// How many devices were found.
    pub found: u32,
    /// Why it was not begun; `None` where it was.
    pub failure: Option<Failure>,
}

/// What discoveries made of a device of the inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// How it stands.
    pub standings: BTreeSet<Standing>,
    /// When a discovery last saw it; `None` is never.
    pub last_seen: Option<UtcMillis>,
    /// How.
    pub seen: Option<Box<DiscoveredDevice>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for method in Method::ALL {
            assert_eq!(method.as_str().parse(), Ok(*method));
        }
        for profile in Profile::ALL {
            assert_eq!(profile.as_str().parse(), Ok(*profile));
        }
        assert!("telepathy".parse::<Method>().is_err());
    }

    #[test]
    fn the_port_that_answered_counts_more_than_the_announced_one() {
        let mut device = DiscoveredDevice {
            address: Ipv4Addr::new(10, 0, 0, 1),
            source: Ipv4Addr::new(10, 0, 0, 1),
            addresses: Vec::new(),
            methods: BTreeSet::new(),
            interfaces: Vec::new(),
            greeted: Vec::new(),
            device_type: DeviceType::Unknown,
            type_source: TypeSource::Nothing,
            flags: BTreeSet::new(),
            claims: Claims::default(),
        };
        assert_eq!(device.scan_port(), None);
        device.claims.data_port = 7000;
        assert_eq!(device.scan_port(), Some(7000));
        device.greeted = vec![6036, 9008];
        assert_eq!(device.scan_port(), Some(6036));
        device.claims.data_port = 9008;
        assert_eq!(device.scan_port(), Some(9008));
    }
}
