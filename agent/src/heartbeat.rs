//! What the agent tells the coordinator about itself, and what it learns from the answers: how far
//! its results are stored for good, and which want document is the newest.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::backoff::Backoff;
use tvtfleet_bus::clock::Clock;
use tvtfleet_bus::rpc::{RpcError, request};
use tvtfleet_bus::{Bus, BusState};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::agent::{
    AgentFacts, Heartbeat, Hello, Progress, SpoolHealth, Watermark,
};
use tvtfleet_proto::subject::{self, RpcOp};
use tvtfleet_proto::wire::v1;

use crate::chain::Chain;
use crate::outbox::SpoolShared;
use crate::spool::Spool;
use crate::status::Status;

/// The coordinator's time to answer.
const REPLY_LIMIT: Duration = Duration::from_secs(5);
/// The waits between two greetings that were not heard, or refused.
const HELLO_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
/// While jobs run, the agent is heard at least this often: somebody may have begun to watch.
const BUSY_INTERVAL: Duration = Duration::from_secs(10);
/// The least time between two reports of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Speaks for the agent.
pub(crate) struct Speaker {
    pub(crate) bus: Bus,
    pub(crate) spool: Arc<SpoolShared>,
    pub(crate) status: Arc<Status>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) facts: AgentFacts,
    /// What tells this copy of the spool from another one.
    pub(crate) home: String,
    pub(crate) interval: Duration,
    /// Watermarks for the sender.
    pub(crate) watermarks: mpsc::Sender<Watermark>,
}

impl Speaker {
    /// Speaks until it is told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let speaking = async { tokio::join!(self.beat(), self.tell_progress()) };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            _ = speaking => {}
        }
    }

    async fn beat(&self) {
        let mut state = self.bus.state();
        let mut taken = self.status.watch_taken();
        // Whether the coordinator has heard a hello over this connection and welcomed it.
        let mut welcome = false;
        let mut failures = 0_usize;
        loop {
            if state
                .wait_for(|state| *state == BusState::Connected)
                .await
                .is_err()
            {
                return;
            }
            let answer = if welcome {
                self.heartbeat().await
            } else {
                self.hello().await
            };
            let pause = match answer {
                Ok(watermark) => {
                    let refused = watermark.refused.is_some();
                    // What the coordinator misses is gone here: only a hello can tell it.
                    let oldest = self.spool.peek(Spool::oldest);
                    let gone = welcome && watermark.resend_from.is_some_and(|from| from < oldest);
                    self.take(watermark).await;
                    welcome = !refused && !gone;
                    failures = if refused {
                        failures.saturating_add(1)
                    } else {
                        0
                    };
                    if refused {
                        HELLO_BACKOFF.delay(failures)
                    } else {
                        self.interval()
                    }
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(error.r#type = %error.code(), error = %Chain(&error), "the coordinator does not answer");
                    HELLO_BACKOFF.delay(failures)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = state.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // A new connection begins with a hello.
                    welcome = false;
                }
                changed = taken.changed(), if welcome => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn hello(&self) -> Result<Watermark, RpcError> {
        let (oldest, next) = self.spool.peek(|spool| (spool.oldest(), spool.next()));
        let hello = Hello {
            site: self.spool.site().clone(),
            epoch: self.spool.epoch(),
            oldest,
            next,
            want_revision: self.status.taken(),
            facts: self.facts.clone(),
            home: self.home.clone(),
        };
        self.ask(RpcOp::Hello, &v1::Hello::from(hello)).await
    }

    async fn heartbeat(&self) -> Result<Watermark, RpcError> {
        let (next, spool_bytes, health) = self.spool.peek(|spool| {
            let health = SpoolHealth {
                kept_bytes: spool.kept_bytes(),
                damaged: spool.damaged(),
                disk_free: spool.disk_free(),
            };
            (spool.next(), spool.bytes(), health)
        });
        let beat = Heartbeat {
            site: self.spool.site().clone(),
            epoch: self.spool.epoch(),
            next,
            want_revision: self.status.taken(),
            spool_bytes,
            agent_time: self.clock.now(),
            progress: self.status.progress(),
            health: Some(health),
            home: self.home.clone(),
        };
        self.ask(RpcOp::Heartbeat, &v1::Heartbeat::from(beat)).await
    }

    async fn ask<M: prost::Message>(&self, op: RpcOp, message: &M) -> Result<Watermark, RpcError> {
        let subject = subject::rpc(self.spool.site(), op);
        let reply = request::<M, v1::Watermark>(&self.bus, &subject, message, REPLY_LIMIT).await;
        match reply {
            Ok(reply) => Ok(reply.try_into()?),
            // Refused in another form: the same to the agent.
            Err(RpcError::Refused(error)) if is_unwelcome(error.code) => Ok(Watermark {
                epoch: self.spool.epoch(),
                committed: tvtfleet_proto::model::id::Sequence(0),
                resend_from: None,
                want_revision: self.status.taken(),
                server_time: self.clock.now(),
                refused: Some(error.code),
                watched: false,
                rotate: false,
            }),
            Err(error) => Err(error),
        }
    }

    async fn take(&self, watermark: Watermark) {
        self.status.set_watched(watermark.watched);
        if watermark.refused.is_none() {
            self.status.time.told(watermark.server_time);
        }
        if watermark.refused.is_none() && watermark.want_revision > self.status.taken() {
            self.status.reread.notify_one();
        }
        self.status
            .set_rotate(watermark.rotate && watermark.refused.is_none());
        // Nobody takes it when the agent stops.
        let _stopping = self.watermarks.send(watermark).await;
    }

    /// The time to the next heartbeat: never the same for all agents.
    fn interval(&self) -> Duration {
        let busy = !self.status.progress().is_empty();
        let interval = if busy {
            self.interval.min(BUSY_INTERVAL)
        } else {
            self.interval
        };
        jittered(interval, RandomState::new().hash_one(0_u8))
    }

    async fn tell_progress(&self) {
        let mut watched = self.status.watched();
        let subject = subject::rpc(self.spool.site(), RpcOp::Progress);
        let mut told: Vec<Progress> = Vec::new();
        loop {
            if watched.wait_for(|watched| *watched).await.is_err() {
                return;
            }
            let now = self.status.progress();
            for progress in now.iter().filter(|progress| !told.contains(progress)) {
                let message = v1::Progress::from(*progress);
                let limit = REPLY_LIMIT;
                if let Err(error) =
                    request::<_, v1::Progress>(&self.bus, &subject, &message, limit).await
                {
                    tracing::debug!(error = %Chain(&error), "nobody heard of the progress");
                }
            }
            told = now;
            tokio::time::sleep(PROGRESS_INTERVAL).await;
        }
    }
}

const fn is_unwelcome(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::SiteClaimed | ErrorCode::SiteUnknown | ErrorCode::SiteAgentTooOld
    )
}

/// A span between 0.8 and 1.2 times `interval`.
fn jittered(interval: Duration, random: u64) -> Duration {
    let fifths = u32::try_from(random % 401).unwrap_or(200);
    interval.saturating_mul(fifths.saturating_add(800)) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_spread_by_a_fifth() {
        let at = |random| jittered(Duration::from_secs(30), random);
        assert_eq!(at(0), Duration::from_secs(24));
        assert_eq!(at(400), Duration::from_secs(36));
        assert_eq!(at(401), at(0));
    }
}
