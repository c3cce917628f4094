//! What to do about a want document: compares what is wanted with what the journal knows. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{JobWant, SiteOutcome, WantDoc, WantState};

/// Where a job of the journal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is being worked on, or will be.
    Active,
    /// The site is done with it.
    Ended,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Take the job into the journal and begin.
    Accept(JobWant),
    /// Take the job into the journal as ended, and say so: it is not begun.
    Decline(JobWant, SiteOutcome),
    /// Stop the job at the next safe point.
    Cancel(JobId),
    /// Drop the job from the journal: nobody wants it any more, and it has ended.
    Forget(JobId),
}

/// Compares a document with the journal. Doing what it says and comparing again gives nothing.
pub(crate) fn reconcile(
    known: &BTreeMap<JobId, Known>,
    doc: &WantDoc,
    now: UtcMillis,
) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut wanted = BTreeSet::new();
    for want in &doc.jobs {
        if !wanted.insert(want.job) {
            continue;
        }
        match (known.get(&want.job), want.state) {
            (None, WantState::Cancel) => {
                actions.push(Action::Decline(want.clone(), SiteOutcome::Cancelled));
            }
            (None, WantState::Run) if want.not_after <= now => {
                actions.push(Action::Decline(want.clone(), SiteOutcome::Expired));
            }
            (None, WantState::Run) => actions.push(Action::Accept(want.clone())),
            (Some(Known::Active), WantState::Cancel) => actions.push(Action::Cancel(want.job)),
            (Some(Known::Active), WantState::Run) | (Some(Known::Ended), _) => {}
        }
    }
    for (job, state) in known.iter().filter(|(job, _)| !wanted.contains(job)) {
        actions.push(match state {
            Known::Active => Action::Cancel(*job),
            Known::Ended => Action::Forget(*job),
        });
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tvtfleet_proto::model::id::WantRevision;

    fn job(n: u128) -> JobId {
        JobId::new(uuid::Uuid::from_u128(n))
    }

    fn want(n: u128, state: WantState, not_after: i64) -> JobWant {
        JobWant {
            job: job(n),
            state,
            not_after: UtcMillis::new(not_after),
            traceparent: String::new(),
            target_count: 1,
            work: None,
            order: None,
        }
    }

    fn doc(jobs: Vec<JobWant>) -> WantDoc {
        let site = "acme/depot".parse().unwrap();
        WantDoc {
            site,
            revision: WantRevision(1),
            issued_at: UtcMillis::new(0),
            jobs,
            operators: None,
            credentials: Vec::new(),
        }
    }

    fn now() -> UtcMillis {
        UtcMillis::new(0)
    }

    #[test]
    fn the_table() {
        use WantState::{Cancel, Run};
        let (late, early) = (10, -10);
        let rows = [
            (
                None,
                Some((Run, late)),
                Some(Action::Accept(want(1, Run, late))),
            ),
            (
                None,
                Some((Run, early)),
                Some(Action::Decline(want(1, Run, early), SiteOutcome::Expired)),
            ),
            (
                None,
                Some((Cancel, late)),
                Some(Action::Decline(
                    want(1, Cancel, late),
                    SiteOutcome::Cancelled,
                )),
            ),
            (Some(Known::Active), Some((Run, late)), None),
            (
                Some(Known::Active),
                Some((Cancel, late)),
                Some(Action::Cancel(job(1))),
            ),
            (Some(Known::Active), None, Some(Action::Cancel(job(1)))),
            (Some(Known::Ended), Some((Run, late)), None),
            (Some(Known::Ended), Some((Cancel, late)), None),
            (Some(Known::Ended), None, Some(Action::Forget(job(1)))),
        ];
        for (known, wanted, expected) in rows {
            let journal = known.map(|known| (job(1), known)).into_iter().collect();
            let jobs = wanted
                .map(|(state, end)| want(1, state, end))
                .into_iter()
                .collect();
            let actions = reconcile(&journal, &doc(jobs), now());
            assert_eq!(actions.first().cloned(), expected, "{known:?} {wanted:?}");
            assert!(actions.len() <= 1);
        }
    }

    proptest! {
        #[test]
        fn doing_it_leaves_nothing_to_do(
            journal in proptest::collection::btree_map(0_u128..8, any::<bool>(), 0..8),
            wanted in proptest::collection::vec((0_u128..8, any::<bool>(), -5_i64..5), 0..12),
        ) {
            let mut known: BTreeMap<_, _> = journal.into_iter()
                .map(|(n, active)| (job(n), if active { Known::Active } else { Known::Ended })).collect();
            let doc = doc(wanted.into_iter().map(|(n, run, end)| {
                want(n, if run { WantState::Run } else { WantState::Cancel }, end)
            }).collect());
            for action in reconcile(&known, &doc, now()) {
                match action {
                    Action::Accept(want) => prop_assert!(known.insert(want.job, Known::Active).is_none()),
                    Action::Decline(want, _) => prop_assert!(known.insert(want.job, Known::Ended).is_none()),
                    Action::Cancel(job) => prop_assert_eq!(known.insert(job, Known::Ended), Some(Known::Active)),
                    Action::Forget(job) => prop_assert_eq!(known.remove(&job), Some(Known::Ended)),
                }
            }
            // A cancelled job that is not wanted any more has only now ended.
            known.retain(|job, _| doc.jobs.iter().any(|want| want.job == *job));
            prop_assert_eq!(reconcile(&known, &doc, now()), []);
        }
    }
}
