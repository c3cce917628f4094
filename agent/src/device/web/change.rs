//! The steps of a change: look, note the intent, send once, look again.
//!
//! A change that was interrupted is never sent again: after a restart the device is only looked at.
//! What the read-back shows decides, also where the answer to a write was lost.

use std::future::Future;

use tvtfleet_proto::device::edit::{Difference, Plan, Write};
use tvtfleet_proto::device::http::Trouble;
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::answer::DeviceChange;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::report::Failure;

use super::failure;
use crate::device::interface::Answer;
use crate::device::order::{
    CHANGED, ChangeOrder, FAILED, NOT_TRIED, UNCHANGED, UNKNOWN, WOULD_CHANGE, answer, unknown,
    with,
};

/// A driver that can change settings.
pub(super) trait Editor: Send {
    /// Reads what the device shows and plans what is left to be changed.
    fn plans(
        &mut self,
        ask: Ask,
        order: &ChangeOrder<'_>,
    ) -> impl Future<Output = Result<Vec<Plan>, Failure>> + Send;

    /// Sends a change, once. The outer error means that its fate is unknown.
    fn write(
        &mut self,
        write: &Write,
    ) -> impl Future<Output = Result<Result<(), Trouble>, Failure>> + Send;

    /// Begins anew: a session may show what it knew before.
    fn renew(&mut self) -> impl Future<Output = ()> + Send;
}

/// Makes a change, or says what it would be.
pub(super) async fn change(
    editor: &mut impl Editor,
    ask: Ask,
    order: &ChangeOrder<'_>,
) -> Result<Answer, Failure> {
    if let Some(intended) = order.settling {
        return settle(editor, ask, order, intended).await;
    }
    if order.order.undo.is_some() && order.settings.is_empty() {
        // The job that is undone changed nothing here.
        return Ok(answer(Vec::new(), None));
    }
    let before = editor.plans(ask, order).await?;
    let all = || before.iter().flat_map(|plan| &plan.settings);
    let differing = || all().filter(|one| one.differs);
    if order.order.dry_run || differing().next().is_none() {
        let rows = all().map(|one| {
            with(
                &one.change,
                if one.differs { WOULD_CHANGE } else { UNCHANGED },
            )
        });
        return Ok(answer(rows.collect(), None));
    }
    order
        .intend(differing().map(|one| one.change.clone()).collect())
        .await?;
    let mut failed: Option<Failure> = None;
    let mut sent = Vec::new();
    for plan in &before {
        let go = failed.is_none();
        if let Some(write) = plan.write.as_ref().filter(|_| go) {
            match editor.write(write).await {
                Ok(Ok(())) => {}
                Ok(Err(trouble)) => failed = Some(failure(trouble, false)),
                Err(lost) if lost.code.kind() == ErrorKind::Cancelled => {
                    return Ok(lost_all(&before, &lost));
                }
                Err(lost) => failed = Some(lost),
            }
        }
        sent.push(go);
    }
    editor.renew().await;
    let after = editor.plans(ask, order).await;
    Ok(judge(&before, &sent, after, failed))
}

/// Says what became of each setting, by what the device shows now.
fn judge(
    before: &[Plan],
    sent: &[bool],
    after: Result<Vec<Plan>, Failure>,
    failed: Option<Failure>,
) -> Answer {
    let mut rows = Vec::new();
    let (mut wrong, mut open) = (None, None);
    for (plan, sent) in before.iter().zip(sent) {
        for one in &plan.settings {
            let outcome = if !one.differs {
                UNCHANGED
            } else if !sent {
                NOT_TRIED
            } else {
                match &after {
                    Err(error) => {
                        open = Some(unknown(error));
                        UNKNOWN
                    }
                    Ok(after) if took(after, &one.change) => CHANGED,
                    Ok(_) => {
                        let text = "the device took the change and shows something else";
                        wrong = Some(Failure::new(ErrorCode::ChangeUnverified, text));
                        FAILED
                    }
                }
            };
            rows.push(with(&one.change, outcome));
        }
    }
    let tried_all = sent.iter().all(|sent| *sent);
    // A lost answer to a change that is there is no failure.
    let reason = open.or_else(|| match wrong {
        Some(wrong) => Some(failed.unwrap_or(wrong)),
        None if tried_all => None,
        None => failed,
    });
    answer(rows, reason)
}

fn lost_all(before: &[Plan], lost: &Failure) -> Answer {
    let all = before.iter().flat_map(|plan| &plan.settings);
    let rows = all.map(|one| with(&one.change, if one.differs { UNKNOWN } else { UNCHANGED }));
    answer(rows.collect(), Some(unknown(lost)))
}

/// Looks what became of a change that was interrupted.
async fn settle(
    editor: &mut impl Editor,
    ask: Ask,
    order: &ChangeOrder<'_>,
    intended: &[DeviceChange],
) -> Result<Answer, Failure> {
    let after = match editor.plans(ask, order).await {
        Ok(after) => after,
        Err(error) => {
            let rows = intended.iter().map(|change| with(change, UNKNOWN));
            return Ok(answer(rows.collect(), Some(unknown(&error))));
        }
    };
    let mut wrong = None;
    let rows = intended.iter().map(|change| {
        if took(&after, change) {
            return with(change, CHANGED);
        }
        let text =
            "the change was interrupted and the device shows it undone; it was not sent again";
        wrong = Some(Failure::new(ErrorCode::ChangeUnverified, text));
        with(change, FAILED)
    });
    let rows = rows.collect();
    Ok(answer(rows, wrong))
}

fn took(after: &[Plan], change: &DeviceChange) -> bool {
    let same = |one: &&Difference| {
        one.change.channel == change.channel && one.change.setting == change.setting
    };
    after
        .iter()
        .flat_map(|plan| &plan.settings)
        .find(same)
        .is_some_and(|one| !one.differs)
}
