//! How a generated fleet looks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use super::broken::Broken;
use super::names::{FIRMWARE, MAC_PREFIXES, MODELS, PLACES, SITES};
use crate::device::{DeviceSpec, Firmware, Kind, Mac, Random};
use crate::fleet::Fleet;
use crate::web::WebSpec;

/// Hosts used in each /24.
const HOSTS: usize = 254;
/// Most devices of one site: its addresses share the first two numbers.
const SITE_LIMIT: usize = HOSTS * 256;
/// Most channels, so that camera addresses differ in their last number.
const CHANNEL_LIMIT: u32 = 240;
/// Heartbeat interval of recorders in the field, in milliseconds.
const HEARTBEAT_MS: u64 = 5_000;
/// One camera in so many is offline.
const OFFLINE_SHARE: u64 = 16;

/// How a generated fleet looks. The same values give the same fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetSpec {
    /// Seed of everything that is left open.
    pub seed: u64,
    /// Recorders in all.
    pub devices: usize,
    /// Sites; recorders are dealt out in turn.
    pub sites: usize,
    /// Loopback address of the first site, `127.b.0.0`; site n has `127.(b+n).0.0`.
    pub base: Ipv4Addr,
    /// Port of every recorder; 0 takes free ones at the start.
    pub port: u16,
    /// Channels of each recorder, at most 240.
    pub channels: u32,
    /// Recorders of the head variant.
    pub head: usize,
    /// Broken recorders by kind; they are standard otherwise.
    pub broken: BTreeMap<Broken, usize>,
    /// Every recorder has web interfaces, each on a free port.
    pub web: bool,
}

/// Why a fleet cannot be generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// The addresses do not fit into 127.0.0.0/8.
    #[error("{sites} sites with {devices} recorders do not fit into 127.0.0.0/8 from {base}")]
    Addresses {
        /// Sites wanted.
        sites: usize,
        /// Recorders wanted.
        devices: usize,
        /// Address of the first site.
        base: Ipv4Addr,
    },
    /// More head and broken recorders than recorders.
    #[error("{special} head and broken recorders are more than {devices} recorders")]
    Mix {
        /// Head and broken recorders wanted.
        special: usize,
        /// Recorders wanted.
        devices: usize,
    },
    /// More channels than camera addresses.
    #[error("{0} channels are more than 240")]
    Channels(u32),
}

impl FleetSpec {
    /// Describes a healthy fleet of standard recorders with 8 channels at one site.
    pub fn new(seed: u64, devices: usize) -> Self {
        Self {
            seed,
            devices,
            sites: 1,
            base: Ipv4Addr::new(127, 10, 0, 0),
            port: 0,
            channels: 8,
            head: 0,
            broken: BTreeMap::new(),
            web: false,
        }
    }

    /// Generates the fleet.
    ///
    /// # Errors
    ///
    /// Values that do not fit together.
    pub fn generate(&self) -> Result<Fleet, GenerateError> {
        let sites = self.sites.max(1);
        let [net, first, _, _] = self.base.octets();
        let fits = net == 127
            && sites.saturating_add(usize::from(first)) <= 256
            && self.devices.div_ceil(sites) <= SITE_LIMIT;
        if !fits {
            let (sites, devices, base) = (self.sites, self.devices, self.base);
            return Err(GenerateError::Addresses {
                sites,
                devices,
                base,
            });
        }
        if self.channels > CHANNEL_LIMIT {
            return Err(GenerateError::Channels(self.channels));
        }
        let devices = self
            .roles()?
            .into_iter()
            .enumerate()
            .map(|(index, role)| self.device(index, sites, role))
            .collect();
        Ok(Fleet { devices })
    }

    fn roles(&self) -> Result<Vec<Role>, GenerateError> {
        let broken: usize = self.broken.values().sum();
        let special = broken.saturating_add(self.head);
        if special > self.devices {
            return Err(GenerateError::Mix {
                special,
                devices: self.devices,
            });
        }
        let mut roles = vec![Role::Head; self.head];
        for (broken, count) in &self.broken {
            roles.extend(vec![Role::Broken(*broken); *count]);
        }
        roles.resize(self.devices, Role::Standard);
        Random::new(self.seed, u64::MAX).shuffle(&mut roles);
        Ok(roles)
    }

    fn device(&self, index: usize, sites: usize, role: Role) -> DeviceSpec {
        let mut random = Random::new(self.seed, u64::try_from(index).unwrap_or(0));
        let site = index.checked_rem(sites).unwrap_or(0);
        let within = index.checked_div(sites).unwrap_or(0);
        let [net, first, _, _] = self.base.octets();
        let ip = Ipv4Addr::new(
            net,
            first.wrapping_add(low_byte(site)),
            low_byte(within / HOSTS),
            low_byte(within % HOSTS).wrapping_add(1),
        );
        let mut spec = DeviceSpec::new(SocketAddr::new(IpAddr::V4(ip), self.port));
        spec.web = self.web.then(WebSpec::default);
        spec.site = SITES
            .get(site)
            .map_or_else(|| format!("Site {}", site + 1), |name| (*name).to_owned());
        spec.hostname = format!("nvr-{:02}-{:03}", site + 1, within + 1);
        spec.name = format!("NVR-{:02}-{:03}", site + 1, within + 1);
        spec.heartbeat_ms = HEARTBEAT_MS;
        spec.mac = self.mac(index, &mut random);
        if let Some((version, built)) = random.pick(&FIRMWARE) {
            spec.firmware = Firmware(*version);
            spec.build_date = *built;
        }
        for channel in 1..=self.channels {
            let online = random.below(OFFLINE_SHARE) != 0;
            spec.cameras
                .push(camera(index, channel, online, &mut random));
            if role == Role::Head {
                spec.channels.push((channel, online));
            }
        }
        match role {
            Role::Standard => {}
            Role::Head => {
                spec.kind = Kind::Head;
                // The names are not in the login reply, and the session has no other way to them.
                spec.pass_through = false;
                let [.., low, middle, high] = spec.mac.0;
                let batch = random.below(0x10000);
                spec.serial = format!("N{batch:04X}{low:02X}{middle:02X}{high:02X}");
            }
            Role::Broken(broken) => broken.apply(&mut spec),
        }
        spec
    }

    fn mac(&self, index: usize, random: &mut Random) -> Mac {
        let prefix = random.pick(&MAC_PREFIXES).copied().unwrap_or_default();
        let start = Random::new(self.seed, u64::MAX - 1).next();
        let number = start.wrapping_add(u64::try_from(index).unwrap_or(0));
        let [low, middle, high, ..] = number.to_le_bytes();
        let [a, b, c] = prefix;
        Mac([a, b, c, high, middle, low])
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Standard,
    Head,
    Broken(Broken),
}

fn camera(device: usize, channel: u32, online: bool, random: &mut Random) -> Value {
    let place = random.pick(&PLACES).copied().unwrap_or_default();
    let (model, protocol) = random.pick(&MODELS).copied().unwrap_or_default();
    let port = if protocol == "TVT" { 9008 } else { 80 };
    let address = format!(
        "10.{}.{}.{}",
        1 + device / 250 % 250,
        1 + device % 250,
        channel.wrapping_add(10)
    );
    json!({
        "channel": channel,
        "szChlname": format!("{place} {channel}"),
        "szServer": address,
        "nPort": port,
        "status": u8::from(online),
        "manufacturerName": protocol,
        "productModel": model,
    })
}

fn low_byte(number: usize) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn spec() -> FleetSpec {
        FleetSpec {
            sites: 3,
            head: 20,
            broken: BTreeMap::from([(Broken::Absent, 4), (Broken::WrongPassword, 3)]),
            port: 6036,
            ..FleetSpec::new(7, 900)
        }
    }

    #[test]
    fn the_same_values_give_the_same_fleet() {
        assert_eq!(spec().generate().unwrap(), spec().generate().unwrap());
        let other = FleetSpec { seed: 8, ..spec() };
        assert_ne!(spec().generate().unwrap(), other.generate().unwrap());
    }

    #[test]
    fn the_mix_is_exact_and_nothing_is_there_twice() {
        let fleet = spec().generate().unwrap();
        let kinds = |kind| {
            fleet
                .devices
                .iter()
                .filter(|device| device.kind == kind)
                .count()
        };
        assert_eq!(
            (
                kinds(Kind::Head),
                kinds(Kind::Absent),
                kinds(Kind::Standard)
            ),
            (20, 4, 876)
        );
        let macs: BTreeSet<String> = fleet
            .devices
            .iter()
            .map(|device| device.mac.to_string())
            .collect();
        let addresses: BTreeSet<IpAddr> = fleet.devices.iter().map(|device| device.ip).collect();
        assert_eq!((macs.len(), addresses.len()), (900, 900));
        assert!(
            macs.iter()
                .all(|mac| mac.starts_with("58:5B:69") || mac.starts_with("00:18:AE"))
        );
        let text = serde_json::to_string(&fleet).unwrap();
        assert_eq!(Fleet::from_json(&text).unwrap(), fleet);
    }

    #[test]
    fn impossible_fleets_are_refused() {
        let refused = |spec: FleetSpec| spec.generate().unwrap_err();
        assert!(matches!(
            refused(FleetSpec {
                base: Ipv4Addr::new(10, 0, 0, 0),
                ..spec()
            }),
            GenerateError::Addresses { .. }
        ));
        assert!(matches!(
            refused(FleetSpec {
                sites: 250,
                ..spec()
            }),
            GenerateError::Addresses { .. }
        ));
        assert!(matches!(
            refused(FleetSpec {
                head: 894,
                ..spec()
            }),
            GenerateError::Mix { .. }
        ));
        assert_eq!(
            refused(FleetSpec {
                channels: 241,
                ..spec()
            }),
            GenerateError::Channels(241)
        );
    }
}
