//! Requests and answers on a connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of a request's head.
const HEAD_MAX: usize = 16 * 1024;
/// Bytes of a request's body.
const BODY_MAX: usize = 256 * 1024;

/// A request as it came.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The text between a start tag and its end tag, out of its CDATA. Good enough for what clients
    /// of recorders send, and not how the product reads.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        self.between(&format!("<{name}>"), name)
    }

    /// The same of an element with just this attribute.
    pub(super) fn attributed(&self, name: &str, attribute: &str) -> Option<String> {
        self.between(&format!("<{name} {attribute}>"), name)
    }

    fn between(&self, start: &str, name: &str) -> Option<String> {
        let rest = self.body.split_once(start)?.1;
        let text = rest.split_once(&format!("</{name}>"))?.0;
        let inner = text
            .strip_prefix("<![CDATA[")
            .and_then(|text| text.strip_suffix("]]>"));
        Some(match inner {
            Some(inner) => inner.to_owned(),
            None => text
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&amp;", "&"),
        })
    }
}

/// An answer to be sent.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn xml(body: impl Into<String>) -> Self {
        Self::of(200, "application/xml", body.into())
    }

    /// No answer: the connection ends.
    pub(super) fn lost() -> Self {
        Self::of(0, "", String::new())
    }

    /// No answer: the connection stays.
    pub(super) fn mute() -> Self {
        Self::of(1, "", String::new())
    }

    pub(super) fn page(status: u16) -> Self {
        let body = format!("<html><body>{status}</body></html>");
        Self::of(status, "text/html", body)
    }

    pub(super) fn of(status: u16, kind: &str, body: String) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", kind.to_owned())],
            body: body.into_bytes(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Head and body; `announced` is the length that the head claims.
    pub(super) fn encode(&self, announced: usize) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} X\r\nServer: Internal Server\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {announced}\r\n\r\n"));
        [head.as_bytes(), &self.body].concat()
    }
}

/// Reads one request; `None` at the end of the connection or for what is no request.
pub(crate) async fn read(stream: &mut TcpStream, held: &mut Vec<u8>) -> Option<Request> {
    let end = loop {
        if let Some(at) = held.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if held.len() > HEAD_MAX || !more(stream, held).await {
            return None;
        }
    };
    let head = String::from_utf8(held.get(..end)?.to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let mut request = Request {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        ..Request::default()
    };
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request
            .headers
            .push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let length = match request.header("content-length") {
        Some(text) => text.parse().ok().filter(|length| *length <= BODY_MAX)?,
        None => 0,
    };
    let whole = end.checked_add(4)?.checked_add(length)?;
    while held.len() < whole {
        if !more(stream, held).await {
            return None;
        }
    }
    request.body = String::from_utf8(held.get(end + 4..whole)?.to_vec()).ok()?;
    held.drain(..whole);
    Some(request)
}

pub(super) async fn write(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok()
}

async fn more(stream: &mut TcpStream, held: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer).await {
        Ok(count) if count > 0 => {
            held.extend_from_slice(buffer.get(..count).unwrap_or_default());
            true
        }
        _ => false,
    }
}
