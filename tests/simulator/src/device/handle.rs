//! One running recorder, as tests and the control port see it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use super::counters::{Board, Counter, CounterSnapshot, Counts};
use super::gate::Gate;
use super::listener::{Door, Listeners, bind};
use super::live::Live;
use super::lock::{LockBook, Verdict};
use super::mutation::{Mutation, MutationError, changed};
use super::session_book::SessionBook;
use super::spec::{DeviceSpec, LockRule};
use super::violation::{Violation, ViolationRecord};
use crate::web::WebState;

/// Violations kept per device; more are only counted.
const VIOLATIONS_KEPT: usize = 100;

/// One simulated recorder.
#[derive(Debug)]
pub struct Device {
    address: SocketAddr,
    seed: u64,
    latency: Duration,
    board: Arc<Board>,
    counts: Counts,
    gate: Gate,
    live: RwLock<Arc<Live>>,
    locks: Mutex<LockBook>,
    sessions: Mutex<SessionBook>,
    violations: Mutex<Vec<ViolationRecord>>,
    connections: AtomicU64,
    listeners: Listeners,
    web: Mutex<WebState>,
    web_address: Option<SocketAddr>,
    web_listeners: Listeners,
    rtsp_address: Option<SocketAddr>,
    rtsp_listeners: Listeners,
    /// Counts pictures, so that no two are alike.
    ticks: AtomicU32,
}

impl Device {
    /// Binds the address of a recorder and, unless it is to be absent, starts to answer.
    pub(crate) fn start(
        spec: DeviceSpec,
        seed: u64,
        latency: Duration,
        board: Arc<Board>,
    ) -> std::io::Result<Arc<Self>> {
        let wanted = SocketAddr::new(spec.ip, spec.port);
        let (address, bound) = bind(wanted, spec.listens(), spec.banner_9008)?;
        let web = spec.web.as_ref();
        let web = web.map(|web| bind(SocketAddr::new(spec.ip, web.port), true, false));
        let (web_address, web_bound) = web.transpose()?.unzip();
        let rtsp = spec.rtsp.as_ref();
        let rtsp = rtsp.map(|rtsp| bind(SocketAddr::new(spec.ip, rtsp.port), true, false));
        let (rtsp_address, rtsp_bound) = rtsp.transpose()?.unzip();
        let device = Arc::new(Self {
            address,
            seed,
            latency: spec.latency_ms.map_or(latency, Duration::from_millis),
            board,
            counts: Counts::default(),
            gate: Gate::new(),
            live: RwLock::new(Arc::new(Live::new(spec))),
            locks: Mutex::default(),
            sessions: Mutex::default(),
            violations: Mutex::default(),
            connections: AtomicU64::new(0),
            listeners: Listeners::default(),
            web: Mutex::default(),
            web_address,
            web_listeners: Listeners::default(),
            rtsp_address,
            rtsp_listeners: Listeners::default(),
            ticks: AtomicU32::new(0),
        });
        if let Some(bound) = rtsp_bound {
            device.rtsp_listeners.serve(&device, bound, Door::Rtsp);
        }
        if let Some(bound) = web_bound {
            device.web_listeners.serve(&device, bound, Door::Web);
        }
        device.listeners.serve(&device, bound, Door::Protocol);
        Ok(device)
    }

    /// Returns the address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of the web interfaces, with the port that was taken.
    pub fn web_address(&self) -> Option<SocketAddr> {
        self.web_address
    }

    /// Returns the address of the RTSP server, with the port that was taken.
    pub fn rtsp_address(&self) -> Option<SocketAddr> {
        self.rtsp_address
    }

    /// Returns what stands for this device in its pictures: the last four bytes of its Ethernet
    /// address.
    pub fn mark(&self) -> u32 {
        let text = self.live().spec.mac.to_string().replace(':', "");
        let last = text.get(4..).unwrap_or_default();
        u32::from_str_radix(last, 16).unwrap_or(0)
    }

    /// Numbers a picture, from 1.
    pub(crate) fn next_tick(&self) -> u32 {
        self.ticks.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    pub(crate) fn web_state(&self) -> MutexGuard<'_, WebState> {
        locked(&self.web)
    }

    /// Says whether the device accepts connections.
    pub fn listening(&self) -> bool {
        self.listeners.listening()
    }

    /// Returns what the device is now.
    pub fn spec(&self) -> DeviceSpec {
        self.live().spec.clone()
    }

    /// Returns what the device has counted.
    pub fn counters(&self) -> CounterSnapshot {
        let sessions = locked(&self.sessions);
        CounterSnapshot {
            sessions_open: u64::try_from(sessions.open()).unwrap_or(u64::MAX),
            sessions_max: u64::try_from(sessions.most()).unwrap_or(u64::MAX),
            violation_records: locked(&self.violations).clone(),
            ..self.counts.snapshot()
        }
    }

    /// Changes the device while it runs.
    ///
    /// # Errors
    ///
    /// A channel that is not there, or an address that cannot be bound again.
    pub async fn apply(self: &Arc<Self>, mutation: Mutation) -> Result<(), MutationError> {
        match mutation {
            Mutation::Remove => self.listeners.close(self.address).await?,
            Mutation::Restore => self.listeners.reopen(self, self.live().spec.banner_9008)?,
            Mutation::ClearLocks => locked(&self.locks).clear(),
            Mutation::EndWebSessions => {
                let ended = std::mem::take(&mut locked(&self.web).sessions);
                for session in ended.values() {
                    self.session_ended(session.number);
                }
                locked(&self.web).nonces.clear();
            }
            change @ (Mutation::RenameCamera { .. }
            | Mutation::SetCameraOnline { .. }
            | Mutation::AddCamera { .. }
            | Mutation::RemoveCamera { .. }
            | Mutation::RenameDevice { .. }
            | Mutation::SetFirmware { .. }
            | Mutation::SetPassword { .. }
            | Mutation::SetFaults { .. }
            | Mutation::SetWeb { .. }
            | Mutation::SetRtsp { .. }) => {
                self.alter(change)?;
            }
        }
        Ok(())
    }

    /// Changes what the device is, without waiting.
    pub(crate) fn alter(&self, change: Mutation) -> Result<(), MutationError> {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let spec = changed(live.spec.clone(), change)?;
        *live = Arc::new(Live::new(spec));
        Ok(())
    }

    /// Returns the changes that were sent over the web interfaces, by their commands.
    pub fn web_writes(&self) -> Vec<String> {
        locked(&self.web).writes.clone()
    }

    /// Holds every packet of this device back.
    pub fn pause(&self) {
        self.gate.hold();
    }

    /// Lets packets go again.
    pub fn resume(&self) {
        self.gate.release();
    }

    /// Stops the device without waiting.
    pub(crate) fn abort(&self) {
        self.listeners.abort();
        self.web_listeners.abort();
        self.rtsp_listeners.abort();
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn latency(&self) -> Duration {
        self.latency
    }

    /// Waits until neither the fleet nor this device is paused.
    pub(crate) async fn gates_passed(&self) {
        self.board.gate.passed().await;
        self.gate.passed().await;
    }

    pub(crate) fn count(&self, counter: Counter, amount: u64) {
        if amount > 0 {
            self.counts.add(counter, amount);
            self.board.add(counter, amount);
        }
    }

    /// Numbers a new connection, from 1.
    pub(crate) fn connected(&self) -> u64 {
        self.count(Counter::Connections, 1);
        self.connections
            .fetch_add(1, Ordering::SeqCst)
            .wrapping_add(1)
    }

    pub(crate) fn violation(&self, violation: Violation, connection: u64) {
        let mut kept = locked(&self.violations);
        if kept.len() < VIOLATIONS_KEPT {
            let device = self.address;
            kept.push(ViolationRecord {
                violation,
                device,
                connection,
            });
        }
        drop(kept);
        self.count(Counter::Violations, 1);
    }

    pub(crate) fn judge(&self, username: &str, valid: bool, rule: &LockRule) -> Verdict {
        locked(&self.locks).judge(username, valid, rule, Instant::now())
    }

    /// Opens a session and returns the others; `None` when there are too many.
    pub(crate) fn session_started(&self, connection: u64, limit: usize) -> Option<Vec<u64>> {
        locked(&self.sessions).admit(connection, limit)
    }

    pub(crate) fn session_ended(&self, connection: u64) {
        locked(&self.sessions).leave(connection);
    }

    pub(crate) fn sessions_overlap(&self, others: &[u64]) -> bool {
        locked(&self.sessions).any_open(others)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
