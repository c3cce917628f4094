//! `tvtctl`: gives the process's arguments, streams and environment to [`tvtctl::run`].

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tvtctl::env::Environment;
use tvtctl::{Io, Stderr};
use tvtfleet_bus::Shutdown;
use tvtfleet_bus::clock::SystemClock;
use tvtfleet_bus::telemetry::{self, LogFormat, Verbosity};
use tvtfleet_proto::error::{ErrorCode, ExitStatus};

/// The width of help texts and progress bars where there is no terminal.
const PLAIN_WIDTH: u16 = 100;

fn main() -> ExitCode {
    if let Some(ended) = tvt_agent::snapshot::decode_if_asked(std::env::args_os()) {
        return ended;
    }
    match start() {
        Ok(status) => ExitCode::from(status.number()),
        Err(error) => {
            Stderr::new(Box::new(std::io::stderr())).line(&format!("error: {error:#}"));
            ExitCode::from(ExitStatus::Internal.number())
        }
    }
}

fn start() -> anyhow::Result<ExitStatus> {
    let cwd = std::env::current_dir().context("the working directory cannot be used")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let telemetry = match telemetry::init("tvtctl", Verbosity::Warnings, LogFormat::Text) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            let stderr = Stderr::new(Box::new(std::io::stderr()));
            stderr.line(&format!("error: {:#}", anyhow::Error::from(error)));
            stderr.line(&format!("code: {}", ErrorCode::ConfigInvalid));
            return Ok(ExitStatus::Config);
        }
    };
    let status = runtime.block_on(async {
        let shutdown = Shutdown::on_signals().context("signals cannot be handled")?;
        let io = Io {
            stdout: Box::new(std::io::stdout()),
            stderr: Stderr::new(Box::new(std::io::stderr())),
            env: Environment::new(std::env::vars_os()),
            cwd,
            clock: Arc::new(SystemClock),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            width: width(),
            interrupt: shutdown.child_token(),
        };
        anyhow::Ok(tvtctl::run(std::env::args_os(), io).await)
    });
    // Tasks that look up a host name cannot be stopped; nobody waits for them.
    runtime.shutdown_background();
    drop(telemetry);
    status
}

/// The width of the terminal on stderr, else on stdout.
fn width() -> u16 {
    let of = |columns: u16| (columns > 0).then_some(columns);
    rustix::termios::tcgetwinsize(std::io::stderr())
        .or_else(|_| rustix::termios::tcgetwinsize(std::io::stdout()))
        .ok()
        .and_then(|size| of(size.ws_col))
        .unwrap_or(PLAIN_WIDTH)
}
