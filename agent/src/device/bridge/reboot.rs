//! A reboot by a bridge.

use tvtfleet_proto::device::bridge::{Call, device_info, done};
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::report::Failure;

use super::driver::BridgeDevice;
use crate::device::Answer;
use crate::device::connect::connect;
use crate::device::order::ChangeOrder;
use crate::device::reboot::{Sent, reboot};

impl BridgeDevice<'_> {
    /// Shows that the device can be seen from here, without which a reboot cannot be proved, and that the
    /// account may log in.
    pub(super) async fn before_reboot(&self) -> Result<Answer, Failure> {
        connect(self.visit).await?;
        self.exchange(Call::Info, device_info).await?;
        Ok(Answer::default())
    }

    /// Reboots the device.
    pub(super) async fn reboot(&self, order: &ChangeOrder<'_>) -> Result<Answer, Failure> {
        let send = async {
            match self.exchange(Call::Reboot, done).await {
                Ok(()) => Sent::Perhaps,
                Err(failure) if may_have_left(&failure) => {
                    tracing::info!(%failure, "the bridge did not say that the device reboots");
                    Sent::Perhaps
                }
                Err(failure) => Sent::Refused(failure),
            }
        };
        reboot(self.visit, order, send).await
    }
}

/// Whether the device may have got a reboot that failed so: the bridge was lost on the way, or lost
/// the device.
fn may_have_left(failure: &Failure) -> bool {
    const LOST: [ErrorCode; 5] = [
        ErrorCode::BridgeTimeout,
        ErrorCode::BridgeTooLarge,
        ErrorCode::BridgeBadJson,
        ErrorCode::BridgeBadShape,
        ErrorCode::SdkTimeout,
    ];
    let code = failure.code;
    if code == ErrorCode::BridgeStatus {
        return failure.wire_code.is_none_or(|status| status >= 500);
    }
    if code == ErrorCode::BridgeUnreachable {
        return failure.credentials_sent;
    }
    LOST.contains(&code) || code.kind() == ErrorKind::Unreachable
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::device::bridge::{failure_of_error, status_failure};

    #[test]
    fn what_may_have_left_is_not_taken_for_refused() {
        let left = |failure| may_have_left(&failure);
        assert!(left(status_failure(504, "", b"")));
        assert!(!left(status_failure(404, "", b"")));
        assert!(left(failure_of_error("RebootDVR failed (error code: 10)")));
        for text in ["Login failed (error code: 1)", "not allowed", ""] {
            assert!(!left(failure_of_error(text)), "{text}");
        }
        let unreachable = Failure::new(ErrorCode::BridgeUnreachable, "");
        assert!(!left(unreachable.clone()), "nothing was sent");
        let broken = Failure {
            credentials_sent: true,
            ..unreachable
        };
        assert!(left(broken));
    }
}
