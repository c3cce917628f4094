//! The coordinator's settings: a file, and variables that win over it.

use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use tvtfleet_bus::ConnectOptions;
use tvtfleet_bus::streams::{Declarations, Replicas};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::want::OFFLINE_AFTER;

/// The largest configuration file that is read, in bytes.
const FILE_MAX: u64 = 1024 * 1024;
/// The bit of a file's mode by which everybody may read it.
const OTHERS_READ: u32 = 0o004;
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

/// The settings of a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorConfig {
    /// The folder of the database; made where it is missing.
    pub data_dir: PathBuf,
    /// The message bus.
    pub nats: NatsConfig,
    /// How long to wait for what.
    pub timing: Timing,
}

/// Which NATS server to use, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsConfig {
    /// The servers, as `tls://host:4222`, or `tls://user:password@host:4222` for a server without
    /// accounts.
    pub urls: Vec<String>,
    /// The credentials file.
    pub credentials_file: Option<PathBuf>,
    /// The certificates of the authorities that may vouch for the server; else the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether a server on this machine may be used without credentials.
    pub insecure_dev: bool,
    /// How many servers hold each message: 1 or 3.
    pub replicas: usize,
    /// The most megabytes of results that the server keeps; `None` is 20 GB, or 256 MB for
    /// development.
    pub results_max_mb: Option<u64>,
    /// The most megabytes of want documents; `None` is 4 GB, or 64 MB for development.
    pub wants_max_mb: Option<u64>,
}

/// Leaves out what a URL may hold between `//` and `@`.
impl fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.urls.iter().map(|url| Server::of(url).shown).collect();
        f.debug_struct("NatsConfig")
            .field("urls", &urls)
            .field("credentials_file", &self.credentials_file)
            .field("ca_file", &self.ca_file)
            .field("insecure_dev", &self.insecure_dev)
            .field("replicas", &self.replicas)
            .field("results_max_mb", &self.results_max_mb)
            .field("wants_max_mb", &self.wants_max_mb)
            .finish()
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
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is no TOML, or has a key that is not known.
    #[error("{path} is no configuration of a coordinator")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: toml::de::Error,
    },
    /// The file holds a password and can be read by everybody.
    #[error("{path} holds a password and can be read by everybody")]
    Exposed {
        /// The file.
        path: PathBuf,
    },
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
            Self::Unreadable { .. } => ErrorCode::ConfigUnreadable,
            Self::Malformed { .. } | Self::Invalid { .. } => ErrorCode::ConfigInvalid,
            Self::Exposed { .. } => ErrorCode::ConfigExposed,
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
            nats: NatsConfig {
                urls: vec![url.into()],
                credentials_file: None,
                ca_file: None,
                insecure_dev: true,
                replicas: 1,
                results_max_mb: None,
                wants_max_mb: None,
            },
            timing: Timing::default(),
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
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(FILE_MAX)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        let file: File = toml::from_str(&text).map_err(|source| ConfigError::Malformed {
            path: path.to_owned(),
            source,
        })?;
        let config = file.with(variable)?;
        config.check()?;
        Ok(config)
    }

    /// Checks that a file with a password in it is not open to everybody.
    ///
    /// # Errors
    ///
    /// `config.exposed` or `config.unreadable`.
    pub fn check_exposure(&self, path: &Path) -> Result<(), ConfigError> {
        let secret = self
            .nats
            .urls
            .iter()
            .any(|url| Server::of(url).has_password);
        let metadata = std::fs::metadata(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        if secret && metadata.permissions().mode() & OTHERS_READ != 0 {
            return Err(ConfigError::Exposed {
                path: path.to_owned(),
            });
        }
        Ok(())
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    ///
    /// `config.invalid`: a server that is not authenticated and not on this machine, or numbers
    /// that make no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.nats.urls.is_empty() {
            return Err(ConfigError::invalid("nats.urls", "no server is named"));
        }
        if !matches!(self.nats.replicas, 1 | 3) {
            return Err(ConfigError::invalid("nats.replicas", "must be 1 or 3"));
        }
        let servers = self.nats.urls.iter().map(|url| Server::of(url));
        let open: Vec<_> = servers.filter(|server| !server.has_password).collect();
        if self.nats.credentials_file.is_none() && !open.is_empty() {
            if !self.nats.insecure_dev {
                let reason = "needed, unless nats.insecure_dev is set for a server on this machine";
                return Err(ConfigError::invalid("nats.credentials_file", reason));
            }
            if !open.iter().all(|server| server.is_loopback) {
                let reason = "works with servers on this machine only";
                return Err(ConfigError::invalid("nats.insecure_dev", reason));
            }
        }
        if self.timing.offline_after.is_zero() || self.timing.presence_interval.is_zero() {
            return Err(ConfigError::invalid("timing", "must be longer than 0"));
        }
        Ok(())
    }

    pub(crate) fn connect_options(&self) -> ConnectOptions {
        ConnectOptions {
            urls: self.nats.urls.clone(),
            name: "tvt-coordinator".to_owned(),
            credentials_file: self.nats.credentials_file.clone(),
            ca_file: self.nats.ca_file.clone(),
            inbox_prefix: None,
            retry_initial: true,
        }
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
            replicas: if self.nats.replicas == 3 {
                Replicas::Three
            } else {
                Replicas::One
            },
            want_max_bytes: megabytes(self.nats.wants_max_mb, base.want_max_bytes),
            out_max_bytes: megabytes(self.nats.results_max_mb, base.out_max_bytes),
            ..base
        }
    }
}

/// What a server's address says.
struct Server {
    /// Whether it holds a user and password.
    has_password: bool,
    /// Whether it names this machine for certain.
    is_loopback: bool,
    /// The address without user and password.
    shown: String,
}

impl Server {
    fn of(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let name = match host.strip_prefix('[') {
            Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
            None => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        let ip = name.parse::<IpAddr>();
        Self {
            has_password: !user.is_empty(),
            is_loopback: name == "localhost" || ip.is_ok_and(|ip| ip.is_loopback()),
            shown: format!("{scheme}://{host}"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    #[serde(default)]
    nats: NatsSection,
    #[serde(default)]
    timing: TimingSection,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NatsSection {
    urls: Option<Vec<String>>,
    credentials_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    insecure_dev: Option<bool>,
    replicas: Option<usize>,
    results_max_mb: Option<u64>,
    wants_max_mb: Option<u64>,
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
        let insecure_dev = match variable(INSECURE_DEV_VARIABLE).as_deref() {
            None => self.nats.insecure_dev.unwrap_or(false),
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(_) => {
                return Err(ConfigError::invalid(
                    INSECURE_DEV_VARIABLE,
                    "must be true or false",
                ));
            }
        };
        let urls = match variable(NATS_URL_VARIABLE) {
            Some(list) => list.split(',').map(|url| url.trim().to_owned()).collect(),
            None => self
                .nats
                .urls
                .unwrap_or_else(|| vec!["nats://127.0.0.1:4222".to_owned()]),
        };
        let millis =
            |value: Option<u64>, default: Duration| value.map_or(default, Duration::from_millis);
        let default = Timing::default();
        Ok(CoordinatorConfig {
            data_dir: path(DATA_DIR_VARIABLE, self.data_dir)
                .ok_or_else(|| ConfigError::invalid("data_dir", "not set"))?,
            nats: NatsConfig {
                urls,
                credentials_file: path(NATS_CREDENTIALS_VARIABLE, self.nats.credentials_file),
                ca_file: path(NATS_CA_VARIABLE, self.nats.ca_file),
                insecure_dev,
                replicas: self.nats.replicas.unwrap_or(1),
                results_max_mb: self.nats.results_max_mb,
                wants_max_mb: self.nats.wants_max_mb,
            },
            timing: Timing {
                offline_after: millis(self.timing.offline_after_ms, default.offline_after),
                cancel_grace: millis(self.timing.cancel_grace_ms, default.cancel_grace),
                expire_grace: millis(self.timing.expire_grace_ms, default.expire_grace),
                presence_interval: millis(
                    self.timing.presence_interval_ms,
                    default.presence_interval,
                ),
            },
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
            ("data_dir = 'x'\nnope = 1", "no configuration"),
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
        let error = CoordinatorConfig::read(Path::new("/nonexistent"), |_| None).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigUnreadable);
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for good in [
            "nats://127.0.0.1:4222",
            "localhost",
            "nats://u:p@[::1]:4222/",
            "127.8.9.1:1",
        ] {
            assert!(Server::of(good).is_loopback, "{good}");
        }
        for bad in [
            "nats://10.0.0.1",
            "nats://localhost.evil.example",
            "nats://127.0.0.1@evil.example",
            "nats://evil.example/127.0.0.1",
            "nats://0.0.0.0:4222",
            "",
        ] {
            assert!(!Server::of(bad).is_loopback, "{bad}");
        }
    }

    #[test]
    fn a_password_in_an_address_authenticates_and_stays_hidden() {
        let url = "tls://coordinator:hidden@nats.example:4222";
        let text = format!("data_dir = 'x'\n[nats]\nurls = ['{url}']");
        let config = read(&text, &[]).unwrap();
        assert!(!format!("{config:?}").contains("hidden"), "{config:?}");
        assert!(format!("{config:?}").contains("tls://nats.example:4222"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coordinator.toml");
        std::fs::write(&path, text).unwrap();
        let mode =
            |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        config.check_exposure(&path).unwrap();
        mode(0o644);
        assert_eq!(
            config.check_exposure(&path).unwrap_err().code(),
            ErrorCode::ConfigExposed
        );
        CoordinatorConfig::new("x", "nats://127.0.0.1:1")
            .check_exposure(&path)
            .unwrap();
    }

    #[test]
    fn development_keeps_the_server_small() {
        let dev = CoordinatorConfig::new("x", "nats://127.0.0.1:1");
        assert_eq!(dev.declarations(), Declarations::SMALL);
        dev.check().unwrap();
        let mut large = dev;
        large.nats.insecure_dev = false;
        large.nats.results_max_mb = Some(100);
        assert_eq!(large.declarations().out_max_bytes, 100 << 20);
    }
}
