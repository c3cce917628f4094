//! Where each device's web interfaces were found, so that nothing is looked for twice.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tvtfleet_proto::device::webapi::Dialect;
use tvtfleet_proto::model::address::Endpoint;

use super::settings::WebPort;

/// How many devices are remembered; beyond that, none is added.
const DEVICES_MAX: usize = 4096;

/// Ports and dialects by device. A wrong memory costs a round trip, so nothing is stored.
#[derive(Debug, Default)]
pub(crate) struct KnownWeb(Mutex<BTreeMap<Endpoint, Known>>);

/// What is known of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) port: Option<WebPort>,
    pub(crate) dialect: Option<Dialect>,
    /// Whether its pages ever took a proof of the password instead of the password.
    pub(crate) takes_proofs: bool,
    /// Until when a port is taken to swallow everything.
    pub(crate) silent_until: Option<Instant>,
}

impl KnownWeb {
    pub(crate) fn of(&self, endpoint: &Endpoint) -> Known {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(endpoint).copied().unwrap_or_default()
    }

    pub(crate) fn learn(&self, endpoint: &Endpoint, change: impl FnOnce(&mut Known)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < DEVICES_MAX || known.contains_key(endpoint) {
            change(known.entry(endpoint.clone()).or_default());
        }
    }
}
