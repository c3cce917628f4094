//! The interfaces of this computer.

use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};

/// Interfaces that are used in one discovery.
const INTERFACES_MAX: usize = 64;

/// One address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) index: u32,
    pub(crate) address: Ipv4Addr,
    pub(crate) network: Ipv4Net,
    pub(crate) is_up: bool,
    pub(crate) is_loopback: bool,
    pub(crate) can_multicast: bool,
}

/// Lists the IPv4 addresses of all interfaces.
pub(crate) fn list() -> io::Result<Vec<Interface>> {
    let mut found = Vec::new();
    for entry in getifaddrs()? {
        let ip = |address: Option<nix::sys::socket::SockaddrStorage>| {
            address.and_then(|address| address.as_sockaddr_in().map(|address| address.ip()))
        };
        let (Some(address), mask) = (ip(entry.address), ip(entry.netmask)) else {
            continue;
        };
        let mask = mask.unwrap_or(Ipv4Addr::BROADCAST);
        let Ok(network) = Ipv4Net::with_netmask(address, mask) else {
            continue;
        };
        let has = |flag| entry.flags.contains(flag);
        found.push(Interface {
            index: if_nametoindex(entry.interface_name.as_str()).unwrap_or(0),
            name: entry.interface_name,
            address,
            network,
            is_up: has(InterfaceFlags::IFF_UP),
            is_loopback: has(InterfaceFlags::IFF_LOOPBACK),
            can_multicast: has(InterfaceFlags::IFF_MULTICAST),
        });
    }
    Ok(found)
}

/// The interfaces to search on: those named, or else every one that is up, can multicast and is no
/// loopback. Link-local addresses count only where there is no other.
pub(crate) fn suitable(
    all: &[Interface],
    named: &[String],
    bind: Option<Ipv4Addr>,
) -> Vec<Interface> {
    let mut kept: Vec<Interface> = all
        .iter()
        .filter(|interface| interface.is_up && bind.is_none_or(|bind| bind == interface.address))
        .filter(|interface| {
            if named.is_empty() {
                interface.can_multicast && !interface.is_loopback
            } else {
                named.contains(&interface.name)
            }
        })
        .cloned()
        .collect();
    if kept
        .iter()
        .any(|interface| !interface.address.is_link_local())
    {
        kept.retain(|interface| !interface.address.is_link_local());
    }
    kept.truncate(INTERFACES_MAX);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, address: &str) -> Interface {
        let network: Ipv4Net = address.parse().unwrap();
        Interface {
            name: name.to_owned(),
            index: 1,
            address: network.addr(),
            network,
            is_up: true,
            is_loopback: name == "lo",
            can_multicast: name != "lo" && name != "tun0",
        }
    }

    #[test]
    fn the_suitable_interfaces_are_chosen() {
        let down = Interface {
            is_up: false,
            ..interface("eth9", "10.9.0.1/24")
        };
        let all = [
            interface("lo", "127.0.0.1/8"),
            interface("tun0", "10.8.0.1/24"),
            interface("eth0", "10.0.0.5/24"),
            interface("eth1", "169.254.3.4/16"),
            down,
        ];
        let names = |named: &[&str], bind: Option<&str>| -> Vec<String> {
            let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
            let bind = bind.map(|bind| bind.parse().unwrap());
            suitable(&all, &named, bind)
                .into_iter()
                .map(|interface| interface.name)
                .collect()
        };
        assert_eq!(names(&[], None), ["eth0"]);
        assert_eq!(names(&["lo", "tun0", "eth9"], None), ["lo", "tun0"]);
        assert_eq!(names(&["eth1"], None), ["eth1"]);
        assert_eq!(names(&[], Some("10.0.0.5")), ["eth0"]);
        assert!(names(&[], Some("10.0.0.6")).is_empty());
    }

    #[test]
    fn this_computer_has_a_loopback_interface() {
        assert!(
            list()
                .unwrap()
                .iter()
                .any(|interface| interface.address == Ipv4Addr::LOCALHOST)
        );
    }
}
