//! The log: declared, written with a check of its end, and read in order.

use std::future::IntoFuture as _;
use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use futures_util::{FutureExt as _, StreamExt as _};
use tvtfleet_proto::envelope::{self, BODY_MAX};
use tvtfleet_proto::model::replica::LogEntry;
use tvtfleet_proto::subject::{REPLICA_LOG, REPLICA_LOG_STREAM, SNAPSHOT_ALL, SNAPSHOT_STREAM};
use tvtfleet_proto::wire::v1;

use crate::connect::{Bus, REQUEST_TIMEOUT};
use crate::consume::StreamGeneration;
use crate::error::BusError;
use crate::streams::{self, Declarations};
use crate::want::publish_error;

const WHAT: &str = "an entry of the log";
/// How long the log is kept; a replica that was away for longer starts from a snapshot.
const LOG_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// The server knows the names of messages for this long; entries have none.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(60);
/// The largest message: a part of a transaction that does not pack, and what is around it.
const MESSAGE_MAX: i32 = 768 * 1024;

/// Makes sure that the streams of log and snapshots are there.
///
/// # Errors
///
/// As [`streams::ensure`].
pub async fn ensure(bus: &Bus, declarations: &Declarations) -> Result<(), BusError> {
    let common = Config {
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        max_messages: -1,
        max_message_size: MESSAGE_MAX,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: declarations.replicas.count(),
        allow_direct: true,
        ..Config::default()
    };
    let log = Config {
        name: REPLICA_LOG_STREAM.to_owned(),
        description: Some("changes of the leading coordinator's database".to_owned()),
        subjects: vec![REPLICA_LOG.to_owned()],
        max_bytes: i64::try_from(declarations.log_max_bytes).unwrap_or(i64::MAX),
        max_age: LOG_AGE,
        // What is gone is in the next snapshot.
        discard: DiscardPolicy::Old,
        ..common.clone()
    };
    let snapshots = Config {
        name: SNAPSHOT_STREAM.to_owned(),
        description: Some("copies of the leading coordinator's database".to_owned()),
        subjects: vec![SNAPSHOT_ALL.to_owned()],
        max_bytes: -1,
        max_messages_per_subject: 1,
        discard: DiscardPolicy::Old,
        ..common
    };
    streams::ensure_one(bus, &log).await?;
    streams::ensure_one(bus, &snapshots).await?;
    Ok(())
}

/// What the server says of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogState {
    /// Which stream it is.
    pub generation: StreamGeneration,
    /// The position of the oldest entry.
    pub first: u64,
    /// The position of the newest; 0 is none yet.
    pub last: u64,
}

/// Looks at the log.
///
/// # Errors
///
/// `bus.stream` where it is missing, `bus.timeout`, `bus.unreachable`.
pub async fn state(bus: &Bus) -> Result<LogState, BusError> {
    if !bus.is_connected() {
        return Err(BusError::Disconnected);
    }
    let missing = || BusError::Stream {
        stream: REPLICA_LOG_STREAM.to_owned(),
        reason: "it does not exist".to_owned(),
    };
    let limit = REQUEST_TIMEOUT.saturating_mul(2);
    let info = tokio::time::timeout(limit, streams::info(bus, REPLICA_LOG_STREAM))
        .await
        .map_err(|_| BusError::Timeout {
            what: "a stream information request",
        })??
        .ok_or_else(missing)?;
    Ok(LogState {
        generation: crate::consume::generation_of(&info),
        first: info.state.first_sequence,
        last: info.state.last_sequence,
    })
}

/// Writes to the log, as long as nobody else does.
#[derive(Debug)]
pub struct LogWriter {
    bus: Bus,
    last: u64,
}

impl LogWriter {
    /// Writes after the position `last`.
    #[must_use]
    pub fn new(bus: &Bus, last: u64) -> Self {
        Self {
            bus: bus.clone(),
            last,
        }
    }

    /// The position of the last entry that was stored.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// Stores entries in a row and waits until the server has them all. Returns the position of the
    /// last and the bytes that were sent.
    ///
    /// # Errors
    ///
    /// [`BusError::Fenced`] where somebody else has written since: nothing more is to be written.
    /// After any other error it is not known what was stored, and the writer is of no use either.
    pub async fn append(&mut self, entries: Vec<LogEntry>) -> Result<(u64, usize), BusError> {
        if !self.bus.is_connected() {
            return Err(BusError::Disconnected);
        }
        let mark = self.bus.standing.mark();
        let mut bytes = 0_usize;
        let work = async {
            let mut waiting = Vec::with_capacity(entries.len());
            for (expected, entry) in (self.last..).zip(entries) {
                let body = envelope::seal(&v1::LogEntry::from(entry));
                bytes = bytes.saturating_add(body.len());
                let message = PublishMessage::build()
                    .payload(body.into())
                    .expected_last_sequence(expected);
                let sent = self
                    .bus
                    .jetstream
                    .send_publish(REPLICA_LOG, message)
                    .await?;
                waiting.push(sent.into_future());
            }
            let mut last = self.last;
            for stored in waiting {
                last = stored.await?.sequence;
            }
            Ok(last)
        };
        let stored = tokio::select! {
            biased;
            stored = work => stored,
            error = self.bus.standing.broken(mark, REPLICA_LOG) => return Err(error),
            () = tokio::time::sleep(REQUEST_TIMEOUT) => return Err(BusError::Timeout { what: WHAT }),
        };
        match stored {
            Ok(last) => {
                self.last = last;
                Ok((last, bytes))
            }
            Err(error) if PublishErrorKind::WrongLastSequence == error_kind(&error) => {
                Err(BusError::Fenced)
            }
            Err(error) => Err(publish_error(REPLICA_LOG_STREAM, WHAT, error)),
        }
    }
}

fn error_kind(error: &async_nats::jetstream::context::PublishError) -> PublishErrorKind {
    error.kind()
}

/// Reads the log in order.
pub struct LogReader {
    bus: Bus,
    opened: crate::standing::Mark,
    stream: Ordered,
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader").finish_non_exhaustive()
    }
}

impl LogReader {
    /// Begins reading after the position `after`.
    ///
    /// # Errors
    ///
    /// `bus.stream`, `bus.unreachable`.
    pub async fn open(bus: &Bus, after: u64) -> Result<Self, BusError> {
        if !bus.is_connected() {
            return Err(BusError::Disconnected);
        }
        let opened = bus.standing.mark();
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: after.saturating_add(1),
            },
            ..OrderedConfig::default()
        };
        let open = async {
            let consumer = bus
                .jetstream
                .create_consumer_on_stream(config, REPLICA_LOG_STREAM)
                .await
                .map_err(|error| broken(&error))?;
            consumer.messages().await.map_err(|error| broken(&error))
        };
        let stream = tokio::time::timeout(REQUEST_TIMEOUT, open)
            .await
            .map_err(|_| BusError::Timeout {
                what: "opening the log",
            })??;
        Ok(Self {
            bus: bus.clone(),
            opened,
            stream,
        })
    }

    /// Waits for entries, `wait` at most, and returns those that have come with their positions, up
    /// to `max`; an error in the place of one that cannot be read.
    ///
    /// # Errors
    ///
    /// `bus.stream`, `bus.unreachable`: open another reader.
    pub async fn next_batch(
        &mut self,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<(u64, Result<LogEntry, BusError>)>, BusError> {
        let mut batch = Vec::new();
        let first = tokio::select! {
            biased;
            error = self.bus.standing.lost(self.opened) => return Err(error),
            first = self.stream.next() => first,
            () = tokio::time::sleep(wait) => return Ok(batch),
        };
        let mut next = Some(first);
        while let Some(item) = next {
            let message = item
                .ok_or_else(|| broken(&"the reader has ended"))?
                .map_err(|error| broken(&error))?;
            let position = message
                .info()
                .map_err(|error| broken(&error))?
                .stream_sequence;
            batch.push((position, read(&message.payload)));
            next = if batch.len() < max {
                self.stream.next().now_or_never()
            } else {
                None
            };
        }
        Ok(batch)
    }
}

fn read(payload: &[u8]) -> Result<LogEntry, BusError> {
    let entry =
        envelope::open::<v1::LogEntry>(payload, BODY_MAX).map_err(|error| broken(&error))?;
    LogEntry::try_from(entry).map_err(|error| broken(&error))
}

fn broken(error: &dyn std::fmt::Display) -> BusError {
    BusError::Stream {
        stream: REPLICA_LOG_STREAM.to_owned(),
        reason: error.to_string(),
    }
}
