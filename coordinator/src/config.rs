//! The coordinator's settings: a file, and variables that win over it.

mod pictures;
mod replica;
mod retention;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use tvtfleet_bus::config_file::{self, ConfigFileError};
use tvtfleet_bus::settings::{NatsSection, NatsVariables, SettingsError};
use tvtfleet_bus::streams::{Declarations, Replicas};
use tvtfleet_bus::{ConnectOptions, NatsSettings};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::want::OFFLINE_AFTER;

pub use pictures::PictureSettings;
use pictures::PicturesSection;
use replica::ReplicaSection;
pub use replica::ReplicaSettings;
pub use retention::Retention;
use retention::RetentionSection;

/// The server where nobody names one.
const DEFAULT_URL: &str = "nats://127.0.0.1:4222";
/// For how long an agent's token is good where nobody says.
const TOKEN_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// The name of the results stream's consumer.
const DURABLE: &str = "coordinator";
/// The shortest life of a token: its times are whole seconds.
const TOKEN_LIFE_MIN: Duration = Duration::from_secs(2);
/// The folder of the database.
pub const DATA_DIR_VARIABLE: &str = "TVT_COORDINATOR_DATA_DIR";
/// The NATS servers, separated by commas.
pub const NATS_URL_VARIABLE: &str = "TVT_COORDINATOR_NATS_URL";
/// The NATS credentials file.
pub const NATS_CREDENTIALS_VARIABLE: &str = "TVT_COORDINATOR_NATS_CREDENTIALS";
/// The file with the certificates of the authorities that vouch for the server.
pub const NATS_CA_VARIABLE: &str = "TVT_COORDINATOR_NATS_CA";
/// `true` lets it use a server on this machine without credentials.
pub const INSECURE_DEV_VARIABLE: &str = "TVT_COORDINATOR_INSECURE_DEV";

/// The file with user and password for the NATS server.
pub const NATS_LOGIN_VARIABLE: &str = "TVT_COORDINATOR_NATS_LOGIN";
/// The key to which enrolment is sealed.
pub const KEY_FILE_VARIABLE: &str = "TVT_COORDINATOR_KEY_FILE";
/// The variables of the `[nats]` section.
const NATS_VARIABLES: NatsVariables = NatsVariables {
    urls: NATS_URL_VARIABLE,
    credentials: NATS_CREDENTIALS_VARIABLE,
    login: NATS_LOGIN_VARIABLE,
    ca: NATS_CA_VARIABLE,
    insecure_dev: INSECURE_DEV_VARIABLE,
};

/// The settings of a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorConfig {
    /// The folder of the database; made where it is missing.
    pub data_dir: PathBuf,
    /// The message bus.
    pub nats: NatsSettings,
    /// What the message bus keeps.
    pub streams: StreamSettings,
    /// Whom to believe; without it everybody whom the server lets in is an operator.
    pub trust: Option<TrustSettings>,
    /// How long to wait for what.
    pub timing: Timing,
    /// How long to keep what.
    pub retention: Retention,
    /// One of several replicas; without it the only coordinator.
    pub replica: Option<ReplicaSettings>,
    /// How pictures are kept.
    pub pictures: PictureSettings,
}

/// Whom to believe. `tvtctl admin init` writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustSettings {
    /// The public key of the fleet's authority.
    pub authority: String,
    /// What the authority said when the file was written.
    pub roster_file: PathBuf,
    /// The key to which enrolment is sealed, mode 0600.
    pub key_file: PathBuf,
    /// For how long an agent's token is good, in milliseconds; agents renew it at half of it. `None`
    /// is a week.
    #[serde(default)]
    pub token_life_ms: Option<u64>,
}

impl TrustSettings {
    /// For how long an agent's token is good.
    pub(crate) fn token_life(&self) -> Duration {
        self.token_life_ms.map_or(TOKEN_LIFE, Duration::from_millis)
    }
}

/// What the message bus keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// How many servers hold each message: 1 or 3.
    pub replicas: usize,
    /// The most megabytes of results that the server keeps; `None` is 20 GB, or 256 MB for
    /// development.
    pub results_max_mb: Option<u64>,
    /// The most megabytes of want documents; `None` is 4 GB, or 64 MB for development.
    pub wants_max_mb: Option<u64>,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            replicas: 1,
            results_max_mb: None,
            wants_max_mb: None,
        }
    }
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// After how much silence a site counts as offline.
    pub offline_after: Duration,
    /// How long a cancelled job waits for the sites that had accepted it.
    pub cancel_grace: Duration,
    /// How long a job waits after its deadline for the last reports of sites that had accepted it.
    pub expire_grace: Duration,
    /// How often the times at which agents were last heard are stored.
    pub presence_interval: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            offline_after: OFFLINE_AFTER,
            cancel_grace: Duration::from_secs(60),
            expire_grace: Duration::from_secs(10),
            presence_interval: Duration::from_secs(60),
        }
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] ConfigFileError),
    /// The `[nats]` section makes no sense.
    #[error(transparent)]
    Nats(#[from] SettingsError),
    /// A setting makes no sense.
    #[error("{setting}: {reason}")]
    Invalid {
        /// The setting.
        setting: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl ConfigError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::File(error) => error.code(),
            Self::Invalid { .. } => ErrorCode::ConfigInvalid,
            Self::Nats(error) => error.code(),
        }
    }

    fn invalid(setting: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            setting,
            reason: reason.into(),
        }
    }
}

impl CoordinatorConfig {
    /// Settings for development: one server on this machine, without credentials.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>, url: impl Into<String>) -> Self {
        Self {
            data_dir: data_dir.into(),
            nats: NatsSettings::insecure(url),
            streams: StreamSettings::default(),
            trust: None,
            timing: Timing::default(),
            retention: Retention::default(),
            replica: None,
            pictures: PictureSettings::default(),
        }
    }

    /// Reads the file, lets the variables win over it, and checks the whole.
    ///
    /// # Errors
    ///
    /// `config.unreadable` or `config.invalid`.
    pub fn read(
        path: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let file: File = config_file::read(path)?;
        let config = file.with(variable)?;
        config.check()?;
        Ok(config)
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    ///
    /// `config.invalid`: a server that is not authenticated and not on this machine, or numbers
    /// that make no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.nats.check()?;
        if !matches!(self.streams.replicas, 1 | 3) {
            return Err(ConfigError::invalid("nats.replicas", "must be 1 or 3"));
        }
        let life = self.trust.as_ref().map(TrustSettings::token_life);
        if life.is_some_and(|life| life < TOKEN_LIFE_MIN) {
            let reason = format!("must be at least {}", TOKEN_LIFE_MIN.as_millis());
            return Err(ConfigError::invalid("trust.token_life_ms", reason));
        }
        if self.timing.offline_after.is_zero() || self.timing.presence_interval.is_zero() {
            return Err(ConfigError::invalid("timing", "must be longer than 0"));
        }
        Ok(())
    }

    /// Lets this replica only follow until there is a leader.
    ///
    /// # Errors
    ///
    /// `config.invalid` where it is no replica.
    pub fn stand_by(&mut self) -> Result<(), ConfigError> {
        let Some(replica) = &mut self.replica else {
            let reason = "a standby needs this section with its name";
            return Err(ConfigError::invalid("replica", reason));
        };
        replica.standby = true;
        Ok(())
    }

    pub(crate) fn connect_options(&self) -> ConnectOptions {
        self.nats.connect_options("tvt-coordinator")
    }

    /// The name of the consumer of results: each replica has its own, so that one that has lost the
    /// lead and does not know it yet takes nothing from the other.
    pub(crate) fn durable(&self) -> String {
        self.replica.as_ref().map_or_else(
            || DURABLE.to_owned(),
            |replica| format!("{DURABLE}-{}", replica.name),
        )
    }

    pub(crate) fn declarations(&self) -> Declarations {
        let base = if self.nats.insecure_dev {
            Declarations::SMALL
        } else {
            Declarations::default()
        };
        let megabytes =
            |mb: Option<u64>, base: u64| mb.map_or(base, |mb| mb.saturating_mul(1 << 20));
        Declarations {
            replicas: if self.streams.replicas == 3 {
                Replicas::Three
            } else {
                Replicas::One
            },
            want_max_bytes: megabytes(self.streams.wants_max_mb, base.want_max_bytes),
            out_max_bytes: megabytes(self.streams.results_max_mb, base.out_max_bytes),
            blob_max_bytes: self
                .pictures
                .stream_max_bytes
                .unwrap_or(base.blob_max_bytes),
            ..base
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    #[serde(default)]
    nats: BusSection,
    trust: Option<TrustSettings>,
    #[serde(default)]
    timing: TimingSection,
    #[serde(default)]
    retention: RetentionSection,
    replica: Option<ReplicaSection>,
    #[serde(default)]
    pictures: PicturesSection,
}

/// [`NatsSection`] and what only the coordinator has to say; unknown keys cannot be refused across
/// flattened structs, so the keys stand here again.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BusSection {
    urls: Option<Vec<String>>,
    credentials_file: Option<PathBuf>,
    login_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    insecure_dev: Option<bool>,
    replicas: Option<usize>,
    results_max_mb: Option<u64>,
    wants_max_mb: Option<u64>,
}

impl BusSection {
    fn split(self) -> (NatsSection, StreamSettings) {
        let nats = NatsSection {
            urls: self.urls.or_else(|| Some(vec![DEFAULT_URL.to_owned()])),
            credentials_file: self.credentials_file,
            login_file: self.login_file,
            ca_file: self.ca_file,
            insecure_dev: self.insecure_dev,
        };
        let streams = StreamSettings {
            replicas: self.replicas.unwrap_or(StreamSettings::default().replicas),
            results_max_mb: self.results_max_mb,
            wants_max_mb: self.wants_max_mb,
        };
        (nats, streams)
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimingSection {
    offline_after_ms: Option<u64>,
    cancel_grace_ms: Option<u64>,
    expire_grace_ms: Option<u64>,
    presence_interval_ms: Option<u64>,
}

impl File {
    fn with(
        self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<CoordinatorConfig, ConfigError> {
        let variable = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
        let path = |name: &str, file: Option<PathBuf>| variable(name).map(PathBuf::from).or(file);
        let (nats, streams) = self.nats.split();
        let trust = self.trust.map(|trust| TrustSettings {
            key_file: path(KEY_FILE_VARIABLE, None).unwrap_or(trust.key_file),
            ..trust
        });
        let millis =
            |value: Option<u64>, default: Duration| value.map_or(default, Duration::from_millis);
        let default = Timing::default();
        let data_dir = path(DATA_DIR_VARIABLE, self.data_dir)
            .ok_or_else(|| ConfigError::invalid("data_dir", "not set"))?;
        Ok(CoordinatorConfig {
            data_dir,
            nats: nats.settle(&NATS_VARIABLES, variable)?,
            streams,
            trust,
            timing: Timing {
                offline_after: millis(self.timing.offline_after_ms, default.offline_after),
                cancel_grace: millis(self.timing.cancel_grace_ms, default.cancel_grace),
                expire_grace: millis(self.timing.expire_grace_ms, default.expire_grace),
                presence_interval: millis(
                    self.timing.presence_interval_ms,
                    default.presence_interval,
                ),
            },
            retention: self.retention.read(),
            replica: self.replica.map(ReplicaSection::read).transpose()?,
            pictures: self.pictures.read()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<CoordinatorConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coordinator.toml");
        std::fs::write(&path, text).unwrap();
        CoordinatorConfig::read(&path, |name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_win_over_the_file() {
        let text = "data_dir = '/var/lib/tvt'\n[nats]\nurls = ['tls://a:4222']\ncredentials_file = '/x'\n[timing]\noffline_after_ms = 500";
        let config = read(text, &[(NATS_URL_VARIABLE, "tls://b:4222, tls://c:4222")]).unwrap();
        assert_eq!(config.nats.urls, ["tls://b:4222", "tls://c:4222"]);
        assert_eq!(config.timing.offline_after, Duration::from_millis(500));
        assert_eq!(config.timing.cancel_grace, Timing::default().cancel_grace);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let cases = [
            ("data_dir = 'x'\nnope = 1", "line 2"),
            ("[nats]\ninsecure_dev = true", "data_dir"),
            ("data_dir = 'x'", "nats.credentials_file"),
            (
                "data_dir = 'x'\n[nats]\ninsecure_dev = true\nurls = ['nats://10.0.0.1:4222']",
                "nats.insecure_dev",
            ),
            (
                "data_dir = 'x'\n[nats]\ninsecure_dev = true\nreplicas = 2",
                "nats.replicas",
            ),
            (
                "data_dir = 'x'\n[nats]\ninsecure_dev = true\n[timing]\noffline_after_ms = 0",
                "timing",
            ),
        ];
        for (text, expected) in cases {
            let error = read(text, &[]).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
            assert_eq!(error.code(), ErrorCode::ConfigInvalid);
        }
        let trust =
            "[trust]\nauthority = 'O'\nroster_file = '/r'\nkey_file = '/k'\ntoken_life_ms = 1";
        let text = format!("data_dir = 'x'\n[nats]\ninsecure_dev = true\n{trust}");
        let error = read(&text, &[]).unwrap_err();
        assert!(error.to_string().contains("token_life_ms"), "{error}");
        let config = read(
            &text.replace("= 1", "= 5000"),
            &[(KEY_FILE_VARIABLE, "/run/k")],
        );
        let trust = config.unwrap().trust.unwrap();
        assert_eq!(trust.key_file, Path::new("/run/k"));
        assert_eq!(trust.token_life(), Duration::from_secs(5));
        let error = CoordinatorConfig::read(Path::new("/nonexistent"), |_| None).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigUnreadable);
    }

    #[test]
    fn development_keeps_the_server_small() {
        let dev = CoordinatorConfig::new("x", "nats://127.0.0.1:1");
        assert_eq!(dev.declarations(), Declarations::SMALL);
        dev.check().unwrap();
        let mut large = dev;
        large.nats.insecure_dev = false;
        large.streams.results_max_mb = Some(100);
        assert_eq!(large.declarations().out_max_bytes, 100 << 20);
    }
}
