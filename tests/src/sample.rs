//! Small fleet messages for tests.

use tvtfleet_proto::model::id::{Epoch, JobId, Sequence, SiteId, WantRevision};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{OutBatch, OutItem, SiteEvent, WantDoc};
use uuid::Uuid;

/// A site, written `tenant/site`.
///
/// # Panics
///
/// The text is no site.
#[must_use]
pub fn site(text: &str) -> SiteId {
    text.parse().expect("a site")
}

/// A want document without jobs.
#[must_use]
pub fn want(site: &SiteId, revision: u64) -> WantDoc {
    WantDoc {
        site: site.clone(),
        revision: WantRevision(revision),
        issued_at: UtcMillis::new(1_793_000_000_000),
        jobs: Vec::new(),
        operators: None,
        credentials: Vec::new(),
    }
}

/// The epoch of all samples.
#[must_use]
pub fn epoch() -> Epoch {
    Epoch::new(Uuid::from_u128(0x0E))
}

/// A batch with one event.
#[must_use]
pub fn batch(site: &SiteId, sequence: u64) -> OutBatch {
    OutBatch {
        site: site.clone(),
        epoch: epoch(),
        sequence: Sequence(sequence),
        items: vec![OutItem::Event(SiteEvent::Accepted {
            job: JobId::new(Uuid::from_u128(0x70B)),
            at: UtcMillis::new(1_793_000_000_000),
        })],
    }
}
