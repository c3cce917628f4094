//! What every driver can do.

use std::future::Future;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::channel::Channel;
use tvtfleet_proto::model::report::{DeviceFacts, Failure};

/// One way of talking to one device.
pub(crate) trait Device: Send {
    /// The name of this way.
    fn backend(&self) -> Backend;

    /// Whether this way can answer a question.
    fn supports(&self, ask: Ask) -> Support;

    /// Asks the device. The driver keeps to the deadline it was made with.
    fn ask(&mut self, ask: Ask) -> impl Future<Output = Result<Answer, DeviceError>> + Send;

    /// Takes leave politely, without waiting for the device.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Whether a driver can answer a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// It can.
    Full,
    /// It cannot.
    None,
}

/// What a device answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What it says of itself.
    pub(crate) facts: DeviceFacts,
    /// Its channels, in its order.
    pub(crate) channels: Vec<Channel>,
    /// What is missing, most important first.
    pub(crate) warnings: Vec<ErrorCode>,
    /// How a change failed of which nevertheless something is known.
    pub(crate) failed: Option<Failure>,
    /// The answer to an ask about neither of these.
    pub(crate) answer: Option<tvtfleet_proto::model::answer::Answer>,
}

/// How a device was asked in vain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub(crate) struct DeviceError {
    /// What happened.
    pub(crate) failure: Failure,
    /// What it said of itself before that.
    pub(crate) facts: Box<DeviceFacts>,
}

impl From<Failure> for DeviceError {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            facts: Box::default(),
        }
    }
}
