//! Whether a sweep may begin.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::discovery::ADDRESSES_MAX;

use super::event::DiscoverError;
use super::hosts::{Hosts, targets};
use crate::policy::Policy;

/// The largest network that is swept because this computer is in it: a /22. Larger ones could
/// overrun the neighbour table, and wake every device with each question for a dark address.
pub(crate) const OWN_PREFIX_MIN: u8 = 22;

/// Checks networks before a discovery of them is asked for, as the agent will do it; what the
/// policy of a site says is for its agent to know.
///
/// # Errors
///
/// `discovery.consent_needed` and `usage.invalid`.
pub fn check_networks(
    subnets: &[Ipv4Net],
    excludes: &[Ipv4Net],
    huge: bool,
) -> Result<(), DiscoverError> {
    check(
        subnets,
        &targets(subnets, excludes),
        huge,
        &Policy::default(),
    )
}

/// Checks the networks that were asked for.
///
/// # Errors
///
/// `device.policy_refused` and `discovery.consent_needed`.
pub(crate) fn check(
    subnets: &[Ipv4Net],
    hosts: &Hosts,
    huge: bool,
    policy: &Policy,
) -> Result<(), DiscoverError> {
    for subnet in subnets {
        if !covered(subnet, policy) {
            let text = format!("this site's policy does not allow to touch {subnet}");
            return Err(DiscoverError::new(ErrorCode::PolicyRefused, text)
                .hint("the owner of the site can add the network to the agent's policy"));
        }
        if subnet.network().is_multicast() || subnet.network().octets().first() >= Some(&240) {
            let text = format!("{subnet} has no hosts");
            return Err(DiscoverError::new(ErrorCode::UsageInvalid, text));
        }
        if !huge && !is_private(subnet) {
            let text = format!("{subnet} is not a private network");
            return Err(DiscoverError::new(ErrorCode::DiscoveryConsentNeeded, text)
                .hint("--yes says that its owner has agreed"));
        }
    }
    if !huge && hosts.len() > ADDRESSES_MAX {
        let text = format!("{} addresses are more than a /12 has", hosts.len());
        return Err(DiscoverError::new(ErrorCode::DiscoveryConsentNeeded, text)
            .hint("name smaller networks, or say --yes if this is meant"));
    }
    Ok(())
}

/// Whether policy lets the whole network be touched.
pub(crate) fn covered(subnet: &Ipv4Net, policy: &Policy) -> bool {
    policy.networks.is_empty()
        || policy.networks.iter().any(|allowed| match allowed {
            IpNet::V4(allowed) => allowed.contains(subnet),
            IpNet::V6(_) => false,
        })
}

/// Networks that are nobody's on the internet, those for tests and documentation among them.
fn is_private(subnet: &Ipv4Net) -> bool {
    const PRIVATE: [([u8; 4], u8); 10] = [
        ([10, 0, 0, 0], 8),
        ([172, 16, 0, 0], 12),
        ([192, 168, 0, 0], 16),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([192, 0, 2, 0], 24),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
    ];
    PRIVATE.iter().any(|(network, length)| {
        Ipv4Net::new(Ipv4Addr::from(*network), *length).is_ok_and(|net| net.contains(subnet))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(subnet: &str, huge: bool, networks: &[&str]) -> Option<ErrorCode> {
        let subnets = [subnet.parse().unwrap()];
        let policy = Policy {
            networks: networks.iter().map(|net| net.parse().unwrap()).collect(),
            ..Policy::default()
        };
        check(&subnets, &targets(&subnets, &[]), huge, &policy)
            .err()
            .map(|error| error.code)
    }

    #[test]
    fn large_and_public_networks_want_a_yes_and_policy_has_the_last_word() {
        let needed = Some(ErrorCode::DiscoveryConsentNeeded);
        assert_eq!(code("10.0.0.0/12", false, &[]), None);
        assert_eq!(code("10.0.0.0/8", false, &[]), needed);
        assert_eq!(code("10.0.0.0/8", true, &[]), None);
        assert_eq!(code("8.8.8.0/24", false, &[]), needed);
        assert_eq!(code("172.0.0.0/24", false, &[]), needed);
        assert_eq!(
            code("224.0.0.0/24", true, &[]),
            Some(ErrorCode::UsageInvalid)
        );
        let refused = Some(ErrorCode::PolicyRefused);
        assert_eq!(code("10.1.0.0/24", true, &["10.2.0.0/16"]), refused);
        assert_eq!(code("10.2.0.0/15", true, &["10.2.0.0/16"]), refused);
        assert_eq!(code("10.2.3.0/24", false, &["10.2.0.0/16", "::/0"]), None);
    }
}
