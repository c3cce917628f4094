//! A reboot by the vendor's library.

use std::time::Duration;

use tvtfleet_proto::device::sdkpipe::{Answer as SdkAnswer, Reason, Request, meaning};
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::report::Failure;

use super::driver::NetsdkDevice;
use crate::device::Answer;
use crate::device::order::ChangeOrder;
use crate::device::reboot::{Sent, reboot};

/// Time for the call; the link usually drops in the middle of it.
const CALL: Duration = Duration::from_secs(10);

impl NetsdkDevice<'_> {
    /// Reboots the device, once logged in.
    pub(super) async fn reboot(&mut self, order: &ChangeOrder<'_>) -> Result<Answer, Failure> {
        let visit = self.visit;
        let send = async {
            match self.call(&Request::Reboot, CALL).await {
                Ok(SdkAnswer::Done) => Sent::Perhaps,
                Ok(said) if is_lost_link(&said) => Sent::Perhaps,
                Ok(said) => Sent::Refused(Failure {
                    credentials_sent: false,
                    ..self.unexpected(&said)
                }),
                // A library that dies or hangs here may have sent it before.
                Err(lost) => {
                    tracing::info!(%lost, "the library did not answer the reboot");
                    Sent::Perhaps
                }
            }
        };
        reboot(visit, order, send).await
    }
}

/// Whether a call failed in a way that says nothing of whether the device got it.
fn is_lost_link(said: &SdkAnswer) -> bool {
    let SdkAnswer::Failed(failed) = said else {
        return false;
    };
    let Reason::Number(number) = failed.reason else {
        return false;
    };
    let code = meaning(number).code;
    code.kind() == ErrorKind::Unreachable || code == ErrorCode::SdkTimeout
}
