//! The state of the library, which is global as in the real one.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::faults::{Call, setting};

/// `NETWORK_NOT_CONNECT`: no session of this id.
pub(crate) const NOT_CONNECTED: u32 = 9;
/// `PARAMETER_ERROR`.
pub(crate) const BAD_ARGUMENT: u32 = 20;
/// `NOINIT`.
const NOT_STARTED: u32 = 3;

thread_local! {
    static LAST_ERROR: Cell<u32> = const { Cell::new(0) };
}

static BUSY: AtomicBool = AtomicBool::new(false);
static STATE: Mutex<State> = Mutex::new(State {
    is_started: false,
    sessions: BTreeMap::new(),
    calls: BTreeMap::new(),
    lists: BTreeMap::new(),
    nat: None,
});

struct State {
    is_started: bool,
    /// The device of each session, as `host:port`.
    sessions: BTreeMap<i64, String>,
    calls: BTreeMap<&'static str, u32>,
    /// The session of each open list, and how far it was read.
    lists: BTreeMap<i64, (i64, usize)>,
    /// The server of logins by serial number.
    nat: Option<String>,
}

/// A call in progress; says when two overlap.
pub(crate) struct InCall {
    pub(crate) function: &'static str,
    pub(crate) number: u32,
    pub(crate) device: String,
}

impl InCall {
    /// Begins a call for a device, suffers its faults, and says with what number it fails.
    pub(crate) fn begin(function: &'static str, device: String) -> (Self, Option<u32>) {
        let number = with(|state| {
            let number = state.calls.entry(function).or_default();
            *number = number.saturating_add(1);
            *number
        });
        let call = Self {
            function,
            number,
            device,
        };
        if BUSY.swap(true, Ordering::SeqCst) {
            call.trace("VIOLATION two calls at once");
        }
        call.trace("begin");
        let faults = call.faults();
        faults.suffer();
        let is_started = with(|state| state.is_started) || function == "Init";
        let failure = if !is_started {
            call.trace("VIOLATION not initialised");
            Some(NOT_STARTED)
        } else if faults.chosen("FAIL0").is_some() {
            Some(0)
        } else {
            faults.chosen("FAIL").and_then(|number| number.parse().ok())
        };
        if let Some(number) = failure {
            set_last_error(number);
        }
        (call, failure)
    }

    /// Begins a call for a session.
    pub(crate) fn of_user(function: &'static str, user: i64) -> (Self, Option<u32>) {
        let device = with(|state| state.sessions.get(&user).cloned());
        let is_known = device.is_some();
        let (call, mut failure) = Self::begin(function, device.unwrap_or_default());
        if !is_known && failure.is_none() {
            call.trace("VIOLATION no such session");
            set_last_error(NOT_CONNECTED);
            failure = Some(NOT_CONNECTED);
        }
        (call, failure)
    }

    /// The call as faults see it.
    pub(crate) fn faults(&self) -> Call<'_> {
        Call {
            function: self.function,
            number: self.number,
            device: &self.device,
        }
    }

    /// Writes a line into the trace.
    pub(crate) fn trace(&self, what: &str) {
        let Some(path) = setting("TRACE") else { return };
        let line = format!(
            "{} {}#{} {} {what}\n",
            std::process::id(),
            self.function,
            self.number,
            self.device
        );
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        if let Ok(mut file) = file {
            let _full = file.write_all(line.as_bytes());
        }
    }
}

impl Drop for InCall {
    fn drop(&mut self) {
        BUSY.store(false, Ordering::SeqCst);
    }
}

pub(crate) fn start() {
    with(|state| state.is_started = true);
}

pub(crate) fn stop() {
    with(|state| {
        state.is_started = false;
        state.sessions.clear();
        state.nat = None;
    });
}

/// Opens a session under the lowest free id, as the library does.
pub(crate) fn open(device: String) -> i64 {
    with(|state| {
        let mut id = 0_i64;
        while state.sessions.contains_key(&id) {
            id = id.saturating_add(1);
        }
        state.sessions.insert(id, device);
        id
    })
}

/// Keeps the server of logins by serial number; `false` where there is one.
pub(crate) fn set_nat(server: String) -> bool {
    with(|state| {
        let is_first = state.nat.is_none();
        state.nat.get_or_insert(server);
        is_first
    })
}

/// The server of logins by serial number.
pub(crate) fn nat() -> Option<String> {
    with(|state| state.nat.clone())
}

pub(crate) fn close(user: i64) {
    with(|state| state.sessions.remove(&user));
}

/// Opens a list for a session. Handles are no session's ids.
pub(crate) fn open_list(user: i64) -> i64 {
    with(|state| {
        let handle = state
            .lists
            .keys()
            .next_back()
            .map_or(0x7000_0000, |last| last + 1);
        state.lists.insert(handle, (user, 0));
        handle
    })
}

/// The session of a list, and the number of the row that is next; it moves on.
pub(crate) fn next_row(handle: i64) -> Option<(i64, usize)> {
    with(|state| {
        let list = state.lists.get_mut(&handle)?;
        let found = *list;
        list.1 = list.1.saturating_add(1);
        Some(found)
    })
}

/// Closes a list; `false` where it was not open.
pub(crate) fn close_list(handle: i64) -> bool {
    with(|state| state.lists.remove(&handle).is_some())
}

/// Whether a session has lists open.
pub(crate) fn has_lists(user: i64) -> bool {
    with(|state| state.lists.values().any(|(owner, _)| *owner == user))
}

pub(crate) fn last_error() -> u32 {
    LAST_ERROR.get()
}

pub(crate) fn set_last_error(number: u32) {
    LAST_ERROR.set(number);
}

fn with<R>(act: impl FnOnce(&mut State) -> R) -> R {
    act(&mut STATE.lock().unwrap_or_else(PoisonError::into_inner))
}
