//! Asks other than a scan, by the vendor's library.

use tvtfleet_proto::device::sdkpipe::{
    Answer as SdkAnswer, CallFailure, Reason, Request, StreamChoice, clock, disk, info, plain_url,
    recording,
};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::answer::{Answer as Found, RtspUrl};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::channel::{Channel, ChannelLabel};
use tvtfleet_proto::model::report::{DeviceFacts, Failure};

use super::driver::{CLOCK, LIST, NetsdkDevice};
use crate::device::Answer;

/// Streams that are asked for, with the vendor's numbers and the names that other interfaces have.
const STREAMS: [(u8, &str); 2] = [(0, "main"), (1, "sub1")];
/// More channels than this are not asked for their addresses.
const URL_CHANNELS_MAX: usize = 256;
/// Numbers that are about a channel or a stream and leave the session as it is.
const OF_A_CHANNEL: [u32; 7] = [4, 20, 21, 26, 32, 96, 98];

impl NetsdkDevice<'_> {
    /// Logs in and answers an ask that only reads.
    pub(super) async fn read(&mut self, ask: Ask) -> Result<Answer, Failure> {
        self.log_in().await?;
        let mut answer = Answer::default();
        match ask {
            Ask::Info => answer.answer = Some(Found::Info(vec![info(&self.record)])),
            Ask::Clock => answer.answer = Some(self.clock().await?),
            Ask::Disks => answer.answer = Some(self.disks().await?),
            Ask::Recording => answer.answer = Some(self.recordings().await?),
            Ask::RtspUrl => answer.answer = Some(self.urls().await?),
            Ask::Channels => {
                let found = self.list().await?;
                answer.channels = found.channels;
                answer.warnings = found.warnings;
                if let Some(only) = self.visit.scope.channel {
                    answer.channels.retain(|one| number(one) == Some(only));
                }
            }
            Ask::Scan
            | Ask::Probe
            | Ask::Users
            | Ask::PasswordPolicy
            | Ask::Ports
            | Ask::Services
            | Ask::Image
            | Ask::Streams
            | Ask::Audio
            | Ask::Osd
            | Ask::RecordingDays
            | Ask::RecordingSegments
            | Ask::Platform
            | Ask::CameraLogins
            | Ask::Motion
            | Ask::Snapshot
            | Ask::SetClock
            | Ask::SetServices
            | Ask::SetImage
            | Ask::SetStreams
            | Ask::SetAudio
            | Ask::SetOsd
            | Ask::SetPlatform
            | Ask::Reboot
            | Ask::SetPassword
            | Ask::Discover => {
                let text = "this does not read, or not by the vendor's library";
                return Err(Failure::new(ErrorCode::UnsupportedVariant, text));
            }
        }
        answer.facts = DeviceFacts {
            serial: self.facts.serial.clone(),
            mac: self.facts.mac,
            ..DeviceFacts::default()
        };
        Ok(answer)
    }

    async fn clock(&mut self) -> Result<Found, Failure> {
        let answer = self.call(&Request::Clock, CLOCK).await?;
        let SdkAnswer::Clock(found) = answer else {
            return Err(self.unexpected(&answer));
        };
        let reading = clock(found).ok_or_else(|| {
            let text = "the library's clock shows no moment";
            Failure::new(ErrorCode::BadAnswer, text)
        })?;
        Ok(Found::Clock(vec![reading]))
    }

    async fn disks(&mut self) -> Result<Found, Failure> {
        let answer = self.call(&Request::Disks, LIST).await?;
        let SdkAnswer::Disks(rows) = answer else {
            return Err(self.unexpected(&answer));
        };
        Ok(Found::Disks(rows.iter().map(disk).collect()))
    }

    async fn recordings(&mut self) -> Result<Found, Failure> {
        let answer = self.call(&Request::Recording, LIST).await?;
        let SdkAnswer::Recording(rows) = answer else {
            return Err(self.unexpected(&answer));
        };
        let only = self.visit.scope.channel;
        let rows = rows.iter().map(recording);
        let wanted = rows.filter(|row| only.is_none() || row.channel == only);
        Ok(Found::Recording(wanted.collect()))
    }

    async fn urls(&mut self) -> Result<Found, Failure> {
        let channels: Vec<u32> = if let Some(only) = self.visit.scope.channel {
            vec![only]
        } else {
            let listed = self.list().await?;
            listed.channels.iter().filter_map(number).collect()
        };
        let mut urls = Vec::new();
        let mut first = None;
        for channel in channels.into_iter().take(URL_CHANNELS_MAX) {
            for (stream, name) in STREAMS {
                let index = channel.checked_sub(1).and_then(|no| u16::try_from(no).ok());
                let Some(index) = index else { continue };
                let choice = StreamChoice {
                    channel: index,
                    stream,
                };
                let answer = self.call(&Request::RtspUrl(choice), LIST).await?;
                if let SdkAnswer::RtspUrl(url) = &answer {
                    urls.push(RtspUrl {
                        channel: Some(channel),
                        stream: Some(name.to_owned()),
                        // The helper's word is no more trusted than the library's.
                        url: url.as_deref().and_then(plain_url),
                    });
                } else {
                    let failure = self.unexpected(&answer);
                    if !is_of_a_channel(&answer) {
                        return Err(failure);
                    }
                    first = first.or(Some(failure));
                }
            }
        }
        match first {
            Some(failure) if urls.is_empty() => Err(failure),
            _ => Ok(Found::RtspUrls(urls)),
        }
    }
}

/// The number of a channel as people see it.
fn number(channel: &Channel) -> Option<u32> {
    match channel.label {
        ChannelLabel::Number(number) => u32::try_from(number).ok(),
        ChannelLabel::Text(_) => None,
    }
}

fn is_of_a_channel(answer: &SdkAnswer) -> bool {
    let SdkAnswer::Failed(CallFailure { reason, .. }) = answer else {
        return false;
    };
    matches!(reason, Reason::Number(number) if OF_A_CHANNEL.contains(number))
}
