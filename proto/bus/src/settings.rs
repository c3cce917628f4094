//! The `[nats]` section that the services' configuration files share, and the one rule about servers
//! that ask for no login.

use std::fmt;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tvtfleet_proto::error::ErrorCode;

use crate::options::ConnectOptions;

/// The bit of a file's mode by which everybody may read it.
const OTHERS_READ: u32 = 0o004;
/// The variable in which systemd names the folder of a service's credentials.
pub const SYSTEMD_CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// Which NATS server to use, and how.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NatsSettings {
    /// The servers, as `tls://host:4222`, `nats://host:4222` or `wss://host`. A user and password may
    /// stand before the host, for a server without accounts; [`Self::login_file`] is the better place.
    pub urls: Vec<String>,
    /// The credentials file (JWT and seed), mode 0600.
    pub credentials_file: Option<PathBuf>,
    /// A file that holds `user:password` and nothing else, mode 0600.
    pub login_file: Option<PathBuf>,
    /// The certificates of the authorities that may vouch for the server; else the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether a server on this machine may be used without any login.
    pub insecure_dev: bool,
    /// A folder whose files may show rights of a group, as systemd's credentials do.
    pub guarded_folder: Option<PathBuf>,
}

/// Leaves out what a URL may hold between `//` and `@`.
impl fmt::Debug for NatsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self.urls.iter().map(|url| Server::of(url).shown).collect();
        f.debug_struct("NatsSettings")
            .field("urls", &urls)
            .field("credentials_file", &self.credentials_file)
            .field("login_file", &self.login_file)
            .field("ca_file", &self.ca_file)
            .field("insecure_dev", &self.insecure_dev)
            .field("guarded_folder", &self.guarded_folder)
            .finish()
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file holds a password and can be read by everybody.
    #[error("{} holds a password and can be read by everybody", .0.display())]
    Exposed(PathBuf),
    /// The file cannot be looked at.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
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

impl SettingsError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Exposed(_) => ErrorCode::ConfigExposed,
            Self::Unreadable { .. } => ErrorCode::ConfigUnreadable,
            Self::Invalid { .. } => ErrorCode::ConfigInvalid,
        }
    }

    fn invalid(setting: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            setting,
            reason: reason.into(),
        }
    }
}

/// The names of the variables that win over a file.
#[derive(Clone, Copy, Debug)]
pub struct NatsVariables {
    /// The servers, separated by commas.
    pub urls: &'static str,
    /// The credentials file.
    pub credentials: &'static str,
    /// The file with user and password.
    pub login: &'static str,
    /// The file with the authorities' certificates.
    pub ca: &'static str,
    /// `true` lets a server on this machine do without a login.
    pub insecure_dev: &'static str,
}

/// The part of the `[nats]` section that every service has.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsSection {
    /// [`NatsSettings::urls`].
    pub urls: Option<Vec<String>>,
    /// [`NatsSettings::credentials_file`].
    pub credentials_file: Option<PathBuf>,
    /// [`NatsSettings::login_file`].
    pub login_file: Option<PathBuf>,
    /// [`NatsSettings::ca_file`].
    pub ca_file: Option<PathBuf>,
    /// [`NatsSettings::insecure_dev`].
    pub insecure_dev: Option<bool>,
}

impl NatsSection {
    /// Lets variables win over the file; empty ones count as unset.
    ///
    /// # Errors
    ///
    /// `config.invalid` where the switch of `insecure_dev` is neither true nor false.
    pub fn settle(
        self,
        names: &NatsVariables,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<NatsSettings, SettingsError> {
        let variable = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
        let path = |name: &str, file: Option<PathBuf>| variable(name).map(PathBuf::from).or(file);
        let insecure_dev = match variable(names.insecure_dev).as_deref() {
            None => self.insecure_dev.unwrap_or(false),
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(_) => {
                let reason = "must be true or false";
                return Err(SettingsError::invalid(names.insecure_dev, reason));
            }
        };
        Ok(NatsSettings {
            urls: match variable(names.urls) {
                Some(list) => list.split(',').map(|url| url.trim().to_owned()).collect(),
                None => self.urls.unwrap_or_default(),
            },
            credentials_file: path(names.credentials, self.credentials_file),
            login_file: path(names.login, self.login_file),
            ca_file: path(names.ca, self.ca_file),
            insecure_dev,
            guarded_folder: variable(SYSTEMD_CREDENTIALS_VARIABLE).map(PathBuf::from),
        })
    }
}

impl NatsSettings {
    /// Settings for development: one server on this machine, without a login.
    #[must_use]
    pub fn insecure(url: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            insecure_dev: true,
            ..Self::default()
        }
    }

    /// Checks that there is a server, and a login for each that is not on this machine.
    ///
    /// # Errors
    ///
    /// `config.invalid`.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.urls.is_empty() {
            return Err(SettingsError::invalid("nats.urls", "no server is named"));
        }
        if self.credentials_file.is_some() && self.login_file.is_some() {
            let reason = "cannot be combined with nats.credentials_file";
            return Err(SettingsError::invalid("nats.login_file", reason));
        }
        if self.has_login_file() {
            return Ok(());
        }
        let servers = self.urls.iter().map(|url| Server::of(url));
        let open: Vec<_> = servers.filter(|server| !server.has_password).collect();
        if open.is_empty() {
            return Ok(());
        }
        if !self.insecure_dev {
            let reason = "needed, unless nats.insecure_dev is set for a server on this machine";
            return Err(SettingsError::invalid("nats.credentials_file", reason));
        }
        if !open.iter().all(|server| server.is_loopback) {
            let reason = "works with servers on this machine only";
            return Err(SettingsError::invalid("nats.insecure_dev", reason));
        }
        Ok(())
    }

    /// Checks that a configuration file with a password in an address is not open to everybody.
    ///
    /// # Errors
    ///
    /// `config.exposed` or `config.unreadable`.
    pub fn check_exposure(&self, path: &Path) -> Result<(), SettingsError> {
        if !self.urls.iter().any(|url| Server::of(url).has_password) {
            return Ok(());
        }
        let metadata = std::fs::metadata(path).map_err(|source| SettingsError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        if metadata.permissions().mode() & OTHERS_READ != 0 {
            return Err(SettingsError::Exposed(path.to_owned()));
        }
        Ok(())
    }

    /// How a service connects under `name`: it waits for a server, and takes none that asks for no
    /// login, unless it is meant to.
    #[must_use]
    pub fn connect_options(&self, name: impl Into<String>) -> ConnectOptions {
        ConnectOptions {
            urls: self.urls.clone(),
            name: name.into(),
            credentials_file: self.credentials_file.clone(),
            login_file: self.login_file.clone(),
            ca_file: self.ca_file.clone(),
            guarded_folder: self.guarded_folder.clone(),
            retry_initial: true,
            refuse_open_server: !self.insecure_dev,
            ..ConnectOptions::default()
        }
    }

    const fn has_login_file(&self) -> bool {
        self.credentials_file.is_some() || self.login_file.is_some()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> NatsSettings {
        NatsSettings {
            urls: vec![url.to_owned()],
            ..NatsSettings::default()
        }
    }

    #[test]
    fn only_this_machine_does_without_a_login() {
        for good in [
            "nats://127.0.0.1:4222",
            "localhost",
            "nats://[::1]:4222/",
            "127.8.9.1:1",
        ] {
            NatsSettings::insecure(good).check().unwrap();
            assert!(settings(good).check().is_err(), "{good} needs the switch");
        }
        for bad in [
            "nats://10.0.0.1",
            "nats://localhost.evil.example",
            "nats://evil.example/127.0.0.1",
            "nats://0.0.0.0:4222",
            "",
        ] {
            let error = NatsSettings::insecure(bad).check().unwrap_err();
            assert!(error.to_string().contains("insecure_dev"), "{bad}: {error}");
        }
        assert!(!Server::of("nats://127.0.0.1@evil.example").is_loopback);
    }

    #[test]
    fn a_login_is_a_file_or_in_every_address() {
        settings("tls://u:p@nats.example").check().unwrap();
        let mut two = settings("tls://u:p@nats.example");
        two.urls.push("tls://other.example".into());
        assert!(two.check().is_err());
        two.login_file = Some("/l".into());
        two.check().unwrap();
        two.credentials_file = Some("/c".into());
        assert!(two.check().is_err(), "which of the two?");
        two.login_file = None;
        two.check().unwrap();
        two.urls.clear();
        assert!(two.check().unwrap_err().to_string().contains("nats.urls"));
    }

    #[test]
    fn passwords_in_addresses_stay_hidden() {
        let settings = settings("tls://coordinator:hidden@nats.example:4222");
        assert!(!format!("{settings:?}").contains("hidden"));
        assert!(format!("{settings:?}").contains("tls://nats.example:4222"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        std::fs::write(&path, "").unwrap();
        let mode =
            |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        settings.check_exposure(&path).unwrap();
        mode(0o644);
        let error = settings.check_exposure(&path).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigExposed);
        NatsSettings::insecure("nats://127.0.0.1")
            .check_exposure(&path)
            .unwrap();
    }
}
