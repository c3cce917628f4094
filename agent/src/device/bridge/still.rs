//! Stills by the HTTP bridge: each is a login of its own.

use std::time::Instant;

use tokio::time::sleep_until;
use tvtfleet_proto::device::bridge::{self, Call};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::Failure;

use super::driver::{BridgeDevice, unsure};
use crate::device::connect::{cancelled, check_host};

impl BridgeDevice<'_> {
    /// A picture of a channel, from 1: what the bridge gives, unchecked.
    pub(crate) async fn still(
        &mut self,
        channel: u32,
        deadline: Instant,
    ) -> Result<Vec<u8>, Failure> {
        self.visit.deadline = deadline;
        let index = channel.checked_sub(1).and_then(|no| u16::try_from(no).ok());
        let Some(index) = index else {
            let text = "the bridge knows no channel of this number";
            return Err(Failure::new(ErrorCode::UnsupportedVariant, text));
        };
        let work = async {
            check_host(self.visit).await?;
            let call = Call::Snapshot(index);
            self.exchange(call, bridge::picture).await
        };
        tokio::select! {
            biased;
            () = self.visit.cancel.cancelled() => Err(unsure(cancelled())),
            result = work => result,
            () = sleep_until(deadline.into()) => {
                let text = "the time for the picture ran out";
                Err(unsure(Failure::new(ErrorCode::DeviceDeadline, text)))
            }
        }
    }
}
