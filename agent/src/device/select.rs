//! Which backends are tried for a question, and when the next one may follow.
//!
//! `auto` asks the binary protocol for identity and channels, because it is the quickest. What a
//! recorder leaves out there is completed: model and serial number by the web API, in two requests;
//! the cameras behind the channels of a head-variant recorder, and model and serial number with them,
//! by its pages. Other questions go to the web API first and to the pages where that is switched off,
//! except those that only one of them can answer.

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::{Backend, BackendChoice};
use tvtfleet_proto::model::report::Failure;

use super::interface::Answer;

/// The backends to try, in this order.
pub(crate) fn backends(choice: BackendChoice, ask: Ask) -> Vec<Backend> {
    if let BackendChoice::Only(backend) = choice {
        return vec![backend];
    }
    match ask {
        Ask::Scan | Ask::Probe => vec![Backend::Protocol],
        // The pages know the cameras' addresses.
        Ask::Channels => vec![Backend::Cgi, Backend::WebApi],
        Ask::Info
        | Ask::Disks
        | Ask::Ports
        | Ask::Streams
        | Ask::Recording
        | Ask::RecordingDays
        | Ask::RtspUrl => vec![Backend::WebApi, Backend::Cgi],
        Ask::Clock | Ask::Image | Ask::Audio | Ask::Osd | Ask::RecordingSegments => {
            vec![Backend::WebApi]
        }
        Ask::Users
        | Ask::PasswordPolicy
        | Ask::Services
        | Ask::Platform
        | Ask::CameraLogins
        | Ask::Motion => vec![Backend::Cgi],
        // A site is asked, not a device.
        Ask::Discover => Vec::new(),
    }
}

/// Whether another backend may be tried after this failure: never after a credential was sent in
/// vain, for all interfaces of a device are taken to share the counter that locks the account.
pub(crate) fn may_fall_back(failure: &Failure) -> bool {
    use tvtfleet_proto::error::ErrorKind::{Cancelled, Config, Credentials, Policy};
    let decided = matches!(
        failure.code.kind(),
        Policy | Credentials | Config | Cancelled
    );
    !failure.credentials_sent && !decided
}

/// What is to be completed, and by which backends in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completion {
    /// Model and serial number.
    Identity,
    /// These, and the cameras behind the channels.
    Cameras,
}

impl Completion {
    /// What the answer of the binary protocol leaves out.
    pub(crate) fn of(choice: BackendChoice, ask: Ask, answer: &Answer) -> Option<Self> {
        if choice != BackendChoice::Auto || ask != Ask::Scan {
            return None;
        }
        if answer.warnings.contains(&ErrorCode::AddressesUnknown) {
            return Some(Self::Cameras);
        }
        let known = !answer.facts.model.is_empty() && !answer.facts.serial.is_empty();
        (!known).then_some(Self::Identity)
    }

    /// The backends to try, in this order.
    pub(crate) const fn backends(self) -> &'static [Backend] {
        match self {
            Self::Identity => &[Backend::WebApi, Backend::Cgi],
            Self::Cameras => &[Backend::Cgi, Backend::WebApi],
        }
    }

    /// Whether the next backend may follow a failure: only where the interface is not there, for the
    /// others stand behind the same ports.
    pub(crate) fn may_go_on(failure: &Failure) -> bool {
        let absent = [ErrorCode::InterfaceAbsent, ErrorCode::BadAnswer].contains(&failure.code);
        absent && may_fall_back(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_starts_with_the_quickest_that_can() {
        for ask in [Ask::Scan, Ask::Probe] {
            assert_eq!(backends(BackendChoice::Auto, ask), [Backend::Protocol]);
        }
        for ask in Ask::ALL {
            let to_a_site = *ask == Ask::Discover;
            assert_eq!(backends(BackendChoice::Auto, *ask).is_empty(), to_a_site);
            let only = BackendChoice::Only(Backend::Cgi);
            assert_eq!(backends(only, *ask), [Backend::Cgi]);
        }
    }

    #[test]
    fn every_backend_that_is_tried_can_answer() {
        use tvtfleet_proto::device::{cgi, webapi};
        for ask in Ask::ALL {
            for backend in backends(BackendChoice::Auto, *ask) {
                let can = match backend {
                    Backend::Protocol => matches!(ask, Ask::Scan | Ask::Probe),
                    Backend::WebApi => webapi::Errand::new(*ask, None).is_some(),
                    Backend::Cgi => cgi::Errand::new(*ask, None).is_some(),
                    Backend::Discovery => false,
                };
                assert!(can, "{backend} cannot answer {ask}");
            }
        }
    }

    #[test]
    fn only_what_is_missing_is_completed() {
        let mut answer = Answer::default();
        let of = |answer: &Answer| Completion::of(BackendChoice::Auto, Ask::Scan, answer);
        assert_eq!(of(&answer), Some(Completion::Identity));
        answer.facts.model = "TD".into();
        answer.facts.serial = "N1".into();
        assert_eq!(of(&answer), None);
        answer.warnings.push(ErrorCode::AddressesUnknown);
        assert_eq!(of(&answer), Some(Completion::Cameras));
        let only = BackendChoice::Only(Backend::Protocol);
        assert_eq!(Completion::of(only, Ask::Scan, &answer), None);
    }

    #[test]
    fn a_sent_credential_is_never_passed_on() {
        for code in ErrorCode::ALL {
            let sent = Failure {
                credentials_sent: true,
                ..Failure::new(*code, "")
            };
            assert!(
                !may_fall_back(&sent) && !Completion::may_go_on(&sent),
                "{code}"
            );
        }
        let refused = |code| !may_fall_back(&Failure::new(code, ""));
        assert!(refused(ErrorCode::PolicyRefused) && refused(ErrorCode::JobBraked));
        assert!(refused(ErrorCode::AccountLocked) && refused(ErrorCode::DeviceCancelled));
        assert!(refused(ErrorCode::CertificateChanged));
        assert!(!refused(ErrorCode::ConnectRefused) && !refused(ErrorCode::UnsupportedVariant));
    }
}
