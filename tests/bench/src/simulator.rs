//! Simulated recorders in a process of their own, so that their work is not counted as ours.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::process;

/// The password of generated recorders: test data of the simulator.
pub const PASSWORD: &str = "Fleet-2026";
/// The user of generated recorders.
pub const USER: &str = "admin";
/// How long the control port may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `tvt-sim`, stopped on drop.
#[derive(Debug)]
pub struct Simulator {
    child: Child,
    control: BufReader<TcpStream>,
    inventory: PathBuf,
}

/// Sums over all recorders, counted from the start.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Totals {
    /// Connections accepted.
    pub connections: u64,
    /// Login requests.
    pub logins_tried: u64,
    /// Requests through the tunnel.
    pub tunnel_requests: u64,
    /// Sessions that got a whole channel list.
    pub scans_completed: u64,
    /// Requests to the web interfaces.
    pub http_requests: u64,
    /// Violations of the protocol by clients.
    pub violations: u64,
}

impl Totals {
    /// What came after `before`.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            connections: self.connections.saturating_sub(before.connections),
            logins_tried: self.logins_tried.saturating_sub(before.logins_tried),
            tunnel_requests: self.tunnel_requests.saturating_sub(before.tunnel_requests),
            scans_completed: self.scans_completed.saturating_sub(before.scans_completed),
            http_requests: self.http_requests.saturating_sub(before.http_requests),
            violations: self.violations.saturating_sub(before.violations),
        }
    }
}

impl Simulator {
    /// Serves the recorders of a fleet file on free ports, with their inventory below `folder`.
    ///
    /// # Errors
    ///
    /// The simulator does not start.
    pub fn serve(program: &Path, fleet: &Path, folder: &Path, latency: Duration) -> Result<Self> {
        let inventories = folder.join("inventories");
        let mut child = Command::new(program)
            .arg("serve")
            .arg(fleet)
            .args(["--control", "127.0.0.1:0", "--exit-on-stdin-eof"])
            .args(["--latency", &format!("{}ms", latency.as_millis())])
            .arg("--inventory-dir")
            .arg(&inventories)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start tvt-sim")?;
        let mut ready = String::new();
        let stdout = child.stdout.take().context("tvt-sim has no output")?;
        BufReader::new(stdout)
            .read_line(&mut ready)
            .context("tvt-sim is not ready")?;
        let ready: Value = serde_json::from_str(&ready).context("tvt-sim is not ready")?;
        let control = ready
            .get("control")
            .and_then(Value::as_str)
            .context("tvt-sim opened no control port")?;
        let control = TcpStream::connect(control).context("cannot reach the control port")?;
        control.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            child,
            control: BufReader::new(control),
            inventory: inventories.join("all.json"),
        })
    }

    /// The inventory of all recorders.
    #[must_use]
    pub fn inventory(&self) -> &Path {
        &self.inventory
    }

    /// The sums so far.
    ///
    /// # Errors
    ///
    /// The control port does not answer.
    pub fn totals(&mut self) -> Result<Totals> {
        let request = format!("{}\n", json!({ "op": "totals" }));
        self.control
            .get_mut()
            .write_all(request.as_bytes())
            .context("the control port is closed")?;
        let mut reply = String::new();
        self.control
            .read_line(&mut reply)
            .context("the control port does not answer")?;
        let mut reply: Value = serde_json::from_str(&reply).context("not a reply")?;
        match reply.get_mut("totals") {
            Some(totals) => serde_json::from_value(totals.take()).context("not totals"),
            None => bail!("the simulator refused: {reply}"),
        }
    }

    /// The CPU time that the recorders have used.
    ///
    /// # Errors
    ///
    /// The process is gone.
    pub fn cpu(&self) -> Result<Duration> {
        process::cpu(self.child.id())
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Generates a healthy fleet on free ports of loopback addresses and returns its recorders.
///
/// # Errors
///
/// The simulator refuses.
pub fn generate(
    program: &Path,
    folder: &Path,
    devices: usize,
    channels: u32,
) -> Result<Vec<Value>> {
    let path = folder.join("generated.json");
    let output = Command::new(program)
        .args(["generate", "--seed", "1", "--port", "0"])
        .args(["--devices", &devices.to_string()])
        .args(["--channels", &channels.to_string()])
        .arg("--out")
        .arg(&path)
        .stdin(Stdio::null())
        .output()
        .context("cannot run tvt-sim")?;
    if !output.status.success() {
        bail!("tvt-sim: {}", String::from_utf8_lossy(&output.stderr));
    }
    let fleet = std::fs::read(&path).context("no fleet file")?;
    serde_json::from_slice(&fleet).context("not a fleet file")
}
