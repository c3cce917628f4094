//! What a program costs: wall time, CPU time and peak memory, as the kernel counted them.
//!
//! A program is not started by the bench itself but by a small copy of it, so that the kernel's
//! count of that copy's children is the count of this one program.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::programs;

/// How long one measured program may take. Slower is an error, not a figure.
const LIMIT: Duration = Duration::from_secs(1800);

/// What one run of a program cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// From its start to its end, in microseconds.
    pub wall_us: u64,
    /// CPU time in user mode and in the kernel, all threads, in microseconds.
    pub cpu_us: u64,
    /// The most memory it had in RAM, in bytes; never less than the copy that started it.
    pub peak_rss: u64,
}

impl Cost {
    /// The wall time in seconds.
    #[must_use]
    pub fn wall(&self) -> f64 {
        Duration::from_micros(self.wall_us).as_secs_f64()
    }

    /// The CPU time in seconds.
    #[must_use]
    pub fn cpu(&self) -> f64 {
        Duration::from_micros(self.cpu_us).as_secs_f64()
    }
}

/// A program to be measured.
#[derive(Debug)]
pub struct Task<'a> {
    program: PathBuf,
    arguments: Vec<std::ffi::OsString>,
    environment: Vec<(&'static str, String)>,
    folder: &'a Path,
    accepted: Vec<i32>,
}

/// A measured program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// What it cost.
    pub cost: Cost,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
}

impl<'a> Task<'a> {
    /// A program that is to run in `folder`, where its output is kept as well.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, folder: &'a Path) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder,
            accepted: vec![0],
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<std::ffi::OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<std::ffi::OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Takes this exit code for a success, besides 0.
    #[must_use]
    pub fn accept(mut self, code: i32) -> Self {
        self.accepted.push(code);
        self
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    ///
    /// It cannot be started, takes too long, or ends with a code that is not accepted; the text has
    /// the end of what it wrote to standard error.
    pub fn run(self) -> Result<Ended> {
        let name = self.program.file_name().unwrap_or_default().to_owned();
        let name = name.to_string_lossy();
        let path = |kind: &str| self.folder.join(format!("{name}.{kind}"));
        let (costs, stdout, stderr) = (path("cost"), path("stdout"), path("stderr"));
        let create = |path: &Path| {
            File::create(path).with_context(|| format!("cannot create {}", path.display()))
        };
        let status = Command::new(programs::own()?)
            .args(["measured", "--cost"])
            .arg(&costs)
            .arg("--")
            .arg(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder)
            .stdin(Stdio::null())
            .stdout(create(&stdout)?)
            .stderr(create(&stderr)?)
            .status()
            .with_context(|| format!("cannot start {name}"))?;
        let said = || fs::read_to_string(&stderr).unwrap_or_default();
        if !status
            .code()
            .is_some_and(|code| self.accepted.contains(&code))
        {
            bail!("{name} ended with {status}:\n{}", tail(&said()));
        }
        let cost = fs::read(&costs).with_context(|| format!("no cost of {name}"))?;
        Ok(Ended {
            cost: serde_json::from_slice(&cost).context("not a cost")?,
            stdout: fs::read(&stdout).context("cannot read what the program wrote")?,
        })
    }
}

fn tail(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().rev().take(15).collect();
    lines.reverse();
    lines.join("\n")
}

/// Run a program and write down what it cost
#[derive(Debug, Args)]
pub struct MeasuredArguments {
    /// File for the cost
    #[arg(long)]
    cost: PathBuf,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true)]
    command: Vec<std::ffi::OsString>,
}

impl MeasuredArguments {
    /// Runs the program, as the small copy; ends as the program ended.
    ///
    /// # Errors
    ///
    /// The program cannot be started, is stopped by a signal, or takes too long.
    pub fn run(&self) -> Result<u8> {
        let (program, arguments) = self.command.split_first().context("no program")?;
        let began = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            .spawn()
            .with_context(|| format!("cannot start {}", program.to_string_lossy()))?;
        let pid = Pid::from_child(&child);
        let (ended, watch) = sync_channel::<()>(1);
        let watchdog = std::thread::spawn(move || {
            if watch.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                // It may have ended at this moment.
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        let status: ExitStatus = child.wait().context("cannot wait for the program")?;
        let wall = began.elapsed();
        drop(ended);
        // The thread cannot panic, and its end does not matter.
        let _ = watchdog.join();
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("no resource usage")?;
        let micros = |time: TimeVal| u64::try_from(time.num_microseconds()).unwrap_or(0);
        let cost = Cost {
            wall_us: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
            cpu_us: micros(usage.user_time()).saturating_add(micros(usage.system_time())),
            // The kernel counts in KiB.
            peak_rss: u64::try_from(usage.max_rss())
                .unwrap_or(0)
                .saturating_mul(1024),
        };
        fs::write(&self.cost, serde_json::to_vec(&cost)?).context("cannot write the cost")?;
        match status.code() {
            Some(code) => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
            None => bail!("the program was ended by a signal ({status})"),
        }
    }
}
