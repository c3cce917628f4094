//! `tvt-sim serve`.

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tvt_sim::{ControlServer, Fleet, Options, Simulator, save_inventories};

use super::{output, parse};

/// Run the recorders of a fleet file until told to stop
///
/// When all of them listen, one JSON line goes to stdout:
/// {"event":"ready","control":"127.0.0.1:40123","devices":60,"listening":58}.
/// SIGINT, SIGTERM and a control request stop the program.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tvt-sim serve fleet.json
  tvt-sim serve fleet.json --control 127.0.0.1:0 --latency 20ms --exit-on-stdin-eof

Control port: one JSON object per line in, one out. Requests:
  {\"op\":\"totals\"}   {\"op\":\"counters\"}   {\"op\":\"counters\",\"device\":\"127.0.0.11\"}
  {\"op\":\"devices\"}  {\"op\":\"inventory\"}  {\"op\":\"stop\"}
  {\"op\":\"pause\"}    {\"op\":\"resume\"}     (or one \"device\")
  {\"op\":\"pause_when\",\"counter\":\"logins_succeeded\",\"at_least\":10}
  {\"op\":\"wait\",\"until\":\"paused\",\"timeout_ms\":5000}
  {\"op\":\"wait\",\"until\":\"reached\",\"counter\":\"scans_completed\",\"at_least\":60}
  {\"op\":\"mutate\",\"device\":\"127.0.0.11\",\"change\":\"rename_camera\",\"channel\":3,\"name\":\"Hof\"}
  changes: rename_camera set_camera_online add_camera remove_camera rename_device
           set_firmware set_password set_faults remove restore clear_locks")]
pub(super) struct Arguments {
    /// Fleet file
    #[arg(value_name = "FLEET.json")]
    fleet: PathBuf,
    /// Open a control port on a loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    control: Option<SocketAddr>,
    /// Delay before each packet, such as 20ms
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = parse::time)]
    latency: Duration,
    /// Seed of nonces and of faults with a probability
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// Write inventories with the ports that were taken, one file per site
    #[arg(long, value_name = "DIR")]
    inventory_dir: Option<PathBuf>,
    /// Stop when stdin ends, as it does when the parent process ends
    #[arg(long)]
    exit_on_stdin_eof: bool,
}

/// Serves until told to stop.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    let stdin_ended = arguments.exit_on_stdin_eof.then(stdin_end).transpose()?;
    let fleet = Fleet::load(&arguments.fleet)?;
    let options = Options {
        latency: arguments.latency,
        seed: arguments.seed,
    };
    let simulator = Arc::new(Simulator::start(fleet, options)?);
    if let Some(folder) = &arguments.inventory_dir {
        save_inventories(folder, &simulator.inventory())?;
    }
    let control = match arguments.control {
        Some(address) => Some(ControlServer::bind(address).await?),
        None => None,
    };
    output::line(&json!({
        "event": "ready",
        "control": control.as_ref().map(|control| control.address().to_string()),
        "devices": simulator.devices().len(),
        "listening": simulator.devices().iter().filter(|device| device.listening()).count(),
    }))
    .context("cannot write to stdout")?;
    let controlled = async {
        match control {
            Some(control) => control.run(Arc::clone(&simulator)).await,
            None => std::future::pending().await,
        }
    };
    let stdin_ended = async {
        match stdin_ended {
            // An error means that the watching thread is gone, which is an end as well.
            Some(ended) => drop(ended.await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = controlled => {}
        () = stdin_ended => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Watches stdin from a thread of its own, since a blocking read would hold up the runtime's end.
fn stdin_end() -> Result<oneshot::Receiver<()>> {
    let (ended, watch) = oneshot::channel();
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            let mut ignored = [0; 256];
            while std::io::stdin()
                .read(&mut ignored)
                .is_ok_and(|count| count > 0)
            {}
            // The receiver is gone when the program ends for another reason.
            let _ = ended.send(());
        })
        .context("cannot watch stdin")?;
    Ok(watch)
}
