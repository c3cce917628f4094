//! The settings of local scans: pytvt's flags, variables, `.env` and `config.json`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::Value;
use tvt_agent::VendorSettings;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::inventory::DEFAULT_PORT;
use tvtfleet_proto::model::job::{DEFAULT_DEVICE_DEADLINE, DEFAULT_PARALLEL};
use tvtfleet_proto::model::secret::{Credential, Secret};

use crate::env::{self, Variable};
use crate::error::CliError;
use crate::files;
use crate::io::Io;

use super::dotenv::DotEnv;
use super::setting::{Origin, Setting};
use super::value;
use super::vendor::VendorArgs;

/// The configuration file that is read where it exists and none is named.
const DEFAULT_FILE: &str = "config.json";
/// The largest configuration file, in bytes.
const CONFIG_MAX: u64 = 1024 * 1024;
/// The largest password file, in bytes.
const PASSWORD_FILE_MAX: u64 = 4096;
/// The user name where nobody names one.
const DEFAULT_USERNAME: &str = "admin";
/// Keys of `config.json` that have a meaning here.
const KNOWN_KEYS: [&str; 8] = [
    "username",
    "password",
    "port",
    "timeout",
    "concurrency",
    "max_channels",
    SDK_PATH_KEY,
    SCRIPT_KEY,
];
/// Keys that name code to run. They count only in a file that the user named: one that happens to lie
/// in a directory must not choose what runs.
const SDK_PATH_KEY: &str = "sdk_path";
const SCRIPT_KEY: &str = "scan_script";

/// Options that settle how devices are reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Devices")]
pub(crate) struct LocalArgs {
    /// User name on the devices [default: admin]
    #[arg(short, long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    username: Option<String>,
    /// Password on the devices; other users of this computer can see it, prefer --password-file
    #[arg(short, long, value_name = "TEXT", value_parser = value::secret, conflicts_with = "password_file")]
    password: Option<Secret>,
    /// Read the password from the first line of a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Log in with an empty password
    #[arg(long)]
    allow_empty_password: bool,
    /// TCP port where the inventory names none [default: 6036]
    #[arg(long, value_name = "PORT", value_parser = value::port)]
    port: Option<u16>,
    /// Time allowed for one device in all [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = value::duration)]
    timeout: Option<Duration>,
    /// Devices asked at a time [default: 16]
    #[arg(short, long, value_name = "N", value_parser = value::parallel)]
    concurrency: Option<u32>,
    /// How often a device that cannot be reached is tried again; a refused login never is
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=10))]
    retries: u32,
    /// Configuration file in pytvt's format [default: config.json, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    vendor: VendorArgs,
}

/// The settings of a local scan.
#[derive(Debug)]
pub(crate) struct LocalSettings {
    /// User name and password on the devices.
    pub(crate) credential: Credential,
    /// Whether an empty password may be sent.
    pub(crate) allow_empty_password: bool,
    /// The port of devices whose entry names none.
    pub(crate) port: Setting<u16>,
    /// The time allowed for one device.
    pub(crate) timeout: Setting<Duration>,
    /// How many devices are asked at a time.
    pub(crate) concurrency: Setting<u32>,
    /// How often a device that cannot be reached is tried again.
    pub(crate) retries: u32,
    /// Where the vendor's library and bridges are.
    pub(crate) vendor: VendorSettings,
}

impl LocalArgs {
    /// Settles every value, and warns about what is risky or has no effect.
    ///
    /// # Errors
    ///
    /// `config.*` for files and variables, `device.credential_missing` and
    /// `device.credential_invalid` for the password. Each says where the value came from.
    pub(crate) fn settle(&self, io: &Io) -> Result<LocalSettings, CliError> {
        let sources = Sources {
            env: &io.env,
            dotenv: DotEnv::read(io)?,
            file: ConfigFile::read(self.config.as_deref(), io)?,
        };
        let text = |text: &str| Ok(text.to_owned());
        let username = sources.pick(
            self.username.clone().map(|name| (name, "--username")),
            (env::USERNAME, "username"),
            text,
            DEFAULT_USERNAME.to_owned(),
        )?;
        if username.value.is_empty() {
            let message = format!("the user name is empty ({})", username.origin);
            return Err(CliError::new(ErrorCode::ConfigInvalid, message));
        }
        Ok(LocalSettings {
            credential: Credential {
                username: username.value,
                password: self.password(&sources, io)?,
            },
            allow_empty_password: self.allow_empty_password,
            retries: self.retries,
            vendor: self.vendor(&sources, io)?,
            port: sources.pick(
                self.port.map(|port| (port, "--port")),
                (env::PORT, "port"),
                value::port,
                DEFAULT_PORT,
            )?,
            timeout: sources.pick(
                self.timeout.map(|span| (span, "--timeout")),
                (env::TIMEOUT, "timeout"),
                value::duration,
                DEFAULT_DEVICE_DEADLINE,
            )?,
            concurrency: sources.pick(
                self.concurrency.map(|count| (count, "--concurrency")),
                (env::CONCURRENCY, "concurrency"),
                value::parallel,
                DEFAULT_PARALLEL,
            )?,
        })
    }

    fn vendor(&self, sources: &Sources<'_>, io: &Io) -> Result<VendorSettings, CliError> {
        let base = VendorSettings::default();
        let place = |key| {
            let text = sources.file.text(key)?.filter(|text| !text.is_empty());
            if text.is_some() && self.config.is_none() {
                io.warn(&format!(
                    "{key} in {DEFAULT_FILE} counts only with --config {DEFAULT_FILE}"
                ));
                return Ok(None);
            }
            Ok(text.map(|text| io.resolve(Path::new(&text))))
        };
        let file = VendorSettings {
            library: place(SDK_PATH_KEY)?,
            script: place(SCRIPT_KEY)?,
            max_cameras: sources
                .pick(
                    None,
                    (env::MAX_CHANNELS, "max_channels"),
                    value::channels,
                    base.max_cameras,
                )?
                .value,
            ..base
        };
        self.vendor.settle(file, io)
    }

    fn password(&self, sources: &Sources<'_>, io: &Io) -> Result<Secret, CliError> {
        let flag = match (&self.password, &self.password_file) {
            (Some(password), _) => {
                io.warn(
                    "a password on the command line can be seen by other users of this computer; \
                     use --password-file or TVT_PASSWORD",
                );
                Some((password.clone(), "--password"))
            }
            (None, Some(file)) => Some((read_password(&io.resolve(file))?, "--password-file")),
            (None, None) => None,
        };
        let password = sources.pick(
            flag,
            (env::PASSWORD, "password"),
            |text| Ok(Secret::new(text)),
            Secret::new(""),
        )?;
        if !password.value.is_empty() || self.allow_empty_password {
            return Ok(password.value);
        }
        let hint = "name one with --password-file FILE or TVT_PASSWORD, or allow an empty one with \
                    --allow-empty-password";
        Err(if password.origin == Origin::Default {
            CliError::new(ErrorCode::CredentialMissing, "no password for the devices").hint(hint)
        } else {
            let message = format!("the password is empty ({})", password.origin);
            CliError::new(ErrorCode::CredentialInvalid, message).hint(hint)
        })
    }
}

/// Reads a password from the first line of a file that only its owner can read.
///
/// # Errors
///
/// `config.unreadable`, `config.exposed`, `config.invalid`.
pub(crate) fn read_password(path: &Path) -> Result<Secret, CliError> {
    let shown = path.display();
    if files::is_exposed(path) {
        let message = format!("the password file {shown} can be read by other users");
        return Err(
            CliError::new(ErrorCode::ConfigExposed, message).hint(format!("chmod 600 {shown}"))
        );
    }
    let bytes = files::read(path, PASSWORD_FILE_MAX).map_err(|error| {
        error.about(
            ErrorCode::ConfigUnreadable,
            format!("cannot read the password file {shown}"),
        )
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let message = format!("the password file {shown} is not UTF-8");
        CliError::new(ErrorCode::ConfigInvalid, message)
    })?;
    Ok(Secret::new(text.lines().next().unwrap_or_default()))
}

struct Sources<'a> {
    env: &'a env::Environment,
    dotenv: DotEnv,
    file: ConfigFile,
}

impl Sources<'_> {
    /// The first source that names a value settles it.
    fn pick<T>(
        &self,
        flag: Option<(T, &'static str)>,
        (variable, key): (Variable, &'static str),
        parse: impl Fn(&str) -> Result<T, String>,
        default: T,
    ) -> Result<Setting<T>, CliError> {
        if let Some((value, name)) = flag {
            return Ok(Setting::new(value, Origin::Flag(name)));
        }
        let (text, origin) = if let Some(text) = self.env.text(variable)? {
            (text, Origin::Environment(variable.name))
        } else if let Some(text) = self.dotenv.get(variable) {
            (text.to_owned(), Origin::DotEnv(variable.name))
        } else if let Some(text) = self.file.text(key)? {
            (
                text,
                Origin::File {
                    path: self.file.path.clone(),
                    key,
                },
            )
        } else {
            return Ok(Setting::new(default, Origin::Default));
        };
        match parse(&text) {
            Ok(value) => Ok(Setting::new(value, origin)),
            Err(why) => {
                let message = format!("{origin} has no usable value: {text:?}");
                Err(CliError::new(ErrorCode::ConfigInvalid, message).cause(why))
            }
        }
    }
}

/// pytvt's `config.json`.
#[derive(Debug, Default)]
struct ConfigFile {
    path: PathBuf,
    values: serde_json::Map<String, Value>,
}

impl ConfigFile {
    fn read(named: Option<&Path>, io: &Io) -> Result<Self, CliError> {
        let shown = named.unwrap_or(Path::new(DEFAULT_FILE));
        let path = io.resolve(shown);
        let bytes = match files::read(&path, CONFIG_MAX) {
            Ok(bytes) => bytes,
            Err(error) if named.is_none() && error.is_missing() => return Ok(Self::default()),
            Err(error) => {
                let message = format!("cannot read the configuration file {}", shown.display());
                return Err(error.about(ErrorCode::ConfigUnreadable, message));
            }
        };
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
        let invalid = |cause: String| {
            let message = format!("the configuration file {} cannot be used", shown.display());
            CliError::new(ErrorCode::ConfigInvalid, message).cause(cause)
        };
        // The parser's own message names line and column, never the content.
        let values = match serde_json::from_slice::<Value>(bytes) {
            Ok(Value::Object(values)) => values,
            Ok(_) => return Err(invalid("it is no JSON object".into())),
            Err(error) => return Err(invalid(format!("it is not JSON: {error}"))),
        };
        let unused: Vec<&str> = values
            .keys()
            .map(String::as_str)
            .filter(|key| !KNOWN_KEYS.contains(key))
            .collect();
        if !unused.is_empty() {
            io.warn(&format!(
                "{}: not used here: {}",
                shown.display(),
                unused.join(", ")
            ));
        }
        if values.contains_key("password") && files::is_exposed(&path) {
            io.warn(&format!(
                "{} holds a password and can be read by other users; chmod 600 it",
                shown.display()
            ));
        }
        Ok(Self {
            path: shown.to_owned(),
            values,
        })
    }

    /// The text of a key; numbers count as text, and `null` as not there.
    fn text(&self, key: &'static str) -> Result<Option<String>, CliError> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                let origin = Origin::File {
                    path: self.path.clone(),
                    key,
                };
                let message = format!("{origin} is neither text nor a number");
                Err(CliError::new(ErrorCode::ConfigInvalid, message))
            }
        }
    }
}
