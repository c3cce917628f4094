//! `tvt-bench idle`: the memory of an agent that has nothing to do, and the size of what is shipped.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use tvtfleet_bus::Bus;
use tvtfleet_proto::subject::ApiOp;
use tvtfleet_proto::wire::v1;

use crate::figures::{Figures, Row, real, say};
use crate::process;
use crate::programs::Programs;
use crate::service::{Coordinator, Nats, Service, ask};
use crate::simulator::{PASSWORD, USER};

/// The programs that are shipped.
const SHIPPED: [&str; 3] = ["tvt-agent", "tvt-coordinator", "tvtctl"];
/// The memory that an idle agent may have, in bytes.
const AIM: u64 = 10 * 1024 * 1024;
/// The site of the agent.
const SITE: (&str, &str) = ("bench", "idle");
/// How long the agent may take to be online.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measure the memory of an idle agent and the sizes of the programs
#[derive(Debug, Args)]
pub struct Arguments {
    /// How long the agent idles before it is measured, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 40)]
    settle: u64,
}

/// Runs the bench.
///
/// # Errors
///
/// A program cannot be run.
pub fn run(arguments: &Arguments, programs: &Programs) -> Result<Figures> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut figures = Figures::new(
        "idle",
        format!(
            "agent and coordinator with nothing to do, {} s after the agent came online; x_aim is the \
             agent's memory to {} MiB",
            arguments.settle,
            AIM >> 20,
        ),
    );
    let settle = Duration::from_secs(arguments.settle);
    runtime.block_on(memory(programs, scratch.path(), settle, &mut figures))?;
    for program in SHIPPED {
        let path = programs.path(program);
        let size = fs::metadata(&path)
            .with_context(|| format!("no {}", path.display()))?
            .len();
        figures.rows.push(
            Row::default()
                .text("program", program)
                .mebibytes("size_mib", size),
        );
    }
    Ok(figures)
}

async fn memory(
    programs: &Programs,
    folder: &Path,
    settle: Duration,
    figures: &mut Figures,
) -> Result<()> {
    let nats = Nats::start(folder)?;
    let bus = nats.connect("tvt-bench").await?;
    let coordinator =
        Coordinator::start(&programs.path("tvt-coordinator"), &nats, &bus, folder, None).await?;
    let site = v1::AddSite {
        site: format!("{}/{}", SITE.0, SITE.1),
        ..v1::AddSite::default()
    };
    let _: v1::SiteView = ask(&bus, ApiOp::SiteAdd, &site).await?;
    let agent = agent(&programs.path("tvt-agent"), &nats, folder)?;
    online(&bus).await?;
    say(&format!("the agent idles for {} s", settle.as_secs()));
    let before = [process::cpu(agent.id())?, process::cpu(coordinator.id())?];
    tokio::time::sleep(settle).await;
    for ((program, id), before) in [
        ("tvt-agent", agent.id()),
        ("tvt-coordinator", coordinator.id()),
    ]
    .into_iter()
    .zip(before)
    {
        let rss = process::memory(id, "VmRSS")?;
        let cpu = process::cpu(id)?.saturating_sub(before);
        let mut row = Row::default()
            .text("program", program)
            .mebibytes("idle_rss_mib", rss)
            .mebibytes("of_it_anonymous_mib", process::memory(id, "RssAnon")?)
            .mebibytes("peak_rss_mib", process::memory(id, "VmHWM")?)
            .number(
                "cpu_ms_per_s",
                cpu.as_secs_f64() * 1000.0 / settle.as_secs_f64().max(1.0),
                2,
            );
        if program == "tvt-agent" {
            row = row.number("x_aim", real(rss) / real(AIM), 2);
        }
        figures.rows.push(row);
    }
    figures.rows.push(
        Row::default()
            .text("program", "nats-server")
            .mebibytes("idle_rss_mib", process::memory(nats.id(), "VmRSS")?),
    );
    agent.stop()?;
    coordinator.stop()
}

fn agent(program: &Path, nats: &Nats, folder: &Path) -> Result<Service> {
    let credentials = folder.join("credentials.toml");
    let text = format!(
        "default = \"recorders\"\n\n[credentials.recorders]\nusername = {USER:?}\npassword = {PASSWORD:?}\n"
    );
    fs::write(&credentials, text).context("cannot write the credentials")?;
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600))?;
    let config = folder.join("agent.toml");
    let text = format!(
        "tenant = {:?}\nsite = {:?}\ndata_dir = {:?}\ncredentials_file = {credentials:?}\n\n\
         [nats]\nurls = [{:?}]\ninsecure_dev = true\n",
        SITE.0,
        SITE.1,
        folder.join("agent"),
        nats.url,
    );
    fs::write(&config, text).context("cannot configure the agent")?;
    let arguments: [OsString; 3] = ["run".into(), "--config".into(), config.into()];
    Service::start(program, arguments, folder)
}

async fn online(bus: &Bus) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let list: v1::AgentList = ask(bus, ApiOp::AgentList, &v1::ListAgents::default()).await?;
        if list.agents.iter().any(|agent| agent.online) {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("the agent does not come online");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
