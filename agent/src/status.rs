//! What the parts of an agent tell each other about its state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use tvtfleet_bus::clock::Clock;
use tvtfleet_proto::model::agent::Progress;
use tvtfleet_proto::model::id::{JobId, WantRevision};

use crate::fleet_time::FleetTime;

/// The state of an agent, as far as the coordinator hears of it.
#[derive(Debug)]
pub(crate) struct Status {
    /// The newest want document that is in the journal.
    taken: watch::Sender<WantRevision>,
    progress: Mutex<BTreeMap<JobId, Progress>>,
    watched: watch::Sender<bool>,
    /// Whether the coordinator asks for new keys of this agent.
    rotate: watch::Sender<bool>,
    /// The want document should be read again.
    pub(crate) reread: Notify,
    /// The coordinator's time.
    pub(crate) time: FleetTime,
}

impl Status {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            taken: watch::Sender::new(WantRevision(0)),
            progress: Mutex::default(),
            watched: watch::Sender::new(false),
            rotate: watch::Sender::new(false),
            reread: Notify::new(),
            time: FleetTime::new(clock),
        }
    }

    pub(crate) fn taken(&self) -> WantRevision {
        *self.taken.borrow()
    }

    pub(crate) fn watch_taken(&self) -> watch::Receiver<WantRevision> {
        self.taken.subscribe()
    }

    pub(crate) fn set_taken(&self, revision: WantRevision) {
        self.taken
            .send_if_modified(|old| std::mem::replace(old, revision) != revision);
    }

    pub(crate) fn watched(&self) -> watch::Receiver<bool> {
        self.watched.subscribe()
    }

    pub(crate) fn set_watched(&self, watched: bool) {
        self.watched
            .send_if_modified(|old| std::mem::replace(old, watched) != watched);
    }

    pub(crate) fn rotate(&self) -> watch::Receiver<bool> {
        self.rotate.subscribe()
    }

    pub(crate) fn set_rotate(&self, rotate: bool) {
        self.rotate
            .send_if_modified(|old| std::mem::replace(old, rotate) != rotate);
    }

    pub(crate) fn set_progress(&self, progress: Progress) {
        self.lock().insert(progress.job, progress);
    }

    pub(crate) fn clear_progress(&self, job: JobId) {
        self.lock().remove(&job);
    }

    pub(crate) fn progress(&self) -> Vec<Progress> {
        self.lock().values().copied().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<JobId, Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
