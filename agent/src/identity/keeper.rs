//! Keeps the token good: renews it at half its life, and asks as a newcomer where the servers do not
//! take it any more. Makes new keys where the coordinator asks for them.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tvtfleet_bus::backoff::Backoff;
use tvtfleet_bus::clock::Clock;
use tvtfleet_bus::trust::lifetime;
use tvtfleet_bus::{Bus, BusError, BusState, ConnectOptions, connect};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::subject::{self, RpcOp};
use tvtfleet_proto::wire::v1::enrol_request::Kind;

use crate::chain::Chain;
use crate::status::Status;

use super::exchange::{Granted, IdentityError, ask, ask_as_newcomer, attest, rotate};
use super::folder::Identity;

/// The waits between two tries to get a token.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(600));
/// The longest sleep: clocks may be set.
const NAP: Duration = Duration::from_secs(3600);

/// Keeps an agent's token good.
pub(crate) struct Keeper {
    pub(crate) identity: Identity,
    /// The servers, which may be others than those of the join.
    pub(crate) urls: Vec<String>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where the coordinator's wish for new keys is seen.
    pub(crate) status: Arc<Status>,
}

/// Why a keeper has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was told to.
    Stopped,
    /// The agent has new keys; the connection is still that of the old ones.
    NewKeys,
}

impl Keeper {
    /// Connects; where the servers refuse the token, gets a new one first.
    ///
    /// # Errors
    ///
    /// As [`connect()`], and what the coordinator says where it refuses.
    pub(crate) async fn connect(&self, options: &ConnectOptions) -> Result<Bus, IdentityError> {
        let mut failures = 0_usize;
        loop {
            match connect(options).await {
                Err(BusError::Denied { reason }) => {
                    tracing::warn!(reason, "the servers do not take the token any more");
                }
                other => return Ok(other?),
            }
            match self.come_back().await {
                Ok(()) => {}
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(error.r#type = %error.code(), error = %Chain(&error), "no new token");
                    tokio::time::sleep(BACKOFF.delay(failures)).await;
                }
            }
        }
    }

    /// Works until it is told to stop.
    pub(crate) async fn run(self, bus: Bus, stop: CancellationToken) -> Ended {
        tokio::select! {
            biased;
            () = stop.cancelled() => Ended::Stopped,
            ended = self.keep(&bus) => ended,
        }
    }

    /// Keeps the token good until the agent has new keys.
    async fn keep(&self, bus: &Bus) -> Ended {
        let mut state = bus.state();
        let mut wanted = self.status.rotate();
        let mut failures = 0_usize;
        let mut due = self.due(self.clock.now(), None);
        if self.identity.is_unused() {
            // The coordinator lets the old keys go once it has seen these.
            due = Duration::ZERO;
        }
        loop {
            let denied = async {
                if state
                    .wait_for(|state| matches!(state, BusState::Denied(_)))
                    .await
                    .is_err()
                {
                    std::future::pending::<()>().await;
                }
            };
            let rotating = async {
                if wanted.wait_for(|wanted| *wanted).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let was_unused = self.identity.is_unused();
            let renewed = tokio::select! {
                () = rotating, if !was_unused => match self.rotate(bus).await {
                    Ok(()) => return Ended::NewKeys,
                    Err(error) => Err(error),
                },
                () = denied => self.come_back().await.map(|()| None),
                () = tokio::time::sleep(due.min(NAP)) => {
                    if due > NAP {
                        due = self.due(self.clock.now(), None);
                        continue;
                    }
                    self.renew(bus).await.map(Some)
                }
            };
            match renewed {
                Ok(at) => {
                    failures = 0;
                    due = self.due(self.clock.now(), at);
                    if was_unused {
                        // What was asked before the coordinator saw these keys is met.
                        self.status.set_rotate(false);
                        // This connection began with these keys a moment ago.
                        continue;
                    }
                    // The server ends a connection with the token that it began with.
                    if let Err(error) = bus.reconnect().await {
                        tracing::warn!(error = %Chain(&error), "no new connection");
                    }
                    self.settled(bus).await;
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let pause = BACKOFF.delay(failures);
                    tracing::warn!(
                        error.r#type = %error.code(), error = %Chain(&error),
                        pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), "no new token"
                    );
                    tokio::time::sleep(pause).await;
                    due = due.min(pause);
                }
            }
        }
    }

    /// Waits a moment for the new connection, so that an old refusal is not taken for a new one.
    async fn settled(&self, bus: &Bus) {
        // Whether it came is seen by whoever uses it.
        let _seen = bus.connected(Duration::from_secs(10)).await;
    }

    async fn renew(&self, bus: &Bus) -> Result<UtcMillis, IdentityError> {
        let subject = subject::rpc(self.identity.site(), RpcOp::Renew);
        let kind = Kind::Attest(attest(&self.identity, self.clock.now())?);
        let granted = ask(bus, &subject, kind, &self.identity).await?;
        self.store(&granted)?;
        tracing::info!("the token was renewed");
        Ok(granted.at)
    }

    /// Names new keys to the coordinator and takes them for its own.
    async fn rotate(&self, bus: &Bus) -> Result<(), IdentityError> {
        let next = self.identity.next()?;
        let subject = subject::rpc(self.identity.site(), RpcOp::Renew);
        let kind = rotate(&self.identity, &next, self.clock.now())?;
        let granted = ask(bus, &subject, kind, &self.identity).await?;
        lifetime(&granted.token)?;
        next.store_token(&granted.token)?;
        self.identity.give_way_to(next)?;
        tracing::info!(agent = self.identity.user_key()?, "the agent has new keys");
        Ok(())
    }

    async fn come_back(&self) -> Result<(), IdentityError> {
        let kind = Kind::Attest(attest(&self.identity, self.clock.now())?);
        let granted = ask_as_newcomer(&self.urls, kind, &self.identity).await?;
        self.store(&granted)?;
        tracing::info!("the coordinator knows this agent and gave a new token");
        Ok(())
    }

    fn store(&self, granted: &Granted) -> Result<(), IdentityError> {
        lifetime(&granted.token)?;
        self.identity.store_token(&granted.token)?;
        self.identity.note_used()
    }

    /// The time until the token should be renewed. `at` is the coordinator's time where it is known:
    /// this box's own may be wrong.
    fn due(&self, now: UtcMillis, at: Option<UtcMillis>) -> Duration {
        let half = self
            .identity
            .token()
            .and_then(|token| lifetime(&token).ok()?.half());
        half.map_or(NAP, |half| half.since(at.unwrap_or(now)))
    }
}

/// Whether trying again is of no use: somebody has to act.
const fn is_final(error: &IdentityError) -> bool {
    match error {
        IdentityError::Rpc(error) => matches!(error.code(), ErrorCode::TrustRefused),
        IdentityError::Bus(error) => {
            matches!(error, BusError::Denied { .. })
        }
        IdentityError::File(_)
        | IdentityError::Folder { .. }
        | IdentityError::Damaged(_)
        | IdentityError::Trust(_)
        | IdentityError::Joined(_)
        | IdentityError::Expired(_) => true,
    }
}
