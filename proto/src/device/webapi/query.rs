//! What can be asked of the web API, independent of the dialect.

use crate::device::http::{Method, Request, Response, Trouble};
use crate::device::xml::Element;

use super::dialect::Dialect;
use super::flat;
use super::flat::FlatResult;
use super::lapi;

/// A question to the web API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// Who are you?
    Info,
    /// Which channels do you have?
    Channels,
    /// The same for version 1 devices of the flat dialect.
    ChannelList,
    /// Which disks?
    Disks,
    /// What time?
    Clock,
    /// Which ports?
    Ports,
    /// Which streams are recorded now?
    Recording,
    /// The picture settings of a channel, from 1.
    Image(u32),
    /// The streams of a channel.
    Streams(u32),
    /// The sound of a channel.
    Audio(u32),
    /// The texts in a channel's picture.
    Osd(u32),
    /// The days with recordings of a channel.
    Days(u32),
    /// The recordings of a channel within a range.
    Segments(u32),
    /// A still of a channel. Its answer is no document.
    Snapshot(u32),
}

/// What bounds a search, in device time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The start, `YYYY-MM-DD HH:MM:SS`.
    pub from: String,
    /// The end.
    pub to: String,
}

impl Query {
    /// The channel that it is about.
    #[must_use]
    pub const fn channel(self) -> Option<u32> {
        match self {
            Self::Image(channel)
            | Self::Streams(channel)
            | Self::Audio(channel)
            | Self::Osd(channel)
            | Self::Days(channel)
            | Self::Segments(channel)
            | Self::Snapshot(channel) => Some(channel),
            Self::Info
            | Self::Channels
            | Self::ChannelList
            | Self::Disks
            | Self::Clock
            | Self::Ports
            | Self::Recording => None,
        }
    }

    /// The guide's name of the command.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Info => "GetDeviceInfo",
            Self::Channels => "GetChannelInfo",
            Self::ChannelList => "GetChannelList",
            Self::Disks => "GetDiskInfo",
            Self::Clock => "GetDateAndTime",
            Self::Ports => "GetPortConfig",
            Self::Recording => "GetRecordStatusInfo",
            Self::Image(_) => "GetImageConfig",
            Self::Streams(_) => "GetVideoStreamConfig",
            Self::Audio(_) => "GetAudioStreamConfig",
            Self::Osd(_) => "GetImageOsdConfig",
            Self::Days(_) => "SearchRecordDate",
            Self::Segments(_) => "SearchByTime",
            Self::Snapshot(_) => "GetSnapshot",
        }
    }

    /// The request in a dialect, without a credential.
    ///
    /// # Errors
    ///
    /// `device.command_unsupported` where the dialect has no such question.
    pub fn request(
        self,
        dialect: Dialect,
        version: &str,
        scope: &Scope,
    ) -> Result<Request, Trouble> {
        match dialect {
            Dialect::Lapi => lapi::request(self, scope),
            Dialect::Flat => {
                let search = matches!(self, Self::Segments(_)).then(|| {
                    // UNCERTAIN: spellings differ by firmware; these stand in both generations.
                    let types = ["manual", "schedule", "motion", "sensor"];
                    let search = flat::search_by_time(types, &scope.from, &scope.to);
                    flat::config(version, search)
                });
                let mut request = flat::request(self.command(), self.channel(), search.as_ref());
                if matches!(self, Self::Snapshot(_)) {
                    request.method = Method::Get;
                }
                Ok(request)
            }
        }
    }

    /// The document of an answer.
    pub(super) fn document(dialect: Dialect, response: &Response) -> Result<Element, Trouble> {
        match dialect {
            Dialect::Flat => FlatResult::of(response).into_document(response),
            Dialect::Lapi => lapi::document(response),
        }
    }
}
