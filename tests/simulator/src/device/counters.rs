//! What a recorder counts, alone and for the whole fleet.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::gate::Gate;
use super::violation::ViolationRecord;

/// Something that is counted per device and for the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counter {
    /// Connections accepted.
    Connections,
    /// Login requests.
    LoginsTried,
    /// Logins let in.
    LoginsSucceeded,
    /// Logins refused, for any reason.
    LoginsFailed,
    /// Times that a username was locked.
    Lockouts,
    /// Logins refused because of a lock; also counted as failed.
    LockedRefusals,
    /// Logins refused because of the client limit; also counted as failed.
    BusyRefusals,
    /// Tunnel requests.
    TunnelRequests,
    /// Sessions that got their channel list in full after a right login.
    ScansCompleted,
    /// Protocol violations of clients.
    Violations,
    /// Requests to the web interfaces.
    HttpRequests,
    /// Requests to the RTSP server.
    RtspRequests,
    /// Streams that clients ended politely.
    StreamsTornDown,
    /// Bytes of video answers without an end that clients took.
    EndlessBytes,
    /// Bytes received.
    BytesIn,
    /// Bytes sent.
    BytesOut,
}

/// Counters at one moment, of a device or of the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterSnapshot {
    /// Connections accepted.
    pub connections: u64,
    /// Sessions logged in now.
    pub sessions_open: u64,
    /// Most sessions of one device logged in at the same time.
    pub sessions_max: u64,
    /// Login requests.
    pub logins_tried: u64,
    /// Logins let in.
    pub logins_succeeded: u64,
    /// Logins refused, for any reason.
    pub logins_failed: u64,
    /// Times that a username was locked.
    pub lockouts: u64,
    /// Logins refused because of a lock; also counted as failed.
    pub locked_refusals: u64,
    /// Logins refused because of the client limit; also counted as failed.
    pub busy_refusals: u64,
    /// Tunnel requests.
    pub tunnel_requests: u64,
    /// Sessions that got their channel list in full after a right login.
    pub scans_completed: u64,
    /// Protocol violations of clients.
    pub violations: u64,
    /// Requests to the web interfaces.
    #[serde(default)]
    pub http_requests: u64,
    /// Requests to the RTSP server.
    #[serde(default)]
    pub rtsp_requests: u64,
    /// Streams that clients ended politely.
    #[serde(default)]
    pub streams_torn_down: u64,
    /// Bytes of video answers without an end that clients took.
    #[serde(default)]
    pub endless_bytes: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// The first violations, at most 100 per device.
    pub violation_records: Vec<ViolationRecord>,
}

/// The raw numbers.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    connections: AtomicU64,
    logins_tried: AtomicU64,
    logins_succeeded: AtomicU64,
    logins_failed: AtomicU64,
    lockouts: AtomicU64,
    locked_refusals: AtomicU64,
    busy_refusals: AtomicU64,
    tunnel_requests: AtomicU64,
    scans_completed: AtomicU64,
    violations: AtomicU64,
    http_requests: AtomicU64,
    rtsp_requests: AtomicU64,
    streams_torn_down: AtomicU64,
    endless_bytes: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Counts {
    /// Adds and returns the new value.
    pub(crate) fn add(&self, counter: Counter, amount: u64) -> u64 {
        self.cell(counter)
            .fetch_add(amount, Ordering::SeqCst)
            .wrapping_add(amount)
    }

    pub(crate) fn value(&self, counter: Counter) -> u64 {
        self.cell(counter).load(Ordering::SeqCst)
    }

    /// Returns all numbers; sessions and violation records are added by the caller.
    pub(crate) fn snapshot(&self) -> CounterSnapshot {
        CounterSnapshot {
            connections: self.value(Counter::Connections),
            sessions_open: 0,
            sessions_max: 0,
            logins_tried: self.value(Counter::LoginsTried),
            logins_succeeded: self.value(Counter::LoginsSucceeded),
            logins_failed: self.value(Counter::LoginsFailed),
            lockouts: self.value(Counter::Lockouts),
            locked_refusals: self.value(Counter::LockedRefusals),
            busy_refusals: self.value(Counter::BusyRefusals),
            tunnel_requests: self.value(Counter::TunnelRequests),
            scans_completed: self.value(Counter::ScansCompleted),
            violations: self.value(Counter::Violations),
            http_requests: self.value(Counter::HttpRequests),
            rtsp_requests: self.value(Counter::RtspRequests),
            streams_torn_down: self.value(Counter::StreamsTornDown),
            endless_bytes: self.value(Counter::EndlessBytes),
            bytes_in: self.value(Counter::BytesIn),
            bytes_out: self.value(Counter::BytesOut),
            violation_records: Vec::new(),
        }
    }

    fn cell(&self, counter: Counter) -> &AtomicU64 {
        match counter {
            Counter::Connections => &self.connections,
            Counter::LoginsTried => &self.logins_tried,
            Counter::LoginsSucceeded => &self.logins_succeeded,
            Counter::LoginsFailed => &self.logins_failed,
            Counter::Lockouts => &self.lockouts,
            Counter::LockedRefusals => &self.locked_refusals,
            Counter::BusyRefusals => &self.busy_refusals,
            Counter::TunnelRequests => &self.tunnel_requests,
            Counter::ScansCompleted => &self.scans_completed,
            Counter::Violations => &self.violations,
            Counter::HttpRequests => &self.http_requests,
            Counter::RtspRequests => &self.rtsp_requests,
            Counter::StreamsTornDown => &self.streams_torn_down,
            Counter::EndlessBytes => &self.endless_bytes,
            Counter::BytesIn => &self.bytes_in,
            Counter::BytesOut => &self.bytes_out,
        }
    }
}

/// The fleet's numbers, the fleet's gate, and who waits for what.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) counts: Counts,
    pub(crate) gate: Gate,
    /// Bumped after every change that is not a mere byte count.
    changed: watch::Sender<u64>,
    armed: AtomicBool,
    trap: Mutex<Option<(Counter, u64)>>,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            counts: Counts::default(),
            gate: Gate::new(),
            changed: watch::Sender::new(0),
            armed: AtomicBool::new(false),
            trap: Mutex::new(None),
        }
    }

    /// Adds to the fleet's number and springs the trap when it is reached.
    pub(crate) fn add(&self, counter: Counter, amount: u64) {
        let value = self.counts.add(counter, amount);
        if self.armed.load(Ordering::SeqCst) {
            self.spring(counter, value);
        }
        if !matches!(counter, Counter::BytesIn | Counter::BytesOut) {
            self.changed
                .send_modify(|version| *version = version.wrapping_add(1));
        }
    }

    /// Holds the gate as soon as a number is reached, at once when it already is.
    pub(crate) fn arm(&self, counter: Counter, at_least: u64) {
        *self.trap.lock().unwrap_or_else(PoisonError::into_inner) = Some((counter, at_least));
        self.armed.store(true, Ordering::SeqCst);
        self.spring(counter, self.counts.value(counter));
    }

    /// Waits until a fleet number is reached.
    pub(crate) async fn reached(&self, counter: Counter, at_least: u64) {
        let mut changes = self.changed.subscribe();
        while self.counts.value(counter) < at_least {
            // The sender lives in self, so waiting cannot fail.
            let _ = changes.changed().await;
        }
    }

    fn spring(&self, counter: Counter, value: u64) {
        let mut trap = self.trap.lock().unwrap_or_else(PoisonError::into_inner);
        if trap.is_some_and(|(wanted, at_least)| wanted == counter && value >= at_least) {
            *trap = None;
            self.armed.store(false, Ordering::SeqCst);
            self.gate.hold();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_trap_holds_the_gate_when_its_number_is_reached() {
        let board = Board::new();
        board.arm(Counter::LoginsTried, 2);
        board.add(Counter::LoginsTried, 1);
        board.add(Counter::BytesIn, 500);
        board.gate.passed().await;
        board.add(Counter::LoginsTried, 1);
        board.gate.held().await;
        board.gate.release();
        board.add(Counter::LoginsTried, 1);
        board.gate.passed().await;
        board.reached(Counter::LoginsTried, 3).await;
    }
}
