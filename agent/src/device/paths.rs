//! Remembers which request yielded a device's channels, so that it is the first one next time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tvtfleet_proto::device::tvt::TunnelPath;
use tvtfleet_proto::model::address::Endpoint;

/// How many devices are remembered; beyond that, none is added.
const DEVICES_MAX: usize = 4096;

/// The path that worked, by device. Wrong memories cost one round trip, so nothing is stored.
#[derive(Debug, Default)]
pub(crate) struct KnownPaths(Mutex<BTreeMap<Endpoint, TunnelPath>>);

impl KnownPaths {
    /// The path to try first.
    pub(crate) fn first(&self, endpoint: &Endpoint) -> Option<TunnelPath> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(endpoint)
            .copied()
    }

    /// Notes the path that worked. The usual one is tried first anyway and takes no room.
    pub(crate) fn learn(&self, endpoint: &Endpoint, path: TunnelPath) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if path == TunnelPath::QueryIpcInfo {
            known.remove(endpoint);
        } else if known.len() < DEVICES_MAX || known.contains_key(endpoint) {
            known.insert(endpoint.clone(), path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unusual_paths_are_kept() {
        let known = KnownPaths::default();
        let endpoint: Endpoint = "10.0.0.1:6036".parse().unwrap();
        known.learn(&endpoint, TunnelPath::ChannelTable);
        assert_eq!(known.first(&endpoint), Some(TunnelPath::ChannelTable));
        known.learn(&endpoint, TunnelPath::QueryIpcInfo);
        assert_eq!(known.first(&endpoint), None);
    }
}
