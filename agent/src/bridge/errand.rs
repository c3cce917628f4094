//! One question of a caller: asked of the device as a job asks, with the caller's credential.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tvtfleet_proto::device::bridge::{Asked, Errand, told};
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::answer::{Answer, RtspUrl};
use tvtfleet_proto::model::ask::{Ask, AskScope};
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::report::{DeviceReport, Failure};
use tvtfleet_proto::model::secret::Credential;
use tvtfleet_proto::model::want::{SiteWork, Target};

use crate::run::JobShared;
use crate::snapshot::{PictureKind, take_picture};
use crate::work::{SiteContext, WorkBounds, WorkEvent, run_work_within};

/// The time for one device: pytvt waits for 25 seconds.
pub(super) const DEVICE_LIMIT: Duration = Duration::from_secs(20);
/// Events of the work on one device: it is begun, and it is over.
const EVENTS: usize = 2;

/// What a caller is told.
#[derive(Debug)]
pub(super) enum Told {
    /// An object.
    Object(Value),
    /// A JPEG picture.
    Picture(Vec<u8>),
}

/// Does what is asked. Everything that is asked for one caller is one job to the budget of attempts.
///
/// # Errors
///
/// Why there is no answer.
pub(super) async fn answer(
    site: &Arc<SiteContext>,
    asked: Asked,
    cancel: &CancellationToken,
) -> Result<Told, Failure> {
    let job = JobId::new(uuid::Uuid::new_v4());
    let visit = Visit {
        job,
        site,
        device: asked.device,
        credential: asked.credential,
        cancel,
    };
    let told = match asked.errand {
        Errand::Scan(most) => visit.scan(most).await.map(Told::Object),
        Errand::Info => visit.info().await.map(Told::Object),
        Errand::Clock => visit.clock().await.map(Told::Object),
        Errand::RtspUrl { channel, stream } => {
            visit.stream(channel, stream).await.map(Told::Object)
        }
        Errand::Snapshot(channel) => visit.picture(channel).await.map(Told::Picture),
        Errand::Change => {
            let text = "this bridge only reads; a change needs an operator's order: tvtctl run";
            Err(Failure::new(ErrorCode::PolicyRefused, text))
        }
    };
    site.budget.forget(job);
    told
}

struct Visit<'a> {
    job: JobId,
    site: &'a Arc<SiteContext>,
    device: Endpoint,
    credential: Credential,
    cancel: &'a CancellationToken,
}

impl Visit<'_> {
    async fn scan(&self, most: u32) -> Result<Value, Failure> {
        let report = self.ask(Ask::Scan, None).await?;
        let remark = report.failure.as_ref().map(|failure| failure.text.as_str());
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(told::scanned(&report.facts, &report.channels, most, remark))
    }

    async fn info(&self) -> Result<Value, Failure> {
        let failure = match self.ask(Ask::Info, None).await {
            Ok(report) => match report.answer {
                Some(Answer::Info(rows)) if !rows.is_empty() => {
                    return rows.first().map(told::info).ok_or_else(unexpected);
                }
                Some(_) | None => unexpected(),
            },
            Err(failure) => failure,
        };
        // A device without web interface tells a scan the most of it.
        let other_way = matches!(
            failure.code.kind(),
            ErrorKind::Unreachable
                | ErrorKind::Timeout
                | ErrorKind::Protocol
                | ErrorKind::Unsupported
        );
        if !other_way || failure.is_refused_login() || self.cancel.is_cancelled() {
            return Err(failure);
        }
        let report = self.ask(Ask::Scan, None).await.map_err(|_| failure)?;
        Ok(told::info_of_facts(&report.facts))
    }

    async fn clock(&self) -> Result<Value, Failure> {
        let report = self.ask(Ask::Clock, None).await?;
        match &report.answer {
            Some(Answer::Clock(rows)) => rows.first().and_then(told::clock),
            Some(_) | None => None,
        }
        .ok_or_else(unexpected)
    }

    async fn stream(&self, channel: u16, stream: u8) -> Result<Value, Failure> {
        let channel = u32::from(channel).saturating_add(1);
        let report = self.ask(Ask::RtspUrl, Some(channel)).await?;
        let Some(Answer::RtspUrls(rows)) = report.answer else {
            return Err(unexpected());
        };
        let name = match stream {
            0 => "main".to_owned(),
            number => format!("sub{number}"),
        };
        let fits = |row: &&RtspUrl| {
            row.channel == Some(channel) && row.stream.as_deref() == Some(name.as_str())
        };
        let url = rows.iter().find(fits).and_then(|row| row.url.as_deref());
        url.map(told::stream).ok_or_else(|| {
            let text = format!("the device names no stream {name} of channel {channel}");
            Failure::new(ErrorCode::BadAnswer, text)
        })
    }

    async fn picture(&self, channel: u16) -> Result<Vec<u8>, Failure> {
        let deadline = Instant::now().checked_add(DEVICE_LIMIT).ok_or_else(late)?;
        let (site, target) = (self.site, self.target());
        site.policy.check_ask(Ask::Snapshot, &target)?;
        site.policy.check_hours(Ask::Snapshot, site.clock.now())?;
        let channel = u32::from(channel).saturating_add(1);
        let shared = JobShared {
            job: self.job,
            options: options(Ask::Snapshot, Some(channel)),
            site: Arc::clone(site),
            cancel: self.cancel.clone(),
            login: Some(self.credential.clone()),
            intents: None,
            settling: BTreeMap::new(),
            braked: Arc::new(AtomicBool::new(false)),
        };
        let places = async {
            let slot = Arc::clone(&site.slots).acquire_owned().await.ok();
            (slot, site.turnstile.enter(&target.endpoint).await)
        };
        let _places = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(stopped()),
            places = places => places,
            () = tokio::time::sleep_until(deadline.into()) => return Err(late()),
        };
        let picture = take_picture(&shared, &target, channel, deadline).await?;
        match picture.kind {
            PictureKind::Jpeg => Ok(picture.bytes.to_vec()),
            PictureKind::Raw(codec) => {
                let text = format!("the picture is a key frame of {} only", codec.as_str());
                Err(Failure::new(ErrorCode::UnsupportedVariant, text))
            }
        }
    }

    /// Asks as a job with this one device would. What is good of a partial answer is an answer.
    async fn ask(&self, ask: Ask, channel: Option<u32>) -> Result<DeviceReport, Failure> {
        let work = SiteWork {
            options: options(ask, channel),
            targets: vec![self.target()],
        };
        let bounds = WorkBounds {
            login: Some(self.credential.clone()),
            ..WorkBounds::default()
        };
        let (events, mut told) = mpsc::channel(EVENTS);
        let (site, cancel) = (Arc::clone(self.site), self.cancel.clone());
        let work = run_work_within(self.job, work, bounds, site, cancel, events);
        let taken = async {
            let mut taken = None;
            while let Some(event) = told.recv().await {
                if let WorkEvent::Finished(report) = event {
                    taken = Some(*report);
                }
            }
            taken
        };
        let (_end, report) = tokio::join!(work, taken);
        let report = report.ok_or_else(stopped)?;
        match &report.failure {
            Some(failure) if failure.code.kind() != ErrorKind::Partial => Err(failure.clone()),
            Some(_) | None => Ok(report),
        }
    }

    fn target(&self) -> Target {
        Target {
            number: TargetNo(0),
            endpoint: self.device.clone(),
            known_mac: None,
            // Whoever may ask the bridge names the device and brings the credential for it.
            trusted: true,
            credential: None,
            settings: BTreeMap::new(),
        }
    }
}

fn options(ask: Ask, channel: Option<u32>) -> WorkOptions {
    WorkOptions {
        ask,
        parallel: 1,
        device_deadline: DEVICE_LIMIT,
        scope: AskScope {
            channel,
            ..AskScope::default()
        },
        ..WorkOptions::default()
    }
}

fn unexpected() -> Failure {
    Failure::new(ErrorCode::BadAnswer, "the device does not say it")
}

fn stopped() -> Failure {
    Failure::new(ErrorCode::DeviceCancelled, "the agent is being stopped")
}

pub(super) fn late() -> Failure {
    Failure::new(
        ErrorCode::BridgeTimeout,
        "the device did not get its turn in time",
    )
}
