//! A whole fleet: simulated recorders, a NATS server, and coordinator, agents and `tvtctl` as the
//! programs that are shipped.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tvt_sim::{Fleet, FleetSpec, Options, Simulator};

use crate::nats::NatsServer;
use crate::program::{Program, Running};
use crate::wait::{ELECTIONS, PATIENCE, eventually, eventually_within};

/// The password of generated recorders: test data of the simulator.
pub const PASSWORD: &str = "Fleet-2026";
/// How long one `tvtctl` command of a test may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(90);

/// The customer and name of each site, in the order in which the simulator deals out recorders.
pub const SITES: [&str; 3] = ["acme/north", "acme/south", "globex/harbour"];

/// Writes the `credentials.toml` with which an agent logs in at generated recorders.
pub(crate) fn save_credentials(folder: &Path) {
    let file = folder.join("credentials.toml");
    let text = format!(
        "default = \"recorders\"\n\n[credentials.recorders]\nusername = \"admin\"\npassword = \"{PASSWORD}\"\n"
    );
    fs::write(&file, text).expect("a credentials file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Said {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Said {
    /// Standard output as JSON.
    ///
    /// # Panics
    ///
    /// It is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}\n{}", self.stdout, self.stderr))
    }

    /// Checks the exit code and hands the value on.
    ///
    /// # Panics
    ///
    /// Another one.
    #[must_use]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A running fleet. Everything ends when this value is dropped.
pub struct TestFleet {
    /// The recorders.
    pub simulator: Simulator,
    /// The server.
    pub nats: NatsServer,
    /// The other servers of its cluster.
    pub peers: Vec<NatsServer>,
    agents: BTreeMap<&'static str, Running>,
    coordinator: Option<Running>,
    inventories: Vec<PathBuf>,
    environment: Vec<(String, String)>,
    /// Lines to add to the agents' configurations.
    pub agent_lines: String,
    /// Lines to add to the coordinator's configuration.
    pub coordinator_lines: String,
    /// Where agents connect to; the servers themselves where this is empty.
    pub agent_urls: Vec<String>,
    /// Where the coordinator connects to; the servers themselves where this is empty.
    pub coordinator_urls: Vec<String>,
    /// A library that moves the clocks of agents and coordinator by what stands in [`Self::clock`].
    pub clock_library: Option<PathBuf>,
    folder: TempDir,
}

impl TestFleet {
    /// Starts recorders, NATS, the coordinator and an agent for each site, and brings the inventory in.
    ///
    /// # Panics
    ///
    /// Something does not start.
    pub async fn start(spec: &FleetSpec, latency: Duration) -> Self {
        let mut fleet = Self::empty(spec, latency).await;
        fleet.start_coordinator();
        fleet.know_sites().await;
        for site in fleet.sites() {
            fleet.start_agent(site);
        }
        fleet.until_online(fleet.sites().len()).await;
        fleet
    }

    /// Starts recorders and NATS only.
    ///
    /// # Panics
    ///
    /// One of them does not start.
    pub async fn empty(spec: &FleetSpec, latency: Duration) -> Self {
        assert!(spec.sites <= SITES.len(), "more sites than names");
        let recorders = spec.generate().expect("a fleet");
        let seed = spec.seed;
        Self::of(recorders, Options { latency, seed }).await
    }

    /// Starts these recorders, and NATS.
    ///
    /// # Panics
    ///
    /// One of them does not start.
    pub async fn of(recorders: Fleet, options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let simulator = Simulator::start(recorders, options).expect("recorders");
        let inventories =
            tvt_sim::save_inventories(&folder.path().join("inventories"), &simulator.inventory())
                .expect("inventories");
        save_credentials(folder.path());
        let inventories = inventories.into_iter().skip(1).collect();
        Self {
            simulator,
            nats: NatsServer::start().await,
            peers: Vec::new(),
            agents: BTreeMap::new(),
            coordinator: None,
            inventories,
            environment: Vec::new(),
            agent_lines: String::new(),
            coordinator_lines: String::new(),
            agent_urls: Vec::new(),
            coordinator_urls: Vec::new(),
            clock_library: None,
            folder,
        }
    }

    /// The folder of this fleet's files; also the working directory of its programs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The sites in use.
    #[must_use]
    pub fn sites(&self) -> Vec<&'static str> {
        SITES.iter().copied().take(self.inventories.len()).collect()
    }

    /// The inventory file of a site.
    #[must_use]
    pub fn inventory(&self, site: &str) -> &Path {
        let position = SITES
            .iter()
            .position(|name| *name == site)
            .expect("a site of the fleet");
        &self.inventories[position]
    }

    /// Sets a variable for every program started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Goes over to a cluster of so many servers, before anything uses the one that runs.
    ///
    /// # Panics
    ///
    /// They do not come together.
    pub async fn use_cluster(&mut self, count: usize) {
        let mut nodes = NatsServer::start_cluster(count).await;
        self.nats = nodes.remove(0);
        self.peers = nodes;
    }

    /// Coordinator and NATS with these sites, without any agent or recorder that counts.
    ///
    /// # Panics
    ///
    /// One of them does not start.
    pub async fn centre(sites: &[&str]) -> Self {
        let spec = FleetSpec {
            sites: 1,
            ..FleetSpec::new(11, 1)
        };
        let mut fleet = Self::empty(&spec, Duration::ZERO).await;
        fleet.start_coordinator();
        fleet.until_answering().await;
        for site in sites {
            let _ = fleet.ctl(&["sites", "add", site]).await.ended(0);
        }
        fleet
    }

    /// The port of the first server.
    ///
    /// # Panics
    ///
    /// It has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        let url = self.nats.url();
        let port = url.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.expect("an address with a port")
    }

    /// The addresses of all servers.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let nodes = std::iter::once(&self.nats).chain(&self.peers);
        nodes.map(NatsServer::url).collect()
    }

    /// The file with the milliseconds by which the clock of an agent, or of the `coordinator`, is off:
    /// a number of 64 bits as this machine has them.
    #[must_use]
    pub fn clock(&self, whose: &str) -> PathBuf {
        self.folder()
            .join(format!("clock-{}", whose.replace('/', "-")))
    }

    /// Lets a program have a clock of its own, where there is the library for it.
    fn with_clock(&self, program: Program, whose: &str) -> Program {
        let Some(library) = &self.clock_library else {
            return program;
        };
        let file = self.clock(whose);
        if !file.exists() {
            fs::write(&file, 0_i64.to_ne_bytes()).expect("a file for a clock");
        }
        program
            .env("LD_PRELOAD", library)
            .env("TVT_CLOCK_OFFSET", file)
    }

    fn program(&self, name: &str) -> Program {
        let program = Program::new(name, self.folder());
        self.environment
            .iter()
            .fold(program, |program, (name, value)| program.env(name, value))
    }

    /// Starts the coordinator on its database, which lasts.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start_coordinator(&mut self) {
        let config = self.folder().join("coordinator.toml");
        let urls = if self.coordinator_urls.is_empty() {
            self.urls()
        } else {
            self.coordinator_urls.clone()
        };
        let text = format!(
            "data_dir = {:?}\n[nats]\nurls = {urls:?}\ninsecure_dev = true\n{}",
            self.folder().join("coordinator"),
            self.coordinator_lines,
        );
        fs::write(&config, text).expect("a configuration");
        let program = self.with_clock(self.program("tvt-coordinator"), "coordinator");
        self.coordinator = Some(program.args(["run", "--config"]).args([&config]).spawn());
    }

    /// Whether the coordinator runs.
    pub fn coordinator_runs(&mut self) -> bool {
        self.coordinator.as_mut().is_some_and(Running::runs)
    }

    /// Whether the agent of a site runs.
    pub fn agent_runs(&mut self, site: &str) -> bool {
        self.agents.get_mut(site).is_some_and(Running::runs)
    }

    /// Starts one of several replicas of the coordinator, each on a database of its own.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[must_use]
    pub fn start_replica(&self, name: &str, lease: Duration, standby: bool) -> Running {
        let config = self.folder().join(format!("replica-{name}.toml"));
        let text = format!(
            "data_dir = {:?}\n[nats]\nurls = {:?}\ninsecure_dev = true\n{}\
             [replica]\nname = {name:?}\nlease_ms = {}\n{}",
            self.folder().join(format!("replica-{name}")),
            self.urls(),
            if self.peers.is_empty() {
                ""
            } else {
                "replicas = 3\n"
            },
            lease.as_millis(),
            self.coordinator_lines,
        );
        fs::write(&config, text).expect("a configuration");
        self.program("tvt-coordinator")
            .args(["run", "--config"])
            .args([&config])
            .args(standby.then_some("--standby"))
            .spawn()
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

    /// The folder of an agent's spool and journal.
    #[must_use]
    pub fn agent_folder(&self, site: &str) -> PathBuf {
        self.folder()
            .join(format!("agent-{}", site.replace('/', "-")))
    }

    /// The agent of a site, where it runs.
    #[must_use]
    pub fn agent(&self, site: &str) -> Option<&Running> {
        self.agents.get(site)
    }

    /// The coordinator, where it runs.
    #[must_use]
    pub fn coordinator(&self) -> Option<&Running> {
        self.coordinator.as_ref()
    }

    /// Starts the agent of a site on its spool, which lasts.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start_agent(&mut self, site: &'static str) {
        let agent = self.agent_on(site, &self.agent_folder(site));
        self.agents.insert(site, agent);
    }

    /// Starts another agent for a site, on a copy of the first one's folder.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[must_use]
    pub fn start_clone(&self, site: &'static str, folder: &Path) -> Running {
        self.agent_on(site, folder)
    }

    fn agent_on(&self, site: &str, folder: &Path) -> Running {
        let (tenant, name) = site.split_once('/').expect("TENANT/SITE");
        let config = folder.with_extension("toml");
        let urls = if self.agent_urls.is_empty() {
            self.urls()
        } else {
            self.agent_urls.clone()
        };
        let text = format!(
            "tenant = {tenant:?}\nsite = {name:?}\ndata_dir = {folder:?}\ncredentials_file = {:?}\n\
             [nats]\nurls = {urls:?}\ninsecure_dev = true\n{}",
            self.folder().join("credentials.toml"),
            self.agent_lines,
        );
        let devices = self.simulator.devices().iter();
        let web: Vec<u16> = devices
            .filter_map(|device| Some(device.web_address()?.port()))
            .collect();
        let text = format!("{text}[web]\nhttps_ports = []\nhttp_ports = {web:?}\n");
        fs::write(&config, text).expect("a configuration");
        self.with_clock(self.program("tvt-agent"), site)
            .args(["run", "--config"])
            .args([&config])
            .spawn()
    }

    /// Kills the agent of a site without a word.
    ///
    /// # Panics
    ///
    /// It cannot be killed.
    pub async fn kill_agent(&mut self, site: &str) {
        if let Some(running) = self.agents.remove(site) {
            running.kill().await;
        }
    }

    /// What an agent has written to its log so far.
    #[must_use]
    pub fn agent_log(&self, site: &str) -> Vec<String> {
        self.agents
            .get(site)
            .map(|agent| agent.stderr.all())
            .unwrap_or_default()
    }

    /// What the coordinator has written to its log so far.
    #[must_use]
    pub fn coordinator_log(&self) -> Vec<String> {
        self.coordinator
            .as_ref()
            .map(|running| running.stderr.all())
            .unwrap_or_default()
    }

    /// A `tvtctl` command line bound to this fleet, ready to run or to spawn.
    #[must_use]
    pub fn tvtctl(&self, arguments: &[&str]) -> Program {
        self.program("tvtctl")
            .env("TVT_NATS_URL", self.urls().join(","))
            .args(arguments)
    }

    /// Runs `tvtctl` to its end.
    ///
    /// # Panics
    ///
    /// It takes longer than a test may.
    pub async fn ctl(&self, arguments: &[&str]) -> Said {
        self.tvtctl(arguments).run(COMMAND_LIMIT).await.into()
    }

    /// Waits until the coordinator can be reached.
    ///
    /// # Panics
    ///
    /// It cannot.
    pub async fn until_answering(&self) {
        let limit = if self.peers.is_empty() {
            PATIENCE
        } else {
            ELECTIONS
        };
        eventually_within(limit, "the coordinator answers", || async {
            (self.ctl(&["sites", "list"]).await.code == Some(0)).then_some(())
        })
        .await;
    }

    /// Adds the sites and imports their inventories.
    ///
    /// # Panics
    ///
    /// The coordinator refuses.
    pub async fn know_sites(&self) {
        self.until_answering().await;
        for site in self.sites() {
            let path = self.inventory(site).to_string_lossy().into_owned();
            let _ = self.ctl(&["sites", "add", site]).await.ended(0);
            let _ = self
                .ctl(&["inventory", "import", &path, "--site", site])
                .await
                .ended(0);
        }
    }

    /// Waits until this many agents are online.
    ///
    /// # Panics
    ///
    /// They do not come.
    pub async fn until_online(&self, count: usize) {
        eventually("the agents are online", || async {
            let agents = self.ctl(&["agents", "list", "--format", "json"]).await;
            let agents: Value = serde_json::from_str(&agents.stdout).unwrap_or_default();
            let agents = agents["agents"].as_array().cloned().unwrap_or_default();
            let online = agents
                .iter()
                .filter(|agent| agent["online"] == Value::Bool(true))
                .count();
            (online == count).then_some(())
        })
        .await;
    }
}

/// A test that fails shows what the programs said.
impl Drop for TestFleet {
    #[expect(
        clippy::print_stderr,
        reason = "the test runner shows it with the failure"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in self.coordinator_log() {
                eprintln!("coordinator: {line}");
            }
            for site in self.sites() {
                for line in self.agent_log(site) {
                    eprintln!("{site}: {line}");
                }
            }
        }
    }
}
