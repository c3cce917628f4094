//! Turns the open jobs of a site into its want document.
//!
//! Pure. A document is level-triggered: it names everything the site should be doing now, so that
//! writing it twice, or skipping one in between, changes nothing.

use prost::Message;

use tvtfleet_proto::model::id::{JobId, SiteId, WantRevision};
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::signed::SignedStatement;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{JobWant, SiteWork, Target, WANT_MAX, WantDoc, WantState};
use tvtfleet_proto::wire::v1;

/// Room for the packing byte and for the tag and length that a nested message gets.
const OVERHEAD: usize = 16;

/// One open job of a site, as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SiteJob {
    /// The job.
    pub(crate) job: JobId,
    /// Whether it is to stop.
    pub(crate) cancelled: bool,
    /// Its deadline.
    pub(crate) not_after: UtcMillis,
    /// The trace that it belongs to.
    pub(crate) traceparent: String,
    /// How to do it.
    pub(crate) options: WorkOptions,
    /// The site's devices in it.
    pub(crate) targets: Vec<Target>,
    /// The operator's order, where the job changes devices.
    pub(crate) order: Option<SignedStatement>,
}

/// What a site is told besides its jobs: at most half of [`WANT_MAX`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Whose orders count.
    pub(crate) operators: Option<SignedStatement>,
    /// Credentials for its vault.
    pub(crate) credentials: Vec<SignedStatement>,
}

/// The want document of a site: its open jobs, oldest first, in at most [`WANT_MAX`] bytes.
///
/// Where everything does not fit, the largest work is left out first and fetched by the agent.
/// Where even so it does not fit, the newest jobs wait until older ones have ended.
pub(crate) fn document(
    site: &SiteId,
    revision: WantRevision,
    issued_at: UtcMillis,
    jobs: Vec<SiteJob>,
    told: Told,
) -> WantDoc {
    let mut wants: Vec<JobWant> = jobs.into_iter().map(want).collect();
    let mut sizes: Vec<(usize, usize)> = wants.iter().map(size).collect();
    let empty = WantDoc {
        site: site.clone(),
        revision,
        issued_at,
        jobs: Vec::new(),
        operators: told.operators,
        credentials: told.credentials,
    };
    let fixed = v1::WantDoc::from(empty.clone())
        .encoded_len()
        .saturating_add(OVERHEAD);
    let mut total: usize = sizes
        .iter()
        .map(|(bare, work)| bare.saturating_add(*work))
        .sum();
    let limit = WANT_MAX.saturating_sub(fixed);
    while total > limit {
        let largest = sizes
            .iter()
            .enumerate()
            .filter(|(_, (_, work))| *work > 0)
            .max_by_key(|(_, size)| size.1);
        if let Some((index, (_, work))) = largest.map(|(index, size)| (index, *size)) {
            total = total.saturating_sub(work);
            if let (Some(want), Some(size)) = (wants.get_mut(index), sizes.get_mut(index)) {
                want.work = None;
                size.1 = 0;
            }
        } else {
            let Some((bare, _)) = sizes.pop() else { break };
            wants.pop();
            total = total.saturating_sub(bare);
        }
    }
    WantDoc {
        jobs: wants,
        ..empty
    }
}

/// The revision of the next document: above everything that anybody has seen.
///
/// `known` is the database's, `elsewhere` what an agent has taken or the bucket holds. The latter
/// are ahead where the database was restored from a backup.
pub(crate) fn next_revision(known: WantRevision, elsewhere: WantRevision) -> WantRevision {
    WantRevision(known.max(elsewhere).0.saturating_add(1))
}

fn want(job: SiteJob) -> JobWant {
    let state = if job.cancelled {
        WantState::Cancel
    } else {
        WantState::Run
    };
    JobWant {
        job: job.job,
        state,
        not_after: job.not_after,
        traceparent: job.traceparent,
        target_count: u32::try_from(job.targets.len()).unwrap_or(u32::MAX),
        // Who is to stop needs no list of devices.
        work: (!job.cancelled).then_some(SiteWork {
            options: job.options,
            targets: job.targets,
        }),
        order: job.order,
    }
}

/// The encoded bytes of a want without its work, and of its work.
fn size(want: &JobWant) -> (usize, usize) {
    let bare = JobWant {
        work: None,
        ..want.clone()
    };
    let bare = v1::JobWant::from(bare)
        .encoded_len()
        .saturating_add(OVERHEAD);
    let work = want.work.clone().map_or(0, |work| {
        v1::SiteWork::from(work)
            .encoded_len()
            .saturating_add(OVERHEAD)
    });
    (bare, work)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tvtfleet_proto::envelope;
    use tvtfleet_proto::model::id::TargetNo;
    use uuid::Uuid;

    use super::*;

    fn job(number: u128, targets: u32) -> SiteJob {
        SiteJob {
            job: JobId::new(Uuid::from_u128(number)),
            cancelled: false,
            not_after: UtcMillis::new(1),
            traceparent: String::new(),
            options: WorkOptions::default(),
            order: None,
            targets: (0..targets)
                .map(|n| Target {
                    number: TargetNo(n),
                    endpoint: format!("10.{}.{}.{}:6036", n >> 16, (n >> 8) & 255, n & 255)
                        .parse()
                        .unwrap(),
                    known_mac: None,
                    trusted: true,
                    credential: None,
                    settings: Default::default(),
                })
                .collect(),
        }
    }

    fn build(jobs: Vec<SiteJob>) -> WantDoc {
        let site = "acme/depot".parse().unwrap();
        document(
            &site,
            WantRevision(7),
            UtcMillis::new(5),
            jobs,
            Told::default(),
        )
    }

    #[test]
    fn small_work_travels_in_the_document() {
        let doc = build(vec![job(1, 3), job(2, 1)]);
        assert_eq!(doc.revision, WantRevision(7));
        let counts: Vec<_> = doc
            .jobs
            .iter()
            .map(|want| want.work.as_ref().unwrap().targets.len())
            .collect();
        assert_eq!(counts, [3, 1]);
    }

    #[test]
    fn the_largest_work_is_fetched_instead() {
        let doc = build(vec![job(1, 10), job(2, 20_000), job(3, 10)]);
        let inline: Vec<_> = doc.jobs.iter().map(|want| want.work.is_some()).collect();
        assert_eq!(inline, [true, false, true]);
        assert_eq!(doc.jobs[1].target_count, 20_000);
    }

    #[test]
    fn a_stopped_job_carries_no_work() {
        let doc = build(vec![SiteJob {
            cancelled: true,
            ..job(1, 5)
        }]);
        assert_eq!(
            (doc.jobs[0].state, &doc.jobs[0].work),
            (WantState::Cancel, &None)
        );
    }

    #[test]
    fn too_many_jobs_wait_and_the_oldest_go_first() {
        let doc = build((0..5000).map(|number| job(number, 1)).collect());
        assert!(
            doc.jobs.len() < 5000 && doc.jobs.len() > 1000,
            "{}",
            doc.jobs.len()
        );
        assert_eq!(doc.jobs[0].job, JobId::new(Uuid::from_u128(0)));
    }

    #[test]
    fn a_revision_passes_everything_seen() {
        assert_eq!(
            next_revision(WantRevision(3), WantRevision(0)),
            WantRevision(4)
        );
        assert_eq!(
            next_revision(WantRevision(3), WantRevision(9)),
            WantRevision(10)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_document_passes_the_limit(sizes in proptest::collection::vec(0_u32..3000, 0..12)) {
            let jobs: Vec<_> = sizes.iter().zip(0..).map(|(size, n)| job(n, *size)).collect();
            let doc = build(jobs);
            prop_assert_eq!(doc.jobs.len(), sizes.len());
            let sealed = envelope::seal(&v1::WantDoc::from(doc.clone()));
            prop_assert!(sealed.len() <= WANT_MAX);
            prop_assert!(v1::WantDoc::from(doc).encoded_len() < WANT_MAX);
        }
    }
}
