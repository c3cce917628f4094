//! What a frame of a device means before the login has succeeded.

use super::command::CommandId;
use super::frame::Frame;
use super::head::{FIXED_LEN, HeadLogin};
use super::login::Variant;
use super::reply::{classify_head_login_failure, classify_login_failure, login_failure_code};
use crate::error::ErrorCode;

/// What a frame means before the login has succeeded.
pub(super) enum Verdict {
    /// The login was accepted.
    Accepted,
    /// Accepted, but the frame that lists the channels is still to come.
    Acknowledged,
    /// The login was refused.
    Refused(ErrorCode),
    /// The device belongs to the DVR V4 family.
    OtherFamily,
    /// Anything else.
    Pushed,
}

/// Reads a frame that comes before the login has succeeded, in the light of the family.
pub(super) fn verdict(variant: Variant, frame: &Frame) -> Verdict {
    let (command, payload) = (frame.header.command, frame.payload.as_slice());
    if command.is_v4_reply() {
        return Verdict::OtherFamily;
    }
    if command == CommandId::LOGIN_REFUSED {
        let code =
            login_failure_code(payload).map_or(ErrorCode::LoginFailed, classify_login_failure);
        return Verdict::Refused(code);
    }
    match variant {
        Variant::Standard if command == CommandId::LOGIN_ACCEPTED => Verdict::Accepted,
        Variant::Standard => Verdict::Pushed,
        Variant::Head if command.is_head_login_refused() => {
            let code = login_failure_code(payload)
                .map_or(ErrorCode::LoginRejected, classify_head_login_failure);
            Verdict::Refused(code)
        }
        Variant::Head
            if payload.len() >= FIXED_LEN
                && HeadLogin::parse(payload).is_ok_and(|login| login.is_plausible()) =>
        {
            Verdict::Accepted
        }
        Variant::Head if command.is_head_login_accepted() => Verdict::Acknowledged,
        Variant::Head => Verdict::Pushed,
    }
}
