//! Waits that end on time.
//!
//! The runtime's own timers count in whole milliseconds and end one to two of them late. A recorder's
//! delay of 20 ms would be 22 ms, and a bench that divides by it would blame the client.

use std::collections::BTreeMap;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Waits this long, to well under a millisecond. It may be dropped while it waits.
pub(crate) async fn wait(time: Duration) {
    let Some(end) = Instant::now().checked_add(time) else {
        return std::future::pending().await;
    };
    if time.is_zero() {
        return;
    }
    let (ring, rung) = oneshot::channel();
    ALARM.set(end, ring);
    // The thread never drops a waiter without ringing.
    let _ = rung.await;
}

static ALARM: LazyLock<&Alarm> = LazyLock::new(|| {
    let alarm: &Alarm = Box::leak(Box::default());
    if let Err(error) = std::thread::Builder::new()
        .name("alarm".to_owned())
        .spawn(|| alarm.run())
    {
        tracing::error!(%error, "no thread for delays; recorders answer at once");
        alarm.lock().broken = true;
    }
    alarm
});

#[derive(Debug, Default)]
struct Alarm {
    waiting: Mutex<Waiting>,
    sooner: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By end, then by a number that makes the key unique.
    ends: BTreeMap<(Instant, u64), oneshot::Sender<()>>,
    next: u64,
    broken: bool,
}

impl Alarm {
    fn set(&self, end: Instant, ring: oneshot::Sender<()>) {
        let mut waiting = self.lock();
        if waiting.broken {
            let _ = ring.send(());
            return;
        }
        let number = waiting.next;
        waiting.next = number.wrapping_add(1);
        waiting.ends.insert((end, number), ring);
        let first = waiting.ends.first_key_value().map(|(key, _)| *key);
        drop(waiting);
        if first == Some((end, number)) {
            self.sooner.notify_one();
        }
    }

    fn run(&self) -> ! {
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            // What is due has a smaller key than anything that ends after now.
            let later = waiting.ends.split_off(&(now, u64::MAX));
            let due = std::mem::replace(&mut waiting.ends, later);
            let first = waiting.ends.first_key_value().map(|((end, _), _)| *end);
            if !due.is_empty() {
                drop(waiting);
                for (_, ring) in due {
                    // The waiter may be gone.
                    let _ = ring.send(());
                }
                waiting = self.lock();
                continue;
            }
            waiting = match first {
                Some(end) => {
                    self.sooner
                        .wait_timeout(waiting, end.saturating_duration_since(now))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .sooner
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_end_in_their_order_and_never_early() {
        let started = Instant::now();
        let mut ended = Vec::new();
        let (first, second, third) = (
            Duration::from_millis(30),
            Duration::from_millis(10),
            Duration::from_millis(20),
        );
        let (sender, mut order) = tokio::sync::mpsc::channel(3);
        for time in [first, second, third] {
            let sender = sender.clone();
            tokio::spawn(async move {
                wait(time).await;
                let _ = sender.send((time, started.elapsed())).await;
            });
        }
        drop(sender);
        while let Some((time, taken)) = order.recv().await {
            assert!(taken >= time, "{taken:?} is less than {time:?}");
            ended.push(time);
        }
        assert_eq!(ended, [second, third, first]);
    }

    #[tokio::test]
    async fn a_waiter_may_leave() {
        let long = Duration::from_secs(3600);
        let short = Duration::from_millis(1);
        assert!(tokio::time::timeout(short, wait(long)).await.is_err());
        wait(short).await;
        wait(Duration::ZERO).await;
    }
}
