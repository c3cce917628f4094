//! The error numbers of the vendor's library.
//!
//! Wire source: `NET_SDK_GetLastError`, vendor header 1.2.1.036. Numbers that are not known are
//! reported as numbers and never taken for a neighbour.

use crate::error::ErrorCode;

/// What a number of the vendor's library means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// Our code for it.
    pub code: ErrorCode,
    /// What it means, as a fragment of a sentence; empty where the number is not known.
    pub text: &'static str,
}

/// What `number` means.
#[must_use]
pub fn meaning(number: u32) -> Meaning {
    let (code, text) = match number {
        1 => (ErrorCode::LoginRejected, "wrong user name or password"),
        50 | 92 => (ErrorCode::LoginRejected, "no such user"),
        29 => (
            ErrorCode::LoginRejected,
            "the password has a forbidden form",
        ),
        93 => (ErrorCode::LoginRejected, "empty user name or password"),
        2 => (ErrorCode::RefusedByDevice, "the account lacks the right"),
        6 => (
            ErrorCode::AccountLocked,
            "the device refuses the login: locked account or blocked address",
        ),
        58 => (ErrorCode::RefusedByDevice, "the address does not fit"),
        59 => (ErrorCode::RefusedByDevice, "the MAC does not fit"),
        5 => (ErrorCode::Busy, "the device has no free connection"),
        55 => (ErrorCode::Busy, "the device has its maximum of users"),
        94 => (ErrorCode::Busy, "this user is already logged in"),
        27 | 95 => (ErrorCode::Busy, "the device is busy"),
        15 | 16 | 30 | 34 | 39 | 77 => (ErrorCode::Busy, "the device is used by another"),
        31 | 49 => (ErrorCode::Busy, "the device is out of resources"),
        97 => (ErrorCode::Busy, "the device is not ready after the login"),
        8 => (ErrorCode::Unreachable, "the device cannot be reached"),
        9 | 76 => (ErrorCode::Unreachable, "the session is lost"),
        10 => (ErrorCode::Unreachable, "sending failed"),
        11 => (ErrorCode::Unreachable, "receiving failed"),
        90 => (ErrorCode::Unreachable, "the device is offline"),
        12 | 17 => (ErrorCode::SdkTimeout, "the device did not answer in time"),
        13 => (ErrorCode::ProtocolViolation, "malformed data"),
        7 => (
            ErrorCode::UnsupportedVariant,
            "the versions of library and device do not fit",
        ),
        26 | 96 => (
            ErrorCode::UnsupportedVariant,
            "the device does not support it",
        ),
        4 => (ErrorCode::SdkFailed, "no such channel"),
        3 | 14 => (ErrorCode::SdkFailed, "calls in the wrong order"),
        20 => (ErrorCode::SdkFailed, "a bad argument"),
        21 => (ErrorCode::SdkFailed, "the channel is in trouble"),
        22 => (ErrorCode::SdkFailed, "the device has no disk"),
        32 => (ErrorCode::SdkFailed, "the device reports a failure"),
        44 | 47 | 48 | 75 | 100 => (ErrorCode::SdkFailed, "this computer is out of resources"),
        46 | 102 => (ErrorCode::SdkFailed, "the buffer is too small"),
        78 => (ErrorCode::SdkFailed, "an internal error of the library"),
        98 => (ErrorCode::SdkFailed, "the camera is offline"),
        99 | 101 => (
            ErrorCode::SdkFailed,
            "the device did not say what it can do",
        ),
        _ => (ErrorCode::SdkFailed, ""),
    };
    Meaning { code, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn refused_logins_are_never_tried_again() {
        for number in [1, 2, 6, 29, 50, 58, 59, 92, 93] {
            let code = meaning(number).code;
            assert!(!code.retryable(), "{number}");
            assert!(
                matches!(code.kind(), ErrorKind::Credentials | ErrorKind::Refused),
                "{number}: {code}"
            );
        }
    }

    #[test]
    fn numbers_that_are_not_known_stay_numbers() {
        for number in [0, 105, 106, 107, 123, 999, u32::MAX] {
            let Meaning { code, text } = meaning(number);
            assert_eq!((code, text), (ErrorCode::SdkFailed, ""), "{number}");
        }
    }
}
