//! Publishing batches of an agent's outbox.
//!
//! An acknowledgement means that the stream has the batch, not that the coordinator does: the agent
//! keeps it until the coordinator's watermark passes it. The window of batches in flight is the
//! caller's; after the first error it drops the window and sends again from the oldest one that is
//! not acknowledged, under the same message ids.

use std::future::{Future, IntoFuture as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use async_nats::header::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use nkeys::KeyPair;
use tokio::time::Instant;
use tracing::Instrument as _;
use tvtfleet_proto::envelope::{self, BODY_MAX};
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::want::{Lane, OutBatch};
use tvtfleet_proto::subject::{self, OUT_STREAM};
use tvtfleet_proto::wire::v1;

use crate::attribute;
use crate::connect::{Bus, REQUEST_TIMEOUT};
use crate::error::{BusError, MessageError};
use crate::streams::OUT_MESSAGE_MAX;
use crate::trace;
use crate::trust::{TrustError, prove_batch};
use crate::want::publish_error;

const WHAT: &str = "batch of results";
/// Room for the headers in a message of the largest size.
const HEADERS_MAX: usize = 2 * 1024;
/// The largest sealed batch, in bytes. Agents seal at about 64 KB.
pub const BATCH_MAX: usize = OUT_MESSAGE_MAX - HEADERS_MAX;

/// A sealed batch, ready to be published as often as it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The site that sends it.
    pub site: SiteId,
    /// The lane it travels in.
    pub lane: Lane,
    /// The id by which the server drops repetitions; [`OutBatch::message_id`].
    pub message_id: String,
    /// The sealed batch: what the spool keeps.
    pub body: Bytes,
    /// The trace it belongs to, a W3C `traceparent`; empty where there is none.
    pub traceparent: String,
    /// The agent's signature over it; empty from agents without keys.
    pub signature: Vec<u8>,
}

/// The header with the signature of a batch, in base64.
pub(crate) const SIGNATURE_HEADER: &str = "Tvt-Signature";
/// Bytes of a signature that are part of its message's id.
const SIGNATURE_SHOWN: usize = 8;

impl Outgoing {
    /// Seals a batch.
    #[must_use]
    pub fn seal(batch: &OutBatch, traceparent: String) -> Self {
        let body = envelope::seal(&v1::OutBatch::from(batch.clone()));
        Self {
            body: body.into(),
            ..Self::head(batch, traceparent)
        }
    }

    /// Reads back a batch that was sealed before, from the spool.
    ///
    /// # Errors
    ///
    /// `message.invalid` or `message.version` where the spool's bytes are damaged or newer.
    pub fn reopen(body: Bytes) -> Result<(Self, OutBatch), MessageError> {
        let batch = OutBatch::try_from(envelope::open::<v1::OutBatch>(&body, BODY_MAX)?)?;
        Ok((
            Self {
                body,
                ..Self::head(&batch, String::new())
            },
            batch,
        ))
    }

    /// Signs it with the agent's key. Another signature makes another message, so that the server drops
    /// neither for the other.
    ///
    /// # Errors
    ///
    /// `trust.invalid` where the key has no seed.
    pub fn signed(mut self, key: &KeyPair) -> Result<Self, TrustError> {
        self.signature = prove_batch(key, &self.site, &self.body)?;
        let shown = self.signature.iter().take(SIGNATURE_SHOWN);
        let shown: String = shown.map(|byte| format!("{byte:02x}")).collect();
        self.message_id = format!("{}-{shown}", self.message_id);
        Ok(self)
    }

    fn head(batch: &OutBatch, traceparent: String) -> Self {
        Self {
            site: batch.site.clone(),
            lane: batch.lane(),
            message_id: batch.message_id(),
            body: Bytes::new(),
            traceparent,
            signature: Vec::new(),
        }
    }
}

/// What the stream says to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutAck {
    /// Its sequence number in the stream.
    pub stream_sequence: u64,
    /// Whether the stream had it already, which is as good.
    pub duplicate: bool,
}

/// Publishes batches to the stream of results.
#[derive(Clone, Debug)]
pub struct OutPublisher {
    bus: Bus,
}

impl OutPublisher {
    /// Publishes over `bus`.
    #[must_use]
    pub fn new(bus: &Bus) -> Self {
        Self { bus: bus.clone() }
    }

    /// Sends a batch; the returned future waits for the acknowledgement. Its time runs from now on,
    /// not from when it is first polled, so a window of lost ones ends all at once.
    ///
    /// # Errors
    ///
    /// `bus.unreachable` while there is no connection (wait for [`Bus::connected`]), `bus.timeout`
    /// where too many batches are in flight, `message.too_large` above [`BATCH_MAX`], which no
    /// repetition heals.
    pub async fn publish(&self, outgoing: &Outgoing) -> Result<PendingAck, BusError> {
        let size = outgoing.body.len();
        if size > BATCH_MAX {
            return Err(BusError::TooLarge {
                what: WHAT,
                size,
                limit: BATCH_MAX,
            });
        }
        if !self.bus.is_connected() {
            return Err(BusError::Disconnected);
        }
        let subject = subject::out(&outgoing.site, outgoing.lane);
        let span = attribute::publish_span(&subject, &outgoing.message_id);
        // The batch may have been sealed long ago.
        trace::RemoteContext::from_traceparent(&outgoing.traceparent).link(&span);
        let mut headers = HeaderMap::new();
        trace::inject(&span, &mut headers);
        if headers.is_empty() {
            trace::inject_stored(&outgoing.traceparent, &mut headers);
        }
        if !outgoing.signature.is_empty() {
            headers.insert(SIGNATURE_HEADER, BASE64.encode(&outgoing.signature));
        }
        let message = PublishMessage::build()
            .headers(headers)
            .payload(outgoing.body.clone())
            .message_id(&outgoing.message_id);
        let mark = self.bus.standing.mark();
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        let sent = self
            .bus
            .out
            .send_publish(subject.clone(), message)
            .await
            .map_err(|error| publish_error(OUT_STREAM, WHAT, error))
            .inspect_err(|error| attribute::failed(&span, error.code()))?;
        let bus = self.bus.clone();
        let waiting = async move {
            let stored = tokio::select! {
                biased;
                stored = sent.into_future() => stored.map_err(|error| publish_error(OUT_STREAM, WHAT, error)),
                error = bus.standing.broken(mark, &subject) => Err(error),
                () = tokio::time::sleep_until(deadline) => Err(BusError::Timeout { what: WHAT }),
            };
            match stored {
                Ok(ack) => Ok(OutAck {
                    stream_sequence: ack.sequence,
                    duplicate: ack.duplicate,
                }),
                Err(error) => {
                    attribute::failed(&tracing::Span::current(), error.code());
                    Err(error)
                }
            }
        };
        Ok(PendingAck(Box::pin(waiting.instrument(span))))
    }
}

/// A batch on its way.
///
/// Resolves to the acknowledgement, or to `bus.timeout`, `bus.unreachable` where the connection was
/// lost, `bus.denied` where the subject is refused, `bus.stream` where the stream is missing or full.
#[must_use = "only an acknowledgement counts"]
pub struct PendingAck(Pin<Box<dyn Future<Output = Result<OutAck, BusError>> + Send>>);

impl std::fmt::Debug for PendingAck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PendingAck").finish()
    }
}

impl Future for PendingAck {
    type Output = Result<OutAck, BusError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}
