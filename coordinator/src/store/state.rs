//! Facts and channels of a device in the form in which they are stored.
//!
//! Encoding, hashing and compressing them is most of the work that a report makes and needs nothing
//! of the database, so it is done before the writer has its turn.

use prost::Message;

use tvtfleet_proto::model::channel::Channel;
use tvtfleet_proto::model::report::{DeviceFacts, DeviceReport};
use tvtfleet_proto::model::want::OutItem;
use tvtfleet_proto::wire::v1;

use crate::inventory::merge;

use super::pack::{hash, pack};

/// An item of a batch with what could be made ready for it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// What the batch carries.
    pub(crate) content: OutItem,
    /// The state of the device as its report alone has it.
    pub(super) state: Option<State>,
}

impl From<OutItem> for Item {
    fn from(content: OutItem) -> Self {
        let state = match &content {
            OutItem::Report(report) => State::of_report(report),
            OutItem::Event(_) | OutItem::Searched(_) | OutItem::Credential(_) => None,
        };
        Self { content, state }
    }
}

/// A state, ready to be compared and stored.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Tells it from other states of the device.
    pub(super) hash: [u8; 16],
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Plain(Vec<u8>),
    Packed(Vec<u8>),
}

impl State {
    /// Takes facts and channels of a report as they are; `None` where it does not tell all channels.
    fn of_report(report: &DeviceReport) -> Option<Self> {
        let channels = merge::reported_channels(report)?;
        let plain = state_body(None, &report.facts, Some(channels))?;
        Some(Self {
            hash: hash(&plain),
            body: Body::Packed(pack(&plain)),
        })
    }

    /// Takes an encoded state; it is packed when it is needed.
    pub(super) fn of_body(plain: Vec<u8>) -> Self {
        Self {
            hash: hash(&plain),
            body: Body::Plain(plain),
        }
    }

    /// The body as it is stored.
    pub(super) fn into_packed(self) -> Vec<u8> {
        match self.body {
            Body::Plain(plain) => pack(&plain),
            Body::Packed(packed) => packed,
        }
    }
}

/// The encoded facts and channels of a device, in the form of a report; `None` where its channels
/// are not known.
pub(super) fn state_body(
    known: Option<&[v1::Channel]>,
    facts: &DeviceFacts,
    channels: Option<&[Channel]>,
) -> Option<Vec<u8>> {
    let channels = match (channels, known) {
        (Some(channels), _) => channels.iter().cloned().map(v1::Channel::from).collect(),
        (None, Some(known)) => known.to_vec(),
        (None, None) => return None,
    };
    let facts = Some(v1::DeviceFacts::from(facts.clone()));
    let body = v1::DeviceReport {
        facts,
        channels,
        ..v1::DeviceReport::default()
    };
    Some(body.encode_to_vec())
}
