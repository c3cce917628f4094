//! A reboot: asked for once, proved by going away and coming back.

use std::future::Future;
use std::time::{Duration, Instant};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::answer::DeviceChange;
use tvtfleet_proto::model::report::Failure;

use super::connect::{cancelled, connect};
use super::interface::Answer;
use super::order::{CHANGED, ChangeOrder, FAILED, UNKNOWN, WOULD_CHANGE, answer, unknown, with};
use super::visit::Visit;

/// Between two looks whether the device is there.
const LOOK: Duration = Duration::from_millis(500);
/// The longest time until it goes away.
const LEAVES: Duration = Duration::from_secs(60);
/// The longest wait for one look.
const LOOK_MAX: Duration = Duration::from_secs(3);

/// What became of the request.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The device took it, or may have.
    Perhaps,
    /// It was refused, or did not leave.
    Refused(Failure),
}

/// Reboots a device that is known to be there by polling `send` once, and waits until it takes
/// connections again. An end of the visit after the intent is noted is an answer, not an error.
///
/// # Errors
///
/// `storage.io`: the intent was not noted, and nothing was sent.
pub(crate) async fn reboot(
    visit: Visit<'_>,
    order: &ChangeOrder<'_>,
    send: impl Future<Output = Sent>,
) -> Result<Answer, Failure> {
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
    let sent = tokio::select! {
        biased;
        () = visit.cancel.cancelled() => return Ok(open(&change, &cancelled())),
        sent = send => sent,
    };
    if let Sent::Refused(why) = sent {
        return Ok(answer(vec![with(&change, FAILED)], Some(why)));
    }
    let end = visit.deadline;
    if !wait_until(visit, false, end.min(Instant::now() + LEAVES)).await {
        if Instant::now() >= end || visit.cancel.is_cancelled() {
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
    if !wait_until(visit, true, end).await {
        let text = "the device went away and is not back";
        return Ok(open(
            &change,
            &Failure::new(ErrorCode::DeviceDeadline, text),
        ));
    }
    Ok(answer(vec![with(&change, CHANGED)], None))
}

/// Waits until the device takes connections, or does not. Says whether it came to that in time.
async fn wait_until(visit: Visit<'_>, there: bool, end: Instant) -> bool {
    while Instant::now() < end && !visit.cancel.is_cancelled() {
        let look = tokio::time::timeout(LOOK_MAX, connect(visit)).await;
        if matches!(look, Ok(Ok(_))) == there {
            return true;
        }
        tokio::time::sleep(LOOK.min(end.saturating_duration_since(Instant::now()))).await;
    }
    false
}

/// The answer where nobody knows what became of the reboot.
fn open(change: &DeviceChange, why: &Failure) -> Answer {
    answer(vec![with(change, UNKNOWN)], Some(unknown(why)))
}
