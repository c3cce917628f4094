//! The fleet of a soak, and one round of it.

use std::time::Duration;

use tvt_sim::{Firmware, FleetSpec, Mutation};

use super::Outcome;
use super::books;
use super::dice::Dice;
use super::fault::{self, FAULTS};
use super::line::Line;
use crate::fleet::TestFleet;

/// Agents speak this often, so that what is lost is noticed soon.
const HEARTBEAT_MS: u64 = 500;
/// An agent that is silent for longer may be replaced by another copy of it.
const OFFLINE_AFTER_MS: u64 = 4000;
/// The bytes of the disk of one agent, where it has one of its own.
const DISK: &str = "8m";
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
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            seed: 1,
            devices: 60,
            faults: 8,
            rounds: None,
        }
    }
}

/// The fleet and what is done to it.
pub(super) struct Stage {
    pub(super) fleet: TestFleet,
    pub(super) dice: Dice,
    pub(super) line: Line,
    /// The site whose agent has a small disk of its own.
    pub(super) small_disk: Option<&'static str>,
    pub(super) faults: u32,
    /// Deaths and doubles of agents in this round: their devices may be asked again.
    pub(super) excused: u32,
    asked: u64,
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
        let line = Line::start(fleet.nats.port()).await;
        fleet.agent_urls = vec![line.url()];
        fleet.agent_lines = format!("[limits]\nheartbeat_ms = {HEARTBEAT_MS}\nspool_max_mb = 16\n");
        fleet.coordinator_lines = format!("[timing]\noffline_after_ms = {OFFLINE_AFTER_MS}\n");
        let small = fleet.sites()[0];
        let small_disk = match fault::mount(&fleet.agent_folder(small), DISK) {
            Ok(()) => Some(small),
            Err(reason) => {
                outcome.skipped.insert("disk full", reason);
                None
            }
        };
        outcome.skipped.insert(
            "clock jump",
            "needs a machine of its own; the simulation has it".into(),
        );
        fleet.start_coordinator();
        fleet.know_sites().await;
        for site in fleet.sites() {
            fleet.start_agent(site);
        }
        fleet.until_online(fleet.sites().len()).await;
        // What is found first is no change.
        let _ = fleet.ctl(&["scan", "--all", "--quiet"]).await.ended(0);
        let asked = fleet.simulator.totals().logins_succeeded;
        Self {
            fleet,
            dice: Dice::new(setting.seed),
            line,
            small_disk,
            faults: setting.faults,
            excused: 0,
            asked,
            cloned: false,
            violations: 0,
        }
    }

    /// Changes some recorders, scans all, injects faults meanwhile, and balances the books.
    pub(super) async fn round(&mut self, outcome: &mut Outcome) {
        outcome.rounds += 1;
        self.excused = 0;
        self.cloned = false;
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
        for _ in 0..self.faults {
            let pause = Duration::from_millis(20 + self.dice.roll(250));
            tokio::time::sleep(pause).await;
            let fault = self.dice.pick(FAULTS);
            if fault.inject(self).await {
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
        let asked = self.fleet.simulator.totals().logins_succeeded;
        let again = books::balance(self, &job, &updated, asked - self.asked, outcome).await;
        outcome.again += again;
        self.asked = asked;
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

    /// The number of recorders.
    pub(super) fn devices(&self) -> usize {
        self.fleet.simulator.devices().len()
    }

    /// How many recorders have been scanned to the end, in all.
    pub(super) fn scanned(&self) -> u64 {
        self.fleet.simulator.totals().scans_completed
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(site) = self.small_disk {
            fault::unmount(&self.fleet.agent_folder(site));
        }
    }
}
