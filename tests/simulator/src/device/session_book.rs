//! Which sessions of a recorder are logged in.

use std::collections::BTreeSet;

/// The logged-in sessions of one device, by connection number.
#[derive(Debug, Default)]
pub(crate) struct SessionBook {
    open: BTreeSet<u64>,
    most: usize,
}

impl SessionBook {
    /// Admits a session; `None` when `limit` sessions are open. Returns the others.
    pub(crate) fn admit(&mut self, session: u64, limit: usize) -> Option<Vec<u64>> {
        if self.open.len() >= limit {
            return None;
        }
        let others = self.open.iter().copied().collect();
        self.open.insert(session);
        self.most = self.most.max(self.open.len());
        Some(others)
    }

    /// Strikes a session out.
    pub(crate) fn leave(&mut self, session: u64) {
        self.open.remove(&session);
    }

    /// Says whether any of these sessions is still open.
    pub(crate) fn any_open(&self, sessions: &[u64]) -> bool {
        sessions.iter().any(|session| self.open.contains(session))
    }

    /// Sessions open now.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// Most sessions that were open at the same time.
    pub(crate) fn most(&self) -> usize {
        self.most
    }
}
