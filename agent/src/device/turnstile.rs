//! One visitor at a time: recorders have few sessions, and their interfaces share them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tvtfleet_proto::model::address::Endpoint;

/// Who is with which device, over all jobs of a site.
#[derive(Debug, Default)]
pub(crate) struct Turnstile {
    inside: Mutex<BTreeSet<Endpoint>>,
    left: Notify,
}

/// The place of one visitor, given up when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    turnstile: &'a Turnstile,
    endpoint: Endpoint,
}

impl Turnstile {
    /// Waits until nobody else is with the device. The caller bounds the wait.
    pub(crate) async fn enter(&self, endpoint: &Endpoint) -> Place<'_> {
        loop {
            let left = self.left.notified();
            let mut left = std::pin::pin!(left);
            left.as_mut().enable();
            if self.with(|inside| inside.insert(endpoint.clone())) {
                return Place {
                    turnstile: self,
                    endpoint: endpoint.clone(),
                };
            }
            left.await;
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut BTreeSet<Endpoint>) -> R) -> R {
        act(&mut self.inside.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turnstile.with(|inside| inside.remove(&self.endpoint));
        self.turnstile.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_visitor_waits_for_the_first() {
        let turnstile = Turnstile::default();
        let endpoint: Endpoint = "10.0.0.1:6036".parse().unwrap();
        let first = turnstile.enter(&endpoint).await;
        let other = turnstile.enter(&"10.0.0.2:6036".parse().unwrap()).await;
        let mut second = std::pin::pin!(turnstile.enter(&endpoint));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(first);
        let _ = second.await;
        drop(other);
    }
}
