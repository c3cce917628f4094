//! A reboot: asked for once, proved by going away and coming back.
//!
//! No interface tells how long a device has been up, so a reboot that was interrupted here cannot be
//! seen afterwards: it stays unknown.

use std::time::{Duration, Instant};

use tvtfleet_proto::device::edit::Write;
use tvtfleet_proto::device::webapi::{Dialect, Query, Scope};
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::answer::DeviceChange;
use tvtfleet_proto::model::report::Failure;

use super::failure;
use super::link::Link;
use super::webapi::{Message, WebApiDevice};
use crate::device::interface::Answer;
use crate::device::order::{
    CHANGED, ChangeOrder, FAILED, UNKNOWN, WOULD_CHANGE, answer, unknown, with,
};

/// Between two looks whether the device is there.
const LOOK: Duration = Duration::from_millis(500);
/// The longest time until it goes away.
const LEAVES: Duration = Duration::from_secs(60);
/// The longest wait for one look.
const LOOK_MAX: Duration = Duration::from_secs(3);

impl WebApiDevice<'_> {
    /// Reboots the device and waits until it is back.
    pub(super) async fn reboot(&mut self, order: &ChangeOrder<'_>) -> Result<Answer, Failure> {
        let change = DeviceChange {
            setting: Some("reboot".to_owned()),
            new: Some("restarted".to_owned()),
            ..DeviceChange::default()
        };
        if order.settling.is_some() {
            let why = Failure::new(
                ErrorCode::ChangeUnknown,
                "the agent was stopped during the reboot",
            );
            return Ok(answer(vec![with(&change, UNKNOWN)], Some(unknown(&why))));
        }
        // Also shows that the device is there, and that the account may log in.
        self.identity().await?;
        if order.order.dry_run {
            return Ok(answer(vec![with(&change, WOULD_CHANGE)], None));
        }
        order.intend(vec![change.clone()]).await?;
        let write = Write {
            command: "Reboot",
            channel: None,
            parts: Vec::new(),
        };
        match self.exchange(Message::Write(&write)).await {
            Ok(Ok(_)) => {}
            Ok(Err(trouble)) => {
                let why = failure(trouble, false);
                return Ok(answer(vec![with(&change, FAILED)], Some(why)));
            }
            Err(lost) if lost.code.kind() == ErrorKind::Cancelled => {
                return Ok(answer(vec![with(&change, UNKNOWN)], Some(unknown(&lost))));
            }
            // Devices go away in the middle of the answer.
            Err(_) => {}
        }
        let end = self.visit.deadline;
        let leaves = end.min(Instant::now() + LEAVES);
        if !self.wait_until(false, leaves).await {
            let text = "the device took the reboot and did not go away";
            let why = Failure::new(ErrorCode::ChangeUnverified, text);
            return Ok(answer(vec![with(&change, FAILED)], Some(why)));
        }
        if !self.wait_until(true, end).await {
            let why = Failure::new(
                ErrorCode::DeviceDeadline,
                "the device went away and is not back",
            );
            return Ok(answer(vec![with(&change, UNKNOWN)], Some(unknown(&why))));
        }
        Ok(answer(vec![with(&change, CHANGED)], None))
    }

    /// Waits until the device answers, or until it does not. Says whether it came to that in time.
    async fn wait_until(&self, there: bool, end: Instant) -> bool {
        while Instant::now() < end && !self.visit.cancel.is_cancelled() {
            if self.is_there().await == there {
                return true;
            }
            tokio::time::sleep(LOOK.min(end.saturating_duration_since(Instant::now()))).await;
        }
        false
    }

    /// Whether the web interface answers anything; no credential is shown.
    async fn is_there(&self) -> bool {
        let Ok(request) = Query::Info.request(Dialect::Flat, "2.0.0", &Scope::default()) else {
            return false;
        };
        let mut link = Link::new(self.visit, true);
        let look = tokio::time::timeout(LOOK_MAX, link.send(&request)).await;
        matches!(look, Ok(Ok(_)))
    }
}
