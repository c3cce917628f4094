//! A real fleet under faults, for as long as is asked: see `cargo xtask soak`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tvtfleet_tests::soak::{self, Setting};

/// Run a real fleet under faults, and balance the books after each round
#[derive(Debug, Parser)]
#[command(name = "tvtfleet-soak", disable_version_flag = true)]
struct Arguments {
    /// How long, in minutes
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// What decides which faults come when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Recorders of the three sites together
    #[arg(long, default_value_t = 60)]
    devices: usize,
    /// Faults of each round
    #[arg(long, default_value_t = 8)]
    faults: u32,
    /// Faults after which no more rounds begin
    #[arg(long)]
    total: Option<u32>,
    /// Servers: 1, or a cluster of 3
    #[arg(long, default_value_t = 1, value_parser = nodes)]
    nodes: usize,
}

fn nodes(text: &str) -> Result<usize, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("1 or 3".to_owned()),
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the outcome is what the program is for"
)]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let setting = Setting {
        seed: arguments.seed,
        devices: arguments.devices,
        faults: arguments.faults,
        rounds: None,
        total: arguments.total,
        nodes: arguments.nodes,
    };
    println!("seed {}", setting.seed);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            println!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let time = Duration::from_secs(arguments.minutes.saturating_mul(60));
    let outcome = runtime.block_on(soak::run(&setting, time, |line| println!("{line}")));
    for (fault, count) in &outcome.faults {
        println!("{count:6}  {fault}");
    }
    for (fault, reason) in &outcome.skipped {
        println!("     -  {fault}: not injected, {reason}");
    }
    println!(
        "{} rounds, {} faults, {} reports and {} changes counted once; {} recorders might be asked again, {} were",
        outcome.rounds,
        outcome.faults_in_all(),
        outcome.reports,
        outcome.changes,
        outcome.forgiven,
        outcome.again
    );
    for loss in &outcome.losses {
        println!("LOSS: {loss}");
    }
    if outcome.losses.is_empty() {
        println!("the books balance");
        ExitCode::SUCCESS
    } else {
        println!("seed {} lost something", setting.seed);
        ExitCode::FAILURE
    }
}
