//! Success or failure: the document decides, then the status.

use crate::device::http::{Response, Trouble};
use crate::device::xml::{Document, Element};
use crate::error::ErrorCode;

/// What an answer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A document without a failure.
    Ok,
    /// No valid credential.
    Unauthorized,
    /// No such path.
    NotFound,
    /// An XML document, but none of this interface.
    NotTvt,
    /// No XML.
    NotXml,
    /// A failure with the device's number for it.
    Failed(u32),
    /// A failure that only the HTTP status tells.
    Http(u16),
}

/// An answer, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatResult {
    /// The judgement.
    pub outcome: Outcome,
    /// The device's words for a failure; version 2 devices only.
    pub description: Option<String>,
    /// The root of the document, where it is one of this interface.
    pub root: Option<Element>,
}

impl FlatResult {
    /// Judges an answer.
    #[must_use]
    pub fn of(response: &Response) -> Self {
        let document = Document::read(&response.body);
        let (outcome, root) = match document {
            Ok(document) if document.root.name() == "config" => {
                (judge(&document.root, response.status), Some(document.root))
            }
            other => (outside(response, other.is_ok()), None),
        };
        let description = root
            .as_ref()
            .and_then(|root| root.attribute("errorDesc"))
            .map(str::to_owned);
        Self {
            outcome,
            description,
            root,
        }
    }

    /// The document of a success, or what went wrong.
    ///
    /// # Errors
    ///
    /// Codes by the table of the vendor's guide.
    pub fn into_document(self, response: &Response) -> Result<Element, Trouble> {
        match (self.outcome, self.root) {
            (Outcome::Ok, Some(root)) => Ok(root),
            (outcome, _) => Err(trouble(outcome, response)),
        }
    }
}

/// The version that a device writes into its documents; `2.0.0` where it does not say.
#[must_use]
pub fn version_of(root: &Element) -> String {
    root.attribute("version")
        .filter(|version| version.len() <= 16 && !version.is_empty())
        .unwrap_or("2.0.0")
        .to_owned()
}

fn judge(root: &Element, status: u16) -> Outcome {
    let code = root
        .attribute("errorCode")
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    let failed = root
        .attribute("status")
        .is_some_and(|status| status.starts_with("fail"));
    match (failed || code != 0, status) {
        (true, _) => Outcome::Failed(code),
        (false, 401) => Outcome::Unauthorized,
        (false, 200..=299) => Outcome::Ok,
        (false, other) => Outcome::Http(other),
    }
}

fn outside(response: &Response, is_xml: bool) -> Outcome {
    match response.status {
        401 => Outcome::Unauthorized,
        404 => Outcome::NotFound,
        200..=299 if is_xml || response.is_html() => Outcome::NotTvt,
        200..=299 => Outcome::NotXml,
        other => Outcome::Http(other),
    }
}

fn trouble(outcome: Outcome, response: &Response) -> Trouble {
    match outcome {
        Outcome::Failed(number) => {
            let (code, text) = meaning(number);
            Trouble::new(code, text, number)
        }
        Outcome::Unauthorized | Outcome::NotFound | Outcome::Http(_) => {
            Trouble::of_status(response).unwrap_or_else(|| Trouble::unreadable(response))
        }
        Outcome::Ok | Outcome::NotTvt | Outcome::NotXml => Trouble::unreadable(response),
    }
}

/// The vendor's table of errors. Version 1 devices know 0 to 5 only.
fn meaning(number: u32) -> (ErrorCode, &'static str) {
    match number {
        1 | 11 | 14 => (
            ErrorCode::CommandUnsupported,
            "the device does not know this command",
        ),
        2 | 3 | 6 | 12 | 15 | 16 | 19 | 20 => (
            ErrorCode::RequestRefused,
            "the device does not accept the request",
        ),
        4 => (ErrorCode::PermissionDenied, "the account may not do this"),
        5 => (ErrorCode::RefusedByDevice, "the device refuses this client"),
        7 => (ErrorCode::Busy, "the device is busy"),
        8 => (
            ErrorCode::PasswordChangeRequired,
            "the password has expired and must be changed first",
        ),
        9 => (ErrorCode::LoginRejected, "wrong user name or password"),
        10 => (
            ErrorCode::AccountLocked,
            "the account is locked on the device",
        ),
        17 => (
            ErrorCode::InterfaceAbsent,
            "the web API is switched off on the device",
        ),
        18 => (
            ErrorCode::RequestRefused,
            "the change would restart the device",
        ),
        _ => (ErrorCode::DeviceFault, "the device reported a failure"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(number: u32) -> ErrorCode {
        let body = format!("<config status=\"failed\" errorCode=\"{number}\"/>");
        let response = Response {
            status: 400,
            headers: Vec::new(),
            body: body.into_bytes(),
        };
        FlatResult::of(&response)
            .into_document(&response)
            .unwrap_err()
            .code
    }

    #[test]
    fn the_guides_numbers_have_our_codes() {
        let rows = [
            (1, ErrorCode::CommandUnsupported),
            (4, ErrorCode::PermissionDenied),
            (7, ErrorCode::Busy),
            (8, ErrorCode::PasswordChangeRequired),
            (9, ErrorCode::LoginRejected),
            (10, ErrorCode::AccountLocked),
            (17, ErrorCode::InterfaceAbsent),
            (499, ErrorCode::DeviceFault),
        ];
        for (number, code) in rows {
            assert_eq!(failing(number), code, "{number}");
        }
    }

    #[test]
    fn a_failed_document_without_a_number_is_a_failure() {
        let response = Response {
            status: 200,
            headers: Vec::new(),
            body: b"<config status=\"failed\"/>".to_vec(),
        };
        assert_eq!(FlatResult::of(&response).outcome, Outcome::Failed(0));
    }
}
