//! Ending a process in order: one request to stop, owned tasks, a bounded wait, and a way out for
//! people who press the keys twice.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// Exit statuses of a process that a second signal ended, as shells report it: 128 and the signal.
const SECOND_INTERRUPT: i32 = 130;
const SECOND_TERMINATE: i32 = 143;

/// The request to stop, and the tasks that must end before the process does. Clones share both.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// A shutdown that only [`Self::request`] sets off.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A shutdown that SIGINT and SIGTERM set off as well. The second signal ends the process at
    /// once.
    ///
    /// # Errors
    ///
    /// The operating system refuses the signal handlers.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let token = shutdown.token.clone();
        // Not tracked: it listens for the second signal until the process is gone.
        tokio::spawn(async move {
            loop {
                let status = tokio::select! {
                    _ = interrupt.recv() => SECOND_INTERRUPT,
                    _ = terminate.recv() => SECOND_TERMINATE,
                };
                if token.is_cancelled() {
                    tracing::warn!("second signal, stopping at once");
                    std::process::exit(status);
                }
                tracing::info!("stopping; a second signal stops at once");
                token.cancel();
            }
        });
        Ok(shutdown)
    }

    /// Asks everything to stop. Asking again changes nothing.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// Whether a stop has been asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until a stop is asked for.
    pub fn requested(&self) -> WaitForCancellationFuture<'_> {
        self.token.cancelled()
    }

    /// A token that is cancelled with this shutdown, and can be cancelled alone.
    #[must_use]
    pub fn child_token(&self) -> CancellationToken {
        self.token.child_token()
    }

    /// Runs a task that [`Self::finish`] waits for. The task itself watches for the stop.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Asks everything to stop and waits for the tasks, `limit` at most. Returns whether all ended.
    pub async fn finish(&self, limit: Duration) -> bool {
        self.request();
        self.tasks.close();
        let ended = tokio::time::timeout(limit, self.tasks.wait()).await.is_ok();
        if !ended {
            tracing::warn!(tasks = self.tasks.len(), "some tasks did not stop in time");
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn finish_waits_for_tasks_that_watch_for_the_stop() {
        let shutdown = Shutdown::new();
        let seen = shutdown.clone();
        let task = shutdown.spawn(async move {
            seen.requested().await;
            seen.is_requested()
        });
        assert!(!shutdown.is_requested());
        assert!(shutdown.finish(Duration::from_secs(10)).await);
        assert!(task.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn finish_gives_up_on_a_task_that_does_not_stop() {
        let shutdown = Shutdown::new();
        drop(shutdown.spawn(std::future::pending::<()>()));
        assert!(!shutdown.finish(Duration::from_secs(1)).await);
    }

    #[tokio::test]
    async fn a_child_stops_alone_or_with_all() {
        let shutdown = Shutdown::new();
        let alone = shutdown.child_token();
        let other = shutdown.child_token();
        alone.cancel();
        assert!(!shutdown.is_requested());
        shutdown.request();
        assert!(other.is_cancelled());
    }
}
