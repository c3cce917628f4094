//! The configuration file as it is written, and how it becomes settings.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use tvtfleet_bus::settings::NatsSection;
use tvtfleet_proto::device::bridge::base_url;
use tvtfleet_proto::device::sdkpipe::NatKind;
use tvtfleet_proto::device::tvt::{KeySource, Limits, TunnelMode};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::secret::Secret;

use super::{
    AgentConfig, CREDENTIALS_VARIABLE, ConfigError, DATA_DIR_VARIABLE, NATS_VARIABLES,
    SITE_VARIABLE, TENANT_VARIABLE, VAULT_KEY_VARIABLE,
};
use crate::bridge::BridgeSettings;
use crate::device::vendor::{BadBridgeUrl, NatServer, VendorSettings};
use crate::device::{KeyLogin, PORTS_MAX, ProtocolSettings, WebPort, WebSettings};
use crate::identity::Identity;
use crate::policy::{Consent, Policy};
use crate::quiet::{BadQuietHours, QuietHours, WINDOWS_MAX};
use crate::retry::RetrySettings;
use crate::snapshot::SnapshotSettings;
use crate::spool::SpoolSettings;

/// The longest token of a bridge, in bytes.
const TOKEN_MAX: u64 = 4096;
/// The smallest spool: two segments.
const SPOOL_MIN_MB: u64 = 16;

const QUIET_HOURS: &str = "policy.quiet_hours";

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    tenant: Option<String>,
    site: Option<String>,
    data_dir: Option<PathBuf>,
    credentials_file: Option<PathBuf>,
    vault_key_file: Option<PathBuf>,
    #[serde(default)]
    nats: NatsSection,
    #[serde(default)]
    limits: LimitsSection,
    #[serde(default)]
    policy: PolicySection,
    #[serde(default)]
    protocol: ProtocolSection,
    #[serde(default)]
    sdk: SdkSection,
    #[serde(default)]
    web: WebSection,
    #[serde(default)]
    pictures: PicturesSection,
    bridge: Option<BridgeSection>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsSection {
    parallel: Option<usize>,
    retries: Option<u32>,
    spool_max_mb: Option<u64>,
    spool_keep_hours: Option<u64>,
    heartbeat_ms: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicySection {
    networks: Option<Vec<String>>,
    excludes: Option<Vec<String>>,
    rate_max: Option<u32>,
    asks: Option<Vec<String>>,
    quiet_hours: Option<Vec<QuietWindow>>,
    login: Option<Consent>,
    plaintext_login: Option<Consent>,
    xor_login: Option<Consent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuietWindow {
    from: String,
    to: String,
    utc_offset: Option<String>,
    days: Option<Vec<String>>,
    asks: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProtocolSection {
    resolve_ms: Option<u64>,
    connect_ms: Option<u64>,
    greeting_ms: Option<u64>,
    login_ms: Option<u64>,
    request_ms: Option<u64>,
    tunnel: Option<TunnelWord>,
    xor_key: Option<KeyWord>,
    allow_empty_password: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SdkSection {
    path: Option<PathBuf>,
    host: Option<PathBuf>,
    parallel: Option<usize>,
    api_url: Option<String>,
    token_file: Option<PathBuf>,
    scan_script: Option<PathBuf>,
    scan_script_argv: Option<bool>,
    node: Option<PathBuf>,
    max_channels: Option<u32>,
    nat_server: Option<String>,
    nat_type: Option<NatWord>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum NatWord {
    Nat,
    #[default]
    Nat20,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebSection {
    https_ports: Option<Vec<u16>>,
    http_ports: Option<Vec<u16>>,
    connect_ms: Option<u64>,
    request_ms: Option<u64>,
    legacy_login: Option<bool>,
    key_login: Option<KeyLoginWord>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeyLoginWord {
    Never,
    Announced,
    Always,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PicturesSection {
    max_mb: Option<u8>,
    waiting_max_mb: Option<u64>,
    picture_ms: Option<u64>,
    rtsp_port: Option<u16>,
    camera_port: Option<u16>,
    ffmpeg: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BridgeSection {
    listen: String,
    token_file: Option<PathBuf>,
    certificate_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TunnelWord {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeyWord {
    LoginBytes,
    EncryptParam,
}

impl File {
    /// Lets variables win over the file.
    pub(super) fn with(
        self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<AgentConfig, ConfigError> {
        let file_of =
            |name, setting: Option<PathBuf>| variable(name).map(PathBuf::from).or(setting);
        let needed = |setting| move || ConfigError::invalid(setting, "missing");
        let data_dir = file_of(DATA_DIR_VARIABLE, self.data_dir).ok_or_else(needed("data_dir"))?;
        let identity = Identity::read(&data_dir)?;
        let joined = identity.as_ref().map(Identity::site);
        let tenant = variable(TENANT_VARIABLE).or(self.tenant);
        let tenant = match (tenant, joined) {
            (Some(tenant), _) => tenant
                .parse()
                .map_err(|error| ConfigError::invalid("tenant", error))?,
            (None, Some(site)) => site.tenant.clone(),
            (None, None) => return Err(needed("tenant")()),
        };
        let site = variable(SITE_VARIABLE).or(self.site);
        let site = match (site, joined) {
            (Some(site), _) => site
                .parse()
                .map_err(|error| ConfigError::invalid("site", error))?,
            (None, Some(site)) => site.site.clone(),
            (None, None) => return Err(needed("site")()),
        };
        let site = SiteId::new(tenant, site);
        if let Some(joined) = joined.filter(|joined| **joined != site) {
            let reason = format!("the agent has joined as {joined}");
            return Err(ConfigError::invalid("site", reason));
        }
        let mut nats = self.nats.settle(&NATS_VARIABLES, &variable)?;
        if let Some(identity) = &identity {
            let own = identity.settings();
            // Other addresses may be needed here, but nobody else's login.
            if nats.urls.is_empty() {
                nats.urls = own.urls;
            }
            nats.ca_file = nats.ca_file.or(own.ca_file);
            nats.credentials_file = own.credentials_file;
            (nats.login_file, nats.insecure_dev) = (None, false);
        }
        let guarded = nats.guarded_folder.as_deref();
        let bridge = self
            .bridge
            .map(|section| section.read(guarded))
            .transpose()?;
        let base = AgentConfig::new(site, data_dir, String::new());
        Ok(AgentConfig {
            credentials_file: file_of(CREDENTIALS_VARIABLE, self.credentials_file),
            vault_key_file: file_of(VAULT_KEY_VARIABLE, self.vault_key_file),
            nats,
            identity,
            parallel: self.limits.parallel.unwrap_or(base.parallel),
            retry: RetrySettings {
                retries: self.limits.retries.unwrap_or(base.retry.retries),
                ..base.retry
            },
            spool: self.limits.spool(base.spool)?,
            heartbeat: self
                .limits
                .heartbeat_ms
                .map_or(base.heartbeat, Duration::from_millis),
            policy: self.policy.read(base.policy)?,
            protocol: self.protocol.read(base.protocol),
            vendor: self
                .sdk
                .read(base.vendor)?
                .with_variables(&variable)
                .map_err(|error| ConfigError::invalid("sdk.api_url", error))?,
            web: self.web.read(base.web)?,
            pictures_max_bytes: self.pictures.waiting(base.pictures_max_bytes)?,
            snapshots: self.pictures.read(base.snapshots)?,
            bridge,
            ..base
        })
    }
}

impl BridgeSection {
    fn read(self, guarded: Option<&Path>) -> Result<BridgeSettings, ConfigError> {
        let tls = (self.certificate_file, self.key_file);
        let token = self.token_file.as_deref();
        Ok(BridgeSettings::read(&self.listen, token, tls, guarded)?)
    }
}

impl SdkSection {
    fn read(self, base: VendorSettings) -> Result<VendorSettings, ConfigError> {
        let address = |text: String| {
            let root = base_url(&text).map(str::to_owned);
            root.ok_or_else(|| ConfigError::invalid("sdk.api_url", BadBridgeUrl("the value")))
        };
        let kind = match self.nat_type.unwrap_or_default() {
            NatWord::Nat => NatKind::Nat,
            NatWord::Nat20 => NatKind::Nat20,
        };
        let nat = |text: String| {
            let wrong = || ConfigError::invalid("sdk.nat_server", "write host:port");
            NatServer::read(&text, kind).ok_or_else(wrong)
        };
        let token = |path: PathBuf| {
            let wrong = |reason: String| ConfigError::invalid("sdk.token_file", reason);
            let shown = path.display();
            let found =
                std::fs::metadata(&path).map_err(|error| wrong(format!("{shown}: {error}")))?;
            if found.permissions().mode() & 0o077 != 0 {
                return Err(wrong(format!(
                    "{shown} can be read by others; chmod 600 it"
                )));
            }
            if found.len() > TOKEN_MAX {
                return Err(wrong(format!("{shown} is too large for a token")));
            }
            let text = std::fs::read_to_string(&path);
            let text = text.map_err(|error| wrong(format!("{shown}: {error}")))?;
            Ok(Secret::new(text.trim()))
        };
        Ok(VendorSettings {
            library: self.path,
            host: self.host,
            parallel: self.parallel.unwrap_or(base.parallel),
            bridge_url: self.api_url.map(address).transpose()?,
            bridge_token: self.token_file.map(token).transpose()?,
            script: self.scan_script,
            script_argv: self.scan_script_argv.unwrap_or(base.script_argv),
            node: self.node,
            max_cameras: self.max_channels.unwrap_or(base.max_cameras),
            nat: self.nat_server.map(nat).transpose()?,
        })
    }
}

impl LimitsSection {
    fn spool(&self, base: SpoolSettings) -> Result<SpoolSettings, ConfigError> {
        let max_bytes = match self.spool_max_mb {
            None => base.max_bytes,
            Some(mb) if mb < SPOOL_MIN_MB => {
                let reason = format!("must be at least {SPOOL_MIN_MB}");
                return Err(ConfigError::invalid("limits.spool_max_mb", reason));
            }
            Some(mb) => mb.saturating_mul(1024 * 1024),
        };
        let keep = match self.spool_keep_hours {
            None => base.keep,
            Some(hours) => Duration::from_secs(hours.saturating_mul(60 * 60)),
        };
        Ok(SpoolSettings {
            max_bytes,
            keep,
            ..base
        })
    }
}

impl PolicySection {
    fn read(self, base: Policy) -> Result<Policy, ConfigError> {
        let networks = nets("policy.networks", self.networks)?;
        let excludes = nets("policy.excludes", self.excludes)?;
        if self.rate_max == Some(0) {
            return Err(ConfigError::invalid(
                "policy.rate_max",
                "must be at least 1",
            ));
        }
        let asks = match self.asks {
            None => base.asks,
            Some(asks) => ask_set("policy.asks", &asks)?,
        };
        let windows = self.quiet_hours.unwrap_or_default();
        if windows.len() > WINDOWS_MAX {
            let reason = format!("must be at most {WINDOWS_MAX} windows");
            return Err(ConfigError::invalid(QUIET_HOURS, reason));
        }
        let quiet_hours = windows.into_iter().map(QuietWindow::read);
        Ok(Policy {
            networks,
            excludes,
            rate_max: self.rate_max.unwrap_or(base.rate_max),
            asks,
            quiet_hours: quiet_hours.collect::<Result<_, _>>()?,
            login: self.login.unwrap_or(base.login),
            plaintext_login: self.plaintext_login.unwrap_or(base.plaintext_login),
            xor_login: self.xor_login.unwrap_or(base.xor_login),
        })
    }
}

impl QuietWindow {
    fn read(self) -> Result<QuietHours, ConfigError> {
        let wrong = |error: BadQuietHours| ConfigError::invalid(QUIET_HOURS, error);
        let mut window = QuietHours::new(&self.from, &self.to).map_err(wrong)?;
        if let Some(offset) = self.utc_offset {
            window = window.at_offset(&offset).map_err(wrong)?;
        }
        if let Some(days) = self.days {
            window = window.on_days(&days).map_err(wrong)?;
        }
        if let Some(asks) = self.asks {
            let asks = ask_set(QUIET_HOURS, &asks)?;
            window = window.for_asks(asks).map_err(wrong)?;
        }
        Ok(window)
    }
}

fn ask_set(setting: &'static str, texts: &[String]) -> Result<BTreeSet<Ask>, ConfigError> {
    let asks = texts.iter().map(|text| {
        text.parse()
            .map_err(|error| ConfigError::invalid(setting, error))
    });
    asks.collect()
}

/// Networks, or single addresses.
fn nets(setting: &'static str, texts: Option<Vec<String>>) -> Result<Vec<IpNet>, ConfigError> {
    let texts = texts.unwrap_or_default();
    texts.iter().map(|text| network(setting, text)).collect()
}

fn network(setting: &'static str, text: &str) -> Result<IpNet, ConfigError> {
    let single = text.parse::<IpAddr>().map(IpNet::from);
    single.or_else(|_| text.parse()).map_err(|_| {
        ConfigError::invalid(setting, format!("{text:?} is no network, write 10.0.0.0/8"))
    })
}

impl PicturesSection {
    fn waiting(&self, base: u64) -> Result<u64, ConfigError> {
        match self.waiting_max_mb {
            None => Ok(base),
            Some(0) => Err(ConfigError::invalid(
                "pictures.waiting_max_mb",
                "must be at least 1",
            )),
            Some(mb) => Ok(mb.saturating_mul(1024 * 1024)),
        }
    }

    fn read(self, base: SnapshotSettings) -> Result<SnapshotSettings, ConfigError> {
        let bytes_max = match self.max_mb {
            None => base.bytes_max,
            Some(mb @ 1..=25) => usize::from(mb).saturating_mul(1024 * 1024),
            Some(_) => {
                return Err(ConfigError::invalid("pictures.max_mb", "must be 1 to 25"));
            }
        };
        if self.picture_ms == Some(0) || self.rtsp_port == Some(0) || self.camera_port == Some(0) {
            return Err(ConfigError::invalid("pictures", "must be more than 0"));
        }
        Ok(SnapshotSettings {
            bytes_max,
            picture_deadline: self
                .picture_ms
                .map_or(base.picture_deadline, Duration::from_millis),
            rtsp_port: self.rtsp_port,
            camera_port: self.camera_port.unwrap_or(base.camera_port),
            ffmpeg: self.ffmpeg,
        })
    }
}

impl WebSection {
    fn read(self, base: WebSettings) -> Result<WebSettings, ConfigError> {
        let of = |ports: Option<Vec<u16>>, tls: bool| match ports {
            Some(ports) => ports
                .into_iter()
                .map(|port| WebPort { port, tls })
                .collect(),
            None => {
                let usual = base.ports.iter().copied();
                usual.filter(|port| port.tls == tls).collect::<Vec<_>>()
            }
        };
        let ports: Vec<WebPort> = [of(self.https_ports, true), of(self.http_ports, false)].concat();
        if ports.len() > PORTS_MAX || ports.iter().any(|port| port.port == 0) {
            let reason = format!("must be at most {PORTS_MAX} ports from 1 to 65535");
            return Err(ConfigError::invalid("web", reason));
        }
        let zero = [self.connect_ms, self.request_ms].contains(&Some(0));
        if zero {
            return Err(ConfigError::invalid("web", "a time must not be 0"));
        }
        let span = |ms: Option<u64>, base| ms.map_or(base, Duration::from_millis);
        Ok(WebSettings {
            ports,
            connect: span(self.connect_ms, base.connect),
            request: span(self.request_ms, base.request),
            service_start: base.service_start,
            legacy_login: self.legacy_login.unwrap_or(base.legacy_login),
            key_login: match self.key_login {
                None => base.key_login,
                Some(KeyLoginWord::Never) => KeyLogin::Never,
                Some(KeyLoginWord::Announced) => KeyLogin::Announced,
                Some(KeyLoginWord::Always) => KeyLogin::Always,
            },
        })
    }
}

impl ProtocolSection {
    fn read(self, base: ProtocolSettings) -> ProtocolSettings {
        let span = |ms: Option<u64>, base| ms.map_or(base, Duration::from_millis);
        let limits = Limits {
            init: span(self.greeting_ms, base.limits.init),
            login: span(self.login_ms, base.limits.login),
            tunnel_reply: span(self.request_ms, base.limits.tunnel_reply),
            ..base.limits
        };
        ProtocolSettings {
            resolve: span(self.resolve_ms, base.resolve),
            connect: span(self.connect_ms, base.connect),
            limits,
            tunnel: match self.tunnel {
                None => base.tunnel,
                Some(TunnelWord::Auto) => TunnelMode::Auto,
                Some(TunnelWord::Always) => TunnelMode::Always,
                Some(TunnelWord::Never) => TunnelMode::Never,
            },
            key_source: match self.xor_key {
                None => base.key_source,
                Some(KeyWord::LoginBytes) => KeySource::LoginBytes,
                Some(KeyWord::EncryptParam) => KeySource::EncryptParam,
            },
            allow_empty_password: self
                .allow_empty_password
                .unwrap_or(base.allow_empty_password),
        }
    }
}
