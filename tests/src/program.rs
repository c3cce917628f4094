//! The workspace's own programs as child processes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::wait::{EventLog, PATIENCE};

/// Finds a program of the workspace in the folder that the tests were built into.
///
/// # Panics
///
/// It has not been built.
#[must_use]
pub fn workspace_binary(name: &str) -> PathBuf {
    // target/<profile>/deps/spec-0123456789abcdef, or a program beside those that are looked for.
    let own = std::env::current_exe().expect("the running binary has a path");
    let folder = own.parent().unwrap_or_else(|| Path::new("."));
    let profile = match folder.parent() {
        Some(profile) if folder.ends_with("deps") => profile,
        Some(_) | None => folder,
    };
    let binary = profile
        .join(name)
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        binary.is_file(),
        "{} is missing: run `cargo build --workspace --bins`",
        binary.display()
    );
    binary
}

/// A program with an empty environment, so that the developer's own settings cannot change a test.
#[derive(Debug)]
pub struct Program {
    command: Command,
}

impl Program {
    /// Prepares a program of the workspace with its home in `home`.
    ///
    /// # Panics
    ///
    /// It has not been built.
    #[must_use]
    pub fn new(name: &str, home: &Path) -> Self {
        let mut command = Command::new(workspace_binary(name));
        command
            .env_clear()
            .env("HOME", home)
            .current_dir(home)
            .kill_on_drop(true);
        Self { command }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// It does not start, or does not end within `limit`.
    pub async fn run(mut self, limit: Duration) -> Output {
        self.command.stdin(Stdio::null());
        timeout(limit, self.command.output())
            .await
            .unwrap_or_else(|_| panic!("{:?} has not ended within {limit:?}", self.command))
            .expect("the program starts")
    }

    /// Starts it in the background.
    ///
    /// # Panics
    ///
    /// It does not start. Must be called within a runtime.
    #[must_use]
    pub fn spawn(mut self) -> Running {
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the program starts");
        let running = Running {
            stdout: EventLog::new(),
            stderr: EventLog::new(),
            child: None,
        };
        follow(child.stdout.take().expect("piped"), running.stdout.clone());
        follow(child.stderr.take().expect("piped"), running.stderr.clone());
        Running {
            child: Some(child),
            ..running
        }
    }
}

/// A program in the background. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Running {
    /// The lines of its standard output.
    pub stdout: EventLog<String>,
    /// The lines of its standard error.
    pub stderr: EventLog<String>,
    child: Option<Child>,
}

impl Running {
    /// Its process id; `None` once it has ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Kills it without a word and waits until it is gone, with its locks and sockets.
    ///
    /// # Panics
    ///
    /// It cannot be killed.
    pub async fn kill(mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("our own child");
        }
    }

    /// Whether it runs.
    ///
    /// # Panics
    ///
    /// The system does not say.
    pub fn runs(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| child.try_wait().expect("our own child").is_none())
    }

    /// Sends it a signal.
    ///
    /// # Panics
    ///
    /// It is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = self
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        kill_process(pid.expect("a running program"), signal).expect("our own child");
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// It does not end within [`PATIENCE`].
    pub async fn ended(&mut self) -> ExitStatus {
        self.ended_within(PATIENCE).await
    }

    /// Waits for its end, at most so long.
    ///
    /// # Panics
    ///
    /// It does not end within `limit`.
    pub async fn ended_within(&mut self, limit: Duration) -> ExitStatus {
        let child = self.child.as_mut().expect("a running program");
        let ended = timeout(limit, child.wait()).await;
        ended
            .unwrap_or_else(|_| {
                panic!(
                    "the program has not ended; it said {:#?}",
                    self.stderr.all()
                )
            })
            .expect("our own child")
    }
}

fn follow(stream: impl AsyncRead + Unpin + Send + 'static, into: EventLog<String>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            into.push(line);
        }
    });
}
