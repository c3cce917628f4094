//! One job at this site, from its journal entry to its last event.

mod searching;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tvtfleet_bus::backoff::Backoff;
use tvtfleet_bus::trace::{RemoteContext, traceparent};
use tvtfleet_bus::{Bus, rpc};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::agent::Progress;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::id::{JobId, Sequence, SiteId, TargetNo};
use tvtfleet_proto::model::report::{DeviceReport, Failure};
use tvtfleet_proto::model::want::{JobWant, OutItem, SiteEvent, SiteOutcome, SiteWork};
use tvtfleet_proto::subject::{self, RpcOp};
use tvtfleet_proto::wire::v1;

use crate::budget::DeviceName;
use crate::chain::Chain;
use crate::device::Intent;
use crate::journal::{JobFile, JournalError, JournalJob, ReportedDevice};
use crate::orders::check_work;
use crate::outbox::WriterHandle;
use crate::status::Status;
use crate::work::{
    ReportedBefore, SiteContext, WorkBounds, WorkEvent, WorkOutcome, run_work_within,
};

/// Events of a job that wait to be spooled; the devices' work waits behind them.
const EVENTS: usize = 64;
/// The coordinator's time to hand out the work of a job.
const FETCH_LIMIT: Duration = Duration::from_secs(10);
/// The waits between two tries to fetch it.
const FETCH_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// The time for devices that are being asked when the agent stops.
const DRAIN: Duration = Duration::from_secs(5);

/// What the jobs of an agent share.
#[derive(Clone, Debug)]
pub(crate) struct JobContext {
    pub(crate) site: SiteId,
    pub(crate) devices: Arc<SiteContext>,
    pub(crate) writer: WriterHandle,
    pub(crate) full: watch::Receiver<bool>,
    pub(crate) status: Arc<Status>,
    /// The bus, once there has been a connection.
    pub(crate) bus: watch::Receiver<Option<Bus>>,
    /// Cancelled when the agent stops.
    pub(crate) stop: CancellationToken,
    /// Whether jobs that change devices need an operator's order.
    pub(crate) needs_orders: bool,
    /// For how long ended jobs are remembered.
    pub(crate) keep: Duration,
}

/// How the work on a job ended for the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobEnd {
    /// The site is done with it, and has said so.
    Ended,
    /// The agent is being stopped; the next start goes on.
    Interrupted,
}

/// Works on a job of the journal until it has ended. Cancelling `unwanted` stops it at the next safe
/// point.
pub(crate) async fn work_on(
    context: JobContext,
    job: JournalJob,
    file: JobFile,
    unwanted: CancellationToken,
) -> JobEnd {
    let remote = RemoteContext::from_traceparent(&job.want.traceparent);
    let span = tracing::info_span!(
        "job.run",
        tvt.job.id = %job.want.job,
        tvt.site.id = %context.site,
        error.r#type = tracing::field::Empty,
    );
    // The job may have been submitted long ago: a link, not a child.
    remote.link(&span);
    let work = async move {
        let trace = traceparent(&remote);
        let id = job.want.job;
        let end = JobTask {
            context: context.clone(),
            job,
            file,
            unwanted,
            trace,
            found_as: BTreeMap::new(),
        }
        .run()
        .await;
        context.status.clear_progress(id);
        context.devices.budget.forget(id);
        end
    };
    work.instrument(span).await
}

/// Says that a job is not begun. The caller has put it into the journal.
pub(crate) async fn decline(
    context: JobContext,
    want: JobWant,
    outcome: SiteOutcome,
    file: JobFile,
) -> JobEnd {
    tracing::info!(tvt.job.id = %want.job, ?outcome, "job not begun");
    let event = SiteEvent::Done {
        job: want.job,
        at: context.devices.clock.now(),
        outcome,
        records: 0,
        range: None,
    };
    let written = context
        .writer
        .write(OutItem::Event(event), &want.traceparent)
        .await;
    let Ok(told) = written else {
        return JobEnd::Interrupted;
    };
    note_ended(file, told).await;
    JobEnd::Ended
}

struct JobTask {
    context: JobContext,
    job: JournalJob,
    file: JobFile,
    unwanted: CancellationToken,
    /// The trace that reports belong to.
    trace: String,
    /// Which found device each target is, where the job began with a discovery.
    found_as: BTreeMap<TargetNo, TargetNo>,
}

/// A report on its way to the disk; without a device where the agent has stopped before that.
type Placing = std::pin::Pin<Box<dyn Future<Output = (TargetNo, Option<ReportedDevice>)> + Send>>;

impl JobTask {
    async fn run(mut self) -> JobEnd {
        // Also by a job that goes on: the last life may have ended before it could say so.
        let at = self.context.devices.clock.now();
        let accepted = OutItem::Event(SiteEvent::Accepted {
            job: self.job.want.job,
            at,
        });
        if self
            .context
            .writer
            .write(accepted, &self.trace)
            .await
            .is_err()
        {
            return JobEnd::Interrupted;
        }
        let outcome = match self.work().await.and_then(|work| self.ordered(work)) {
            Ok(work) => self.search_and_ask(work).await,
            Err(outcome) => outcome,
        };
        match outcome {
            Some(outcome) => self.end(outcome).await,
            None => JobEnd::Interrupted,
        }
    }

    async fn search_and_ask(&mut self, mut work: SiteWork) -> Option<SiteOutcome> {
        match self.search(&mut work).await {
            Ok(()) if work.options.ask == Ask::Discover => Some(SiteOutcome::Complete),
            Ok(()) => self.ask(work).await,
            Err(outcome) => outcome,
        }
    }

    /// The work, if an operator has ordered it, where that is needed. Else, how the job ends instead.
    fn ordered(&self, work: SiteWork) -> Result<SiteWork, Option<SiteOutcome>> {
        if !self.context.needs_orders {
            return Ok(work);
        }
        check_work(self.job.want.order.as_ref(), &work)
            .map(|()| work)
            .map_err(|fault| {
                tracing::warn!(
                    error.r#type = %ErrorCode::OrderRefused, error = %fault, "the work is refused"
                );
                Some(SiteOutcome::Refused(ErrorCode::OrderRefused))
            })
    }

    /// The work, from the journal or from the coordinator. Without it, how the job ends instead.
    async fn work(&mut self) -> Result<SiteWork, Option<SiteOutcome>> {
        if let Some(work) = self.job.want.work.take() {
            return Ok(work);
        }
        let fetched = tokio::select! {
            biased;
            () = self.context.stop.cancelled() => return Err(None),
            () = self.unwanted.cancelled() => return Err(Some(SiteOutcome::Cancelled)),
            work = fetch(&self.context, self.job.want.job) => work,
            () = until(&self.context, self.job.want.not_after) => {
                return Err(Some(SiteOutcome::Expired));
            }
        };
        let Some(work) = fetched else {
            return Err(Some(SiteOutcome::Cancelled));
        };
        // Lost, it is fetched again.
        if let Err(error) = self.file.note_work(&work) {
            warn_journal(&error);
        }
        Ok(work)
    }

    /// Asks the devices that have not been reported; `None` where the agent stops.
    async fn ask(&mut self, mut work: SiteWork) -> Option<SiteOutcome> {
        let (id, total) = (
            self.job.want.job,
            u32::try_from(work.targets.len()).unwrap_or(u32::MAX),
        );
        let mut before = ReportedBefore::default();
        for target in &work.targets {
            let Some(device) = self.job.reported.get(&target.number) else {
                continue;
            };
            before.devices = before.devices.saturating_add(1);
            if device.refused {
                before.refused = before.refused.saturating_add(1);
                let names = DeviceName::all(device.mac, &target.endpoint);
                self.context.devices.budget.restore(id, names);
            }
        }
        work.targets
            .retain(|target| !self.job.reported.contains_key(&target.number));
        tracing::info!(devices = total, left = work.targets.len(), "job begins");
        let (cancel, stop) = (CancellationToken::new(), self.context.stop.clone());
        let mut settling = self.job.intended.clone();
        settling.retain(|target, _| !self.job.reported.contains_key(target));
        let (intents, intended) = mpsc::channel(EVENTS);
        let (time, end) = (&self.context.status.time, self.job.want.not_after);
        time.settled(end, &self.context.stop).await;
        let bounds = WorkBounds {
            intents: Some(intents),
            settling,
            not_after: Some(time.as_here(end)),
            reported_before: before,
            hold: Some(self.context.full.clone()),
            drain: Some(stop.clone()),
            login: None,
        };
        let (events, received) = mpsc::channel(EVENTS);
        let devices = Arc::clone(&self.context.devices);
        let unwanted = self.unwanted.clone();
        let asking = run_work_within(id, work, bounds, devices, cancel.clone(), events);
        let progress = Progress {
            job: id,
            done: before.devices,
            failed: 0,
            running: 0,
            total,
            found: u32::try_from(self.job.found.len()).unwrap_or(u32::MAX),
            probes_done: 0,
            probes_total: 0,
        };
        let watch = async {
            tokio::select! {
                () = unwanted.cancelled() => {}
                () = async { stop.cancelled().await; tokio::time::sleep(DRAIN).await } => {}
            }
            cancel.cancel();
            std::future::pending().await
        };
        let (end, kept) = tokio::select! {
            both = async { tokio::join!(asking, self.keep(received, intended, progress)) } => both,
            never = watch => never,
        };
        tracing::info!(
            outcome = ?end.outcome, reported = end.reported, failed = end.failed, braked = end.braked,
            "job work ends"
        );
        match end.outcome {
            _ if !kept => None,
            WorkOutcome::Complete => Some(SiteOutcome::Complete),
            WorkOutcome::Expired => Some(SiteOutcome::Expired),
            WorkOutcome::Cancelled if self.unwanted.is_cancelled() => Some(SiteOutcome::Cancelled),
            WorkOutcome::Cancelled => None,
        }
    }

    /// Spools reports and notes them in the journal. Says whether all of them are in the spool.
    async fn keep(
        &mut self,
        mut events: mpsc::Receiver<WorkEvent>,
        mut intents: mpsc::Receiver<Intent>,
        mut progress: Progress,
    ) -> bool {
        let mut placing: FuturesUnordered<Placing> = FuturesUnordered::new();
        let (mut open, mut whole) = (true, true);
        self.context.status.set_progress(progress);
        while open || !placing.is_empty() {
            tokio::select! {
                Some((target, device)) = placing.next(), if !placing.is_empty() => match device {
                    Some(device) => self.note(target, device),
                    None => whole = false,
                },
                Some(intent) = intents.recv() => self.intend(intent),
                event = events.recv(), if open => match event {
                    None => open = false,
                    Some(WorkEvent::Started(_)) => progress.running = progress.running.saturating_add(1),
                    Some(WorkEvent::Finished(report)) => {
                        count(&mut progress, &report);
                        match self.submit(*report).await {
                            Some(place) => placing.push(place),
                            None => whole = false,
                        }
                    }
                },
            }
            self.context.status.set_progress(progress);
        }
        whole
    }

    /// Hands a report to the writer. Devices that only the end of the agent stopped are asked again
    /// by the next start, so that nothing is reported of them.
    async fn submit(&self, mut report: DeviceReport) -> Option<Placing> {
        if let Some(number) = self.found_as.get(&report.target) {
            report.found = self.job.found.get(number).cloned().map(Box::new);
        }
        let stopped = report.failure.as_ref().is_some_and(|failure| {
            let cancelled = failure.code == ErrorCode::DeviceCancelled && !failure.credentials_sent;
            // The next start looks what became of it.
            cancelled || failure.code == ErrorCode::ChangeUnknown
        });
        if stopped && self.context.stop.is_cancelled() && !self.unwanted.is_cancelled() {
            return None;
        }
        let refused = report
            .failure
            .as_ref()
            .is_some_and(Failure::is_refused_login);
        let (target, mac) = (report.target, report.facts.mac);
        let item = OutItem::Report(Box::new(report));
        let place = self.context.writer.submit(item, &self.trace).await.ok()?;
        let device = move |sequence| ReportedDevice {
            sequence,
            refused,
            mac,
        };
        Some(Box::pin(
            async move { (target, place.await.ok().map(device)) },
        ))
    }

    /// Notes a change before it is sent; one that could not be noted is not sent.
    fn intend(&mut self, intent: Intent) {
        let noted = self.file.note_intended(intent.target, intent.changes);
        if let Err(error) = &noted {
            warn_journal(error);
        }
        // Whoever gave up waiting sends nothing.
        let _ = intent.noted.send(noted.is_ok());
    }

    fn note(&mut self, target: TargetNo, device: ReportedDevice) {
        self.job.reported.insert(target, device);
        if let Err(error) = self.file.note_reported(target, device) {
            warn_journal(&error);
        }
    }

    /// Says that the site is done with the job.
    async fn end(self, outcome: SiteOutcome) -> JobEnd {
        let event = SiteEvent::Done {
            job: self.job.want.job,
            at: self.context.devices.clock.now(),
            outcome,
            records: u32::try_from(self.job.reported.len()).unwrap_or(u32::MAX),
            range: self.job.range(),
        };
        match self
            .context
            .writer
            .write(OutItem::Event(event), &self.trace)
            .await
        {
            Ok(told) => {
                note_ended(self.file, told).await;
                JobEnd::Ended
            }
            Err(_) => JobEnd::Interrupted,
        }
    }
}

const fn count(progress: &mut Progress, report: &DeviceReport) {
    progress.running = progress.running.saturating_sub(1);
    progress.done = progress.done.saturating_add(1);
    if !report.is_success() {
        progress.failed = progress.failed.saturating_add(1);
    }
}

/// Fetches the work of a job; `None` where it is not wanted any more. Tries for as long as it takes.
async fn fetch(context: &JobContext, job: JobId) -> Option<SiteWork> {
    let mut connection = context.bus.clone();
    let subject = subject::rpc(&context.site, RpcOp::Spec);
    let request = v1::SpecRequest {
        job: job.uuid().as_bytes().to_vec(),
    };
    let mut attempt = 0_usize;
    loop {
        // Another one where the agent has got new keys.
        let bus = match connection.wait_for(Option::is_some).await {
            Ok(bus) => bus.clone(),
            Err(_) => None,
        };
        // Without a bus there will never be one: the agent is being stopped, and the caller waits for it.
        let Some(bus) = bus else {
            return std::future::pending().await;
        };
        let reply = rpc::request::<_, v1::SpecReply>(&bus, &subject, &request, FETCH_LIMIT).await;
        let work = reply.and_then(|reply| Ok(reply.work.map(SiteWork::try_from).transpose()?));
        match work {
            Ok(work) => return work,
            Err(error) => {
                attempt = attempt.saturating_add(1);
                tracing::warn!(error.r#type = %error.code(), error = %Chain(&error), "the work of the job is not here yet");
                tokio::time::sleep(FETCH_BACKOFF.delay(attempt)).await;
            }
        }
    }
}

async fn until(context: &JobContext, end: tvtfleet_proto::model::time::UtcMillis) {
    context.status.time.until(end, &context.stop).await;
}

async fn note_ended(mut file: JobFile, told: Sequence) {
    let noted = tokio::task::spawn_blocking(move || file.note_ended(told)).await;
    if let Ok(Err(error)) = noted {
        warn_journal(&error);
    }
}

/// A note that is missing costs work, not results.
fn warn_journal(error: &JournalError) {
    tracing::warn!(error.r#type = %error.code(), error = %Chain(error), "the journal is behind");
}
