//! What the web interfaces remember between requests.

use std::collections::BTreeMap;
use std::time::Instant;

/// Nonces and sessions kept.
const KEPT_MAX: usize = 1024;

/// Nonces, sessions, and what was switched.
#[derive(Debug, Default)]
pub(crate) struct WebState {
    next: u64,
    /// How often each nonce of the web API was answered.
    pub(crate) nonces: BTreeMap<String, u32>,
    /// Sessions of the pages: the token by the session's name; empty before the login.
    pub(crate) sessions: BTreeMap<String, Session>,
    /// What was set, by a name of its own.
    pub(crate) settings: BTreeMap<String, String>,
    /// The changes that were sent, in their order.
    pub(crate) writes: Vec<String>,
    /// When the web API that was switched on begins to answer.
    pub(crate) api_from: Option<Instant>,
    /// Until when a reboot takes.
    pub(crate) down_until: Option<Instant>,
}

/// A session of the pages.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(super) nonce: String,
    pub(super) token: String,
    pub(super) logged_in: bool,
    /// Commands that it was used for.
    pub(super) used: u32,
    /// The key that its edits are encrypted under.
    pub(super) key: Option<String>,
    pub(crate) number: u64,
}

impl WebState {
    /// A text that was not given out before.
    pub(super) fn fresh(&mut self) -> (u64, String) {
        self.next = self.next.wrapping_add(1);
        let mixed = self.next.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (self.next, format!("{mixed:016x}{:04x}", self.next))
    }

    pub(crate) fn new_nonce(&mut self) -> String {
        if self.nonces.len() >= KEPT_MAX {
            self.nonces.pop_first();
        }
        let (_, nonce) = self.fresh();
        self.nonces.insert(nonce.clone(), 0);
        nonce
    }

    pub(super) fn keep(&mut self, name: String, session: Session) {
        if self.sessions.len() >= KEPT_MAX {
            self.sessions.pop_first();
        }
        self.sessions.insert(name, session);
    }
}
