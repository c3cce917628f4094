//! What the agents of a swarm write down together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The swarm's own counters.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// When each agent was let in first, by the site's number, since the last [`Self::begin`].
    welcomes: Mutex<BTreeMap<u32, Instant>>,
    /// Whether the recorders have changed since the scan before.
    pub(super) changed: AtomicBool,
    batches: AtomicU64,
    bytes: AtomicU64,
    unstored: AtomicU64,
    unanswered: AtomicU64,
    heartbeats: AtomicU64,
}

/// What the swarm has counted so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    /// Batches that the stream took.
    pub(super) batches: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Acknowledgements that did not come.
    pub(super) unstored: u64,
    /// Hellos, heartbeats and reads that were not answered.
    pub(super) unanswered: u64,
    /// Heartbeats that were answered.
    pub(super) heartbeats: u64,
}

impl Books {
    /// Forgets who was let in.
    pub(super) fn begin(&self) {
        self.lock().clear();
    }

    /// An agent was heard by the coordinator and has read what it should be doing.
    pub(super) fn welcome(&self, site: u32) {
        self.lock().entry(site).or_insert_with(Instant::now);
    }

    /// How many agents were let in.
    pub(super) fn welcomed(&self) -> usize {
        self.lock().len()
    }

    /// How long after `began` each agent was let in.
    pub(super) fn waits(&self, began: Instant) -> Vec<Duration> {
        let welcomes = self.lock();
        let waits = welcomes.values();
        waits
            .map(|at| at.saturating_duration_since(began))
            .collect()
    }

    pub(super) fn stored(&self, bytes: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn not_stored(&self) {
        self.unstored.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn not_answered(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn heartbeat(&self) {
        self.heartbeats.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counted(&self) -> Counted {
        Counted {
            batches: self.batches.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            unstored: self.unstored.load(Ordering::Relaxed),
            unanswered: self.unanswered.load(Ordering::Relaxed),
            heartbeats: self.heartbeats.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Instant>> {
        // Nothing that holds it can leave it half done.
        self.welcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
