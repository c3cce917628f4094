//! Runs a coordinator: opens what it needs, starts its tasks, and ends them in order.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use tvtfleet_bus::clock::{Clock as _, SystemClock};
use tvtfleet_bus::rpc::Server;
use tvtfleet_bus::settings::SettingsError;
use tvtfleet_bus::{Bus, BusError, Shutdown, connect};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::subject::{API_ALL, COORDINATOR_QUEUE, ENROLL, RPC_ALL};

use crate::config::{ConfigError, CoordinatorConfig};
use crate::core::Core;
use crate::presence::Presence;
use crate::replica::{self, Reigning};
use crate::store::{Store, StoreError, belief, site};
use crate::trust::{self as enrolment, Trust, TrustStartError};
use crate::{agents, audit, channels, intake, pictures, publish, retention, serve, watchdog};

/// Requests of agents that are answered at a time: most need no database.
const AGENT_REQUESTS: usize = 256;
/// Requests of operators that are answered at a time, those that are held included.
pub(crate) const API_REQUESTS: usize = 128;
/// Newcomers that are answered at a time; those that are refused hold a place for a moment.
const NEWCOMERS: usize = 64;
/// How long the tasks and the connection may take to end.
pub(crate) const END_LIMIT: Duration = Duration::from_secs(15);

/// The coordinator cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// The settings cannot be used.
    #[error("the configuration cannot be used")]
    Config(#[from] ConfigError),
    /// The database cannot be used.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    /// The bus cannot be used.
    #[error("the message bus cannot be used")]
    Bus(#[from] BusError),
    /// The operating system gives no threads or signals.
    #[error("the operating system refuses threads or signals")]
    Runtime(#[source] std::io::Error),
    /// It is not clear whom to believe.
    #[error("it is not clear whom to believe")]
    Trust(#[from] TrustStartError),
    /// A task of the program failed.
    #[error("a task of the coordinator failed")]
    Task(#[source] tokio::task::JoinError),
}

impl CoordinatorError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Config(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Bus(error) => error.code(),
            Self::Trust(error) => error.code(),
            Self::Runtime(_) | Self::Task(_) => ErrorCode::Internal,
        }
    }

    /// What the operator may try next.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Bus(error) => error.hint(),
            Self::Store(StoreError::InUse(_)) => Some("stop the other coordinator first"),
            Self::Store(StoreError::Version { .. }) => {
                Some("use the program that wrote it, or a newer one")
            }
            Self::Config(ConfigError::Nats(SettingsError::Exposed(_))) => {
                Some("chmod o-r the file")
            }
            Self::Config(_) => Some("see the example coordinator.toml"),
            Self::Trust(_) => Some("see the trust section that `tvtctl admin init` wrote"),
            Self::Store(_) | Self::Runtime(_) | Self::Task(_) => None,
        }
    }
}

/// Runs a coordinator until `shutdown` is requested. It is ready when it answers requests.
///
/// # Errors
///
/// `config.invalid`; the `storage.` codes where the database cannot be opened or fails; the `bus.`
/// codes for what waiting does not mend. A server that cannot be reached is waited for.
pub async fn run(config: CoordinatorConfig, shutdown: Shutdown) -> Result<(), CoordinatorError> {
    config.check()?;
    if let Some(settings) = config.replica.clone() {
        return replica::run(config, settings, shutdown).await;
    }
    let (store, closed) = Store::open(&config.data_dir)?;
    let trust = believe(&config, &store).await?;
    let options = config.connect_options();
    let bus = tokio::select! {
        bus = connect(&options) => bus?,
        () = shutdown.requested() => return Ok(()),
    };
    let result = serve_until_stopped(config, store, trust, &bus, &shutdown, None).await;
    bus.close(END_LIMIT).await;
    if tokio::time::timeout(END_LIMIT, closed.wait())
        .await
        .is_err()
    {
        tracing::warn!("the database was not closed in time");
    }
    result
}

/// Learns whom to believe, where there is a trust section.
pub(crate) async fn believe(
    config: &CoordinatorConfig,
    store: &Store,
) -> Result<Option<Arc<Trust>>, CoordinatorError> {
    let Some(settings) = &config.trust else {
        return Ok(None);
    };
    let stored = store.read("read the roster", belief::roster).await?;
    let guarded = config.nats.guarded_folder.as_deref();
    let trust = Trust::open(settings, guarded, stored.as_deref())?;
    if let (revision, Some(words)) = trust.words()
        && let Ok(text) = serde_json::to_string(&words)
    {
        // The file may be newer than what the database has.
        store
            .write("store the roster", move |db| {
                belief::save_roster(db, revision, &text)
            })
            .await?;
    }
    Ok(Some(Arc::new(trust)))
}

/// Does all that a coordinator does, until a stop is asked for or the lead is lost.
pub(crate) async fn serve_until_stopped(
    config: CoordinatorConfig,
    store: Store,
    trust: Option<Arc<Trust>>,
    bus: &Bus,
    shutdown: &Shutdown,
    lead: Option<Reigning>,
) -> Result<(), CoordinatorError> {
    let clock = SystemClock;
    let standings = store.read("read the sites", site::standings).await?;
    let presence = Presence::restore(standings, config.timing.offline_after, clock.instant());
    let core = Core::new(bus.clone(), store, config, Arc::new(clock), presence, trust);
    let core = core.leading(lead);
    tokio::select! {
        ensured = publish::ensure_streams(&core) => ensured?,
        () = shutdown.requested() => return Ok(()),
    }
    let stop = shutdown.child_token();
    let mut tasks: JoinSet<Result<(), CoordinatorError>> = JoinSet::new();
    tasks.spawn(intake::run(core.clone(), stop.clone()));
    tasks.spawn(publish::run(core.clone(), stop.clone()));
    tasks.spawn(watchdog::run(core.clone(), stop.clone()));
    tasks.spawn(channels::run(core.clone(), stop.clone()));
    tasks.spawn(retention::run(core.clone(), stop.clone()));
    if core.lead.is_some() {
        tasks.spawn(replica::keep_lead(core.clone(), stop.clone()));
    }
    tasks.spawn(audit::run(core.clone(), stop.clone()));
    tasks.spawn(pictures::take_in(core.clone(), stop.clone()));
    tasks.spawn(pictures::sweep(core.clone(), stop.clone()));
    let agents = Server::open(bus, RPC_ALL, COORDINATOR_QUEUE, AGENT_REQUESTS).await?;
    let newcomers = Server::open(bus, ENROLL, COORDINATOR_QUEUE, NEWCOMERS).await?;
    let operators = Server::open(bus, API_ALL, COORDINATOR_QUEUE, API_REQUESTS).await?;
    {
        let (core, stop) = (core.clone(), stop.clone());
        tasks.spawn(async move {
            Ok(agents
                .run(
                    move |call| {
                        let core = core.clone();
                        async move {
                            core.check_lead()?;
                            agents::answer(core, call).await
                        }
                    },
                    stop,
                )
                .await?)
        });
    }
    {
        let (core, stop) = (core.clone(), stop.clone());
        tasks.spawn(async move {
            Ok(newcomers
                .run(
                    move |call| {
                        let core = core.clone();
                        async move {
                            core.check_lead()?;
                            enrolment::answer(core, call, None).await
                        }
                    },
                    stop,
                )
                .await?)
        });
    }
    {
        let (core, stop) = (core.clone(), stop.clone());
        tasks.spawn(async move {
            Ok(operators
                .run(
                    move |call| {
                        let core = core.clone();
                        async move {
                            core.check_lead()?;
                            serve::answer(core, call).await
                        }
                    },
                    stop,
                )
                .await?)
        });
    }
    tracing::info!(
        server = bus.servers(),
        version = bus.server_version(),
        "coordinator ready"
    );
    // The first task to end ends them all: either the stop was asked for, or it failed.
    let mut result = Ok(());
    let mut deadline = None;
    while let Some(ended) = next(&mut tasks, deadline).await {
        let ended = ended
            .map_err(CoordinatorError::Task)
            .and_then(|ended| ended);
        if result.is_ok() {
            result = ended;
        }
        stop.cancel();
        deadline = deadline.or_else(|| tokio::time::Instant::now().checked_add(END_LIMIT));
    }
    tasks.abort_all();
    if core.check_lead().is_ok() {
        watchdog::save_presence(&core).await?;
    }
    tracing::info!("coordinator stopped");
    result
}

/// The next task that ends; `None` after the last, or at the deadline.
async fn next<T: 'static>(
    tasks: &mut JoinSet<T>,
    deadline: Option<tokio::time::Instant>,
) -> Option<Result<T, tokio::task::JoinError>> {
    match deadline {
        None => tasks.join_next().await,
        Some(deadline) => tokio::time::timeout_at(deadline, tasks.join_next())
            .await
            .ok()
            .flatten(),
    }
}
