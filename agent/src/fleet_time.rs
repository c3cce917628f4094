//! The coordinator's time of day. Jobs end by it: the clock of a box may be a day off.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::clock::Clock;
use tvtfleet_proto::model::time::UtcMillis;

/// How long a job that seems to be over waits for the coordinator to say what time it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// The coordinator's time, as its answers tell it; until the first one, the box's own.
#[derive(Debug)]
pub(crate) struct FleetTime {
    own: Arc<dyn Clock>,
    /// Milliseconds by which the coordinator's clock is ahead of the box's.
    ahead: watch::Sender<Option<i64>>,
}

impl FleetTime {
    pub(crate) fn new(own: Arc<dyn Clock>) -> Self {
        Self {
            own,
            ahead: watch::Sender::new(None),
        }
    }

    /// Takes the time that the coordinator has just told.
    pub(crate) fn told(&self, there: UtcMillis) {
        let ahead = there.millis().saturating_sub(self.own.now().millis());
        self.ahead.send_replace(Some(ahead));
    }

    pub(crate) fn now(&self) -> UtcMillis {
        shifted(self.own.now(), self.ahead_ms())
    }

    /// What the box's own clock shows at a moment of the coordinator's.
    pub(crate) fn as_here(&self, there: UtcMillis) -> UtcMillis {
        shifted(there, self.ahead_ms().saturating_neg())
    }

    /// Waits until `end` can be told from now: at once, unless it seems to be over and the coordinator has
    /// not said what time it is. Ends early with the agent.
    pub(crate) async fn settled(&self, end: UtcMillis, stop: &CancellationToken) {
        let mut ahead = self.ahead.subscribe();
        if self.own.now() < end || ahead.borrow().is_some() {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            _ = ahead.wait_for(Option::is_some) => {}
            () = tokio::time::sleep(PATIENCE) => {}
        }
    }

    /// Waits until `end` has come, also where the clocks turn out to differ meanwhile.
    pub(crate) async fn until(&self, end: UtcMillis, stop: &CancellationToken) {
        self.settled(end, stop).await;
        let mut ahead = self.ahead.subscribe();
        loop {
            let left = end.since(self.now());
            tokio::select! {
                () = tokio::time::sleep(left) => return,
                // The sender lives as long as this value does.
                _ = ahead.changed() => {}
            }
        }
    }

    fn ahead_ms(&self) -> i64 {
        self.ahead.borrow().unwrap_or(0)
    }
}

fn shifted(at: UtcMillis, millis: i64) -> UtcMillis {
    UtcMillis::new(at.millis().saturating_add(millis))
}

#[cfg(test)]
mod tests {
    use tvtfleet_bus::clock::ManualClock;

    use super::*;

    const DAY: i64 = 86_400_000;
    const HOUR: i64 = 3_600_000;

    fn time() -> FleetTime {
        FleetTime::new(Arc::new(ManualClock::new(UtcMillis::new(5 * DAY))))
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_ahead_ends_nothing_early() {
        let (time, stop) = (time(), CancellationToken::new());
        let there = UtcMillis::new(4 * DAY);
        let end = UtcMillis::new(4 * DAY + HOUR);
        let began = tokio::time::Instant::now();
        let tell = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            time.told(there);
        };
        tokio::join!(time.until(end, &stop), tell);
        let hour = Duration::from_secs(3600);
        assert!(
            (hour..hour * 2).contains(&began.elapsed()),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(time.now(), there);
        assert_eq!(time.as_here(end), UtcMillis::new(5 * DAY + HOUR));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_coordinator_the_own_clock_counts() {
        let (time, stop) = (time(), CancellationToken::new());
        let began = tokio::time::Instant::now();
        time.until(UtcMillis::new(4 * DAY), &stop).await;
        assert_eq!(began.elapsed(), PATIENCE);
        time.settled(UtcMillis::new(6 * DAY), &stop).await;
        assert_eq!(began.elapsed(), PATIENCE);
    }
}
