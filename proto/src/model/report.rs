//! What one attempt found on one device.

use std::fmt;
use std::time::Duration;

use crate::error::{ErrorCode, ErrorKind};

use super::answer::Answer;
use super::ask::Ask;
use super::backend::Backend;
use super::channel::Channel;
use super::discovery::DiscoveredDevice;
use super::id::{JobId, TargetNo};
use super::mac::MacAddr;
use super::time::UtcMillis;

/// Device families that share the binary protocol's framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceFamily {
    /// IP cameras and recorders below protocol version 11 (pytvt: standard).
    Standard,
    /// Current recorders, protocol version 11 and above (N9000; pytvt: head variant).
    Head,
}

impl DeviceFamily {
    /// The name used in files and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Head => "head",
        }
    }
}

/// What a device says of itself. Empty text and `None` mean that it did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceFacts {
    /// The name configured on the device.
    pub name: String,
    /// The model, as `TD-3316B2`.
    pub model: String,
    /// The serial number.
    pub serial: String,
    /// The firmware version, as `1.4.10.0`.
    pub firmware: String,
    /// The Ethernet address, from the greeting or the login reply.
    pub mac: Option<MacAddr>,
    /// How many channels the device has or may have.
    pub total_channels: Option<u32>,
    /// The family, from the greeting.
    pub family: Option<DeviceFamily>,
    /// The protocol version of the greeting.
    pub protocol_version: Option<u32>,
    /// The `devType` word of the greeting. UNCERTAIN: which enumeration of the vendor it follows; a
    /// greeting of each device type settles it.
    pub device_type: Option<u32>,
    /// The first word of a standard login reply, the size of the device's configuration in bytes.
    pub config_data_len: Option<u32>,
    /// The version word of a standard login reply, four bytes in wire order as lower-case
    /// hexadecimal; UNCERTAIN which end is the major number.
    pub software_ver_hex: String,
    /// The build date word of a standard login reply, as the device sent it.
    pub build_date: Option<u32>,
}

/// How a device's work failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// The stable code.
    pub code: ErrorCode,
    /// A sentence for people, without credentials.
    pub text: String,
    /// Whether a credential had been put on the wire: then the try counts.
    pub credentials_sent: bool,
    /// The device's own error number, where it gave one.
    pub wire_code: Option<u32>,
}

impl Failure {
    /// A failure before any credential was sent.
    #[must_use]
    pub fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            credentials_sent: false,
            wire_code: None,
        }
    }

    /// Whether the device refused a login that was sent to it. What counts for the brake of a job: a
    /// password that is right but has to be changed does not.
    #[must_use]
    pub fn is_refused_login(&self) -> bool {
        self.credentials_sent
            && self.code.kind() == ErrorKind::Credentials
            && self.code != ErrorCode::PasswordChangeRequired
    }
}

/// One try of one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The backend used.
    pub backend: Backend,
    /// When it began.
    pub started_at: UtcMillis,
    /// How long it took.
    pub duration: Duration,
    /// How it failed; `None` where it worked.
    pub code: Option<ErrorCode>,
}

/// What one device's turn in a job came to.
///
/// A device whose answer is garbage is a report with a failure, never a missing report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceReport {
    /// The job it was made for.
    pub job: JobId,
    /// Which device of the job's targets at this site.
    pub target: TargetNo,
    /// What was asked.
    pub ask: Ask,
    /// When the last answer came.
    pub observed_at: UtcMillis,
    /// The backend whose answer this is.
    pub backend: Backend,
    /// What the device says of itself, as far as it got.
    pub facts: DeviceFacts,
    /// The channels, in the device's order.
    pub channels: Vec<Channel>,
    /// How it failed; `None` where the device was asked with success.
    pub failure: Option<Failure>,
    /// What is missing or doubtful in a report that did not fail, most important first.
    pub warnings: Vec<ErrorCode>,
    /// Every try, in order.
    pub attempts: Vec<Attempt>,
    /// The answer to an ask that is about neither identity nor channels.
    pub answer: Option<Answer>,
    /// How a discovery of the same job saw the device; `None` where it was a target from the start.
    pub found: Option<Box<DiscoveredDevice>>,
}

impl DeviceReport {
    /// Whether the device was asked with success, perhaps with warnings.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.failure.is_none()
    }

    /// The code that a result file shows: the failure's, else the first warning's.
    #[must_use]
    pub fn headline_code(&self) -> Option<ErrorCode> {
        self.failure
            .as_ref()
            .map(|failure| failure.code)
            .or_else(|| self.warnings.first().copied())
    }
}

impl fmt::Display for DeviceFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_that_came_from_the_device_are_refused_logins() {
        let sent = |code| {
            Failure {
                credentials_sent: true,
                ..Failure::new(code, "")
            }
            .is_refused_login()
        };
        for code in [
            ErrorCode::LoginRejected,
            ErrorCode::LoginFailed,
            ErrorCode::AccountLocked,
        ] {
            assert!(sent(code), "{code}");
            assert!(!Failure::new(code, "").is_refused_login(), "{code}");
        }
        assert!(!sent(ErrorCode::PasswordChangeRequired) && !sent(ErrorCode::Busy));
    }
}
