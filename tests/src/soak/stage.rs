//! The fleet of a soak, and one round of it.

use std::time::Duration;

use tvt_sim::{Firmware, FleetSpec, Mutation};
use tvtfleet_proto::model::id::JobId;
use uuid::Uuid;

use super::Outcome;
use super::allowance::Allowances;
use super::books;
use super::dice::Dice;
use super::fault::{self, FAULTS, Fault};
use super::line::Line;
use crate::clock;
use crate::fleet::TestFleet;
use crate::nats::NatsServer;

/// Agents speak this often, so that what is lost is noticed soon.
const HEARTBEAT_MS: u64 = 500;
/// An agent that is silent for longer may be replaced by another copy of it.
const OFFLINE_AFTER_MS: u64 = 4000;
/// The bytes of the disk of one agent, where it has one of its own.
const DISK: &str = "8m";
/// The bytes of the coordinator's disk: its database, twice, and what it writes meanwhile.
const COORDINATOR_DISK: &str = "96m";
/// How long a job may take to come to its end once everything runs again.
const END_LIMIT: &str = "150s";

/// How a soak is run.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Decides what is injected.
    pub seed: u64,
    /// Recorders of the three sites together.
    pub devices: usize,
    /// Faults of each round.
    pub faults: u32,
    /// Rounds at most; else the time decides.
    pub rounds: Option<u32>,
    /// Faults after which no more rounds begin; else the time decides.
    pub total: Option<u32>,
    /// Servers: 1, or a cluster of 3.
    pub nodes: usize,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            seed: 1,
            devices: 60,
            faults: 8,
            rounds: None,
            total: None,
            nodes: 1,
        }
    }
}

/// The fleet and what is done to it.
pub(super) struct Stage {
    pub(super) fleet: TestFleet,
    pub(super) dice: Dice,
    /// The lines of the sites, one to each server.
    pub(super) lines: Vec<Line>,
    /// The coordinator's.
    pub(super) central: Vec<Line>,
    /// The site whose agent has a small disk of its own.
    pub(super) small_disk: Option<&'static str>,
    /// Whether the coordinator has one.
    pub(super) coordinator_disk: bool,
    pub(super) faults: u32,
    /// How often each recorder may be asked in this round.
    pub(super) allowances: Allowances,
    /// The job of this round.
    pub(super) job: JobId,
    /// Whether an agent was cloned in this round.
    pub(super) cloned: bool,
    /// What the recorders had complained of before this round.
    pub(super) violations: u64,
}

impl Stage {
    pub(super) async fn start(setting: &Setting, outcome: &mut Outcome) -> Self {
        let spec = FleetSpec {
            sites: 3,
            channels: 4,
            head: setting.devices / 3,
            ..FleetSpec::new(setting.seed, setting.devices)
        };
        let mut fleet = TestFleet::empty(&spec, Duration::from_millis(25)).await;
        if setting.nodes > 1 {
            fleet.use_cluster(setting.nodes).await;
        }
        let (mut lines, mut central) = (Vec::new(), Vec::new());
        for node in std::iter::once(&fleet.nats).chain(&fleet.peers) {
            lines.push(Line::start(node.port()).await);
            central.push(Line::start(node.port()).await);
        }
        fleet.agent_urls = lines.iter().map(Line::url).collect();
        fleet.coordinator_urls = central.iter().map(Line::url).collect();
        fleet.agent_lines = format!("[limits]\nheartbeat_ms = {HEARTBEAT_MS}\nspool_max_mb = 16\n");
        let replicas = if setting.nodes > 1 {
            "replicas = 3\n"
        } else {
            ""
        };
        fleet.coordinator_lines =
            format!("{replicas}[timing]\noffline_after_ms = {OFFLINE_AFTER_MS}\n");
        let small = fleet.sites()[0];
        let small_disk = match fault::mount(&fleet.agent_folder(small), DISK) {
            Ok(()) => Some(small),
            Err(reason) => {
                outcome.skipped.insert(Fault::FillDisk.name(), reason);
                None
            }
        };
        let folder = fleet.folder().join("coordinator");
        let coordinator_disk = match fault::mount(&folder, COORDINATOR_DISK) {
            Ok(()) => true,
            Err(reason) => {
                let name = Fault::FillCoordinatorDisk.name();
                outcome.skipped.insert(name, reason);
                false
            }
        };
        match clock::library(fleet.folder()) {
            Ok(library) => fleet.clock_library = Some(library),
            Err(reason) => {
                let name = Fault::AgentClock.name();
                outcome.skipped.insert(name, reason.clone());
                outcome
                    .skipped
                    .insert(Fault::CoordinatorClock.name(), reason);
            }
        }
        fleet.start_coordinator();
        fleet.know_sites().await;
        for site in fleet.sites() {
            fleet.start_agent(site);
        }
        fleet.until_online(fleet.sites().len()).await;
        // What is found first is no change.
        let _ = fleet.ctl(&["scan", "--all", "--quiet"]).await.ended(0);
        Self {
            allowances: Allowances::of(&fleet),
            job: JobId::new(Uuid::nil()),
            fleet,
            dice: Dice::new(setting.seed),
            lines,
            central,
            small_disk,
            coordinator_disk,
            faults: setting.faults,
            cloned: false,
            violations: 0,
        }
    }

    /// Changes some recorders, scans all, injects faults meanwhile, and balances the books.
    pub(super) async fn round(&mut self, outcome: &mut Outcome) {
        outcome.rounds += 1;
        self.cloned = false;
        self.allowances.begin(&self.fleet.simulator);
        let updated = self.update(outcome.rounds).await;
        let said = self
            .fleet
            .ctl(&["scan", "--all", "--parallel", "3", "--detach"])
            .await
            .ended(0);
        let job = said
            .stdout
            .split_whitespace()
            .last()
            .expect("the job's id")
            .to_owned();
        self.job = job.parse().expect("the job's id");
        for _ in 0..self.faults {
            let pause = Duration::from_millis(20 + self.dice.roll(250));
            tokio::time::sleep(pause).await;
            let fault = self.dice.pick(FAULTS);
            if fault.inject(self, outcome).await {
                *outcome.faults.entry(fault.name()).or_default() += 1;
            }
        }
        self.fleet.until_answering().await;
        let ended = self
            .fleet
            .ctl(&["jobs", "wait", &job, "--quiet", "--timeout", END_LIMIT])
            .await;
        if !matches!(ended.code, Some(0 | 1)) {
            let view = self.fleet.ctl(&["jobs", "show", &job]).await.stdout;
            outcome
                .losses
                .push(format!("job {job} does not end:\n{view}"));
            return;
        }
        books::balance(self, &job, &updated, outcome).await;
        self.violations = self.fleet.simulator.totals().violations;
    }

    /// Installs firmware on some recorders, which the next scan finds. Returns the versions, each of
    /// which there is once.
    async fn update(&mut self, round: u32) -> Vec<String> {
        let mut versions = Vec::new();
        let [.., high, low] = round.to_be_bytes();
        let devices: Vec<_> = self
            .fleet
            .simulator
            .devices()
            .iter()
            .step_by(7)
            .cloned()
            .collect();
        for (number, device) in (0..=u8::MAX).zip(devices) {
            let firmware = Firmware([9, high, low, number]);
            versions.push(firmware.to_string());
            device
                .apply(Mutation::SetFirmware { firmware })
                .await
                .expect("new firmware");
        }
        versions
    }

    /// One of the servers.
    pub(super) fn node(&mut self) -> &mut NatsServer {
        let count = u64::try_from(self.fleet.peers.len()).unwrap_or(0) + 1;
        match usize::try_from(self.dice.roll(count)).unwrap_or(0) {
            0 => &mut self.fleet.nats,
            number => &mut self.fleet.peers[number - 1],
        }
    }

    /// An agent is dead or stands still: its recorders may be asked again where it has no answer of
    /// theirs on its disk.
    pub(super) async fn forgive(&mut self, site: &'static str, copies: u64, outcome: &mut Outcome) {
        let forgiven = self.allowances.forgive(&self.fleet, site, self.job, copies);
        outcome.forgiven += forgiven.await;
    }

    /// The number of recorders.
    pub(super) fn devices(&self) -> usize {
        self.fleet.simulator.devices().len()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(site) = self.small_disk {
            fault::unmount(&self.fleet.agent_folder(site));
        }
        if self.coordinator_disk {
            fault::unmount(&self.fleet.folder().join("coordinator"));
        }
    }
}
