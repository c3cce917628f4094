//! Which backends are tried for a question, and when the next one may follow.
//!
//! `auto` asks the binary protocol for identity and channels, because it is the quickest. What a
//! recorder leaves out there is completed: model and serial number by the web API, in two requests;
//! the cameras behind the channels of a head-variant recorder, and model and serial number with them,
//! by its pages. Other questions go to the web API first and to the pages where that is switched off,
//! except those that only one of them can answer.

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::{Backend, BackendChoice};
use tvtfleet_proto::model::report::Failure;

use super::interface::Answer;
use super::vendor::VendorSettings;
use super::{BRIDGE_READS, NETSDK_READS};

/// Which of the vendor's ways somebody configured at this site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Configured {
    /// The library.
    pub(crate) library: bool,
    /// The HTTP bridge.
    pub(crate) bridge: bool,
}

impl Configured {
    /// What the settings name.
    pub(crate) const fn by(settings: &VendorSettings) -> Self {
        Self {
            library: settings.library.is_some(),
            bridge: settings.bridge_url.is_some(),
        }
    }
}

/// The backends to try, in this order. The vendor's library and bridges are part of `auto` only where
/// somebody configured them.
pub(crate) fn backends(
    choice: BackendChoice,
    ask: Ask,
    configured: Configured,
    host: &Host,
) -> Vec<Backend> {
    match (choice, host) {
        (BackendChoice::Only(backend), _) => return vec![backend],
        // Nothing else knows such devices.
        (_, Host::Serial(_)) => return vec![Backend::Netsdk],
        (BackendChoice::Both | BackendChoice::Auto, Host::Ip(_) | Host::Name(_)) => {}
    }
    if choice == BackendChoice::Both && ask == Ask::Scan {
        return vec![Backend::Protocol, Backend::Sdk];
    }
    let mut found = without_library(ask, configured);
    // UNCERTAIN records are not asked for unless somebody wants just them.
    let is_known = NETSDK_READS.contains(&ask) && ask != Ask::Recording;
    if configured.library && is_known {
        found.push(Backend::Netsdk);
    } else if configured.bridge && BRIDGE_READS.contains(&ask) {
        found.push(Backend::Sdk);
    }
    found
}

/// The same, but that the library is asked for nothing that the web interfaces know.
fn without_library(ask: Ask, configured: Configured) -> Vec<Backend> {
    match ask {
        Ask::Scan if configured.library => vec![Backend::Protocol, Backend::Netsdk],
        Ask::Scan if configured.bridge => vec![Backend::Protocol, Backend::Sdk],
        Ask::Scan | Ask::Probe => vec![Backend::Protocol],
        // The pages know the cameras' addresses.
        Ask::Channels => vec![Backend::Cgi, Backend::WebApi],
        Ask::Info
        | Ask::Disks
        | Ask::Ports
        | Ask::Streams
        | Ask::Audio
        | Ask::Recording
        | Ask::RecordingDays
        | Ask::RecordingSegments
        | Ask::SetStreams
        | Ask::RtspUrl => vec![Backend::WebApi, Backend::Cgi],
        Ask::Clock | Ask::Image | Ask::Osd => vec![Backend::WebApi],
        Ask::Users
        | Ask::PasswordPolicy
        | Ask::Services
        | Ask::Platform
        | Ask::CameraLogins
        | Ask::Motion => vec![Backend::Cgi],
        Ask::SetClock | Ask::SetImage | Ask::SetOsd | Ask::Reboot => vec![Backend::WebApi],
        Ask::SetServices | Ask::SetAudio | Ask::SetPlatform | Ask::SetPassword => {
            vec![Backend::Cgi]
        }
        // A site is asked, not a device; pictures have ways of their own.
        Ask::Discover | Ask::Snapshot => Vec::new(),
    }
}

/// Whether every device of such a job needs a process of its own, of which there are few.
pub(crate) const fn needs_process(choice: BackendChoice) -> bool {
    matches!(
        choice,
        BackendChoice::Only(Backend::Netsdk | Backend::SdkLocal)
    )
}

/// Whether an answer lacks channels or their addresses, so that the next backend may know more.
pub(crate) fn is_incomplete(answer: &Answer) -> bool {
    use tvtfleet_proto::error::ErrorKind::Partial;
    answer.warnings.iter().any(|code| code.kind() == Partial)
}

/// What two backends found together: the later one's answer, with what only the earlier one knew.
pub(crate) fn completed(earlier: Answer, later: Answer) -> Answer {
    let mut facts = later.facts;
    let known = earlier.facts;
    for (to, from) in [
        (&mut facts.name, known.name),
        (&mut facts.model, known.model),
        (&mut facts.serial, known.serial),
        (&mut facts.firmware, known.firmware),
        (&mut facts.software_ver_hex, known.software_ver_hex),
    ] {
        if to.is_empty() {
            *to = from;
        }
    }
    facts.mac = facts.mac.or(known.mac);
    facts.total_channels = facts.total_channels.or(known.total_channels);
    facts.family = facts.family.or(known.family);
    facts.protocol_version = facts.protocol_version.or(known.protocol_version);
    facts.device_type = facts.device_type.or(known.device_type);
    facts.config_data_len = facts.config_data_len.or(known.config_data_len);
    facts.build_date = facts.build_date.or(known.build_date);
    if later.channels.is_empty() {
        return Answer {
            facts,
            channels: earlier.channels,
            warnings: earlier.warnings,
            answer: later.answer.or(earlier.answer),
            failed: later.failed.or(earlier.failed),
        };
    }
    Answer { facts, ..later }
}

/// What two failures come to: the first one's code, and both in words as pytvt has them.
pub(crate) fn both_failed(
    (first, earlier): (Backend, &Failure),
    (second, later): (Backend, &Failure),
) -> Failure {
    Failure {
        text: format!("{first}: {} | {second}: {}", earlier.text, later.text),
        credentials_sent: earlier.credentials_sent || later.credentials_sent,
        ..if later.credentials_sent {
            later.clone()
        } else {
            earlier.clone()
        }
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

    const HOST: Host = Host::Ip(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    const NONE: Configured = Configured {
        library: false,
        bridge: false,
    };

    #[test]
    fn auto_uses_the_vendors_ways_only_where_they_are_configured() {
        let none = Configured::default();
        let (library, bridge) = (true, true);
        let with = |configured| backends(BackendChoice::Auto, Ask::Scan, configured, &HOST);
        assert_eq!(with(none), [Backend::Protocol]);
        let both = Configured { library, bridge };
        assert_eq!(with(both), [Backend::Protocol, Backend::Netsdk]);
        let found = backends(BackendChoice::Auto, Ask::Disks, both, &HOST);
        assert_eq!(found, [Backend::WebApi, Backend::Cgi, Backend::Netsdk]);
        for ask in [Ask::Recording, Ask::Reboot, Ask::Users] {
            let found = backends(BackendChoice::Auto, ask, both, &HOST);
            assert!(!found.contains(&Backend::Netsdk), "{ask}");
        }
        let bridge = Configured { bridge, ..none };
        let found = |ask| backends(BackendChoice::Auto, ask, bridge, &HOST);
        let clock = [Backend::WebApi, Backend::Sdk];
        assert_eq!(found(Ask::Clock), clock);
        for ask in [Ask::Disks, Ask::Reboot] {
            assert!(!found(ask).contains(&Backend::Sdk), "{ask}");
        }
        assert_eq!(with(bridge), [Backend::Protocol, Backend::Sdk]);
        for configured in [none, both, bridge] {
            let choices = [BackendChoice::Auto, BackendChoice::Both];
            for choice in choices {
                assert_eq!(
                    backends(choice, Ask::Probe, configured, &HOST),
                    [Backend::Protocol]
                );
            }
            let found = backends(BackendChoice::Both, Ask::Scan, configured, &HOST);
            assert_eq!(found, [Backend::Protocol, Backend::Sdk]);
            for backend in Backend::ALL {
                let only = BackendChoice::Only(*backend);
                assert_eq!(backends(only, Ask::Scan, configured, &HOST), [*backend]);
            }
        }
    }

    #[test]
    fn a_serial_number_is_the_librarys() {
        let host = Host::Serial("N1A2B3C4".into());
        for choice in [BackendChoice::Auto, BackendChoice::Both] {
            for ask in [Ask::Scan, Ask::Users, Ask::Probe] {
                assert_eq!(backends(choice, ask, NONE, &host), [Backend::Netsdk]);
            }
        }
        let only = BackendChoice::Only(Backend::Cgi);
        assert_eq!(backends(only, Ask::Users, NONE, &host), [Backend::Cgi]);
    }

    #[test]
    fn auto_starts_with_the_quickest_that_can() {
        for ask in [Ask::Scan, Ask::Probe] {
            assert_eq!(
                backends(BackendChoice::Auto, ask, NONE, &HOST),
                [Backend::Protocol]
            );
        }
        for ask in Ask::ALL {
            let not_by_backends = matches!(ask, Ask::Discover | Ask::Snapshot);
            assert_eq!(
                backends(BackendChoice::Auto, *ask, NONE, &HOST).is_empty(),
                not_by_backends
            );
            let only = BackendChoice::Only(Backend::Cgi);
            assert_eq!(backends(only, *ask, NONE, &HOST), [Backend::Cgi]);
        }
    }

    #[test]
    fn every_backend_that_is_tried_can_answer() {
        use tvtfleet_proto::device::{cgi, webapi};
        for ask in Ask::ALL {
            for backend in backends(BackendChoice::Auto, *ask, NONE, &HOST) {
                let can = match backend {
                    Backend::Protocol => matches!(ask, Ask::Scan | Ask::Probe),
                    Backend::WebApi => {
                        let reading = ask.reads().unwrap_or(*ask);
                        webapi::Errand::new(reading, None).is_some() || *ask == Ask::Reboot
                    }
                    Backend::Cgi => {
                        let reads =
                            cgi::Errand::new(*ask, None).or_else(|| cgi::Errand::before(*ask));
                        reads.is_some() || *ask == Ask::SetPassword
                    }
                    Backend::Discovery | Backend::Netsdk | Backend::Sdk | Backend::SdkLocal => {
                        false
                    }
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
    fn what_only_the_earlier_backend_knew_is_kept() {
        let answer = |name: &str, warnings: &[ErrorCode]| Answer {
            facts: tvtfleet_proto::model::report::DeviceFacts {
                name: name.into(),
                ..Default::default()
            },
            warnings: warnings.to_vec(),
            ..Answer::default()
        };
        let earlier = answer("earlier", &[ErrorCode::AddressesUnknown]);
        assert!(is_incomplete(&earlier) && !is_incomplete(&answer("", &[])));
        let found = completed(earlier.clone(), answer("", &[]));
        assert_eq!(
            found, earlier,
            "a later answer without channels takes nothing away"
        );
        assert_eq!(completed(earlier, answer("later", &[])).facts.name, "later");
    }

    #[test]
    fn two_failures_are_told_as_pytvt_does() {
        let first = Failure::new(ErrorCode::ConnectRefused, "Connection refused");
        let second = Failure::new(ErrorCode::BridgeFailed, "timeout");
        let both = |first, second| both_failed((Backend::Protocol, first), (Backend::Sdk, second));
        let found = both(&first, &second);
        assert_eq!(found.text, "protocol: Connection refused | sdk: timeout");
        assert_eq!(found.code, ErrorCode::ConnectRefused);
        let refused = Failure {
            credentials_sent: true,
            ..Failure::new(ErrorCode::LoginRejected, "x")
        };
        let found = both(&first, &refused);
        assert_eq!(
            found.code,
            ErrorCode::LoginRejected,
            "the brake must see it"
        );
        assert!(found.credentials_sent);
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
