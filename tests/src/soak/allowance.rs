//! How often each recorder may be logged into in a round: once, and once more whenever an agent died
//! with its answer not on the disk.
//!
//! What was on the disk is not guessed: a copy of the dead agent's folder is opened as its next life
//! will open it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tvt_sim::{CounterSnapshot, Simulator};
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::id::JobId;

use super::fault::copy_files;
use crate::fleet::TestFleet;
use crate::wait::eventually;

/// Longer than a recorder takes to act on what it has received.
const QUIET: Duration = Duration::from_millis(80);

/// The recorders and how often each may be asked.
#[derive(Debug, Default)]
pub(super) struct Allowances(BTreeMap<SocketAddr, Allowance>);

#[derive(Debug)]
struct Allowance {
    site: &'static str,
    /// Logins of earlier rounds.
    before: u64,
    allowed: u64,
}

impl Allowances {
    /// The recorders of all sites.
    pub(super) fn of(fleet: &TestFleet) -> Self {
        let mut recorders = BTreeMap::new();
        for site in fleet.sites() {
            let text = fs::read_to_string(fleet.inventory(site)).expect("an inventory");
            let entries: Value = serde_json::from_str(&text).expect("an inventory");
            for entry in entries.as_array().expect("an inventory") {
                let ip = entry["ip"].as_str().expect("an address");
                let address = format!("{ip}:{}", entry["port"]).parse();
                recorders.insert(
                    address.expect("an address"),
                    Allowance {
                        site,
                        before: 0,
                        allowed: 1,
                    },
                );
            }
        }
        Self(recorders)
    }

    /// Begins a round: each recorder may be asked once.
    pub(super) fn begin(&mut self, simulator: &Simulator) {
        for (address, logins) in logins(simulator) {
            if let Some(recorder) = self.0.get_mut(&address) {
                (recorder.before, recorder.allowed) = (logins, 1);
            }
        }
    }

    /// The agent of a site is dead or stands still. Whom it has asked without having the answer on its
    /// disk may be asked again, `copies` times. Returns how many those are.
    pub(super) async fn forgive(
        &mut self,
        fleet: &TestFleet,
        site: &'static str,
        job: JobId,
        copies: u64,
    ) -> u64 {
        self.until_quiet(&fleet.simulator, site).await;
        let kept = kept(fleet, site, job);
        let mut forgiven = 0;
        for (address, logins) in logins(&fleet.simulator) {
            let Some(recorder) = self.0.get_mut(&address) else {
                continue;
            };
            if recorder.site != site || kept.contains(&address) {
                continue;
            }
            let more = logins.saturating_sub(recorder.before) + copies;
            if more > recorder.allowed {
                recorder.allowed = more;
                forgiven += 1;
            }
        }
        forgiven
    }

    /// The recorders that were asked more often than they may be, and how many logins there were
    /// beyond one for each.
    pub(super) fn judge(&self, simulator: &Simulator) -> (Vec<String>, u64) {
        let mut complaints = Vec::new();
        let mut again = 0;
        for (address, logins) in logins(simulator) {
            let Some(recorder) = self.0.get(&address) else {
                continue;
            };
            let logins = logins.saturating_sub(recorder.before);
            again += logins.saturating_sub(1);
            if logins > recorder.allowed {
                complaints.push(format!(
                    "{address} of {} was logged into {logins} times, {} allowed",
                    recorder.site, recorder.allowed
                ));
            }
        }
        (complaints, again)
    }

    /// Waits until the recorders of a site have acted on what they had received.
    async fn until_quiet(&self, simulator: &Simulator, site: &str) {
        let counted = || -> Vec<CounterSnapshot> {
            let devices = simulator.devices().iter();
            let ours = devices.filter(|device| {
                let recorder = self.0.get(&device.address());
                recorder.is_some_and(|recorder| recorder.site == site)
            });
            ours.map(|device| device.counters()).collect()
        };
        eventually("the recorders are quiet", || async {
            let before = counted();
            tokio::time::sleep(QUIET).await;
            (before == counted()).then_some(())
        })
        .await;
    }
}

fn logins(simulator: &Simulator) -> Vec<(SocketAddr, u64)> {
    let devices = simulator.devices().iter();
    devices
        .map(|device| (device.address(), device.counters().logins_succeeded))
        .collect()
}

/// The recorders whose reports are on the disk of an agent that does not run.
fn kept(fleet: &TestFleet, site: &str, job: JobId) -> BTreeSet<SocketAddr> {
    let folder = fleet.agent_folder(site);
    let copy = fleet.folder().join("looked-at");
    for part in ["spool", "jobs"] {
        if folder.join(part).is_dir() {
            copy_files(&folder.join(part), &copy.join(part));
        }
    }
    let kept = reported(&copy, site, job);
    fs::remove_dir_all(&copy).expect("the copy can be removed");
    kept
}

fn reported(copy: &Path, site: &str, job: JobId) -> BTreeSet<SocketAddr> {
    fs::create_dir_all(copy).expect("a folder");
    let site = site.parse().expect("a site");
    let endpoints = tvt_agent::simulation::reported(copy, &site, job);
    let addresses = endpoints
        .into_iter()
        .filter_map(|endpoint| match endpoint.host {
            Host::Ip(ip) => Some(SocketAddr::new(ip, endpoint.port)),
            Host::Name(_) | Host::Serial(_) => None,
        });
    addresses.collect()
}
