//! `tvt-bench asks`: the clocks of many recorders, read by one agent over their web interfaces.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::figures::{Figures, Row, real, say};
use crate::measure::Task;
use crate::programs::{self, Programs};
use crate::scan::Counted;
use crate::simulator::{Simulator, generate};

/// Recorders per third byte of their addresses.
const PER_NET: usize = 250;

/// Read clocks over the web interfaces, next to the recorders' delays
#[derive(Debug, Args)]
pub struct Arguments {
    /// Simulated recorders
    #[arg(long, value_name = "N", default_value_t = 1000)]
    devices: usize,
    /// Delay of the recorders before each answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20)]
    latency: u64,
    /// Recorders asked at a time; may be repeated
    #[arg(long, value_name = "N", default_values_t = [64])]
    concurrency: Vec<u32>,
}

/// Runs the bench.
///
/// # Errors
///
/// A program cannot be run, or a clock was not read.
pub fn run(arguments: &Arguments, programs: &Programs) -> Result<Figures> {
    let mut figures = Figures::new(
        "asks",
        format!(
            "the clocks of {} recorders, {} ms before each answer; x_ideal is wall time to requests × \
             delay / concurrency",
            arguments.devices, arguments.latency,
        ),
    );
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let simulator = programs.path("tvt-sim");
    let mut fleet = generate(&simulator, scratch.path(), arguments.devices, 1)?;
    let port = free_port()?;
    for (at, device) in fleet.iter_mut().enumerate() {
        // One port for all of them: so each has an address of its own.
        let address = format!("127.88.{}.{}", at / PER_NET, at % PER_NET + 1);
        let device = device.as_object_mut().context("not a device")?;
        device.insert("ip".to_owned(), Value::from(address));
        device.insert("web".to_owned(), json!({ "port": port }));
    }
    let path = scratch.path().join("fleet.json");
    std::fs::write(&path, serde_json::to_vec(&fleet)?).context("cannot write the fleet")?;
    let latency = Duration::from_millis(arguments.latency);
    let mut recorders = Simulator::serve(&simulator, &path, scratch.path(), latency)?;
    for concurrency in &arguments.concurrency {
        say(&format!("{concurrency} at a time"));
        let before = recorders.totals()?;
        let ended = Task::new(programs::own()?, scratch.path())
            .args(["work", "--retries", "0", "--ask", "clock"])
            .args(["--concurrency", &concurrency.to_string()])
            .args(["--web-port", &port.to_string(), "--inventory"])
            .arg(recorders.inventory())
            .run()?;
        let requests = recorders.totals()?.since(before).http_requests;
        let counted: Counted = serde_json::from_slice(&ended.stdout).context("not counts")?;
        if counted.ok != u64::try_from(arguments.devices)? {
            bail!("{counted:?} of {} clocks were read", arguments.devices);
        }
        let wall = ended.cost.wall();
        let ideal = real(requests) * latency.as_secs_f64() / f64::from((*concurrency).max(1));
        figures.rows.push(
            Row::default()
                .count("at_a_time", u64::from(*concurrency))
                .number("wall_s", wall, 2)
                .number("x_ideal", wall / ideal, 2)
                .count("requests", requests)
                .number("cpu_s", ended.cost.cpu(), 2)
                .mebibytes("peak_rss_mib", ended.cost.peak_rss),
        );
    }
    Ok(figures)
}

/// A port that is free now on every loopback address.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("0.0.0.0:0").context("no free port")?;
    Ok(listener.local_addr()?.port())
}
