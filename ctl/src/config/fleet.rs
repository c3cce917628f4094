//! How fleet commands find the server: flags, variables, `tvtctl.toml`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::secret::Secret;

use crate::env::{self, Variable};
use crate::error::CliError;
use crate::files;
use crate::io::Io;

use super::setting::{Origin, Setting};
use super::value;

/// The server where nobody names one.
const DEFAULT_URL: &str = "nats://127.0.0.1:4222";
/// The largest configuration file, in bytes.
const CONFIG_MAX: u64 = 1024 * 1024;

/// Options that say where the server is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Address of the NATS server, several with commas [default: nats://127.0.0.1:4222]
    #[arg(long, value_name = "URL", value_delimiter = ',', value_parser = value::secret)]
    server: Vec<Secret>,
    /// Credentials file for the NATS server
    #[arg(long, value_name = "FILE")]
    creds: Option<PathBuf>,
    /// Certificate authority file of the NATS server
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Configuration file [default: ~/.config/tvtfleet/tvtctl.toml, where it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Where the server is and who asks.
#[derive(Clone, Debug)]
pub(crate) struct ServerSettings {
    /// Addresses of the NATS server; at least one. They may hold a password.
    pub(crate) urls: Setting<Vec<Secret>>,
    /// The operator's credentials file.
    pub(crate) credentials: Option<Setting<PathBuf>>,
    /// The server's certificate authority.
    pub(crate) ca: Option<Setting<PathBuf>>,
}

impl ServerArgs {
    /// Settles every value.
    ///
    /// # Errors
    ///
    /// `config.unreadable` or `config.invalid`.
    pub(crate) fn settle(&self, io: &Io) -> Result<ServerSettings, CliError> {
        let file = read_config(self.config.as_deref(), io)?;
        let urls = if !self.server.is_empty() {
            Setting::new(self.server.clone(), Origin::Flag("--server"))
        } else if let Some(text) = io.env.text(env::NATS_URL)? {
            let urls = text.split(',').map(|url| Secret::new(url.trim())).collect();
            Setting::new(urls, Origin::Environment(env::NATS_URL.name))
        } else if let Some((path, OneOrMore(urls))) = file.named(|keys| keys.server.clone()) {
            let urls = urls.into_iter().map(Secret::new).collect();
            Setting::new(
                urls,
                Origin::File {
                    path,
                    key: "server",
                },
            )
        } else {
            Setting::new(vec![Secret::new(DEFAULT_URL)], Origin::Default)
        };
        if urls.value.is_empty() || urls.value.iter().any(Secret::is_empty) {
            let message = format!("an address of the NATS server is empty ({})", urls.origin);
            return Err(CliError::new(ErrorCode::ConfigInvalid, message));
        }
        let pick = |flag: &Option<PathBuf>,
                    name,
                    variable: Variable,
                    named: Option<(PathBuf, PathBuf)>,
                    key| {
            let from_flag = flag
                .as_ref()
                .map(|path| Setting::new(io.resolve(path), Origin::Flag(name)));
            let from_env = || {
                let path = io.env.path(variable)?;
                Some(Setting::new(
                    io.resolve(&path),
                    Origin::Environment(variable.name),
                ))
            };
            let from_file = || {
                let (file, path) = named?;
                // Relative to the file that names it.
                let folder = file.parent().unwrap_or(Path::new(""));
                Some(Setting::new(
                    folder.join(path),
                    Origin::File {
                        path: file.clone(),
                        key,
                    },
                ))
            };
            from_flag.or_else(from_env).or_else(from_file)
        };
        let creds = file.named(|keys| keys.creds.clone());
        let ca = file.named(|keys| keys.ca.clone());
        Ok(ServerSettings {
            urls,
            credentials: pick(&self.creds, "--creds", env::NATS_CREDS, creds, "creds"),
            ca: pick(&self.ca, "--ca", env::NATS_CA, ca, "ca"),
        })
    }
}

/// The keys of `tvtctl.toml`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    server: Option<OneOrMore>,
    creds: Option<PathBuf>,
    ca: Option<PathBuf>,
}

#[derive(Clone, Deserialize)]
#[serde(from = "OneOrMoreText")]
struct OneOrMore(Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMoreText {
    One(String),
    More(Vec<String>),
}

impl From<OneOrMoreText> for OneOrMore {
    fn from(text: OneOrMoreText) -> Self {
        match text {
            OneOrMoreText::One(url) => Self(vec![url]),
            OneOrMoreText::More(urls) => Self(urls),
        }
    }
}

#[derive(Default)]
struct ConfigFile {
    path: PathBuf,
    keys: Keys,
}

impl ConfigFile {
    fn named<T>(&self, key: impl FnOnce(&Keys) -> Option<T>) -> Option<(PathBuf, T)> {
        key(&self.keys).map(|value| (self.path.clone(), value))
    }
}

fn read_config(flag: Option<&Path>, io: &Io) -> Result<ConfigFile, CliError> {
    let named = flag
        .map(Path::to_owned)
        .or_else(|| io.env.path(env::CTL_CONFIG));
    let Some(path) = named
        .clone()
        .or_else(|| usual_path(io))
        .map(|path| io.resolve(&path))
    else {
        return Ok(ConfigFile::default());
    };
    let bytes = match files::read(&path, CONFIG_MAX) {
        Ok(bytes) => bytes,
        Err(error) if named.is_none() && error.is_missing() => return Ok(ConfigFile::default()),
        Err(error) => {
            let message = format!("cannot read the configuration file {}", path.display());
            return Err(error.about(ErrorCode::ConfigUnreadable, message));
        }
    };
    let invalid = |cause: String| {
        let message = format!("the configuration file {} cannot be used", path.display());
        CliError::new(ErrorCode::ConfigInvalid, message)
            .cause(cause)
            .hint("it may hold server, creds and ca; see tvtctl scan --help")
    };
    let text = String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8".into()))?;
    let keys = toml::from_str(&text).map_err(|error: toml::de::Error| {
        // The parser's whole message would show the line, and a URL may hold a password.
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let line = before.matches('\n').count().saturating_add(1);
        invalid(format!("line {line}: {}", error.message()))
    })?;
    Ok(ConfigFile { path, keys })
}

fn usual_path(io: &Io) -> Option<PathBuf> {
    let folder = io
        .env
        .path(env::XDG_CONFIG_HOME)
        .or_else(|| io.env.path(env::HOME).map(|home| home.join(".config")))?;
    Some(folder.join("tvtfleet/tvtctl.toml"))
}
