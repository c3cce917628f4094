//! Which backends are tried for a question, and when the next one may follow.

use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::{Backend, BackendChoice};
use tvtfleet_proto::model::report::Failure;

use super::interface::Answer;
use super::vendor::VendorSettings;

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
pub(crate) fn backends(choice: BackendChoice, ask: Ask, configured: Configured) -> Vec<Backend> {
    match (choice, ask) {
        (BackendChoice::Auto, Ask::Scan) if configured.library => {
            vec![Backend::Protocol, Backend::Netsdk]
        }
        (BackendChoice::Auto, Ask::Scan) if configured.bridge => {
            vec![Backend::Protocol, Backend::Sdk]
        }
        (BackendChoice::Auto, Ask::Scan | Ask::Probe) | (BackendChoice::Both, Ask::Probe) => {
            vec![Backend::Protocol]
        }
        (BackendChoice::Both, Ask::Scan) => vec![Backend::Protocol, Backend::Sdk],
        (BackendChoice::Only(backend), _) => vec![backend],
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
    fn auto_uses_the_vendors_ways_only_where_they_are_configured() {
        let none = Configured::default();
        let (library, bridge) = (true, true);
        let with = |configured| backends(BackendChoice::Auto, Ask::Scan, configured);
        assert_eq!(with(none), [Backend::Protocol]);
        let both = Configured { library, bridge };
        assert_eq!(with(both), [Backend::Protocol, Backend::Netsdk]);
        let bridge = Configured { bridge, ..none };
        assert_eq!(with(bridge), [Backend::Protocol, Backend::Sdk]);
        for configured in [none, both, bridge] {
            let choices = [BackendChoice::Auto, BackendChoice::Both];
            for choice in choices {
                assert_eq!(
                    backends(choice, Ask::Probe, configured),
                    [Backend::Protocol]
                );
            }
            let found = backends(BackendChoice::Both, Ask::Scan, configured);
            assert_eq!(found, [Backend::Protocol, Backend::Sdk]);
            for backend in Backend::ALL {
                let only = BackendChoice::Only(*backend);
                assert_eq!(backends(only, Ask::Scan, configured), [*backend]);
            }
        }
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
            assert!(!may_fall_back(&sent), "{code}");
        }
        let refused = |code| !may_fall_back(&Failure::new(code, ""));
        assert!(refused(ErrorCode::PolicyRefused) && refused(ErrorCode::JobBraked));
        assert!(refused(ErrorCode::AccountLocked) && refused(ErrorCode::DeviceCancelled));
        assert!(!refused(ErrorCode::ConnectRefused) && !refused(ErrorCode::UnsupportedVariant));
    }
}
