//! The status document, which wins over the HTTP status.

use crate::device::http::{Response, Trouble};
use crate::device::xml::{Document, Element};
use crate::error::ErrorCode;

/// A status with its sub-code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// As an HTTP status.
    pub status: u32,
    /// What it is about; 0 is nothing in particular.
    pub sub: u32,
}

impl Status {
    /// The status in a document: in `ResponseStatus` at the root or below it, else at the root.
    #[must_use]
    pub fn of(root: &Element) -> Option<Self> {
        let holder = root.child("ResponseStatus").unwrap_or(root);
        let (status, sub) = (
            holder.text_at(&["statusCode"]),
            holder.text_at(&["subStatusCode"]),
        );
        if status.is_none() && sub.is_none() {
            return None;
        }
        Some(Self {
            status: status.and_then(|text| text.parse().ok()).unwrap_or(200),
            sub: sub.and_then(|text| text.parse().ok()).unwrap_or(0),
        })
    }

    /// What went wrong, if anything did.
    #[must_use]
    pub fn trouble(self) -> Option<Trouble> {
        let (code, text) = match (self.status, self.sub) {
            (200, 0) => return None,
            (400 | 401, 28) => (
                ErrorCode::PasswordChangeRequired,
                "the password has expired and must be changed first",
            ),
            (401, _) => (ErrorCode::LoginRejected, "wrong user name or password"),
            (403, _) => (ErrorCode::PermissionDenied, "the account may not do this"),
            (400, 12) => (
                ErrorCode::CommandUnsupported,
                "the device does not know this function",
            ),
            (404, _) => (
                ErrorCode::InterfaceAbsent,
                "the device does not know this path",
            ),
            (400, 31 | 34) => (ErrorCode::Busy, "the device is busy"),
            (400, 5 | 7 | 9 | 14 | 17 | 19 | 22) => (
                ErrorCode::RequestRefused,
                "the device does not accept the request",
            ),
            _ => (ErrorCode::DeviceFault, "the device reported a failure"),
        };
        let number = if self.sub == 0 { self.status } else { self.sub };
        Some(Trouble::new(code, text, number))
    }
}

/// The document of a success, or what went wrong.
///
/// # Errors
///
/// Codes by the status document, else by the HTTP status; `device.bad_answer` for what is neither.
pub fn document(response: &Response) -> Result<Element, Trouble> {
    let document = Document::read(&response.body);
    if let Ok(document) = &document
        && let Some(trouble) = Status::of(&document.root).and_then(Status::trouble)
    {
        return Err(trouble);
    }
    if let Some(trouble) = Trouble::of_status(response) {
        return Err(trouble);
    }
    match document {
        Ok(document) if document.root.name() != "html" => Ok(document.root),
        _ => Err(Trouble::unreadable(response)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_wins_over_the_http_status() {
        let answer = |status, body: &str| {
            document(&Response {
                status,
                headers: Vec::new(),
                body: body.as_bytes().to_vec(),
            })
            .map_err(|trouble| (trouble.code, trouble.wire_code))
        };
        let busy = "<ResponseStatus><statusCode>400</statusCode><subStatusCode>34</subStatusCode></ResponseStatus>";
        assert_eq!(answer(200, busy), Err((ErrorCode::Busy, Some(34))));
        assert_eq!(answer(500, ""), Err((ErrorCode::DeviceFault, Some(500))));
        assert_eq!(answer(200, "<html/>").unwrap_err().0, ErrorCode::BadAnswer);
        assert_eq!(answer(302, "").unwrap_err().0, ErrorCode::RedirectRefused);
        assert!(answer(200, "<DeviceInfo/>").is_ok());
    }
}
