//! The soak: a real fleet under faults drawn from a seed, and the books after each round.
//!
//! What runs is what is shipped: nats-server, coordinator and agents as processes. The recorders are
//! simulated and count what is done to them.

mod allowance;
mod books;
mod dice;
mod fault;
mod line;
mod stage;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub use stage::Setting;
use stage::Stage;

/// What a soak did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Rounds: jobs that were submitted and balanced.
    pub rounds: u32,
    /// How often each kind of fault was injected.
    pub faults: BTreeMap<&'static str, u32>,
    /// Reports counted, over all jobs.
    pub reports: u64,
    /// Changes that were made and found once.
    pub changes: u64,
    /// Logins beyond one for each recorder and job, because an agent died.
    pub again: u64,
    /// Recorders that might be asked once more, because an agent died with their answer not on its disk.
    pub forgiven: u64,
    /// What could not be injected here, and why.
    pub skipped: BTreeMap<&'static str, String>,
    /// What does not balance; the soak ends with the first.
    pub losses: Vec<String>,
}

impl Outcome {
    /// All faults.
    #[must_use]
    pub fn faults_in_all(&self) -> u32 {
        self.faults.values().sum()
    }
}

/// Runs rounds until the time is up, or one does not balance. `tell` hears a line per round.
///
/// # Panics
///
/// A program does not start, or what waits for something waits in vain.
pub async fn run(setting: &Setting, time: Duration, mut tell: impl FnMut(&str)) -> Outcome {
    let began = Instant::now();
    let mut outcome = Outcome::default();
    let mut stage = Stage::start(setting, &mut outcome).await;
    loop {
        let round = Instant::now();
        stage.round(&mut outcome).await;
        tell(&format!(
            "round {}: {} faults so far, {} reports, {} changes, {} asked again, {:.1} s",
            outcome.rounds,
            outcome.faults_in_all(),
            outcome.reports,
            outcome.changes,
            outcome.again,
            round.elapsed().as_secs_f64()
        ));
        let enough = setting
            .rounds
            .is_some_and(|rounds| outcome.rounds >= rounds)
            || setting
                .total
                .is_some_and(|total| outcome.faults_in_all() >= total);
        if enough || began.elapsed() >= time || !outcome.losses.is_empty() {
            return outcome;
        }
    }
}
