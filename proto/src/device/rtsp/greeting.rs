//! The first question to an RTSP server, which shows no credential.

use crate::device::http::{Scheme, Trouble, challenges, strongest};
use crate::error::ErrorCode;

/// Bytes of an answer's head.
pub const HEAD_MAX: usize = 16 * 1024;
/// Lines of it.
const LINES_MAX: usize = 100;

/// The request that asks for a stream's description without a credential.
#[must_use]
pub fn describe(url: &str) -> String {
    format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n")
}

/// What a server says to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// The stream may be had without a login.
    Open,
    /// A login is needed, in this way.
    Login(Scheme),
}

impl Greeting {
    /// Reads the head of an answer; `None` asks for more bytes.
    ///
    /// # Errors
    ///
    /// `rtsp.bad_answer` for what is no RTSP, `rtsp.not_found`, `device.busy` and their like.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, Trouble> {
        let seen = bytes.get(..bytes.len().min(8)).unwrap_or_default();
        if !b"RTSP/1.0".starts_with(seen) && seen != b"RTSP/2.0" {
            let text = "what answers on the video port is no RTSP server";
            return Err(Trouble::new(ErrorCode::RtspBadAnswer, text, None));
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            if bytes.len() >= HEAD_MAX {
                let text = "the answer of the RTSP server has no end";
                return Err(Trouble::new(ErrorCode::RtspBadAnswer, text, None));
            }
            return Ok(None);
        };
        let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
        let mut lines = head.split("\r\n").take(LINES_MAX);
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse::<u16>().ok());
        let Some(status) = status else {
            let text = "the answer of the RTSP server cannot be read";
            return Err(Trouble::new(ErrorCode::RtspBadAnswer, text, None));
        };
        if status == 401 {
            let asked = lines.filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.trim()
                    .eq_ignore_ascii_case("www-authenticate")
                    .then_some(value.trim())
            });
            return match strongest(&challenges(asked)) {
                Some(scheme) => Ok(Some(Self::Login(scheme))),
                None => {
                    let text = "the RTSP server asks for a login that is not supported";
                    Err(Trouble::new(ErrorCode::UnsupportedVariant, text, 401))
                }
            };
        }
        refusal(status).map_or(Ok(Some(Self::Open)), Err)
    }
}

/// What a status says, unless it says that all is well.
#[must_use]
pub fn refusal(status: u16) -> Option<Trouble> {
    let (code, text) = match status {
        200..=299 => return None,
        300..=399 => (
            ErrorCode::RedirectRefused,
            "the device points to another address, which is not followed",
        ),
        401 => (
            ErrorCode::LoginRejected,
            "the RTSP server refused the user name or the password",
        ),
        403 => (
            ErrorCode::PermissionDenied,
            "the account may not see this stream",
        ),
        404 | 454 => (
            ErrorCode::RtspNotFound,
            "the device has no such channel or stream",
        ),
        408 | 429 | 453 | 503 => (
            ErrorCode::Busy,
            "the device serves as many streams as it can",
        ),
        _ => (
            ErrorCode::RtspBadAnswer,
            "the RTSP server reported a failure",
        ),
    };
    Some(Trouble::new(code, text, u32::from(status)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Option<Greeting>, ErrorCode> {
        Greeting::read(text.as_bytes()).map_err(|trouble| trouble.code)
    }

    #[test]
    fn the_strongest_login_is_found() {
        let both = "RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                    www-authenticate: Digest realm=\"x\", nonce=\"n\"\r\n\r\n";
        assert!(matches!(
            read(both),
            Ok(Some(Greeting::Login(Scheme::Digest(_))))
        ));
        let basic = "RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n";
        assert_eq!(read(basic), Ok(Some(Greeting::Login(Scheme::Basic))));
        let none = "RTSP/1.0 401 Unauthorized\r\n\r\n";
        assert_eq!(read(none), Err(ErrorCode::UnsupportedVariant));
    }

    #[test]
    fn refusals_have_their_codes() {
        let of = |status: u16| read(&format!("RTSP/1.0 {status} X\r\n\r\n"));
        assert_eq!(of(200), Ok(Some(Greeting::Open)));
        assert_eq!(of(404), Err(ErrorCode::RtspNotFound));
        assert_eq!(of(453), Err(ErrorCode::Busy));
        assert_eq!(of(500), Err(ErrorCode::RtspBadAnswer));
        assert_eq!(
            read("HTTP/1.1 200 OK\r\n\r\n"),
            Err(ErrorCode::RtspBadAnswer)
        );
        assert_eq!(read("RTSP/1.0 x\r\n\r\n"), Err(ErrorCode::RtspBadAnswer));
        let endless = "RTSP/1.0 200 OK\r\n".repeat(HEAD_MAX / 10);
        assert_eq!(read(&endless), Err(ErrorCode::RtspBadAnswer));
    }

    proptest! {
        #[test]
        fn any_prefix_of_an_answer_asks_for_more(end in 0_usize..40) {
            let answer = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: dvr\r\n\r\n";
            prop_assert_eq!(Greeting::read(&answer[..end]), Ok(None));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Greeting::read(&[b"RTSP/1.0 401 ", &bytes[..], b"\r\n\r\n"].concat());
            let _ = Greeting::read(&bytes);
        }
    }
}
