//! The pictures of many devices, a few devices at a time.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tvtfleet_proto::device::picture::{Codec, Look, VideoStream, Way};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::id::{CredentialLabel, JobId, TargetNo};
use tvtfleet_proto::model::job::MAX_PARALLEL;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::secret::Credential;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::Target;

use super::studio::Studio;
use super::turn::Turn;
use crate::budget::Brake;
use crate::work::SiteContext;

/// Which pictures to take, and how.
#[derive(Clone, Debug)]
pub struct PictureWork {
    /// How.
    pub options: PictureOptions,
    /// Of which devices.
    pub devices: Vec<PictureDevice>,
}

/// How pictures are taken.
#[derive(Clone, Debug)]
pub struct PictureOptions {
    /// The stream; `None` is whatever shows what the camera sees.
    pub stream: Option<VideoStream>,
    /// The most bytes of one picture.
    pub bytes_max: usize,
    /// Devices at a time. One device gives one picture after the other.
    pub parallel: u32,
    /// Time for one picture, over all ways to it.
    pub picture_deadline: Duration,
    /// The RTSP port of recorders; `None` asks the web API where that answers, and else takes 554.
    pub rtsp_port: Option<u16>,
    /// Takes pictures from the cameras themselves, with a credential of theirs: a recorder's own is
    /// never sent to the addresses that it names.
    pub camera: Option<CameraLogin>,
    /// The RTSP port of cameras.
    pub camera_port: u16,
    /// Where ffmpeg is, for key frames that are not decoded here.
    pub ffmpeg: Option<PathBuf>,
    /// The credential of devices that name none.
    pub credential: Option<CredentialLabel>,
}

/// How cameras are logged in to.
#[derive(Clone, Debug)]
pub enum CameraLogin {
    /// With this credential.
    Given(Credential),
    /// With the one that the site has under this label.
    Labelled(CredentialLabel),
}

/// One device and the channels wanted of it.
#[derive(Clone, Debug)]
pub struct PictureDevice {
    /// The device.
    pub target: Target,
    /// The channels, in the order in which they are asked.
    pub channels: Vec<PictureChannel>,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureChannel {
    /// Its number, from 1.
    pub number: u32,
    /// Where its camera is, for pictures from the camera itself.
    pub camera: Option<Host>,
}

/// News of the work.
#[derive(Debug)]
pub enum PictureEvent {
    /// A device is being asked.
    Started(TargetNo),
    /// A channel has had its turn.
    Taken(Box<TakenPicture>),
}

/// What one channel's turn came to.
#[derive(Debug)]
pub struct TakenPicture {
    /// The device.
    pub target: TargetNo,
    /// The channel, from 1.
    pub channel: u32,
    /// When the turn was over.
    pub taken_at: UtcMillis,
    /// Every try, in order.
    pub attempts: Vec<PictureAttempt>,
    /// The picture, or why there is none.
    pub result: Result<Picture, Failure>,
}

/// One try of one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureAttempt {
    /// The way.
    pub way: Way,
    /// How long it took.
    pub duration: Duration,
    /// How it failed; `None` where it worked.
    pub code: Option<ErrorCode>,
    /// Bytes that came.
    pub bytes: usize,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The way it came.
    pub way: Way,
    /// The stream it is of; `None` for a still of the web API.
    pub stream: Option<VideoStream>,
    /// What the bytes are.
    pub kind: PictureKind,
    /// The bytes.
    pub bytes: Arc<Vec<u8>>,
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Whether it may be smaller than what was asked for.
    pub degraded: bool,
    /// NUL bytes that stood after it.
    pub stripped: usize,
    /// How it looks, where it could be decoded.
    pub look: Option<Look>,
}

/// What the bytes of a picture are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureKind {
    /// A JPEG picture.
    Jpeg,
    /// A key frame that could not be decoded.
    Raw(Codec),
}

/// Takes pictures, and hands each over before the same device is asked for the next: a slow listener
/// slows the work, and no more is held than one picture a device at a time and those in `events`.
///
/// Cancelling `cancel`, or dropping the receiver, ends it at the next safe point; channels that were
/// not begun are then not reported. A job whose logins are refused by many devices is stopped.
pub async fn run_pictures(
    job: JobId,
    work: PictureWork,
    site: Arc<SiteContext>,
    cancel: CancellationToken,
    events: mpsc::Sender<PictureEvent>,
) {
    let cancel = cancel.child_token();
    let _stops_all = cancel.clone().drop_guard();
    let shared = Arc::new(Shared {
        job,
        options: work.options,
        site,
        cancel: cancel.clone(),
        braked: Arc::new(AtomicBool::new(false)),
        studio: Studio::new(),
        not_after: None,
        login: None,
    });
    let parallel = shared.options.parallel.clamp(1, MAX_PARALLEL);
    let parallel = usize::try_from(parallel).unwrap_or(1);
    let mut waiting = work.devices.into_iter();
    let mut tasks: JoinSet<bool> = JoinSet::new();
    let mut brake = Brake::default();
    loop {
        while tasks.len() < parallel && !cancel.is_cancelled() {
            let Some(device) = waiting.next() else { break };
            let (shared, events) = (Arc::clone(&shared), events.clone());
            tasks.spawn(async move { Turn::new(&shared, device, events).finish().await });
        }
        tokio::select! {
            biased;
            () = events.closed(), if !cancel.is_cancelled() => cancel.cancel(),
            ended = tasks.join_next() => match ended {
                None => return,
                Some(Ok(refused)) => {
                    brake.count(refused);
                    if brake.is_pulled() {
                        shared.braked.store(true, Ordering::Release);
                    }
                }
                Some(Err(error)) => {
                    tracing::error!(%error, tvt.job.id = %job, "the pictures of a device broke");
                }
            },
        }
    }
}

/// What the devices of one job share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) job: JobId,
    pub(super) options: PictureOptions,
    pub(super) site: Arc<SiteContext>,
    pub(super) cancel: CancellationToken,
    pub(super) braked: Arc<AtomicBool>,
    pub(super) studio: Studio,
    /// When the device's time ends, where it has one.
    pub(super) not_after: Option<Instant>,
    /// Who logs in, instead of one of the site's credentials.
    pub(super) login: Option<Credential>,
}
