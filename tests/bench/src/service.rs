//! A real nats-server and our services as child processes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tvtfleet_bus::rpc::request;
use tvtfleet_bus::{Bus, ConnectOptions, connect};
use tvtfleet_proto::subject::{self, ANONYMOUS_USER, ApiOp};
use tvtfleet_proto::wire::v1;
use xtask::nats_server;

/// How long a service may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two looks at something that changes.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(20);

/// A program in the background. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Service {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts a program with its output in `folder`.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn start(
        program: &Path,
        arguments: impl IntoIterator<Item = OsString>,
        folder: &Path,
    ) -> Result<Self> {
        let name = program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let log = folder.join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot create {}", log.display()))?;
        let child = Command::new(program)
            .args(arguments)
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop and waits for its end.
    ///
    /// # Errors
    ///
    /// It does not stop in time.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .with_context(|| format!("cannot stop {}", self.name))?;
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                bail!("{} does not stop", self.name);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let mut lines: Vec<&str> = log.lines().rev().take(10).collect();
        lines.reverse();
        bail!("{} has ended ({status}):\n{}", self.name, lines.join("\n"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A nats-server with JetStream on a free port of this machine.
#[derive(Debug)]
pub struct Nats {
    service: Service,
    binary: PathBuf,
    folder: PathBuf,
    /// Where it listens.
    pub url: String,
}

impl Nats {
    /// Finds or fetches a server, and starts it with its store below `folder`.
    ///
    /// # Errors
    ///
    /// There is none, or it does not start.
    pub fn start(folder: &Path) -> Result<Self> {
        let options = nats_server::Options::from_environment(None);
        let binary = nats_server::find_or_fetch(&options)?;
        let (service, url) = launch(&binary, folder, "-1")?;
        Ok(Self {
            service,
            binary,
            folder: folder.to_owned(),
            url,
        })
    }

    /// Kills the server and starts it again on the same port, with what is in its store.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn crash(&mut self) -> Result<()> {
        self.service.child.kill().context("nats-server is gone")?;
        self.service.child.wait().context("nats-server is gone")?;
        let (_, port) = self.url.rsplit_once(':').context("a URL without a port")?;
        (self.service, self.url) = launch(&self.binary, &self.folder, port)?;
        Ok(())
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.service.id()
    }

    /// Connects to it.
    ///
    /// # Errors
    ///
    /// The connection fails.
    pub async fn connect(&self, name: &str) -> Result<Bus> {
        let options = ConnectOptions {
            urls: vec![self.url.clone()],
            name: name.to_owned(),
            ..ConnectOptions::default()
        };
        connect(&options)
            .await
            .context("cannot connect to nats-server")
    }
}

/// Starts a server, and says where it listens.
fn launch(binary: &Path, folder: &Path, port: &str) -> Result<(Service, String)> {
    let config = folder.join("nats.conf");
    let text = format!(
        "server_name: bench\nlisten: \"127.0.0.1:{port}\"\nports_file_dir: {folder:?}\n\
         jetstream {{ store_dir: {:?}, max_file_store: 4GB, max_memory_store: 16MB }}\n",
        folder.join("store"),
    );
    fs::write(&config, text).context("cannot configure nats-server")?;
    let mut service = Service::start(binary, ["-c".into(), config.into()], folder)?;
    let ports = folder.join(format!("nats-server_{}.ports", service.id()));
    let until = Instant::now() + PATIENCE;
    loop {
        service.check()?;
        if let Some(url) = listening(&ports) {
            return Ok((service, url));
        }
        if Instant::now() > until {
            bail!("nats-server does not listen");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Reads the file that the server writes once it listens.
fn listening(ports: &Path) -> Option<String> {
    let text = fs::read_to_string(ports).ok()?;
    let ports: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(ports.get("nats")?.get(0)?.as_str()?.to_owned())
}

/// A coordinator with its database below a folder; it may be started there again.
#[derive(Debug)]
pub struct Coordinator {
    service: Service,
}

impl Coordinator {
    /// Starts the coordinator and waits until it answers.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub async fn start(
        program: &Path,
        nats: &Nats,
        bus: &Bus,
        folder: &Path,
        replica: Option<&str>,
    ) -> Result<Self> {
        let arguments = configured(nats, folder, "coordinator", replica)?;
        let mut service = Service::start(program, arguments, folder)?;
        let until = Instant::now() + PATIENCE;
        while info(bus).await.is_err() {
            service.check()?;
            if Instant::now() > until {
                bail!("the coordinator does not answer");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(Self { service })
    }

    /// Starts a replica that only follows.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn follow(program: &Path, nats: &Nats, folder: &Path, name: &str) -> Result<Service> {
        let mut arguments = configured(nats, folder, &format!("standby-{name}"), Some(name))?;
        arguments.push("--standby".into());
        Service::start(program, arguments, folder)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.service.id()
    }

    /// Asks it to stop and waits for its end.
    ///
    /// # Errors
    ///
    /// It does not stop in time.
    pub fn stop(self) -> Result<()> {
        self.service.stop()
    }
}

/// Writes a configuration, and returns the arguments to run with it.
fn configured(
    nats: &Nats,
    folder: &Path,
    stem: &str,
    replica: Option<&str>,
) -> Result<Vec<OsString>> {
    let config = folder.join(format!("{stem}.toml"));
    let mut text = format!(
        "data_dir = {:?}\n\n[nats]\nurls = [{:?}]\ninsecure_dev = true\n",
        folder.join(stem),
        nats.url,
    );
    if let Some(name) = replica {
        // The leader is stopped between rounds, and nobody is to take its place.
        text.push_str(&format!("[replica]\nname = {name:?}\nlease_ms = 3600000\n"));
    }
    fs::write(&config, text).context("cannot configure the coordinator")?;
    Ok(vec!["run".into(), "--config".into(), config.into()])
}

/// What the coordinator says of itself.
///
/// # Errors
///
/// It does not answer.
pub async fn info(bus: &Bus) -> Result<v1::CoordinatorInfo> {
    ask(bus, ApiOp::CoordinatorInfo, &v1::AskInfo {}).await
}

/// Sends an operator's request.
///
/// # Errors
///
/// It is refused, or not answered.
pub async fn ask<Q: prost::Message, A: prost::Message + Default>(
    bus: &Bus,
    op: ApiOp,
    query: &Q,
) -> Result<A> {
    let subject = subject::api(ANONYMOUS_USER, op);
    Ok(request(bus, &subject, query, REQUEST).await?)
}
