//! What is sent by multicast, and when: a list, made once for all interfaces.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use tvtfleet_proto::device::{mhed, ssdp, wsd};
use tvtfleet_proto::model::discovery::Method;
use uuid::Uuid;

/// One datagram, sent on every interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shot {
    /// When, from the start.
    pub(crate) after: Duration,
    pub(crate) to: SocketAddrV4,
    pub(crate) ttl: u32,
    pub(crate) datagram: Vec<u8>,
}

/// The datagrams of the methods asked for, in the order of their times. `jitter` moves repeats by
/// up to 100 ms, so that several agents do not fall into step.
pub(crate) fn shots(methods: &BTreeSet<Method>, message: Uuid, jitter: u64) -> Vec<Shot> {
    let shot = |after: u64, group: Ipv4Addr, port: u16, ttl: u32, datagram: &[u8]| Shot {
        after: Duration::from_millis(if after == 0 { 0 } else { after + jitter % 100 }),
        to: SocketAddrV4::new(group, port),
        ttl,
        datagram: datagram.to_vec(),
    };
    let mut shots = Vec::new();
    if methods.contains(&Method::Mhed) {
        let versions = [
            (0, mhed::VERSION_SDK),
            (400, mhed::VERSION_SDK),
            (1_200, mhed::VERSION_NEW),
        ];
        shots.extend(versions.map(|(after, version)| {
            shot(
                after,
                mhed::SEARCHES,
                mhed::PORT,
                mhed::TTL,
                &mhed::search(version),
            )
        }));
    }
    if methods.contains(&Method::Ssdp) {
        shots.extend(
            [0, 400, 1_500]
                .map(|after| shot(after, ssdp::GROUP, ssdp::PORT, ssdp::TTL, ssdp::SEARCH)),
        );
    }
    if methods.contains(&Method::Onvif) {
        let probe = wsd::search(message);
        shots.extend(
            [0, 500].map(|after| shot(after, wsd::GROUP, wsd::PORT, wsd::TTL, probe.as_bytes())),
        );
    }
    shots.sort_by_key(|shot| shot.after);
    shots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_searches_are_sent_and_only_those_asked_for() {
        let all = shots(&Method::ALL.iter().copied().collect(), Uuid::nil(), 42);
        assert_eq!(all.len(), 8);
        assert!(all.windows(2).all(|pair| pair[0].after <= pair[1].after));
        assert!(all.iter().all(|shot| shot.to.ip().is_multicast()));
        for shot in all.iter().filter(|shot| shot.to.port() == mhed::PORT) {
            assert_eq!(shot.datagram[8..12], [1, 0, 0, 0]);
        }
        assert!(shots(&[Method::Tcp, Method::Sweep].into(), Uuid::nil(), 0).is_empty());
    }
}
