//! The recorders' numbers for failures, 0x20000000 and a small number.

use crate::device::http::Trouble;
use crate::error::ErrorCode;

/// The base of all numbers.
const BASE: u32 = 0x2000_0000;

/// What a client does about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The number means several things: log in anew once, then give up.
    AmbiguousReloginOnce,
    /// The session is over: log in anew.
    Relogin,
    /// Never log in again with this credential.
    StopCredentials,
    /// The account is locked: no login for half an hour.
    StopLocked,
    /// The account may not do it.
    Permission,
    /// Later.
    Busy,
    /// Nothing was to be changed; as good as done.
    NoChange,
    /// Nothing was found; not a failure.
    EmptyResult,
    /// The time range must be split.
    RangeTooWide,
    /// A value is not accepted.
    InvalidParameter,
    /// The recorder does not know the command.
    Unsupported,
    /// Nothing but to report it.
    Report,
}

impl Action {
    /// The name used in vectors and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AmbiguousReloginOnce => "ambiguous_relogin_once",
            Self::Relogin => "relogin",
            Self::StopCredentials => "stop_credentials",
            Self::StopLocked => "stop_locked",
            Self::Permission => "permission",
            Self::Busy => "busy",
            Self::NoChange => "no_change",
            Self::EmptyResult => "empty_result",
            Self::RangeTooWide => "range_too_wide",
            Self::InvalidParameter => "invalid_parameter",
            Self::Unsupported => "unsupported",
            Self::Report => "report",
        }
    }
}

/// A failure by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure(pub u32);

impl Failure {
    /// The small number.
    #[must_use]
    pub const fn low(self) -> u32 {
        self.0.wrapping_sub(BASE)
    }

    /// What to do about it.
    #[must_use]
    pub const fn action(self) -> Action {
        match self.low() {
            0x16 => Action::AmbiguousReloginOnce,
            0x36 | 0x63 | 0xA2 | 0xA3 => Action::Relogin,
            0x23 | 0x24 | 0x26 | 0xB1 | 0xB2 => Action::StopCredentials,
            0x27 => Action::StopLocked,
            0x29 => Action::Permission,
            0x1C | 0x21 | 0x25 | 0x30 | 0x33 | 0x46 | 0x4A | 0x87 => Action::Busy,
            0x32 => Action::NoChange,
            0x1E => Action::EmptyResult,
            0x96 => Action::RangeTooWide,
            0x1F | 0x50..=0x5B | 0x82 => Action::InvalidParameter,
            0x18 | 0x20 | 0x3D | 0x3F => Action::Unsupported,
            _ => Action::Report,
        }
    }

    /// Whether another login with the same credential is forbidden.
    #[must_use]
    pub const fn forbids_login(self) -> bool {
        matches!(self.action(), Action::StopCredentials | Action::StopLocked)
    }

    /// The failure for a report.
    #[must_use]
    pub fn trouble(self) -> Trouble {
        let (code, text) = match self.action() {
            Action::AmbiguousReloginOnce => (
                ErrorCode::DeviceFault,
                "the recorder reported a general failure",
            ),
            Action::Relogin => (ErrorCode::SessionExpired, "the session has ended"),
            Action::StopCredentials => match self.low() {
                0xB1 => (
                    ErrorCode::RefusedByDevice,
                    "the account may not log in at this time",
                ),
                0xB2 => (
                    ErrorCode::RefusedByDevice,
                    "the recorder wants a second person to log in",
                ),
                0x26 => (
                    ErrorCode::RefusedByDevice,
                    "the account may log in from another computer only",
                ),
                _ => (
                    ErrorCode::LoginRejected,
                    "the recorder refused the user name or the password",
                ),
            },
            Action::StopLocked => (
                ErrorCode::AccountLocked,
                "the account is locked on the recorder",
            ),
            Action::Permission => (ErrorCode::PermissionDenied, "the account may not do this"),
            Action::Busy => (ErrorCode::Busy, "the recorder is busy"),
            Action::Unsupported => (
                ErrorCode::CommandUnsupported,
                "the recorder does not know this command",
            ),
            Action::RangeTooWide | Action::InvalidParameter => (
                ErrorCode::RequestRefused,
                "the recorder does not accept the request",
            ),
            Action::NoChange | Action::EmptyResult | Action::Report => {
                (ErrorCode::DeviceFault, "the recorder reported a failure")
            }
        };
        Trouble::new(code, text, self.0)
    }
}
