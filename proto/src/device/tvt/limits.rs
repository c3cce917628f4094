//! What one session may use up: time, bytes, frames and memory.
//!
//! Announced lengths are only compared with these limits; memory grows with the bytes that really
//! arrive.

use std::time::Duration;

/// Time to open the TCP connection on a LAN. For the driver; a session starts connected.
pub const CONNECT_LAN: Duration = Duration::from_secs(3);
/// Time to open the TCP connection across a WAN.
pub const CONNECT_WAN: Duration = Duration::from_secs(8);
/// Time from the connection to the last byte of the greeting. Devices need about 10 ms on a LAN.
pub const INIT: Duration = Duration::from_secs(3);
/// Time from sending the login to the last byte of its reply.
pub const LOGIN: Duration = Duration::from_secs(10);
/// Time for each request inside the session.
pub const TUNNEL_REPLY: Duration = Duration::from_secs(5);
/// Time for the whole session, from the connection on.
pub const SESSION: Duration = Duration::from_secs(30);

/// Largest `cmdLen` before the login has succeeded.
pub const FRAME_BEFORE_LOGIN: u32 = 65_536;
/// Largest `cmdLen` after the login. Some recorders split above 131 100 bytes.
pub const FRAME_AFTER_LOGIN: u32 = 4_194_304;
/// Bytes received in one session.
pub const SESSION_BYTES: u64 = 16 * 1024 * 1024;
/// Heartbeats and pushed frames before the login reply.
pub const NOISE_BEFORE_LOGIN: u32 = 256;
/// Heartbeats and pushed frames after the login reply.
pub const NOISE_AFTER_LOGIN: u32 = 4096;

/// Channels read from a head-variant login reply; the vendor library stops at 128.
pub const CHANNELS: u16 = 512;
/// Cameras read from one JSON or XML document.
pub const CAMERAS: usize = 1024;
/// Characters kept of a text field.
pub const TEXT_CHARACTERS: usize = 256;
/// Bytes kept of a refusal's payload.
pub const KEPT_PAYLOAD: usize = 64;
/// Nesting of a JSON document.
pub const JSON_DEPTH: usize = 64;
/// Values in a JSON document, each array and object counting as four: what its memory is bounded by.
pub const JSON_VALUES: usize = 32_768;
/// Nesting of an XML document.
pub const XML_DEPTH: usize = 32;
/// Elements of an XML document: 1024 cameras with 32 fields each.
pub const XML_ELEMENTS: usize = 32_768;
/// Largest body of an answer inside the session.
pub const TUNNEL_BODY: usize = 1024 * 1024;

/// Upper bound of the memory of one session, in bytes.
///
/// The largest frame (4 MiB), plus for one answer at a time: its body decoded from chunks (1 MiB),
/// the same with each invalid byte replaced by three (3 MiB), its JSON values (up to 300 bytes each
/// with the slack of growing lists, 9.4 MiB), and their texts where those are not the same bytes.
/// The worst documents that were tried stayed below 15 MiB.
pub const SESSION_MEMORY: usize = 20 * 1024 * 1024;

/// The limits of one session. [`Limits::default`] gives the constants of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time to the complete greeting.
    pub init: Duration,
    /// Time from the login to its complete reply.
    pub login: Duration,
    /// Time for each request inside the session.
    pub tunnel_reply: Duration,
    /// Time for the whole session.
    pub session: Duration,
    /// Largest `cmdLen` before the login has succeeded.
    pub frame_before_login: u32,
    /// Largest `cmdLen` afterwards. More than [`FRAME_AFTER_LOGIN`] breaks [`SESSION_MEMORY`].
    pub frame_after_login: u32,
    /// Bytes received in one session.
    pub session_bytes: u64,
    /// Heartbeats and pushed frames before the login reply.
    pub noise_before_login: u32,
    /// Heartbeats and pushed frames afterwards.
    pub noise_after_login: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            init: INIT,
            login: LOGIN,
            tunnel_reply: TUNNEL_REPLY,
            session: SESSION,
            frame_before_login: FRAME_BEFORE_LOGIN,
            frame_after_login: FRAME_AFTER_LOGIN,
            session_bytes: SESSION_BYTES,
            noise_before_login: NOISE_BEFORE_LOGIN,
            noise_after_login: NOISE_AFTER_LOGIN,
        }
    }
}
