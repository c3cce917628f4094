//! Settings of the drivers that a site may change.

use std::time::Duration;

use tvtfleet_proto::device::tvt::limits::{self, Limits};
use tvtfleet_proto::device::tvt::{KeySource, TunnelMode};

/// Time to find the addresses of a name.
const RESOLVE: Duration = Duration::from_secs(5);

/// How the binary protocol is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolSettings {
    /// Time to find the addresses of a device that is given by name.
    pub resolve: Duration,
    /// Time to open the TCP connection, for each address of a device.
    pub connect: Duration,
    /// What a session may use up. Its `session` field does not count: the job says how long a device
    /// may take.
    pub limits: Limits,
    /// Where the XOR key of a standard login comes from.
    pub key_source: KeySource,
    /// When the channel list is asked for inside the session.
    pub tunnel: TunnelMode,
    /// Whether an empty password may be sent.
    pub allow_empty_password: bool,
}

impl Default for ProtocolSettings {
    fn default() -> Self {
        Self {
            resolve: RESOLVE,
            connect: limits::CONNECT_LAN,
            limits: Limits::default(),
            key_source: KeySource::default(),
            tunnel: TunnelMode::default(),
            allow_empty_password: false,
        }
    }
}
