//! Asks other than a scan, by a bridge.

use tvtfleet_proto::device::bridge::{self, Call};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::answer::{Answer as Found, DeviceInfo, RtspUrl};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::channel::{Channel, ChannelLabel};
use tvtfleet_proto::model::report::{DeviceFacts, Failure};

use super::driver::BridgeDevice;
use crate::device::Answer;

/// Streams that are asked for, with the bridge's numbers and the names that other interfaces have.
const STREAMS: [(u8, &str); 2] = [(0, "main"), (1, "sub1")];
/// More channels than this are not asked for their addresses.
const URL_CHANNELS_MAX: usize = 256;

impl BridgeDevice<'_> {
    /// Answers an ask that only reads.
    pub(super) async fn read(&self, ask: Ask) -> Result<Answer, Failure> {
        if ask == Ask::Info {
            let info = self.exchange(Call::Info, bridge::device_info).await?;
            return Ok(Answer {
                facts: facts(&info),
                answer: Some(Found::Info(vec![info])),
                ..Answer::default()
            });
        }
        if ask == Ask::Clock {
            let reading = self.exchange(Call::Clock, bridge::clock).await?;
            return Ok(Answer {
                answer: Some(Found::Clock(vec![reading])),
                ..Answer::default()
            });
        }
        if ask == Ask::Channels {
            let mut answer = self.scan().await?;
            if let Some(only) = self.visit.scope.channel {
                answer.channels.retain(|one| number(one) == Some(only));
            }
            return Ok(answer);
        }
        if ask == Ask::RtspUrl {
            return self.urls().await;
        }
        let text = "this does not read, or not by a bridge";
        Err(Failure::new(ErrorCode::UnsupportedVariant, text))
    }

    /// The addresses of streams. Each is a login of the bridge's, so that the first failure ends it;
    /// what was told before is kept.
    async fn urls(&self) -> Result<Answer, Failure> {
        let mut answer = Answer::default();
        let channels: Vec<u32> = if let Some(only) = self.visit.scope.channel {
            vec![only]
        } else {
            let scanned = self.scan().await?;
            answer.facts = scanned.facts;
            scanned.channels.iter().filter_map(number).collect()
        };
        let mut urls = Vec::new();
        'asking: for channel in channels.into_iter().take(URL_CHANNELS_MAX) {
            let index = channel.checked_sub(1).and_then(|no| u16::try_from(no).ok());
            let Some(index) = index else { continue };
            for (stream, name) in STREAMS {
                let call = Call::RtspUrl {
                    channel: index,
                    stream,
                };
                match self.exchange(call, bridge::rtsp_url).await {
                    Ok(url) => urls.push(RtspUrl {
                        channel: Some(channel),
                        stream: Some(name.to_owned()),
                        url,
                    }),
                    Err(failure) if urls.is_empty() => return Err(failure),
                    Err(failure) => {
                        answer.failed = Some(failure);
                        break 'asking;
                    }
                }
            }
        }
        answer.answer = Some(Found::RtspUrls(urls));
        Ok(answer)
    }
}

fn facts(info: &DeviceInfo) -> DeviceFacts {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    DeviceFacts {
        name: text(&info.name),
        model: text(&info.model),
        serial: text(&info.serial),
        firmware: text(&info.firmware),
        ..DeviceFacts::default()
    }
}

/// The number of a channel as people see it.
fn number(channel: &Channel) -> Option<u32> {
    match channel.label {
        ChannelLabel::Number(number) => u32::try_from(number).ok(),
        ChannelLabel::Text(_) => None,
    }
}
