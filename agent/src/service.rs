//! The whole agent: opens what it owns, goes on with what it left, and connects the parts.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::FlockOperation;
use tokio::sync::{mpsc, watch};
use tvtfleet_bus::clock::{Clock, SystemClock};
use tvtfleet_bus::{Bus, BusError, Shutdown, connect};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::agent::AgentFacts;
use tvtfleet_proto::model::backend::BackendState;
use tvtfleet_proto::model::id::Epoch;

use crate::backends;
use crate::bridge::{BridgeError, Server};
use crate::budget::{AttemptBudget, KeeperError, drop_memory};
use crate::chain::Chain;
use crate::config::{AgentConfig, ConfigError};
use crate::credentials::{CredentialError, CredentialFile, CredentialSource, NoCredentials};
use crate::device::{CertificatePins, PinError};
use crate::identity::IdentityError;
use crate::job::JobContext;
use crate::jobs::Jobs;
use crate::journal::{JobFile, Journal, JournalError, JournalJob};
use crate::line::Line;
use crate::orders::Operators;
use crate::outbox::{SpoolShared, Writer, filler};
use crate::pictures::{self, Shelf};
use crate::pushes;
use crate::recover::open_journal;
use crate::spool::{Spool, SpoolError};
use crate::status::Status;
use crate::vault::{VaultError, VaultSource};
use crate::work::SiteContext;

/// The file of the devices' certificates in the data folder.
const PINS_FILE: &str = "device-certificates";
/// Want documents that wait; whoever brings more waits.
const QUEUE: usize = 8;
/// The time for work under way to come to a safe point when the agent stops.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// The time for the connection to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The agent cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The settings make no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The credentials of the devices cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The vault cannot be used.
    #[error("cannot use the vault")]
    Vault(#[from] VaultError),
    /// What was asked makes no sense with what is there.
    #[error("{text}")]
    Refused {
        /// The stable code.
        code: ErrorCode,
        /// What and why.
        text: String,
    },
    /// The fingerprints of the devices' certificates cannot be used.
    #[error("cannot use the fingerprints of certificates")]
    Pins(#[from] PinError),
    /// The data folder cannot be used.
    #[error("cannot use the data folder {}", path.display())]
    DataFolder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another agent uses the data folder.
    #[error("another agent uses {}", .0.display())]
    Locked(PathBuf),
    /// The spool cannot be opened.
    #[error("cannot open the spool")]
    Spool(#[from] SpoolError),
    /// The journal cannot be opened.
    #[error("cannot open the journal")]
    Journal(#[from] JournalError),
    /// The memory of refused logins cannot be used.
    #[error("cannot use the memory of refused logins")]
    Budget(#[from] KeeperError),
    /// The bus cannot be used.
    #[error("cannot use the message bus")]
    Bus(#[from] BusError),
    /// The bridge cannot be served.
    #[error("cannot serve the bridge")]
    Bridge(#[from] BridgeError),
    /// The agent's identity cannot be had or kept.
    #[error("the agent is not let in")]
    Identity(#[from] IdentityError),
}

impl AgentError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Config(error) => error.code(),
            Self::Credentials(error) => error.code(),
            Self::Vault(error) => error.code(),
            Self::Refused { code, .. } => *code,
            Self::DataFolder { .. } | Self::Budget(_) => ErrorCode::StorageIo,
            Self::Locked(_) => ErrorCode::StorageLocked,
            Self::Pins(_) => ErrorCode::StorageCorrupt,
            Self::Spool(error) => error.code(),
            Self::Journal(error) => error.code(),
            Self::Bus(error) => error.code(),
            Self::Bridge(error) => error.code(),
            Self::Identity(error) => error.code(),
        }
    }

    /// What may be tried next.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Bus(error) => error.hint(),
            Self::Bridge(error) => Some(error.hint()),
            Self::Locked(_) => Some("stop the other agent, or give this one a data_dir of its own"),
            Self::Identity(error) | Self::Config(ConfigError::Identity(error)) => error.hint(),
            Self::Pins(_) => {
                Some("mend or delete the line; a deleted one accepts the next certificate")
            }
            Self::Config(_)
            | Self::Credentials(_)
            | Self::Vault(_)
            | Self::Refused { .. }
            | Self::DataFolder { .. }
            | Self::Spool(_)
            | Self::Journal(_)
            | Self::Budget(_) => None,
        }
    }
}

/// Runs an agent until it is asked to stop. Many may run in one process, each on its own folder.
///
/// Work that the last life left goes on at once, also without a connection.
///
/// # Errors
///
/// The codes of [`AgentError`]: only at the start, or where the bus refuses for good.
pub async fn run(config: AgentConfig, shutdown: Shutdown) -> Result<(), AgentError> {
    config.check()?;
    let parts = Parts::open(&config)?;
    if let Some(bridge) = config.bridge.clone() {
        let server = Server::bind(bridge, Arc::clone(&parts.devices)).await?;
        shutdown.spawn(server.serve(shutdown.child_token()));
    }
    let result = parts.work(&config, &shutdown).await;
    if !shutdown.finish(STOP_LIMIT).await {
        tracing::warn!("work was cut off; the next start goes on");
    }
    if let Some(bus) = result? {
        bus.close(CLOSE_LIMIT).await;
    }
    Ok(())
}

/// What an agent owns on its disk.
struct Parts {
    /// Held for as long as the agent lives.
    _lock: File,
    spool: Arc<SpoolShared>,
    journal: Journal,
    stored: Vec<(JournalJob, JobFile)>,
    devices: Arc<SiteContext>,
    shelf: Arc<Shelf>,
}

impl Parts {
    fn open(config: &AgentConfig) -> Result<Self, AgentError> {
        let lock = lock(&config.data_dir)?;
        // What is pushed goes into the vault.
        if config.identity.is_some()
            && let Err(error) = config.make_vault_key()
        {
            tracing::warn!(error.r#type = %error.code(), error = %Chain(&error), "there is no key for a vault");
        }
        let mut devices = site_context(config)?;
        devices.budget = AttemptBudget::open(&config.data_dir)?;
        let folder = config.data_dir.join("pictures");
        let shelf = Shelf::open(&folder, config.pictures_max_bytes);
        let shelf = shelf.map_err(|source| AgentError::DataFolder {
            path: folder,
            source,
        })?;
        devices.shelf = Some(Arc::clone(&shelf));
        let devices = Arc::new(devices);
        let site = config.site.clone();
        let new_epoch = Epoch::new(uuid::Uuid::new_v4());
        let fill = |epoch, sequence| filler(&site, epoch, sequence);
        let (mut spool, damages) = Spool::open(
            &config.data_dir.join("spool"),
            config.spool,
            new_epoch,
            &fill,
        )?;
        let folder = config.data_dir.join("jobs");
        let (journal, stored) = open_journal(&folder, &mut spool, damages)?;
        tracing::info!(
            tvt.site.id = %config.site, epoch = %spool.epoch(), committed = spool.committed().0,
            next = spool.next().0, jobs = stored.len(), "agent starts"
        );
        let spool = SpoolShared::new(config.site.clone(), spool);
        Ok(Self {
            _lock: lock,
            spool,
            journal,
            stored,
            devices,
            shelf,
        })
    }

    /// Works until a stop is asked for; returns the connection, if there was one.
    async fn work(
        self,
        config: &AgentConfig,
        shutdown: &Shutdown,
    ) -> Result<Option<Bus>, AgentError> {
        let status = Arc::new(Status::new(Arc::clone(&self.devices.clock)));
        let connection = watch::Sender::new(None);
        let (docs_sender, docs) = mpsc::channel(QUEUE);
        let (writer, writing) = Writer::new(Arc::clone(&self.spool));
        let yielding = pictures::yield_to_reports(Arc::clone(&self.shelf), Arc::clone(&self.spool));
        let stop = shutdown.child_token();
        shutdown.spawn(async move {
            let _stopped = stop.run_until_cancelled(yielding).await;
        });
        shutdown.spawn(writing.run());
        let context = JobContext {
            site: self.spool.site().clone(),
            devices: Arc::clone(&self.devices),
            writer,
            full: self.spool.full(),
            status: Arc::clone(&status),
            bus: connection.subscribe(),
            stop: shutdown.child_token(),
            needs_orders: config.identity.is_some(),
            keep: config.spool.keep,
        };
        let operators = config.identity.clone().map(Operators::open);
        let pushes = config.identity.clone().map(|identity| {
            let vault = config.vault().ok().flatten();
            let clock = Arc::clone(&self.devices.clock);
            let (pushed, taker) = pushes::channel(identity, vault, context.writer.clone(), clock);
            shutdown.spawn(taker.run(shutdown.child_token()));
            pushed
        });
        let jobs = Jobs::resume(context, self.journal, self.stored, operators, pushes);
        shutdown.spawn(jobs.run(docs));

        let mut line = Line {
            spool: self.spool,
            shelf: self.shelf,
            status,
            clock: Arc::clone(&self.devices.clock),
            identity: config.identity.clone(),
            docs: docs_sender,
            connection,
            facts: facts(Vec::new()),
            home: home(&config.data_dir),
            heartbeat: config.heartbeat,
            urls: config.nats.urls.clone(),
        };
        // The library is tried while the connection is made.
        let survey = backends::survey_configured(&config.vendor);
        let start = async { tokio::join!(connected(config, &line), survey) };
        let (bus, backends) = tokio::select! {
            biased;
            () = shutdown.requested() => return Ok(None),
            (bus, backends) = start => (bus?, backends),
        };
        let served = config.bridge.as_ref().map(backends::served);
        line.facts = facts(backends.into_iter().chain(served).collect());
        let mut next = Some(bus);
        loop {
            let bus = match next.take() {
                Some(bus) => bus,
                None => tokio::select! {
                    biased;
                    () = shutdown.requested() => return Ok(None),
                    bus = connected(config, &line) => bus?,
                },
            };
            tracing::info!(
                servers = bus.servers(),
                version = bus.server_version(),
                "connected"
            );
            if let Some(bus) = line.work(bus, shutdown).await {
                return Ok(Some(bus));
            }
        }
    }
}

/// Connects as the agent that it is now.
async fn connected(config: &AgentConfig, line: &Line) -> Result<Bus, AgentError> {
    let options = config.connect_options();
    match line.keeper() {
        Some(keeper) => Ok(keeper.connect(&options).await?),
        None => Ok(connect(&options).await?),
    }
}

/// Makes what the jobs of a site share.
///
/// # Errors
///
/// The codes of [`CredentialError`].
pub fn site_context(config: &AgentConfig) -> Result<SiteContext, AgentError> {
    let guarded = config.nats.guarded_folder.as_deref();
    let file = config.credentials_file.as_ref();
    let file = file.map(|path| CredentialFile::read_guarded(path, guarded));
    let credentials: Box<dyn CredentialSource> = match (config.vault()?, file.transpose()?) {
        (Some(vault), file) => Box::new(VaultSource::open(vault, file)?),
        (None, Some(file)) => Box::new(file),
        (None, None) => Box::new(NoCredentials),
    };
    let pins = CertificatePins::open(&config.data_dir.join(PINS_FILE))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (policy, protocol) = (config.policy.clone(), config.protocol.clone());
    if config.vendor.is_bridge_exposed() {
        tracing::warn!("passwords of devices go to the bridge in clear; use https");
    }
    if config.vendor.script_argv {
        tracing::warn!("every user of this computer can read passwords while the script runs");
    }
    Ok(SiteContext::new(credentials, policy, protocol, clock)
        .with_vendor(config.vendor.clone())
        .with_parallel(config.parallel)
        .with_retry(config.retry)
        .with_snapshots(config.snapshots.clone())
        .with_web(config.web.clone(), Arc::new(pins)))
}

/// Forgets which logins devices have refused: for an operator who knows that an account is free again.
/// The agent of the data folder must not run. Returns how many refusals and locks there were.
///
/// # Errors
///
/// `storage.locked` where the agent runs, `storage.io`.
pub fn forget_refusals(config: &AgentConfig) -> Result<usize, AgentError> {
    let _lock = lock(&config.data_dir)?;
    Ok(drop_memory(&config.data_dir)?)
}

/// Makes the data folder and takes it for this process.
pub(crate) fn lock(folder: &Path) -> Result<File, AgentError> {
    let broken = |source| AgentError::DataFolder {
        path: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(broken)?;
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(folder.join("lock"))
        .map_err(broken)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(AgentError::Locked(folder.to_owned())),
        Err(error) => Err(broken(error.into())),
    }
}

/// The name of this box.
#[must_use]
pub fn hostname() -> String {
    facts(Vec::new()).hostname
}

/// What tells a copy of a data folder from the original: the boot of the box and the folder itself.
/// A restart of the agent changes neither.
fn home(folder: &Path) -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let place = rustix::fs::stat(folder).map_or_else(
        |_| String::new(),
        |stat| format!("{}.{}", stat.st_dev, stat.st_ino),
    );
    format!("{}.{place}", boot.trim())
}

fn facts(backends: Vec<BackendState>) -> AgentFacts {
    let names = rustix::system::uname();
    AgentFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hostname: names.nodename().to_string_lossy().into_owned(),
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        backends,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_a_data_folder_is_another_home() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(home(one.path()), home(one.path()));
        assert_ne!(home(one.path()), home(two.path()));
    }

    #[test]
    fn a_data_folder_has_one_agent() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        let error = lock(folder.path()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::StorageLocked);
        assert!(error.hint().is_some());
        drop(first);
        assert!(lock(folder.path()).is_ok());
    }
}
