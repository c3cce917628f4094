//! Command ids.
//!
//! Ids belong to a family: `0x0100_0104` ends a login in one and is the login reply in another.
//! Which family a session speaks is decided by the greeting alone.

use std::fmt;

/// The `cmdType` of a frame. Any value may occur; the constants name the ones used here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u32);

impl CommandId {
    /// Standard login request, 116 bytes of payload.
    pub const LOGIN: Self = Self(0x0000_0101);
    /// Logout, without payload. No reply is known.
    pub const LOGOUT: Self = Self(0x0000_0102);
    /// Standard login accepted; 200 bytes are known.
    pub const LOGIN_ACCEPTED: Self = Self(0x0100_0101);
    /// Standard login refused; a 32-bit code.
    pub const LOGIN_REFUSED: Self = Self(0x0100_0102);
    /// Head-variant login request, 236 bytes of payload.
    pub const HEAD_LOGIN: Self = Self(0x0100_0004);
    /// Head-variant login accepted, as pytvt names it. UNCERTAIN: real recorders answer under an id
    /// that nobody recorded.
    pub const HEAD_LOGIN_ACCEPTED: Self = Self(0x0100_0104);
    /// Head-variant login refused. The layout of its payload is unknown.
    pub const HEAD_LOGIN_REFUSED: Self = Self(0x0100_0204);
    /// An HTTP request to be carried out inside the session.
    pub const TUNNEL_REQUEST: Self = Self(0x0101_0D00);
    /// The answer to [`Self::TUNNEL_REQUEST`].
    pub const TUNNEL_REPLY: Self = Self(0x0101_0D01);
    /// A part of a split command of the DVR V4 family: `PACK` in ASCII.
    pub const V4_PACK: Self = Self(0x4B43_4150);

    /// Whether the id says that a head-variant login was accepted.
    ///
    /// UNCERTAIN: that byte 1 of an id is 1 for "accepted" and 2 for "refused" is read off the three
    /// ids that are known. A captured login of a head-variant recorder settles it.
    #[must_use]
    pub const fn is_head_login_accepted(self) -> bool {
        self.0 == Self::HEAD_LOGIN_ACCEPTED.0
    }

    /// Whether the id says that a head-variant login was refused.
    #[must_use]
    pub const fn is_head_login_refused(self) -> bool {
        self.0 == Self::HEAD_LOGIN_REFUSED.0
    }

    /// Whether the id is a reply of the DVR V4 family.
    #[must_use]
    pub const fn is_v4_reply(self) -> bool {
        self.0 & 0xFFFF_FF00 == 0x0001_0000
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}
