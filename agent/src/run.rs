//! Carries out a plan: starts tries, collects their ends, and makes a report of every device.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Instant;

use futures_util::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::answer::DeviceChange;
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::job::{MAX_PARALLEL, WorkOptions};
use tvtfleet_proto::model::report::{DeviceReport, Failure};
use tvtfleet_proto::model::secret::Credential;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{SiteWork, Target};

use crate::budget::Brake;
use crate::device::Intent;
use crate::device::gate::braked;
use crate::device::select::needs_process;
use crate::plan::{Plan, PlanEnd, PlanLimits, Step};
use crate::retry::pause_before_retry;
use crate::turn::{TryEnd, Turn, try_once};
use crate::work::{SiteContext, WorkBounds, WorkEnd, WorkEvent, WorkOutcome};

/// What the tries of one job share.
#[derive(Debug)]
pub(crate) struct JobShared {
    pub(crate) job: JobId,
    pub(crate) options: WorkOptions,
    pub(crate) site: Arc<SiteContext>,
    pub(crate) cancel: CancellationToken,
    /// Who logs in, instead of one of the site's credentials.
    pub(crate) login: Option<Credential>,
    /// Who notes changes before they are sent.
    pub(crate) intents: Option<mpsc::Sender<Intent>>,
    /// Changes that an earlier life of this program was about to send.
    pub(crate) settling: BTreeMap<TargetNo, Vec<DeviceChange>>,
    /// Set when no further login may be tried.
    pub(crate) braked: Arc<AtomicBool>,
}

/// How one try at a device ended, a panic included.
type Tried = std::thread::Result<TryEnd>;

/// The work of one job.
pub(crate) struct Run {
    shared: Arc<JobShared>,
    plan: Plan,
    turns: BTreeMap<TargetNo, Turn>,
    tasks: JoinSet<Tried>,
    /// Which device a task asks; a task that panicked cannot say so itself.
    task_targets: BTreeMap<Id, TargetNo>,
    brake: Brake,
    hold: Option<watch::Receiver<bool>>,
    drain: Option<CancellationToken>,
    /// Why changes were stopped here, where quiet hours have begun.
    quiet: Option<Failure>,
    /// A place among the devices of all jobs, for the next try.
    slot: Option<OwnedSemaphorePermit>,
    events: mpsc::Sender<WorkEvent>,
    reported: u32,
    failed: u32,
}

impl Run {
    pub(crate) fn new(
        job: JobId,
        work: SiteWork,
        bounds: WorkBounds,
        site: Arc<SiteContext>,
        cancel: CancellationToken,
        events: mpsc::Sender<WorkEvent>,
    ) -> Self {
        let SiteWork { options, targets } = work;
        let not_after = bounds.not_after.map(|end| moment(end, &site));
        let parallel = usize::try_from(options.parallel.min(MAX_PARALLEL)).unwrap_or(1);
        // A device that waits for a helper would use up its own time.
        let parallel = if needs_process(options.backend) {
            parallel.min(site.vendor.parallel.max(1))
        } else {
            parallel
        };
        let limits = PlanLimits {
            parallel,
            device_deadline: options.device_deadline,
            not_after,
        };
        let mut plan = Plan::new(&targets, limits);
        let order = options.order.as_deref().filter(|order| !order.dry_run);
        if let Some(order) = order {
            plan.in_waves(size(order.canary), size(order.wave));
        }
        let mut brake = Brake::default();
        let before = bounds.reported_before;
        for place in 0..before.devices {
            brake.count(place < before.refused);
        }
        let turns = targets
            .into_iter()
            .map(|target| (target.number, Turn::new(target)))
            .collect();
        let cancel = cancel.child_token();
        let shared = JobShared {
            job,
            options,
            site,
            cancel,
            login: bounds.login,
            intents: bounds.intents,
            settling: bounds.settling,
            braked: Arc::new(AtomicBool::new(false)),
        };
        Self {
            shared: Arc::new(shared),
            plan,
            turns,
            tasks: JoinSet::new(),
            task_targets: BTreeMap::new(),
            brake,
            hold: bounds.hold,
            drain: bounds.drain,
            quiet: None,
            slot: None,
            events,
            reported: 0,
            failed: 0,
        }
    }

    /// Works until nothing is left.
    pub(crate) async fn finish(mut self) -> WorkEnd {
        self.apply_brake();
        loop {
            let now = Instant::now();
            let wants = self.plan.wants_start(now);
            if wants && self.slot.is_none() {
                self.slot = Arc::clone(&self.shared.site.slots).try_acquire_owned().ok();
            }
            match self
                .plan
                .next(now, self.is_held() || (wants && self.slot.is_none()))
            {
                Step::Start { target, deadline } => self.start(target, deadline).await,
                Step::Skip(target) => {
                    let why = if self.shared.braked.load(Ordering::Acquire) {
                        braked()
                    } else {
                        self.quiet.clone().unwrap_or_else(stopped)
                    };
                    self.report_failure(target, why).await;
                }
                Step::Settle(target) => self.report(target).await,
                Step::Wait(until) => self.wait(until).await,
                Step::Finished(end) => return self.end(end),
            }
        }
    }

    fn is_held(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| *hold.borrow())
    }

    async fn start(&mut self, number: TargetNo, deadline: Instant) {
        let slot = self.slot.take();
        let Some(turn) = self.turns.get_mut(&number) else {
            return self.plan.finished(number);
        };
        if turn.begin_try() {
            if let Err(failure) = self.check_hours(number) {
                return self.report_quiet(number, failure).await;
            }
            self.tell(WorkEvent::Started(number)).await;
        }
        let Some(turn) = self.turns.get(&number) else {
            return self.plan.finished(number);
        };
        let (shared, target) = (Arc::clone(&self.shared), turn.target().clone());
        let span = ask_span(&shared, &target);
        let task = async move {
            let _slot = slot;
            try_once(&shared, &target, deadline).await
        };
        let mut task = AssertUnwindSafe(task.instrument(span))
            .catch_unwind()
            .boxed();
        // The first step, which connects, is taken here and now. As a task it would wait until all
        // devices that have answered meanwhile had their turn, and a new one do nothing so long.
        match poll_fn(|context| Poll::Ready(task.poll_unpin(context))).await {
            Poll::Ready(end) => self.on_try(number, end).await,
            Poll::Pending => {
                let handle = self.tasks.spawn(task);
                self.task_targets.insert(handle.id(), number);
            }
        }
    }

    /// A change that was about to be sent is under way: how it ended is looked at all the same.
    fn check_hours(&self, number: TargetNo) -> Result<(), Failure> {
        if self.shared.settling.contains_key(&number) {
            return Ok(());
        }
        let (site, ask) = (&self.shared.site, self.shared.options.ask);
        site.policy.check_hours(ask, site.clock.now())
    }

    /// Reports a device that was not begun. Changes end here for good: once the quiet hours are over,
    /// they must not go on past devices that should have proved them first.
    async fn report_quiet(&mut self, number: TargetNo, failure: Failure) {
        let order = self.shared.options.order.as_deref();
        if order.is_some_and(|order| !order.dry_run) {
            self.quiet = Some(failure.clone());
            self.plan.brake();
        }
        self.report_failure(number, failure).await;
    }

    /// Waits for the first thing that may change what the plan says.
    async fn wait(&mut self, until: Option<Instant>) {
        // A place that is not needed now is another job's.
        self.slot = None;
        let wanting = !self.is_held() && self.plan.wants_start(Instant::now());
        let alarm = async {
            match until {
                Some(moment) => sleep_until(moment.into()).await,
                None => std::future::pending().await,
            }
        };
        let released = async {
            let changed = match &mut self.hold {
                Some(hold) => hold.changed().await.is_ok(),
                None => false,
            };
            if !changed {
                std::future::pending().await
            }
        };
        let drained = async {
            match &self.drain {
                Some(drain) => drain.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.shared.cancel.cancelled(), if !self.plan.is_stopped() => self.plan.cancel(),
            Some(ended) = self.tasks.join_next_with_id() => self.on_ended(ended).await,
            () = drained, if !self.plan.is_stopped() => self.plan.cancel(),
            () = self.events.closed(), if !self.plan.is_stopped() => {
                self.shared.cancel.cancel();
                self.plan.cancel();
            }
            slot = Arc::clone(&self.shared.site.slots).acquire_owned(), if wanting => {
                self.slot = slot.ok();
            }
            () = released => {}
            () = alarm => {}
        }
    }

    async fn on_ended(&mut self, ended: Result<(Id, Tried), JoinError>) {
        let (id, end): (Id, Tried) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), Err(Box::new(error))),
        };
        if let Some(number) = self.task_targets.remove(&id) {
            self.on_try(number, end).await;
        }
    }

    async fn on_try(&mut self, number: TargetNo, end: Tried) {
        let Ok(end) = end else {
            tracing::error!(tvt.job.id = %self.shared.job, "the work on a device broke");
            // How far it got is unknown, so the try counts.
            let text = "an internal error ended the work on this device";
            let failure = Failure {
                credentials_sent: true,
                ..Failure::new(ErrorCode::Internal, text)
            };
            return self.report_failure(number, failure).await;
        };
        let Some(turn) = self.turns.get_mut(&number) else {
            return self.plan.finished(number);
        };
        turn.take(end);
        let pause = turn.failure().and_then(|failure| {
            pause_before_retry(&self.shared.site.retry, failure, turn.tries(), draw())
        });
        let again = pause.is_some_and(|pause| self.plan.try_again(number, Instant::now(), pause));
        if !again {
            self.report(number).await;
        }
    }

    async fn report_failure(&mut self, number: TargetNo, failure: Failure) {
        let now = self.shared.site.clock.now();
        if let Some(turn) = self.turns.get_mut(&number) {
            turn.fail(failure, now);
        }
        self.report(number).await;
    }

    async fn report(&mut self, number: TargetNo) {
        self.plan.finished(number);
        let Some(turn) = self.turns.remove(&number) else {
            return;
        };
        let report = turn.into_report(&self.shared);
        self.count(&report);
        self.tell(WorkEvent::Finished(Box::new(report))).await;
    }

    fn count(&mut self, report: &DeviceReport) {
        self.reported = self.reported.saturating_add(1);
        self.failed = self.failed.saturating_add(u32::from(!report.is_success()));
        // What the brake itself stopped, or quiet hours, says nothing about the password.
        if report.failure.as_ref().is_none_or(|failure| {
            !matches!(
                failure.code,
                ErrorCode::JobBraked | ErrorCode::PolicyQuietHours
            )
        }) {
            self.brake.count(
                report
                    .failure
                    .as_ref()
                    .is_some_and(Failure::is_refused_login),
            );
        }
        self.apply_brake();
        let order = self.shared.options.order.as_deref();
        if let Some(order) = order.filter(|order| !order.dry_run) {
            let in_canary = self.reported <= order.canary && self.failed > 0;
            if in_canary || self.failed >= order.stop_after {
                self.plan.brake();
            }
        }
    }

    fn apply_brake(&mut self) {
        if self.brake.is_pulled() && !self.shared.braked.swap(true, Ordering::AcqRel) {
            tracing::warn!(tvt.job.id = %self.shared.job, "too many refused logins, the job is stopped here");
            self.plan.brake();
        }
    }

    async fn tell(&mut self, event: WorkEvent) {
        if self.events.send(event).await.is_err() {
            // Nobody listens: there is nothing to work for.
            self.shared.cancel.cancel();
            self.plan.cancel();
        }
    }

    fn end(self, end: PlanEnd) -> WorkEnd {
        let outcome = match end {
            PlanEnd::Complete => WorkOutcome::Complete,
            PlanEnd::Cancelled => WorkOutcome::Cancelled,
            PlanEnd::Expired => WorkOutcome::Expired,
        };
        let braked = self.shared.braked.load(Ordering::Acquire);
        WorkEnd {
            outcome,
            reported: self.reported,
            failed: self.failed,
            braked,
        }
    }
}

fn size(devices: u32) -> usize {
    usize::try_from(devices).unwrap_or(usize::MAX)
}

/// The failure of a device that was left alone because others had failed.
fn stopped() -> Failure {
    let text = "not tried: changes failed at other devices of this site";
    Failure::new(ErrorCode::ChangeStopped, text)
}

/// The moment of the monotonic clock that a time of day stands for now.
fn moment(at: UtcMillis, site: &SiteContext) -> Instant {
    let now = Instant::now();
    let ahead = at.since(site.clock.now());
    // Further than the clock reaches is as good as never.
    now.checked_add(ahead)
        .unwrap_or(now + std::time::Duration::from_secs(u32::MAX.into()))
}

fn ask_span(shared: &JobShared, target: &Target) -> tracing::Span {
    tracing::info_span!(
        "device.ask",
        tvt.job.id = %shared.job,
        tvt.ask = %shared.options.ask,
        tvt.backend = tracing::field::Empty,
        server.address = %target.endpoint.host,
        server.port = target.endpoint.port,
        error.r#type = tracing::field::Empty,
    )
}

/// A number from 0 to 999 that nobody can foresee.
fn draw() -> u32 {
    u32::try_from(uuid::Uuid::new_v4().as_u128() % 1000).unwrap_or(0)
}
