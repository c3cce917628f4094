//! Child processes that do not outlive the demo.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long a process may take to stop when asked politely.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A program that runs in the background. It is killed when this value is dropped.
pub(crate) struct Background {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Background {
    /// Starts a program with its stderr in `logs/NAME.log`.
    pub(crate) fn start(name: &str, command: &mut Command, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let file =
            File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Takes the program's standard output, once.
    pub(crate) fn lines(&mut self) -> Result<tokio::io::Lines<BufReader<ChildStdout>>> {
        let stdout = self
            .child
            .stdout
            .take()
            .context("standard output is taken already")?;
        Ok(BufReader::new(stdout).lines())
    }

    /// Fails with the end of the program's log if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let mut tail: Vec<_> = log.lines().rev().take(15).collect();
            tail.reverse();
            bail!("{} ended early ({status}):\n{}", self.name, tail.join("\n"));
        }
        Ok(())
    }

    /// The process id, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks the program to stop, and insists after ten seconds.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(id) = self.child.id() {
            // `kill` is on every system that this runs on, and saves a dependency for one signal.
            Command::new("kill")
                .arg(id.to_string())
                .status()
                .await
                .context("cannot run kill")?;
        }
        if timeout(STOP_WITHIN, self.child.wait()).await.is_err() {
            self.child
                .kill()
                .await
                .with_context(|| format!("cannot stop {}", self.name))?;
            bail!(
                "{} did not stop within {} s",
                self.name,
                STOP_WITHIN.as_secs()
            );
        }
        Ok(())
    }
}
