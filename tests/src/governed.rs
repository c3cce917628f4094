//! A fleet with accounts, as `tvtctl admin init` makes it: its servers, its coordinator and its agents
//! as the programs that are shipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tvt_sim::Simulator;

use crate::clock;
use crate::fleet::{Said, save_credentials};
use crate::nats::locate;
use crate::program::{Program, Running};
use crate::wait::eventually;

/// How long one command of a test may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// A fleet with accounts. Everything ends when this value is dropped.
pub struct GovernedFleet {
    folder: TempDir,
    ports: Vec<u16>,
    servers: Vec<Server>,
    coordinator: Option<Running>,
    agents: BTreeMap<String, Running>,
    /// Lines that every agent's configuration gets.
    pub agent_lines: String,
    /// What every program that is started finds in its environment.
    pub environment: Vec<(&'static str, String)>,
    /// Whose clock is off.
    clocks: BTreeSet<String>,
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl GovernedFleet {
    /// Makes a fleet of so many servers with these tenants, and starts servers and coordinator.
    /// `trust` is added to the trust section of the coordinator's configuration.
    ///
    /// # Panics
    ///
    /// Something fails or does not start.
    pub async fn start(servers: usize, tenants: &[&str], trust: &str) -> Self {
        let ports = free_ports(servers * 2);
        let mut fleet = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            ports,
            servers: Vec::new(),
            coordinator: None,
            agents: BTreeMap::new(),
            agent_lines: String::new(),
            environment: Vec::new(),
            clocks: BTreeSet::new(),
        };
        let mut init: Vec<String> = ["admin", "init", "fleet", "--listen", "127.0.0.1"]
            .map(str::to_owned)
            .into();
        init.extend(["--monitor-port", "0", "--store", "store"].map(str::to_owned));
        init.extend(["--coordinator-data", "coordinator-data"].map(str::to_owned));
        for number in 0..servers {
            let (port, route) = (fleet.ports[number], fleet.ports[servers + number]);
            init.push("--server".into());
            init.push(format!("n{number}=127.0.0.1:{port}/{route}"));
        }
        let init: Vec<&str> = init.iter().map(String::as_str).collect();
        let _ = fleet.ctl(&init).await.ended(0);
        for tenant in tenants {
            let add = [
                "admin",
                "tenant",
                "add",
                tenant,
                "--offline",
                "--dir",
                "fleet",
            ];
            let _ = fleet.ctl(&add).await.ended(0);
        }
        for number in 0..servers {
            fleet.start_server(number);
        }
        let config = fleet.path("fleet/coordinator/coordinator.toml");
        let text = fs::read_to_string(&config).expect("a configuration");
        fs::write(&config, text + trust).expect("our own file");
        fleet.start_coordinator();
        fleet.until_answering().await;
        fleet
    }

    /// A file of the fleet.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The address of the first server.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(0)
    }

    /// The address of a server, counted from 0.
    #[must_use]
    pub fn url_of(&self, server: usize) -> String {
        format!("tls://127.0.0.1:{}", self.ports[server])
    }

    /// Sets the clock of an agent, of an operator or of the `coordinator` so many seconds forward, or back
    /// where negative, in programs of theirs that are started from now on.
    ///
    /// # Panics
    ///
    /// There is no C compiler.
    pub fn set_clock(&mut self, whose: &str, seconds: i64) {
        if self.clocks.is_empty() {
            clock::library(self.folder()).expect("a library for clocks");
        }
        let file = self.path(&format!("clock-{whose}"));
        fs::write(file, (seconds * 1000).to_ne_bytes()).expect("our own file");
        self.clocks.insert(whose.to_owned());
    }

    /// Starts the coordinator on its database, which lasts.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start_coordinator(&mut self) {
        let config = self.path("fleet/coordinator/coordinator.toml");
        let program = self.program_of("coordinator", "tvt-coordinator");
        self.coordinator = Some(program.args(["run", "--config"]).args([config]).spawn());
    }

    /// Kills the coordinator without a word.
    ///
    /// # Panics
    ///
    /// It cannot be killed.
    pub async fn kill_coordinator(&mut self) {
        if let Some(running) = self.coordinator.take() {
            running.kill().await;
        }
    }

    /// Waits until the coordinator can be reached.
    ///
    /// # Panics
    ///
    /// It cannot.
    pub async fn until_answering(&self) {
        eventually("the coordinator answers", || async {
            let said = self.as_operator("admin", &["sites", "list"]).await;
            (said.code == Some(0)).then_some(())
        })
        .await;
    }

    /// Runs `tvtctl` in the folder above the fleet's.
    ///
    /// # Panics
    ///
    /// It takes longer than a test may.
    pub async fn ctl(&self, arguments: &[&str]) -> Said {
        let program = self.program("tvtctl").args(arguments);
        program.run(COMMAND_LIMIT).await.into()
    }

    /// Runs `tvtctl` as an operator with the configuration that he or she got.
    ///
    /// # Panics
    ///
    /// It takes longer than a test may.
    pub async fn as_operator(&self, name: &str, arguments: &[&str]) -> Said {
        let config = self.path(&format!("fleet/operators/{name}/tvtctl.toml"));
        let program = self.program_of(name, "tvtctl");
        let program = program.env("TVT_CTL_CONFIG", config);
        program.args(arguments).run(COMMAND_LIMIT).await.into()
    }

    /// Runs `tvt-agent` in the folder above the fleet's.
    ///
    /// # Panics
    ///
    /// It takes longer than a test may.
    pub async fn agent(&self, arguments: &[&str]) -> Said {
        let program = self.program("tvt-agent").args(arguments);
        program.run(COMMAND_LIMIT).await.into()
    }

    /// Prints a join string for a site.
    ///
    /// # Panics
    ///
    /// It is refused.
    pub async fn join_string(&self, site: &str) -> String {
        let add = ["admin", "site", "add", site, "--dir", "fleet"];
        let said = self.ctl(&add).await.ended(0);
        said.stdout.trim().to_owned()
    }

    /// Lets an agent join under a folder of its own.
    ///
    /// # Panics
    ///
    /// It takes longer than a test may.
    pub async fn join(&self, agent: &str, string: &str) -> Said {
        let program = self.program_of(agent, "tvt-agent");
        let program = program.args(["join", string, "--data-dir", agent]);
        program.run(COMMAND_LIMIT).await.into()
    }

    /// Gives agents that are started from now on the credential of generated recorders.
    pub fn give_credentials(&self) {
        save_credentials(self.folder());
    }

    /// Writes the recorders of a simulator into the inventory of a site.
    ///
    /// # Panics
    ///
    /// It is refused.
    pub async fn import(&self, site: &str, simulator: &Simulator) {
        let files = tvt_sim::save_inventories(&self.path("inventories"), &simulator.inventory());
        let files = files.expect("inventories");
        let file = files.last().and_then(|file| file.to_str()).expect("a file");
        let import = ["inventory", "import", file, "--site", site];
        let _ = self.as_operator("admin", &import).await.ended(0);
    }

    /// Lets an agent join a site.
    ///
    /// # Panics
    ///
    /// It is refused.
    pub async fn joined(&self, agent: &str, site: &str) {
        let string = self.join_string(site).await;
        let _ = self.join(agent, &string).await.ended(0);
    }

    /// Starts an agent that has joined.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start_agent(&mut self, agent: &str) {
        let config = self.path(&format!("{agent}.toml"));
        let mut text = format!("data_dir = {agent:?}\n");
        if self.path("credentials.toml").exists() {
            text += "credentials_file = \"credentials.toml\"\n";
        }
        text += &self.agent_lines;
        fs::write(&config, text).expect("a configuration");
        let program = self
            .program_of(agent, "tvt-agent")
            .args(["run", "--config"]);
        let running = program.args([config]).spawn();
        self.agents.insert(agent.to_owned(), running);
    }

    /// Kills an agent without a word.
    ///
    /// # Panics
    ///
    /// It cannot be killed.
    pub async fn kill_agent(&mut self, agent: &str) {
        if let Some(running) = self.agents.remove(agent) {
            running.kill().await;
        }
    }

    /// Every line that coordinator and agents have logged.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        let programs = self.coordinator.iter().chain(self.agents.values());
        programs
            .flat_map(|program| program.stderr.all().into_iter().chain(program.stdout.all()))
            .collect()
    }

    /// Waits until an agent has logged a text.
    ///
    /// # Panics
    ///
    /// It has not.
    pub async fn until_agent_says(&self, agent: &str, text: &str) {
        self.until_agent_says_of(agent, "", text).await;
    }

    /// Waits until an agent has logged a text in a line that names something.
    ///
    /// # Panics
    ///
    /// It has not.
    pub async fn until_agent_says_of(&self, agent: &str, name: &str, text: &str) {
        let log = &self.agents[agent].stderr;
        eventually(text, || async {
            log.all()
                .iter()
                .any(|line| line.contains(name) && line.contains(text))
                .then_some(())
        })
        .await;
    }

    /// Waits until a site's agent is there.
    ///
    /// # Panics
    ///
    /// It is not.
    pub async fn until_online(&self, site: &str) {
        eventually("the agent is there", || async {
            let said = self
                .as_operator("admin", &["agents", "list", "--format", "json"])
                .await;
            let agents = said.json();
            let mut agents = agents["agents"].as_array().into_iter().flatten();
            agents
                .any(|agent| agent["site"] == site && agent["online"] == true)
                .then_some(())
        })
        .await;
    }

    fn start_server(&mut self, number: usize) {
        let written = self.path(&format!("fleet/nats/n{number}/nats-server.conf"));
        // Servers on one computer cannot share a store.
        let text = fs::read_to_string(written).expect("a configuration");
        let store = self.path("store");
        let own = self.path(&format!("store-{number}"));
        let text = text.replace(&store.display().to_string(), &own.display().to_string());
        let conf = self.path(&format!("n{number}.conf"));
        fs::write(&conf, text).expect("our own file");
        let binary = locate(None).expect("a nats-server: cargo xtask nats-server");
        let child = Command::new(binary)
            .arg("-c")
            .arg(conf)
            .arg("-l")
            .arg(self.path(&format!("n{number}.log")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server can be run");
        self.servers.push(Server(child));
    }

    fn program(&self, name: &str) -> Program {
        let program = Program::new(name, self.folder());
        self.environment
            .iter()
            .fold(program, |program, (name, value)| program.env(name, value))
    }

    /// A program with the clock of who runs it.
    fn program_of(&self, whose: &str, name: &str) -> Program {
        let program = self.program(name);
        if self.clocks.contains(whose) {
            program
                .env("LD_PRELOAD", self.path("clock.so"))
                .env("TVT_CLOCK_OFFSET", self.path(&format!("clock-{whose}")))
        } else {
            program
        }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Ports that nobody has now.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
        .collect();
    let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
    listeners.iter().map(port).collect()
}
