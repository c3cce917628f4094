//! The registry of error codes.
//!
//! A code is the stable name of a situation: lower-case, dotted, never renamed and never reused.
//! Scripts, inventories and stored reports depend on it, so the whole list is pinned by a test.
//! Text for people lives in the error types that carry a code; they may change their wording freely.

use std::fmt;
use std::str::FromStr;

/// What sort of trouble a code stands for: what a caller may branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// Nobody answered, or the way there is closed.
    Unreachable,
    /// Somebody answered too late.
    Timeout,
    /// The peer broke the rules of its protocol, or speaks another one.
    Protocol,
    /// The credentials were refused, or may not be used.
    Credentials,
    /// The peer understood and said no, or not now.
    Refused,
    /// The peer asks for something that is not implemented.
    Unsupported,
    /// Part of the answer is missing; what came is good.
    Partial,
    /// A local rule forbids it.
    Policy,
    /// The caller's request makes no sense.
    Usage,
    /// A setting, file or credential of this program is wrong.
    Config,
    /// The message bus or the coordinator cannot be used.
    Bus,
    /// A disk or database cannot be used.
    Storage,
    /// Somebody stopped it, or its time ran out before it started.
    Cancelled,
    /// A defect of this program.
    Internal,
}

/// The published exit codes of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExitStatus {
    /// 0: everything that was asked for was done.
    Success,
    /// 1: some devices or sites failed; the results of the others are complete.
    SomeFailed,
    /// 2: the command line makes no sense.
    Usage,
    /// 3: a configuration, an input file or a credential is missing or wrong.
    Config,
    /// 4: the bus or the coordinator cannot be reached or refuses.
    Unreachable,
    /// 5: the time allowed ran out.
    TimedOut,
    /// 6: differences were found, where the caller asked to be told so.
    Differences,
    /// 70: a defect of this program.
    Internal,
}

impl ExitStatus {
    /// The number given to the operating system.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::SomeFailed => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::Unreachable => 4,
            Self::TimedOut => 5,
            Self::Differences => 6,
            Self::Internal => 70,
        }
    }
}

macro_rules! registry {
    ($( $(#[doc = $doc:literal])+ $variant:ident = $code:literal, $kind:ident, retry $retry:literal; )+) => {
        /// A stable error code; see the module's text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl ErrorCode {
            /// Every code, in the order of the registry.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The stable name, as `device.login_rejected`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $code, )+ }
            }

            /// The sort of trouble.
            #[must_use]
            pub const fn kind(self) -> ErrorKind {
                match self { $( Self::$variant => ErrorKind::$kind, )+ }
            }

            /// Whether the same request may be sent again by itself, without anybody's decision.
            ///
            /// False for everything that put a credential on the wire: recorders lock accounts.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $( Self::$variant => $retry, )+ }
            }
        }
    };
}

registry! {
    /// The device's host refused the TCP connection.
    ConnectRefused = "device.connect_refused", Unreachable, retry true;
    /// No TCP connection within the connect deadline.
    ConnectTimeout = "device.connect_timeout", Timeout, retry true;
    /// No route, or the network reported the host as unreachable.
    Unreachable = "device.unreachable", Unreachable, retry true;
    /// The host name has no address.
    NameNotResolved = "device.name_not_resolved", Unreachable, retry true;
    /// The peer closed the connection before it said anything.
    Closed = "device.closed", Unreachable, retry true;
    /// Connected, but no complete greeting in time.
    InitTimeout = "device.init_timeout", Timeout, retry true;
    /// What answers is no TVT device.
    NotTvt = "device.not_tvt", Protocol, retry false;
    /// The stream or a message ended in the middle of a unit.
    Truncated = "device.truncated", Protocol, retry true;
    /// The peer sent something the protocol forbids.
    ProtocolViolation = "device.protocol", Protocol, retry true;
    /// The peer announced more bytes than allowed.
    FrameTooLarge = "device.frame_too_large", Protocol, retry false;
    /// A device family, login mode or client version that is not supported.
    UnsupportedVariant = "device.unsupported_variant", Unsupported, retry false;
    /// Policy forbids this device, network, ask or kind of login.
    PolicyRefused = "device.policy_refused", Policy, retry false;
    /// The site has quiet hours: its agent begins no work of this kind now.
    PolicyQuietHours = "policy.quiet_hours", Policy, retry false;
    /// The credential cannot be sent to this kind of device (empty, or characters it cannot carry).
    CredentialInvalid = "device.credential_invalid", Config, retry false;
    /// No credential is known for this device.
    CredentialMissing = "device.credential_missing", Config, retry false;
    /// Two credentials of the site are for this device; none is tried.
    CredentialAmbiguous = "device.credential_ambiguous", Config, retry false;
    /// The credential for this device may not be used any more.
    CredentialExpired = "device.credential_expired", Config, retry false;
    /// The user name is longer than the device's field.
    UsernameTooLong = "device.username_too_long", Config, retry false;
    /// The password is longer than the device's field.
    PasswordTooLong = "device.password_too_long", Config, retry false;
    /// The login was sent and no answer came in time; whether it counted is unknown.
    LoginTimeout = "device.login_timeout", Timeout, retry false;
    /// The peer closed the connection instead of answering the login; whether it counted is unknown.
    ClosedAfterLogin = "device.closed_after_login", Protocol, retry false;
    /// Wrong user name or password.
    LoginRejected = "device.login_rejected", Credentials, retry false;
    /// The account is locked on the device: it said so now, or not long ago.
    AccountLocked = "device.locked", Credentials, retry false;
    /// The device refused this credential before; it is not tried again for now, or in this job.
    AttemptsSpent = "device.attempts_spent", Credentials, retry false;
    /// The device has too many clients.
    Busy = "device.busy", Refused, retry true;
    /// The device refuses this client or this account.
    RefusedByDevice = "device.refused", Refused, retry false;
    /// The password is right, but the device wants it changed first.
    PasswordChangeRequired = "device.password_change_required", Credentials, retry false;
    /// The login failed for a reason that is not known.
    LoginFailed = "device.login_failed", Credentials, retry false;
    /// The device does not answer requests inside the session.
    TunnelUnsupported = "device.tunnel_unsupported", Partial, retry false;
    /// The device refuses requests inside the session.
    TunnelDenied = "device.tunnel_denied", Partial, retry false;
    /// A request inside the session was not answered in time.
    TunnelTimeout = "device.tunnel_timeout", Partial, retry false;
    /// The answer to a request inside the session cannot be read.
    TunnelBadReply = "device.tunnel_bad_reply", Partial, retry false;
    /// Everything worked, but the device named no channel.
    NoChannels = "device.no_channels", Partial, retry false;
    /// The device names its channels, but not the addresses of the cameras behind them.
    AddressesUnknown = "device.addresses_unknown", Partial, retry false;
    /// The device or this account's rights forbid the request.
    PermissionDenied = "device.permission_denied", Refused, retry false;
    /// The web interface is switched off, absent, or another one answers there.
    InterfaceAbsent = "device.interface_absent", Unsupported, retry false;
    /// The device does not know the command.
    CommandUnsupported = "device.command_unsupported", Unsupported, retry false;
    /// The device did not accept what the request says.
    RequestRefused = "device.request_refused", Refused, retry false;
    /// The answer is no document of the interface, or has another shape.
    BadAnswer = "device.bad_answer", Protocol, retry false;
    /// The web interface reported a failure of its own.
    DeviceFault = "device.fault", Refused, retry false;
    /// The answer points to another address; it is not followed.
    RedirectRefused = "device.redirect_refused", Protocol, retry false;
    /// A request was not answered in time.
    RequestTimeout = "device.request_timeout", Timeout, retry true;
    /// The session ended on the device's side.
    SessionExpired = "device.session_expired", Refused, retry false;
    /// The device shows another certificate than before: nothing secret is sent.
    CertificateChanged = "device.certificate_changed", Policy, retry false;
    /// The device cut its answer short: ask for less.
    AnswerCut = "device.answer_cut", Partial, retry false;
    /// Model, serial number and the like could not be had from a web interface.
    IdentityIncomplete = "device.identity_incomplete", Partial, retry false;
    /// The time allowed for this device ran out.
    DeviceDeadline = "device.deadline", Timeout, retry true;
    /// The work on this device was stopped before it was done.
    DeviceCancelled = "device.cancelled", Cancelled, retry true;

    /// What is to be changed makes no sense for the ask, or for this device as it is.
    ChangeInvalid = "change.invalid", Usage, retry false;
    /// The device took the change and shows something else than was set.
    ChangeUnverified = "change.unverified", Protocol, retry false;
    /// Whether the change was made is unknown: it is not sent again.
    ChangeUnknown = "change.unknown", Timeout, retry false;
    /// Not tried: too many devices of the job have failed before.
    ChangeStopped = "change.stopped", Cancelled, retry false;
    /// A change was not confirmed.
    ChangeUnconfirmed = "change.unconfirmed", Usage, retry false;
    /// No picture came: the device has none of this channel, which is mostly a camera that is away.
    PictureEmpty = "picture.empty", Partial, retry false;
    /// A page, a document or something else came instead of a picture.
    PictureNotJpeg = "picture.not_jpeg", Protocol, retry false;
    /// The picture has no end.
    PictureCutOff = "picture.cut_off", Protocol, retry true;
    /// A picture or key frame that cannot be used.
    PictureDamaged = "picture.damaged", Protocol, retry false;
    /// A picture or key frame larger than allowed, in bytes or in pixels.
    PictureTooLarge = "picture.too_large", Protocol, retry false;
    /// Video of a kind that is not decoded here.
    PictureNotDecoded = "picture.not_decoded", Unsupported, retry false;
    /// Decoding took longer than allowed.
    PictureDecodeTimeout = "picture.decode_timeout", Timeout, retry false;
    /// The channel's camera is away; it was not asked for a picture.
    PictureOffline = "picture.offline", Partial, retry false;
    /// The site has no room for the picture; it was let go.
    PictureNotKept = "picture.not_kept", Storage, retry true;
    /// The picture was taken and has not arrived at the coordinator.
    PictureWaiting = "picture.waiting", Timeout, retry true;
    /// There is no such picture, or it is not kept any more.
    PictureUnknown = "picture.unknown", Usage, retry false;
    /// The RTSP server does not keep to its protocol, or describes no video.
    RtspBadAnswer = "rtsp.bad_answer", Protocol, retry false;
    /// The device has no such channel or stream.
    RtspNotFound = "rtsp.not_found", Refused, retry false;
    /// The stream began, and no key frame came in time.
    RtspNoKeyFrame = "rtsp.no_key_frame", Timeout, retry true;

    /// The vendor's library, its helper or the bridge script is missing or cannot be used here.
    SdkUnavailable = "sdk.unavailable", Config, retry false;
    /// The process that runs the vendor's library or the bridge script died.
    SdkCrashed = "sdk.crashed", Protocol, retry true;
    /// A call of the vendor's library or the bridge script did not end in time.
    SdkTimeout = "sdk.timeout", Timeout, retry true;
    /// The helper or the bridge script does not keep to the agreed form.
    SdkProtocol = "sdk.protocol", Protocol, retry false;
    /// The records of the vendor's library are not laid out as expected.
    SdkLayout = "sdk.layout_mismatch", Unsupported, retry false;
    /// A call of the vendor's library failed; the device's number says more.
    SdkFailed = "sdk.failed", Protocol, retry false;

    /// The bridge cannot be reached.
    BridgeUnreachable = "bridge.unreachable", Unreachable, retry true;
    /// The bridge did not answer in time.
    BridgeTimeout = "bridge.timeout", Timeout, retry true;
    /// The bridge answered with an HTTP status of failure.
    BridgeStatus = "bridge.http_status", Refused, retry false;
    /// The answer of a bridge is not JSON.
    BridgeBadJson = "bridge.bad_json", Protocol, retry false;
    /// The answer of a bridge is not what was asked for.
    BridgeBadShape = "bridge.bad_shape", Protocol, retry false;
    /// The answer of a bridge is larger than allowed.
    BridgeTooLarge = "bridge.too_large", Protocol, retry false;
    /// The bridge's certificate cannot be trusted.
    BridgeTls = "bridge.tls", Config, retry false;
    /// The bridge reports that the device was asked in vain.
    BridgeFailed = "bridge.failed", Protocol, retry false;
    /// The agent cannot listen where its bridge should be.
    BridgeBindFailed = "bridge.bind_failed", Config, retry false;
    /// A request to the agent's bridge makes no sense.
    BridgeBadRequest = "bridge.bad_request", Usage, retry false;
    /// The agent's bridge lets only callers in that have its token, and no browsers.
    BridgeDenied = "bridge.denied", Refused, retry false;
    /// The agent's bridge asks as many devices as it may.
    BridgeBusy = "bridge.busy", Unreachable, retry true;

    /// The site's agent is not connected.
    SiteOffline = "site.offline", Unreachable, retry true;
    /// The site is not known to the coordinator.
    SiteUnknown = "site.unknown", Usage, retry false;
    /// The site did not report this device before the job's deadline.
    SiteMissing = "site.missing", Timeout, retry true;
    /// Another agent already speaks for this site.
    SiteClaimed = "site.claimed", Refused, retry false;
    /// The site's agent refuses the work because its disk is full.
    SiteSpoolFull = "site.spool_full", Storage, retry true;
    /// The site's agent is too old for the work.
    SiteAgentTooOld = "site.agent_too_old", Unsupported, retry false;

    /// No job of this name.
    JobUnknown = "job.unknown", Usage, retry false;
    /// The job was cancelled.
    JobCancelled = "job.cancelled", Cancelled, retry false;
    /// The job's deadline passed.
    JobExpired = "job.expired", Timeout, retry false;
    /// The selector of the job matches nothing.
    JobNoTargets = "job.no_targets", Usage, retry false;
    /// The job is too large for one request.
    JobTooLarge = "job.too_large", Usage, retry false;
    /// Too many refused logins: the job was stopped before it could lock a fleet.
    JobBraked = "job.braked", Credentials, retry false;

    /// The inventory file cannot be read.
    InventoryUnreadable = "inventory.unreadable", Config, retry false;
    /// The inventory file is not what an inventory looks like.
    InventoryMalformed = "inventory.malformed", Config, retry false;
    /// An entry of the inventory cannot be used.
    InventoryEntryInvalid = "inventory.entry_invalid", Config, retry false;
    /// An entry names an address that an earlier entry has.
    InventoryEntryDuplicate = "inventory.entry_duplicate", Config, retry false;
    /// An entry has a link-local address.
    InventoryEntryLinkLocal = "inventory.entry_link_local", Config, retry false;
    /// An entry names another maker.
    InventoryEntryNotTvt = "inventory.entry_not_tvt", Config, retry false;
    /// An entry names a site that is not known.
    InventoryEntryNoSite = "inventory.entry_no_site", Config, retry false;
    /// A result file is not what a scan result looks like.
    ResultMalformed = "result.malformed", Config, retry false;
    /// No device of this name.
    DeviceUnknown = "inventory.device_unknown", Usage, retry false;
    /// The SQL cannot be understood, or asks for more than reading the documented tables.
    QueryInvalid = "query.invalid", Usage, retry false;
    /// The question took longer than allowed.
    QueryTimeout = "query.timeout", Timeout, retry false;

    /// The local address or port for a discovery cannot be had.
    DiscoveryBindFailed = "discovery.bind_failed", Config, retry false;
    /// No interface of this computer can be used for a discovery.
    DiscoveryNoInterface = "discovery.no_interface", Config, retry false;
    /// Multicast is not permitted or not possible on any interface.
    DiscoveryMulticastUnavailable = "discovery.multicast_unavailable", Config, retry false;
    /// The networks are so large, or public, that somebody has to agree first.
    DiscoveryConsentNeeded = "discovery.consent_needed", Usage, retry false;

    /// A message cannot be read, or a field of it makes no sense.
    MessageInvalid = "message.invalid", Protocol, retry false;
    /// A message comes from a newer program.
    MessageVersion = "message.version", Unsupported, retry false;
    /// A message is larger than allowed.
    MessageTooLarge = "message.too_large", Protocol, retry false;

    /// The NATS server cannot be reached.
    BusUnreachable = "bus.unreachable", Bus, retry true;
    /// The NATS server is too old, or lacks JetStream.
    BusUnsupported = "bus.unsupported", Bus, retry false;
    /// The NATS server refuses the credentials or a subject.
    BusDenied = "bus.denied", Bus, retry false;
    /// The NATS server lets anybody in.
    BusOpen = "bus.open", Bus, retry false;
    /// The NATS server did not answer in time.
    BusTimeout = "bus.timeout", Bus, retry true;
    /// A stream or bucket of the NATS server cannot be used.
    BusStream = "bus.stream", Bus, retry true;
    /// No coordinator answers.
    CoordinatorAbsent = "coordinator.absent", Bus, retry true;
    /// The coordinator did not answer in time.
    CoordinatorTimeout = "coordinator.timeout", Bus, retry true;
    /// This coordinator does not lead; another one does, or soon will.
    CoordinatorStandby = "coordinator.standby", Bus, retry true;

    /// A key, token or signed document is damaged, or no such thing at all.
    TrustInvalid = "trust.invalid", Config, retry false;
    /// A signature, ticket or sealed box is not good here: forged, used, expired or for somebody else.
    TrustRefused = "trust.refused", Refused, retry false;
    /// The operator's role or tenants do not cover the request.
    TrustForbidden = "trust.forbidden", Refused, retry false;
    /// A job changes devices, and no order that the agent believes covers just this work.
    OrderRefused = "trust.order_refused", Refused, retry false;
    /// No operator whose word counts has pushed this credential to just this agent.
    PushRefused = "trust.push_refused", Refused, retry false;
    /// The site has this version of the credential, or a newer one, already.
    PushReplayed = "trust.push_replayed", Refused, retry false;
    /// A batch of results lacks the signature of the site's agent.
    ReportUnsigned = "trust.report_unsigned", Refused, retry false;

    /// A row of the audit was altered, taken out or moved, or rows at an end of it are missing.
    AuditBroken = "audit.broken", Storage, retry false;

    /// No space is left on a disk.
    StorageFull = "storage.full", Storage, retry true;
    /// A disk or file operation failed.
    StorageIo = "storage.io", Storage, retry false;
    /// Stored data is damaged.
    StorageCorrupt = "storage.corrupt", Storage, retry false;
    /// Stored data comes from a newer program.
    StorageVersion = "storage.version", Unsupported, retry false;
    /// Another process uses the same data.
    StorageLocked = "storage.locked", Storage, retry false;

    /// A configuration file or variable is wrong.
    ConfigInvalid = "config.invalid", Config, retry false;
    /// A configuration file cannot be read.
    ConfigUnreadable = "config.unreadable", Config, retry false;
    /// A file with secrets can be read by others.
    ConfigExposed = "config.exposed", Config, retry false;
    /// An output file cannot be written.
    OutputUnwritable = "output.unwritable", Config, retry false;
    /// The command line makes no sense.
    UsageInvalid = "usage.invalid", Usage, retry false;
    /// The work was interrupted by a signal.
    Interrupted = "interrupted", Cancelled, retry false;
    /// Something that cannot happen happened.
    Internal = "internal", Internal, retry false;
}

impl ErrorCode {
    /// The exit code of a command that ends with this error.
    #[must_use]
    pub const fn exit_status(self) -> ExitStatus {
        match self.kind() {
            ErrorKind::Usage => ExitStatus::Usage,
            ErrorKind::Config | ErrorKind::Storage => ExitStatus::Config,
            ErrorKind::Bus => ExitStatus::Unreachable,
            ErrorKind::Internal => ExitStatus::Internal,
            ErrorKind::Timeout => ExitStatus::TimedOut,
            ErrorKind::Unreachable
            | ErrorKind::Protocol
            | ErrorKind::Credentials
            | ErrorKind::Refused
            | ErrorKind::Unsupported
            | ErrorKind::Partial
            | ErrorKind::Policy
            | ErrorKind::Cancelled => ExitStatus::SomeFailed,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No code of this name; it may come from a newer program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown error code {0:?}")]
pub struct UnknownErrorCode(pub String);

impl FromStr for ErrorCode {
    type Err = UnknownErrorCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == text)
            .ok_or_else(|| UnknownErrorCode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_lower_case_and_parse_back() {
        let mut seen = BTreeSet::new();
        for code in ErrorCode::ALL {
            let text = code.as_str();
            assert!(seen.insert(text), "{text} stands twice");
            assert!(
                text.bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_'),
                "{text}"
            );
            assert_eq!(text.parse::<ErrorCode>().unwrap(), *code);
        }
    }

    #[test]
    fn nothing_that_sent_a_credential_is_retried_by_itself() {
        for code in ErrorCode::ALL {
            if code.kind() == ErrorKind::Credentials {
                assert!(!code.retryable(), "{code}");
            }
        }
        assert!(!ErrorCode::LoginTimeout.retryable());
        assert!(!ErrorCode::ClosedAfterLogin.retryable());
    }
}
