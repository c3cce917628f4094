//! The names of span and event fields, and the spans of the bus.
//!
//! OpenTelemetry's semantic conventions name what they know; the rest has the prefix `tvt.`. Values
//! are bounded: `error.type` is always an [`tvtfleet_proto::error::ErrorCode`]. Nothing secret is
//! ever a value.

use tracing::Span;
use tracing::field::Empty;
use tvtfleet_proto::error::ErrorCode;

/// The site, as `tenant/site`.
pub const SITE: &str = "tvt.site.id";
/// The job.
pub const JOB: &str = "tvt.job.id";
/// The backend that talks to a device.
pub const BACKEND: &str = "tvt.backend";
/// What is asked of a device.
pub const ASK: &str = "tvt.ask";
/// The address of a device or server.
pub const SERVER_ADDRESS: &str = "server.address";
/// The port of a device or server.
pub const SERVER_PORT: &str = "server.port";
/// The protocol spoken with a device.
pub const PROTOCOL: &str = "network.protocol.name";
/// The code of the error that ended the span.
pub const ERROR_TYPE: &str = "error.type";
/// The messaging system; always `nats`.
pub const MESSAGING_SYSTEM: &str = "messaging.system";
/// The subject.
pub const DESTINATION: &str = "messaging.destination.name";
/// The id by which repeated publications are known.
pub const MESSAGE_ID: &str = "messaging.message.id";
/// How many messages an operation was about.
pub const BATCH_COUNT: &str = "messaging.batch.message_count";

/// Sending a request and waiting for the reply.
#[must_use]
pub fn request_span(subject: &str) -> Span {
    tracing::info_span!(
        "bus.request",
        otel.kind = "client",
        { MESSAGING_SYSTEM } = "nats",
        { DESTINATION } = subject,
        { ERROR_TYPE } = Empty,
    )
}

/// Answering a request.
#[must_use]
pub fn serve_span(subject: &str) -> Span {
    tracing::info_span!(
        "bus.serve",
        otel.kind = "server",
        { MESSAGING_SYSTEM } = "nats",
        { DESTINATION } = subject,
        { ERROR_TYPE } = Empty,
    )
}

/// Publishing a message to a stream and waiting for its acknowledgement.
#[must_use]
pub fn publish_span(subject: &str, message_id: &str) -> Span {
    tracing::info_span!(
        "bus.publish",
        otel.kind = "producer",
        { MESSAGING_SYSTEM } = "nats",
        { DESTINATION } = subject,
        { MESSAGE_ID } = message_id,
        { ERROR_TYPE } = Empty,
    )
}

/// Notes on a span of this module which error ended it.
pub fn failed(span: &Span, code: ErrorCode) {
    span.record(ERROR_TYPE, code.as_str());
}
