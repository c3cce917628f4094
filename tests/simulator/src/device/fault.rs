//! What can be wrong with a recorder.

use serde::{Deserialize, Serialize};

/// Part of a conversation in which a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// From the connection to the greeting.
    Greeting,
    /// The answer to a login.
    Login,
    /// The answer to a tunnel request.
    Tunnel,
}

/// Something that is not a recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignServer {
    /// A web server: silent until spoken to.
    Http,
    /// An SSH server: speaks first.
    Ssh,
}

/// What a tunnel reply holds instead of the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TunnelBody {
    /// The same JSON in chunks.
    Chunked,
    /// A login page.
    Html,
    /// An XML status document.
    Xml,
    /// JSON nested 5,000 deep.
    DeepJson,
    /// JSON with bytes that are no UTF-8.
    InvalidUtf8,
    /// No content at all.
    Empty,
}

/// One fault. Offsets and lengths are bytes, times are milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The greeting never comes.
    NoGreeting,
    /// The greeting comes one byte at a time.
    GreetingDrip {
        /// Time between bytes.
        ms: u64,
    },
    /// The greeting starts with `1111`.
    #[serde(rename = "greeting_flag_1111")]
    GreetingFlag1111,
    /// Device type word of the greeting.
    DevType {
        /// Any value.
        value: u32,
    },
    /// More heartbeats after the greeting.
    ExtraHeartbeats {
        /// How many on top of the usual one.
        count: u16,
    },
    /// Something else listens on the port.
    ForeignServer {
        /// What it is.
        server: ForeignServer,
    },
    /// Nothing is sent for a while.
    Stall {
        /// Where.
        phase: Phase,
        /// For how long.
        ms: u64,
    },
    /// The connection is closed instead of an answer.
    CloseBefore {
        /// Instead of which one.
        phase: Phase,
    },
    /// The connection is closed after an answer.
    CloseAfter {
        /// After which one.
        phase: Phase,
    },
    /// The connection is reset instead of an answer.
    Reset {
        /// Instead of which one.
        phase: Phase,
    },
    /// The connection is closed inside an answer.
    CloseMidFrame {
        /// Inside which one.
        phase: Phase,
        /// Bytes that are sent.
        at: usize,
    },
    /// The frame length of an answer.
    FrameLength {
        /// Of which one.
        phase: Phase,
        /// Any value; 8, 15 and 4294967295 are worth trying.
        value: u32,
    },
    /// The payload length of an answer, changed without changing the payload.
    PayloadLength {
        /// Of which one.
        phase: Phase,
        /// Added to the right value; positive does not fit the frame.
        delta: i32,
    },
    /// An answer comes in two parts.
    Split {
        /// Which one.
        phase: Phase,
        /// Length of the first part.
        at: usize,
        /// Time between the parts.
        #[serde(default = "default_split_pause")]
        ms: u64,
    },
    /// Everything that belongs to an answer is sent in one write.
    Join {
        /// Which one.
        phase: Phase,
    },
    /// Status frames come before an answer.
    Pushed {
        /// Before which one.
        phase: Phase,
        /// How many.
        count: u16,
    },
    /// A heartbeat precedes every reply.
    AckFirst,
    /// Login is answered with an unknown command and 32 zero bytes; the session works.
    UnknownLoginReply,
    /// Every login fails with this code.
    LoginCode {
        /// Wire code of the failure.
        code: u32,
    },
    /// Length of the login success payload: cut, or zero-padded.
    LoginReplySize {
        /// Length.
        size: u16,
    },
    /// Channel count in the head reply, whatever the records.
    HeadCount {
        /// Announced count.
        count: u16,
    },
    /// The device name is no UTF-8.
    NonUtf8Name,
    /// Tunnel requests are never answered.
    TunnelMute,
    /// A zero byte follows the content of a tunnel reply, not counted in its length.
    TunnelTrailingNul,
    /// The content length of a tunnel reply is wrong.
    TunnelContentLength {
        /// Added to the right value.
        delta: i32,
    },
    /// The sequence number of a tunnel reply, instead of the request's.
    TunnelSequence {
        /// Any value.
        seq: u32,
    },
    /// A tunnel reply holds something else.
    TunnelBody {
        /// What it holds.
        body: TunnelBody,
    },
}

fn default_split_pause() -> u64 {
    2
}

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultRule {
    /// What goes wrong.
    #[serde(flatten)]
    pub fault: Fault,
    /// Share of connections that are hit, 0 to 1; drawn from the seed.
    #[serde(default = "certain", skip_serializing_if = "is_certain")]
    pub probability: f64,
    /// Connections of the device that are hit, counted from 1; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<u64>,
}

fn certain() -> f64 {
    1.0
}

fn is_certain(probability: &f64) -> bool {
    *probability >= 1.0
}

impl FaultRule {
    /// Strikes every connection.
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            probability: certain(),
            connections: Vec::new(),
        }
    }

    /// Strikes the connections with these numbers, counted from 1.
    pub fn on(fault: Fault, connections: impl IntoIterator<Item = u64>) -> Self {
        Self {
            fault,
            probability: certain(),
            connections: connections.into_iter().collect(),
        }
    }
}

impl From<Fault> for FaultRule {
    fn from(fault: Fault) -> Self {
        Self::always(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_flat_json() {
        let rule: FaultRule = serde_json::from_str(
            r#"{"fault": "stall", "phase": "login", "ms": 50, "connections": [2]}"#,
        )
        .unwrap();
        assert_eq!(
            rule,
            FaultRule::on(
                Fault::Stall {
                    phase: Phase::Login,
                    ms: 50
                },
                [2]
            )
        );
        let text = serde_json::to_string(&FaultRule::always(Fault::AckFirst)).unwrap();
        assert_eq!(text, r#"{"fault":"ack_first"}"#);
        let unit: FaultRule = serde_json::from_str(r#"{"fault":"greeting_flag_1111"}"#).unwrap();
        assert_eq!(unit.fault, Fault::GreetingFlag1111);
    }
}
