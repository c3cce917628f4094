//! Reading the stream of results, in order, from where the coordinator's database stands.
//!
//! The database's cursor decides where reading begins; the server's consumer is made anew each time
//! and its acknowledgements only tell the server how far we are. After any error the consumer is
//! dropped and opened again: the sequence numbers inside the batches sort out what came twice. A lost
//! connection counts as an error, because the client's own recovery of a pull may take half a minute.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull::{Config, Stream};
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, ReplayPolicy};
use async_nats::jetstream::message::Acker;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tvtfleet_proto::envelope::{self, BODY_MAX};
use tvtfleet_proto::model::want::OutBatch;
use tvtfleet_proto::subject::{self, OUT_STREAM};
use tvtfleet_proto::wire::v1;

use crate::connect::{Bus, REQUEST_TIMEOUT};
use crate::error::{BusError, MessageError};
use crate::publish::SIGNATURE_HEADER;
use crate::standing::Mark;
use crate::streams;
use crate::trace::RemoteContext;

/// The most messages that the server sends ahead. With messages of up to 512 KB this bounds the
/// memory in use.
const AHEAD: usize = 128;
/// The most messages that may wait for an acknowledgement; beyond it the server sends no more.
const UNACKNOWLEDGED_MAX: i64 = 4_096;
/// After this time without an acknowledgement the server would send a message again. Applying a
/// batch takes far less.
const ACK_WAIT: Duration = Duration::from_secs(120);
/// How long one request for messages stands at the server.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// The server's sign of life while there are no messages.
const PULL_HEARTBEAT: Duration = Duration::from_secs(10);
/// The longest foreign subject that is kept for a report, in characters.
const SUBJECT_SHOWN: usize = 120;

/// The longest text of a signature that is looked at, in bytes.
const SIGNATURE_TEXT_MAX: usize = 256;

/// Which stream it is: a stream that was lost and made again is another one, and cursors into the
/// old one mean nothing. Nanoseconds since 1970 of its making, as the server tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamGeneration(pub i64);

/// Where to begin reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The stream that [`Self::after`] belongs to.
    pub generation: StreamGeneration,
    /// The last sequence number of the stream that has been applied; 0 is none.
    pub after: u64,
}

/// One message of the stream.
#[derive(Clone, Debug)]
pub struct OutMessage {
    /// Its sequence number in the stream.
    pub stream_sequence: u64,
    /// The subject under which it was stored.
    pub subject: String,
    /// The sender's trace, for a link.
    pub context: RemoteContext,
    /// The batch, whose site is the subject's; or why it is of no use.
    pub batch: Result<OutBatch, MessageError>,
    /// The body as it came, for the quarantine.
    pub raw: Bytes,
    /// The signature that came with it; empty where there is none that can be read.
    pub signature: Vec<u8>,
}

/// Tells which stream of results there is now.
///
/// # Errors
///
/// `bus.stream` where there is none, `bus.timeout`.
pub async fn stream_generation(bus: &Bus) -> Result<StreamGeneration, BusError> {
    Ok(generation_of(&found(bus).await?))
}

/// Reads the stream of results. One per durable name.
pub struct OutConsumer {
    bus: Bus,
    opened: Mark,
    generation: StreamGeneration,
    stream: Stream,
    unacknowledged: VecDeque<(u64, Acker)>,
}

impl std::fmt::Debug for OutConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutConsumer")
            .field("generation", &self.generation)
            .field("unacknowledged", &self.unacknowledged.len())
            .finish_non_exhaustive()
    }
}

impl OutConsumer {
    /// Begins reading after `position`, under the durable name `durable`, which must be this
    /// coordinator's own: whatever consumer has that name is replaced.
    ///
    /// Where the stream is another one than `position` says, reading begins at the stream's start;
    /// compare [`Self::generation`].
    ///
    /// # Errors
    ///
    /// `bus.stream` where the stream is missing or takes no consumer, `bus.timeout`.
    pub async fn open(bus: &Bus, durable: &str, position: Position) -> Result<Self, BusError> {
        let opened = bus.standing.mark();
        let info = found(bus).await?;
        let generation = generation_of(&info);
        let after = if generation == position.generation {
            position.after
        } else {
            0
        };
        // A server that lost its newest messages gives their numbers to others.
        let after = after.min(info.state.last_sequence);
        if after != position.after {
            tracing::warn!(
                cursor = position.after,
                begin = after,
                "the stream of results is not the one that was read"
            );
        }
        if after != 0 && info.state.first_sequence > after.saturating_add(1) {
            tracing::warn!(
                cursor = after,
                first = info.state.first_sequence,
                "results were evicted before they were read"
            );
        }
        let refused = |what: &str, error: &dyn std::fmt::Display| BusError::Stream {
            stream: OUT_STREAM.to_owned(),
            reason: format!("{what}: {error}"),
        };
        // An old consumer would hold back what it sent and nobody acknowledged until ACK_WAIT is over.
        // It usually is not there, and if removing it fails, so does making it anew.
        let removed = bus
            .jetstream
            .delete_consumer_from_stream(durable, OUT_STREAM)
            .await
            .is_ok();
        tracing::debug!(durable, removed, after, "opening the stream of results");
        let consumer: Consumer<Config> = bus
            .jetstream
            .create_consumer_on_stream(config(durable, after), OUT_STREAM)
            .await
            .map_err(|error| refused("no consumer", &error))?;
        let stream = consumer
            .stream()
            .max_messages_per_batch(AHEAD)
            .expires(PULL_EXPIRES)
            .heartbeat(PULL_HEARTBEAT)
            .messages()
            .await
            .map_err(|error| refused("no messages", &error))?;
        Ok(Self {
            bus: bus.clone(),
            opened,
            generation,
            stream,
            unacknowledged: VecDeque::new(),
        })
    }

    /// Which stream is being read.
    #[must_use]
    pub const fn generation(&self) -> StreamGeneration {
        self.generation
    }

    /// Waits for messages, `wait` at most, and returns those that have come, up to `max`. May be
    /// dropped at any time without loss. What cannot be read is in the result too, as an error.
    ///
    /// # Errors
    ///
    /// `bus.stream` or `bus.unreachable`: drop this consumer and open another one.
    pub async fn next_batch(
        &mut self,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<OutMessage>, BusError> {
        let mut batch = Vec::new();
        let first = tokio::select! {
            biased;
            error = self.bus.standing.lost(self.opened) => return Err(error),
            first = self.stream.next() => first,
            () = tokio::time::sleep(wait) => return Ok(batch),
        };
        let mut next = Some(first);
        while let Some(item) = next {
            let broken = |reason: String| BusError::Stream {
                stream: OUT_STREAM.to_owned(),
                reason,
            };
            let message = item
                .ok_or_else(|| broken("the consumer has ended".to_owned()))?
                .map_err(|error| broken(error.to_string()))?;
            batch.push(self.take(message)?);
            // From here on only what is there already: nothing is lost when the caller goes away.
            next = if batch.len() < max {
                self.stream.next().now_or_never()
            } else {
                None
            };
        }
        Ok(batch)
    }

    /// Tells the server that everything up to `stream_sequence` has been applied. Waits for its
    /// confirmation. Nothing depends on it but the server's own view of our lag.
    ///
    /// # Errors
    ///
    /// `bus.timeout`.
    pub async fn ack_through(&mut self, stream_sequence: u64) -> Result<(), BusError> {
        let upto = self
            .unacknowledged
            .partition_point(|(sequence, _)| *sequence <= stream_sequence);
        let Some((_, acker)) = self.unacknowledged.drain(..upto).next_back() else {
            return Ok(());
        };
        acker.double_ack().await.map_err(|error| {
            tracing::debug!(%error, stream_sequence, "acknowledgement not confirmed");
            BusError::Timeout {
                what: "an acknowledgement",
            }
        })
    }

    fn take(&mut self, message: async_nats::jetstream::Message) -> Result<OutMessage, BusError> {
        let stream_sequence =
            message
                .info()
                .map(|info| info.stream_sequence)
                .map_err(|source| BusError::Client {
                    what: "a message's reply subject",
                    source,
                })?;
        let (message, acker) = message.split();
        // Sent again after ACK_WAIT: the newer reply subject is the one to answer.
        if self
            .unacknowledged
            .back()
            .is_none_or(|(last, _)| *last < stream_sequence)
        {
            self.unacknowledged.push_back((stream_sequence, acker));
        }
        Ok(OutMessage {
            stream_sequence,
            context: RemoteContext::from_headers(message.headers.as_ref()),
            signature: signature_of(message.headers.as_ref()),
            batch: open(&message.subject, &message.payload),
            subject: message.subject.to_string(),
            raw: message.payload,
        })
    }
}

fn config(durable: &str, after: u64) -> Config {
    Config {
        durable_name: Some(durable.to_owned()),
        description: Some("applies results to the coordinator's database".to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: after.saturating_add(1),
        },
        ack_policy: AckPolicy::All,
        ack_wait: ACK_WAIT,
        max_ack_pending: UNACKNOWLEDGED_MAX,
        replay_policy: ReplayPolicy::Instant,
        ..Config::default()
    }
}

async fn found(bus: &Bus) -> Result<async_nats::jetstream::stream::Info, BusError> {
    if !bus.is_connected() {
        return Err(BusError::Disconnected);
    }
    let missing = || BusError::Stream {
        stream: OUT_STREAM.to_owned(),
        reason: "it does not exist".to_owned(),
    };
    // The client bounds the request itself; this bounds a client that is stuck.
    tokio::time::timeout(
        REQUEST_TIMEOUT.saturating_mul(2),
        streams::info(bus, OUT_STREAM),
    )
    .await
    .map_err(|_| BusError::Timeout {
        what: "a stream information request",
    })??
    .ok_or_else(missing)
}

pub(crate) fn generation_of(info: &async_nats::jetstream::stream::Info) -> StreamGeneration {
    StreamGeneration(i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or(i64::MAX))
}

fn signature_of(headers: Option<&HeaderMap>) -> Vec<u8> {
    let text = headers.and_then(|headers| headers.get(SIGNATURE_HEADER));
    let text = text
        .map(|text| text.as_str())
        .filter(|text| text.len() <= SIGNATURE_TEXT_MAX);
    text.and_then(|text| BASE64.decode(text).ok())
        .unwrap_or_default()
}

fn open(subject: &str, body: &[u8]) -> Result<OutBatch, MessageError> {
    let Some((site, _)) = subject::parse_out(subject) else {
        return Err(MessageError::Subject {
            subject: subject.chars().take(SUBJECT_SHOWN).collect(),
        });
    };
    let batch = OutBatch::try_from(envelope::open::<v1::OutBatch>(body, BODY_MAX)?)?;
    if batch.site == site {
        Ok(batch)
    } else {
        Err(MessageError::Site {
            expected: site,
            found: batch.site,
        })
    }
}
