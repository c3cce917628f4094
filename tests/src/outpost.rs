//! A site in a network of its own, with its agent in there.

use std::fs::{self, File};
use std::process::{Child, Stdio};

use crate::fleet::{TestFleet, save_credentials};
use crate::netns::{Lab, Relay};

/// A site with its network, and its agent in there.
#[derive(Debug)]
pub struct Outpost {
    /// The network; the agent is in its namespace `agent`.
    pub lab: Lab,
    name: &'static str,
    /// The port of the agent's loopback interface at which it finds the server.
    port: u16,
    _ways: Vec<Relay>,
    policy: String,
    agent: Option<Child>,
}

impl Outpost {
    /// Starts the agent of a site, with a way to the fleet's server. `policy` are lines of its policy.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[must_use]
    pub fn new(fleet: &TestFleet, lab: Lab, name: &'static str, policy: &str) -> Self {
        let (port, relay) = lab.relay("agent", fleet.port());
        Self::behind(lab, name, policy, port, vec![relay])
    }

    /// Starts the agent of a site that finds its server at a port of its loopback interface.
    ///
    /// # Panics
    ///
    /// It does not start.
    #[must_use]
    pub fn behind(lab: Lab, name: &'static str, policy: &str, port: u16, ways: Vec<Relay>) -> Self {
        let mut site = Self {
            lab,
            name,
            port,
            _ways: ways,
            policy: policy.to_owned(),
            agent: None,
        };
        site.start();
        site
    }

    /// Starts the agent, on what it kept.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start(&mut self) {
        let folder = self.lab.folder();
        save_credentials(folder);
        let (tenant, site) = self.name.split_once('/').expect("a site");
        let text = format!(
            "tenant = {tenant:?}\nsite = {site:?}\ndata_dir = {:?}\ncredentials_file = {:?}\n\
             [nats]\nurls = [\"nats://127.0.0.1:{}\"]\ninsecure_dev = true\n\
             [limits]\nheartbeat_ms = 1000\n[policy]\n{}\n",
            folder.join("agent"),
            folder.join("credentials.toml"),
            self.port,
            self.policy,
        );
        let config = folder.join("agent.toml");
        fs::write(&config, text).expect("our own file");
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join("agent.log"))
            .expect("our own file");
        let agent = self
            .lab
            .command("agent", "tvt-agent")
            .args(["run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("an agent");
        self.agent = Some(agent);
    }

    /// Kills the agent without a word.
    ///
    /// # Panics
    ///
    /// It cannot be killed.
    pub fn kill(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().expect("an agent");
            agent.wait().expect("its end");
        }
    }

    /// What the agent has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.lab.folder().join("agent.log")).unwrap_or_default()
    }
}

#[expect(
    clippy::print_stdout,
    reason = "says what the agent of a failed test did"
)]
impl Drop for Outpost {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            println!("{}:\n{}", self.name, self.log());
        }
    }
}
