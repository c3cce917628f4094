//! What the tasks of a coordinator share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use tvtfleet_bus::Bus;
use tvtfleet_bus::clock::Clock;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::model::time::UtcMillis;

use crate::audit::RefusalLimit;
use crate::config::CoordinatorConfig;
use crate::jobs::tracker::Grace;
use crate::pictures::Folder;
use crate::presence::{Moment, Presence};
use crate::replica::Reigning;
use crate::store::{Applied, Store};
use crate::trust::Trust;

/// How long the results stream must have been empty to count as fully applied.
const IDLE_FOR: Duration = Duration::from_secs(2);

/// What the tasks share. Clones share it.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) bus: Bus,
    pub(crate) store: Store,
    pub(crate) config: Arc<CoordinatorConfig>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) started_at: UtcMillis,
    /// Whom to believe; without it everybody whom the server lets in.
    pub(crate) trust: Option<Arc<Trust>>,
    /// The lead among replicas; `None` where there is only this one, or where this one follows.
    pub(crate) lead: Option<Reigning>,
    /// Where pictures are.
    pub(crate) pictures: Arc<Folder>,
    presence: Arc<Mutex<Presence>>,
    /// Counts the transactions that changed a job.
    jobs_changed: Arc<watch::Sender<u64>>,
    /// Set off when a want document has become outdated.
    pub(crate) wants_outdated: Arc<Notify>,
    /// Set off when the audit has a new row.
    pub(crate) audited: Arc<Notify>,
    /// How many refusals the audit still takes.
    pub(crate) refusals: Arc<RefusalLimit>,
    /// Since when the results stream has been empty.
    idle_since: Arc<Mutex<Option<Instant>>>,
}

impl Core {
    pub(crate) fn new(
        bus: Bus,
        store: Store,
        config: CoordinatorConfig,
        clock: Arc<dyn Clock>,
        presence: Presence,
        trust: Option<Arc<Trust>>,
    ) -> Self {
        let pictures = Folder::new(
            config.data_dir.join("pictures"),
            config.pictures.min_free_bytes,
        );
        Self {
            bus,
            store,
            pictures: Arc::new(pictures),
            config: Arc::new(config),
            started_at: clock.now(),
            clock,
            trust,
            lead: None,
            presence: Arc::new(Mutex::new(presence)),
            jobs_changed: Arc::new(watch::Sender::new(0)),
            wants_outdated: Arc::new(Notify::new()),
            audited: Arc::new(Notify::new()),
            refusals: Arc::default(),
            idle_since: Arc::default(),
        }
    }

    /// The same, with the lead among replicas.
    pub(crate) fn leading(mut self, lead: Option<Reigning>) -> Self {
        self.lead = lead;
        self
    }

    /// Whether this replica may speak for the fleet.
    ///
    /// # Errors
    ///
    /// `coordinator.standby`.
    pub(crate) fn check_lead(&self) -> Result<(), ApiError> {
        match &self.lead {
            Some(reigning) if !reigning.lead.holds() => Err(ApiError {
                code: ErrorCode::CoordinatorStandby,
                message: "this coordinator has lost the lead".to_owned(),
                hint: "try again; another one takes over".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Both readings of the clock.
    pub(crate) fn now(&self) -> Moment {
        Moment {
            utc: self.clock.now(),
            instant: self.clock.instant(),
        }
    }

    /// What is known of the agents. Never held across an await.
    pub(crate) fn presence(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn grace(&self) -> Grace {
        Grace {
            expire: self.config.timing.expire_grace,
            cancel: self.config.timing.cancel_grace,
        }
    }

    /// The name of an operator, or the key where there is none.
    pub(crate) fn operator_name(&self, key: &str) -> String {
        let trust = self.trust.as_deref();
        let grant = trust.and_then(|trust| trust.operator(key));
        grant.map_or_else(|| key.to_owned(), |grant| grant.name)
    }

    /// Wakes whoever watches jobs, and the writer of want documents.
    pub(crate) fn jobs_changed(&self) {
        self.jobs_changed
            .send_modify(|count| *count = count.wrapping_add(1));
        self.wants_outdated.notify_one();
    }

    /// Hears of changed jobs.
    pub(crate) fn watch_jobs(&self) -> watch::Receiver<u64> {
        self.jobs_changed.subscribe()
    }

    /// Takes note of what a transaction of the intake did.
    pub(crate) fn applied(&self, applied: &Applied) {
        {
            let mut presence = self.presence();
            for (site, (epoch, ledger)) in &applied.spools {
                presence.applied(site, *epoch, ledger);
            }
        }
        if applied.wants || !applied.jobs.is_empty() {
            self.jobs_changed();
        }
    }

    /// Tells whether the results stream is empty.
    pub(crate) fn set_idle(&self, idle: bool) {
        let mut since = self
            .idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *since = match (*since, idle) {
            (_, false) => None,
            (None, true) => Some(self.clock.instant()),
            (known, true) => known,
        };
    }

    /// Whether everything in the results stream has been applied for a while.
    pub(crate) fn is_idle(&self) -> bool {
        let since = *self
            .idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| self.clock.instant().duration_since(since) >= IDLE_FOR)
    }
}
