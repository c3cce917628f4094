//! Goes back and forth between following and leading.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tvtfleet_bus::{Bus, Shutdown, connect};

use crate::config::{CoordinatorConfig, ReplicaSettings};
use crate::run::{CoordinatorError, END_LIMIT};
use crate::store::{Closed, Store, StoreError};

use super::follow::{self, Outcome};
use super::lead;

/// What a replica goes by, whether it leads or follows.
pub(super) struct Replica {
    pub(super) config: CoordinatorConfig,
    pub(super) settings: ReplicaSettings,
    pub(super) bus: Bus,
    pub(super) shutdown: Shutdown,
    hearsay: Arc<Mutex<Hearsay>>,
}

/// What a follower knows of its leader.
#[derive(Clone, Debug)]
pub(super) struct Hearsay {
    /// Who leads, or led last; empty where nobody is known.
    pub(super) leader: String,
    /// When it was last heard.
    pub(super) heard: Instant,
    /// When this replica last knew all that the leader had written; `None` is never.
    pub(super) level: Option<Instant>,
}

impl Replica {
    pub(super) fn hearsay(&self) -> MutexGuard<'_, Hearsay> {
        lock(&self.hearsay)
    }

    pub(super) fn shared_hearsay(&self) -> Arc<Mutex<Hearsay>> {
        Arc::clone(&self.hearsay)
    }

    /// For how long nothing was heard of the leader.
    pub(super) fn quiet(&self) -> Duration {
        self.hearsay().heard.elapsed()
    }
}

pub(super) fn lock(hearsay: &Mutex<Hearsay>) -> MutexGuard<'_, Hearsay> {
    hearsay.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one of several replicas until `shutdown` is requested.
///
/// # Errors
///
/// As [`crate::run()`].
pub(crate) async fn run(
    config: CoordinatorConfig,
    settings: ReplicaSettings,
    shutdown: Shutdown,
) -> Result<(), CoordinatorError> {
    let opened = Store::open(&config.data_dir)?;
    let options = config.connect_options();
    let bus = tokio::select! {
        bus = connect(&options) => bus?,
        () = shutdown.requested() => return Ok(()),
    };
    let replica = Replica {
        config,
        settings,
        bus: bus.clone(),
        shutdown,
        hearsay: Arc::new(Mutex::new(Hearsay {
            leader: String::new(),
            heard: Instant::now(),
            level: None,
        })),
    };
    let result = live(&replica, opened).await;
    bus.close(END_LIMIT).await;
    result
}

async fn live(replica: &Replica, opened: (Store, Closed)) -> Result<(), CoordinatorError> {
    let (mut store, mut closed) = opened;
    let mut restored = None;
    let result = loop {
        match follow::follow(replica, &store, &mut restored).await {
            Err(error) => break Err(error),
            Ok(Outcome::Stopped) => break Ok(()),
            Ok(Outcome::Lead(candidacy)) => {
                if let Err(error) = lead::reign(replica, &store, *candidacy).await {
                    break Err(error);
                }
                if replica.shutdown.is_requested() {
                    break Ok(());
                }
            }
            Ok(Outcome::Restore(copy)) => {
                drop(store);
                if tokio::time::timeout(END_LIMIT, closed.wait())
                    .await
                    .is_err()
                {
                    return Err(StoreError::Closed.into());
                }
                install(&replica.config.data_dir, &copy)?;
                (store, closed) = Store::open(&replica.config.data_dir)?;
            }
        }
    };
    drop(store);
    if tokio::time::timeout(END_LIMIT, closed.wait())
        .await
        .is_err()
    {
        tracing::warn!("the database was not closed in time");
    }
    result
}

/// Puts a copy in the place of the database, which is kept beside it until the next time.
fn install(folder: &Path, copy: &Path) -> Result<(), StoreError> {
    let database = Store::file(folder);
    let beside = |suffix: &str| -> PathBuf {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    };
    let failed = |source| StoreError::Open {
        path: database.clone(),
        source,
    };
    // It was closed, so that its log is folded in; what is left of one belongs to no other file.
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(beside(suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    std::fs::rename(&database, beside(".before")).map_err(failed)?;
    std::fs::rename(copy, &database).map_err(failed)?;
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(failed)
}
