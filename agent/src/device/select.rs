//! Which backends are tried for a question, and when the next one may follow.

use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::{Backend, BackendChoice};
use tvtfleet_proto::model::report::Failure;

/// The backends to try, in this order.
pub(crate) fn backends(choice: BackendChoice, ask: Ask) -> Vec<Backend> {
    match (choice, ask) {
        (BackendChoice::Auto, Ask::Scan | Ask::Probe) => vec![Backend::Protocol],
        // A site is asked, not a device.
        (BackendChoice::Auto, Ask::Discover) => Vec::new(),
        (BackendChoice::Only(backend), _) => vec![backend],
    }
}

/// Whether another backend may be tried after this failure: never after a credential was sent, for
/// all interfaces of a device are taken to share the counter that locks the account.
pub(crate) fn may_fall_back(failure: &Failure) -> bool {
    use tvtfleet_proto::error::ErrorKind::{Cancelled, Config, Credentials, Policy};
    let decided = matches!(
        failure.code.kind(),
        Policy | Credentials | Config | Cancelled
    );
    !failure.credentials_sent && !decided
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::error::ErrorCode;

    #[test]
    fn auto_starts_with_the_quickest() {
        for ask in &[Ask::Scan, Ask::Probe] {
            assert_eq!(backends(BackendChoice::Auto, *ask), [Backend::Protocol]);
            let only = BackendChoice::Only(Backend::Protocol);
            assert_eq!(backends(only, *ask), [Backend::Protocol]);
        }
    }

    #[test]
    fn a_sent_credential_is_never_passed_on() {
        for code in ErrorCode::ALL {
            let sent = Failure {
                credentials_sent: true,
                ..Failure::new(*code, "")
            };
            assert!(!may_fall_back(&sent), "{code}");
        }
        let refused = |code| !may_fall_back(&Failure::new(code, ""));
        assert!(refused(ErrorCode::PolicyRefused) && refused(ErrorCode::JobBraked));
        assert!(refused(ErrorCode::AccountLocked) && refused(ErrorCode::DeviceCancelled));
        assert!(!refused(ErrorCode::ConnectRefused) && !refused(ErrorCode::UnsupportedVariant));
    }
}
