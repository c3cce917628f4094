//! A reboot by the vendor's library: asked for once, proved by going away and coming back.

use std::time::{Duration, Instant};

use tvtfleet_proto::device::sdkpipe::{Answer as SdkAnswer, Reason, Request, meaning};
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::answer::DeviceChange;
use tvtfleet_proto::model::report::Failure;

use super::driver::NetsdkDevice;
use crate::device::Answer;
use crate::device::connect::{cancelled, connect};
use crate::device::order::{
    CHANGED, ChangeOrder, FAILED, UNKNOWN, WOULD_CHANGE, answer, unknown, with,
};

/// Time for the call; the link usually drops in the middle of it.
const CALL: Duration = Duration::from_secs(10);
/// Between two looks whether the device is there.
const LOOK: Duration = Duration::from_millis(500);
/// The longest time until it goes away.
const LEAVES: Duration = Duration::from_secs(60);
/// The longest wait for one look.
const LOOK_MAX: Duration = Duration::from_secs(3);

impl NetsdkDevice<'_> {
    /// Reboots the device, once logged in, and waits until it takes connections again. An end of the
    /// visit after the intent is noted is an answer, not an error.
    pub(super) async fn reboot(&mut self, order: &ChangeOrder<'_>) -> Result<Answer, Failure> {
        let change = DeviceChange {
            setting: Some("reboot".to_owned()),
            new: Some("restarted".to_owned()),
            ..DeviceChange::default()
        };
        if order.settling.is_some() {
            let text = "the agent was stopped during the reboot";
            return Ok(open(&change, &Failure::new(ErrorCode::ChangeUnknown, text)));
        }
        if order.order.dry_run {
            return Ok(answer(vec![with(&change, WOULD_CHANGE)], None));
        }
        order.intend(vec![change.clone()]).await?;
        let cancel = self.visit.cancel;
        let said = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(open(&change, &cancelled())),
            said = self.call(&Request::Reboot, CALL) => said,
        };
        match said {
            Ok(SdkAnswer::Done) => {}
            Ok(said) if is_lost_link(&said) => {}
            Ok(said) => {
                let why = Failure {
                    credentials_sent: false,
                    ..self.unexpected(&said)
                };
                return Ok(answer(vec![with(&change, FAILED)], Some(why)));
            }
            // A library that dies or hangs here may have sent it before.
            Err(lost) => tracing::info!(%lost, "the library did not answer the reboot"),
        }
        let end = self.visit.deadline;
        if !self
            .wait_until(false, end.min(Instant::now() + LEAVES))
            .await
        {
            if Instant::now() >= end || cancel.is_cancelled() {
                let text = "nobody waited until the device went away";
                return Ok(open(
                    &change,
                    &Failure::new(ErrorCode::DeviceDeadline, text),
                ));
            }
            let text = "the device took the reboot and did not go away";
            let why = Failure::new(ErrorCode::ChangeUnverified, text);
            return Ok(answer(vec![with(&change, FAILED)], Some(why)));
        }
        if !self.wait_until(true, end).await {
            let text = "the device went away and is not back";
            return Ok(open(
                &change,
                &Failure::new(ErrorCode::DeviceDeadline, text),
            ));
        }
        Ok(answer(vec![with(&change, CHANGED)], None))
    }

    /// Waits until the device takes connections, or does not. Says whether it came to that in time.
    async fn wait_until(&self, there: bool, end: Instant) -> bool {
        while Instant::now() < end && !self.visit.cancel.is_cancelled() {
            let look = tokio::time::timeout(LOOK_MAX, connect(self.visit)).await;
            if matches!(look, Ok(Ok(_))) == there {
                return true;
            }
            tokio::time::sleep(LOOK.min(end.saturating_duration_since(Instant::now()))).await;
        }
        false
    }
}

/// The answer where nobody knows what became of the reboot.
fn open(change: &DeviceChange, why: &Failure) -> Answer {
    answer(vec![with(change, UNKNOWN)], Some(unknown(why)))
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
