//! Command numbers that a recorder reads or sends.

/// Standard login request.
pub(crate) const LOGIN: u32 = 0x0000_0101;
/// Logout, header only.
pub(crate) const LOGOUT: u32 = 0x0000_0102;
/// Login request of the head variant.
pub(crate) const HEAD_LOGIN: u32 = 0x0100_0004;
/// Tunnelled HTTP request.
pub(crate) const TUNNEL_REQUEST: u32 = 0x0101_0D00;

/// Standard login success.
pub(crate) const LOGIN_SUCCESS: u32 = 0x0100_0101;
/// Standard login failure.
pub(crate) const LOGIN_FAILURE: u32 = 0x0100_0102;
/// Login failure of the head variant.
pub(crate) const HEAD_LOGIN_FAILURE: u32 = 0x0100_0204;
/// Tunnelled HTTP reply.
pub(crate) const TUNNEL_REPLY: u32 = 0x0101_0D01;
/// First of the short frames that a head-variant recorder sends before its long reply.
pub(crate) const HEAD_SHORT_FRAME: u32 = 0x0100_AA00;
/// Motion status, pushed without a request.
pub(crate) const PUSHED_MOTION: u32 = 0x0100_0B01;
/// A number that no command list knows.
pub(crate) const UNKNOWN_REPLY: u32 = 0x0100_7F7F;

/// Request number of a frame that nobody asked for.
pub(crate) const PUSHED_ID: u32 = 0xFFFF_FFFF;
