//! What a client did that a well-behaved client does not do.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// One kind of misbehaviour of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Violation {
    /// Bytes came before the greeting was out.
    BytesBeforeInit,
    /// A frame with an unknown flag.
    BadFlag,
    /// A frame with an impossible length.
    BadLength,
    /// The connection ended inside a frame.
    TruncatedFrame,
    /// A login payload of the wrong length.
    LoginLength,
    /// A login of the other variant.
    WrongVariant,
    /// A login on a session that is logged in.
    SecondLogin,
    /// A login after a refused one on the same connection.
    LoginAfterFailure,
    /// Two sessions open at the same time.
    ParallelSession,
    /// A command before any login.
    CommandBeforeLogin,
    /// A tunnel request that is no HTTP request, or whose length is wrong.
    BadTunnelRequest,
    /// A request while the last one was not answered, even if the client gave up on it.
    Pipelined,
    /// The client fell silent and left the connection open.
    LeftOpen,
    /// A password went to a web interface that asked for a proof.
    PasswordShown,
    /// A count of a nonce that is not the next one.
    NonceCount,
}

/// One recorded violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViolationRecord {
    /// What happened.
    pub violation: Violation,
    /// At which device.
    pub device: SocketAddr,
    /// On which connection of the device, counted from 1.
    pub connection: u64,
}

impl fmt::Display for ViolationRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:?} on connection {}",
            self.violation, self.connection
        )
    }
}
