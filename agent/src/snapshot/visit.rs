//! The pictures of one device as part of a job: which channels there are, and where pictures go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tvtfleet_proto::device::picture::Flag;
use tvtfleet_proto::device::rtsp::DEFAULT_PORT;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::answer::{self, PictureTaken};
use tvtfleet_proto::model::channel::{Channel, ChannelLabel, ChannelStatus};
use tvtfleet_proto::model::picture::PictureDigest;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::want::Target;

use super::order::ends_device;
use super::turn::Turn;
use super::work::{
    CameraLogin, Picture, PictureChannel, PictureDevice, PictureEvent, PictureKind, PictureOptions,
    Shared, TakenPicture,
};
use crate::device::Answer;
use crate::run::JobShared;

/// The most channels of a device that are asked.
const CHANNELS_MAX: usize = 1024;
/// Pictures of a device that wait to be written; the device waits behind them.
const WAITING: usize = 1;
/// What is left of a device's time for its report.
const REPORTING: Duration = Duration::from_millis(500);

/// How a site takes the pictures of jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSettings {
    /// The most bytes of one picture.
    pub bytes_max: usize,
    /// Time for one picture, over all ways to it.
    pub picture_deadline: Duration,
    /// The RTSP port of recorders; `None` asks the web API where that answers, and else takes 554.
    pub rtsp_port: Option<u16>,
    /// The RTSP port of cameras, for pictures from the cameras themselves.
    pub camera_port: u16,
    /// Where ffmpeg is, for key frames that are not decoded here.
    pub ffmpeg: Option<std::path::PathBuf>,
}

impl Default for SnapshotSettings {
    /// 8 MiB and 20 seconds for a picture.
    fn default() -> Self {
        Self {
            bytes_max: 8 * 1024 * 1024,
            picture_deadline: Duration::from_secs(20),
            rtsp_port: None,
            camera_port: DEFAULT_PORT,
            ffmpeg: None,
        }
    }
}

/// Takes the pictures of a device. `scanned` is what a scan said of its channels, where all of them are
/// wanted.
pub(crate) async fn take_pictures(
    job: &JobShared,
    target: &Target,
    scanned: Option<Answer>,
    deadline: Instant,
) -> Answer {
    let (known, mut answer) = match scanned {
        Some(scanned) => (
            scanned.channels,
            Answer {
                facts: scanned.facts,
                ..Answer::default()
            },
        ),
        None => (Vec::new(), Answer::default()),
    };
    let wanted = wanted(&known, job.options.scope.channel);
    if wanted.there.is_empty() && wanted.away.is_empty() {
        let text = "the device names no channels";
        answer.failed = Some(Failure::new(ErrorCode::NoChannels, text));
    }
    let mut rows: Vec<PictureTaken> = wanted.away.into_iter().map(away).collect();
    let shared = shared(job, deadline);
    let device = PictureDevice {
        target: target.clone(),
        channels: wanted
            .there
            .iter()
            .map(|(channel, _)| channel.clone())
            .collect(),
    };
    let (events, mut taken) = mpsc::channel(WAITING);
    let turn = Turn::new(&shared, device, events);
    let keep = async {
        let mut failures = Vec::new();
        while let Some(event) = taken.recv().await {
            let PictureEvent::Taken(one) = event else {
                continue;
            };
            let name = wanted
                .there
                .iter()
                .find(|(channel, _)| channel.number == one.channel);
            let name = name.map(|(_, name)| name.clone()).unwrap_or_default();
            let (row, failure) = kept(job, *one, name, deadline).await;
            rows.push(row);
            failures.extend(failure);
        }
        failures
    };
    let (_, failures) = tokio::join!(turn.take_all(), keep);
    // One picture out of many is the answer's affair; none at all, or a refused login, the device's.
    let none = !rows.iter().any(|row| row.state.as_deref() == Some("taken"));
    let decisive = failures.iter().find(|failure| ends_device(failure));
    let decisive = decisive.or_else(|| failures.first().filter(|_| none));
    answer.failed = decisive.cloned().or(answer.failed);
    rows.sort_by_key(|row| row.channel);
    answer.answer = Some(answer::Answer::Pictures(rows));
    answer
}

/// Takes the picture of one channel, counted from 1, of a device that nobody else asks.
///
/// # Errors
///
/// Why there is none.
pub(crate) async fn take_picture(
    job: &JobShared,
    target: &Target,
    channel: u32,
    deadline: Instant,
) -> Result<Picture, Failure> {
    let shared = shared(job, deadline);
    let device = PictureDevice {
        target: target.clone(),
        channels: vec![PictureChannel {
            number: channel,
            camera: None,
        }],
    };
    let (events, mut taken) = mpsc::channel(WAITING);
    let turn = Turn::new(&shared, device, events);
    let keep = async {
        let mut found = None;
        while let Some(event) = taken.recv().await {
            if let PictureEvent::Taken(one) = event {
                found = Some(one.result);
            }
        }
        found
    };
    let (_, found) = tokio::join!(turn.take_all(), keep);
    found.unwrap_or_else(|| {
        let text = "the picture was not begun";
        Err(Failure::new(ErrorCode::DeviceCancelled, text))
    })
}

/// How the pictures of a device of a job are taken.
fn shared(job: &JobShared, deadline: Instant) -> Shared {
    let settings = &job.site.snapshots;
    let options = PictureOptions {
        stream: job.options.scope.stream,
        bytes_max: settings.bytes_max,
        parallel: 1,
        picture_deadline: settings.picture_deadline,
        rtsp_port: settings.rtsp_port,
        camera: job.options.scope.camera.clone().map(CameraLogin::Labelled),
        camera_port: settings.camera_port,
        ffmpeg: settings.ffmpeg.clone(),
        credential: job.options.credential.clone(),
    };
    Shared {
        job: job.job,
        options,
        site: Arc::clone(&job.site),
        cancel: job.cancel.clone(),
        braked: Arc::clone(&job.braked),
        studio: job.site.studio.clone(),
        not_after: Some(deadline.checked_sub(REPORTING).unwrap_or(deadline)),
        login: job.login.clone(),
    }
}

/// Puts a picture on the shelf and makes a row of it.
async fn kept(
    job: &JobShared,
    taken: TakenPicture,
    name: String,
    deadline: Instant,
) -> (PictureTaken, Option<Failure>) {
    let row = PictureTaken {
        channel: Some(taken.channel),
        name: Some(name).filter(|name| !name.is_empty()),
        taken_at_ms: Some(taken.taken_at.millis()),
        ..PictureTaken::default()
    };
    let picture = match taken.result {
        Ok(picture) => picture,
        Err(failure) => return (failed(row, &failure), Some(failure)),
    };
    let Some(shelf) = &job.site.shelf else {
        let text = "pictures of jobs are kept by agents only";
        let failure = Failure::new(ErrorCode::PictureNotKept, text);
        return (failed(row, &failure), Some(failure));
    };
    let digest = PictureDigest(picture.sha256);
    let bytes = Arc::clone(&picture.bytes);
    match shelf.keep(digest, bytes, deadline, &job.cancel).await {
        Ok(()) => (described(row, &picture), None),
        Err(failure) => (failed(row, &failure), Some(failure)),
    }
}

fn described(row: PictureTaken, picture: &Picture) -> PictureTaken {
    let (format, raw) = match picture.kind {
        PictureKind::Jpeg => ("jpeg", false),
        PictureKind::Raw(codec) => (codec.as_str(), true),
    };
    let flags = [(picture.degraded, Flag::Degraded), (raw, Flag::Raw)];
    let flags = flags.iter().filter(|(is, _)| *is);
    PictureTaken {
        state: Some("taken".to_owned()),
        way: Some(picture.way.to_string()),
        stream: picture.stream.map(|stream| stream.to_string()),
        format: Some(format.to_owned()),
        width: Some(picture.width),
        height: Some(picture.height),
        bytes: u64::try_from(picture.bytes.len()).ok(),
        sha256: Some(PictureDigest(picture.sha256).to_string()),
        flags: flags.map(|(_, flag)| flag.to_string()).collect(),
        look: picture.look.as_ref().map(|look| look.to_text()),
        ..row
    }
}

fn failed(row: PictureTaken, failure: &Failure) -> PictureTaken {
    PictureTaken {
        state: Some("failed".to_owned()),
        error_code: Some(failure.code.to_string()),
        error: Some(failure.text.clone()),
        ..row
    }
}

fn away((number, name): (u32, String)) -> PictureTaken {
    PictureTaken {
        channel: Some(number),
        name: Some(name).filter(|name| !name.is_empty()),
        state: Some("offline".to_owned()),
        error_code: Some(ErrorCode::PictureOffline.to_string()),
        error: Some("the camera is away".to_owned()),
        ..PictureTaken::default()
    }
}

/// Channels with their names.
struct Wanted {
    there: Vec<(PictureChannel, String)>,
    away: Vec<(u32, String)>,
}

/// Which channels are asked: the one named, or all; but none whose camera is known to be away.
fn wanted(known: &[Channel], only: Option<u32>) -> Wanted {
    let mut wanted = Wanted {
        there: Vec::new(),
        away: Vec::new(),
    };
    if let (Some(number), []) = (only, known) {
        let unknown = PictureChannel {
            number,
            camera: None,
        };
        wanted.there.push((unknown, String::new()));
        return wanted;
    }
    let number = |channel: &Channel| match channel.label {
        ChannelLabel::Number(number) => u32::try_from(number).ok(),
        ChannelLabel::Text(_) => None,
    };
    // Some recorders count from 0 in their lists, and from 1 on the screen and in addresses.
    let base = u32::from(known.iter().any(|channel| number(channel) == Some(0)));
    for channel in known.iter().take(CHANNELS_MAX) {
        let Some(number) = number(channel).and_then(|number| number.checked_add(base)) else {
            continue;
        };
        if only.is_some_and(|only| only != number) {
            continue;
        }
        let name = channel.name.clone();
        if channel.status == ChannelStatus::Offline {
            wanted.away.push((number, name));
        } else {
            let camera = channel.address.parse().ok();
            wanted.there.push((PictureChannel { number, camera }, name));
        }
    }
    wanted
}
