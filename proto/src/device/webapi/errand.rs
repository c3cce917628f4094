//! The questions that an ask takes, and what becomes of their answers.

use std::collections::VecDeque;

use crate::device::http::{Findings, Trouble};
use crate::device::xml::Element;
use crate::error::ErrorCode;
use crate::model::answer::{Answer, RtspUrl};
use crate::model::ask::Ask;
use crate::model::channel::{Channel, ChannelLabel};

use super::dialect::Dialect;
use super::query::Query;
use super::{flat, lapi};

/// Channels that are asked one by one.
const CHANNELS_MAX: usize = 256;

/// One ask to one device.
#[derive(Clone, Debug)]
pub struct Errand {
    ask: Ask,
    only: Option<u32>,
    pending: VecDeque<Query>,
    found: Findings,
    /// The last failure of a channel; it fails the errand where nothing else was found.
    failed: Option<Trouble>,
    /// The documents of answers about settings, where somebody wants them.
    kept: Option<Vec<(Query, Element)>>,
}

impl Errand {
    /// An errand; `None` where this interface cannot answer the ask. `channel` asks for one only.
    #[must_use]
    pub fn new(ask: Ask, channel: Option<u32>) -> Option<Self> {
        let pending = match ask {
            Ask::Scan => vec![Query::Info, Query::Channels],
            Ask::Info => vec![Query::Info],
            Ask::Channels => vec![Query::Channels],
            Ask::Disks => vec![Query::Disks],
            Ask::Clock => vec![Query::Clock],
            Ask::Ports => vec![Query::Ports],
            Ask::Recording => vec![Query::Recording],
            Ask::Image
            | Ask::Streams
            | Ask::Audio
            | Ask::Osd
            | Ask::RecordingDays
            | Ask::RecordingSegments
            | Ask::RtspUrl => match channel {
                Some(channel) => vec![per_channel(ask, channel)?],
                None => vec![Query::Channels],
            },
            Ask::Probe
            | Ask::Discover
            | Ask::Users
            | Ask::PasswordPolicy
            | Ask::Services
            | Ask::Platform
            | Ask::Snapshot
            | Ask::CameraLogins
            | Ask::Motion
            | Ask::SetClock
            | Ask::SetServices
            | Ask::SetImage
            | Ask::SetStreams
            | Ask::SetAudio
            | Ask::SetOsd
            | Ask::SetPlatform
            | Ask::Reboot
            | Ask::SetPassword => return None,
        };
        Some(Self {
            ask,
            only: channel,
            pending: pending.into(),
            found: Findings::default(),
            failed: None,
            kept: None,
        })
    }

    /// Keeps the documents that the answer was read from, but for lists of channels.
    #[must_use]
    pub fn keeping(mut self) -> Self {
        self.kept = Some(Vec::new());
        self
    }

    /// The documents that were kept.
    #[must_use]
    pub fn into_documents(self) -> Vec<(Query, Element)> {
        self.kept.unwrap_or_default()
    }

    /// The failure of the last channel that failed.
    #[must_use]
    pub const fn failure_of_a_channel(&self) -> Option<&Trouble> {
        self.failed.as_ref()
    }

    /// The next question; `None` when all have been answered.
    #[must_use]
    pub fn question(&self) -> Option<Query> {
        self.pending.front().copied()
    }

    /// Takes the answer to [`Self::question`].
    ///
    /// # Errors
    ///
    /// A failure that ends the errand.
    pub fn take(
        &mut self,
        dialect: Dialect,
        answer: Result<Element, Trouble>,
    ) -> Result<(), Trouble> {
        let Some(query) = self.pending.pop_front() else {
            return Ok(());
        };
        let unknown = answer
            .as_ref()
            .is_err_and(|trouble| is_unknown(trouble.code));
        match (query, answer) {
            (Query::Channels, Err(_)) if unknown && dialect == Dialect::Flat => {
                self.pending.push_front(Query::ChannelList);
                Ok(())
            }
            // A camera has no list: it is its own channel.
            (Query::ChannelList, Err(_)) if unknown => {
                self.fan_out(&[1]);
                Ok(())
            }
            (query, Err(trouble)) if query.channel().is_some() && is_one_channels(trouble.code) => {
                self.found.warnings.push(trouble.code);
                self.failed = Some(trouble);
                Ok(())
            }
            (_, Err(trouble)) => Err(trouble),
            (query, Ok(root)) => self.learn(query, dialect, &root),
        }
    }

    /// What was found.
    ///
    /// # Errors
    ///
    /// The failure of a channel where no channel answered.
    pub fn finish(mut self) -> Result<Findings, Trouble> {
        let nothing = self.found.answer.is_none();
        match self.failed {
            Some(trouble) if nothing => Err(trouble),
            _ => {
                self.found.warnings.dedup();
                Ok(self.found)
            }
        }
    }

    fn learn(&mut self, query: Query, dialect: Dialect, root: &Element) -> Result<(), Trouble> {
        if let Some(kept) = &mut self.kept
            && !matches!(query, Query::Channels | Query::ChannelList)
        {
            kept.push((query, root.clone()));
        }
        let flat = dialect == Dialect::Flat;
        match query {
            Query::Info => {
                let info = if flat {
                    flat::info(root)
                } else {
                    lapi::info(root)
                }?;
                self.found.learn(&info);
                if self.ask == Ask::Info {
                    self.found.answer = Some(Answer::Info(vec![info]));
                }
            }
            Query::Channels | Query::ChannelList => {
                let channels = if flat {
                    flat::channels(root)?
                } else {
                    lapi::channels(root)
                };
                self.fan_out(&numbers(&channels));
                self.found.channels = channels;
            }
            Query::Disks => {
                let disks = if flat {
                    flat::disks(root)?
                } else {
                    lapi::disks(root)
                };
                self.found.answer = Some(Answer::Disks(disks));
            }
            Query::Clock => {
                let clock = if flat {
                    flat::clock(root)
                } else {
                    lapi::clock(root)
                }?;
                self.found.answer = Some(Answer::Clock(vec![clock]));
            }
            Query::Ports => self.found.answer = Some(Answer::Ports(vec![flat::ports(root)?])),
            Query::Recording => {
                let states = if flat {
                    flat::recording(root)?
                } else {
                    lapi::recording(root)
                };
                self.found.answer = Some(Answer::Recording(states));
            }
            Query::Image(channel) => {
                let image = if flat {
                    flat::image(root, channel)
                } else {
                    lapi::image(root, channel)
                }?;
                self.add(Answer::Image(vec![image]));
            }
            Query::Streams(channel) => {
                let streams = if flat {
                    flat::streams(root, channel)?
                } else {
                    lapi::streams(root, channel)
                };
                self.add(if self.ask == Ask::RtspUrl {
                    Answer::RtspUrls(streams.iter().filter_map(rtsp_url).collect())
                } else {
                    Answer::Streams(streams)
                });
            }
            Query::Audio(channel) => {
                let audio = if flat {
                    flat::audio(root, channel)
                } else {
                    lapi::audio(root, channel)
                }?;
                self.add(Answer::Audio(vec![audio]));
            }
            Query::Osd(channel) => {
                let osd = if flat {
                    flat::osd(root, channel)
                } else {
                    lapi::osd(root, channel)
                }?;
                self.add(Answer::Osd(vec![osd]));
            }
            Query::Days(channel) => {
                self.add(Answer::RecordingDays(flat::recording_days(root, channel)));
            }
            Query::Segments(channel) => {
                let segments = if flat {
                    flat::segments(root, channel)
                } else {
                    lapi::segments(root, channel)
                };
                if segments.len() >= flat::SEGMENTS_MAX {
                    self.found.warnings.push(ErrorCode::AnswerCut);
                }
                self.add(Answer::Segments(segments));
            }
            // No errand asks for stills.
            Query::Snapshot(_) => {}
        }
        Ok(())
    }

    /// Asks each channel, where the ask is about channels.
    fn fan_out(&mut self, numbers: &[u32]) {
        if self.only.is_some() {
            return;
        }
        let queries = numbers
            .iter()
            .take(CHANNELS_MAX)
            .filter_map(|number| per_channel(self.ask, *number));
        self.pending.extend(queries);
    }

    fn add(&mut self, more: Answer) {
        match &mut self.found.answer {
            Some(answer) => answer.append(more),
            none => *none = Some(more),
        }
    }
}

fn per_channel(ask: Ask, channel: u32) -> Option<Query> {
    match ask {
        Ask::Image => Some(Query::Image(channel)),
        Ask::Streams | Ask::RtspUrl => Some(Query::Streams(channel)),
        Ask::Audio => Some(Query::Audio(channel)),
        Ask::Osd => Some(Query::Osd(channel)),
        Ask::RecordingDays => Some(Query::Days(channel)),
        Ask::RecordingSegments => Some(Query::Segments(channel)),
        Ask::Scan
        | Ask::Probe
        | Ask::Discover
        | Ask::Info
        | Ask::Channels
        | Ask::Disks
        | Ask::Clock
        | Ask::Users
        | Ask::PasswordPolicy
        | Ask::Ports
        | Ask::Services
        | Ask::Recording
        | Ask::Platform
        | Ask::Snapshot
        | Ask::CameraLogins
        | Ask::Motion
        | Ask::SetClock
        | Ask::SetServices
        | Ask::SetImage
        | Ask::SetStreams
        | Ask::SetAudio
        | Ask::SetOsd
        | Ask::SetPlatform
        | Ask::Reboot
        | Ask::SetPassword => None,
    }
}

fn numbers(channels: &[Channel]) -> Vec<u32> {
    channels
        .iter()
        .filter_map(|channel| match channel.label {
            ChannelLabel::Number(number) => u32::try_from(number).ok(),
            ChannelLabel::Text(_) => None,
        })
        .collect()
}

/// The address in a stream's name. It is shown only without a credential in it.
fn rtsp_url(stream: &crate::model::answer::StreamSettings) -> Option<RtspUrl> {
    let url = stream.name.as_deref()?;
    let rest = url.strip_prefix("rtsp://")?;
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return None;
    }
    let kind = url
        .split("streamType=")
        .nth(1)
        .and_then(|kind| kind.split('&').next());
    Some(RtspUrl {
        channel: stream.channel,
        stream: kind.map(str::to_owned),
        url: Some(url.to_owned()),
    })
}

const fn is_unknown(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CommandUnsupported | ErrorCode::InterfaceAbsent
    )
}

/// Whether a failure may be that of one channel and not of the device.
const fn is_one_channels(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RequestRefused
            | ErrorCode::DeviceFault
            | ErrorCode::BadAnswer
            | ErrorCode::CommandUnsupported
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(content: &str) -> Result<Element, Trouble> {
        let text = format!("<config>{content}</config>");
        Ok(crate::device::xml::Document::read(text.as_bytes())
            .unwrap()
            .root)
    }

    #[test]
    fn a_version_1_camera_is_its_own_channel() {
        let mut errand = Errand::new(Ask::Image, None).unwrap();
        let unknown = || Err(Trouble::new(ErrorCode::CommandUnsupported, "", 1));
        assert_eq!(errand.question(), Some(Query::Channels));
        errand.take(Dialect::Flat, unknown()).unwrap();
        assert_eq!(errand.question(), Some(Query::ChannelList));
        errand.take(Dialect::Flat, unknown()).unwrap();
        assert_eq!(errand.question(), Some(Query::Image(1)));
        errand
            .take(Dialect::Flat, root("<image><bright>7</bright></image>"))
            .unwrap();
        let Some(Answer::Image(images)) = errand.finish().unwrap().answer else {
            panic!("no image");
        };
        assert_eq!((images[0].channel, images[0].bright), (Some(1), Some(7)));
    }

    #[test]
    fn one_failing_channel_does_not_hide_the_others() {
        let mut errand = Errand::new(Ask::Streams, None).unwrap();
        let list = "<channelList count='2'><item><channelId>1</channelId></item><item><channelId>28</channelId></item></channelList>";
        errand.take(Dialect::Flat, root(list)).unwrap();
        let fault = Trouble::new(ErrorCode::DeviceFault, "", 79);
        errand.take(Dialect::Flat, Err(fault)).unwrap();
        assert_eq!(errand.question(), Some(Query::Streams(28)));
        errand
            .take(Dialect::Flat, root("<streams><item id='0'/></streams>"))
            .unwrap();
        let found = errand.finish().unwrap();
        assert_eq!(found.warnings, [ErrorCode::DeviceFault]);
        assert!(
            matches!(found.answer, Some(Answer::Streams(streams)) if streams[0].channel == Some(28))
        );
    }

    #[test]
    fn addresses_with_a_credential_are_not_shown() {
        let stream = |name: &str| crate::model::answer::StreamSettings {
            name: Some(name.into()),
            ..Default::default()
        };
        assert!(rtsp_url(&stream("rtsp://u:p@10.0.0.1/chID=1&streamType=main")).is_none());
        let url = rtsp_url(&stream("rtsp://10.0.0.1:554/chID=1&streamType=sub1")).unwrap();
        assert_eq!(url.stream.as_deref(), Some("sub1"));
    }
}
