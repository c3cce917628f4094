//! NATS, coordinator and agents.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::processes::Background;

/// How long a part may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often is looked whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A site of the demo.
pub(crate) struct Site {
    /// The customer.
    pub(crate) tenant: &'static str,
    /// The site's name.
    pub(crate) name: &'static str,
    /// The operator's name of it.
    pub(crate) display_name: &'static str,
}

/// Three sites of two customers.
pub(crate) const SITES: [Site; 3] = [
    Site {
        tenant: "acme",
        name: "depot-north",
        display_name: "Depot North",
    },
    Site {
        tenant: "acme",
        name: "head-office",
        display_name: "Head Office",
    },
    Site {
        tenant: "globex",
        name: "harbour",
        display_name: "Harbour",
    },
];

/// Everything but the recorders.
pub(crate) struct System {
    nats: Background,
    coordinator: Background,
    agents: Vec<Background>,
    tvtctl: PathBuf,
    /// The configuration of the operator who runs the demo.
    pub(crate) operator: PathBuf,
    home: PathBuf,
}

/// The folder that `tvtctl admin init` made.
struct Fleet(PathBuf);

impl Fleet {
    async fn make(tvtctl: &Path, work: &Path, port: u16) -> Result<Self> {
        let fleet = Self(work.join("fleet"));
        let mut command = Command::new(tvtctl);
        command.args(["admin", "init"]).arg(&fleet.0);
        command.args(["--server", &format!("demo=127.0.0.1:{port}")]);
        command.args(["--listen", "127.0.0.1", "--monitor-port", "0", "--store"]);
        command.arg(work.join("nats"));
        command
            .arg("--coordinator-data")
            .arg(work.join("coordinator"));
        said(&mut command).await?;
        let mut tenants: Vec<_> = SITES.iter().map(|site| site.tenant).collect();
        tenants.dedup();
        for tenant in tenants {
            let words = ["tenant", "add", tenant, "--offline"];
            said(&mut fleet.admin(tvtctl, &words)).await?;
        }
        Ok(fleet)
    }

    async fn join_string(&self, tvtctl: &Path, site: &Site) -> Result<String> {
        let name = format!("{}/{}", site.tenant, site.name);
        let printed = said(&mut self.admin(tvtctl, &["site", "add", &name])).await?;
        Ok(printed.trim().to_owned())
    }

    fn admin(&self, tvtctl: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(tvtctl);
        command.arg("admin").args(words).arg("--dir").arg(&self.0);
        command
    }
}

/// Runs a command to its end and returns what it printed.
async fn said(command: &mut Command) -> Result<String> {
    let output = command
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run a program of the workspace")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl System {
    /// Starts NATS, the coordinator and one agent for each site.
    pub(crate) async fn start(
        nats_server: &Path,
        binaries: &Path,
        work: &Path,
        password: &str,
    ) -> Result<Self> {
        let logs = work.join("logs");
        let home = work.join("home");
        for folder in [&logs, &home] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let port = free_port()?;
        let tvtctl = binaries.join("tvtctl");
        let fleet = Fleet::make(&tvtctl, work, port).await?;
        let mut command = Command::new(nats_server);
        command
            .arg("-c")
            .arg(fleet.0.join("nats/demo/nats-server.conf"));
        let mut nats = Background::start("nats-server", &mut command, &logs)?;
        until_listening(port, &mut nats).await?;

        let mut command = Command::new(binaries.join("tvt-coordinator"));
        command
            .args(["run", "--config"])
            .arg(fleet.0.join("coordinator/coordinator.toml"));
        let coordinator = Background::start("tvt-coordinator", &mut command, &logs)?;

        let credentials = work.join("credentials.toml");
        let text = format!(
            "default = \"recorders\"\n\n[credentials.recorders]\nusername = \"admin\"\npassword = {password:?}\n"
        );
        fs::write(&credentials, text)?;
        fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600))?;
        let mut system = Self {
            nats,
            coordinator,
            agents: Vec::new(),
            operator: fleet.0.join("operators/admin/tvtctl.toml"),
            tvtctl,
            home,
        };
        system.until_answering().await?;
        for site in &SITES {
            let join = fleet.join_string(&system.tvtctl, site).await?;
            system
                .start_agent(site, binaries, work, &credentials, &logs, &join)
                .await?;
        }
        Ok(system)
    }

    async fn start_agent(
        &mut self,
        site: &Site,
        binaries: &Path,
        work: &Path,
        credentials: &Path,
        logs: &Path,
        join: &str,
    ) -> Result<()> {
        let name = format!("tvt-agent-{}-{}", site.tenant, site.name);
        let (config, data) = (work.join(format!("{name}.toml")), work.join(&name));
        let text = format!("data_dir = {data:?}\ncredentials_file = {credentials:?}\n");
        fs::write(&config, text)?;
        let program = binaries.join("tvt-agent");
        let mut command = Command::new(&program);
        command.args(["join", join, "--data-dir"]).arg(&data);
        said(&mut command).await?;
        let mut command = Command::new(&program);
        command.arg("run").arg("--config").arg(&config);
        self.agents
            .push(Background::start(&name, &mut command, logs)?);
        Ok(())
    }

    /// A `tvtctl` command bound to this system and to nothing of this machine's user.
    pub(crate) fn tvtctl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.tvtctl);
        command
            .args(arguments)
            .env("TVT_CTL_CONFIG", &self.operator)
            .env("HOME", &self.home);
        command
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("TVT_NATS_URL")
            .env_remove("TVT_NATS_CREDS")
            .env_remove("TVT_NATS_CA")
            .kill_on_drop(true);
        command
    }

    async fn until_answering(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.coordinator.check()?;
            let output = self
                .tvtctl(&["sites", "list"])
                .output()
                .await
                .context("cannot run tvtctl")?;
            if output.status.success() {
                return Ok(());
            }
            if Instant::now() > until {
                bail!(
                    "the coordinator does not answer:\n{}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until every agent has said hello.
    pub(crate) async fn until_online(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            for agent in &mut self.agents {
                agent.check()?;
            }
            let output = self
                .tvtctl(&["agents", "list", "--format", "json"])
                .output()
                .await?;
            let answer: serde_json::Value =
                serde_json::from_slice(&output.stdout).unwrap_or_default();
            let agents = answer
                .get("agents")
                .and_then(serde_json::Value::as_array)
                .map_or(&[][..], Vec::as_slice);
            let online = |agent: &&serde_json::Value| {
                agent.get("online").and_then(serde_json::Value::as_bool) == Some(true)
            };
            if agents.iter().filter(online).count() == SITES.len() {
                return Ok(());
            }
            if Instant::now() > until {
                bail!(
                    "not every agent has come online:\n{}",
                    String::from_utf8_lossy(&output.stdout)
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The process ids of NATS, coordinator and agents.
    pub(crate) fn ids(&self) -> Vec<u32> {
        let all = [&self.nats, &self.coordinator]
            .into_iter()
            .chain(&self.agents);
        all.filter_map(Background::id).collect()
    }

    /// Stops agents, coordinator and NATS, in this order.
    pub(crate) async fn stop(self) -> Result<()> {
        for agent in self.agents {
            agent.stop().await?;
        }
        self.coordinator.stop().await?;
        self.nats.stop().await
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

async fn until_listening(port: u16, process: &mut Background) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        process.check()?;
        if Instant::now() > until {
            bail!("nothing listens on port {port}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
