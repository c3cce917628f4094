//! The asking side.

use std::time::Duration;

use async_nats::header::HeaderMap;
use async_nats::{Request, RequestErrorKind};
use prost::Message;
use tokio::time::Instant;
use tracing::Instrument as _;
use tvtfleet_proto::convert::BadField;
use tvtfleet_proto::envelope::{self, BODY_MAX};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::wire::v1;

use crate::attribute;
use crate::connect::Bus;
use crate::error::{BusError, MessageError};
use crate::trace;

use super::{ERROR_HEADER, NOTE_HEADER, NOTE_MAX};

/// A request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// Nobody listens.
    #[error("no coordinator answers")]
    Absent,
    /// Somebody listens, but did not answer in time. Whether the request was done is unknown.
    #[error("the coordinator did not answer within {} s", limit.as_secs_f32())]
    Timeout {
        /// The time that was allowed.
        limit: Duration,
    },
    /// The coordinator says no.
    #[error("{}", .0.message)]
    Refused(ApiError),
    /// The bus does not work.
    #[error("the request cannot be sent")]
    Bus(#[from] BusError),
    /// The reply cannot be read.
    #[error("the reply cannot be read")]
    Reply(#[source] MessageError),
}

impl RpcError {
    /// The stable code; of a refusal the coordinator's own.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Absent => ErrorCode::CoordinatorAbsent,
            Self::Timeout { .. } => ErrorCode::CoordinatorTimeout,
            Self::Refused(error) => error.code,
            Self::Bus(error) => error.code(),
            Self::Reply(error) => error.code(),
        }
    }

    /// What the operator may try next.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Absent => {
                Some("check that tvt-coordinator runs and is connected to the same NATS server")
            }
            Self::Refused(error) if !error.hint.is_empty() => Some(&error.hint),
            Self::Bus(error) => error.hint(),
            Self::Timeout { .. } | Self::Refused(_) | Self::Reply(_) => None,
        }
    }
}

/// For `wire → model` of a reply.
impl From<BadField> for RpcError {
    fn from(error: BadField) -> Self {
        Self::Reply(error.into())
    }
}

/// Sends a request and waits for the reply. `limit` is the time for everything, waiting for the
/// connection included.
///
/// # Errors
///
/// `coordinator.absent`, `coordinator.timeout`, the coordinator's own code, `bus.unreachable` where
/// there is no connection or it is lost meanwhile, `bus.denied`, `message.invalid`.
pub async fn request<Req, Resp>(
    bus: &Bus,
    subject: &str,
    request: &Req,
    limit: Duration,
) -> Result<Resp, RpcError>
where
    Req: Message,
    Resp: Message + Default,
{
    let span = attribute::request_span(subject);
    let mut headers = HeaderMap::new();
    trace::inject(&span, &mut headers);
    let body = envelope::seal(request);
    let outcome = exchange(bus, subject, headers, body, limit)
        .instrument(span.clone())
        .await;
    if let Err(error) = &outcome {
        attribute::failed(&span, error.code());
    }
    outcome
}

async fn exchange<Resp: Message + Default>(
    bus: &Bus,
    subject: &str,
    headers: HeaderMap,
    body: Vec<u8>,
    limit: Duration,
) -> Result<Resp, RpcError> {
    let deadline = Instant::now() + limit;
    bus.connected(limit).await?;
    let mark = bus.standing.mark();
    let size = body.len();
    // The deadline below is the only one.
    let request = Request::new()
        .headers(headers)
        .payload(body.into())
        .timeout(None);
    let sent = tokio::select! {
        biased;
        reply = bus.client.send_request(subject.to_owned(), request) => reply,
        error = bus.standing.broken(mark, subject) => return Err(error.into()),
        () = tokio::time::sleep_until(deadline) => return Err(RpcError::Timeout { limit }),
    };
    let reply = sent.map_err(|error| match error.kind() {
        RequestErrorKind::NoResponders => RpcError::Absent,
        RequestErrorKind::TimedOut => RpcError::Timeout { limit },
        RequestErrorKind::MaxPayloadExceeded => RpcError::Bus(BusError::TooLarge {
            what: "request",
            size,
            limit: bus.client.max_payload(),
        }),
        RequestErrorKind::InvalidSubject | RequestErrorKind::Other => {
            RpcError::Bus(BusError::Client {
                what: "a request",
                source: Box::new(error),
            })
        }
    })?;
    let open = |bytes: &[u8]| {
        envelope::open::<Resp>(bytes, BODY_MAX).map_err(|error| RpcError::Reply(error.into()))
    };
    let note = reply
        .headers
        .as_ref()
        .and_then(|headers| headers.get(NOTE_HEADER));
    if let Some(note) = note {
        let plain = |letter: &char| matches!(letter, ' '..='~');
        let note: String = note.as_str().chars().filter(plain).take(NOTE_MAX).collect();
        tracing::warn!("{note}");
    }
    match reply
        .headers
        .as_ref()
        .and_then(|headers| headers.get(ERROR_HEADER))
    {
        None => open(&reply.payload),
        Some(code) => Err(RpcError::Refused(refusal(code.as_str(), &reply.payload))),
    }
}

/// The header alone has to do where the body cannot be read: it is an error all the same.
fn refusal(code: &str, body: &[u8]) -> ApiError {
    envelope::open::<v1::ApiError>(body, BODY_MAX).map_or_else(
        |_| ApiError {
            code: code.parse().unwrap_or(ErrorCode::Internal),
            message: format!(
                "the coordinator refuses: {}",
                code.chars().take(80).collect::<String>()
            ),
            hint: String::new(),
        },
        ApiError::from,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_a_body_that_cannot_be_read() {
        let error = refusal("job.unknown", b"\x09rubbish");
        assert_eq!(error.code, ErrorCode::JobUnknown);
        assert!(error.message.contains("job.unknown"));
        assert_eq!(refusal("from.the_future", b"").code, ErrorCode::Internal);
    }
}
