//! A running fleet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::device::{Board, Counter, CounterSnapshot, Device, Responder};
use crate::fleet::{Fleet, InventoryEntry};

/// How a fleet is simulated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Delay before each packet, for devices that do not say otherwise.
    pub latency: Duration,
    /// Seed of nonces and of faults with a probability.
    pub seed: u64,
}

/// Recorders that listen. Dropping it stops them.
#[derive(Debug)]
pub struct Simulator {
    board: Arc<Board>,
    devices: Vec<Arc<Device>>,
    responder: Responder,
}

/// What can go wrong with a running fleet.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// An address cannot be bound.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// No device has this address or name, or more than one has.
    #[error("no single device is {0:?}")]
    UnknownDevice(String),
    /// The fleet was not paused in time.
    #[error("not paused after {0:?}")]
    NotPaused(Duration),
    /// A number was not reached in time.
    #[error("{counter:?} is {value} after {timeout:?}, wanted {at_least}")]
    NotReached {
        /// What was counted.
        counter: Counter,
        /// How far it got.
        value: u64,
        /// What was wanted.
        at_least: u64,
        /// How long was waited.
        timeout: Duration,
    },
}

impl Simulator {
    /// Starts every recorder of a fleet; when this returns, all of them listen.
    ///
    /// The limit of open files is raised as far as the system lets the process.
    ///
    /// # Errors
    ///
    /// An address that cannot be bound; nothing listens then.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with IO and time.
    pub fn start(fleet: Fleet, options: Options) -> Result<Self, SimulatorError> {
        raise_file_limit();
        let board = Arc::new(Board::new());
        let devices = Vec::with_capacity(fleet.devices.len());
        // Built first, so that devices already started are stopped when a later one fails.
        let mut simulator = Self {
            board,
            devices,
            responder: Responder::default(),
        };
        for (index, spec) in fleet.devices.into_iter().enumerate() {
            let wanted = SocketAddr::new(spec.ip, spec.port);
            let index = u64::try_from(index).unwrap_or(u64::MAX);
            let seed = options.seed.rotate_left(32) ^ index;
            let device = Device::start(spec, seed, options.latency, Arc::clone(&simulator.board))
                .map_err(|error| SimulatorError::Listen(wanted, error))?;
            simulator.devices.push(device);
        }
        simulator.responder = Responder::start(&simulator.devices)
            .map_err(|(address, error)| SimulatorError::Listen(address, error))?;
        Ok(simulator)
    }

    /// Returns all devices, in fleet order.
    pub fn devices(&self) -> &[Arc<Device>] {
        &self.devices
    }

    /// Finds a device by address with port, by address alone, or by name.
    ///
    /// # Errors
    ///
    /// A key that fits none, or more than one.
    pub fn device(&self, key: &str) -> Result<&Arc<Device>, SimulatorError> {
        let fits: [&dyn Fn(&Device) -> bool; 3] = [
            &|device| device.address().to_string() == key,
            &|device| device.address().ip().to_string() == key,
            &|device| device.live().spec.name == key,
        ];
        for fit in fits {
            let mut found = self.devices.iter().filter(|device| fit(device));
            match (found.next(), found.next()) {
                (Some(device), None) => return Ok(device),
                (Some(_), Some(_)) => break,
                (None, _) => {}
            }
        }
        Err(SimulatorError::UnknownDevice(key.to_owned()))
    }

    /// Returns the sums over all devices; `sessions_max` is the largest of them.
    pub fn totals(&self) -> CounterSnapshot {
        let mut totals = self.board.counts.snapshot();
        for counters in self.devices.iter().map(|device| device.counters()) {
            totals.sessions_open = totals.sessions_open.saturating_add(counters.sessions_open);
            totals.sessions_max = totals.sessions_max.max(counters.sessions_max);
            totals.violation_records.extend(counters.violation_records);
        }
        totals
    }

    /// Holds every packet of every device back.
    pub fn pause(&self) {
        self.board.gate.hold();
    }

    /// Lets packets go again.
    pub fn resume(&self) {
        self.board.gate.release();
    }

    /// Pauses the fleet at the moment a total is reached: before the answer to what was counted.
    ///
    /// At once when it is reached already. A later call replaces an earlier one.
    pub fn pause_when(&self, counter: Counter, at_least: u64) {
        self.board.arm(counter, at_least);
    }

    /// Waits until the fleet is paused.
    ///
    /// # Errors
    ///
    /// The time is over.
    pub async fn paused(&self, timeout: Duration) -> Result<(), SimulatorError> {
        tokio::time::timeout(timeout, self.board.gate.held())
            .await
            .map_err(|_| SimulatorError::NotPaused(timeout))
    }

    /// Waits until a total is reached.
    ///
    /// # Errors
    ///
    /// The time is over.
    pub async fn reached(
        &self,
        counter: Counter,
        at_least: u64,
        timeout: Duration,
    ) -> Result<(), SimulatorError> {
        tokio::time::timeout(timeout, self.board.reached(counter, at_least))
            .await
            .map_err(|_| {
                let value = self.board.counts.value(counter);
                SimulatorError::NotReached {
                    counter,
                    value,
                    at_least,
                    timeout,
                }
            })
    }

    /// Returns the inventory of all devices, at the addresses where they listen.
    pub fn inventory(&self) -> Vec<InventoryEntry> {
        self.devices
            .iter()
            .map(|device| InventoryEntry::new(&device.live().spec, device.address()))
            .collect()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        for device in &self.devices {
            device.abort();
        }
    }
}

/// Raises the soft limit of open files to the hard one; a failure shows when sockets run out.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
