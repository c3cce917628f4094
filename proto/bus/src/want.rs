//! Want documents: written with a check that nobody else wrote, read with one Direct Get, and heard
//! of through the stream's republishing, which comes only after the document is stored.
//!
//! An agent subscribes first and reads then: the read is answered after the server has taken the
//! subscription, so nothing falls between the two. A push that is lost all the same is noticed at the
//! next heartbeat, which carries the newest revision.

use async_nats::header::HeaderMap;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::DirectGetErrorKind;
use async_nats::{StatusCode, Subscriber};
use futures_util::StreamExt as _;
use tvtfleet_proto::envelope::{self, BODY_MAX};
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::want::{WANT_MAX, WantDoc};
use tvtfleet_proto::subject::{self, WANT_STREAM};
use tvtfleet_proto::wire::v1;

use crate::connect::{Bus, REQUEST_TIMEOUT};
use crate::error::{BusError, MessageError};

const WHAT: &str = "want document";
/// The header by which a bucket marks a removed entry.
const KV_OPERATION: &str = "KV-Operation";

/// A want document as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredWant {
    /// The revision of the bucket, for the next [`write_want`]. Unlike the document's own revision
    /// it starts again when the bucket is lost.
    pub kv_revision: u64,
    /// The document, or why it cannot be read; `None` where it was deleted.
    pub doc: Result<Option<WantDoc>, MessageError>,
}

/// Writes a site's want document, if it still has the revision `expected` in the bucket; `None` is
/// "there is none yet". Returns the bucket's new revision.
///
/// # Errors
///
/// [`BusError::Conflict`] where somebody else wrote it: read it again. `message.too_large` above
/// [`WANT_MAX`], `bus.stream`, `bus.denied`, `bus.unreachable`, or `bus.timeout`, after which it may or
/// may not be stored.
pub async fn write_want(bus: &Bus, doc: &WantDoc, expected: Option<u64>) -> Result<u64, BusError> {
    let body = envelope::seal(&v1::WantDoc::from(doc.clone()));
    if body.len() > WANT_MAX {
        return Err(BusError::TooLarge {
            what: WHAT,
            size: body.len(),
            limit: WANT_MAX,
        });
    }
    let subject = subject::want_subject(&doc.site);
    let message = PublishMessage::build()
        .payload(body.into())
        .expected_last_subject_sequence(expected.unwrap_or(0));
    let mark = bus.standing.mark();
    if !bus.is_connected() {
        return Err(BusError::Disconnected);
    }
    let store = async {
        bus.jetstream
            .send_publish(subject.clone(), message)
            .await?
            .await
    };
    let stored = tokio::select! {
        biased;
        stored = store => stored,
        error = bus.standing.broken(mark, &subject) => return Err(error),
        () = tokio::time::sleep(REQUEST_TIMEOUT) => return Err(BusError::Timeout { what: WHAT }),
    };
    stored.map(|ack| ack.sequence).map_err(|error| {
        if error.kind() == PublishErrorKind::WrongLastSequence {
            BusError::Conflict {
                site: doc.site.clone(),
            }
        } else {
            publish_error(WANT_STREAM, WHAT, error)
        }
    })
}

/// Reads a site's want document with one Direct Get; `None` where there is none.
///
/// # Errors
///
/// The code of the [`MessageError`] where it cannot be read or is for another site; `bus.stream`,
/// `bus.denied`, `bus.unreachable` or `bus.timeout`.
pub async fn read_want_direct(bus: &Bus, site: &SiteId) -> Result<Option<WantDoc>, BusError> {
    match read_stored(bus, site).await? {
        None => Ok(None),
        Some(stored) => stored
            .doc
            .map_err(|source| BusError::Message { what: WHAT, source }),
    }
}

/// Reads a site's want document with the bucket's revision, also where the document is damaged or
/// was deleted: the coordinator writes over it. `None` where there never was one.
///
/// # Errors
///
/// `bus.stream`, `bus.denied`, `bus.unreachable` or `bus.timeout`.
pub async fn read_stored(bus: &Bus, site: &SiteId) -> Result<Option<StoredWant>, BusError> {
    let subject = subject::want_subject(site);
    let no_stream = |reason: String| BusError::Stream {
        stream: WANT_STREAM.to_owned(),
        reason,
    };
    if !bus.is_connected() {
        return Err(BusError::Disconnected);
    }
    // Asks the server nothing: agents may not ask for stream information.
    let stream = bus
        .jetstream
        .get_stream_no_info(WANT_STREAM)
        .await
        .map_err(|error| no_stream(error.to_string()))?;
    let mark = bus.standing.mark();
    // The server checks permissions against the whole subject of the request.
    let asked = format!("$JS.API.DIRECT.GET.{WANT_STREAM}.{subject}");
    let found = tokio::select! {
        biased;
        found = stream.direct_get_last_for_subject(subject) => found,
        error = bus.standing.broken(mark, &asked) => return Err(error),
    };
    match found {
        Ok(message) => Ok(Some(StoredWant {
            kv_revision: message.sequence,
            doc: if is_marker(Some(&message.headers)) {
                Ok(None)
            } else {
                open(&message.payload, site).map(Some)
            },
        })),
        Err(error) => match error.kind() {
            DirectGetErrorKind::NotFound => Ok(None),
            DirectGetErrorKind::ErrorResponse(StatusCode::NOT_FOUND, _) => Ok(None),
            DirectGetErrorKind::TimedOut => Err(BusError::Timeout {
                what: "a Direct Get",
            }),
            DirectGetErrorKind::InvalidSubject
            | DirectGetErrorKind::Request
            | DirectGetErrorKind::ErrorResponse(..)
            | DirectGetErrorKind::Other => Err(no_stream(error.to_string())),
        },
    }
}

/// Subscribes to what is pushed to a site.
///
/// # Errors
///
/// `bus.unreachable`.
pub async fn subscribe_want(bus: &Bus, site: &SiteId) -> Result<WantSubscription, BusError> {
    let mark = bus.standing.mark();
    let subject = subject::push_want(site);
    let subscriber = bus
        .client
        .subscribe(subject.clone())
        .await
        .map_err(|error| BusError::Client {
            what: "a subscription",
            source: error.into(),
        })?;
    Ok(WantSubscription {
        bus: bus.clone(),
        site: site.clone(),
        subject,
        subscriber,
        mark,
        bad: 0,
    })
}

/// The documents that are pushed to one site. It survives lost connections; what was pushed
/// meanwhile is read with [`read_want_direct`].
#[derive(Debug)]
pub struct WantSubscription {
    bus: Bus,
    site: SiteId,
    subject: String,
    subscriber: Subscriber,
    mark: crate::standing::Mark,
    bad: u64,
}

impl WantSubscription {
    /// Waits for the next document that can be read. May be dropped at any time without loss.
    ///
    /// # Errors
    ///
    /// `bus.denied` where the server refuses the subscription, `bus.unreachable` where the client
    /// has ended.
    pub async fn next(&mut self) -> Result<WantDoc, BusError> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.subscriber.next() => message,
                reason = self.bus.standing.refused(self.mark, &self.subject) => {
                    return Err(BusError::Denied { reason });
                }
            };
            let Some(message) = message else {
                return Err(BusError::Client {
                    what: "a subscription",
                    source: "closed".into(),
                });
            };
            if is_marker(message.headers.as_ref()) {
                continue;
            }
            match open(&message.payload, &self.site) {
                Ok(doc) => return Ok(doc),
                Err(error) => {
                    self.bad = self.bad.saturating_add(1);
                    tracing::warn!(error.type = error.code().as_str(), %error, "a want document is of no use");
                }
            }
        }
    }

    /// How many documents could not be used.
    #[must_use]
    pub const fn bad(&self) -> u64 {
        self.bad
    }
}

fn is_marker(headers: Option<&HeaderMap>) -> bool {
    headers.is_some_and(|headers| headers.get(KV_OPERATION).is_some())
}

fn open(body: &[u8], site: &SiteId) -> Result<WantDoc, MessageError> {
    let doc = WantDoc::try_from(envelope::open::<v1::WantDoc>(body, BODY_MAX)?)?;
    if doc.site == *site {
        Ok(doc)
    } else {
        Err(MessageError::Site {
            expected: site.clone(),
            found: doc.site,
        })
    }
}

/// Maps an error of a publication to a stream.
pub(crate) fn publish_error(
    stream: &str,
    what: &'static str,
    error: async_nats::jetstream::context::PublishError,
) -> BusError {
    match error.kind() {
        PublishErrorKind::TimedOut | PublishErrorKind::MaxAckPending => BusError::Timeout { what },
        PublishErrorKind::BrokenPipe => BusError::Disconnected,
        PublishErrorKind::StreamNotFound
        | PublishErrorKind::WrongLastMessageId
        | PublishErrorKind::WrongLastSequence
        | PublishErrorKind::MaxPayloadExceeded
        | PublishErrorKind::Other => {
            let reason = std::error::Error::source(&error).map_or_else(
                || error.to_string(),
                |source| format!("{}: {source}", error.kind()),
            );
            BusError::Stream {
                stream: stream.to_owned(),
                reason,
            }
        }
    }
}
