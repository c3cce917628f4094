//! What goes in and what comes out.

use std::fmt;
use std::time::Duration;

use super::super::command::CommandId;
use crate::error::ErrorCode;
use crate::model::report::DeviceFamily;

/// Who sent some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// The device: the side that greets.
    Device,
    /// The side that connected.
    Client,
}

impl Sender {
    /// The name used in files and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Client => "client",
        }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Bytes of one sender as a capture has them.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Who sent them.
    pub sender: Sender,
    /// When they were seen, from the start of the capture; `None` where that is unknown.
    pub at: Option<Duration>,
    /// How many bytes of the same sender the capture lacks in front of them.
    pub missing: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The 64 bytes with which a device begins.
    Greeting,
    /// "Still here".
    Heartbeat,
    /// A login.
    LoginRequest,
    /// A login was accepted.
    LoginAccepted,
    /// A login was refused.
    LoginRefused,
    /// The end of a session.
    Logout,
    /// An HTTP request inside the session.
    TunnelRequest,
    /// The answer to it.
    TunnelReply,
    /// Any other frame of a client.
    Request,
    /// Any other frame of a device.
    Reply,
    /// A frame of a device that nobody asked for.
    Pushed,
    /// Bytes that cannot be read; nothing of this sender follows.
    Broken,
    /// Bytes that the capture lacks; nothing of this sender follows.
    Missing,
    /// The stream ends inside a unit.
    Cut,
    /// Bytes behind a break, which were not looked at.
    Unread,
}

impl Kind {
    /// The name used in files and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Heartbeat => "heartbeat",
            Self::LoginRequest => "login_request",
            Self::LoginAccepted => "login_accepted",
            Self::LoginRefused => "login_refused",
            Self::Logout => "logout",
            Self::TunnelRequest => "tunnel_request",
            Self::TunnelReply => "tunnel_reply",
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Pushed => "pushed",
            Self::Broken => "broken",
            Self::Missing => "missing",
            Self::Cut => "cut",
            Self::Unread => "unread",
        }
    }

    /// Whether the unit stands for bytes that could not be explained.
    #[must_use]
    pub const fn is_trouble(self) -> bool {
        matches!(
            self,
            Self::Broken | Self::Missing | Self::Cut | Self::Unread
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One unit of an exchange, explained. All text is fit for a terminal: control characters are
/// replaced, but for line feeds in [`FieldValue::Lines`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedUnit {
    /// Who sent it.
    pub sender: Sender,
    /// When its last byte was seen, from the start of the capture.
    pub at: Option<Duration>,
    /// Its first byte, counted from the start of the sender's stream.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// What it is.
    pub kind: Kind,
    /// The command id of a frame.
    pub command: Option<CommandId>,
    /// The request's number in a frame.
    pub request: Option<u32>,
    /// The family in whose light it was read.
    pub family: Option<DeviceFamily>,
    /// The vendor's name of a command.
    pub name: Option<&'static str>,
    /// One line for people, lower-case, without full stop.
    pub summary: String,
    /// What is wrong, where something is.
    pub code: Option<ErrorCode>,
    /// What is in it.
    pub fields: Vec<Field>,
}

/// A field of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, in snake case.
    pub name: &'static str,
    /// What it holds.
    pub value: FieldValue,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// A number.
    Number(u64),
    /// One line of text.
    Text(String),
    /// Several lines of text.
    Lines(String),
    /// A table: each row has the same fields.
    Rows(Vec<Vec<Field>>),
}
