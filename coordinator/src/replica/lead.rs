//! Leads: does all that a coordinator does, and lets the others follow.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use tvtfleet_bus::replica as log;
use tvtfleet_bus::rpc::{Call, Reply, Server};
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::model::replica::{LogMark, SnapshotManifest, StandbyReport};
use tvtfleet_proto::subject::{COORDINATOR_QUEUE, STANDBY_REPORT};
use tvtfleet_proto::wire::v1;

use crate::core::Core;
use crate::intake::chain;
use crate::run::{CoordinatorError, believe, serve_until_stopped};
use crate::serve::unreadable;
use crate::store::lead::{Claim, Lead};
use crate::store::{DbError, Store, StoreError};

use super::follow::Candidacy;
use super::run::Replica;

/// Standbys that are known at a time.
const STANDBYS_MAX: usize = 16;
/// Reports of standbys that are answered at a time.
const REPORTS: usize = 16;
/// How often it looks whether a snapshot is due.
const SNAPSHOT_LOOK: Duration = Duration::from_millis(500);
/// How long to wait after a snapshot that failed.
const SNAPSHOT_PAUSE: Duration = Duration::from_secs(30);

/// The lead, as the tasks of the coordinator have it. Clones share it.
#[derive(Clone)]
pub(crate) struct Reigning {
    pub(crate) lead: Arc<Lead>,
    /// Which log is written.
    generation: i64,
    /// Whether nobody can follow from the log alone.
    broken: bool,
    standbys: Arc<Mutex<BTreeMap<String, Standby>>>,
}

/// What is known of a standby.
#[derive(Clone, Debug)]
pub(crate) struct Standby {
    /// Where its database stood.
    pub(crate) mark: LogMark,
    /// Its version.
    pub(crate) version: String,
    /// When it said so.
    pub(crate) heard: Instant,
}

impl Reigning {
    /// The standbys that have reported lately or at all.
    pub(crate) fn standbys(&self) -> BTreeMap<String, Standby> {
        self.lock().clone()
    }

    fn note(&self, report: StandbyReport) {
        let mut standbys = self.lock();
        if standbys.len() >= STANDBYS_MAX && !standbys.contains_key(&report.name) {
            return;
        }
        let standby = Standby {
            mark: report.mark,
            version: report.version,
            heard: Instant::now(),
        };
        standbys.insert(report.name, standby);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Standby>> {
        self.standbys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the lead if nobody else does, and keeps it as long as it lasts.
///
/// # Errors
///
/// What ends a coordinator; not that the lead is lost.
pub(super) async fn reign(
    replica: &Replica,
    store: &Store,
    candidacy: Candidacy,
) -> Result<(), CoordinatorError> {
    let lead = Lead::new(replica.settings.lease);
    let claim = Claim {
        name: replica.settings.name.clone(),
        log: candidacy.log,
        generation: candidacy.generation,
        lead: Arc::clone(&lead),
        runtime: Handle::current(),
    };
    if let Err(error) = store.lead(claim).await {
        let contested = matches!(
            error,
            StoreError::Failed {
                source: DbError::Log(_),
                ..
            }
        );
        if contested {
            tracing::info!(error = chain(&error), "the lead was not taken");
            return Ok(());
        }
        return Err(error.into());
    }
    let mark = lead.mark();
    tracing::info!(name = %replica.settings.name, term = mark.term, "this replica leads");
    let reigning = Reigning {
        lead: Arc::clone(&lead),
        generation: candidacy.generation,
        broken: candidacy.broken,
        standbys: Arc::default(),
    };
    let result = async {
        let trust = believe(&replica.config, store).await?;
        serve_until_stopped(
            replica.config.clone(),
            store.clone(),
            trust,
            &replica.bus,
            &replica.shutdown,
            Some(reigning),
        )
        .await
    };
    let result = result.await;
    let lost = lead.lost.is_cancelled();
    if lost {
        tracing::warn!(name = %replica.settings.name, term = mark.term, "the lead is lost");
    } else if replica.shutdown.is_requested() {
        // All that wrote has ended: a standby need not wait for the lease.
        match store.resign().await {
            Ok(()) => tracing::info!(name = %replica.settings.name, "the lead is handed over"),
            Err(error) => tracing::warn!(error = chain(&error), "the lead is not handed over"),
        }
    }
    store.give_up().await?;
    let mut hearsay = replica.hearsay();
    hearsay.heard = Instant::now();
    hearsay.level = None;
    drop(hearsay);
    match result {
        Err(error) if lost => {
            tracing::info!(error = chain(&error), "ended with the lead");
            Ok(())
        }
        result => result,
    }
}

/// Keeps the lead until `stop`, or until it is lost.
pub(crate) async fn keep_lead(core: Core, stop: CancellationToken) -> Result<(), CoordinatorError> {
    let Some(reigning) = core.lead.clone() else {
        return Ok(());
    };
    let reports = Server::open(&core.bus, STANDBY_REPORT, COORDINATOR_QUEUE, REPORTS).await?;
    let noting = reigning.clone();
    let reports = reports.run(
        move |call| std::future::ready(hear(&noting, &call)),
        stop.clone(),
    );
    tokio::select! {
        ended = reports => Ok(ended?),
        () = reigning.lead.lost.cancelled() => Ok(()),
        () = beat(&core.store, &reigning.lead) => Ok(()),
        () = make_snapshots(&core, &reigning) => Ok(()),
        () = stop.cancelled() => Ok(()),
    }
}

fn hear(reigning: &Reigning, call: &Call) -> Result<Reply, ApiError> {
    let report = call.open::<v1::StandbyReport>()?;
    reigning.note(report.try_into().map_err(unreadable)?);
    let mark = Some(reigning.lead.mark().into());
    Ok(Reply::of(&v1::StandbyNoted { mark }))
}

/// Says that the leader is alive where nothing else has said so. Ends when the lead is lost.
async fn beat(store: &Store, lead: &Lead) {
    let interval = lead.lease.checked_div(5).unwrap_or(lead.lease);
    loop {
        let wait = interval.saturating_sub(lead.silent());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
            continue;
        }
        if let Err(error) = store.beat().await {
            tracing::warn!(error = chain(&error), "no sign of life given");
            lead.lost.cancel();
            return;
        }
    }
}

/// Makes a snapshot whenever the log alone would not do for a newcomer.
async fn make_snapshots(core: &Core, reigning: &Reigning) {
    let quarter = core.config.declarations().log_max_bytes / 4;
    let mut covered = None;
    loop {
        let logged = reigning.lead.logged.load(Ordering::Relaxed);
        let wait = match covered {
            Some(covered) if logged.saturating_sub(covered) < quarter => SNAPSHOT_LOOK,
            None if !reigning.broken && is_usable(core, reigning).await => {
                covered = Some(logged);
                SNAPSHOT_LOOK
            }
            _ => match make_snapshot(core).await {
                Ok(()) => {
                    covered = Some(logged);
                    SNAPSHOT_LOOK
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "no snapshot made");
                    SNAPSHOT_PAUSE
                }
            },
        };
        tokio::time::sleep(wait).await;
    }
}

/// Whether a newcomer can start from the newest snapshot.
async fn is_usable(core: &Core, reigning: &Reigning) -> bool {
    let Ok(Some(newest)) = log::newest(&core.bus).await else {
        return false;
    };
    let Ok(state) = log::state(&core.bus).await else {
        return false;
    };
    let schema = core
        .store
        .read("read the version", crate::store::lead::standing)
        .await;
    newest.log == reigning.generation
        && newest.position.saturating_add(1) >= state.first
        && newest.position <= state.last
        && schema.is_ok_and(|standing| standing.schema == newest.schema)
}

async fn make_snapshot(core: &Core) -> Result<(), CoordinatorError> {
    let began = Instant::now();
    let path = core.config.data_dir.join("snapshot.tmp");
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(StoreError::Open { path, source }.into());
        }
        Ok(()) | Err(_) => {}
    }
    let standing = core.store.copy(&path).await?;
    let manifest = SnapshotManifest {
        id: Uuid::new_v4().simple().to_string(),
        mark: standing.mark,
        schema: standing.schema,
        parts: 0,
        bytes: 0,
        sha256: [0; 32],
        leader: standing.leader,
        made_at: core.clock.now(),
        log: standing.log,
        position: standing.position,
    };
    let stored = log::store(&core.bus, &path, manifest).await;
    if let Err(error) = std::fs::remove_file(&path) {
        tracing::debug!(%error, "the file of the snapshot stays");
    }
    let stored = stored?;
    tracing::info!(
        bytes = stored.bytes,
        number = stored.mark.number,
        seconds = began.elapsed().as_secs_f32(),
        "snapshot for standbys made"
    );
    Ok(())
}
