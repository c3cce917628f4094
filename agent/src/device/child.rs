//! Child processes that may not behave: in a group of their own, killed as a group.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Variables that a child may need from our environment.
const KEPT: [&str; 5] = ["PATH", "LANG", "LC_ALL", "TZ", "HOME"];

/// A child and everything it started. Dropping it kills them all.
#[derive(Debug)]
pub(crate) struct ChildGroup {
    child: Child,
    /// The group, until its leader has been waited for: after that the number may be another's.
    group: Option<Pid>,
}

impl ChildGroup {
    /// Starts a child in a group of its own, with a small environment and without core files.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if group.is_some() {
            // Core files hold passwords. A child that is gone already needs no limit.
            let none = Rlimit {
                current: Some(0),
                maximum: Some(0),
            };
            let _gone = prlimit(group, Resource::Core, none);
        }
        Ok(Self { child, group })
    }

    /// The pipes, each once: stdin, stdout, stderr.
    pub(crate) fn pipes(
        &mut self,
    ) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (
            self.child.stdin.take(),
            self.child.stdout.take(),
            self.child.stderr.take(),
        )
    }

    /// The number of its leader, while that runs.
    #[cfg(test)]
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its end, at most so long; `None` where it goes on.
    pub(crate) async fn ended(&mut self, limit: Duration) -> Option<ExitStatus> {
        let status = timeout(limit, self.child.wait()).await.ok()?.ok()?;
        self.kill();
        Some(status)
    }

    /// Kills the group, what the child left behind included.
    pub(crate) fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // Nothing is left to kill where it fails.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for ChildGroup {
    fn drop(&mut self) {
        // The runtime waits for the dead child, so that no zombie stays.
        self.kill();
    }
}

/// A command with nothing in its environment but what programs need to run at all.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in KEPT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn grandchildren_die_with_the_group() {
        let mut shell = command("/bin/sh");
        shell
            .args(["-c", "sleep 1000 & echo $!; wait"])
            .stdout(Stdio::piped());
        let mut group = ChildGroup::start(&mut shell).unwrap();
        let mut out = group.pipes().1.unwrap();
        let mut text = [0; 32];
        let count = out.read(&mut text).await.unwrap();
        let grandchild: i32 = std::str::from_utf8(&text[..count])
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert_eq!(group.ended(Duration::from_millis(1)).await, None);
        drop(group);
        // The pipe closes when the last process that holds it is gone.
        assert_eq!(out.read(&mut text).await.unwrap(), 0, "{grandchild}");
    }

    #[tokio::test]
    async fn the_environment_is_small() {
        let mut printed = command("/usr/bin/env");
        printed.stdout(Stdio::piped());
        let mut group = ChildGroup::start(&mut printed).unwrap();
        let mut text = String::new();
        let mut out = group.pipes().1.unwrap();
        out.read_to_string(&mut text).await.unwrap();
        for line in text.lines() {
            let name = line.split('=').next().unwrap();
            assert!(KEPT.contains(&name), "{name}");
        }
        assert!(
            group
                .ended(Duration::from_secs(10))
                .await
                .unwrap()
                .success()
        );
    }
}
