//! Holding replies back.

use tokio::sync::watch;

/// A gate that every packet passes: open, or held until it opens again.
#[derive(Debug)]
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(true))
    }

    pub(crate) fn hold(&self) {
        self.0.send_replace(false);
    }

    pub(crate) fn release(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the gate is open.
    pub(crate) async fn passed(&self) {
        // The sender lives in self, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }

    /// Waits until the gate is held.
    pub(crate) async fn held(&self) {
        let _ = self.0.subscribe().wait_for(|open| !*open).await;
    }
}
