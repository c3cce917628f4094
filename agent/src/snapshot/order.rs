//! Which ways to a picture are tried, and in which order.
//!
//! A still of the web API costs one request, but it is as large as the device likes, often small. So
//! it comes first where no stream is named or the sub stream is enough, and last where somebody wants
//! the main stream: then it is marked as smaller than asked for. So is a still of the vendor's library,
//! which is tried where one is configured: it costs a process and a login of its own.

use tvtfleet_proto::device::picture::{VideoStream, Way};
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::report::Failure;

/// One way, with the stream it is to be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) way: Way,
    pub(super) stream: Option<VideoStream>,
    /// It may be smaller than what was asked for.
    pub(super) degraded: bool,
}

/// The ways to a picture of a stream; `None` is any that shows what the camera sees.
pub(super) fn choices(stream: Option<VideoStream>, camera: bool, sdk: bool) -> Vec<Choice> {
    let still = |way, degraded| Choice {
        way,
        stream: None,
        degraded,
    };
    let video = |way, stream| Choice {
        way,
        stream: Some(stream),
        degraded: false,
    };
    if camera {
        return vec![video(Way::RtspCamera, stream.unwrap_or(VideoStream::Sub))];
    }
    let stills = |degraded| {
        let ways = [Some(Way::WebApi), sdk.then_some(Way::Sdk)];
        ways.into_iter()
            .flatten()
            .map(move |way| still(way, degraded))
    };
    match stream {
        None | Some(VideoStream::Sub) => stills(false)
            .chain([video(Way::Rtsp, VideoStream::Sub)])
            .collect(),
        Some(stream @ (VideoStream::Main | VideoStream::Third | VideoStream::Fourth)) => {
            let first = std::iter::once(video(Way::Rtsp, stream));
            first.chain(stills(true)).collect()
        }
    }
}

/// Whether a failure ends the work on the whole device: what stands against the login or against the
/// device stands against every other channel and way. Policy may allow one way and not another; each
/// asks it for itself.
pub(super) fn ends_device(failure: &Failure) -> bool {
    failure.credentials_sent
        || failure.code == ErrorCode::CertificateChanged
        || matches!(
            failure.code.kind(),
            ErrorKind::Credentials | ErrorKind::Config | ErrorKind::Cancelled
        ) && !is_broken_library(failure)
}

/// Whether a way is closed on this device, so that other channels need not try it. A library that is
/// missing, crashed or hung is not started again for the next channel.
pub(super) fn closes_way(failure: &Failure) -> bool {
    is_absent(failure) || is_broken_library(failure)
}

fn is_broken_library(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ErrorCode::SdkUnavailable
            | ErrorCode::SdkCrashed
            | ErrorCode::SdkTimeout
            | ErrorCode::SdkProtocol
            | ErrorCode::SdkLayout
    )
}

/// Whether the device, or the policy, does not have this way at all.
fn is_absent(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ErrorCode::ConnectRefused
            | ErrorCode::ConnectTimeout
            | ErrorCode::Unreachable
            | ErrorCode::NameNotResolved
            | ErrorCode::InterfaceAbsent
            | ErrorCode::CommandUnsupported
            | ErrorCode::UnsupportedVariant
            | ErrorCode::PolicyRefused
    )
}

/// The failure to tell of: one that decides, else the first that is not merely a closed way, for a
/// web API that is switched off is common and hides what matters.
pub(super) fn headline(failures: &[Failure]) -> Option<&Failure> {
    failures
        .iter()
        .find(|failure| ends_device(failure))
        .or_else(|| failures.iter().find(|failure| !is_absent(failure)))
        .or_else(|| failures.first())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(stream: Option<VideoStream>, camera: bool) -> Vec<(Way, bool)> {
        listed(&choices(stream, camera, false))
    }

    fn listed(choices: &[Choice]) -> Vec<(Way, bool)> {
        choices
            .iter()
            .map(|choice| (choice.way, choice.degraded))
            .collect()
    }

    #[test]
    fn the_main_stream_is_not_promised_by_a_still() {
        let any = [(Way::WebApi, false), (Way::Rtsp, false)];
        assert_eq!(ways(None, false), any);
        assert_eq!(ways(Some(VideoStream::Sub), false), any);
        let main = [(Way::Rtsp, false), (Way::WebApi, true)];
        assert_eq!(ways(Some(VideoStream::Main), false), main);
        assert_eq!(ways(None, true), [(Way::RtspCamera, false)]);
        let with = |stream, camera| listed(&choices(stream, camera, true));
        let any = [(Way::WebApi, false), (Way::Sdk, false), (Way::Rtsp, false)];
        assert_eq!(with(None, false), any);
        let main = [(Way::Rtsp, false), (Way::WebApi, true), (Way::Sdk, true)];
        assert_eq!(with(Some(VideoStream::Main), false), main);
        assert_eq!(with(None, true), [(Way::RtspCamera, false)]);
    }

    #[test]
    fn a_refused_login_ends_everything_and_is_what_is_told() {
        let off = Failure::new(ErrorCode::InterfaceAbsent, "");
        let busy = Failure::new(ErrorCode::Busy, "");
        let refused = Failure {
            credentials_sent: true,
            ..Failure::new(ErrorCode::LoginRejected, "")
        };
        assert!(ends_device(&refused) && !ends_device(&off) && closes_way(&off));
        assert!(!closes_way(&busy));
        let gone = Failure::new(ErrorCode::SdkUnavailable, "");
        assert!(
            closes_way(&gone) && !ends_device(&gone),
            "the other ways do without it"
        );
        let policy = Failure::new(ErrorCode::PolicyRefused, "");
        assert!(closes_way(&policy) && !ends_device(&policy));
        let other = Failure::new(ErrorCode::CertificateChanged, "");
        assert!(ends_device(&other), "somebody else may stand there");
        let code = |failures: &[Failure]| headline(failures).map(|failure| failure.code);
        assert_eq!(code(&[off.clone(), busy.clone()]), Some(ErrorCode::Busy));
        assert_eq!(
            code(&[off.clone(), busy, refused]),
            Some(ErrorCode::LoginRejected)
        );
        assert_eq!(code(&[off.clone(), gone]), Some(ErrorCode::SdkUnavailable));
        assert_eq!(code(&[off]), Some(ErrorCode::InterfaceAbsent));
        assert_eq!(code(&[]), None);
    }
}
