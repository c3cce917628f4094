//! What a driver is told about a change, and the note that is made before anything is sent.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::answer::{Answer as Found, DeviceChange};
use tvtfleet_proto::model::id::TargetNo;
use tvtfleet_proto::model::order::Order;
use tvtfleet_proto::model::report::Failure;

use super::interface::Answer;

/// The setting was other than wanted, and is as wanted now.
pub(crate) const CHANGED: &str = "changed";
/// It was as wanted before.
pub(crate) const UNCHANGED: &str = "unchanged";
/// It is other than wanted; only a look was asked for.
pub(crate) const WOULD_CHANGE: &str = "would_change";
/// It is still other than wanted.
pub(crate) const FAILED: &str = "failed";
/// Nothing was sent, because something before it failed.
pub(crate) const NOT_TRIED: &str = "not_tried";
/// It was sent, and what became of it cannot be seen.
pub(crate) const UNKNOWN: &str = "unknown";

/// A change that is about to be sent. It is sent only after `noted` has said `true`.
#[derive(Debug)]
pub struct Intent {
    /// The device.
    pub target: TargetNo,
    /// What is to be changed.
    pub changes: Vec<DeviceChange>,
    /// Takes whether the intent lasts, whatever happens to this program.
    pub noted: oneshot::Sender<bool>,
}

/// What is to be changed at one device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChangeOrder<'a> {
    pub(crate) order: &'a Order,
    pub(crate) target: TargetNo,
    pub(crate) settings: &'a BTreeMap<String, String>,
    /// What an earlier life of this program was about to change: it is looked at and not sent again.
    pub(crate) settling: Option<&'a [DeviceChange]>,
    /// Who notes intents; `None` where nothing outlives this program.
    pub(crate) intents: Option<&'a mpsc::Sender<Intent>>,
}

impl ChangeOrder<'_> {
    /// Notes what is about to be sent. Nothing may be sent where this fails.
    ///
    /// # Errors
    ///
    /// `storage.io`.
    pub(crate) async fn intend(&self, changes: Vec<DeviceChange>) -> Result<(), Failure> {
        let Some(intents) = self.intents else {
            return Ok(());
        };
        let (noted, answer) = oneshot::channel();
        let intent = Intent {
            target: self.target,
            changes,
            noted,
        };
        let told = intents.send(intent).await.is_ok();
        if told && answer.await == Ok(true) {
            return Ok(());
        }
        let text = "the change could not be noted on the disk before, so it was not sent";
        Err(Failure::new(ErrorCode::StorageIo, text))
    }
}

/// The answer about changes.
pub(crate) fn answer(changes: Vec<DeviceChange>, failed: Option<Failure>) -> Answer {
    Answer {
        answer: Some(Found::Changes(changes)),
        failed,
        ..Answer::default()
    }
}

/// A change with what became of it.
pub(crate) fn with(change: &DeviceChange, outcome: &str) -> DeviceChange {
    DeviceChange {
        outcome: Some(outcome.to_owned()),
        ..change.clone()
    }
}

/// The failure of a change of which nobody knows what became.
pub(crate) fn unknown(why: &Failure) -> Failure {
    Failure {
        credentials_sent: why.credentials_sent,
        ..Failure::new(
            ErrorCode::ChangeUnknown,
            format!(
                "whether the device was changed is unknown; nothing is sent again: {}",
                why.text
            ),
        )
    }
}
