//! A real nats-server for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tvtfleet_bus::streams::{Declarations, ensure};
use tvtfleet_bus::{Bus, ConnectOptions, connect};
use xtask::nats_server::{Options, Version, find};

use crate::governed::free_ports;
use crate::wait::eventually;

/// The store of a test's server: room for the small declarations.
const MAX_FILE_STORE: &str = "4GB";

/// What a test's server should be like.
#[derive(Clone, Debug)]
pub struct NatsSettings {
    /// Whether it has JetStream.
    pub jetstream: bool,
    /// Lines to add to its configuration, such as `authorization { … }`.
    pub extra: String,
    /// Exactly this version, whatever the environment says.
    pub version: Option<Version>,
    /// Its name; nodes of one cluster have different ones.
    pub name: String,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            jetstream: true,
            extra: String::new(),
            version: None,
            name: "test".into(),
        }
    }
}

/// A nats-server on a free port of the loopback interface, with a store of its own. It is killed when
/// this value is dropped.
#[derive(Debug)]
pub struct NatsServer {
    binary: PathBuf,
    folder: TempDir,
    settings: NatsSettings,
    port: Option<u16>,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts a server with JetStream and without access control.
    ///
    /// # Panics
    ///
    /// There is no nats-server, or it does not start.
    pub async fn start() -> Self {
        Self::start_with(NatsSettings::default()).await
    }

    /// Starts a cluster of so many servers that do not tell clients of each other, and waits until
    /// they have a leader.
    ///
    /// # Panics
    ///
    /// There is no nats-server, or they do not come together.
    pub async fn start_cluster(count: usize) -> Vec<Self> {
        let ports = free_ports(count);
        let routes: Vec<String> = ports
            .iter()
            .map(|port| format!("\"nats://127.0.0.1:{port}\""))
            .collect();
        let mut nodes = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            let extra = format!(
                "cluster {{ name: test, listen: \"127.0.0.1:{port}\", no_advertise: true, routes: [{}] }}\n",
                routes.join(", ")
            );
            let settings = NatsSettings {
                extra,
                name: format!("test-{number}"),
                ..NatsSettings::default()
            };
            nodes.push(Self::start_with(settings).await);
        }
        if let Some(first) = nodes.first() {
            first.until_led().await;
        }
        nodes
    }

    /// Waits until JetStream answers, which in a cluster takes a leader.
    ///
    /// # Panics
    ///
    /// It does not.
    pub async fn until_led(&self) {
        let client = async_nats::connect(self.url()).await.expect("a connection");
        let context = async_nats::jetstream::new(client);
        eventually("JetStream answers", || async {
            context.query_account().await.ok().map(|_| ())
        })
        .await;
    }

    /// Starts a server.
    ///
    /// # Panics
    ///
    /// There is no nats-server, or it does not start.
    pub async fn start_with(settings: NatsSettings) -> Self {
        let binary = locate(settings.version).unwrap_or_else(|| {
            panic!("no nats-server found: run `cargo xtask nats-server`, or name one in TVTFLEET_NATS_SERVER")
        });
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self {
            binary,
            folder,
            settings,
            port: None,
            child: None,
        };
        server.resume().await;
        server
    }

    /// The server's address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }

    /// Options to connect to it, for one try.
    #[must_use]
    pub fn options(&self, name: &str) -> ConnectOptions {
        ConnectOptions {
            urls: vec![self.url()],
            name: name.to_owned(),
            ..ConnectOptions::default()
        }
    }

    /// Connects to it.
    ///
    /// # Panics
    ///
    /// The connection fails.
    pub async fn connect(&self, name: &str) -> Bus {
        let connected = connect(&self.options(name)).await;
        connected.unwrap_or_else(|error| panic!("{error:?}; the server said: {}", self.log()))
    }

    /// Connects to it and makes sure of the fleet's streams.
    ///
    /// # Panics
    ///
    /// The connection fails, or the streams cannot be made.
    pub async fn connect_with_streams(&self, name: &str) -> Bus {
        let bus = self.connect(name).await;
        ensure(&bus, &Declarations::SMALL)
            .await
            .expect("the streams can be made");
        bus
    }

    /// The server's port; stays the same over restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
            .expect("a server that has been started has a port")
    }

    /// Where it says what it does, where its configuration has `http: "127.0.0.1:-1"`.
    ///
    /// # Panics
    ///
    /// It does not.
    #[must_use]
    pub fn monitoring_url(&self) -> String {
        let child = self.child.as_ref().expect("a running server");
        let name = format!("nats-server_{}.ports", child.id());
        let text = fs::read_to_string(self.path(&name)).expect("the server's ports");
        let ports: serde_json::Value = serde_json::from_str(&text).expect("the server's ports");
        let url = ports["monitoring"][0].as_str();
        url.expect("a monitoring address").to_owned()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    ///
    /// It does not run.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a running server");
        kill_process(Pid::from_child(child), signal).expect("our own child");
    }

    /// What the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Stops the server in order and waits for its end.
    ///
    /// # Panics
    ///
    /// It does not end in time.
    pub async fn stop(&mut self) {
        let Some(child) = &mut self.child else { return };
        let pid = Pid::from_child(child);
        kill_process(pid, Signal::TERM).expect("the server can be told to stop");
        eventually("the end of nats-server", || {
            let ended = child.try_wait().expect("our own child");
            std::future::ready(ended)
        })
        .await;
        self.child = None;
    }

    /// Ends the server at once, as a crash would.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only where it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Changes the additional lines of the configuration, for the next start.
    pub fn configure(&mut self, extra: String) {
        self.settings.extra = extra;
    }

    /// Starts the server again after [`Self::stop`] or [`Self::kill9`], on the same port with what is
    /// in its store.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub async fn resume(&mut self) {
        assert!(self.child.is_none(), "nats-server is running already");
        fs::write(self.path("nats.conf"), self.configuration())
            .expect("the configuration can be written");
        self.child = Some(self.spawn());
        let found = eventually("nats-server to listen", || {
            let found = self.listening();
            std::future::ready(found)
        });
        let port = found.await;
        self.port = Some(port);
    }

    /// Stops the server in order and starts it again.
    ///
    /// # Panics
    ///
    /// It does not stop or start.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.resume().await;
    }

    /// Restarts the server without anything in its store, as after the loss of its disk.
    ///
    /// # Panics
    ///
    /// It does not stop or start.
    pub async fn wipe(&mut self) {
        self.stop().await;
        fs::remove_dir_all(self.path("store")).expect("the store can be removed");
        self.resume().await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configuration(&self) -> String {
        let port = self.port.map_or("-1".to_owned(), |port| port.to_string());
        let mut text = format!(
            "server_name: {:?}\nlisten: \"127.0.0.1:{port}\"\nports_file_dir: {:?}\nlog_file: {:?}\n",
            self.settings.name,
            self.folder.path(),
            self.path("log"),
        );
        if self.settings.jetstream {
            text += &format!(
                "jetstream {{ store_dir: {:?}, max_file_store: {MAX_FILE_STORE}, max_memory_store: 16MB }}\n",
                self.path("store"),
            );
        }
        text + &self.settings.extra
    }

    fn spawn(&self) -> Child {
        Command::new(&self.binary)
            .arg("-c")
            .arg(self.path("nats.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server can be run")
    }

    /// The port, once the server listens. A server that has ended is started again where it had a
    /// port before, because somebody else may have had that port for a moment.
    fn listening(&mut self) -> Option<u16> {
        let known = self.port.is_some();
        let child = self.child.as_mut()?;
        if let Some(status) = child.try_wait().expect("our own child") {
            assert!(known, "nats-server has ended ({status}): {}", self.log());
            self.child = Some(self.spawn());
            return None;
        }
        let name = format!("nats-server_{}.ports", child.id());
        port_in(&self.path(&name))
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// The nats-server of the tests, or exactly `version`; `None` where there is none.
///
/// # Panics
///
/// `TVTFLEET_NATS_SERVER` names one that cannot be used.
#[must_use]
pub fn locate(version: Option<Version>) -> Option<PathBuf> {
    find(&Options::from_environment(version)).unwrap_or_else(|error| panic!("{error:#}"))
}

/// Reads the file that the server writes once it listens: `{"nats": ["nats://127.0.0.1:41021"], …}`.
fn port_in(file: &Path) -> Option<u16> {
    let text = fs::read_to_string(file).ok()?;
    let ports: serde_json::Value = serde_json::from_str(&text).ok()?;
    ports
        .get("nats")?
        .get(0)?
        .as_str()?
        .rsplit(':')
        .next()?
        .parse()
        .ok()
}
