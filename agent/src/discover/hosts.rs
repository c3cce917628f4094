//! Which addresses are in a sweep: ranges, never a list.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// The hosts of some networks without those excluded, numbered from 0 in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Ascending and apart from each other.
    ranges: Vec<Range>,
    total: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u32,
    last: u32,
    /// The number of hosts before this range.
    before: u64,
}

/// The hosts of `networks` that are in none of `excludes`. A network's own address and its
/// broadcast address are no hosts, except in a /31 and a /32. Overlapping networks count once.
#[must_use]
pub fn targets(networks: &[Ipv4Net], excludes: &[Ipv4Net]) -> Hosts {
    let mut spans: Vec<(u32, u32)> = networks.iter().map(host_span).collect();
    let mut holes: Vec<(u32, u32)> = excludes
        .iter()
        .map(|net| (u32::from(net.network()), u32::from(net.broadcast())))
        .collect();
    spans.sort_unstable();
    holes.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::new();
    for (first, last) in spans {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            Some(_) | None => merged.push((first, last)),
        }
    }
    let mut hosts = Hosts::default();
    for (first, last) in merged {
        hosts.push_without(first, last, &holes);
    }
    hosts
}

fn host_span(net: &Ipv4Net) -> (u32, u32) {
    let (network, broadcast) = (u32::from(net.network()), u32::from(net.broadcast()));
    if net.prefix_len() >= 31 {
        (network, broadcast)
    } else {
        (network.saturating_add(1), broadcast.saturating_sub(1))
    }
}

impl Hosts {
    /// How many hosts there are.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.total
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The host of a number.
    #[must_use]
    pub fn address(&self, index: u64) -> Option<Ipv4Addr> {
        let after = self.ranges.partition_point(|range| range.before <= index);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        let offset = u32::try_from(index.checked_sub(range.before)?).ok()?;
        let address = range.first.checked_add(offset)?;
        (address <= range.last).then(|| Ipv4Addr::from(address))
    }

    /// The number of a host.
    #[must_use]
    pub fn index(&self, address: Ipv4Addr) -> Option<u64> {
        let address = u32::from(address);
        let after = self.ranges.partition_point(|range| range.first <= address);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (address <= range.last)
            .then(|| range.before + u64::from(address.saturating_sub(range.first)))
    }

    /// How many hosts are in a network.
    #[must_use]
    pub fn overlap(&self, net: &Ipv4Net) -> u64 {
        let (from, to) = (u32::from(net.network()), u32::from(net.broadcast()));
        self.ranges
            .iter()
            .map(|range| (range.first.max(from), range.last.min(to)))
            .filter(|(first, last)| first <= last)
            .map(|(first, last)| u64::from(last.saturating_sub(first)) + 1)
            .sum()
    }

    fn push_without(&mut self, first: u32, last: u32, holes: &[(u32, u32)]) {
        let mut next = Some(first);
        for (hole_first, hole_last) in holes
            .iter()
            .filter(|hole| hole.1 >= first && hole.0 <= last)
        {
            let Some(start) = next else { return };
            if let Some(end) = hole_first.checked_sub(1)
                && start <= end
            {
                self.push(start, end);
            }
            next = hole_last.checked_add(1).map(|after| after.max(start));
        }
        if let Some(start) = next
            && start <= last
        {
            self.push(start, last);
        }
    }

    fn push(&mut self, first: u32, last: u32) {
        self.ranges.push(Range {
            first,
            last,
            before: self.total,
        });
        self.total += u64::from(last.saturating_sub(first)) + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nets(texts: &[&str]) -> Vec<Ipv4Net> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn all(networks: &[&str], excludes: &[&str]) -> Vec<String> {
        let hosts = targets(&nets(networks), &nets(excludes));
        (0..hosts.len())
            .map(|index| hosts.address(index).unwrap().to_string())
            .collect()
    }

    #[test]
    fn overlaps_count_once_and_excludes_leave_holes() {
        assert_eq!(
            all(&["10.0.0.0/30", "10.0.0.0/31"], &[]),
            ["10.0.0.0", "10.0.0.1", "10.0.0.2"]
        );
        assert_eq!(
            all(
                &["10.0.0.0/29"],
                &["10.0.0.2/32", "10.0.0.4/31", "10.0.0.4/32"]
            ),
            ["10.0.0.1", "10.0.0.3", "10.0.0.6"]
        );
        assert!(all(&["10.0.0.0/29"], &["10.0.0.0/8"]).is_empty());
        assert_eq!(all(&["255.255.255.254/31"], &[]).len(), 2);
        assert!(all(&["255.255.255.252/30"], &["255.255.255.0/24"]).is_empty());
    }

    #[test]
    fn large_networks_take_no_room() {
        let hosts = targets(&nets(&["10.0.0.0/8", "10.16.0.0/12"]), &[]);
        assert_eq!(hosts.len(), (1 << 24) - 2);
        assert_eq!(hosts.ranges.len(), 1);
        assert_eq!(hosts.overlap(&"10.0.0.0/24".parse().unwrap()), 255);
        assert_eq!(hosts.overlap(&"11.0.0.0/24".parse().unwrap()), 0);
        assert_eq!(hosts.address(hosts.len()), None);
    }

    proptest! {
        #[test]
        fn numbers_and_addresses_fit_together(
            networks in proptest::collection::vec((any::<u32>(), 20_u8..=32), 1..6),
            excludes in proptest::collection::vec((any::<u32>(), 20_u8..=32), 0..6),
        ) {
            let make = |list: &[(u32, u8)]| -> Vec<Ipv4Net> {
                // Close together, so that they meet.
                list.iter().map(|(bits, length)| {
                    let address = Ipv4Addr::from(0x0A00_0000 | (bits & 0x3FFF));
                    Ipv4Net::new(address, *length).unwrap()
                }).collect()
            };
            let (networks, excludes) = (make(&networks), make(&excludes));
            let hosts = targets(&networks, &excludes);
            let mut previous = None;
            for index in 0..hosts.len() {
                let address = hosts.address(index).unwrap();
                prop_assert_eq!(hosts.index(address), Some(index));
                prop_assert!(networks.iter().any(|net| net.contains(&address)));
                prop_assert!(!excludes.iter().any(|net| net.contains(&address)));
                prop_assert!(previous < Some(address));
                previous = Some(address);
            }
            let expected: std::collections::BTreeSet<Ipv4Addr> = networks
                .iter()
                .flat_map(Ipv4Net::hosts)
                .filter(|address| !excludes.iter().any(|net| net.contains(address)))
                .collect();
            prop_assert_eq!(hosts.len(), u64::try_from(expected.len()).unwrap());
        }
    }
}
