//! What a discovery is given, and what it says while it runs.

use std::sync::Arc;

use tvtfleet_bus::clock::Clock;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::discovery::{DiscoveredDevice, SweepCursor};

use crate::device::VendorSettings;
use crate::policy::Policy;

/// What a discovery needs from the site around it.
#[derive(Clone)]
pub struct DiscoverContext {
    /// Which networks may be touched, and how fast.
    pub policy: Policy,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where the vendor's library is, for the search of that name.
    pub vendor: VendorSettings,
}

/// Something that happened. Events are for display: they are dropped when nobody reads them fast
/// enough, the report at the end has everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscoverEvent {
    /// A sweep begins.
    Sweeping {
        /// Addresses in it.
        addresses: u64,
        /// Probes per second.
        rate: u32,
    },
    /// A device was seen for the first time.
    Found(Box<DiscoveredDevice>),
    /// More is known of a device.
    Updated(Box<DiscoveredDevice>),
    /// How far it is.
    Progress {
        /// Probes done, of all rounds.
        done: u64,
        /// Probes that there will be at most.
        total: u64,
        /// Devices found.
        found: u64,
        /// Where the sweep would go on; `None` once its first round is done.
        cursor: Option<SweepCursor>,
    },
    /// Something that the operator should know; it is in the report as well.
    Note(String),
}

/// Why a discovery did not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct DiscoverError {
    /// The stable code.
    pub code: ErrorCode,
    /// What is wrong.
    pub text: String,
    /// What to try; may be empty.
    pub hint: String,
}

impl DiscoverError {
    pub(crate) fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            hint: String::new(),
        }
    }

    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = text.into();
        self
    }
}
