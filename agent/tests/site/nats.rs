//! A nats-server of a test's own, on a free loopback port; killed when dropped.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use xtask::nats_server::{Options, find_or_fetch};

/// How long a server may take to start.
const START_LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Nats {
    binary: PathBuf,
    folder: TempDir,
    child: Option<Child>,
    port: u16,
}

impl Nats {
    pub(crate) async fn start() -> Self {
        let binary = find_or_fetch(&Options::from_environment(None)).expect("a nats-server");
        let folder = tempfile::tempdir().unwrap();
        let mut nats = Self {
            binary,
            folder,
            child: None,
            port: 0,
        };
        nats.resume().await;
        nats
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends the server as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it, again on the same port and store.
    pub(crate) async fn resume(&mut self) {
        let path = |name: &str| self.folder.path().join(name);
        let port = if self.port == 0 {
            "-1".to_owned()
        } else {
            self.port.to_string()
        };
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nports_file_dir: {:?}\nlog_file: {:?}\n\
             jetstream {{ store_dir: {:?}, max_file_store: 4GB, max_memory_store: 16MB }}\n",
            self.folder.path(),
            path("log"),
            path("store"),
        );
        fs::write(path("nats.conf"), text).unwrap();
        let child = Command::new(&self.binary)
            .arg("-c")
            .arg(path("nats.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ports = path(&format!("nats-server_{}.ports", child.id()));
        self.child = Some(child);
        let listening = async {
            loop {
                let text = fs::read_to_string(&ports).unwrap_or_default();
                if let Some(port) = port_in(&text) {
                    return port;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        self.port = tokio::time::timeout(START_LIMIT, listening)
            .await
            .expect("a server that listens");
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

fn port_in(text: &str) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_str(text).ok()?;
    let address = ports.get("nats")?.get(0)?.as_str()?;
    address.rsplit(':').next()?.parse().ok()
}
