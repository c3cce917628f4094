//! The commands that an ask takes, and what becomes of their answers.

use std::collections::VecDeque;

use crate::device::http::{Findings, Trouble};
use crate::device::xml::Element;
use crate::error::ErrorCode;
use crate::model::answer::{Answer, CameraLogin, RtspUrl, Service};
use crate::model::ask::Ask;
use crate::model::channel::{Channel, ChannelLabel, ChannelStatus};

use super::command::{Command, UtcRange};
use super::read;
use super::session::Reply;

/// Channels that are asked one by one.
const CHANNELS_MAX: usize = 256;

/// One ask to one recorder.
#[derive(Clone, Debug)]
pub struct Errand {
    ask: Ask,
    /// The only channel.
    only: Option<u32>,
    range: UtcRange,
    pending: VecDeque<Command>,
    found: Findings,
    list: Vec<(String, Channel)>,
    storage: Option<Reply>,
    rtsp: Option<read::Rtsp>,
    failed: Option<Trouble>,
    /// The documents of the answers, where somebody wants them.
    kept: Option<Vec<(Command, Element)>>,
}

impl Errand {
    /// An errand; `None` where this interface cannot answer the ask.
    ///
    /// `channel` asks for one only. Recordings need a range, see [`Self::within`].
    #[must_use]
    pub fn new(ask: Ask, channel: Option<u32>) -> Option<Self> {
        let list = || vec![Command::DeviceList, Command::Online];
        let pending = match ask {
            Ask::Scan => vec![Command::Basic, Command::DeviceList, Command::Online],
            Ask::Info => vec![Command::Basic],
            Ask::Channels | Ask::CameraLogins => list(),
            Ask::Disks => vec![Command::Storage, Command::DiskStatus],
            Ask::Users => vec![Command::Users],
            Ask::PasswordPolicy => vec![Command::PasswordSecurity],
            Ask::Ports => vec![Command::Ports],
            Ask::Services => vec![Command::Rtsp, Command::Api],
            // Sound is a part of how channels are encoded.
            Ask::Streams | Ask::Audio => vec![Command::Encoding],
            Ask::Recording => vec![Command::RecordStatus],
            Ask::Platform => vec![Command::Platform],
            Ask::RtspUrl => vec![Command::Rtsp, Command::DeviceList],
            Ask::Motion | Ask::RecordingDays | Ask::RecordingSegments => match channel {
                Some(channel) => vec![per_channel(ask, channel, &UtcRange::default())?],
                None => vec![Command::DeviceList],
            },
            Ask::Probe
            | Ask::Discover
            | Ask::Clock
            | Ask::Snapshot
            | Ask::Image
            | Ask::Osd
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
            range: UtcRange::default(),
            pending: pending.into(),
            found: Findings::default(),
            list: Vec::new(),
            storage: None,
            rtsp: None,
            failed: None,
            kept: None,
        })
    }

    /// Searches within a range; does nothing but for recordings.
    ///
    /// # Errors
    ///
    /// `device.unsupported_variant` for a range on the device's clock: the pages search in UTC and do not
    /// say the recorder's zone.
    pub fn within(mut self, from: &str, to: &str) -> Result<Self, Trouble> {
        if self.ask != Ask::RecordingSegments {
            return Ok(self);
        }
        self.range = UtcRange::new(from, to).ok_or_else(|| {
            let text = "the recorders' pages search in UTC: end both moments with a Z";
            Trouble::new(ErrorCode::UnsupportedVariant, text, None)
        })?;
        for command in &mut self.pending {
            if let Command::Segments(_, range) = command {
                range.clone_from(&self.range);
            }
        }
        Ok(self)
    }

    /// An errand that reads what a changing ask sets and keeps the documents; `None` where these pages
    /// cannot change it.
    #[must_use]
    pub fn before(ask: Ask) -> Option<Self> {
        let known = [
            Ask::SetAudio,
            Ask::SetStreams,
            Ask::SetServices,
            Ask::SetPlatform,
        ];
        let reading = known.contains(&ask).then(|| ask.reads()).flatten()?;
        let mut errand = Self::new(reading, None)?;
        errand.kept = Some(Vec::new());
        Some(errand)
    }

    /// The documents that were kept.
    #[must_use]
    pub fn into_documents(self) -> Vec<(Command, Element)> {
        self.kept.unwrap_or_default()
    }

    /// The errand that completes a report of the binary protocol: identity, and the cameras behind
    /// the channels where the protocol does not name them.
    #[must_use]
    pub fn completing(cameras: bool) -> Self {
        let mut pending = VecDeque::from([Command::Basic]);
        if cameras {
            pending.push_back(Command::DeviceList);
        }
        Self {
            ask: Ask::Scan,
            only: None,
            range: UtcRange::default(),
            pending,
            found: Findings::default(),
            list: Vec::new(),
            storage: None,
            rtsp: None,
            failed: None,
            kept: None,
        }
    }

    /// The next command; `None` when all have been answered.
    #[must_use]
    pub fn question(&self) -> Option<&Command> {
        self.pending.front()
    }

    /// Takes the answer to [`Self::question`]. `address` is that of the recorder, for video addresses.
    ///
    /// # Errors
    ///
    /// A failure that ends the errand.
    pub fn take(&mut self, address: &str, answer: Result<Reply, Trouble>) -> Result<(), Trouble> {
        let Some(command) = self.pending.pop_front() else {
            return Ok(());
        };
        match (command, answer) {
            // What else is known is worth more than this.
            (Command::Online | Command::DiskStatus, Err(trouble)) if is_unknown(trouble.code) => {
                self.found.warnings.push(trouble.code);
                self.settle_list(None);
                self.settle_disks(None)
            }
            (Command::Basic, Err(trouble)) if self.ask == Ask::Scan && is_unknown(trouble.code) => {
                self.found.warnings.push(ErrorCode::IdentityIncomplete);
                Ok(())
            }
            (Command::Motion(_) | Command::Days(_) | Command::Segments(..), Err(trouble))
                if is_one_channels(trouble.code) =>
            {
                self.found.warnings.push(trouble.code);
                self.failed = Some(trouble);
                Ok(())
            }
            (_, Err(trouble)) => Err(trouble),
            (command, Ok(reply)) => self.learn(&command, address, reply),
        }
    }

    /// What was found.
    ///
    /// # Errors
    ///
    /// The failure of a channel where no channel answered.
    pub fn finish(mut self) -> Result<Findings, Trouble> {
        if self.found.answer.is_none()
            && let Some(trouble) = self.failed
        {
            return Err(trouble);
        }
        if self.found.channels.is_empty() && !self.list.is_empty() {
            self.found.channels = read::channels(self.list, None);
        }
        if self.found.facts.total_channels.is_none() && !self.found.channels.is_empty() {
            self.found.facts.total_channels = u32::try_from(self.found.channels.len()).ok();
        }
        self.found.warnings.dedup();
        Ok(self.found)
    }

    fn learn(&mut self, command: &Command, address: &str, reply: Reply) -> Result<(), Trouble> {
        if let Some(kept) = &mut self.kept {
            kept.push((command.clone(), reply.root.clone()));
        }
        match command {
            Command::Basic => {
                let info = read::basic(&reply)?;
                self.found.learn(&info);
                if self.ask == Ask::Info {
                    self.found.answer = Some(Answer::Info(vec![info]));
                }
            }
            Command::DeviceList => {
                self.list = read::device_list(&reply)?;
                self.fan_out();
                self.settle_urls(address);
            }
            Command::Online => {
                let online = read::online(&reply)?;
                self.settle_list(Some(&online));
            }
            Command::Storage => self.storage = Some(reply),
            Command::DiskStatus => self.settle_disks(Some(&reply))?,
            Command::Users => self.found.answer = Some(Answer::Users(read::users(&reply)?)),
            Command::PasswordSecurity => {
                let policy = read::password_policy(&reply)?;
                self.found.answer = Some(Answer::PasswordPolicy(vec![policy]));
            }
            Command::Ports => self.found.answer = Some(Answer::Ports(vec![read::ports(&reply)?])),
            Command::Rtsp => self.rtsp = Some(read::rtsp_server(&reply)?),
            Command::Api => {
                let api = read::api_server(&reply)?;
                let rtsp = self.rtsp.take().unwrap_or_default();
                self.found.answer = Some(Answer::Services(vec![
                    Service {
                        service: Some("rtsp".to_owned()),
                        enabled: rtsp.enabled,
                        port: rtsp.port,
                        auth_type: rtsp.auth_type,
                        anonymous: rtsp.anonymous,
                    },
                    Service {
                        service: Some("web-api".to_owned()),
                        enabled: api.enabled,
                        auth_type: api.auth_type,
                        ..Service::default()
                    },
                ]));
            }
            Command::Platform => {
                self.found.answer = Some(Answer::Platform(vec![read::platform(&reply)?]));
            }
            Command::Encoding if self.ask == Ask::Audio => {
                let mut found = read::audio(&reply)?;
                found.retain(|one| self.only.is_none() || one.channel == self.only);
                self.found.answer = Some(Answer::Audio(found));
            }
            Command::Encoding => self.found.answer = Some(Answer::Streams(read::streams(&reply)?)),
            Command::RecordStatus => {
                self.found.answer = Some(Answer::Recording(read::recording(&reply)?));
            }
            Command::Motion(channel) => {
                self.add(Answer::Motion(vec![read::motion(&reply, *channel)?]));
            }
            Command::Days(channel) => {
                self.add(Answer::RecordingDays(read::day_list(&reply, *channel)));
            }
            Command::Segments(channel, _) => {
                self.add(Answer::Segments(read::segments(&reply, *channel)?));
            }
        }
        Ok(())
    }

    fn settle_list(&mut self, online: Option<&[String]>) {
        if !matches!(self.ask, Ask::Scan | Ask::Channels | Ask::CameraLogins) {
            return;
        }
        let channels = read::channels(std::mem::take(&mut self.list), online);
        if self.ask == Ask::CameraLogins {
            self.found.answer = Some(Answer::CameraLogins(channels.iter().map(login).collect()));
        } else {
            self.found.channels = channels;
        }
    }

    fn settle_disks(&mut self, states: Option<&Reply>) -> Result<(), Trouble> {
        if let Some(storage) = self.storage.take() {
            self.found.answer = Some(Answer::Disks(read::disks(&storage, states)?));
        }
        Ok(())
    }

    /// Video addresses of a recorder follow a pattern of the vendor's; no device says them here.
    fn settle_urls(&mut self, address: &str) {
        let (Ask::RtspUrl, Some(rtsp)) = (self.ask, self.rtsp.take()) else {
            return;
        };
        let port = rtsp.port.unwrap_or(554);
        let urls = self.list.iter().flat_map(|(_, channel)| {
            let number = number(channel);
            ["main", "sub1"].into_iter().filter_map(move |stream| {
                Some(RtspUrl {
                    channel: number,
                    stream: Some(stream.to_owned()),
                    url: Some(format!(
                        "rtsp://{address}:{port}/chID={}&streamType={stream}",
                        number?
                    )),
                })
            })
        });
        self.found.answer = Some(Answer::RtspUrls(urls.collect()));
        self.list.clear();
    }

    fn fan_out(&mut self) {
        let commands: Vec<Command> = self
            .list
            .iter()
            .take(CHANNELS_MAX)
            .filter_map(|(_, channel)| per_channel(self.ask, number(channel)?, &self.range))
            .collect();
        if !commands.is_empty() {
            self.list.clear();
        }
        self.pending.extend(commands);
    }

    fn add(&mut self, more: Answer) {
        match &mut self.found.answer {
            Some(answer) => answer.append(more),
            none => *none = Some(more),
        }
    }
}

fn per_channel(ask: Ask, channel: u32, range: &UtcRange) -> Option<Command> {
    if ask == Ask::Motion {
        Some(Command::Motion(channel))
    } else if ask == Ask::RecordingSegments {
        Some(Command::Segments(channel, range.clone()))
    } else {
        (ask == Ask::RecordingDays).then_some(Command::Days(channel))
    }
}

fn number(channel: &Channel) -> Option<u32> {
    match channel.label {
        ChannelLabel::Number(number) => u32::try_from(number).ok(),
        ChannelLabel::Text(_) => None,
    }
}

fn login(channel: &Channel) -> CameraLogin {
    CameraLogin {
        channel: number(channel),
        name: Some(channel.name.clone()),
        address: Some(channel.address.clone()),
        protocol: Some(channel.protocol.clone()),
        online: match channel.status {
            ChannelStatus::Online => Some(true),
            ChannelStatus::Offline => Some(false),
            ChannelStatus::Unknown | ChannelStatus::NotReported | ChannelStatus::Other(_) => None,
        },
    }
}

const fn is_unknown(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CommandUnsupported
            | ErrorCode::DeviceFault
            | ErrorCode::PermissionDenied
            | ErrorCode::BadAnswer
    )
}

const fn is_one_channels(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RequestRefused | ErrorCode::DeviceFault | ErrorCode::BadAnswer
    )
}
