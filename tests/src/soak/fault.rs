//! What is done to the fleet.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::line::State;
use super::stage::Stage;

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
}

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
            Self::CutLine => "line cut",
            Self::SlowLine => "line slow",
            Self::WipeNats => "server's disk lost",
            Self::RestoreDatabase => "older database restored",
            Self::CloneAgent => "agent cloned",
            Self::FillDisk => "disk full",
        }
    }

    /// Does it, and what ends it. Says whether it could be done here.
    pub(super) async fn inject(self, stage: &mut Stage) -> bool {
        let sites = stage.fleet.sites();
        let site = stage.dice.pick(&sites);
        let pause = Duration::from_millis(100 + stage.dice.roll(1200));
        match self {
            Self::KillAgent => {
                stage.fleet.kill_agent(site).await;
                stage.excused += 1;
                tokio::time::sleep(pause / 4).await;
                stage.fleet.start_agent(site);
            }
            Self::KillCoordinator => {
                stage.fleet.kill_coordinator().await;
                tokio::time::sleep(pause / 2).await;
                stage.fleet.start_coordinator();
            }
            Self::KillNats => {
                stage.fleet.nats.kill9();
                tokio::time::sleep(pause / 2).await;
                stage.fleet.nats.resume().await;
            }
            Self::PauseAgent => {
                if let Some(agent) = stage.fleet.agent(site) {
                    agent.signal(Signal::STOP);
                    tokio::time::sleep(pause).await;
                    agent.signal(Signal::CONT);
                }
                // A session that stood still may have timed out on the recorder's side.
                stage.excused += 1;
            }
            Self::PauseCoordinator => {
                if let Some(coordinator) = stage.fleet.coordinator() {
                    coordinator.signal(Signal::STOP);
                    tokio::time::sleep(pause).await;
                    coordinator.signal(Signal::CONT);
                }
            }
            Self::PauseNats => {
                stage.fleet.nats.signal(Signal::STOP);
                tokio::time::sleep(pause).await;
                stage.fleet.nats.signal(Signal::CONT);
            }
            Self::CutLine => {
                stage.line.set(State::Cut);
                tokio::time::sleep(pause).await;
                stage.line.set(State::Whole);
            }
            Self::SlowLine => {
                stage.line.set(State::Slow(Duration::from_millis(40)));
                tokio::time::sleep(pause * 2).await;
                stage.line.set(State::Whole);
            }
            Self::WipeNats => stage.fleet.nats.wipe().await,
            Self::RestoreDatabase => restore(stage, pause).await,
            Self::CloneAgent => clone(stage, site, pause).await,
            Self::FillDisk => return fill(stage, pause).await,
        }
        true
    }
}

/// Copies the database, goes on for a while, and begins again with the copy.
async fn restore(stage: &mut Stage, pause: Duration) {
    let (live, copy) = (
        stage.fleet.folder().join("coordinator"),
        stage.fleet.folder().join("coordinator.copy"),
    );
    stage.fleet.kill_coordinator().await;
    copy_files(&live, &copy);
    stage.fleet.start_coordinator();
    tokio::time::sleep(pause * 2).await;
    stage.fleet.kill_coordinator().await;
    fs::remove_dir_all(&live).expect("the database can be removed");
    copy_files(&copy, &live);
    stage.fleet.start_coordinator();
}

/// Runs a second agent on a copy of the first one's folder.
async fn clone(stage: &mut Stage, site: &'static str, pause: Duration) {
    let folder = stage.fleet.agent_folder(site);
    let copy = stage.fleet.folder().join("clone");
    stage.fleet.kill_agent(site).await;
    copy_files(&folder, &copy);
    stage.fleet.start_agent(site);
    let clone = stage.fleet.start_clone(site, &copy);
    stage.excused += 2;
    stage.cloned = true;
    tokio::time::sleep(pause * 2).await;
    clone.kill().await;
    fs::remove_dir_all(&copy).expect("the copy can be removed");
}

/// Leaves no room on the disk of one agent for a while.
async fn fill(stage: &mut Stage, pause: Duration) -> bool {
    let Some(site) = stage.small_disk else {
        return false;
    };
    let ballast = stage.fleet.agent_folder(site).join("ballast");
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

fn copy_files(from: &Path, into: &Path) {
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
