//! Splitting the HTTP text that a device returns from inside a session.

use std::borrow::Cow;

/// The largest number of "100 Continue" and the like before the answer.
const MAX_INTERIM: usize = 4;
/// The longest line that gives the size of a chunk.
const MAX_CHUNK_LINE: usize = 256;

/// What was returned: a status where there is a status line, and the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpContent<'a> {
    /// The status of an HTTP response; `None` for content that is no HTTP response.
    pub status: Option<u16>,
    /// The body, out of its chunks, without NUL bytes and white space at both ends.
    pub body: Cow<'a, [u8]>,
}

/// Why content cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// It begins like an HTTP response, but its first line names no status.
    #[error("the HTTP status line names no status")]
    Status,
    /// The chunks of the body do not fit together.
    #[error("the chunks of the HTTP body do not fit together")]
    Chunk,
    /// One interim response after the other.
    #[error("the HTTP content has interim responses only")]
    Interim,
}

impl<'a> HttpContent<'a> {
    /// Splits content into status and body. `Content-Length` cuts a body that is longer; a shorter
    /// one is kept, as devices miscount.
    ///
    /// # Errors
    ///
    /// An [`HttpError`].
    pub fn split(content: &'a [u8]) -> Result<Self, HttpError> {
        let mut rest = content;
        for _ in 0..=MAX_INTERIM {
            if !rest.starts_with(b"HTTP/") {
                return Ok(Self {
                    status: None,
                    body: Cow::Borrowed(trimmed(rest)),
                });
            }
            let head = Head::read(&mut rest).ok_or(HttpError::Status)?;
            if !(100..200).contains(&head.status) {
                let body = head.body(rest)?;
                return Ok(Self {
                    status: Some(head.status),
                    body,
                });
            }
        }
        Err(HttpError::Interim)
    }
}

#[derive(Default)]
struct Head {
    status: u16,
    content_length: Option<usize>,
    chunked: bool,
}

impl Head {
    /// Takes the status line and the headers from the front of `rest`.
    fn read(rest: &mut &[u8]) -> Option<Self> {
        let first = line(rest)?;
        let status = first
            .split(|byte| *byte == b' ')
            .find(|word| !word.is_empty() && !word.starts_with(b"HTTP/"));
        let mut head = Self {
            status: number(status?)?,
            ..Self::default()
        };
        while let Some(header) = line(rest) {
            if header.is_empty() {
                break;
            }
            head.take_header(header);
        }
        Some(head)
    }

    fn take_header(&mut self, header: &[u8]) {
        let mut parts = header.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            return;
        };
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            self.content_length = number(value);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = value.eq_ignore_ascii_case(b"chunked");
        }
    }

    fn body<'a>(&self, rest: &'a [u8]) -> Result<Cow<'a, [u8]>, HttpError> {
        if self.chunked {
            let body = unchunk(rest).ok_or(HttpError::Chunk)?;
            return Ok(Cow::Owned(trimmed(&body).to_vec()));
        }
        let length = self.content_length.unwrap_or(rest.len()).min(rest.len());
        Ok(Cow::Borrowed(trimmed(rest.get(..length).unwrap_or(rest))))
    }
}

/// Takes a line from the front of `rest`, without its end; `None` if nothing is left.
fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if rest.is_empty() {
        return None;
    }
    let mut parts = rest.splitn(2, |byte| *byte == b'\n');
    let line = parts.next()?;
    *rest = parts.next().unwrap_or_default();
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size_line = line(&mut rest).filter(|line| line.len() <= MAX_CHUNK_LINE)?;
        let digits = size_line.split(|byte| *byte == b';').next()?.trim_ascii();
        let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        let chunk = rest.get(..size)?;
        body.extend_from_slice(chunk);
        rest = rest.get(size..)?;
        if !line(&mut rest)?.is_empty() {
            return None;
        }
    }
}

/// Drops white space and NUL bytes at the end, white space and a byte order mark at the start.
fn trimmed(body: &[u8]) -> &[u8] {
    let mut body = body
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(body)
        .trim_ascii_start();
    while let [front @ .., last] = body {
        if *last != 0 && !last.is_ascii_whitespace() {
            break;
        }
        body = front;
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Split = Result<(Option<u16>, &'static [u8]), HttpError>;

    #[test]
    fn responses_are_split() {
        let rows: &[(&[u8], Split)] = &[
            (b"{}", Ok((None, b"{}"))),
            (b"", Ok((None, b""))),
            (b"\xEF\xBB\xBF {} \r\n\0\0", Ok((None, b"{}"))),
            (b"HTTP/1.1 200 OK\r\nX: {\r\n\r\n{}", Ok((Some(200), b"{}"))),
            (b"HTTP/1.0 404\n\nno", Ok((Some(404), b"no"))),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}junk", Ok((Some(200), b"{}"))),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", Ok((Some(200), b"{}"))),
            (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}", Ok((Some(200), b"{}"))),
            (b"HTTP/1.1 204 No Content", Ok((Some(204), b""))),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n[]", Ok((Some(200), b"[]"))),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1;x=y\r\n{\r\nA\r\n\"a\":[1,2]}\r\n0\r\n\r\n",
                Ok((Some(200), b"{\"a\":[1,2]}")),
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n{",
                Err(HttpError::Chunk),
            ),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}", Err(HttpError::Chunk)),
            (b"HTTP/1.1\r\n\r\n", Err(HttpError::Status)),
            (b"HTTP/1.1 abc\r\n\r\n", Err(HttpError::Status)),
        ];
        for (content, expected) in rows {
            let found = HttpContent::split(content);
            let found = found
                .as_ref()
                .map(|c| (c.status, c.body.as_ref()))
                .map_err(|e| *e);
            assert_eq!(found, *expected, "{}", content.escape_ascii());
        }
        let endless = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(9);
        assert_eq!(HttpContent::split(&endless), Err(HttpError::Interim));
    }

    proptest! {
        #[test]
        fn the_body_is_never_longer_than_the_content(
            lead in prop::sample::select(vec![
                "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            ]),
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let content = [lead.as_bytes(), &rest].concat();
            if let Ok(split) = HttpContent::split(&content) {
                prop_assert!(split.body.len() <= content.len());
            }
        }
    }
}
