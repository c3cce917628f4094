//! The jobs of a site: takes want documents, keeps the journal, runs a task per job.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::{JobId, WantRevision};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{JobWant, SiteOutcome, WantDoc, WantState};

use crate::chain::Chain;
use crate::job::{JobContext, JobEnd, decline, work_on};
use crate::journal::{JobFile, Journal, JournalError, JournalJob};
use crate::orders::Operators;
use crate::pushes::Pushed;
use crate::reconcile::{Action, Known, reconcile};

/// The most ended jobs that are remembered although nobody wants them any more.
const REMEMBERED: usize = 1000;

/// The jobs that a site knows.
#[derive(Debug)]
pub(crate) struct Jobs {
    context: JobContext,
    journal: Journal,
    known: BTreeMap<JobId, Known>,
    /// Stops a job that is not wanted any more.
    unwanted: BTreeMap<JobId, CancellationToken>,
    /// The jobs of the last want document; `None` before the first.
    wanted: Option<BTreeSet<JobId>>,
    taken: WantRevision,
    /// Whose orders count; `None` where the agent has not joined a fleet.
    operators: Option<Operators>,
    /// Takes the credentials that are pushed; `None` where the agent has not joined a fleet.
    pushes: Option<Pushed>,
    /// Until when a job's order is good: so long the journal remembers that it was used.
    ordered: BTreeMap<JobId, UtcMillis>,
    tasks: JoinSet<JobEnd>,
    task_jobs: BTreeMap<Id, JobId>,
}

impl Jobs {
    /// Goes on with the jobs of the journal.
    pub(crate) fn resume(
        context: JobContext,
        journal: Journal,
        stored: Vec<(JournalJob, JobFile)>,
        operators: Option<Operators>,
        pushes: Option<Pushed>,
    ) -> Self {
        let mut jobs = Self {
            context,
            journal,
            known: BTreeMap::new(),
            unwanted: BTreeMap::new(),
            wanted: None,
            taken: WantRevision(0),
            operators,
            pushes,
            ordered: BTreeMap::new(),
            tasks: JoinSet::new(),
            task_jobs: BTreeMap::new(),
        };
        for (job, file) in stored {
            jobs.note_order(&job.want);
            if job.ended {
                jobs.known.insert(job.want.job, Known::Ended);
            } else if job.want.state == WantState::Cancel {
                jobs.refuse(job.want, SiteOutcome::Cancelled, file);
            } else {
                tracing::info!(tvt.job.id = %job.want.job, reported = job.reported.len(), "job goes on");
                jobs.start(job, file);
            }
        }
        jobs
    }

    /// Takes documents until the agent stops; then waits for the jobs to come to a safe point.
    pub(crate) async fn run(mut self, mut docs: mpsc::Receiver<WantDoc>) {
        let stop = self.context.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = self.tasks.join_next_with_id() => self.on_ended(ended),
                Some(doc) = docs.recv() => self.take(&doc).await,
            }
        }
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.on_ended(ended);
        }
    }

    async fn take(&mut self, doc: &WantDoc) {
        if doc.site != self.context.site || doc.revision <= self.taken {
            return;
        }
        if let (Some(operators), Some(list)) = (&mut self.operators, &doc.operators) {
            operators.adopt(list);
        }
        if let (Some(pushes), Some(operators)) = (&self.pushes, &self.operators) {
            pushes.hand_on(&doc.credentials, operators.list());
        }
        let time = &self.context.status.time;
        let ends = doc.jobs.iter().map(|want| want.not_after).min();
        if let Some(end) = ends {
            time.settled(end, &self.context.stop).await;
        }
        let mut done = true;
        for action in reconcile(&self.known, doc, time.now()) {
            let result = match action {
                Action::Accept(want) => self.accept(want).await,
                Action::Decline(want, outcome) => self.decline(want, outcome).await,
                Action::Cancel(job) => {
                    self.cancel(job);
                    Ok(())
                }
                Action::Forget(job) => self.forget(job),
            };
            if let Err(error) = result {
                // Not taken, so that the coordinator's next heartbeat brings it again.
                tracing::error!(error.r#type = %error.code(), error = %Chain(&error), "the want document cannot be followed");
                done = false;
            }
        }
        self.wanted = Some(doc.jobs.iter().map(|want| want.job).collect());
        if done {
            self.taken = doc.revision;
            self.context.status.set_taken(doc.revision);
        }
    }

    async fn accept(&mut self, want: JobWant) -> Result<(), JournalError> {
        if let (Some(operators), Some(order)) = (&self.operators, &want.order)
            && let Err(fault) = operators.check(order, &want, self.context.devices.clock.now())
        {
            tracing::warn!(
                tvt.job.id = %want.job, error.r#type = %ErrorCode::OrderRefused, error = %fault,
                "an order is refused"
            );
            return self
                .decline(want, SiteOutcome::Refused(ErrorCode::OrderRefused))
                .await;
        }
        let file = self.create(&want).await?;
        self.note_order(&want);
        tracing::info!(tvt.job.id = %want.job, devices = want.target_count, "job accepted");
        self.start(JournalJob::new(want), file);
        Ok(())
    }

    async fn decline(&mut self, want: JobWant, outcome: SiteOutcome) -> Result<(), JournalError> {
        let file = self.create(&want).await?;
        self.note_order(&want);
        self.refuse(want, outcome, file);
        Ok(())
    }

    fn refuse(&mut self, want: JobWant, outcome: SiteOutcome, file: JobFile) {
        let id = want.job;
        let handle = self
            .tasks
            .spawn(decline(self.context.clone(), want, outcome, file));
        self.task_jobs.insert(handle.id(), id);
        self.known.insert(id, Known::Ended);
    }

    fn note_order(&mut self, want: &JobWant) {
        if want.order.is_some() {
            self.ordered.insert(want.job, want.not_after);
        }
    }

    /// The file of a job, written on a thread that may block.
    async fn create(&self, want: &JobWant) -> Result<JobFile, JournalError> {
        let (journal, wanted) = (self.journal.clone(), want.clone());
        match tokio::task::spawn_blocking(move || journal.create(&wanted)).await {
            Ok(created) => created,
            Err(error) => Err(JournalError::broken(&error)),
        }
    }

    fn start(&mut self, job: JournalJob, file: JobFile) {
        let id = job.want.job;
        let unwanted = CancellationToken::new();
        let task = work_on(self.context.clone(), job, file, unwanted.clone());
        let handle = self.tasks.spawn(task);
        self.task_jobs.insert(handle.id(), id);
        self.known.insert(id, Known::Active);
        self.unwanted.insert(id, unwanted);
    }

    fn cancel(&self, job: JobId) {
        if let Some(unwanted) = self.unwanted.get(&job)
            && !unwanted.is_cancelled()
        {
            tracing::info!(tvt.job.id = %job, "job is not wanted any more");
            unwanted.cancel();
        }
    }

    /// Drops an ended job once it has been remembered for long enough: a coordinator restored from a
    /// backup may want it again, and gets what is in the spool instead of a second run.
    fn forget(&mut self, job: JobId) -> Result<(), JournalError> {
        let ended = self.known.values().filter(|known| **known == Known::Ended);
        let now = self.context.devices.clock.now();
        let keep = self.context.keep;
        // An order may not be used again for as long as it is good.
        if self.ordered.get(&job).is_some_and(|until| now <= *until) {
            return Ok(());
        }
        if ended.count() <= REMEMBERED && self.journal.age(job, now).is_some_and(|age| age < keep) {
            return Ok(());
        }
        self.journal.remove(job)?;
        self.known.remove(&job);
        self.ordered.remove(&job);
        Ok(())
    }

    fn on_ended(&mut self, ended: Result<(Id, JobEnd), tokio::task::JoinError>) {
        let (id, end) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // The journal still has it: the next start goes on.
                tracing::error!(%error, "a job's task broke");
                (error.id(), JobEnd::Interrupted)
            }
        };
        let Some(job) = self.task_jobs.remove(&id) else {
            return;
        };
        self.unwanted.remove(&job);
        if end == JobEnd::Interrupted {
            return;
        }
        self.known.insert(job, Known::Ended);
        let unwanted = self
            .wanted
            .as_ref()
            .is_some_and(|wanted| !wanted.contains(&job));
        if unwanted && let Err(error) = self.forget(job) {
            tracing::warn!(error.r#type = %error.code(), error = %Chain(&error), "an ended job stays in the journal");
        }
    }
}
