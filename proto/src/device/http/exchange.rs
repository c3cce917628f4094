//! One request and its answer.

use zeroize::Zeroizing;

use crate::model::secret::Secret;

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads, without a body.
    Get,
    /// Everything else.
    Post,
}

impl Method {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request to a device. `Debug` hides headers and body: they may hold a credential.
#[derive(Clone)]
pub struct Request {
    /// How.
    pub method: Method,
    /// The request target, path and query.
    pub path: String,
    /// Headers besides those that every request has.
    pub headers: Vec<(&'static str, Secret)>,
    /// What the body is.
    pub content_type: &'static str,
    /// The body; empty for none.
    pub body: Zeroizing<String>,
    /// Whether the body or a header shows that the sender knows the password.
    pub has_credential: bool,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("headers", &names)
            .field("has_credential", &self.has_credential)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// A request without headers.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            content_type: "application/xml; charset=\"UTF-8\"",
            body: Zeroizing::default(),
            has_credential: false,
        }
    }

    /// The value of a header, by the name it was given.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&Secret> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// The answer of a device, with its size bounded by whoever received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names and values; values that are no text are left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// All values of a header.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether the body is a page for people.
    #[must_use]
    pub fn is_html(&self) -> bool {
        let start = self.body.get(..512).unwrap_or(&self.body);
        String::from_utf8_lossy(start)
            .to_ascii_lowercase()
            .contains("<html")
    }
}
