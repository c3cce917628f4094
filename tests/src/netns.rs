//! Networks that a test makes: namespaces joined by virtual cables, with simulated recorders in them.
//!
//! Needs root and the `ip` command.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::program::workspace_binary;
use crate::wire::Witness;

/// How long a connection over a cable may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// Namespaces of one test; removed when dropped.
#[derive(Debug)]
pub struct Lab {
    prefix: String,
    folder: TempDir,
    simulators: Vec<Child>,
    namespaces: Vec<String>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Lab {
    /// Makes a lab; `None` where namespaces cannot be made.
    #[expect(clippy::print_stdout, reason = "says why a test does nothing")]
    pub fn new(test: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped {test}: network namespaces need root");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut lab = Self {
            prefix: format!("tvtd{}x{number}", std::process::id()),
            folder: TempDir::new().expect("the network of the test"),
            simulators: Vec::new(),
            namespaces: Vec::new(),
        };
        match Command::new("ip")
            .args(["netns", "add", &lab.name("agent")])
            .output()
        {
            Ok(output) if output.status.success() => {}
            failed => {
                println!("skipped {test}: `ip netns add` does not work: {failed:?}");
                return None;
            }
        }
        lab.namespaces.push("agent".to_owned());
        lab.inside("agent", "ip link set lo up");
        Some(lab)
    }

    fn name(&self, namespace: &str) -> String {
        format!("{}-{namespace}", self.prefix)
    }

    /// Adds a namespace and a cable from the agent's to it: `near` and `far` are the addresses of both
    /// ends.
    pub fn cable(&mut self, namespace: &str, device: &str, near: &str, far: &str) {
        self.cable_between(("agent", near), (namespace, far), device);
    }

    /// Adds a cable between two namespaces, each with its address, and the second namespace where it
    /// is new.
    pub fn cable_between(&mut self, near: (&str, &str), far: (&str, &str), device: &str) {
        let (from, to) = (self.name(near.0), self.name(far.0));
        if !self.namespaces.iter().any(|known| known == far.0) {
            ip(&format!("netns add {to}"));
            self.namespaces.push(far.0.to_owned());
            self.inside(far.0, "ip link set lo up");
        }
        ip(&format!(
            "link add {device} netns {from} type veth peer name {device} netns {to}"
        ));
        for (namespace, address) in [near, far] {
            self.inside(namespace, &format!("ip addr add {address} dev {device}"));
            self.inside(namespace, &format!("ip link set {device} up"));
        }
    }

    /// Gives a namespace more addresses, which answer like hosts of their own.
    pub fn hosts(
        &self,
        namespace: &str,
        device: &str,
        addresses: impl IntoIterator<Item = String>,
    ) {
        let batch: String = addresses
            .into_iter()
            .map(|address| format!("addr add {address} dev {device}\n"))
            .collect();
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.name(namespace), "ip", "-batch", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("the network of the test");
        child
            .stdin
            .take()
            .expect("the network of the test")
            .write_all(batch.as_bytes())
            .expect("the network of the test");
        assert!(child.wait().expect("the network of the test").success());
    }

    /// Runs a command in a namespace.
    ///
    /// # Panics
    ///
    /// It fails.
    pub fn inside(&self, namespace: &str, command: &str) {
        ip(&format!("netns exec {} {command}", self.name(namespace)));
    }

    /// Makes a cable narrow in the direction away from a namespace: so many kilobits per second, with
    /// a queue that holds them for most of a second.
    ///
    /// # Panics
    ///
    /// There is no such cable.
    #[expect(clippy::print_stdout, reason = "says why a test does nothing")]
    #[must_use]
    pub fn narrow(&self, namespace: &str, device: &str, kilobits: u32) -> bool {
        let name = self.name(namespace);
        let output = Command::new("tc")
            .args(["-n", &name, "qdisc", "add", "dev", device, "root", "tbf"])
            .args(["rate", &format!("{kilobits}kbit")])
            .args(["burst", "2k", "latency", "800ms"])
            .output();
        let narrow = output.is_ok_and(|output| output.status.success());
        if !narrow {
            println!("skipped: this kernel cannot shape traffic");
        }
        narrow
    }

    /// Watches the probes that come into a namespace.
    #[must_use]
    pub fn watch(&self, namespace: &str) -> Witness {
        Witness::new(&self.path(namespace))
    }

    /// Starts recorders; when this returns, they answer.
    pub fn simulate(&mut self, namespace: &str, devices: &[Value]) {
        let path = self
            .folder
            .path()
            .join(format!("fleet{}.json", self.simulators.len()));
        std::fs::write(&path, Value::from(devices).to_string()).expect("the network of the test");
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.name(namespace)])
            .arg(workspace_binary("tvt-sim"))
            .arg("serve")
            .arg(&path)
            .arg("--exit-on-stdin-eof")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the network of the test");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("the network of the test"))
            .read_line(&mut line)
            .expect("the network of the test");
        assert!(line.contains("\"ready\""), "the simulator says {line:?}");
        self.simulators.push(child);
    }

    /// The folder of the test.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program of the workspace, to be started in a namespace.
    #[must_use]
    pub fn command(&self, namespace: &str, program: &str) -> Command {
        self.outside(namespace, &workspace_binary(program))
    }

    /// A program from elsewhere, to be started in a namespace.
    #[must_use]
    pub fn outside(&self, namespace: &str, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name(namespace)])
            .arg(program);
        command
    }

    /// Ends the recorders that were started with the `position`-th call.
    ///
    /// # Panics
    ///
    /// There was no such call.
    pub fn end_simulator(&mut self, position: usize) {
        let simulator = &mut self.simulators[position];
        simulator.kill().expect("a simulator");
        simulator.wait().expect("its end");
    }

    /// Passes connections to the loopback interface of a namespace on to a port of the test's own, so
    /// that a program in there reaches a server out here. Returns the port; ends with the handle.
    ///
    /// # Panics
    ///
    /// The namespace cannot be entered.
    pub fn relay(&self, namespace: &str, port: u16) -> (u16, Relay) {
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (near, relay) = self.pass(namespace, from, move || TcpStream::connect(target));
        (near.port(), relay)
    }

    /// As [`Lab::relay`], over a cable: `address` is the far end's, in the namespace `far`.
    ///
    /// # Panics
    ///
    /// A namespace cannot be entered.
    pub fn relay_over(
        &self,
        namespace: &str,
        far: &str,
        address: Ipv4Addr,
        port: u16,
    ) -> (u16, Vec<Relay>) {
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let end = SocketAddr::from((address, 0));
        let (end, outer) = self.pass(far, end, move || TcpStream::connect(server));
        let path = self.path(namespace);
        let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (near, inner) = self.pass(namespace, from, move || {
            let path = path.clone();
            async move {
                // A thread of its own makes the socket; it waits no longer than the far end may take.
                let made = move || {
                    let connect = move || std::net::TcpStream::connect_timeout(&end, CONNECT);
                    within(path, connect)
                };
                let stream = tokio::task::spawn_blocking(made).await??;
                stream.set_nonblocking(true)?;
                TcpStream::from_std(stream)
            }
        });
        (near.port(), vec![outer, inner])
    }

    /// Accepts connections in a namespace and joins each to one that `connect` makes.
    fn pass<F>(
        &self,
        namespace: &str,
        from: SocketAddr,
        connect: impl Fn() -> F + Send + 'static,
    ) -> (SocketAddr, Relay)
    where
        F: Future<Output = std::io::Result<TcpStream>> + Send + 'static,
    {
        let listener = within(self.path(namespace), move || {
            std::net::TcpListener::bind(from).expect("a port")
        });
        listener.set_nonblocking(true).expect("a listener");
        let near = listener.local_addr().expect("its address");
        let listener = TcpListener::from_std(listener).expect("a listener");
        let task = tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                let connecting = connect();
                tokio::spawn(async move {
                    if let Ok(mut outer) = connecting.await {
                        // Either end may leave whenever it likes.
                        let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
                    }
                });
            }
        });
        (near, Relay(task))
    }

    fn path(&self, namespace: &str) -> PathBuf {
        Path::new("/run/netns").join(self.name(namespace))
    }
}

/// Does something in a namespace: a socket belongs to that of the thread that makes it, wherever it is
/// used.
fn within<T: Send + 'static>(namespace: PathBuf, work: impl FnOnce() -> T + Send + 'static) -> T {
    let entered = std::thread::spawn(move || {
        let file = File::open(namespace).expect("the namespace");
        rustix::thread::move_into_link_name_space(
            file.as_fd(),
            Some(rustix::thread::LinkNameSpaceType::Network),
        )
        .expect("the way into the namespace");
        work()
    });
    entered.join().expect("work in a namespace")
}

/// Connections passed on into a namespace, for as long as this lives.
#[derive(Debug)]
pub struct Relay(JoinHandle<()>);

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for simulator in &mut self.simulators {
            let _ = simulator.kill();
            let _ = simulator.wait();
        }
        for namespace in &self.namespaces {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.name(namespace)])
                .status();
        }
    }
}

fn ip(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .expect("the network of the test");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {text}");
}

/// A MAC address with one of TVT's prefixes.
#[must_use]
pub fn mac(last: u8) -> String {
    format!("58:5B:69:00:00:{last:02X}")
}

/// A recorder that listens on `port`; further keys come from `more`.
#[must_use]
pub fn recorder(address: &str, last: u8, port: u16, more: Value) -> Value {
    let mut device =
        json!({"ip": address, "mac": mac(last), "port": port, "name": format!("d{last}")});
    device
        .as_object_mut()
        .expect("the network of the test")
        .extend(more.as_object().expect("the network of the test").clone());
    device
}
