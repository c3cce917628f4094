//! One key frame, by the client library.
//!
//! The library decides itself between Digest and Basic on its own connection, so a device could ask
//! for Basic there after having asked for Digest: where policy does not allow a password in clear,
//! nothing is logged in to. Its own limits are of time; what it holds is bounded by the relay that it
//! is sent through ([`tvtfleet_proto::device::rtsp::Meter`]).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use retina::client::{
    Credentials, Described, PlayOptions, Session, SessionGroup, SessionOptions, SetupOptions,
    TcpTransportOptions, TeardownPolicy, Tool, Transport,
};
use retina::codec::{CodecItem, FrameFormat};
use tokio::time::{sleep_until, timeout, timeout_at};
use tvtfleet_proto::device::picture::Codec;
use tvtfleet_proto::device::rtsp::{Greeting, refusal, url};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::report::Failure;

use super::greet::{ANSWER, greet};
use super::relay::Relay;
use crate::budget::Spent;
use crate::device::connect::cancelled;
use crate::device::visit::Visit;

/// Time for a key frame, once the stream runs: smart codecs send one in 4 to 8 seconds.
const KEY_FRAME: Duration = Duration::from_secs(10);
/// Time for a polite end, so that the device frees the stream at once.
const LEAVE: Duration = Duration::from_millis(500);

/// Which stream, and how much of it.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    /// The device and the way to its login.
    pub(crate) visit: Visit<'a>,
    /// The port of its RTSP server.
    pub(crate) port: u16,
    /// The path of the stream.
    pub(crate) path: &'a str,
    /// The most bytes of a frame.
    pub(crate) bytes_max: usize,
}

/// What a stream yielded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Captured {
    /// A picture of a stream of JPEG pictures.
    Jpeg(Vec<u8>),
    /// A key frame with start codes and its parameter sets.
    Video(Codec, Vec<u8>),
}

/// Takes one picture or key frame.
///
/// # Errors
///
/// `device.login_rejected` and other refusals of a login, `rtsp.not_found`, `rtsp.no_key_frame`,
/// `rtsp.bad_answer`, `picture.too_large`, `picture.not_decoded`, `device.policy_refused`, those of
/// connections.
pub(crate) async fn capture(source: &Source<'_>) -> Result<Captured, Failure> {
    let visit = source.visit;
    tokio::select! {
        biased;
        () = visit.cancel.cancelled() => Err(cancelled()),
        result = uninterrupted(source) => result,
        () = sleep_until(visit.deadline.into()) => {
            Err(Failure::new(ErrorCode::DeviceDeadline, "the time for the picture ran out"))
        }
    }
}

async fn uninterrupted(source: &Source<'_>) -> Result<Captured, Failure> {
    let (address, greeting) = greet(source.visit, source.port, source.path).await?;
    let relay = Relay::open(address, source.bytes_max).await?;
    let own = relay.address();
    let work = async {
        let group = Arc::new(SessionGroup::default());
        let result = match greeting {
            Greeting::Open => describe(source, own, &group, None).await,
            Greeting::Login(_) => log_in(source, own, &group).await,
        };
        let captured = match result {
            Ok(session) => watch(source, session).await,
            Err(failure) => Err(failure),
        };
        // The device may not care; its own time-out ends the stream then.
        let _left = timeout(LEAVE, group.await_teardown()).await;
        captured
    };
    tokio::select! {
        biased;
        failure = relay.run() => Err(failure),
        captured = work => captured,
    }
}

/// Describes the stream with the credential, of which one refusal ends its use.
async fn log_in(
    source: &Source<'_>,
    address: SocketAddr,
    group: &Arc<SessionGroup>,
) -> Result<Session<Described>, Failure> {
    let visit = source.visit;
    if !visit
        .site
        .policy
        .plaintext_login
        .covers(visit.target.trusted)
    {
        let text =
            "an RTSP server may ask for the password in clear, which this site's policy forbids";
        return Err(Failure::new(ErrorCode::PolicyRefused, text));
    }
    let permit = visit.gate.pass(visit.target.known_mac).await?;
    let credentials = visit.gate.credential.map(|credential| Credentials {
        username: credential.username.clone(),
        password: credential.password.expose().to_owned(),
    });
    let result = describe(source, address, group, credentials).await;
    match &result {
        Ok(_) => permit.settle(Spent::Accepted),
        Err(failure) if failure.credentials_sent => permit.settle(Spent::OneTry),
        // The server said something else than that the login is wrong.
        Err(_) => permit.settle(Spent::Accepted),
    }
    result
}

/// Describes the stream.
///
/// Where a server names a program that keeps streams after their connection is gone, the library would
/// open connections of its own to end them, with the credential and to wherever the description points.
/// Such a server is asked again, and left without a word.
async fn describe(
    source: &Source<'_>,
    address: SocketAddr,
    group: &Arc<SessionGroup>,
    credentials: Option<Credentials>,
) -> Result<Session<Described>, Failure> {
    let end = TeardownPolicy::Auto;
    let session = describe_once(source, address, group, credentials.clone(), end).await?;
    if !session.tool().is_some_and(Tool::has_live555_tcp_bug) {
        return Ok(session);
    }
    drop(session);
    describe_once(source, address, group, credentials, TeardownPolicy::Never).await
}

async fn describe_once(
    source: &Source<'_>,
    address: SocketAddr,
    group: &Arc<SessionGroup>,
    credentials: Option<Credentials>,
    end: TeardownPolicy,
) -> Result<Session<Described>, Failure> {
    let shown = credentials.is_some();
    let text = url(&Host::Ip(address.ip()), address.port(), source.path);
    let url = url::Url::parse(&text)
        .map_err(|_| Failure::new(ErrorCode::Internal, "the address of the stream"))?;
    let options = SessionOptions::default()
        .creds(credentials)
        .user_agent("tvtfleet".to_owned())
        .teardown(end)
        .session_group(Arc::clone(group));
    // An answer that never came may have been a refusal.
    let unanswered = |code, text| Failure {
        credentials_sent: shown,
        ..Failure::new(code, text)
    };
    match timeout(ANSWER, Session::describe(url, options)).await {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(error)) => Err(match error.status_code() {
            Some(status) => failed(status, shown),
            None => unanswered(
                ErrorCode::RtspBadAnswer,
                "the RTSP server broke off, or does not keep to the protocol",
            ),
        }),
        Err(_) => Err(unanswered(
            ErrorCode::RequestTimeout,
            "the RTSP server did not describe the stream in time",
        )),
    }
}

/// What a status of failure means; only 401 says something of the login.
fn failed(status: u16, shown: bool) -> Failure {
    match refusal(status) {
        Some(trouble) => Failure {
            credentials_sent: shown && status == 401,
            wire_code: trouble.wire_code,
            ..Failure::new(trouble.code, trouble.text)
        },
        // The answer was good, its content was not.
        None => Failure::new(
            ErrorCode::RtspBadAnswer,
            "the RTSP server describes the stream in a way that cannot be read",
        ),
    }
}

/// Plays the video until a key frame is there.
async fn watch(source: &Source<'_>, mut session: Session<Described>) -> Result<Captured, Failure> {
    let (place, codec) = video(&session)?;
    let options = SetupOptions::default()
        .transport(Transport::Tcp(TcpTransportOptions::default()))
        .frame_format(FrameFormat::SIMPLE);
    within(session.setup(place, options)).await?;
    let playing = within(session.play(PlayOptions::default())).await?;
    let mut frames = playing.demuxed().map_err(|error| broken(&error))?;
    let end = Instant::now() + KEY_FRAME;
    loop {
        let item = match timeout_at(end.into(), frames.next()).await {
            Ok(Some(Ok(item))) => item,
            Ok(Some(Err(error))) => return Err(broken(&error)),
            Ok(None) => {
                let text = "the stream ended before a key frame";
                return Err(Failure::new(ErrorCode::RtspNoKeyFrame, text));
            }
            Err(_) => {
                let text = "no key frame came in 10 s";
                return Err(Failure::new(ErrorCode::RtspNoKeyFrame, text));
            }
        };
        let CodecItem::VideoFrame(frame) = item else {
            continue;
        };
        if frame.data().len() > source.bytes_max {
            let text = "a frame is larger than allowed";
            return Err(Failure::new(ErrorCode::PictureTooLarge, text));
        }
        match codec {
            None => return Ok(Captured::Jpeg(frame.into_data())),
            Some(codec) if frame.is_random_access_point() => {
                return Ok(Captured::Video(codec, frame.into_data()));
            }
            Some(_) => {}
        }
    }
}

/// The place of the first video that can be taken apart; `None` stands for JPEG pictures.
fn video(session: &Session<Described>) -> Result<(usize, Option<Codec>), Failure> {
    let mut seen = false;
    for (place, stream) in session.streams().iter().enumerate() {
        if stream.media() != "video" {
            continue;
        }
        seen = true;
        let codec = match stream.encoding_name() {
            "h264" => Some(Codec::H264),
            "h265" => Some(Codec::H265),
            "jpeg" => None,
            _ => continue,
        };
        return Ok((place, codec));
    }
    Err(if seen {
        Failure::new(
            ErrorCode::PictureNotDecoded,
            "the video is neither H.264, H.265 nor JPEG",
        )
    } else {
        Failure::new(ErrorCode::RtspBadAnswer, "the stream has no video")
    })
}

async fn within<T>(step: impl Future<Output = Result<T, retina::Error>>) -> Result<T, Failure> {
    match timeout(ANSWER, step).await {
        Ok(result) => result.map_err(|error| broken(&error)),
        Err(_) => Err(Failure::new(
            ErrorCode::RequestTimeout,
            "the RTSP server did not start the stream in time",
        )),
    }
}

/// A failure after the login. The library's words are dropped: they may hold the device's.
fn broken(error: &retina::Error) -> Failure {
    match error.status_code() {
        Some(status) => failed(status, false),
        None => Failure::new(
            ErrorCode::RtspBadAnswer,
            "the stream broke, or does not keep to the protocol",
        ),
    }
}
