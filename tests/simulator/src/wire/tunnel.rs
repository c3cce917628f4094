//! HTTP requests and replies carried inside a session.

use super::field::{put, u32_at, wire_len};

/// Bytes in front of the HTTP text: its length, a sequence number, zeros.
const PREFIX_LEN: usize = 72;

/// A tunnelled request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TunnelRequest {
    pub(crate) seq: u32,
    /// First line of the HTTP text is split here: method and path.
    pub(crate) method: String,
    pub(crate) path: String,
}

impl TunnelRequest {
    /// Reads a request payload; `None` when the length is wrong or the text is no HTTP request.
    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let length = usize::try_from(u32_at(payload, 0)?).ok()?;
        let seq = u32_at(payload, 4)?;
        let text = payload.get(PREFIX_LEN..PREFIX_LEN.checked_add(length)?)?;
        let end_byte = payload.get(PREFIX_LEN.checked_add(length)?..)?;
        if end_byte != [0] {
            return None;
        }
        let text = str::from_utf8(text).ok()?;
        let (line, rest) = text.split_once("\r\n")?;
        let mut words = line.split(' ');
        let (method, path, version) = (words.next()?, words.next()?, words.next()?);
        let whole = version.starts_with("HTTP/") && words.next().is_none();
        (whole && (rest == "\r\n" || rest.contains("\r\n\r\n"))).then(|| Self {
            seq,
            method: method.to_owned(),
            path: path.to_owned(),
        })
    }
}

/// Writes a reply payload; `announced` is the length field, right or wrong.
pub(crate) fn tunnel_reply(seq: u32, announced: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; PREFIX_LEN];
    put(&mut bytes, 0, &announced.to_le_bytes());
    put(&mut bytes, 4, &seq.to_le_bytes());
    bytes.extend(content);
    bytes
}

/// Writes an HTTP response with a length.
pub(crate) fn http_response(status: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        wire_len(body.len())
    )
    .into_bytes();
    bytes.extend(body);
    bytes
}
