//! What goes wrong between this program and the NATS server, and inside messages.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use tvtfleet_proto::convert::BadField;
use tvtfleet_proto::envelope::EnvelopeError;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::SiteId;

use crate::closed_file::ClosedFileError;

/// A source of an error that callers do not tell apart.
pub type Source = Box<dyn Error + Send + Sync>;

/// The bus cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No server answers at any of the addresses.
    #[error("cannot reach a NATS server at {servers}")]
    Unreachable {
        /// The addresses without credentials, separated by commas.
        servers: String,
        /// What happened at the last one.
        source: Source,
    },
    /// The connection is down; the client is busy getting it back.
    #[error("the connection to the NATS server is down")]
    Disconnected,
    /// The server refuses the credentials or a subject.
    #[error("the NATS server refuses: {reason}")]
    Denied {
        /// The server's words.
        reason: String,
    },
    /// The server lets anybody in, and this program was not told to put up with that.
    #[error("the NATS server at {servers} asks nobody for a login")]
    OpenServer {
        /// The addresses without credentials.
        servers: String,
    },
    /// A file with secrets cannot be used.
    #[error(transparent)]
    Secrets(#[from] ClosedFileError),
    /// The server is older than [`crate::connect::FLOOR`].
    #[error("nats-server {found} at {servers} is too old, {floor} or newer is needed")]
    TooOld {
        /// The addresses without credentials.
        servers: String,
        /// Its version.
        found: String,
        /// The oldest version that will do.
        floor: String,
    },
    /// The server, or this account on it, has no JetStream.
    #[error("the NATS server has no JetStream for this account")]
    NoJetStream,
    /// The server did not answer in time.
    #[error("no answer from the NATS server to {what}")]
    Timeout {
        /// What was asked.
        what: &'static str,
    },
    /// A stream or bucket cannot be used.
    #[error("stream {stream}: {reason}")]
    Stream {
        /// The stream's name.
        stream: String,
        /// The server's words, or ours.
        reason: String,
    },
    /// A stream has a setting that must not differ and cannot be changed.
    #[error("stream {stream} has another {settings} than this program needs")]
    Drift {
        /// The stream's name.
        stream: String,
        /// The settings, separated by commas.
        settings: String,
    },
    /// The want document was written by somebody else since it was read.
    #[error("the want document of {site} has changed meanwhile")]
    Conflict {
        /// The site.
        site: SiteId,
    },
    /// Another coordinator has taken the lead.
    #[error("another coordinator has taken the lead")]
    Fenced,
    /// The message is larger than the stream or the server takes.
    #[error("{what} of {size} bytes is larger than the {limit} allowed")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A stored message cannot be read.
    #[error("{what} cannot be read")]
    Message {
        /// What it is.
        what: &'static str,
        /// Why.
        source: MessageError,
    },
    /// A file that the options name cannot be used.
    #[error("cannot read the {what} {}", path.display())]
    File {
        /// What the file is.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The options make no sense.
    #[error("{0}")]
    Options(String),
    /// The client library gave up; the connection is of no use any more.
    #[error("the NATS client failed at {what}")]
    Client {
        /// What it was doing.
        what: &'static str,
        /// Why.
        source: Source,
    },
}

impl BusError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unreachable { .. } | Self::Disconnected | Self::Client { .. } => {
                ErrorCode::BusUnreachable
            }
            Self::Denied { .. } => ErrorCode::BusDenied,
            Self::OpenServer { .. } => ErrorCode::BusOpen,
            Self::Secrets(error) => error.code(),
            Self::TooOld { .. } | Self::NoJetStream => ErrorCode::BusUnsupported,
            Self::Fenced => ErrorCode::CoordinatorStandby,
            Self::Timeout { .. } => ErrorCode::BusTimeout,
            Self::Stream { .. } | Self::Drift { .. } | Self::Conflict { .. } => {
                ErrorCode::BusStream
            }
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::Message { source, .. } => source.code(),
            Self::File { .. } => ErrorCode::ConfigUnreadable,
            Self::Options(_) => ErrorCode::ConfigInvalid,
        }
    }

    /// What the operator may try next.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } => Some(
                "check that nats-server runs there, and that address, port and firewall are right",
            ),
            Self::Denied { .. } => {
                Some("check the credentials file, and that it has not expired or been revoked")
            }
            Self::OpenServer { .. } => Some(
                "set up accounts with `tvtctl admin init`, or set nats.insecure_dev for a server on this machine",
            ),
            Self::TooOld { .. } => Some("install nats-server 2.14.6, or 2.15.1 or newer"),
            Self::NoJetStream => {
                Some("give nats-server a jetstream { store_dir } section, or start it with -js")
            }
            Self::Stream { .. } => {
                Some("look at the stream's limits and the space in the server's store_dir")
            }
            Self::Drift { .. } => Some(
                "remove the stream: it is built again from the database and the agents' spools",
            ),
            Self::File { .. } | Self::Options(_) => {
                Some("check the NATS section of the configuration")
            }
            Self::Disconnected
            | Self::Secrets(_)
            | Self::Timeout { .. }
            | Self::Conflict { .. }
            | Self::Fenced
            | Self::TooLarge { .. }
            | Self::Message { .. }
            | Self::Client { .. } => None,
        }
    }
}

/// A message that came in cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The packing or the protobuf message is damaged.
    #[error("unreadable message: {0}")]
    Envelope(#[from] EnvelopeError),
    /// A field makes no sense.
    #[error("bad message: {0}")]
    Field(#[from] BadField),
    /// The subject belongs to nobody that may send such messages.
    #[error("no message belongs under {subject:?}")]
    Subject {
        /// The subject, cut to a length that can be logged.
        subject: String,
    },
    /// The message says another site than its subject.
    #[error("message of {found} under the subject of {expected}")]
    Site {
        /// The site of the subject.
        expected: SiteId,
        /// The site in the message.
        found: SiteId,
    },
}

impl MessageError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Envelope(error) => error.code(),
            Self::Field(error) => error.code(),
            Self::Subject { .. } | Self::Site { .. } => ErrorCode::MessageInvalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_follow_the_situation() {
        let unreachable = BusError::Unreachable {
            servers: "a".into(),
            source: "refused".into(),
        };
        assert_eq!(unreachable.code(), ErrorCode::BusUnreachable);
        assert!(unreachable.hint().is_some());
        assert_eq!(BusError::Disconnected.code(), ErrorCode::BusUnreachable);
        assert_eq!(BusError::NoJetStream.code(), ErrorCode::BusUnsupported);
        let damaged = BusError::Message {
            what: "want document",
            source: EnvelopeError::Damaged.into(),
        };
        assert_eq!(damaged.code(), ErrorCode::MessageInvalid);
        let newer = MessageError::from(EnvelopeError::UnknownPacking(9));
        assert_eq!(newer.code(), ErrorCode::MessageVersion);
    }
}
