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
    /// Where the NATS server listens.
    pub(crate) url: String,
    tvtctl: PathBuf,
    home: PathBuf,
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
        let url = format!("nats://127.0.0.1:{port}");
        let mut command = Command::new(nats_server);
        command
            .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
            .arg(work.join("nats"));
        let mut nats = Background::start("nats-server", &mut command, &logs)?;
        until_listening(port, &mut nats).await?;

        let config = work.join("coordinator.toml");
        let text = format!(
            "data_dir = {:?}\n\n[nats]\nurls = [{url:?}]\ninsecure_dev = true\n",
            work.join("coordinator"),
        );
        fs::write(&config, text)?;
        let mut command = Command::new(binaries.join("tvt-coordinator"));
        command.arg("run").arg("--config").arg(&config);
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
            url,
            tvtctl: binaries.join("tvtctl"),
            home,
        };
        system.until_answering().await?;
        for site in &SITES {
            system.start_agent(site, binaries, work, &credentials, &logs)?;
        }
        Ok(system)
    }

    fn start_agent(
        &mut self,
        site: &Site,
        binaries: &Path,
        work: &Path,
        credentials: &Path,
        logs: &Path,
    ) -> Result<()> {
        let name = format!("tvt-agent-{}-{}", site.tenant, site.name);
        let config = work.join(format!("{name}.toml"));
        let text = format!(
            "tenant = {:?}\nsite = {:?}\ndata_dir = {:?}\ncredentials_file = {credentials:?}\n\n\
             [nats]\nurls = [{:?}]\ninsecure_dev = true\n",
            site.tenant,
            site.name,
            work.join(&name),
            self.url,
        );
        fs::write(&config, text)?;
        let mut command = Command::new(binaries.join("tvt-agent"));
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
            .env("TVT_NATS_URL", &self.url)
            .env("HOME", &self.home);
        command
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("TVT_CTL_CONFIG")
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
