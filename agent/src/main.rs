//! The program `tvt-agent`.

mod credentials_command;

use std::io::{Read as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgAction, Args, Parser, Subcommand};
use tvt_agent::config::AgentConfig;
use tvt_agent::credentials::CredentialFile;
use tvt_agent::identity::{self, IdentityError};
use tvt_agent::{AgentError, forget_refusals, site_context};
use tvtfleet_bus::Shutdown;
use tvtfleet_bus::clock::SystemClock;
use tvtfleet_bus::telemetry::{self, LogFormat, Verbosity};
use tvtfleet_bus::trust::{JoinString, fingerprint};
use tvtfleet_proto::error::ExitStatus;

const EXAMPLES: &str = "\
Examples:
  tvt-agent check --config /etc/tvtfleet/agent.toml
  tvt-agent run --config /etc/tvtfleet/agent.toml
  tvt-agent forget-refusals --config /etc/tvtfleet/agent.toml
  tvt-agent join --data-dir /var/lib/tvt-agent < string
  TVT_AGENT_NATS_URL=nats://127.0.0.1:4222 tvt-agent -v run --config agent.toml

Variables win over the file: TVT_AGENT_TENANT, TVT_AGENT_SITE, TVT_AGENT_DATA_DIR,
TVT_AGENT_CREDENTIALS_FILE, TVT_AGENT_NATS_URL, TVT_AGENT_NATS_CREDENTIALS,
TVT_AGENT_NATS_LOGIN, TVT_AGENT_NATS_CA, TVT_AGENT_INSECURE_DEV. TVTFLEET_LOG says in detail what is logged.";

/// The longest join string that is read, in bytes.
const STRING_MAX: u64 = 64 * 1024;

/// Talk to the TVT devices of one network on behalf of the coordinator
#[derive(Debug, Parser)]
#[command(name = "tvt-agent", version, after_help = EXAMPLES)]
struct Arguments {
    /// Log more; twice for everything
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
    /// Log errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Log one JSON object a line
    #[arg(long, global = true)]
    log_json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent until it gets SIGINT or SIGTERM
    Run(ConfigFile),
    /// Check the configuration and the credentials, without connecting anywhere
    Check(ConfigFile),
    /// Forget which logins devices have refused, and which accounts they have locked
    ///
    /// An agent does not try a credential again that a device has refused twice within 24 hours, nor
    /// an account that a device has locked. A changed password is tried without this command, unless
    /// the account is locked. Use it once you know that the accounts are free again. The agent must
    /// not run meanwhile.
    ForgetRefusals(ConfigFile),
    /// Keep the credentials of the devices, sealed
    ///
    /// One file in the data folder holds them, sealed with a key: the file that vault_key_file in the
    /// configuration names, else vault-key among the credentials that systemd hands over, else vault.key
    /// in the data folder, which is made with the first credential. A key file holds 64 hexadecimal
    /// digits or a passphrase. A running agent takes up changes by itself, once it runs with a key.
    #[command(subcommand)]
    Credentials(credentials_command::Command),
    /// Join a fleet with the string that `tvtctl admin site add` printed
    Join(JoinArguments),
}

/// Arguments of `tvt-agent join`.
#[derive(Debug, Args)]
struct JoinArguments {
    /// The string; without it, it is read from standard input
    #[arg(value_name = "STRING")]
    string: Option<String>,
    /// Folder of spool, journal and identity: data_dir of the configuration
    #[arg(long, value_name = "DIR", default_value = "/var/lib/tvt-agent")]
    data_dir: PathBuf,
    /// Join although the agent has joined already
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration, a TOML file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

fn main() -> ExitCode {
    if let Some(ended) = tvt_agent::snapshot::decode_if_asked(std::env::args_os()) {
        return ended;
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to stdout and are no errors. A closed pipe is nobody's trouble.
            let _closed = error.print();
            let status = if error.use_stderr() {
                ExitStatus::Usage
            } else {
                ExitStatus::Success
            };
            return ExitCode::from(status.number());
        }
    };
    match carry_out(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

fn carry_out(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.command {
        Command::Run(file) => run(arguments, file),
        Command::Check(file) => check(file),
        Command::ForgetRefusals(file) => forget(file),
        Command::Join(arguments) => join(arguments),
        Command::Credentials(command) => command.run(),
    }
}

fn join(arguments: &JoinArguments) -> anyhow::Result<()> {
    let text = match &arguments.string {
        Some(text) => text.clone(),
        None => {
            let mut text = String::new();
            std::io::stdin()
                .take(STRING_MAX)
                .read_to_string(&mut text)
                .context("cannot read standard input")?;
            text
        }
    };
    let wrong = |error| AgentError::Identity(IdentityError::Trust(error));
    let string: JoinString = text.parse().map_err(wrong)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let joined = runtime
        .block_on(identity::join(
            &arguments.data_dir,
            &string,
            arguments.replace,
            tvt_agent::hostname(),
            &SystemClock,
        ))
        .map_err(AgentError::Identity)?;
    let text = format!(
        "joined       {}\nservers      {}\nkey          {}\nsealing key  {}\n",
        joined.identity.site(),
        joined.urls.join(", "),
        joined.identity.user_key().map_err(AgentError::Identity)?,
        fingerprint(&joined.identity.curve_key().map_err(AgentError::Identity)?)
    );
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to standard output")
}

fn run(arguments: &Arguments, file: &ConfigFile) -> anyhow::Result<()> {
    let verbosity = match (arguments.quiet, arguments.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::Trace,
    };
    let format = if arguments.log_json {
        LogFormat::Json
    } else {
        LogFormat::Text
    };
    let config = read(file)?;
    let _telemetry = telemetry::init("tvt-agent", verbosity, format)?;
    // One thread is enough for a site, and small.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(async {
        let shutdown = Shutdown::on_signals().context("cannot watch for signals")?;
        Ok(tvt_agent::run(config, shutdown).await?)
    });
    // A bridge that does not answer must not hold the end up.
    runtime.shutdown_background();
    ended
}

fn check(file: &ConfigFile) -> anyhow::Result<()> {
    let config = read(file)?;
    site_context(&config)?;
    let mut text = format!("site         {}\n", config.site);
    text.push_str(&format!("data folder  {}\n", config.data_dir.display()));
    if let Some(identity) = &config.identity {
        let key = identity.user_key().map_err(AgentError::Identity)?;
        let curve = identity.curve_key().map_err(AgentError::Identity)?;
        text.push_str(&format!("key          {key}\n"));
        text.push_str(&format!("sealing key  {}\n", fingerprint(&curve)));
    }
    // Addresses may hold a password, so only their number is shown.
    text.push_str(&format!("servers      {}\n", config.nats.urls.len()));
    match &config.credentials_file {
        None => text.push_str("credentials  none, only probes will succeed\n"),
        Some(path) => {
            let read = CredentialFile::read_guarded(path, config.nats.guarded_folder.as_deref());
            let credentials = read.map_err(AgentError::from)?;
            let labels: Vec<_> = credentials.labels().map(ToString::to_string).collect();
            let default = credentials
                .default_label()
                .map_or("none", |label| label.as_str());
            text.push_str(&format!(
                "credentials  {} (default: {default})\n",
                labels.join(", ")
            ));
        }
    }
    if let Some(vault) = config.vault().map_err(AgentError::from)? {
        let count = vault.read().map_err(AgentError::from)?.entries().count();
        text.push_str(&format!("vault        {count} credentials\n"));
    }
    for window in &config.policy.quiet_hours {
        text.push_str(&format!("quiet hours  {window}\n"));
    }
    if let Some(bridge) = &config.bridge {
        text.push_str(&format!("bridge       {bridge}\n"));
    }
    text.push_str("the configuration can be used\n");
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to standard output")
}

fn forget(file: &ConfigFile) -> anyhow::Result<()> {
    let count = forget_refusals(&read(file)?)?;
    let text = format!("forgot {count} refusals and locks\n");
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to standard output")
}

fn read(file: &ConfigFile) -> anyhow::Result<AgentConfig> {
    let config = AgentConfig::read(&file.config, |name| std::env::var(name).ok())
        .map_err(AgentError::from)?;
    config
        .nats
        .check_exposure(&file.config)
        .map_err(|error| AgentError::Config(error.into()))?;
    Ok(config)
}

/// Prints an error with its causes, what to try, and the code.
fn complain(error: &anyhow::Error) -> ExitCode {
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  caused by: {}\n", cause.to_string().trim_end()));
    }
    let known = error.downcast_ref::<AgentError>();
    if let Some(hint) = known.and_then(AgentError::hint) {
        text.push_str(&format!("hint: {hint}\n"));
    }
    let status = match known {
        Some(error) => {
            text.push_str(&format!("code: {}\n", error.code()));
            error.code().exit_status()
        }
        None => ExitStatus::Config,
    };
    // Nobody is left to be told that stderr is closed.
    let _closed = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(status.number())
}
