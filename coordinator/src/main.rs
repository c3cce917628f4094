//! `tvt-coordinator`: the central service of tvtfleet.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use tvt_coordinator::{ConfigError, CoordinatorConfig, CoordinatorError};
use tvtfleet_bus::Shutdown;
use tvtfleet_bus::telemetry::{self, LogFormat, Verbosity};
use tvtfleet_proto::error::{ErrorCode, ExitStatus};

/// How long tracked tasks may take to end.
const FINISH_LIMIT: Duration = Duration::from_secs(20);

/// Central service of tvtfleet: takes jobs, hands each site its work, gathers the results
#[derive(Parser)]
#[command(name = "tvt-coordinator", version, propagate_version = true)]
struct Arguments {
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Log only errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Form of the log lines on stderr
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service until it is stopped
    Run(RunArguments),
    /// Check the configuration and exit
    Check(ConfigArgument),
}

#[derive(clap::Args)]
struct RunArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Only follow until there is a leader: never begin a fleet from this replica's own database
    #[arg(long)]
    standby: bool,
}

#[derive(clap::Args)]
struct ConfigArgument {
    /// Configuration file
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/tvtfleet/coordinator.toml"
    )]
    config: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let verbosity = match (arguments.quiet, arguments.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::Trace,
    };
    let format = match arguments.log_format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    };
    let guard = match telemetry::init("tvt-coordinator", verbosity, format) {
        Ok(guard) => guard,
        Err(error) => {
            complain(&error, ErrorCode::ConfigInvalid, None);
            return exit(ExitStatus::Config);
        }
    };
    let result = match &arguments.command {
        Command::Run(argument) => start(argument),
        Command::Check(argument) => read(argument).map(drop),
    };
    drop(guard);
    match result {
        Ok(()) => exit(ExitStatus::Success),
        Err(error) => {
            complain(&error, error.code(), error.hint());
            exit(error.code().exit_status())
        }
    }
}

fn read(argument: &ConfigArgument) -> Result<CoordinatorConfig, CoordinatorError> {
    let config = CoordinatorConfig::read(&argument.config, |name| std::env::var(name).ok())?;
    config
        .nats
        .check_exposure(&argument.config)
        .map_err(ConfigError::from)?;
    Ok(config)
}

fn start(arguments: &RunArguments) -> Result<(), CoordinatorError> {
    let mut config = read(&arguments.config)?;
    if arguments.standby {
        config.stand_by()?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CoordinatorError::Runtime)?;
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals().map_err(CoordinatorError::Runtime)?;
        let result = tvt_coordinator::run(config, shutdown.clone()).await;
        shutdown.finish(FINISH_LIMIT).await;
        result
    })
}

fn exit(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.number())
}

#[expect(
    clippy::print_stderr,
    reason = "the last word of a service that cannot go on"
)]
fn complain(error: &(dyn std::error::Error + 'static), code: ErrorCode, hint: Option<&str>) {
    eprintln!("error: {error} ({code})");
    let mut cause = error.source();
    while let Some(source) = cause {
        eprintln!("  caused by: {source}");
        cause = source.source();
    }
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
}
