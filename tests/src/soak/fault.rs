//! What is done to the fleet.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::Outcome;
use super::line::{Line, State};
use super::stage::Stage;
use crate::clock;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    KillAgent,
    KillCoordinator,
    KillNats,
    PauseAgent,
    PauseCoordinator,
    PauseNats,
    CutLine,
    SlowLine,
    WipeNats,
    RestoreDatabase,
    CloneAgent,
    FillDisk,
    FillCoordinatorDisk,
    CutCentralLine,
    AgentClock,
    CoordinatorClock,
}

/// How far clocks jump forward and back, in milliseconds: less than jobs have time, more than anything
/// else that is measured by the time of day.
const FORWARD: u64 = 20 * 60 * 1000;
const BACK: u64 = 24 * 60 * 60 * 1000;

/// What is drawn from; cheap faults stand more often.
pub(super) const FAULTS: &[Fault] = &[
    Fault::KillAgent,
    Fault::KillAgent,
    Fault::KillAgent,
    Fault::KillCoordinator,
    Fault::KillCoordinator,
    Fault::KillNats,
    Fault::KillNats,
    Fault::PauseAgent,
    Fault::PauseCoordinator,
    Fault::PauseNats,
    Fault::CutLine,
    Fault::CutLine,
    Fault::CutLine,
    Fault::SlowLine,
    Fault::WipeNats,
    Fault::RestoreDatabase,
    Fault::CloneAgent,
    Fault::FillDisk,
    Fault::FillCoordinatorDisk,
    Fault::CutCentralLine,
    Fault::CutCentralLine,
    Fault::AgentClock,
    Fault::CoordinatorClock,
];

impl Fault {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::KillAgent => "agent killed",
            Self::KillCoordinator => "coordinator killed",
            Self::KillNats => "server killed",
            Self::PauseAgent => "agent stopped and continued",
            Self::PauseCoordinator => "coordinator stopped and continued",
            Self::PauseNats => "server stopped and continued",
            Self::CutLine => "line of the sites cut",
            Self::SlowLine => "line of the sites slow",
            Self::CutCentralLine => "line of the coordinator cut",
            Self::WipeNats => "server's disk lost",
            Self::RestoreDatabase => "older database restored",
            Self::CloneAgent => "agent cloned",
            Self::FillDisk => "agent's disk full",
            Self::FillCoordinatorDisk => "coordinator's disk full",
            Self::AgentClock => "agent's clock jumped",
            Self::CoordinatorClock => "coordinator's clock jumped",
        }
    }

    /// Does it, and what ends it. Says whether it could be done here.
    pub(super) async fn inject(self, stage: &mut Stage, outcome: &mut Outcome) -> bool {
        let sites = stage.fleet.sites();
        let site = stage.dice.pick(&sites);
        let pause = Duration::from_millis(100 + stage.dice.roll(1200));
        match self {
            Self::KillAgent => {
                stage.fleet.kill_agent(site).await;
                stage.forgive(site, 1, outcome).await;
                tokio::time::sleep(pause / 4).await;
                stage.fleet.start_agent(site);
            }
            Self::KillCoordinator => {
                stage.fleet.kill_coordinator().await;
                tokio::time::sleep(pause / 2).await;
                stage.fleet.start_coordinator();
            }
            Self::KillNats => {
                let node = stage.node();
                node.kill9();
                tokio::time::sleep(pause / 2).await;
                node.resume().await;
            }
            Self::PauseAgent => {
                if let Some(agent) = stage.fleet.agent(site) {
                    agent.signal(Signal::STOP);
                }
                tokio::time::sleep(pause).await;
                // A session that stood still may have timed out on the recorder's side.
                stage.forgive(site, 1, outcome).await;
                if let Some(agent) = stage.fleet.agent(site) {
                    agent.signal(Signal::CONT);
                }
            }
            Self::PauseCoordinator => {
                if let Some(coordinator) = stage.fleet.coordinator() {
                    coordinator.signal(Signal::STOP);
                    tokio::time::sleep(pause).await;
                    coordinator.signal(Signal::CONT);
                }
            }
            Self::PauseNats => {
                let node = stage.node();
                node.signal(Signal::STOP);
                tokio::time::sleep(pause).await;
                node.signal(Signal::CONT);
            }
            Self::CutLine => spoil(&stage.lines, State::Cut, pause).await,
            Self::SlowLine => {
                let slow = State::Slow(Duration::from_millis(40));
                spoil(&stage.lines, slow, pause * 2).await;
            }
            Self::CutCentralLine => spoil(&stage.central, State::Cut, pause).await,
            Self::WipeNats => {
                stage.node().wipe().await;
                stage.fleet.nats.until_led().await;
            }
            Self::RestoreDatabase => restore(stage, pause).await,
            Self::CloneAgent => clone(stage, site, pause, outcome).await,
            Self::FillDisk => {
                let Some(site) = stage.small_disk else {
                    return false;
                };
                let folder = stage.fleet.agent_folder(site);
                return fill(&folder, pause).await;
            }
            Self::FillCoordinatorDisk => return fill_coordinator(stage, pause).await,
            Self::AgentClock => return jump(stage, site, pause).await,
            Self::CoordinatorClock => return jump(stage, "coordinator", pause).await,
        }
        true
    }
}

/// Makes lines worse for a while.
async fn spoil(lines: &[Line], state: State, pause: Duration) {
    for line in lines {
        line.set(state);
    }
    tokio::time::sleep(pause).await;
    for line in lines {
        line.set(State::Whole);
    }
}

/// Lets a clock jump, and jump back after a while.
async fn jump(stage: &mut Stage, whose: &str, pause: Duration) -> bool {
    if stage.fleet.clock_library.is_none() {
        return false;
    }
    let file = stage.fleet.clock(whose);
    let forward = stage.dice.roll(2) == 0;
    let far = stage.dice.roll(if forward { FORWARD } else { BACK });
    let far = i64::try_from(far).unwrap_or(0);
    clock::set(&file, if forward { far } else { -far });
    tokio::time::sleep(pause).await;
    clock::set(&file, 0);
    true
}

/// Leaves no room on the coordinator's disk for a while. Starts it again where it has given up, as its
/// unit does.
async fn fill_coordinator(stage: &mut Stage, pause: Duration) -> bool {
    if !stage.coordinator_disk {
        return false;
    }
    let filled = fill(&stage.fleet.folder().join("coordinator"), pause).await;
    if !stage.fleet.coordinator_runs() {
        stage.fleet.start_coordinator();
    }
    filled
}

/// Copies the database, goes on for a while, and begins again with the copy.
async fn restore(stage: &mut Stage, pause: Duration) {
    let (live, copy) = (
        stage.fleet.folder().join("coordinator"),
        stage.fleet.folder().join("coordinator.copy"),
    );
    stage.fleet.kill_coordinator().await;
    if copy.exists() {
        fs::remove_dir_all(&copy).expect("the older copy can be removed");
    }
    copy_files(&live, &copy);
    stage.fleet.start_coordinator();
    tokio::time::sleep(pause * 2).await;
    stage.fleet.kill_coordinator().await;
    // The folder itself may be where a disk is mounted.
    for entry in fs::read_dir(&live).expect("a folder") {
        let path = entry.expect("an entry").path();
        let removed = if path.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        };
        removed.expect("the database can be removed");
    }
    copy_files(&copy, &live);
    stage.fleet.start_coordinator();
}

/// Runs a second agent on a copy of the first one's folder.
async fn clone(stage: &mut Stage, site: &'static str, pause: Duration, outcome: &mut Outcome) {
    let folder = stage.fleet.agent_folder(site);
    let copy = stage.fleet.folder().join("clone");
    stage.fleet.kill_agent(site).await;
    // Both may ask whom the original has no answer of.
    stage.forgive(site, 2, outcome).await;
    copy_files(&folder, &copy);
    stage.fleet.start_agent(site);
    let clone = stage.fleet.start_clone(site, &copy);
    stage.cloned = true;
    tokio::time::sleep(pause * 2).await;
    clone.kill().await;
    fs::remove_dir_all(&copy).expect("the copy can be removed");
}

/// Leaves no room on a disk for a while.
async fn fill(folder: &Path, pause: Duration) -> bool {
    let ballast = folder.join("ballast");
    let mut size = 8 * 1024 * 1024;
    let mut bytes = 0_usize;
    let mut file = fs::File::create(&ballast).expect("a file");
    // Smaller and smaller pieces, until nothing fits.
    while size >= 512 {
        match std::io::Write::write(&mut file, &vec![0; size]) {
            Ok(written) if written > 0 => bytes += written,
            Ok(_) | Err(_) => size /= 2,
        }
    }
    drop(file);
    tokio::time::sleep(pause).await;
    fs::remove_file(&ballast).expect("the ballast can be removed");
    bytes > 0
}

pub(super) fn copy_files(from: &Path, into: &Path) {
    fs::create_dir_all(into).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = into.join(entry.file_name());
        if entry.path().is_dir() {
            copy_files(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Mounts a small disk in memory. The error says why there is none.
pub(super) fn mount(folder: &Path, size: &str) -> Result<(), String> {
    fs::create_dir_all(folder).expect("a folder");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
        .arg(folder)
        .output();
    match mounted {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Takes the small disk away, once nobody uses it any more.
pub(super) fn unmount(folder: &Path) {
    // The agent is killed after this: the mount goes with its last file.
    let _gone = Command::new("umount").arg("-l").arg(folder).output();
}
