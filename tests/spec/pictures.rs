//! Pictures of cameras, by every way: what is in them, and what is caught.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tvt_agent::credentials::FixedCredential;
use tvt_agent::policy::{Consent, Policy};
use tvt_agent::snapshot::{
    CameraLogin, Picture, PictureChannel, PictureDevice, PictureEvent, PictureKind, PictureOptions,
    PictureWork, TakenPicture, run_pictures,
};
use tvt_agent::work::SiteContext;
use tvt_agent::{ProtocolSettings, WebPort, WebSettings};
use tvt_sim::{
    Device, DeviceSpec, Fleet, Mark, Mutation, Options, RtspFault, RtspLogin, RtspSpec, Scene,
    Simulator, StillFault, VideoCodec, WebSpec,
};
use tvtfleet_bus::clock::SystemClock;
use tvtfleet_proto::device::picture::{Codec, Flag, Seen, VideoStream, Way};
use tvtfleet_proto::device::rtsp::PASSING_MAX;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::{Endpoint, Host};
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::secret::{Credential, Secret};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::Target;

const PASSWORD: &str = "Fleet-2026";

/// A recorder with three channels, of which the second is offline.
struct Bench {
    _simulator: Simulator,
    device: Arc<Device>,
}

impl Bench {
    fn start(web: Option<WebSpec>, rtsp: Option<RtspSpec>) -> Self {
        let mut spec = DeviceSpec::new(([127, 0, 0, 1], 0).into());
        spec.mac = "58:5B:69:0A:0B:0C".parse().unwrap();
        spec.cameras = [(1, 1), (2, 0), (3, 1)]
            .map(|(channel, status)| {
                json!({"channel": channel, "szChlname": format!("Gate {channel}"), "status": status})
            })
            .to_vec();
        (spec.web, spec.rtsp) = (web, rtsp);
        let fleet = Fleet {
            devices: vec![spec],
        };
        let simulator = Simulator::start(fleet, Options::default()).unwrap();
        let device = Arc::clone(&simulator.devices()[0]);
        Self {
            _simulator: simulator,
            device,
        }
    }

    fn site(&self, password: &str, policy: Policy) -> Arc<SiteContext> {
        // Port 9 of the loopback stands for an interface that is switched off.
        let port = self
            .device
            .web_address()
            .map_or(9, |address| address.port());
        let web = WebSettings {
            ports: vec![WebPort { port, tls: false }],
            request: Duration::from_secs(2),
            ..WebSettings::default()
        };
        let site = SiteContext::new(
            Box::new(FixedCredential(credential(password))),
            policy,
            ProtocolSettings::default(),
            Arc::new(SystemClock),
        );
        Arc::new(site.with_web(web, Arc::default()))
    }

    fn options(&self, stream: Option<VideoStream>) -> PictureOptions {
        let port = self
            .device
            .rtsp_address()
            .map_or(9, |address| address.port());
        PictureOptions {
            stream,
            bytes_max: 2 * 1024 * 1024,
            parallel: 4,
            picture_deadline: Duration::from_secs(20),
            rtsp_port: Some(port),
            camera: None,
            camera_port: port,
            ffmpeg: None,
            credential: None,
        }
    }

    async fn take(&self, channels: &[u32], options: PictureOptions) -> Vec<TakenPicture> {
        let site = self.site(PASSWORD, Policy::default());
        self.take_at(site, channels, options).await
    }

    async fn take_at(
        &self,
        site: Arc<SiteContext>,
        channels: &[u32],
        options: PictureOptions,
    ) -> Vec<TakenPicture> {
        let address = self.device.address();
        let work = PictureWork {
            options,
            devices: vec![PictureDevice {
                target: Target {
                    number: TargetNo(0),
                    endpoint: Endpoint {
                        host: Host::Ip(address.ip()),
                        port: address.port(),
                    },
                    known_mac: None,
                    trusted: true,
                    credential: None,
                    settings: BTreeMap::new(),
                },
                channels: channels
                    .iter()
                    .map(|number| PictureChannel {
                        number: *number,
                        camera: Some(Host::Ip(address.ip())),
                    })
                    .collect(),
            }],
        };
        let (sender, mut events) = mpsc::channel(1);
        let job = JobId::new(uuid::Uuid::new_v4());
        let run = run_pictures(job, work, site, CancellationToken::new(), sender);
        let collect = async {
            let mut taken = Vec::new();
            while let Some(event) = events.recv().await {
                if let PictureEvent::Taken(picture) = event {
                    taken.push(*picture);
                }
            }
            taken
        };
        tokio::join!(run, collect).1
    }

    /// The one picture of the first channel.
    async fn one(&self, stream: Option<VideoStream>) -> TakenPicture {
        let options = self.options(stream);
        self.take(&[1], options).await.pop().unwrap()
    }

    fn mark(&self, channel: u16, stream: u8) -> Mark {
        Mark {
            device: self.device.mark(),
            channel,
            stream,
        }
    }
}

fn credential(password: &str) -> Credential {
    Credential {
        username: "admin".to_owned(),
        password: Secret::new(password),
    }
}

/// Reads back who is in a picture.
fn read(picture: &Picture) -> Mark {
    assert_eq!(picture.kind, PictureKind::Jpeg);
    let small = tvt_agent::snapshot::thumbnail(&picture.bytes, Scene::width(), Scene::height());
    let small = small.expect("a picture that can be decoded");
    assert_eq!(
        (small.width, small.height),
        (Scene::width(), Scene::height())
    );
    let luma: Vec<u8> = small.rgb.chunks_exact(3).map(|rgb| rgb[1]).collect();
    Scene::read_mark(&luma).unwrap()
}

fn code(taken: &TakenPicture) -> ErrorCode {
    taken.result.as_ref().unwrap_err().code
}

fn attempts(taken: &TakenPicture) -> Vec<(Way, Option<ErrorCode>)> {
    taken
        .attempts
        .iter()
        .map(|attempt| (attempt.way, attempt.code))
        .collect()
}

fn with_still(still: StillFault) -> WebSpec {
    WebSpec {
        still: Some(still),
        ..WebSpec::default()
    }
}

fn with_fault(fault: RtspFault) -> RtspSpec {
    RtspSpec {
        fault: Some(fault),
        ..RtspSpec::default()
    }
}

#[tokio::test]
async fn a_still_shows_the_channel_that_was_asked_for() {
    let bench = Bench::start(Some(WebSpec::default()), None);
    let taken = bench.take(&[1, 2, 3], bench.options(None)).await;
    let picture = taken[0].result.as_ref().unwrap();
    assert_eq!(read(picture), bench.mark(1, 0));
    assert_eq!((picture.way, picture.degraded), (Way::WebApi, false));
    assert_eq!((picture.width, picture.height), (320, 192));
    assert_eq!(
        code(&taken[1]),
        ErrorCode::PictureEmpty,
        "a camera that is away"
    );
    assert_eq!(read(taken[2].result.as_ref().unwrap()), bench.mark(3, 0));
    let counters = bench.device.counters();
    assert_eq!(counters.logins_failed, 0);
    assert_eq!(counters.violations, 0, "{:?}", counters.violation_records);
}

#[tokio::test]
async fn video_of_every_codec_becomes_a_picture() {
    for codec in [VideoCodec::H264, VideoCodec::H265, VideoCodec::Jpeg] {
        for (sets_described, login) in [
            (false, RtspLogin::Digest),
            (true, RtspLogin::Basic),
            (true, RtspLogin::Open),
        ] {
            let bench = Bench::start(
                None,
                Some(RtspSpec {
                    codec,
                    sets_described,
                    login,
                    ..RtspSpec::default()
                }),
            );
            for (stream, number) in [(VideoStream::Main, 1), (VideoStream::Sub, 2)] {
                let options = bench.options(Some(stream));
                let taken = bench.take(&[3], options).await.pop().unwrap();
                let picture = taken.result.as_ref().unwrap_or_else(|failure| {
                    panic!("{codec:?} {login:?}: {failure} {:?}", taken.attempts)
                });
                assert_eq!(read(picture), bench.mark(3, number), "{codec:?} {login:?}");
                assert_eq!((picture.way, picture.stream), (Way::Rtsp, Some(stream)));
            }
            let counters = bench.device.counters();
            assert_eq!(counters.violations, 0, "{:?}", counters.violation_records);
            assert_eq!(
                counters.streams_torn_down, 2,
                "{codec:?}: no stream is left open"
            );
        }
    }
}

#[tokio::test]
async fn pictures_of_nine_megapixels_are_decoded_within_the_limits() {
    for codec in [VideoCodec::H264, VideoCodec::H265] {
        let bench = Bench::start(
            None,
            Some(RtspSpec {
                codec,
                times: 12,
                frames_before: 0,
                ..RtspSpec::default()
            }),
        );
        let options = PictureOptions {
            bytes_max: 16 * 1024 * 1024,
            ..bench.options(Some(VideoStream::Main))
        };
        let taken = bench.take(&[3], options).await.pop().unwrap();
        let picture = taken.result.as_ref().unwrap();
        assert_eq!((picture.width, picture.height), (3840, 2304), "{codec:?}");
        assert_eq!(picture.kind, PictureKind::Jpeg, "{codec:?}");
        assert_eq!(read(picture), bench.mark(3, 1), "{codec:?}");
    }
}

#[tokio::test]
async fn a_camera_is_asked_itself_with_its_own_credential_only() {
    let bench = Bench::start(None, Some(RtspSpec::default()));
    let options = |password: &str| PictureOptions {
        camera: Some(CameraLogin::Given(credential(password))),
        ..bench.options(Some(VideoStream::Sub))
    };
    let wrong_recorder = bench.site("of-the-recorder", Policy::default());
    let taken = bench
        .take_at(wrong_recorder, &[1], options(PASSWORD))
        .await
        .pop()
        .unwrap();
    let picture = taken.result.as_ref().unwrap();
    assert_eq!(picture.way, Way::RtspCamera);
    assert_eq!(read(picture), bench.mark(1, 2));
    assert_eq!(bench.device.counters().logins_failed, 0);
}

#[tokio::test]
async fn answers_that_are_no_picture_are_caught_and_the_next_way_is_taken() {
    for (still, expected) in [
        (StillFault::Html, ErrorCode::PictureNotJpeg),
        (StillFault::Xml, ErrorCode::RequestRefused),
        (StillFault::Truncated, ErrorCode::PictureCutOff),
        (StillFault::Empty, ErrorCode::PictureEmpty),
        (StillFault::Unknown, ErrorCode::CommandUnsupported),
    ] {
        let alone = Bench::start(Some(with_still(still)), None);
        let taken = alone.one(None).await;
        let tried = attempts(&taken);
        assert_eq!(tried[0], (Way::WebApi, Some(expected)), "{still:?}");
        let stills = tried.iter().filter(|(way, _)| *way == Way::WebApi).count();
        let again = usize::from(expected == ErrorCode::PictureCutOff);
        assert_eq!(
            stills,
            1 + again,
            "{still:?}: only a cut picture is asked for again"
        );
        assert!(taken.result.is_err());
        let both = Bench::start(Some(with_still(still)), Some(RtspSpec::default()));
        let taken = both.one(None).await;
        let picture = taken.result.as_ref().unwrap();
        assert_eq!(picture.way, Way::Rtsp, "{still:?}");
        assert_eq!(read(picture), both.mark(1, 2));
    }
    let padded = Bench::start(Some(with_still(StillFault::Padded)), None);
    let taken = padded.one(None).await;
    let picture = taken.result.as_ref().unwrap();
    assert_eq!(picture.stripped, 7);
    assert!(picture.bytes.ends_with(&[0xFF, 0xD9]));
}

/// What a manifest remembers of a picture.
fn seen(taken: &TakenPicture, seconds: i64) -> Seen {
    let picture = taken.result.as_ref().unwrap();
    Seen {
        sha256: picture.sha256,
        taken_at: UtcMillis::new(seconds * 1000),
        look: picture.look.clone(),
    }
}

#[tokio::test]
async fn doubtful_pictures_are_flagged() {
    for (still, expected) in [
        (None, vec![]),
        (Some(StillFault::Stale), vec![Flag::MaybeStale]),
        (Some(StillFault::Frozen), vec![Flag::Frozen]),
        (Some(StillFault::Black), vec![Flag::MaybeStale, Flag::Black]),
        (
            Some(StillFault::Grey),
            vec![Flag::MaybeStale, Flag::Uniform],
        ),
    ] {
        let web = WebSpec {
            still,
            ..WebSpec::default()
        };
        let bench = Bench::start(Some(web), None);
        let first = seen(&bench.one(None).await, 0);
        let second = seen(&bench.one(None).await, 90);
        assert_eq!(second.flags(Some(&first)), expected, "{still:?}");
    }
    let swapped = Bench::start(Some(with_still(StillFault::Swapped)), None);
    let taken = swapped.take(&[1, 3], swapped.options(None)).await;
    assert_eq!(seen(&taken[0], 0).sha256, seen(&taken[1], 0).sha256);
}

#[tokio::test]
async fn the_main_stream_is_degraded_to_a_still_only_where_there_is_no_video() {
    let bench = Bench::start(Some(WebSpec::default()), None);
    let taken = bench.one(Some(VideoStream::Main)).await;
    let picture = taken.result.as_ref().unwrap();
    assert!(picture.degraded);
    assert_eq!(
        attempts(&taken),
        [
            (Way::Rtsp, Some(ErrorCode::ConnectRefused)),
            (Way::WebApi, None)
        ]
    );
}

#[tokio::test]
async fn servers_that_misbehave_are_given_up_in_time_with_a_code() {
    for (fault, expected) in [
        (RtspFault::Mute, ErrorCode::DeviceDeadline),
        (RtspFault::Full, ErrorCode::Busy),
        (RtspFault::Http, ErrorCode::RtspBadAnswer),
        (RtspFault::BadDescription, ErrorCode::RtspBadAnswer),
        (RtspFault::NoVideo, ErrorCode::RtspBadAnswer),
        (RtspFault::Stalls, ErrorCode::DeviceDeadline),
        (RtspFault::NoKeyFrame, ErrorCode::DeviceDeadline),
        (RtspFault::BreaksOff, ErrorCode::RtspBadAnswer),
        (RtspFault::Gigantic, ErrorCode::PictureTooLarge),
    ] {
        let bench = Bench::start(None, Some(with_fault(fault)));
        let options = PictureOptions {
            picture_deadline: Duration::from_secs(2),
            ..bench.options(Some(VideoStream::Sub))
        };
        let taken = bench.take(&[1], options).await.pop().unwrap();
        assert_eq!(code(&taken), expected, "{fault:?}");
        assert_eq!(bench.device.counters().logins_failed, 0, "{fault:?}");
    }
    let bench = Bench::start(None, Some(RtspSpec::default()));
    let taken = bench
        .take(&[9], bench.options(Some(VideoStream::Sub)))
        .await;
    assert_eq!(code(&taken[0]), ErrorCode::RtspNotFound);
}

#[tokio::test]
async fn servers_that_send_without_an_end_are_cut_off_at_a_bound() {
    // What the sockets of both sides hold besides.
    const SOCKETS: u64 = 16 * 1024 * 1024;
    for codec in [VideoCodec::H264, VideoCodec::H265] {
        for (fault, expected, bound) in [
            (
                RtspFault::EndlessDescription,
                ErrorCode::RtspBadAnswer,
                64 * 1024,
            ),
            (
                RtspFault::EndlessFrame,
                ErrorCode::PictureTooLarge,
                3 * 1024 * 1024,
            ),
            (
                RtspFault::EndlessFrames,
                ErrorCode::RtspBadAnswer,
                PASSING_MAX + 3 * 1024 * 1024,
            ),
        ] {
            let spec = RtspSpec {
                codec,
                ..with_fault(fault)
            };
            let bench = Bench::start(None, Some(spec));
            let options = bench.options(Some(VideoStream::Sub));
            let taken = bench.take(&[1], options).await.pop().unwrap();
            assert_eq!(code(&taken), expected, "{codec:?} {fault:?}");
            let counters = bench.device.counters();
            let taken = counters.endless_bytes;
            assert!(taken <= bound + SOCKETS, "{codec:?} {fault:?}: {taken}");
            assert_eq!(counters.logins_failed, 0, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn no_connection_is_made_behind_the_back_of_the_relay() {
    // The library would open one of its own to end such a stream.
    let bench = Bench::start(None, Some(with_fault(RtspFault::OldServer)));
    let options = bench.options(Some(VideoStream::Sub));
    let taken = bench.take(&[1], options).await.pop().unwrap();
    assert_eq!(read(taken.result.as_ref().unwrap()), bench.mark(1, 2));
    assert_eq!(bench.device.counters().streams_torn_down, 0);
}

#[tokio::test]
async fn a_key_frame_that_is_not_decoded_is_kept_as_it_came() {
    let bench = Bench::start(None, Some(with_fault(RtspFault::Undecodable)));
    let taken = bench.one(Some(VideoStream::Main)).await;
    let picture = taken.result.as_ref().unwrap();
    assert_eq!(picture.kind, PictureKind::Raw(Codec::H264));
    assert_eq!((picture.width, picture.height), (320, 192));
    assert!(picture.bytes.starts_with(&[0, 0, 0, 1, 0x67]));
    // A still is worth more than a frame that nobody can look at.
    let web = Some(WebSpec::default());
    let both = Bench::start(web, Some(with_fault(RtspFault::Undecodable)));
    let taken = both.one(Some(VideoStream::Main)).await;
    let picture = taken.result.as_ref().unwrap();
    assert_eq!((picture.way, picture.degraded), (Way::WebApi, true));
}

#[tokio::test]
async fn a_wrong_password_is_shown_once_over_all_ways_and_channels() {
    for (stream, web, rtsp) in [
        (None, Some(WebSpec::default()), RtspSpec::default()),
        (
            Some(VideoStream::Main),
            Some(WebSpec::default()),
            RtspSpec::default(),
        ),
        (
            Some(VideoStream::Main),
            None,
            with_fault(RtspFault::AlwaysAsks),
        ),
    ] {
        let always = rtsp.fault.is_some();
        let bench = Bench::start(web, Some(rtsp));
        let site = bench.site("wrong", Policy::default());
        let options = bench.options(stream);
        let taken = bench.take_at(site, &[1, 3], options).await;
        assert_eq!(taken.len(), 2, "every channel is told of");
        for one in &taken {
            assert_eq!(code(one), ErrorCode::LoginRejected);
        }
        assert!(taken[1].attempts.is_empty(), "{:?}", taken[1].attempts);
        let counters = bench.device.counters();
        let expected = if always { 0 } else { 1 };
        assert_eq!(counters.logins_tried, expected, "{stream:?}");
        assert!(counters.rtsp_requests <= 3, "{}", counters.rtsp_requests);
    }
}

#[tokio::test]
async fn policy_keeps_the_password_off_the_line() {
    let bench = Bench::start(None, Some(RtspSpec::default()));
    let policy = Policy {
        plaintext_login: Consent::Never,
        ..Policy::default()
    };
    let site = bench.site(PASSWORD, policy);
    let options = bench.options(Some(VideoStream::Main));
    let taken = bench.take_at(site, &[1], options).await;
    assert_eq!(code(&taken[0]), ErrorCode::PolicyRefused);
    assert_eq!(bench.device.counters().logins_tried, 0);
    let both = Bench::start(Some(WebSpec::default()), Some(RtspSpec::default()));
    let policy = Policy {
        plaintext_login: Consent::Never,
        ..Policy::default()
    };
    let site = both.site(PASSWORD, policy);
    let options = both.options(Some(VideoStream::Main));
    let taken = both.take_at(site, &[1], options).await;
    let picture = taken[0].result.as_ref().unwrap();
    assert_eq!(picture.way, Way::WebApi, "a proof may be sent");
    let nowhere = Policy {
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        ..Policy::default()
    };
    let site = bench.site(PASSWORD, nowhere);
    let before = bench.device.counters().rtsp_requests;
    let options = bench.options(Some(VideoStream::Main));
    let taken = bench.take_at(site, &[1], options).await;
    assert_eq!(code(&taken[0]), ErrorCode::PolicyRefused);
    assert_eq!(bench.device.counters().rtsp_requests, before);
}

#[tokio::test]
async fn the_recorder_tells_where_its_video_is() {
    let bench = Bench::start(
        Some(with_still(StillFault::Html)),
        Some(RtspSpec::default()),
    );
    let told_rtsp_port = bench.device.rtsp_address().unwrap().port();
    let web = WebSpec {
        told_rtsp_port,
        ..with_still(StillFault::Html)
    };
    bench.device.apply(Mutation::SetWeb { web }).await.unwrap();
    let options = PictureOptions {
        rtsp_port: None,
        ..bench.options(None)
    };
    let taken = bench.take(&[1], options).await;
    assert_eq!(read(taken[0].result.as_ref().unwrap()), bench.mark(1, 2));
}

/// What a seed says of numbers that follow one another.
fn dice(mut state: u64) -> impl FnMut(usize) -> usize {
    move |sides| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % sides
    }
}

#[test]
fn damaged_key_frames_end_in_time_and_within_their_limits() {
    let mark = Mark {
        device: 1,
        channel: 2,
        stream: 3,
    };
    let scene = Scene::live(mark, 4);
    let began = std::time::Instant::now();
    let (mut slowest, mut broken) = (Duration::ZERO, 0);
    for (seed, whole) in [(1, scene.h264()), (2, scene.h265())] {
        let mut roll = dice(seed);
        for _ in 0..150 {
            let mut bytes = whole.clone();
            // Mostly where the parameter sets and the beginning of the picture are.
            for _ in 0..=roll(6) {
                let reach = if roll(3) == 0 { bytes.len() } else { 120 };
                let at = roll(reach);
                bytes[at] = u8::try_from(roll(256)).unwrap();
            }
            bytes.truncate(bytes.len() - roll(2) * roll(bytes.len() / 2));
            let once = std::time::Instant::now();
            // The agent catches a decoder that breaks; it must not hang or fill the memory.
            let run = || tvtfleet_tests::fuzz::key_frames(&bytes);
            broken += usize::from(std::panic::catch_unwind(run).is_err());
            slowest = slowest.max(once.elapsed());
        }
    }
    println!(
        "300 damaged frames in {:?}, slowest {slowest:?}, {broken} broke the decoder",
        began.elapsed()
    );
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
}
