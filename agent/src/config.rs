//! The agent's settings: a file, and variables that win over it.
//!
//! ```toml
//! tenant = "acme"
//! site = "depot-1"
//! data_dir = "/var/lib/tvt-agent"
//! credentials_file = "/etc/tvtfleet/credentials.toml"   # for what the vault does not have
//! # vault_key_file = "/etc/tvtfleet/vault.key"          # see tvt-agent credentials --help
//!
//! [nats]                         # not needed once it has joined: tvt-agent join
//! urls = ["tls://nats.example:4222"]
//! credentials_file = "/etc/tvtfleet/agent.creds"   # or login_file
//! ca_file = "/etc/tvtfleet/ca.pem"                  # else the system's authorities
//!
//! [limits]                       # these are the defaults
//! parallel = 64                  # devices asked at a time by all jobs together
//! retries = 2                    # further tries of a device that cannot be reached
//! spool_max_mb = 512             # from here on, no new work is started
//! spool_keep_hours = 24          # for a coordinator that is restored from a backup
//! heartbeat_ms = 30000
//!
//! [policy]
//! networks = []                  # as "10.0.0.0/8"; none is every network
//! excludes = []                  # networks and addresses that nothing is sent to
//! rate_max = 500                 # probes per second of a discovery, at most
//! # asks = ["scan", "discover"] # only these; every reading ask where nothing is said
//! quiet_hours = []               # as { from = "22:00", to = "06:00" }, with utc_offset, days and asks
//! login = "trusted"              # who gets a credential: never, trusted, always
//! plaintext_login = "trusted"    # ... in clear
//! xor_login = "trusted"          # ... under a key sent in clear
//!
//! [protocol]
//! resolve_ms = 5000
//! connect_ms = 3000
//! greeting_ms = 3000
//! login_ms = 10000
//! request_ms = 5000
//! tunnel = "auto"                # ask inside the session: auto, always, never
//! xor_key = "login_bytes"        # or encrypt_param
//! allow_empty_password = false
//!
//! [web]                          # the devices' web interfaces
//! https_ports = [443]            # looked for first
//! http_ports = [80, 8080]
//! connect_ms = 3000
//! request_ms = 10000
//! legacy_login = false           # tell very old recorders the password itself
//! key_login = "never"            # send a key to the newest: never, announced, always
//!
//! [pictures]                     # snapshots of the fleet
//! max_mb = 8                     # the largest picture, up to 25
//! waiting_max_mb = 128           # of the spool; reports take it back when they need it
//! picture_ms = 20000             # time for one picture
//! # rtsp_port = 554              # where the device does not say
//! # camera_port = 554            # of cameras that are asked themselves
//! # ffmpeg = "/usr/bin/ffmpeg"   # for key frames that are not decoded here
//!
//! [sdk]                          # ways of the vendor's; auto uses those that are named here
//! # path = "/opt/tvt-sdk"        # libdvrnetsdk.so, or the root of the vendor's SDK
//! # host = "/usr/lib/tvtfleet/tvt-netsdk-host"
//! parallel = 4                   # helper processes at a time
//! # api_url = "http://127.0.0.1:3000"
//! # token_file = "/etc/tvtfleet/bridge-token"
//! # scan_script = "/opt/bridge/scan_nvr.mjs"
//! # node = "/usr/bin/node"
//! scan_script_argv = false       # true shows passwords to every user of the computer
//! max_channels = 64              # asked of bridges
//! # nat_server = "nat20.example:7968"  # reaches `nat:SERIAL`; passwords go through it
//! # nat_type = "nat20"           # or "nat"
//!
//! # [bridge]                     # serves the bridge API to scripts; off without this section
//! # listen = "127.0.0.1:3000"
//! # token_file = "/etc/tvtfleet/bridge-token"       # needed, with TLS, on any other address
//! # certificate_file = "/etc/tvtfleet/bridge.pem"
//! # key_file = "/etc/tvtfleet/bridge.key"
//! ```

mod file;
mod vault;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tvtfleet_bus::config_file::{self, ConfigFileError};
use tvtfleet_bus::settings::{NatsVariables, SettingsError};
use tvtfleet_bus::{ConnectOptions, NatsSettings};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::agent::HEARTBEAT_INTERVAL;
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::job::MAX_PARALLEL;

use crate::bridge::{BadBridge, BridgeSettings};
use crate::device::{ProtocolSettings, VendorSettings, WebSettings};
use crate::identity::{Identity, IdentityError};
use crate::policy::Policy;
use crate::retry::RetrySettings;
use crate::snapshot::SnapshotSettings;
use crate::spool::SpoolSettings;
use crate::work::HELPERS_MAX;

/// How many devices all jobs of a site ask at a time where the file says nothing.
const DEFAULT_PARALLEL: usize = 64;
/// The most bytes of pictures that wait where the file says nothing.
const PICTURES_MAX_BYTES: u64 = 128 * 1024 * 1024;
/// The most further tries of a device.
const RETRIES_MAX: u32 = 10;

/// The most channels that a bridge is asked for.
const CAMERAS_MAX: u32 = 1024;

/// The customer.
pub const TENANT_VARIABLE: &str = "TVT_AGENT_TENANT";
/// The site.
pub const SITE_VARIABLE: &str = "TVT_AGENT_SITE";
/// The folder of spool and journal.
pub const DATA_DIR_VARIABLE: &str = "TVT_AGENT_DATA_DIR";
/// The file with the credentials of the devices.
pub const CREDENTIALS_VARIABLE: &str = "TVT_AGENT_CREDENTIALS_FILE";
/// The key of the vault.
pub const VAULT_KEY_VARIABLE: &str = "TVT_AGENT_VAULT_KEY_FILE";
/// The NATS servers, separated by commas.
pub const NATS_URL_VARIABLE: &str = "TVT_AGENT_NATS_URL";
/// The NATS credentials file.
pub const NATS_CREDENTIALS_VARIABLE: &str = "TVT_AGENT_NATS_CREDENTIALS";
/// The file with user and password for the NATS server.
pub const NATS_LOGIN_VARIABLE: &str = "TVT_AGENT_NATS_LOGIN";
/// The file with the certificates of the authorities that vouch for the server.
pub const NATS_CA_VARIABLE: &str = "TVT_AGENT_NATS_CA";
/// `true` lets it use a server on this machine without credentials.
pub const INSECURE_DEV_VARIABLE: &str = "TVT_AGENT_INSECURE_DEV";
/// The variables of the `[nats]` section.
const NATS_VARIABLES: NatsVariables = NatsVariables {
    urls: NATS_URL_VARIABLE,
    credentials: NATS_CREDENTIALS_VARIABLE,
    login: NATS_LOGIN_VARIABLE,
    ca: NATS_CA_VARIABLE,
    insecure_dev: INSECURE_DEV_VARIABLE,
};

/// The settings of an agent.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The site it speaks for.
    pub site: SiteId,
    /// The folder of spool and journal; made where it is missing.
    pub data_dir: PathBuf,
    /// The credentials of the devices; without them only probes succeed.
    pub credentials_file: Option<PathBuf>,
    /// The key of the vault, or a passphrase for it; without it, `vault-key` among the credentials that
    /// systemd hands over, or `vault.key` in the data folder.
    pub vault_key_file: Option<PathBuf>,
    /// The message bus.
    pub nats: NatsSettings,
    /// Who the agent is, where it has joined a fleet with accounts.
    pub identity: Option<Identity>,
    /// How many devices all jobs together may ask at a time.
    pub parallel: usize,
    /// When failed devices are tried again.
    pub retry: RetrySettings,
    /// How the spool is kept.
    pub spool: SpoolSettings,
    /// How pictures are taken for jobs.
    pub snapshots: SnapshotSettings,
    /// The most bytes of pictures that wait to be sent, out of the spool's.
    pub pictures_max_bytes: u64,
    /// The time between two heartbeats, before jitter of a fifth.
    pub heartbeat: Duration,
    /// What the site's owner allows.
    pub policy: Policy,
    /// How the binary protocol is spoken.
    pub protocol: ProtocolSettings,
    /// Where the vendor's library and bridges are.
    pub vendor: VendorSettings,
    /// How the web interfaces are spoken to.
    pub web: WebSettings,
    /// The bridge that it serves, where it serves one.
    pub bridge: Option<BridgeSettings>,
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
    /// The identity below the data folder cannot be used.
    #[error("the agent's identity cannot be used")]
    Identity(#[from] IdentityError),
    /// The bridge cannot be served so.
    #[error(transparent)]
    Bridge(#[from] BadBridge),
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
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Identity(error) => error.code(),
            Self::File(error) => error.code(),
            Self::Nats(error) => error.code(),
            Self::Bridge(error) => error.code(),
            Self::Invalid { .. } => ErrorCode::ConfigInvalid,
        }
    }

    fn invalid(setting: &'static str, reason: impl ToString) -> Self {
        Self::Invalid {
            setting,
            reason: reason.to_string(),
        }
    }
}

impl AgentConfig {
    /// Settings for development: one server on this machine, without credentials.
    #[must_use]
    pub fn new(site: SiteId, data_dir: impl Into<PathBuf>, url: impl Into<String>) -> Self {
        Self {
            site,
            data_dir: data_dir.into(),
            credentials_file: None,
            vault_key_file: None,
            nats: NatsSettings::insecure(url),
            identity: None,
            parallel: DEFAULT_PARALLEL,
            retry: RetrySettings::default(),
            spool: SpoolSettings::default(),
            snapshots: SnapshotSettings::default(),
            pictures_max_bytes: PICTURES_MAX_BYTES,
            heartbeat: HEARTBEAT_INTERVAL,
            policy: Policy::default(),
            protocol: ProtocolSettings::default(),
            vendor: VendorSettings::default(),
            web: WebSettings::default(),
            bridge: None,
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
        let file: file::File = config_file::read(path)?;
        let config = file.with(|name| variable(name).filter(|text| !text.is_empty()))?;
        config.check()?;
        Ok(config)
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    ///
    /// `config.invalid`: a server that is not authenticated and not on this machine, or numbers that
    /// make no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.nats.check()?;
        let most = usize::try_from(MAX_PARALLEL).unwrap_or(usize::MAX);
        if !(1..=most).contains(&self.parallel) {
            return Err(ConfigError::invalid(
                "limits.parallel",
                format!("must be 1 to {most}"),
            ));
        }
        if self.retry.retries > RETRIES_MAX {
            let reason = format!("must be at most {RETRIES_MAX}");
            return Err(ConfigError::invalid("limits.retries", reason));
        }
        if !(1..=HELPERS_MAX).contains(&self.vendor.parallel) {
            let reason = format!("must be 1 to {HELPERS_MAX}");
            return Err(ConfigError::invalid("sdk.parallel", reason));
        }
        if !(1..=CAMERAS_MAX).contains(&self.vendor.max_cameras) {
            let reason = format!("must be 1 to {CAMERAS_MAX}");
            return Err(ConfigError::invalid("sdk.max_channels", reason));
        }
        let own = |bridge: &BridgeSettings| {
            let other = self.vendor.bridge_url.as_deref();
            other.is_some_and(|other| bridge.is_same(other))
        };
        if self.bridge.as_ref().is_some_and(own) {
            let reason = "is the bridge that this agent serves; it would ask itself";
            return Err(ConfigError::invalid("sdk.api_url", reason));
        }
        if self.heartbeat.is_zero() {
            return Err(ConfigError::invalid(
                "limits.heartbeat_ms",
                "must be longer than 0",
            ));
        }
        let limits = &self.protocol.limits;
        let spans = [
            self.protocol.resolve,
            self.protocol.connect,
            limits.init,
            limits.login,
            limits.tunnel_reply,
        ];
        if spans.iter().any(Duration::is_zero) {
            return Err(ConfigError::invalid(
                "protocol",
                "times must be longer than 0",
            ));
        }
        Ok(())
    }

    pub(crate) fn connect_options(&self) -> ConnectOptions {
        self.nats
            .connect_options(format!("tvt-agent {}", self.site))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "tenant = 'acme'\nsite = 'depot-1'\ndata_dir = '/var/lib/x'\n";
    const LOCAL: &str = "[nats]\nurls = ['nats://127.0.0.1:4222']\ninsecure_dev = true\n";

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<AgentConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        std::fs::write(&path, text).unwrap();
        AgentConfig::read(&path, |name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_example_in_the_documentation_shows_the_defaults() {
        let example: String = include_str!("config.rs")
            .lines()
            .skip_while(|line| *line != "//! ```toml")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .map(|line| format!("{}\n", line.trim_start_matches("//!").trim_start()))
            .collect();
        let shown = read(&example, &[]).unwrap();
        let base = AgentConfig::new(shown.site.clone(), "x", "y");
        assert_eq!(shown.policy, base.policy);
        assert_eq!(shown.protocol, base.protocol);
        assert_eq!(
            (shown.parallel, shown.heartbeat),
            (base.parallel, base.heartbeat)
        );
        assert_eq!((shown.retry, shown.spool), (base.retry, base.spool));
    }

    #[test]
    fn variables_win_over_the_file() {
        let variables = [
            (SITE_VARIABLE, "depot-2"),
            (NATS_URL_VARIABLE, "nats://[::1]:1, nats://localhost:2"),
            (DATA_DIR_VARIABLE, "/tmp/y"),
            (CREDENTIALS_VARIABLE, ""),
        ];
        let config = read(
            &format!("{HEAD}credentials_file = '/c'\n{LOCAL}"),
            &variables,
        )
        .unwrap();
        assert_eq!(config.site.to_string(), "acme/depot-2");
        assert_eq!(config.nats.urls, ["nats://[::1]:1", "nats://localhost:2"]);
        assert_eq!(config.data_dir, Path::new("/tmp/y"));
        assert_eq!(
            config.credentials_file.as_deref(),
            Some(Path::new("/c")),
            "empty is unset"
        );
    }

    #[test]
    fn nonsense_names_its_setting() {
        for text in [
            HEAD.to_owned(),
            format!("{HEAD}[nats]\nurls = ['nats://127.0.0.1:1']\n"),
            format!("{HEAD}{LOCAL}").replace("127.0.0.1", "10.0.0.1"),
        ] {
            let error = read(&text, &[]).unwrap_err();
            assert!(
                matches!(error, ConfigError::Nats(_)),
                "{error:?} for {text}"
            );
        }
        for (text, setting) in [
            (LOCAL.to_owned(), "data_dir"),
            (format!("data_dir = '/x'\n{LOCAL}"), "tenant"),
            (format!("{HEAD}{LOCAL}").replace("acme", "Acme"), "tenant"),
            (
                format!("{HEAD}{LOCAL}[limits]\nparallel = 0\n"),
                "limits.parallel",
            ),
            (
                format!("{HEAD}{LOCAL}[limits]\nspool_max_mb = 1\n"),
                "limits.spool_max_mb",
            ),
            (
                format!("{HEAD}{LOCAL}[limits]\nretries = 99\n"),
                "limits.retries",
            ),
            (
                format!("{HEAD}{LOCAL}[limits]\nheartbeat_ms = 0\n"),
                "limits.heartbeat_ms",
            ),
            (
                format!("{HEAD}{LOCAL}[policy]\nnetworks = ['10.0.0/8']\n"),
                "policy.networks",
            ),
            (
                format!("{HEAD}{LOCAL}[policy]\nasks = ['reformat']\n"),
                "policy.asks",
            ),
            (
                format!("{HEAD}{LOCAL}[policy]\nquiet_hours = [{{ from = '8', to = '9' }}]\n"),
                "policy.quiet_hours",
            ),
            (format!("{HEAD}{LOCAL}[web]\nhttp_ports = [0]\n"), "web"),
            (
                format!("{HEAD}{LOCAL}[protocol]\nconnect_ms = 0\n"),
                "protocol",
            ),
        ] {
            match read(&text, &[]) {
                Err(ConfigError::Invalid { setting: found, .. }) => {
                    assert_eq!(found, setting, "{text}")
                }
                other => panic!("{other:?} for {text}"),
            }
        }
        for text in [
            "x = 1\n",
            "[limits]\nparalel = 3\n",
            "[policy]\nlogin = 'sometimes'\n",
        ] {
            let error = read(
                &format!("{HEAD}{LOCAL}").replace(HEAD, &format!("{text}{HEAD}")),
                &[],
            );
            assert!(matches!(error, Err(ConfigError::File(_))), "{text}");
        }
    }

    #[test]
    fn networks_may_be_single_addresses() {
        let text = format!("{HEAD}{LOCAL}[policy]\nnetworks = ['10.1.2.3', '192.168.0.0/16']\n");
        let policy = read(&text, &[]).unwrap().policy;
        assert!(policy.check_address("10.1.2.3".parse().unwrap()).is_ok());
        assert!(policy.check_address("10.1.2.4".parse().unwrap()).is_err());
        assert!(policy.check_address("192.168.9.9".parse().unwrap()).is_ok());
    }

    #[test]
    fn quiet_hours_are_read_and_shown() {
        let text = format!(
            "{HEAD}{LOCAL}[policy]\nquiet_hours = [{{ from = '22:00', to = '06:00' }}, \
             {{ from = '08:00', to = '18:00', utc_offset = '+01:00', days = ['mon', 'fri'], \
             asks = ['reboot'] }}]\n"
        );
        let windows = read(&text, &[]).unwrap().policy.quiet_hours;
        let shown: Vec<_> = windows.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "22:00-06:00 UTC, every day: everything",
                "08:00-18:00 UTC+01:00, mon fri: reboot"
            ]
        );
    }
}
