//! A home of its own, a clock that stands still and streams that are kept.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;
use tvtctl::env::Environment;
use tvtctl::{Io, Stderr};
use tvtfleet_bus::clock::ManualClock;
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::time::UtcMillis;

/// A folder that is home and working directory at once, and the environment of the commands.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
    env: BTreeMap<String, String>,
    pub(crate) interrupt: CancellationToken,
    pub(crate) terminal: bool,
}

/// How a command ended.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        Self {
            folder,
            env: BTreeMap::from([("HOME".to_owned(), home)]),
            interrupt: CancellationToken::new(),
            terminal: false,
        }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    /// Lets nobody but the owner read a file.
    pub(crate) fn private(self, name: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path(name), private).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Finished {
        let (stdout, stderr) = (Kept::default(), Kept::default());
        let io = Io {
            stdout: Box::new(stdout.clone()),
            stderr: Stderr::new(Box::new(stderr.clone())),
            env: Environment::new(self.env.clone()),
            cwd: self.folder.path().to_owned(),
            clock: Arc::new(ManualClock::new(UtcMillis::new(1_793_000_000_000))),
            stdout_is_terminal: false,
            stderr_is_terminal: self.terminal,
            width: 100,
            interrupt: self.interrupt.clone(),
        };
        let arguments = std::iter::once(&"tvtctl").chain(arguments).map(Into::into);
        let status = tvtctl::run(arguments, io).await;
        let text = |kept: Kept| normal(&kept.text(), self.folder.path());
        Finished {
            status,
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }
}

impl Finished {
    /// Everything that a snapshot holds.
    pub(crate) fn shown(&self) -> String {
        format!(
            "exit: {}\n----- stdout -----\n{}----- stderr -----\n{}",
            self.status.number(),
            self.stdout,
            self.stderr
        )
    }
}

fn normal(text: &str, home: &Path) -> String {
    text.replace(home.to_str().unwrap(), "[HOME]")
}

/// An address of this computer that refuses connections as long as this value lives: the port is
/// taken, but nobody listens.
pub(crate) struct Refusing {
    _socket: tokio::net::TcpSocket,
    pub(crate) port: u16,
}

impl Refusing {
    pub(crate) fn at(address: &str) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket
            .bind(format!("{address}:0").parse().unwrap())
            .unwrap();
        let port = socket.local_addr().unwrap().port();
        Self {
            _socket: socket,
            port,
        }
    }
}

/// A stream whose text is kept.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
