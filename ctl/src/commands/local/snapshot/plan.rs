//! Which channels of which devices are to be asked, and which are not.

use std::collections::BTreeMap;

use tvt_agent::snapshot::{PictureChannel, PictureDevice};
use tvtfleet_proto::device::picture::VideoStream;
use tvtfleet_proto::device::rtsp::{DEFAULT_PORT, recorder_path, url};
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::api::{ResultRow, RowOutcome};
use tvtfleet_proto::model::channel::{Channel, ChannelLabel, ChannelStatus};
use tvtfleet_proto::model::id::TargetNo;
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::want::Target;

use crate::exit::Outcome;
use crate::io::Io;

/// Channels of a device at most.
const CHANNELS_MAX: usize = 1024;

/// Which channels are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// This one, from 1.
    One(u32),
    /// Every one whose camera is there.
    All,
}

/// One device.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) entry: InventoryEntry,
    pub(super) endpoint: Endpoint,
    /// The names of its channels, where they are known.
    pub(super) names: BTreeMap<u32, String>,
    pub(super) channels: Vec<PictureChannel>,
    /// Channels whose camera is away.
    pub(super) offline: Vec<u32>,
    /// Why the device could not be asked for its channels.
    pub(super) failure: Option<(ErrorCode, String)>,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) places: Vec<Place>,
}

impl Plan {
    /// One channel of each device, without having asked which there are.
    pub(super) fn unscanned(entries: &[InventoryEntry], port: u16, channel: u32) -> Self {
        let place = |entry: &InventoryEntry| Place {
            entry: entry.clone(),
            endpoint: entry.endpoint(port),
            names: BTreeMap::new(),
            channels: vec![PictureChannel {
                number: channel,
                camera: None,
            }],
            offline: Vec::new(),
            failure: None,
        };
        Self {
            places: entries.iter().map(place).collect(),
        }
    }

    /// The channels that a scan found.
    pub(super) fn of_scan(rows: &[ResultRow], wanted: Wanted) -> Self {
        Self {
            places: rows.iter().map(|row| Place::of_row(row, wanted)).collect(),
        }
    }

    /// The devices to be asked; their numbers are their places here.
    pub(super) fn devices(&self) -> Vec<PictureDevice> {
        (0..)
            .zip(&self.places)
            .filter(|(_, place)| !place.channels.is_empty())
            .map(|(number, place)| PictureDevice {
                target: Target {
                    number: TargetNo(number),
                    endpoint: place.endpoint.clone(),
                    known_mac: place.entry.mac(),
                    trusted: true,
                    credential: place.entry.credential.clone(),
                    settings: BTreeMap::new(),
                },
                channels: place.channels.clone(),
            })
            .collect()
    }

    /// Prints the addresses of the video, one a line.
    pub(super) fn show_addresses(
        &self,
        stream: Option<VideoStream>,
        port: Option<u16>,
        io: &mut Io,
    ) -> Outcome {
        let port = port.unwrap_or(DEFAULT_PORT);
        let mut text = String::new();
        let mut status = ExitStatus::Success;
        for place in &self.places {
            if let Some((code, why)) = &place.failure {
                io.warn(&format!("{}: {why} [{code}]", place.endpoint));
                status = ExitStatus::SomeFailed;
            }
            let numbers = place.channels.iter().map(|channel| channel.number);
            for number in numbers.chain(place.offline.iter().copied()) {
                let path = recorder_path(number, stream.unwrap_or_default());
                text.push_str(&url(&place.endpoint.host, port, &path));
                text.push('\n');
            }
        }
        io.write_out(text.as_bytes())?;
        Ok(status)
    }
}

impl Place {
    fn of_row(row: &ResultRow, wanted: Wanted) -> Self {
        let mut place = Self {
            entry: row.entry.clone(),
            endpoint: row.entry.endpoint(row.port),
            names: BTreeMap::new(),
            channels: Vec::new(),
            offline: Vec::new(),
            failure: None,
        };
        match &row.outcome {
            RowOutcome::Missing { code, .. } => {
                place.failure = Some((*code, "the device was not asked".to_owned()));
            }
            RowOutcome::Reported(report) => match &report.failure {
                Some(failure) => place.failure = Some((failure.code, failure.text.clone())),
                None => place.sort(&report.channels, wanted),
            },
        }
        place
    }

    fn sort(&mut self, channels: &[Channel], wanted: Wanted) {
        let number = |channel: &Channel| match channel.label {
            ChannelLabel::Number(number) => u32::try_from(number).ok(),
            ChannelLabel::Text(_) => None,
        };
        // Some recorders count from 0 in their lists, and from 1 on the screen and in addresses.
        let base = u32::from(channels.iter().any(|channel| number(channel) == Some(0)));
        for channel in channels.iter().take(CHANNELS_MAX) {
            let Some(number) = number(channel).and_then(|number| number.checked_add(base)) else {
                continue;
            };
            if matches!(wanted, Wanted::One(one) if one != number) {
                continue;
            }
            if !channel.name.is_empty() {
                self.names.insert(number, channel.name.clone());
            }
            if channel.status == ChannelStatus::Offline {
                self.offline.push(number);
            } else {
                self.channels.push(PictureChannel {
                    number,
                    camera: channel.address.parse().ok(),
                });
            }
        }
        if self.channels.is_empty() && self.offline.is_empty() {
            let text = "the device names no such channel";
            self.failure = Some((ErrorCode::NoChannels, text.to_owned()));
        }
    }
}
