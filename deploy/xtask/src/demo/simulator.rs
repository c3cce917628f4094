//! The simulated fleet and its control port.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use super::processes::Background;

/// How long the simulator may take to listen or to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running `tvt-sim`.
pub(crate) struct Simulator {
    process: Background,
    control: BufReader<TcpStream>,
}

impl Simulator {
    /// Serves a fleet file and waits until every device listens.
    pub(crate) async fn serve(
        binary: &Path,
        fleet: &Path,
        latency: &str,
        logs: &Path,
    ) -> Result<Self> {
        let mut command = Command::new(binary);
        command.arg("serve").arg(fleet);
        command.args([
            "--control",
            "127.0.0.1:0",
            "--latency",
            latency,
            "--exit-on-stdin-eof",
        ]);
        let mut process = Background::start("tvt-sim", &mut command, logs)?;
        let mut lines = process.lines()?;
        let ready = timeout(PATIENCE, lines.next_line())
            .await
            .context("the simulator is not ready")?;
        let Some(ready) = ready? else {
            process.check()?;
            bail!("the simulator closed its output");
        };
        let ready: Value =
            serde_json::from_str(&ready).context("unexpected line of the simulator")?;
        let address = ready
            .get("control")
            .and_then(Value::as_str)
            .context("no control port")?;
        let stream = TcpStream::connect(address)
            .await
            .context("cannot reach the control port")?;
        Ok(Self {
            process,
            control: BufReader::new(stream),
        })
    }

    /// Sends one request to the control port and returns the answer.
    pub(crate) async fn ask(&mut self, request: &Value) -> Result<Value> {
        let line = format!("{request}\n");
        self.control
            .get_mut()
            .write_all(line.as_bytes())
            .await
            .context("control port closed")?;
        let mut answer = String::new();
        let read = self.control.read_line(&mut answer);
        timeout(PATIENCE, read)
            .await
            .context("the control port does not answer")??;
        let answer: Value = serde_json::from_str(&answer).context("unexpected answer")?;
        if answer.get("ok") != Some(&Value::Bool(true)) {
            bail!("the simulator refused {request}: {answer}");
        }
        Ok(answer)
    }

    /// Changes one device.
    pub(crate) async fn change(
        &mut self,
        device: &str,
        change: &str,
        mut details: Value,
    ) -> Result<()> {
        if let Some(object) = details.as_object_mut() {
            object.insert("op".into(), json!("mutate"));
            object.insert("device".into(), json!(device));
            object.insert("change".into(), json!(change));
        }
        self.ask(&details).await.map(drop)
    }

    /// Stops the fleet.
    pub(crate) async fn stop(self) -> Result<()> {
        drop(self.control);
        self.process.stop().await
    }
}
