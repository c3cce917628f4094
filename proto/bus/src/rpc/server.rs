//! The answering side.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use async_nats::header::HeaderMap;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use prost::Message;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use tvtfleet_proto::envelope::{self, BODY_MAX};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::wire::v1;

use crate::attribute;
use crate::connect::Bus;
use crate::error::{BusError, MessageError};
use crate::trace::RemoteContext;

use super::{ERROR_HEADER, NOTE_HEADER, NOTE_MAX};

/// How long answers that are being worked out may take once a stop is asked for.
const DRAIN: Duration = Duration::from_secs(10);
/// Where replies may go: inboxes, and what the server makes of them between accounts. The asker
/// chooses the reply subject, and must not be able to write into streams with the coordinator's
/// rights.
const REPLY_PREFIXES: [&str; 2] = ["_INBOX.", "_R_."];
/// Bytes of headers around a reply's body.
const REPLY_HEADERS_MAX: usize = 512;

/// A request that has come in.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its subject. Says who asks only as far as the server's permissions do.
    pub subject: String,
    /// The sealed request.
    pub body: Bytes,
    /// The asker's trace; the handler runs in a child span of it.
    pub context: RemoteContext,
}

impl Call {
    /// Opens the request.
    ///
    /// # Errors
    ///
    /// `message.invalid`, `message.version` or `message.too_large`, as the refusal to answer with.
    pub fn open<M: Message + Default>(&self) -> Result<M, ApiError> {
        envelope::open(&self.body, BODY_MAX).map_err(|error| refuse(&MessageError::from(error)))
    }
}

/// The refusal of a request that cannot be read.
fn refuse(error: &MessageError) -> ApiError {
    ApiError {
        code: error.code(),
        message: format!("the request cannot be read: {error}"),
        hint: "use the same version of all programs".to_owned(),
    }
}

/// A sealed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    body: Vec<u8>,
    note: Option<String>,
}

impl Reply {
    /// Seals an answer.
    #[must_use]
    pub fn of<M: Message>(message: &M) -> Self {
        Self {
            body: envelope::seal(message),
            note: None,
        }
    }

    /// Adds a sentence for whoever reads the answer, in ASCII and at most [`NOTE_MAX`] characters;
    /// what is more is cut off.
    #[must_use]
    pub fn with_note(mut self, note: String) -> Self {
        let plain = |letter: &char| matches!(letter, ' '..='~');
        self.note = Some(note.chars().filter(plain).take(NOTE_MAX).collect());
        self
    }
}

/// Answers the requests under one pattern of subjects.
#[derive(Debug)]
pub struct Server {
    bus: Bus,
    pattern: String,
    subscriber: Subscriber,
    concurrency: usize,
}

impl Server {
    /// Subscribes to `pattern` in the queue group `queue`. Once it returns, the server knows.
    /// Requests beyond `concurrency` wait their turn.
    ///
    /// # Errors
    ///
    /// `bus.unreachable`, `bus.denied` or `bus.timeout`.
    pub async fn open(
        bus: &Bus,
        pattern: &str,
        queue: &str,
        concurrency: usize,
    ) -> Result<Self, BusError> {
        let subscriber = bus
            .client
            .queue_subscribe(pattern.to_owned(), queue.to_owned())
            .await
            .map_err(|error| BusError::Client {
                what: "a subscription",
                source: error.into(),
            })?;
        bus.round_trip().await?;
        Ok(Self {
            bus: bus.clone(),
            pattern: pattern.to_owned(),
            subscriber,
            concurrency,
        })
    }

    /// Answers until `stop` is cancelled, then waits a few seconds for the answers under way. A
    /// handler that panics gives the answer `internal`.
    ///
    /// # Errors
    ///
    /// `bus.unreachable` where the client has ended.
    pub async fn run<H, F>(mut self, handler: H, stop: CancellationToken) -> Result<(), BusError>
    where
        H: Fn(Call) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let permits = Arc::new(Semaphore::new(self.concurrency));
        let tasks = TaskTracker::new();
        let ended = loop {
            // The permit first: what waits, waits in the subscription, where it is bounded.
            let permit = tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                permit = Arc::clone(&permits).acquire_owned() => permit,
            };
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                message = self.subscriber.next() => message,
            };
            let Some(message) = message else {
                break Err(BusError::Client {
                    what: "a subscription",
                    source: "closed".into(),
                });
            };
            let Some(reply_to) = message.reply.filter(|reply| is_inbox(reply)) else {
                tracing::warn!(pattern = %self.pattern, "request without an inbox to answer to");
                continue;
            };
            let call = Call {
                subject: message.subject.to_string(),
                body: message.payload,
                context: RemoteContext::from_headers(message.headers.as_ref()),
            };
            let (bus, handler) = (self.bus.clone(), Arc::clone(&handler));
            tasks.spawn(async move {
                let answer = answer(call, handler.as_ref()).await;
                send(&bus, reply_to, answer).await;
                drop(permit);
            });
        };
        if self.subscriber.unsubscribe().await.is_err() {
            tracing::debug!(pattern = %self.pattern, "unsubscribed from a closed client");
        }
        tasks.close();
        if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
            tracing::warn!(pattern = %self.pattern, open = tasks.len(), "some requests stay without an answer");
        }
        ended
    }
}

fn is_inbox(reply: &str) -> bool {
    REPLY_PREFIXES
        .iter()
        .any(|prefix| reply.starts_with(prefix))
}

async fn answer<H, F>(call: Call, handler: &H) -> Result<Reply, ApiError>
where
    H: Fn(Call) -> F,
    F: Future<Output = Result<Reply, ApiError>>,
{
    let span = attribute::serve_span(&call.subject);
    call.context.adopt(&span);
    // Nothing that the handler holds is used after a panic.
    let work = AssertUnwindSafe(async { handler(call).await }).catch_unwind();
    let answer = work.instrument(span.clone()).await.unwrap_or_else(|_| {
        tracing::error!(parent: &span, "a request's handler panicked");
        Err(ApiError {
            code: ErrorCode::Internal,
            message: "the coordinator failed at this request".to_owned(),
            hint: "see the coordinator's log".to_owned(),
        })
    });
    if let Err(error) = &answer {
        attribute::failed(&span, error.code);
    }
    answer
}

async fn send(bus: &Bus, reply_to: async_nats::Subject, answer: Result<Reply, ApiError>) {
    let limit = bus.client.max_payload().saturating_sub(REPLY_HEADERS_MAX);
    let answer = answer.and_then(|reply| {
        if reply.body.len() <= limit {
            return Ok(reply);
        }
        tracing::error!(
            size = reply.body.len(),
            limit,
            "an answer is too large to be sent"
        );
        Err(ApiError {
            code: ErrorCode::MessageTooLarge,
            message: format!(
                "the answer of {} bytes is larger than the server takes",
                reply.body.len()
            ),
            hint: "ask for fewer rows at a time".to_owned(),
        })
    });
    let sent = match answer {
        Ok(Reply { body, note: None }) => bus.client.publish(reply_to, body.into()).await,
        Ok(Reply {
            body,
            note: Some(note),
        }) => {
            let mut headers = HeaderMap::new();
            headers.insert(NOTE_HEADER, note.as_str());
            bus.client
                .publish_with_headers(reply_to, headers, body.into())
                .await
        }
        Err(error) => {
            let mut headers = HeaderMap::new();
            headers.insert(ERROR_HEADER, error.code.as_str());
            let body = envelope::seal(&v1::ApiError::from(error));
            bus.client
                .publish_with_headers(reply_to, headers, body.into())
                .await
        }
    };
    if let Err(error) = sent {
        tracing::warn!(%error, "an answer could not be sent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_go_to_inboxes_only() {
        for good in ["_INBOX.abc.def", "_INBOX.UABC.x.y", "_R_.xyz"] {
            assert!(is_inbox(good), "{good}");
        }
        for bad in [
            "tvt.v1.out.a.b.rec",
            "$KV.tvt_want.a.b",
            "$JS.API.x",
            "_INBOXES.a",
            "",
        ] {
            assert!(!is_inbox(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let call = Call {
            subject: "a".into(),
            body: Bytes::new(),
            context: RemoteContext::default(),
        };
        let broken = |_: Call| async { panic!("no") };
        assert_eq!(
            answer(call, &broken).await.unwrap_err().code,
            ErrorCode::Internal
        );
    }
}
