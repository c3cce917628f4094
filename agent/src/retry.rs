//! Which failed tries are repeated, and when.
//!
//! Nothing that put a credential on the wire is repeated, but for a device that said it is busy:
//! recorders lock accounts after a few wrong tries, and a lost answer may have been a refusal.

use std::time::Duration;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::Failure;

/// How often and how soon a failed device is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// How many tries may follow the first one.
    pub retries: u32,
    /// The pause before the second try.
    pub first_pause: Duration,
    /// The pause before every further try.
    pub later_pause: Duration,
    /// The pause after a device said that it is busy.
    pub busy_pause: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            retries: 2,
            first_pause: Duration::from_secs(1),
            later_pause: Duration::from_secs(5),
            busy_pause: Duration::from_secs(30),
        }
    }
}

/// How long to wait before the next try, or `None` where there is none.
///
/// `tries` counts those made so far. `draw` is random, 0 to 999: it lengthens the pause by up to half,
/// so that devices behind one broken switch are not asked again in step.
pub(crate) fn pause_before_retry(
    settings: &RetrySettings,
    failure: &Failure,
    tries: u32,
    draw: u32,
) -> Option<Duration> {
    if tries > settings.retries || !may_repeat(failure) {
        return None;
    }
    let pause = if failure.code == ErrorCode::Busy {
        settings.busy_pause
    } else if tries <= 1 {
        settings.first_pause
    } else {
        settings.later_pause
    };
    Some(pause.saturating_add(pause.saturating_mul(draw.min(999)) / 2000))
}

fn may_repeat(failure: &Failure) -> bool {
    // With these two the device's time is over, or nobody wants the answer any more.
    let over = matches!(
        failure.code,
        ErrorCode::DeviceDeadline | ErrorCode::DeviceCancelled
    );
    let harmless = !failure.credentials_sent || failure.code == ErrorCode::Busy;
    failure.code.retryable() && harmless && !over
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(code: ErrorCode, credentials_sent: bool, tries: u32) -> Option<Duration> {
        let failure = Failure {
            credentials_sent,
            ..Failure::new(code, "")
        };
        pause_before_retry(&RetrySettings::default(), &failure, tries, 0)
    }

    #[test]
    fn the_table_of_what_is_repeated() {
        let seconds = |n| Some(Duration::from_secs(n));
        let rows = [
            (ErrorCode::ConnectRefused, false, 1, seconds(1)),
            (ErrorCode::ConnectTimeout, false, 2, seconds(5)),
            (ErrorCode::Unreachable, false, 3, None),
            (ErrorCode::Closed, false, 1, seconds(1)),
            (ErrorCode::InitTimeout, false, 1, seconds(1)),
            (ErrorCode::Truncated, false, 1, seconds(1)),
            (ErrorCode::Truncated, true, 1, None),
            (ErrorCode::ProtocolViolation, true, 1, None),
            (ErrorCode::NotTvt, false, 1, None),
            (ErrorCode::UnsupportedVariant, false, 1, None),
            (ErrorCode::PolicyRefused, false, 1, None),
            (ErrorCode::CredentialInvalid, false, 1, None),
            (ErrorCode::Busy, true, 1, seconds(30)),
            (ErrorCode::Busy, true, 2, seconds(30)),
            (ErrorCode::LoginTimeout, true, 1, None),
            (ErrorCode::ClosedAfterLogin, true, 1, None),
            (ErrorCode::LoginRejected, true, 1, None),
            (ErrorCode::AccountLocked, true, 1, None),
            (ErrorCode::RefusedByDevice, true, 1, None),
            (ErrorCode::PasswordChangeRequired, true, 1, None),
            (ErrorCode::LoginFailed, true, 1, None),
            (ErrorCode::DeviceDeadline, false, 1, None),
            (ErrorCode::DeviceCancelled, false, 1, None),
        ];
        for (code, sent, tries, expected) in rows {
            assert_eq!(pause(code, sent, tries), expected, "{code} {sent} {tries}");
        }
    }

    #[test]
    fn no_code_repeats_a_login() {
        for code in ErrorCode::ALL {
            if *code != ErrorCode::Busy {
                assert_eq!(pause(*code, true, 1), None, "{code}");
            }
        }
    }

    #[test]
    fn the_pause_is_spread_by_up_to_half() {
        let failure = Failure::new(ErrorCode::ConnectRefused, "");
        let settings = RetrySettings::default();
        let at = |draw| pause_before_retry(&settings, &failure, 1, draw).unwrap();
        assert_eq!(at(0), Duration::from_secs(1));
        assert!(at(999) < Duration::from_millis(1500) && at(999) > Duration::from_millis(1490));
        assert_eq!(at(u32::MAX), at(999));
    }
}
