//! One device's pictures, channel by channel and way by way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tvtfleet_proto::device::picture::{Codec, Jpeg, PictureError, Way, key_frame};
use tvtfleet_proto::device::rtsp::{DEFAULT_PORT, camera_path, recorder_path};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::ask::AskScope;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::secret::Credential;
use tvtfleet_proto::model::want::Target;

use super::ffmpeg;
use super::order::{Choice, choices, closes_way, ends_device, headline};
use super::work::{
    CameraLogin, Picture, PictureAttempt, PictureChannel, PictureDevice, PictureEvent, PictureKind,
    Shared, TakenPicture,
};
use crate::device::gate::LoginGate;
use crate::device::rtsp::{Captured, Source, capture};
use crate::device::{
    BridgeDevice, BridgeWay, Configured, Device as _, NetsdkDevice, Visit, WebApiDevice,
};

/// The turn of one device.
pub(super) struct Turn<'a> {
    shared: &'a Shared,
    target: Target,
    channels: Vec<PictureChannel>,
    events: mpsc::Sender<PictureEvent>,
    /// Ways that are closed on this device, and why.
    closed: BTreeMap<Way, Failure>,
    /// The RTSP port, once it is known.
    rtsp_port: Option<u16>,
}

/// The devices behind the ways that log in once for all pictures.
struct Doors<'a> {
    web: WebApiDevice<'a>,
    library: NetsdkDevice<'a>,
    bridge: BridgeDevice<'a>,
}

/// What a way yielded before it was checked.
enum Yield {
    Still(Vec<u8>),
    Frame(Codec, Vec<u8>),
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        device: PictureDevice,
        events: mpsc::Sender<PictureEvent>,
    ) -> Self {
        Self {
            shared,
            target: device.target,
            channels: device.channels,
            events,
            closed: BTreeMap::new(),
            rtsp_port: shared.options.rtsp_port,
        }
    }

    /// Waits until nobody else asks the device, and takes the pictures. Says whether it refused the
    /// login.
    pub(super) async fn finish(self) -> bool {
        let shared = self.shared;
        let _place = tokio::select! {
            biased;
            () = shared.cancel.cancelled() => return false,
            place = shared.site.turnstile.enter(&self.target.endpoint) => place,
        };
        self.take_all().await
    }

    /// Takes the pictures of a device that nobody else asks. Says whether it refused the login.
    pub(super) async fn take_all(mut self) -> bool {
        let shared = self.shared;
        let site = &*shared.site;
        if self
            .events
            .send(PictureEvent::Started(self.target.number))
            .await
            .is_err()
        {
            return false;
        }
        let target = self.target.clone();
        let label = target
            .credential
            .as_ref()
            .or(shared.options.credential.as_ref());
        let chosen = match &shared.login {
            Some(given) => Ok(Some(given.clone())),
            None => site.credential_for(label, &target),
        };
        let (credential, mut ended) = match chosen {
            Ok(credential) => (credential, None),
            Err(failure) => (None, Some(failure)),
        };
        let scope = AskScope::default();
        let visit = visit(shared, &target, credential.as_ref(), &scope);
        let mut doors = Doors {
            web: WebApiDevice::new(visit, true),
            library: NetsdkDevice::new(visit),
            bridge: BridgeDevice::new(visit, BridgeWay::Service),
        };
        let mut refused = false;
        for channel in std::mem::take(&mut self.channels) {
            if shared.cancel.is_cancelled() {
                break;
            }
            let mut attempts = Vec::new();
            let result = match &ended {
                Some(failure) => Err(failure.clone()),
                None if !site.policy.login.covers(target.trusted) => {
                    let text =
                        "this site's policy does not allow to send a credential to this device";
                    Err(Failure::new(ErrorCode::PolicyRefused, text))
                }
                None if shared.not_after.is_some_and(|end| Instant::now() >= end) => {
                    let text = "the time for the device was over";
                    Err(Failure::new(ErrorCode::DeviceDeadline, text))
                }
                None => self.take(&channel, &mut doors, visit, &mut attempts).await,
            };
            if let Err(failure) = &result {
                refused |= failure.is_refused_login();
                if ends_device(failure) {
                    ended.get_or_insert_with(|| Failure {
                        // It was sent once, not once a channel.
                        credentials_sent: false,
                        ..failure.clone()
                    });
                }
            }
            let taken = TakenPicture {
                target: target.number,
                channel: channel.number,
                taken_at: site.clock.now(),
                attempts,
                result,
            };
            if self
                .events
                .send(PictureEvent::Taken(Box::new(taken)))
                .await
                .is_err()
            {
                break;
            }
        }
        doors.library.close().await;
        refused
    }

    /// Takes one picture: the first way that yields one counts, and a key frame that cannot be decoded
    /// is kept only where none does.
    async fn take(
        &mut self,
        channel: &PictureChannel,
        doors: &mut Doors<'_>,
        visit: Visit<'_>,
        attempts: &mut Vec<PictureAttempt>,
    ) -> Result<Picture, Failure> {
        let options = &self.shared.options;
        let own = Instant::now() + options.picture_deadline;
        let deadline = self.shared.not_after.map_or(own, |end| end.min(own));
        let (mut raw, mut failures) = (None, Vec::new());
        let sdk = Configured::by(&self.shared.site.vendor);
        let sdk = sdk.library || sdk.bridge;
        for choice in choices(options.stream, options.camera.is_some(), sdk) {
            if let Some(failure) = self.closed.get(&choice.way) {
                failures.push(failure.clone());
                continue;
            }
            // A picture without an end may have been bad luck.
            let tries = if choice.way == Way::WebApi { 2 } else { 1 };
            for _ in 0..tries {
                let began = Instant::now();
                let (result, bytes) = self.by(choice, channel, doors, visit, deadline).await;
                let failure = result.as_ref().err().cloned();
                attempts.push(PictureAttempt {
                    way: choice.way,
                    duration: began.elapsed(),
                    code: failure.as_ref().map(|failure| failure.code),
                    bytes,
                });
                match result {
                    Ok(picture) if picture.kind == PictureKind::Jpeg => return Ok(picture),
                    Ok(picture) => {
                        raw = Some(picture);
                        break;
                    }
                    Err(failure) => failures.push(failure),
                }
                if failure.is_none_or(|failure| failure.code != ErrorCode::PictureCutOff) {
                    break;
                }
            }
            if let Some(failure) = failures.last() {
                if ends_device(failure) {
                    break;
                }
                // Another channel's camera is another door.
                if closes_way(failure) && choice.way != Way::RtspCamera {
                    self.closed.insert(choice.way, failure.clone());
                }
            }
        }
        if let Some(picture) = raw {
            return Ok(picture);
        }
        Err(headline(&failures)
            .cloned()
            .unwrap_or_else(|| Failure::new(ErrorCode::Internal, "no way to a picture")))
    }

    /// Tries one way. Says how many bytes came, too.
    async fn by(
        &mut self,
        choice: Choice,
        channel: &PictureChannel,
        doors: &mut Doors<'_>,
        visit: Visit<'_>,
        deadline: Instant,
    ) -> (Result<Picture, Failure>, usize) {
        let bytes_max = self.shared.options.bytes_max;
        let yielded = match choice.way {
            Way::WebApi => {
                doors.web.renew(deadline, bytes_max);
                doors.web.still(channel.number).await.map(Yield::Still)
            }
            Way::Sdk if self.shared.site.vendor.library.is_some() => {
                let still = doors.library.still(channel.number, deadline).await;
                still.map(Yield::Still)
            }
            Way::Sdk => {
                let still = doors.bridge.still(channel.number, deadline).await;
                still.map(Yield::Still)
            }
            Way::Rtsp => {
                let port = self.recorders_port(&mut doors.web, deadline).await;
                let stream = choice.stream.unwrap_or_default();
                let source = Source {
                    visit: Visit { deadline, ..visit },
                    port,
                    path: &recorder_path(channel.number, stream),
                    bytes_max,
                };
                capture(&source).await.map(Yield::of)
            }
            Way::RtspCamera => self
                .camera_itself(choice, channel, deadline)
                .await
                .map(Yield::of),
        };
        match yielded {
            Err(failure) => (Err(failure), 0),
            Ok(Yield::Still(bytes)) => {
                let count = bytes.len();
                (self.still(choice, bytes, deadline).await, count)
            }
            Ok(Yield::Frame(codec, bytes)) => {
                let count = bytes.len();
                (self.frame(choice, codec, bytes, deadline).await, count)
            }
        }
    }

    /// The RTSP port of the recorder: as set, else as the web API says, else the usual one.
    async fn recorders_port(&mut self, web: &mut WebApiDevice<'_>, deadline: Instant) -> u16 {
        if let Some(port) = self.rtsp_port {
            return port;
        }
        // Only where it has let us in already: a question about a port is not worth a login.
        let told = if web.is_logged_in() {
            web.renew(deadline, self.shared.options.bytes_max);
            web.rtsp_port().await
        } else {
            None
        };
        let port = told.unwrap_or(DEFAULT_PORT);
        self.rtsp_port = told;
        port
    }

    async fn camera_itself(
        &self,
        choice: Choice,
        channel: &PictureChannel,
        deadline: Instant,
    ) -> Result<Captured, Failure> {
        let shared = self.shared;
        let Some(host) = channel.camera.clone() else {
            let text = "the recorder does not name the address of this camera";
            return Err(Failure::new(ErrorCode::AddressesUnknown, text));
        };
        let camera = Target {
            endpoint: Endpoint {
                host,
                port: shared.options.camera_port,
            },
            known_mac: None,
            ..self.target.clone()
        };
        let credential = match &shared.options.camera {
            Some(CameraLogin::Given(credential)) => Some(credential.clone()),
            Some(CameraLogin::Labelled(label)) => {
                shared.site.credential_for(Some(label), &camera)?
            }
            None => None,
        };
        let scope = AskScope::default();
        let visit = visit(shared, &camera, credential.as_ref(), &scope);
        let source = Source {
            visit: Visit { deadline, ..visit },
            port: camera.endpoint.port,
            path: &camera_path(choice.stream.unwrap_or_default()),
            bytes_max: shared.options.bytes_max,
        };
        capture(&source).await
    }

    /// A picture of bytes that should be JPEG.
    async fn still(
        &self,
        choice: Choice,
        mut bytes: Vec<u8>,
        deadline: Instant,
    ) -> Result<Picture, Failure> {
        let jpeg = Jpeg::check(&bytes).map_err(not_a_picture)?;
        bytes.truncate(jpeg.bytes);
        let bytes = Arc::new(bytes);
        let look = self.shared.studio.look(&bytes, deadline).await;
        Ok(Picture {
            way: choice.way,
            stream: choice.stream,
            kind: PictureKind::Jpeg,
            sha256: Sha256::digest(bytes.as_slice()).into(),
            bytes,
            width: jpeg.width.into(),
            height: jpeg.height.into(),
            degraded: choice.degraded,
            stripped: jpeg.stripped,
            look,
        })
    }

    /// A picture of a key frame: decoded here, else by ffmpeg, else as it came.
    async fn frame(
        &self,
        choice: Choice,
        codec: Codec,
        stream: Vec<u8>,
        deadline: Instant,
    ) -> Result<Picture, Failure> {
        let options = &self.shared.options;
        let frame = match key_frame(codec, &stream) {
            Ok(frame) => frame,
            Err(error) => return Err(not_a_picture(error)),
        };
        let stream = Arc::new(stream);
        let bytes_max = options.bytes_max;
        let made = self
            .shared
            .studio
            .develop(codec, &stream, bytes_max, deadline)
            .await;
        let picture = |kind, bytes: Arc<Vec<u8>>, look| Picture {
            way: choice.way,
            stream: choice.stream,
            kind,
            sha256: Sha256::digest(bytes.as_slice()).into(),
            bytes,
            width: frame.format.width,
            height: frame.format.height,
            degraded: choice.degraded,
            stripped: 0,
            look,
        };
        let failure = match made {
            Ok((bytes, look)) => return Ok(picture(PictureKind::Jpeg, Arc::new(bytes), look)),
            Err(failure) => failure,
        };
        tracing::info!(
            error.r#type = %failure.code,
            codec = codec.as_str(),
            width = frame.format.width,
            height = frame.format.height,
            bit_depth = frame.format.bit_depth,
            "a key frame is not decoded here"
        );
        if let Some(program) = &options.ffmpeg
            && let Ok(bytes) = ffmpeg::develop(program, codec, &stream, bytes_max, deadline).await
            && let Ok(picture) = self.still(choice, bytes, deadline).await
        {
            return Ok(picture);
        }
        if failure.code == ErrorCode::PictureTooLarge {
            return Err(failure);
        }
        Ok(picture(PictureKind::Raw(codec), stream, None))
    }
}

impl Yield {
    fn of(captured: Captured) -> Self {
        match captured {
            Captured::Jpeg(bytes) => Self::Still(bytes),
            Captured::Video(codec, bytes) => Self::Frame(codec, bytes),
        }
    }
}

fn not_a_picture(error: PictureError) -> Failure {
    Failure::new(error.code(), error.to_string())
}

fn visit<'a>(
    shared: &'a Shared,
    target: &'a Target,
    credential: Option<&'a Credential>,
    scope: &'a AskScope,
) -> Visit<'a> {
    Visit {
        target,
        site: &shared.site,
        gate: LoginGate {
            job: shared.job,
            endpoint: &target.endpoint,
            credential,
            budget: &shared.site.budget,
            clock: &*shared.site.clock,
            braked: &shared.braked,
        },
        scope,
        change: None,
        deadline: Instant::now() + shared.options.picture_deadline,
        cancel: &shared.cancel,
    }
}
