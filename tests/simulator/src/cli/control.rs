//! `tvt-sim ctl`.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::Value;
use tvt_sim::{Counter, Request, Wait};

use super::{output, parse};

/// How long a reply may take beyond the wait that was asked for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Talk to the control port of a running simulator
///
/// Replies go to stdout as JSON, one per line. Exit status 1 when a request is refused.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tvt-sim ctl 127.0.0.1:40123 totals
  tvt-sim ctl 127.0.0.1:40123 pause-when logins_succeeded 10
  tvt-sim ctl 127.0.0.1:40123 wait scans_completed 60 --timeout 30s
  echo '{\"op\":\"mutate\",\"device\":\"127.0.0.11\",\"change\":\"remove\"}' |
      tvt-sim ctl 127.0.0.1:40123 send")]
pub(super) struct Arguments {
    /// Control address, as the ready line of serve gives it
    #[arg(value_name = "ADDR")]
    address: SocketAddr,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the sums over all recorders
    Totals,
    /// Show the numbers of one recorder, or of all
    Counters {
        /// Address or name
        device: Option<String>,
    },
    /// List the recorders
    Devices,
    /// Show the inventory of all recorders
    Inventory,
    /// Hold every packet back
    Pause {
        /// Address or name; absent: all recorders
        device: Option<String>,
    },
    /// Let packets go again
    Resume {
        /// Address or name; absent: all recorders
        device: Option<String>,
    },
    /// Pause the fleet at the moment a total is reached
    PauseWhen {
        /// What is counted, such as logins_succeeded
        #[arg(value_parser = parse::named::<Counter>)]
        counter: Counter,
        /// The value
        at_least: u64,
    },
    /// Wait until a total is reached
    Wait {
        /// What is counted, such as scans_completed
        #[arg(value_parser = parse::named::<Counter>)]
        counter: Counter,
        /// The value
        at_least: u64,
        /// How long at most
        #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse::time)]
        timeout: Duration,
    },
    /// Send the requests on stdin, one JSON object per line
    Send,
    /// Stop the simulator
    Stop,
}

/// Sends the requests and prints the replies.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let stream = TcpStream::connect(arguments.address)
        .with_context(|| format!("cannot connect to {}", arguments.address))?;
    let mut replies = BufReader::new(stream.try_clone().context("cannot use the connection")?);
    let mut exchange = |request: &Request| exchange(&stream, &mut replies, request);
    let request = match arguments.command {
        Command::Send => {
            for line in std::io::stdin().lock().lines() {
                let line = line.context("cannot read stdin")?;
                if !line.trim().is_empty() {
                    exchange(&serde_json::from_str(&line).context("not a request")?)?;
                }
            }
            return Ok(());
        }
        Command::Totals => Request::Totals,
        Command::Counters { device } => Request::Counters { device },
        Command::Devices => Request::Devices,
        Command::Inventory => Request::Inventory,
        Command::Pause { device } => Request::Pause { device },
        Command::Resume { device } => Request::Resume { device },
        Command::PauseWhen { counter, at_least } => Request::PauseWhen { counter, at_least },
        Command::Wait {
            counter,
            at_least,
            timeout,
        } => Request::Wait {
            wait: Wait::Reached { counter, at_least },
            timeout_ms: Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        },
        Command::Stop => Request::Stop,
    };
    exchange(&request)
}

fn exchange(
    mut stream: &TcpStream,
    replies: &mut BufReader<TcpStream>,
    request: &Request,
) -> Result<()> {
    let wait = match request {
        Request::Wait {
            timeout_ms: Some(wait),
            ..
        } => Duration::from_millis(*wait),
        Request::Wait {
            timeout_ms: None, ..
        } => Duration::from_secs(30),
        Request::Totals
        | Request::Counters { .. }
        | Request::Devices
        | Request::Inventory
        | Request::Mutate { .. }
        | Request::Pause { .. }
        | Request::Resume { .. }
        | Request::PauseWhen { .. }
        | Request::Stop => Duration::ZERO,
    };
    let patience = wait.checked_add(PATIENCE);
    stream
        .set_read_timeout(patience)
        .context("cannot set a deadline")?;
    let mut line = serde_json::to_string(request).context("cannot write the request")?;
    line.push('\n');
    stream
        .write_all(line.as_bytes())
        .context("cannot send the request")?;
    let mut reply = String::new();
    replies.read_line(&mut reply).context("no reply")?;
    let reply: Value = serde_json::from_str(&reply).context("not a reply")?;
    output::line(&reply).context("cannot write to stdout")?;
    match reply.get("error").and_then(Value::as_str) {
        Some(error) => bail!("the request was refused: {error}"),
        None => Ok(()),
    }
}
