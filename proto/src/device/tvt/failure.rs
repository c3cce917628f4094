//! How codecs and sessions say what went wrong.

use std::fmt;

use crate::error::ErrorCode;

/// Bytes that cannot be read, with their place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} (at byte {offset})")]
pub struct CodecError {
    /// The stable code.
    pub code: ErrorCode,
    /// Where: bytes from the start of the stream or payload.
    pub offset: u64,
    /// What is wrong there.
    pub text: &'static str,
}

impl CodecError {
    pub(super) const fn new(code: ErrorCode, offset: u64, text: &'static str) -> Self {
        Self { code, offset, text }
    }

    /// The value for data that ends too early.
    pub(super) const fn truncated(offset: u64, text: &'static str) -> Self {
        Self::new(ErrorCode::Truncated, offset, text)
    }
}

/// The part of a session in which something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Connected, the greeting is not complete.
    Greeting,
    /// Greeted, no login sent.
    BeforeLogin,
    /// Login sent, no reply.
    Login,
    /// Logged in.
    LoggedIn,
}

impl Phase {
    /// The name used in files and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::BeforeLogin => "before_login",
            Self::Login => "login",
            Self::LoggedIn => "logged_in",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a session ended without a result. Never holds anything of the credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// The stable code.
    pub code: ErrorCode,
    /// When it happened.
    pub phase: Phase,
    /// Whether a login had been handed out for sending.
    pub credentials_sent: bool,
    /// Whether the device had accepted the login, though the session then failed.
    pub login_accepted: bool,
    /// The first 32 bits of a refusal's payload. Only those of a standard refusal have known
    /// meanings; a head-variant one from 0x2000_0000 up is probably a code of the web API.
    pub wire_code: Option<u32>,
    /// Bytes read from the device when it happened.
    pub offset: u64,
    /// What happened, for people.
    pub text: String,
    /// The start of a refusal's payload, at most 64 bytes, in hexadecimal; else empty.
    pub payload_hex: String,
    /// What else the device may be: `dvr_v4`.
    pub hint: Option<&'static str>,
}

impl Failure {
    /// Whether the same may be tried again by itself.
    ///
    /// Narrower than [`ErrorCode::retryable`]: once a credential was sent, only a busy device is
    /// asked again. A broken stream after the login may hide a refused one.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        self.code.retryable() && (!self.credentials_sent || self.code == ErrorCode::Busy)
    }

    /// Whether the device may have counted this as a wrong password. True whenever that is unknown.
    #[must_use]
    pub fn may_have_counted(&self) -> bool {
        self.credentials_sent && !self.login_accepted && self.code != ErrorCode::Busy
    }
}
