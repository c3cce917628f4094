//! `tvt-agent credentials`: the site's own store of device credentials.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use tvt_agent::credentials::CredentialFile;
use tvt_agent::identity::Identity;
use tvt_agent::vault::{Entry, Selector, VaultFile};
use tvt_agent::{AgentConfig, AgentError, rehearse};
use tvtfleet_bus::clock::{Clock as _, SystemClock};
use tvtfleet_bus::closed_file;
use tvtfleet_bus::prompt::{PASSWORD_MAX, ask_password, one_line};
use tvtfleet_bus::trust::fingerprint;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::{BadHost, Endpoint, Host};
use tvtfleet_proto::model::id::CredentialLabel;
use tvtfleet_proto::model::inventory::DEFAULT_PORT;
use tvtfleet_proto::model::secret::Credential;
use tvtfleet_proto::model::time::UtcMillis;

use super::{ConfigFile, read};

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Put a credential under a label; the password is asked for, or read from stdin or a file
    Set(SetArguments),
    /// List labels, user names and what they are for, never passwords
    List(ListArguments),
    /// Log in to devices with a credential, once each; the agent must not run
    Test(TestArguments),
    /// Take a label out
    Remove(RemoveArguments),
    /// Take over the credential file of the configuration
    Import(ImportArguments),
}

/// Arguments of `tvt-agent credentials set`.
#[derive(Debug, Args)]
#[command(after_help = "\
A device is served by the label that its job or inventory names. Where they name none, by the label
whose selector names the device most closely: mac:ADDRESS, then addresses and networks, the longest
first, then name:PATTERN, then any. Where two do equally, none is tried.

Examples:
  tvt-agent credentials set nvr --user admin --for any --config agent.toml
  tvt-agent credentials set gate --user ops --for 10.0.5.0/24 --for name:gate-* --config agent.toml
  pass show gate | tvt-agent credentials set gate --user ops --config agent.toml")]
pub(super) struct SetArguments {
    /// The label
    #[arg(value_name = "LABEL")]
    label: CredentialLabel,
    /// The account's name on the devices
    #[arg(long, value_name = "NAME")]
    user: String,
    /// The devices that it serves: any, an address, a network, mac:ADDRESS or name:PATTERN; may be repeated
    #[arg(long = "for", value_name = "SELECTOR")]
    selectors: Vec<Selector>,
    /// Read the password from a file that nobody else can read
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Not to be used from this time on, as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<UtcMillis>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Arguments of `tvt-agent credentials list`.
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// Arguments of `tvt-agent credentials test`.
#[derive(Debug, Args)]
#[command(after_help = "\
A login that is refused counts as any other: recorders lock accounts, so what was refused before is not
tried again for a while. Without an address, the single addresses that the label serves are tried.

Examples:
  tvt-agent credentials test nvr 192.168.1.10 --config agent.toml
  tvt-agent credentials test nvr 192.168.1.10:9008 192.168.1.11 --config agent.toml")]
pub(super) struct TestArguments {
    /// The label
    #[arg(value_name = "LABEL")]
    label: CredentialLabel,
    /// The devices: addresses or names, with a port unless it is 6036
    #[arg(value_name = "ADDR")]
    devices: Vec<String>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Arguments of `tvt-agent credentials remove`.
#[derive(Debug, Args)]
pub(super) struct RemoveArguments {
    /// The label
    #[arg(value_name = "LABEL")]
    label: CredentialLabel,
    #[command(flatten)]
    config: ConfigFile,
}

/// Arguments of `tvt-agent credentials import`.
#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// Replace labels that the vault has already
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Command {
    /// Runs the subcommand.
    pub(super) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Set(arguments) => arguments.run(),
            Self::List(arguments) => arguments.run(),
            Self::Test(arguments) => arguments.run(),
            Self::Remove(arguments) => arguments.run(),
            Self::Import(arguments) => arguments.run(),
        }
    }
}

impl SetArguments {
    fn run(&self) -> anyhow::Result<()> {
        let config = read(&self.config)?;
        let vault = to_write(&config)?;
        let password = match &self.password_file {
            Some(file) => closed_file::read(file, None, PASSWORD_MAX)
                .map(|text| one_line(text.expose()))
                .map_err(AgentError::from)?,
            None => ask_password().context("cannot read the password")?,
        };
        if password.is_empty() {
            return Err(refused("the password is empty"));
        }
        let credential = Credential {
            username: self.user.clone(),
            password,
        };
        let (selectors, label) = (self.selectors.clone(), self.label.clone());
        let expires = self.expires;
        let set = vault.change(|book| {
            book.set(label.clone(), credential, selectors, expires)?;
            book.entry(&label)
                .map(|entry| (entry.version, entry.fingerprint(&label)))
                .ok_or("it is gone again")
        });
        let (version, fingerprint) = set.map_err(AgentError::from)?.map_err(refused)?;
        say(&format!(
            "label        {}\nversion      {version}\nfingerprint  {fingerprint}\n",
            self.label
        ))
    }
}

impl ListArguments {
    fn run(&self) -> anyhow::Result<()> {
        let config = read(&self.config)?;
        let Some(vault) = config.vault().map_err(AgentError::from)? else {
            return say(if self.json {
                "{\"schema\":1,\"credentials\":[]}\n"
            } else {
                "there is no vault; see tvt-agent credentials set --help\n"
            });
        };
        let book = vault.read().map_err(AgentError::from)?;
        let key = config.identity.as_ref().map(Identity::curve_key);
        let key = key.transpose().map_err(AgentError::Identity)?;
        let key = key.as_deref().map(fingerprint);
        if self.json {
            let rows: Vec<_> = book
                .entries()
                .map(|(label, entry)| row(label, entry))
                .collect();
            let document =
                serde_json::json!({"schema": 1, "sealing_key": key, "credentials": rows});
            return say(&format!("{document:#}\n"));
        }
        let now = SystemClock.now();
        let mut text = String::new();
        if let Some(key) = key {
            text.push_str(&format!("sealing key  {key}\n"));
        }
        for (label, entry) in book.entries() {
            let serves: Vec<String> = entry.selectors.iter().map(ToString::to_string).collect();
            let expires = entry.expires.map_or_else(String::new, |at| {
                let verb = if now >= at { "expired" } else { "until" };
                format!("  {verb} {at}")
            });
            text.push_str(&format!(
                "{label}  user {:?}  version {}  {}  for {}{expires}\n",
                entry.credential.username,
                entry.version,
                entry.fingerprint(label),
                if serves.is_empty() {
                    "its label only".to_owned()
                } else {
                    serves.join(", ")
                },
            ));
        }
        say(&text)
    }
}

impl TestArguments {
    fn run(&self) -> anyhow::Result<()> {
        let config = read(&self.config)?;
        let devices = self.devices.iter().map(|text| endpoint(text));
        let mut devices = devices.collect::<anyhow::Result<Vec<Endpoint>>>()?;
        if devices.is_empty() {
            let vault = config.vault().map_err(AgentError::from)?;
            let book = vault.map(|vault| vault.read()).transpose();
            let book = book.map_err(AgentError::from)?.unwrap_or_default();
            let entry = book.entry(&self.label);
            let entry =
                entry.ok_or_else(|| refused(format!("there is no credential {}", self.label)))?;
            for selector in &entry.selectors {
                if let Some(address) = selector.single() {
                    devices.push(Endpoint {
                        host: Host::Ip(address),
                        port: DEFAULT_PORT,
                    });
                }
            }
        }
        if devices.is_empty() {
            return Err(refused("the label serves no single address: name a device"));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let said = runtime.block_on(rehearse(&config, &self.label, devices))?;
        let mut failed = None;
        for (device, failure) in said {
            match failure {
                None => say(&format!("{device}  good\n"))?,
                Some(failure) => {
                    say(&format!("{device}  {}  {}\n", failure.code, failure.text))?;
                    failed.get_or_insert(failure.code);
                }
            }
        }
        match failed {
            None => Ok(()),
            Some(code) => Err(AgentError::Refused {
                code,
                text: "the credential is not good everywhere".to_owned(),
            }
            .into()),
        }
    }
}

fn endpoint(text: &str) -> anyhow::Result<Endpoint> {
    let bare = || {
        Ok(Endpoint {
            host: text.parse()?,
            port: DEFAULT_PORT,
        })
    };
    let read: Result<Endpoint, BadHost> = text.parse::<Endpoint>().or_else(|_| bare());
    read.map_err(|error| refused(error.to_string()))
}

impl RemoveArguments {
    fn run(&self) -> anyhow::Result<()> {
        let config = read(&self.config)?;
        let Some(vault) = config.vault().map_err(AgentError::from)? else {
            return Err(refused("there is no vault"));
        };
        let removed = vault.change(|book| book.remove(&self.label));
        if removed.map_err(AgentError::from)? {
            say(&format!("{} removed\n", self.label))
        } else {
            Err(refused(format!("there is no credential {}", self.label)))
        }
    }
}

impl ImportArguments {
    fn run(&self) -> anyhow::Result<()> {
        let config = read(&self.config)?;
        let Some(path) = &config.credentials_file else {
            return Err(refused("the configuration names no credentials_file"));
        };
        let guarded = config.nats.guarded_folder.as_deref();
        let file = CredentialFile::read_guarded(path, guarded).map_err(AgentError::from)?;
        let vault = to_write(&config)?;
        let imported = vault.change(|book| {
            let known: BTreeSet<CredentialLabel> =
                book.entries().map(|(label, _)| label.clone()).collect();
            let taken = file.credentials().find(|(label, _)| known.contains(*label));
            if let (Some((label, _)), false) = (taken, self.replace) {
                return Err(format!(
                    "the vault has {label} already; --replace replaces it"
                ));
            }
            let mut count = 0_usize;
            for (label, credential) in file.credentials() {
                // What served every device goes on doing so.
                let is_default = file.default_label() == Some(label);
                let selectors = is_default.then_some(Selector::Any).into_iter().collect();
                book.set(label.clone(), credential.clone(), selectors, None)?;
                count = count.saturating_add(1);
            }
            Ok(count)
        });
        let count = imported.map_err(AgentError::from)?.map_err(refused)?;
        say(&format!(
            "{count} credentials taken over; take credentials_file out of the configuration and delete {}\n",
            path.display()
        ))
    }
}

/// The vault, with a key of its own where there is none yet.
fn to_write(config: &AgentConfig) -> anyhow::Result<VaultFile> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("cannot make {}", config.data_dir.display()))?;
    if let Some(path) = config.make_vault_key().map_err(AgentError::from)? {
        say(&format!("key          {} (new)\n", path.display()))?;
    }
    let vault = config.vault().map_err(AgentError::from)?;
    vault.ok_or_else(|| refused("there is no key for the vault"))
}

fn row(label: &CredentialLabel, entry: &Entry) -> serde_json::Value {
    let serves: Vec<String> = entry.selectors.iter().map(ToString::to_string).collect();
    serde_json::json!({
        "label": label.as_str(),
        "username": entry.credential.username,
        "selectors": serves,
        "version": entry.version,
        "fingerprint": entry.fingerprint(label),
        "expires": entry.expires.map(|at| at.to_string()),
    })
}

fn refused(text: impl Into<String>) -> anyhow::Error {
    AgentError::Refused {
        code: ErrorCode::UsageInvalid,
        text: text.into(),
    }
    .into()
}

fn say(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to standard output")
}
