//! The neighbour table: which hosts of our own networks have answered anybody lately.

use std::fs::File;
use std::io::{self, Read};
use std::net::Ipv4Addr;

use tvtfleet_proto::model::mac::MacAddr;

/// The kernel's table. Absent in some containers, and on other systems.
const TABLE: &str = "/proc/net/arp";
/// Bytes of the table that are read: a full one of a large host.
const TABLE_MAX: u64 = 4 * 1024 * 1024;
/// The flag of a complete entry.
const COMPLETE: u32 = 0x2;

/// One neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Neighbour {
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: MacAddr,
    pub(crate) interface: String,
}

/// Reads the table.
pub(crate) fn read() -> io::Result<Vec<Neighbour>> {
    let mut text = String::new();
    File::open(TABLE)?
        .take(TABLE_MAX)
        .read_to_string(&mut text)?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Vec<Neighbour> {
    text.lines().skip(1).filter_map(neighbour).collect()
}

fn neighbour(line: &str) -> Option<Neighbour> {
    let mut words = line.split_whitespace();
    let address = words.next()?.parse().ok()?;
    let flags = u32::from_str_radix(words.nth(1)?.strip_prefix("0x")?, 16).ok()?;
    let mac: MacAddr = words.next()?.parse().ok()?;
    let interface = words.nth(1)?.to_owned();
    (flags & COMPLETE != 0 && mac.is_unicast()).then_some(Neighbour {
        address,
        mac,
        interface,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_entries_are_read_and_others_are_not() {
        let text = "\
IP address       HW type     Flags       HW address            Mask     Device
10.0.0.5         0x1         0x2         58:5b:69:00:00:05     *        eth0
10.0.0.6         0x1         0x0         00:00:00:00:00:00     *        eth0
10.0.0.7         0x1         0x6         58:5b:69:00:00:07     *        br-lan
nonsense
";
        let found: Vec<_> = parse(text)
            .into_iter()
            .map(|n| (n.address.to_string(), n.interface))
            .collect();
        assert_eq!(
            found,
            [
                ("10.0.0.5".into(), "eth0".into()),
                ("10.0.0.7".into(), "br-lan".to_owned())
            ]
        );
    }
}
