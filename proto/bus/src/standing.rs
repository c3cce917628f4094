//! How the connection stands, learnt from the client's events.
//!
//! async-nats tells of lost connections, refused logins and refused subjects only through events: a
//! request under a refused subject merely times out. What waits for an answer therefore waits on
//! [`Standing::broken`] as well, and fails at once with the reason.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_nats::{ClientError, Event, ServerError};
use tokio::sync::watch;

use crate::error::BusError;

/// How many refused subjects are remembered for requests that are under way.
const DENIALS_KEPT: usize = 32;
/// The longest text of a refusal that is kept, in characters.
const REASON_MAX: usize = 300;

/// Whether the server can be used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusState {
    /// It can.
    Connected,
    /// The connection is down; the client keeps trying.
    Disconnected,
    /// The server refuses the credentials; the client keeps trying. Holds the server's words.
    Denied(String),
}

/// A point in time to which [`Standing::broken`] compares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    losses: u64,
    denials: u64,
}

/// The state of the connection and what went wrong lately.
#[derive(Debug)]
pub(crate) struct Standing {
    state: watch::Sender<BusState>,
    trouble: watch::Sender<Trouble>,
    connected_before: AtomicBool,
    overflows: AtomicU64,
}

#[derive(Debug, Default)]
struct Trouble {
    /// How often the connection was lost.
    losses: u64,
    /// How many refusals of a subject there were.
    denials: u64,
    /// The last refusals with their numbers, oldest first.
    recent: VecDeque<(u64, String)>,
}

impl Standing {
    pub(crate) fn new() -> Self {
        Self {
            state: watch::Sender::new(BusState::Disconnected),
            trouble: watch::Sender::new(Trouble::default()),
            connected_before: AtomicBool::new(false),
            overflows: AtomicU64::new(0),
        }
    }

    pub(crate) fn state(&self) -> watch::Receiver<BusState> {
        self.state.subscribe()
    }

    pub(crate) fn is_connected(&self) -> bool {
        *self.state.borrow() == BusState::Connected
    }

    /// Whether there has been a connection at all: the first try need not wait.
    pub(crate) fn connected_before(&self) -> bool {
        self.connected_before.load(Ordering::Relaxed)
    }

    /// How often a subscription was too slow and lost messages.
    pub(crate) fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }

    pub(crate) fn take_event(&self, event: Event) {
        match event {
            Event::Connected => {
                tracing::info!("connected to the NATS server");
                self.connected_before.store(true, Ordering::Relaxed);
                self.enter(BusState::Connected);
            }
            Event::Disconnected | Event::Closed => {
                tracing::info!("disconnected from the NATS server");
                self.enter(BusState::Disconnected);
                self.trouble
                    .send_modify(|trouble| trouble.losses = trouble.losses.saturating_add(1));
            }
            Event::Draining => {}
            Event::LameDuckMode => tracing::info!("the NATS server is about to stop"),
            Event::SlowConsumer(subscription) => {
                self.overflows.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    subscription,
                    "a subscription was too slow and lost messages"
                );
            }
            Event::ServerError(ServerError::AuthorizationViolation) => {
                self.refuse("authorization violation");
            }
            Event::ServerError(ServerError::SlowConsumer(_)) => {
                tracing::warn!("the NATS server calls this client a slow consumer");
            }
            Event::ServerError(ServerError::Other(text)) => self.take_server_error(&text),
            Event::ClientError(ClientError::Other(text)) => self.take_client_error(&text),
            Event::ClientError(error) => tracing::warn!(%error, "NATS client"),
        }
    }

    fn take_server_error(&self, text: &str) {
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("permissions violation") {
            tracing::error!(reason = %cut(text), "the NATS server refuses a subject");
            self.trouble.send_modify(|trouble| trouble.note(cut(text)));
        } else if lower.contains("authentication") || lower.contains("authorization") {
            // "User Authentication Expired", "... Revoked": the connection ends right after.
            self.refuse(text);
        } else {
            tracing::warn!(reason = %cut(text), "NATS server");
        }
    }

    fn take_client_error(&self, text: &str) {
        if text.to_ascii_lowercase().contains("authorization") {
            self.refuse(text);
        } else {
            tracing::debug!(reason = %cut(text), "no connection to the NATS server yet");
        }
    }

    fn refuse(&self, reason: &str) {
        let reason = cut(reason);
        if self.enter(BusState::Denied(reason.clone())) {
            tracing::error!(%reason, "the NATS server refuses the credentials");
        }
    }

    fn enter(&self, next: BusState) -> bool {
        self.state.send_if_modified(|state| {
            let changed = *state != next;
            *state = next;
            changed
        })
    }

    pub(crate) fn mark(&self) -> Mark {
        let trouble = self.trouble.borrow();
        Mark {
            losses: trouble.losses,
            denials: trouble.denials,
        }
    }

    /// Waits until, after `mark`, the connection is lost or the server refuses `subject`.
    pub(crate) async fn broken(&self, mark: Mark, subject: &str) -> BusError {
        let mut trouble = self.trouble.subscribe();
        let seen = trouble
            .wait_for(|trouble| trouble.error(mark, subject).is_some())
            .await;
        // The sender lives in `self`, so the channel cannot be closed.
        seen.ok()
            .and_then(|trouble| trouble.error(mark, subject))
            .unwrap_or(BusError::Disconnected)
    }

    /// Waits until, after `mark`, the connection is lost.
    pub(crate) async fn lost(&self, mark: Mark) -> BusError {
        let mut trouble = self.trouble.subscribe();
        // The sender lives in `self`, so the channel cannot be closed.
        drop(
            trouble
                .wait_for(|trouble| trouble.losses > mark.losses)
                .await,
        );
        BusError::Disconnected
    }

    /// Waits until, after `mark`, the server refuses `subject`; lost connections do not matter.
    pub(crate) async fn refused(&self, mark: Mark, subject: &str) -> String {
        let mut trouble = self.trouble.subscribe();
        let seen = trouble
            .wait_for(|trouble| trouble.denial(mark, subject).is_some())
            .await;
        let reason = seen
            .ok()
            .and_then(|trouble| trouble.denial(mark, subject).map(str::to_owned));
        reason.unwrap_or_default()
    }
}

impl Trouble {
    fn note(&mut self, reason: String) {
        self.denials = self.denials.saturating_add(1);
        if self.recent.len() == DENIALS_KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back((self.denials, reason));
    }

    fn denial(&self, mark: Mark, subject: &str) -> Option<&str> {
        let quoted = format!("\"{subject}\"");
        self.recent
            .iter()
            .find(|(number, reason)| *number > mark.denials && reason.contains(&quoted))
            .map(|(_, reason)| reason.as_str())
    }

    fn error(&self, mark: Mark, subject: &str) -> Option<BusError> {
        self.denial(mark, subject)
            .map(|reason| BusError::Denied {
                reason: reason.to_owned(),
            })
            .or_else(|| (self.losses > mark.losses).then_some(BusError::Disconnected))
    }
}

fn cut(text: &str) -> String {
    text.chars().take(REASON_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::error::ErrorCode;

    fn server_error(text: &str) -> Event {
        Event::ServerError(ServerError::Other(text.to_owned()))
    }

    #[tokio::test]
    async fn a_refused_subject_breaks_only_its_own_requests() {
        let standing = Standing::new();
        let before = standing.mark();
        standing.take_event(server_error("Permissions Violation for Publish to \"a.b\""));
        let error = standing.broken(before, "a.b").await;
        assert_eq!(error.code(), ErrorCode::BusDenied);
        assert!(standing.trouble.borrow().error(before, "a.c").is_none());
        assert!(
            standing
                .trouble
                .borrow()
                .error(standing.mark(), "a.b")
                .is_none(),
            "old refusals do not count"
        );
    }

    #[tokio::test]
    async fn a_lost_connection_breaks_everything_under_way() {
        let standing = Standing::new();
        standing.take_event(Event::Connected);
        let before = standing.mark();
        standing.take_event(Event::Disconnected);
        assert_eq!(
            standing.broken(before, "a").await.code(),
            ErrorCode::BusUnreachable
        );
        assert!(!standing.is_connected());
    }

    #[test]
    fn refused_credentials_show_until_the_server_takes_them() {
        let standing = Standing::new();
        standing.take_event(Event::Connected);
        standing.take_event(server_error("User Authentication Expired"));
        standing.take_event(Event::Disconnected);
        standing.take_event(Event::ClientError(ClientError::Other(
            "authorization violation".into(),
        )));
        assert_eq!(
            *standing.state().borrow(),
            BusState::Denied("authorization violation".into())
        );
        standing.take_event(Event::Connected);
        assert!(standing.is_connected());
    }

    #[test]
    fn refusals_are_bounded() {
        let mut trouble = Trouble::default();
        for number in 0..1_000 {
            trouble.note(cut(&format!("{number} {}", "x".repeat(5_000))));
        }
        assert_eq!(trouble.recent.len(), DENIALS_KEPT);
        assert!(
            trouble
                .recent
                .iter()
                .all(|(_, reason)| reason.len() <= REASON_MAX)
        );
    }
}
