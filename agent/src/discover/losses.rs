//! The kernel's own counters of what it could not take: full queues of sockets, and neighbour tables
//! that ran over.

use std::fs;

const SNMP: &str = "/proc/net/snmp";
const NEIGHBOURS: &str = "/proc/net/stat/arp_cache";

/// Reads how much was lost since the last time.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    last: Option<u64>,
}

impl Losses {
    /// Whether anything was lost since the last call; the first one only begins to count. Counters
    /// that cannot be read say nothing.
    pub(crate) fn grew(&mut self) -> bool {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        self.count(udp_losses(&read(SNMP)).saturating_add(table_fulls(&read(NEIGHBOURS))))
    }

    fn count(&mut self, now: u64) -> bool {
        self.last.replace(now).is_some_and(|last| now > last)
    }
}

/// Datagrams that found no room in a queue, either way.
fn udp_losses(text: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp:"));
    let (Some(heads), Some(values)) = (lines.next(), lines.next()) else {
        return 0;
    };
    heads
        .split_whitespace()
        .zip(values.split_whitespace())
        .filter(|(head, _)| ["RcvbufErrors", "SndbufErrors"].contains(head))
        .filter_map(|(_, value)| value.parse::<u64>().ok())
        .fold(0, u64::saturating_add)
}

/// Times that the neighbour table had no room: a hexadecimal number per processor, of which the
/// first column of heads says the place.
fn table_fulls(text: &str) -> u64 {
    let mut lines = text.lines();
    let place = lines.next().and_then(|heads| {
        heads
            .split_whitespace()
            .position(|head| head == "table_fulls")
    });
    let Some(place) = place else {
        return 0;
    };
    lines
        .filter_map(|line| line.split_whitespace().nth(place))
        .filter_map(|value| u64::from_str_radix(value, 16).ok())
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_their_names() {
        let snmp = "Ip: Forwarding DefaultTTL\nIp: 1 64\n\
                    Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\n\
                    Udp: 398 52 0 452 7 3\nUdpLite: RcvbufErrors\nUdpLite: 9\n";
        assert_eq!(udp_losses(snmp), 10);
        let table =
            "entries  allocs table_fulls\n00000002 00000010 0000000a\n00000002 00000011 00000001\n";
        assert_eq!(table_fulls(table), 11);
        for text in ["", "Udp:", "Udp: a\nUdp: b", "table_fulls\nzz"] {
            assert_eq!((udp_losses(text), table_fulls(text)), (0, 0), "{text}");
        }
    }

    #[test]
    fn only_growth_counts() {
        let mut losses = Losses::default();
        let grew: Vec<bool> = [5, 5, 6, 6, 2, 3].map(|now| losses.count(now)).into();
        assert_eq!(grew, [false, false, true, false, false, true]);
    }
}
