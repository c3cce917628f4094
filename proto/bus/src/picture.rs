//! Pictures on their way: chunks in a stream that takes no more once it is full, so that whoever sends
//! waits; the coordinator takes them out as it stores them.
//!
//! A chunk carries an id of its own in every pass of a picture: a server that has seen an id drops the
//! message, which would lose what the coordinator asks for again.

use std::future::IntoFuture as _;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Config, Stream};
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use async_nats::jetstream::message::{Acker, PublishMessage};
use futures_util::{FutureExt as _, StreamExt as _};
use prost::Message as _;
use tvtfleet_proto::envelope::EnvelopeError;
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::picture::PictureChunk;
use tvtfleet_proto::subject::{self, BLOB_STREAM};
use tvtfleet_proto::wire::v1;

use crate::connect::{Bus, REQUEST_TIMEOUT};
use crate::error::{BusError, MessageError};
use crate::standing::Mark;
use crate::want::publish_error;

const WHAT: &str = "piece of a picture";
/// The consumer's name: pictures are taken in by one coordinator.
const DURABLE: &str = "pictures";
/// The most chunks that the server sends ahead; with chunks of 128 KB this bounds the memory in use.
const AHEAD: usize = 32;
/// After this time without an acknowledgement the server sends a chunk again.
const ACK_WAIT: Duration = Duration::from_secs(60);
/// How long one request for chunks stands at the server.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// The server's sign of life while there are no chunks.
const PULL_HEARTBEAT: Duration = Duration::from_secs(10);

/// Publishes a chunk and waits until the stream has it. `pass` tells one sending of a picture from the
/// next.
///
/// # Errors
///
/// `bus.stream` where the stream is full or missing, `bus.unreachable`, `bus.timeout`, `bus.denied`.
pub async fn publish_chunk(
    bus: &Bus,
    site: &SiteId,
    chunk: PictureChunk,
    pass: u64,
) -> Result<(), BusError> {
    if !bus.is_connected() {
        return Err(BusError::Disconnected);
    }
    let subject = subject::blob(site);
    let id = format!("{site}-{}-{}-{pass:x}", chunk.digest, chunk.offset);
    let body = v1::PictureChunk::from(chunk).encode_to_vec();
    let message = PublishMessage::build().payload(body.into()).message_id(id);
    let mark = bus.standing.mark();
    let failed = |error| publish_error(BLOB_STREAM, WHAT, error);
    let sent = bus.jetstream.send_publish(subject.clone(), message).await;
    let sent = sent.map_err(failed)?;
    tokio::select! {
        biased;
        stored = sent.into_future() => stored.map(drop).map_err(failed),
        error = bus.standing.broken(mark, &subject) => Err(error),
        () = tokio::time::sleep(REQUEST_TIMEOUT) => Err(BusError::Timeout { what: WHAT }),
    }
}

/// A chunk that came out of the stream, or something that is none.
pub struct ArrivedChunk {
    /// The site that the subject names, and the chunk.
    pub chunk: Result<(SiteId, PictureChunk), MessageError>,
    acker: Acker,
}

impl std::fmt::Debug for ArrivedChunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArrivedChunk").finish_non_exhaustive()
    }
}

impl ArrivedChunk {
    /// Lets the stream forget the chunk: it is on the disk, or of no use. Where the word is lost, the
    /// chunk comes again.
    pub async fn done(&self) {
        if let Err(error) = self.acker.ack().await {
            tracing::debug!(%error, "a piece of a picture was not acknowledged");
        }
    }
}

/// Takes chunks out of the stream.
pub struct ChunkConsumer {
    bus: Bus,
    opened: Mark,
    stream: Stream,
}

impl std::fmt::Debug for ChunkConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkConsumer").finish_non_exhaustive()
    }
}

impl ChunkConsumer {
    /// Begins. Whatever consumer there was is replaced: it would hold back what it had sent.
    ///
    /// # Errors
    ///
    /// `bus.stream` where the stream is missing or takes no consumer, `bus.unreachable`.
    pub async fn open(bus: &Bus) -> Result<Self, BusError> {
        if !bus.is_connected() {
            return Err(BusError::Disconnected);
        }
        let opened = bus.standing.mark();
        let refused = |what: &str, error: &dyn std::fmt::Display| BusError::Stream {
            stream: BLOB_STREAM.to_owned(),
            reason: format!("{what}: {error}"),
        };
        // Mostly it is not there.
        let _gone = bus
            .jetstream
            .delete_consumer_from_stream(DURABLE, BLOB_STREAM)
            .await;
        let config = Config {
            durable_name: Some(DURABLE.to_owned()),
            description: Some("stores pictures".to_owned()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: i64::try_from(AHEAD).unwrap_or(1),
            ..Config::default()
        };
        let consumer: Consumer<Config> = bus
            .jetstream
            .create_consumer_on_stream(config, BLOB_STREAM)
            .await
            .map_err(|error| refused("no consumer", &error))?;
        let stream = consumer
            .stream()
            .max_messages_per_batch(AHEAD)
            .expires(PULL_EXPIRES)
            .heartbeat(PULL_HEARTBEAT)
            .messages()
            .await
            .map_err(|error| refused("no chunks", &error))?;
        Ok(Self {
            bus: bus.clone(),
            opened,
            stream,
        })
    }

    /// Waits for chunks and returns those that have come, up to `max`.
    ///
    /// # Errors
    ///
    /// `bus.stream` or `bus.unreachable`: drop this consumer and open another one.
    pub async fn next(&mut self, max: usize) -> Result<Vec<ArrivedChunk>, BusError> {
        let mut next = Some(tokio::select! {
            biased;
            error = self.bus.standing.lost(self.opened) => return Err(error),
            first = self.stream.next() => first,
        });
        let mut arrived = Vec::new();
        while let Some(item) = next {
            let broken = |reason: String| BusError::Stream {
                stream: BLOB_STREAM.to_owned(),
                reason,
            };
            let message = item
                .ok_or_else(|| broken("the consumer has ended".to_owned()))?
                .map_err(|error| broken(error.to_string()))?;
            let (message, acker) = message.split();
            arrived.push(ArrivedChunk {
                chunk: read(&message.subject, &message.payload),
                acker,
            });
            next = if arrived.len() < max {
                self.stream.next().now_or_never()
            } else {
                None
            };
        }
        Ok(arrived)
    }
}

fn read(subject: &str, body: &[u8]) -> Result<(SiteId, PictureChunk), MessageError> {
    let Some(site) = subject::parse_blob(subject) else {
        return Err(MessageError::Subject {
            subject: subject.chars().take(120).collect(),
        });
    };
    let wire = v1::PictureChunk::decode(body)
        .map_err(|error| EnvelopeError::Protobuf(error.to_string()))?;
    Ok((site, PictureChunk::try_from(wire)?))
}
