//! Why a web interface did not do what it was asked.

use crate::error::ErrorCode;

use super::exchange::Response;

/// A failure of one exchange, before it becomes part of a report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Trouble {
    /// The stable code.
    pub code: ErrorCode,
    /// A sentence for people, without anything of a credential and without the device's own words.
    pub text: String,
    /// The device's number for it: its error code, else the HTTP status.
    pub wire_code: Option<u32>,
}

impl Trouble {
    /// A failure with the device's number for it.
    #[must_use]
    pub fn new(
        code: ErrorCode,
        text: impl Into<String>,
        wire_code: impl Into<Option<u32>>,
    ) -> Self {
        Self {
            code,
            text: text.into(),
            wire_code: wire_code.into(),
        }
    }

    /// What an HTTP status says where the body says nothing; `None` where the body decides.
    #[must_use]
    pub fn of_status(response: &Response) -> Option<Self> {
        let (code, text) = match response.status {
            200..=299 => return None,
            300..=399 => (
                ErrorCode::RedirectRefused,
                "the device points to another address, which is not followed",
            ),
            401 => (
                ErrorCode::LoginRejected,
                "the device refused the credential",
            ),
            403 => (
                ErrorCode::PermissionDenied,
                "the account may not do this on the device",
            ),
            404 => (
                ErrorCode::InterfaceAbsent,
                "the device does not know this path: the interface is off, or another one",
            ),
            408 | 429 | 503 => (ErrorCode::Busy, "the device is busy"),
            _ => (
                ErrorCode::DeviceFault,
                "the web interface of the device reported a failure",
            ),
        };
        Some(Self::new(code, text, u32::from(response.status)))
    }

    /// The answer is no document of this interface.
    #[must_use]
    pub fn unreadable(response: &Response) -> Self {
        let text = if response.body.is_empty() {
            "the answer is empty"
        } else if response.is_html() {
            "the answer is a page for people, not of this interface"
        } else {
            "the answer cannot be read"
        };
        Self::new(ErrorCode::BadAnswer, text, u32::from(response.status))
    }

    /// The answer is a document of another shape.
    #[must_use]
    pub fn shape(what: &str) -> Self {
        Self::new(
            ErrorCode::BadAnswer,
            format!("the answer has no {what} where it should"),
            None,
        )
    }
}
