//! The devices that a job's discovery has found: which number each has, and when it can be told of.
//!
//! Pure. A device is known piece by piece: first its address, then its Ethernet address, then what
//! it greets with. It is told of once nothing new has been learnt for a while, or at the end. What a
//! restart finds again keeps its number and is not told of twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tvtfleet_proto::model::address::{Endpoint, Host};
use tvtfleet_proto::model::discovery::{DiscoveredDevice, FOUND_MAX};
use tvtfleet_proto::model::id::TargetNo;
use tvtfleet_proto::model::inventory::DEFAULT_PORT;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::want::Target;

/// How long nothing new must be learnt of a device: longer than a greeting waits for its turn.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// Devices of a discovery under way.
#[derive(Debug)]
pub(crate) struct FoundDevices {
    next: TargetNo,
    told: Vec<DiscoveredDevice>,
    waiting: Vec<(Instant, DiscoveredDevice)>,
    /// Devices left out because there were too many.
    dropped: u64,
}

impl FoundDevices {
    /// Begins after the targets of the job, with what was told of in an earlier life.
    pub(crate) fn new(targets: &[Target], told: &BTreeMap<TargetNo, DiscoveredDevice>) -> Self {
        let last = targets
            .iter()
            .map(|target| target.number)
            .chain(told.keys().copied())
            .max();
        Self {
            next: TargetNo(last.map_or(0, |last| last.0.saturating_add(1))),
            told: told.values().cloned().collect(),
            waiting: Vec::new(),
            dropped: 0,
        }
    }

    /// Takes what is known of a device now.
    pub(crate) fn see(&mut self, device: DiscoveredDevice, now: Instant) {
        if self.told.iter().any(|told| is_same(told, &device)) {
            return;
        }
        let full = self.len() >= FOUND_MAX;
        match self
            .waiting
            .iter_mut()
            .find(|(_, waiting)| is_same(waiting, &device))
        {
            Some(waiting) => *waiting = (now, device),
            None if full => self.dropped = self.dropped.saturating_add(1),
            None => self.waiting.push((now, device)),
        }
    }

    /// The devices of which enough is known by now, with their numbers.
    pub(crate) fn settled(&mut self, now: Instant) -> Vec<(TargetNo, DiscoveredDevice)> {
        let (settled, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(seen, _)| now.saturating_duration_since(*seen) >= SETTLED_AFTER);
        self.waiting = waiting;
        self.tell(settled)
    }

    /// The devices not told of yet, as the discovery knows all of them at its end.
    pub(crate) fn finish(
        &mut self,
        devices: Vec<DiscoveredDevice>,
        now: Instant,
    ) -> Vec<(TargetNo, DiscoveredDevice)> {
        // What was learnt last counts, also where two became one.
        self.waiting.clear();
        for device in devices {
            self.see(device, now);
        }
        let waiting = std::mem::take(&mut self.waiting);
        self.tell(waiting)
    }

    /// How many devices there are.
    pub(crate) fn len(&self) -> u32 {
        let all = self.told.len().saturating_add(self.waiting.len());
        u32::try_from(all).unwrap_or(u32::MAX)
    }

    /// How many were left out because there were too many.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn tell(
        &mut self,
        devices: Vec<(Instant, DiscoveredDevice)>,
    ) -> Vec<(TargetNo, DiscoveredDevice)> {
        let mut numbered = Vec::with_capacity(devices.len());
        for (_, device) in devices {
            numbered.push((self.next, device.clone()));
            self.next = TargetNo(self.next.0.saturating_add(1));
            self.told.push(device);
        }
        numbered
    }
}

/// Puts the devices that were found behind the targets of a job. Those that are targets already are
/// only noted: the result tells which target each one is.
pub(crate) fn join_targets(
    targets: &mut Vec<Target>,
    found: &BTreeMap<TargetNo, DiscoveredDevice>,
) -> BTreeMap<TargetNo, TargetNo> {
    let mut same = BTreeMap::new();
    for (number, device) in found {
        if let Some(target) = targets.iter().find(|target| is_target(target, device)) {
            same.insert(target.number, *number);
            continue;
        }
        let mac = device.claims.mac;
        targets.push(Target {
            number: *number,
            endpoint: Endpoint {
                host: Host::Ip(device.address.into()),
                port: device.scan_port().unwrap_or(DEFAULT_PORT),
            },
            known_mac: mac,
            // Whoever merely answers gets no credential, unless its maker is known.
            trusted: mac.is_some_and(MacAddr::is_tvt),
            credential: None,
            settings: Default::default(),
        });
        same.insert(*number, *number);
    }
    same
}

fn is_target(target: &Target, device: &DiscoveredDevice) -> bool {
    let there = matches!(target.endpoint.host, Host::Ip(std::net::IpAddr::V4(address))
        if address == device.address || device.addresses.contains(&address));
    match (target.known_mac, device.claims.mac) {
        (Some(known), Some(claimed)) => known == claimed,
        (_, _) => there,
    }
}

fn is_same(one: &DiscoveredDevice, other: &DiscoveredDevice) -> bool {
    match (one.claims.mac, other.claims.mac) {
        (Some(one), Some(other)) => one == other,
        (_, _) => {
            one.address == other.address
                || one
                    .addresses
                    .iter()
                    .any(|address| other.addresses.contains(address))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tvtfleet_proto::model::discovery::{Claims, DeviceType, Method, TypeSource};

    use super::*;

    fn device(last: u8, mac: Option<u8>) -> DiscoveredDevice {
        let address = Ipv4Addr::new(10, 0, 0, last);
        DiscoveredDevice {
            address,
            source: address,
            addresses: vec![address],
            methods: [Method::Sweep].into(),
            interfaces: Vec::new(),
            greeted: Vec::new(),
            device_type: DeviceType::Unknown,
            type_source: TypeSource::Nothing,
            flags: [].into(),
            claims: Claims {
                mac: mac.map(|last| MacAddr::from([0x58, 0x5B, 0x69, 0, 0, last])),
                data_port: 6036,
                ..Claims::default()
            },
        }
    }

    fn target(number: u32, host: &str) -> Target {
        Target {
            number: TargetNo(number),
            endpoint: format!("{host}:6036").parse().unwrap(),
            known_mac: None,
            trusted: true,
            credential: None,
            settings: Default::default(),
        }
    }

    fn numbers(found: &[(TargetNo, DiscoveredDevice)]) -> Vec<u32> {
        found.iter().map(|(number, _)| number.0).collect()
    }

    #[test]
    fn a_device_is_told_of_once_when_nothing_new_comes() {
        let start = Instant::now();
        let mut found = FoundDevices::new(&[target(4, "10.0.0.9")], &BTreeMap::new());
        found.see(device(1, None), start);
        found.see(device(1, Some(1)), start + Duration::from_secs(2));
        assert!(found.settled(start + SETTLED_AFTER).is_empty());
        let told = found.settled(start + Duration::from_secs(2) + SETTLED_AFTER);
        assert_eq!(numbers(&told), [5]);
        assert_eq!(told[0].1, device(1, Some(1)));
        found.see(device(1, Some(1)), start);
        let rest = found.finish(vec![device(1, Some(1)), device(2, Some(2))], start);
        assert_eq!(numbers(&rest), [6]);
    }

    #[test]
    fn a_restart_goes_on_with_the_numbers() {
        let told = BTreeMap::from([(TargetNo(0), device(1, Some(1)))]);
        let mut found = FoundDevices::new(&[], &told);
        let now = Instant::now();
        let rest = found.finish(vec![device(1, None), device(2, None)], now);
        assert_eq!(numbers(&rest), [1]);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut found = FoundDevices::new(&[], &BTreeMap::new());
        let many = (0..FOUND_MAX + 10).map(|number| {
            let mut device = device(1, None);
            device.address = Ipv4Addr::from(0x0A00_0000 + number);
            device.addresses = vec![device.address];
            device
        });
        let told = found.finish(many.collect(), Instant::now());
        assert_eq!(u32::try_from(told.len()).unwrap(), FOUND_MAX);
        assert_eq!(found.dropped(), 10);
    }

    #[test]
    fn targets_are_not_asked_twice_and_strangers_are_not_trusted() {
        let mut targets = vec![target(0, "10.0.0.1")];
        let mut unknown = device(3, None);
        unknown.claims.mac = Some(MacAddr::from([0x02, 0, 0, 0, 0, 1]));
        let found = BTreeMap::from([
            (TargetNo(1), device(1, Some(1))),
            (TargetNo(2), device(2, Some(2))),
            (TargetNo(3), unknown),
        ]);
        let same = join_targets(&mut targets, &found);
        assert_eq!(same.get(&TargetNo(0)), Some(&TargetNo(1)));
        let trusted: Vec<_> = targets
            .iter()
            .map(|target| (target.number.0, target.trusted))
            .collect();
        assert_eq!(trusted, [(0, true), (2, true), (3, false)]);
    }
}
