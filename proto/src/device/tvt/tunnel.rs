//! HTTP requests that a device carries out inside an authenticated session, and their answers.
//!
//! Answers are JSON, as pytvt expects, or the XML lists of the web interface. HTML and anything else is
//! `device.tunnel_bad_reply`.

use super::camera_xml;
use super::cameras::{Cameras, extract};
use super::command::CommandId;
use super::config::Compat;
use super::failure::CodecError;
use super::field::{count, size, u32_at};
use super::frame::Frame;
use super::http::HttpContent;
use super::json::Json;
use super::limits::TUNNEL_BODY;
use crate::error::ErrorCode;

/// Bytes before the HTTP text: its length, the request's number and 64 unused bytes.
const PREFIX: usize = 72;
const SEQUENCE_AT: usize = 4;

/// A path that may answer with a list of cameras.
///
/// UNCERTAIN: all three are pytvt's guesses. A device that answers one settles it for its firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TunnelPath {
    /// `/queryIPCInfo`.
    QueryIpcInfo,
    /// `/LAPI/V1.0/Channel/Table`.
    ChannelTable,
    /// `/LAPI/V1.0/System/DeviceInfo`.
    DeviceInfo,
}

impl TunnelPath {
    /// All paths, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::QueryIpcInfo, Self::ChannelTable, Self::DeviceInfo];

    /// The path itself.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueryIpcInfo => "/queryIPCInfo",
            Self::ChannelTable => "/LAPI/V1.0/Channel/Table",
            Self::DeviceInfo => "/LAPI/V1.0/System/DeviceInfo",
        }
    }

    /// The path of this text.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == path)
    }
}

/// The frame that asks for a path. `sequence` comes back with the answer; the session is
/// authenticated, so there are no credentials in it.
#[must_use]
pub fn tunnel_request(path: &str, sequence: u32) -> Vec<u8> {
    let text = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n\r\n");
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let payload = [
        length.to_le_bytes().as_slice(),
        &sequence.to_le_bytes(),
        &[0; 64],
        text.as_bytes(),
        // The end byte is not counted in the length.
        &[0],
    ]
    .concat();
    Frame::new(CommandId::TUNNEL_REQUEST, 0, 0, payload).encode()
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelReply<'a> {
    /// The request's number; devices may send 0.
    pub sequence: u32,
    /// The HTTP text, exactly as long as the device says.
    pub content: &'a [u8],
}

impl<'a> TunnelReply<'a> {
    /// Reads the payload of an answer. Bytes behind the text are ignored.
    ///
    /// # Errors
    ///
    /// `device.truncated` for fewer than 72 bytes, or fewer than the announced text.
    pub fn parse(payload: &'a [u8]) -> Result<Self, CodecError> {
        let error = |text| CodecError::truncated(count(payload.len()), text);
        let (Some(length), Some(sequence), Some(rest)) = (
            u32_at(payload, 0),
            u32_at(payload, SEQUENCE_AT),
            payload.get(PREFIX..),
        ) else {
            return Err(error(
                "an answer inside the session has fewer than 72 bytes",
            ));
        };
        let content = rest.get(..size(length)).ok_or(error(
            "an answer inside the session is shorter than it says",
        ))?;
        Ok(Self { sequence, content })
    }

    /// Reads the cameras out of the answer; none is a valid answer.
    ///
    /// # Errors
    ///
    /// A [`TunnelTrouble`].
    pub fn cameras(&self, compat: Compat) -> Result<Cameras, TunnelTrouble> {
        let bad = |status, text: String| TunnelTrouble {
            code: ErrorCode::TunnelBadReply,
            status,
            text,
        };
        let content =
            HttpContent::split(self.content).map_err(|error| bad(None, error.to_string()))?;
        let status = content.status;
        let refused = |code, text: &str| TunnelTrouble {
            code,
            status,
            text: text.to_owned(),
        };
        match status {
            None | Some(200..=299) => {}
            Some(401 | 403) => {
                return Err(refused(
                    ErrorCode::TunnelDenied,
                    "the device denies the path",
                ));
            }
            Some(404 | 405 | 501) => {
                return Err(refused(
                    ErrorCode::TunnelUnsupported,
                    "the device does not know the path",
                ));
            }
            Some(other) => {
                return Err(bad(
                    status,
                    format!("the device answered with HTTP {other}"),
                ));
            }
        }
        if content.body.len() > TUNNEL_BODY {
            return Err(bad(
                status,
                format!("the answer has more than {TUNNEL_BODY} bytes"),
            ));
        }
        match content.body.first() {
            Some(b'{' | b'[') => {}
            Some(b'<') => {
                return camera_xml::read(&content.body, compat)
                    .map_err(|fault| bad(status, fault.to_string()));
            }
            Some(_) => return Err(bad(status, "the answer is neither JSON nor XML".to_owned())),
            None => return Err(bad(status, "the answer is empty".to_owned())),
        }
        let text = String::from_utf8_lossy(&content.body);
        let document = Json::read(&text).map_err(|fault| bad(status, fault.to_string()))?;
        Ok(extract(&document, compat))
    }
}

/// Why an answer yields nothing. Never a failed login.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct TunnelTrouble {
    /// `device.tunnel_denied`, `device.tunnel_unsupported` or `device.tunnel_bad_reply`.
    pub code: ErrorCode,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// What is wrong, for people.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(content: &[u8]) -> Option<ErrorCode> {
        TunnelReply {
            sequence: 1,
            content,
        }
        .cameras(Compat::None)
        .err()
        .map(|t| t.code)
    }

    #[test]
    fn troubles_are_told_apart() {
        let rows: &[(&[u8], Option<ErrorCode>)] = &[
            (b"HTTP/1.1 200 OK\r\n\r\n{}", None),
            (b"[]", None),
            (
                b"HTTP/1.1 401 Unauthorized\r\n\r\n{}",
                Some(ErrorCode::TunnelDenied),
            ),
            (
                b"HTTP/1.1 403 Forbidden\r\n\r\n",
                Some(ErrorCode::TunnelDenied),
            ),
            (
                b"HTTP/1.1 404 Not Found\r\n\r\n{}",
                Some(ErrorCode::TunnelUnsupported),
            ),
            (
                b"HTTP/1.1 501 No\r\n\r\n{}",
                Some(ErrorCode::TunnelUnsupported),
            ),
            (
                b"HTTP/1.1 500 Oops\r\n\r\n{}",
                Some(ErrorCode::TunnelBadReply),
            ),
            (
                b"HTTP/1.1 200 OK\r\n\r\n<html>",
                Some(ErrorCode::TunnelBadReply),
            ),
            (b"HTTP/1.1 200 OK\r\n\r\n", Some(ErrorCode::TunnelBadReply)),
            (b"{\"a\":", Some(ErrorCode::TunnelBadReply)),
            (
                b"<ChannelInfo><channelName>Gate</channelName></ChannelInfo>",
                None,
            ),
            (b"<a><b></a>", Some(ErrorCode::TunnelBadReply)),
            (b"hello", Some(ErrorCode::TunnelBadReply)),
        ];
        for (content, expected) in rows {
            assert_eq!(trouble(content), *expected, "{}", content.escape_ascii());
        }
        let large = [b"[".as_slice(), &vec![b' '; TUNNEL_BODY], b"]"].concat();
        assert_eq!(trouble(&large), Some(ErrorCode::TunnelBadReply));
    }

    #[test]
    fn the_announced_length_decides() {
        let mut payload = vec![0; PREFIX];
        payload[0] = 2;
        payload[SEQUENCE_AT] = 7;
        payload.extend_from_slice(b"{}\0junk");
        let reply = TunnelReply::parse(&payload).unwrap();
        assert_eq!((reply.sequence, reply.content), (7, b"{}".as_slice()));
        payload[3] = 0xFF;
        assert_eq!(
            TunnelReply::parse(&payload).unwrap_err().code,
            ErrorCode::Truncated
        );
        assert_eq!(
            TunnelReply::parse(&payload[..71]).unwrap_err().code,
            ErrorCode::Truncated
        );
    }
}
