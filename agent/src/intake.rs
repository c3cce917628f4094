//! Intake: brings the site's want document from the bus to the [jobs](crate::jobs), whenever it may
//! have changed.
//!
//! It subscribes first and reads then, so that nothing falls between the two; after a lost
//! connection, and when a heartbeat's answer names a newer revision, it reads again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::backoff::Backoff;
use tvtfleet_bus::want::{WantSubscription, read_want_direct, subscribe_want};
use tvtfleet_bus::{Bus, BusError, BusState};
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::want::WantDoc;

use crate::chain::Chain;
use crate::status::Status;

/// The waits between two tries to read or subscribe.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));

/// Listens for a site's want document.
pub(crate) struct Intake {
    pub(crate) site: SiteId,
    pub(crate) bus: Bus,
    pub(crate) docs: mpsc::Sender<WantDoc>,
    pub(crate) status: Arc<Status>,
}

impl Intake {
    /// Listens until it is told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.listen() => {}
        }
    }

    async fn listen(&self) {
        let mut attempt = 0_usize;
        loop {
            let error = match subscribe_want(&self.bus, &self.site).await {
                Ok(subscription) => {
                    attempt = 0;
                    self.follow(subscription).await
                }
                Err(error) => error,
            };
            if self.docs.is_closed() {
                return;
            }
            attempt = attempt.saturating_add(1);
            tracing::error!(error.r#type = %error.code(), error = %Chain(&error), "want documents do not come");
            tokio::time::sleep(BACKOFF.delay(attempt)).await;
        }
    }

    /// Follows one subscription until it fails.
    async fn follow(&self, mut subscription: WantSubscription) -> BusError {
        let mut state = self.bus.state();
        let mut read_now = true;
        let mut attempt = 0_usize;
        loop {
            if read_now && *state.borrow_and_update() == BusState::Connected {
                match read_want_direct(&self.bus, &self.site).await {
                    Ok(doc) => {
                        (read_now, attempt) = (false, 0);
                        if let Some(doc) = doc {
                            self.hand_on(doc).await;
                        }
                    }
                    Err(error) => {
                        attempt = attempt.saturating_add(1);
                        tracing::warn!(error.r#type = %error.code(), error = %Chain(&error), "the want document cannot be read");
                    }
                }
            }
            let again = async {
                if attempt == 0 {
                    std::future::pending().await
                } else {
                    tokio::time::sleep(BACKOFF.delay(attempt)).await
                }
            };
            tokio::select! {
                doc = subscription.next() => match doc {
                    Ok(doc) => self.hand_on(doc).await,
                    Err(error) => return error,
                },
                changed = state.changed() => match changed {
                    Ok(()) => read_now = true,
                    Err(_) => return BusError::Disconnected,
                },
                () = self.status.reread.notified() => read_now = true,
                () = again => {}
            }
        }
    }

    async fn hand_on(&self, doc: WantDoc) {
        // Nobody takes it when the agent stops.
        let _stopping = self.docs.send(doc).await;
    }
}
