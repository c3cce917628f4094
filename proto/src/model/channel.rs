//! A recorder's channels and the cameras behind them.

use std::fmt;

/// How a recorder names a channel: a number, or text such as `D1`.
///
/// Recorders count from 1 on their screens, but lists in the field also start at 0, so this is kept
/// as the device said it and not turned into a [`super::id::ChannelNo`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelLabel {
    /// A whole number.
    Number(i64),
    /// Any other text.
    Text(String),
}

impl fmt::Display for ChannelLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.pad(&number.to_string()),
            Self::Text(text) => f.pad(text),
        }
    }
}

/// Whether a recorder sees the camera of a channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelStatus {
    /// The recorder says that it does.
    Online,
    /// The recorder says that it does not.
    Offline,
    /// The recorder's word for it could not be understood.
    Unknown,
    /// The recorder said nothing about it.
    NotReported,
    /// A word of the recorder's own, such as `Recording`.
    Other(String),
}

impl ChannelStatus {
    /// The text of result files: `Online`, `Offline`, `Unknown`, empty, or the device's word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Online => "Online",
            Self::Offline => "Offline",
            Self::Unknown => "Unknown",
            Self::NotReported => "",
            Self::Other(text) => text,
        }
    }

    /// The status that a result file's text stands for; the reverse of [`Self::as_str`].
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text {
            "Online" => Self::Online,
            "Offline" => Self::Offline,
            "Unknown" => Self::Unknown,
            "" => Self::NotReported,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Where a channel's status came from, which says how far to trust it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusSource {
    /// The device's own channel list.
    ChannelList,
    /// The channel record of a head-variant login reply.
    ///
    /// UNCERTAIN: its low byte may be the channel's type, not its state. A web channel list of the
    /// same recorder settles it.
    LoginRecord,
}

impl StatusSource {
    /// The name used in files and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChannelList => "channel_list",
            Self::LoginRecord => "login_record",
        }
    }
}

/// One channel of a recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The recorder's name for the channel.
    pub label: ChannelLabel,
    /// The camera's name as configured on the recorder; trimmed, without control characters.
    pub name: String,
    /// The camera's address as the recorder knows it; empty where the recorder does not say.
    pub address: String,
    /// The camera's port; 0 where the recorder does not say.
    pub port: u16,
    /// Whether the recorder sees the camera.
    pub status: ChannelStatus,
    /// Where the status came from.
    pub status_source: StatusSource,
    /// The camera's maker or protocol, as `TVT` or `ONVIF`; empty where unknown.
    pub protocol: String,
    /// The camera's model; empty where unknown.
    pub model: String,
}

impl Channel {
    /// Whether the recorder named an address for the camera.
    ///
    /// pytvt's console, CSV and XLSX outputs show such channels only.
    #[must_use]
    pub fn has_address(&self) -> bool {
        !self.address.trim().is_empty()
    }
}
