//! What a fleet file says about the web interfaces of a recorder.

use serde::{Deserialize, Serialize};

use crate::device::Password;

/// The web interfaces of one recorder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebSpec {
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// What the web API speaks.
    pub api: ApiDialect,
    /// How users log in to the web API.
    pub api_login: ApiLogin,
    /// Requests per nonce until it is stale; 0: never.
    pub nonce_uses: u32,
    /// How users log in to the pages.
    pub pages: PagesLogin,
    /// Commands until a session of the pages is over; 0: never.
    pub session_uses: u32,
    /// The model.
    pub model: String,
    /// Seconds that the clock is ahead.
    pub clock_offset_s: i64,
    /// Whether the RTSP server is on.
    pub rtsp_on: bool,
    /// Passwords that a change may set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passwords: Vec<Password>,
    /// How long a reboot takes, in milliseconds.
    pub reboot_ms: u64,
    /// How long the web API takes to answer once it is switched on, in milliseconds.
    pub api_start_ms: u64,
    /// What becomes of changes instead of what should.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_fault: Option<WriteFault>,
    /// The RTSP port that the device tells.
    pub told_rtsp_port: u16,
    /// What is wrong with its stills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub still: Option<StillFault>,
    /// What every answer is instead of what it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<WebFault>,
}

impl Default for WebSpec {
    fn default() -> Self {
        Self {
            port: 0,
            api: ApiDialect::FlatV2,
            api_login: ApiLogin::Digest,
            nonce_uses: 0,
            pages: PagesLogin::Modern,
            session_uses: 0,
            model: "TD-EX3316".to_owned(),
            clock_offset_s: 0,
            rtsp_on: true,
            passwords: Vec::new(),
            reboot_ms: 300,
            api_start_ms: 0,
            write_fault: None,
            told_rtsp_port: 554,
            still: None,
            fault: None,
        }
    }
}

/// What is wrong with the stills of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StillFault {
    /// Nothing, with status 200.
    Empty,
    /// A page for people, with status 200.
    Html,
    /// A document, with status 200.
    Xml,
    /// Half of the picture.
    Truncated,
    /// NUL bytes after the picture.
    Padded,
    /// The same picture every time.
    Stale,
    /// The first channel's picture for every channel.
    Swapped,
    /// A covered camera.
    Black,
    /// One grey all over.
    Grey,
    /// A scene that stands still under a clock that runs.
    Frozen,
    /// The command is not known.
    Unknown,
}

/// What the web API speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiDialect {
    /// Nothing: every path is unknown.
    Off,
    /// Documents of version 1: no list of commands, channels beside an empty list.
    FlatV1,
    /// Documents of version 2.
    FlatV2,
    /// Paths below `/LAPI/V1.0`.
    Lapi,
}

/// How users log in to the web API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiLogin {
    /// Basic only.
    Basic,
    /// Digest with MD5.
    Digest,
    /// Digest with SHA-256 beside one with MD5.
    DigestSha256,
}

/// How users log in to the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PagesLogin {
    /// There are none.
    Off,
    /// The token comes with the greeting.
    Classic,
    /// The token comes with the login, the cookie only as an element.
    Modern,
    /// The same, with a key of the session under the password.
    Encrypted,
    /// The same, with a public key of the client that goes into the proof and gets the session's key.
    Keyed,
    /// The password in base64, then Basic.
    Legacy,
}

/// What becomes of changes instead of what should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteFault {
    /// They are taken and nothing happens.
    Ignored,
    /// They are refused with this number.
    Refused(u32),
    /// The connection breaks before anything happens.
    LostBefore,
    /// The connection breaks when everything has happened.
    LostAfter,
    /// Nothing happens, and no answer comes.
    MuteBefore,
    /// Everything happens, and no answer comes.
    MuteAfter,
}

/// What every answer of the web interfaces is instead of what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebFault {
    /// This status with a page.
    Status(u16),
    /// A page for people with status 200.
    Html,
    /// Half of the body that was announced.
    Truncated,
    /// The way to another address.
    Redirect(String),
    /// A body without an end.
    Endless,
    /// A small body in this encoding that unpacks to half a gigabyte; empty: the header does not say so.
    Bomb(String),
    /// The first half of one.
    HalfBomb(String),
    /// No answer.
    Mute,
}
