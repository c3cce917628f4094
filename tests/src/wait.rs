//! Waiting for a condition, with a deadline and without sleeping longer than it takes.

use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

/// How long tests wait for what should take milliseconds: machines under load are slow.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long they wait for what takes elections: servers of a cluster choose a leader for each stream.
pub const ELECTIONS: Duration = Duration::from_secs(75);

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Asks again and again until there is an answer. For what cannot notify: files, ports, other
/// processes, databases.
///
/// # Panics
///
/// There is none within [`PATIENCE`].
#[track_caller]
pub fn eventually<T, F, Fut>(what: &str, probe: F) -> impl Future<Output = T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    eventually_within(PATIENCE, what, probe)
}

/// As [`eventually`], with a limit of its own: for what takes elections.
///
/// # Panics
///
/// There is no answer within `limit`.
#[track_caller]
pub fn eventually_within<T, F, Fut>(
    limit: Duration,
    what: &str,
    mut probe: F,
) -> impl Future<Output = T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let place = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + limit;
        let mut pause = FIRST_PAUSE;
        loop {
            match timeout_at(deadline, probe()).await {
                Ok(Some(answer)) => return answer,
                Ok(None) if Instant::now() < deadline => {}
                Ok(None) | Err(_) => panic!("{place}: waited {limit:?} in vain for {what}"),
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }
}

/// Events in the order in which they came, and a way to wait for what should be among them. Clones
/// share them.
#[derive(Debug)]
pub struct EventLog<T> {
    events: Arc<Mutex<Vec<T>>>,
    changed: Arc<Notify>,
}

impl<T> Clone for EventLog<T> {
    fn clone(&self) -> Self {
        Self {
            events: Arc::clone(&self.events),
            changed: Arc::clone(&self.changed),
        }
    }
}

impl<T> Default for EventLog<T> {
    fn default() -> Self {
        Self {
            events: Arc::default(),
            changed: Arc::default(),
        }
    }
}

impl<T: Clone + Debug> EventLog<T> {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event and wakes whoever waits.
    pub fn push(&self, event: T) {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
        self.changed.notify_waiters();
    }

    /// All events so far.
    #[must_use]
    pub fn all(&self) -> Vec<T> {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until `find` finds what it looks for among all events.
    ///
    /// # Panics
    ///
    /// It does not within [`PATIENCE`]; the text shows the events.
    #[track_caller]
    pub fn wait_for<R, F>(&self, what: &str, mut find: F) -> impl Future<Output = R>
    where
        F: FnMut(&[T]) -> Option<R>,
    {
        let place = std::panic::Location::caller();
        async move {
            let deadline = Instant::now() + PATIENCE;
            loop {
                // Registered before the look, so that no event falls between.
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                if let Some(found) = find(&self.all()) {
                    return found;
                }
                if timeout_at(deadline, changed).await.is_err() {
                    panic!(
                        "{place}: waited {PATIENCE:?} in vain for {what} among {:#?}",
                        self.all()
                    );
                }
            }
        }
    }
}
