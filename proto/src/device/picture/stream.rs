//! Which stream of a camera a picture is of, and by which way it came.

use std::fmt;
use std::str::FromStr;

/// One of a camera's video streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VideoStream {
    /// Full resolution.
    #[default]
    Main,
    /// Second, smaller stream.
    Sub,
    /// Third stream, where there is one.
    Third,
    /// Fourth stream, where there is one.
    Fourth,
}

impl VideoStream {
    /// Every stream, in the order of pytvt's numbers, which start at 0.
    pub const ALL: &'static [Self] = &[Self::Main, Self::Sub, Self::Third, Self::Fourth];

    /// The word of recorders' addresses and of the command line. UNCERTAIN for `third` and `fourth`,
    /// which no document of the maker names for recorders; a recorder that serves them settles it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Sub => "sub",
            Self::Third => "third",
            Self::Fourth => "fourth",
        }
    }

    /// The number in a camera's address, from 1.
    #[must_use]
    pub const fn profile(self) -> u8 {
        match self {
            Self::Main => 1,
            Self::Sub => 2,
            Self::Third => 3,
            Self::Fourth => 4,
        }
    }
}

impl fmt::Display for VideoStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No stream of this name or number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown stream {0:?}: main, sub, third or fourth")]
pub struct UnknownStream(pub String);

impl FromStr for VideoStream {
    type Err = UnknownStream;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let by_number = text
            .parse()
            .ok()
            .and_then(|number: usize| Self::ALL.get(number));
        let by_name = || Self::ALL.iter().find(|stream| stream.as_str() == text);
        by_number
            .or_else(by_name)
            .copied()
            .ok_or_else(|| UnknownStream(text.chars().take(40).collect()))
    }
}

/// How a picture was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// A still of the web API.
    WebApi,
    /// A still of the vendor's library.
    Sdk,
    /// A key frame of the recorder's RTSP server.
    Rtsp,
    /// A key frame of the camera's own RTSP server.
    RtspCamera,
}

impl Way {
    /// The name used in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebApi => "webapi",
            Self::Sdk => "sdk",
            Self::Rtsp => "rtsp",
            Self::RtspCamera => "rtsp-camera",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_have_names_and_pytvts_numbers() {
        for (number, stream) in VideoStream::ALL.iter().enumerate() {
            assert_eq!(number.to_string().parse(), Ok(*stream));
            assert_eq!(stream.as_str().parse(), Ok(*stream));
            assert_eq!(usize::from(stream.profile()), number + 1);
        }
        assert!("4".parse::<VideoStream>().is_err() && "".parse::<VideoStream>().is_err());
    }
}
