//! The control port: one JSON object per line, one JSON object back.
//!
//! Every reply has `ok`; a refused request has `error` as well. The port is for loopback only,
//! since whoever reaches it may do what a test may do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::device::{Counter, Device, Mutation};
use crate::simulator::{Simulator, SimulatorError};

/// Longest request line in bytes.
const LINE_LIMIT: u64 = 1 << 20;
/// Control connections at a time; more are closed at once.
const CONNECTION_LIMIT: usize = 64;
/// How long a wait lasts that does not say.
const WAIT_DEFAULT_MS: u64 = 30_000;

/// A request on the control port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// The sums over all devices: `totals`.
    Totals,
    /// The numbers of one device, or of all: `devices`.
    Counters {
        /// Address or name; absent: all devices.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<String>,
    },
    /// All devices with address, name, kind and whether they listen: `devices`.
    Devices,
    /// All devices as an inventory file has them: `inventory`.
    Inventory,
    /// Changes one device.
    Mutate {
        /// Address or name.
        device: String,
        /// What changes.
        #[serde(flatten)]
        mutation: Mutation,
    },
    /// Holds every packet back, of one device or of all.
    Pause {
        /// Address or name; absent: all devices.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<String>,
    },
    /// Lets packets go again.
    Resume {
        /// Address or name; absent: all devices.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<String>,
    },
    /// Pauses the fleet at the moment a total is reached.
    PauseWhen {
        /// What is counted.
        counter: Counter,
        /// The value.
        at_least: u64,
    },
    /// Waits for something.
    Wait {
        /// For what.
        #[serde(flatten)]
        wait: Wait,
        /// How long at most, in milliseconds; 30 seconds when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
    },
    /// Stops the simulator.
    Stop,
}

/// What a wait request waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "until", rename_all = "snake_case")]
pub enum Wait {
    /// A total is reached.
    Reached {
        /// What is counted.
        counter: Counter,
        /// The value.
        at_least: u64,
    },
    /// The fleet is paused.
    Paused,
}

/// Why the control port cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The port would be open to other machines.
    #[error("{0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// The address cannot be bound.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
}

/// The control port of a running fleet.
#[derive(Debug)]
pub struct ControlServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl ControlServer {
    /// Opens the port; 0 takes a free one.
    ///
    /// # Errors
    ///
    /// An address that is not loopback or cannot be bound.
    pub async fn bind(address: SocketAddr) -> Result<Self, ControlError> {
        if !address.ip().is_loopback() {
            return Err(ControlError::NotLoopback(address));
        }
        let failed = |error| ControlError::Listen(address, error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Returns the address with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves requests until one of them is `stop`.
    pub async fn run(self, simulator: Arc<Simulator>) {
        let stop = Arc::new(Notify::new());
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                () = stop.notified() => return,
            };
            match accepted {
                Ok((stream, _)) if connections.len() < CONNECTION_LIMIT => {
                    connections.spawn(serve(stream, Arc::clone(&simulator), Arc::clone(&stop)));
                }
                Ok(_) => tracing::warn!("too many control connections"),
                Err(error) => tracing::warn!(%error, "cannot accept a control connection"),
            }
        }
    }
}

async fn serve(mut stream: TcpStream, simulator: Arc<Simulator>, stop: Arc<Notify>) {
    let (read_half, mut write_half) = stream.split();
    let mut reader = BufReader::new(read_half);
    loop {
        let mut line = String::new();
        match (&mut reader).take(LINE_LIMIT).read_line(&mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let request = serde_json::from_str::<Request>(&line);
        let stopping = matches!(request, Ok(Request::Stop));
        let reply = match request {
            Ok(request) => answer(&simulator, request).await,
            Err(error) => refusal(&format!("not a request: {error}")),
        };
        let sent = write_half.write_all(format!("{reply}\n").as_bytes()).await;
        if stopping {
            stop.notify_one();
        }
        if sent.is_err() {
            return;
        }
    }
}

async fn answer(simulator: &Simulator, request: Request) -> Value {
    match carry_out(simulator, request).await {
        Ok(mut reply) => {
            if let Some(object) = reply.as_object_mut() {
                object.insert("ok".to_owned(), Value::Bool(true));
            }
            reply
        }
        Err(message) => refusal(&message),
    }
}

async fn carry_out(simulator: &Simulator, request: Request) -> Result<Value, String> {
    let find = |key: &str| simulator.device(key).map_err(|error| error.to_string());
    match request {
        Request::Totals => Ok(json!({ "totals": simulator.totals() })),
        Request::Counters { device: Some(key) } => Ok(json!({ "devices": [counted(find(&key)?)] })),
        Request::Counters { device: None } => {
            let devices: Vec<Value> = simulator
                .devices()
                .iter()
                .map(|device| counted(device))
                .collect();
            Ok(json!({ "devices": devices }))
        }
        Request::Devices => {
            let devices: Vec<Value> = simulator
                .devices()
                .iter()
                .map(|device| described(device))
                .collect();
            Ok(json!({ "devices": devices }))
        }
        Request::Inventory => Ok(json!({ "inventory": simulator.inventory() })),
        Request::Mutate { device, mutation } => {
            let device = find(&device)?;
            device
                .apply(mutation)
                .await
                .map_err(|error| error.to_string())?;
            Ok(json!({}))
        }
        Request::Pause { device: Some(key) } => {
            find(&key)?.pause();
            Ok(json!({}))
        }
        Request::Pause { device: None } => {
            simulator.pause();
            Ok(json!({}))
        }
        Request::Resume { device: Some(key) } => {
            find(&key)?.resume();
            Ok(json!({}))
        }
        Request::Resume { device: None } => {
            simulator.resume();
            Ok(json!({}))
        }
        Request::PauseWhen { counter, at_least } => {
            simulator.pause_when(counter, at_least);
            Ok(json!({}))
        }
        Request::Wait { wait, timeout_ms } => {
            let timeout = Duration::from_millis(timeout_ms.unwrap_or(WAIT_DEFAULT_MS));
            wait_for(simulator, wait, timeout)
                .await
                .map_err(|error| error.to_string())?;
            Ok(json!({ "totals": simulator.totals() }))
        }
        Request::Stop => Ok(json!({ "totals": simulator.totals() })),
    }
}

async fn wait_for(
    simulator: &Simulator,
    wait: Wait,
    timeout: Duration,
) -> Result<(), SimulatorError> {
    match wait {
        Wait::Reached { counter, at_least } => simulator.reached(counter, at_least, timeout).await,
        Wait::Paused => simulator.paused(timeout).await,
    }
}

fn counted(device: &Device) -> Value {
    json!({ "device": device.address().to_string(), "counters": device.counters() })
}

fn described(device: &Device) -> Value {
    let spec = device.spec();
    json!({
        "device": device.address().to_string(),
        "name": spec.name,
        "site": spec.site,
        "mac": spec.mac,
        "kind": spec.kind,
        "listening": device.listening(),
    })
}

fn refusal(message: &str) -> Value {
    json!({ "ok": false, "error": message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_flat_json() {
        let read = |text: &str| serde_json::from_str::<Request>(text).unwrap();
        assert_eq!(
            read(r#"{"op":"counters"}"#),
            Request::Counters { device: None }
        );
        assert_eq!(
            read(
                r#"{"op":"mutate","device":"127.0.0.11","change":"set_firmware","firmware":"5.2.4.1"}"#
            ),
            Request::Mutate {
                device: "127.0.0.11".to_owned(),
                mutation: Mutation::SetFirmware {
                    firmware: "5.2.4.1".parse().unwrap()
                },
            }
        );
        assert_eq!(
            read(r#"{"op":"mutate","device":"a","change":"remove"}"#),
            Request::Mutate {
                device: "a".to_owned(),
                mutation: Mutation::Remove
            }
        );
        let wait = r#"{"op":"wait","until":"reached","counter":"scans_completed","at_least":60}"#;
        let reached = Wait::Reached {
            counter: Counter::ScansCompleted,
            at_least: 60,
        };
        assert_eq!(
            read(wait),
            Request::Wait {
                wait: reached,
                timeout_ms: None
            }
        );
        assert_eq!(serde_json::to_string(&read(wait)).unwrap(), wait);
        let misspelt = r#"{"op":"mutate","device":"a","change":"rename_device","nam":"x"}"#;
        assert!(serde_json::from_str::<Request>(misspelt).is_err());
    }
}
