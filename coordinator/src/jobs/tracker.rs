//! How far a job is: state machines of a job and of one site of it.
//!
//! Pure: time is an argument, and the caller says which batches have been applied. Events arrive
//! late, twice and out of order, so each step is safe to repeat:
//!
//! - a site is done only once every batch of the range it announced has been applied *and* as many
//!   devices as it announced have been counted;
//! - devices are counted by their natural key, so the caller calls [`SiteTrack::reported`] for the
//!   first report of a target only;
//! - what comes after the end still counts (the work was done), but the state does not change.

use std::time::Duration;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::{Epoch, Sequence};
use tvtfleet_proto::model::job::{DeviceCounts, JobState, SiteJobState};
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::SiteOutcome;

/// How long a job waits beyond its deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grace {
    /// For the last reports of sites that accepted the job, after its deadline.
    pub(crate) expire: Duration,
    /// For sites that accepted the job to say that they stopped, after it was cancelled.
    pub(crate) cancel: Duration,
}

/// What a site announced when it ended a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    /// The life of the spool that [`Self::range`] counts in.
    pub(crate) epoch: Epoch,
    /// How it ended.
    pub(crate) outcome: SiteOutcome,
    /// How many devices it reported.
    pub(crate) records: u32,
    /// The first and last batch with its reports.
    pub(crate) range: Option<(Sequence, Sequence)>,
}

/// One site of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SiteTrack {
    /// Where it stands.
    pub(crate) state: SiteJobState,
    /// Whether the site ever said that it has the job.
    pub(crate) accepted: bool,
    /// Its devices.
    pub(crate) devices: DeviceCounts,
    /// What it announced, where it has.
    pub(crate) announced: Option<Announced>,
    /// Why it ended early.
    pub(crate) reason: Option<ErrorCode>,
    /// Devices that refused the login.
    pub(crate) refused: u32,
    /// Devices that the site's own brake, failed changes before them, or its quiet hours left out.
    pub(crate) left_out: u32,
    /// When the tenant's brake stopped it.
    pub(crate) braked_at: Option<UtcMillis>,
}

impl SiteTrack {
    /// A site that has not said anything yet.
    #[cfg(test)]
    pub(crate) fn new(total: u32) -> Self {
        Self {
            state: SiteJobState::Waiting,
            accepted: false,
            devices: DeviceCounts {
                total,
                ..DeviceCounts::default()
            },
            announced: None,
            reason: None,
            refused: 0,
            left_out: 0,
            braked_at: None,
        }
    }

    /// The site has the job in its journal. Returns whether anything changed.
    pub(crate) fn accept(&mut self) -> bool {
        if self.accepted {
            return false;
        }
        self.accepted = true;
        if self.state == SiteJobState::Waiting {
            self.state = SiteJobState::Accepted;
        }
        true
    }

    /// A target was reported for the first time.
    pub(crate) fn reported(&mut self, success: bool, channels: u64) {
        if success {
            self.devices.ok = self.devices.ok.saturating_add(1);
            self.devices.channels = self.devices.channels.saturating_add(channels);
        } else {
            self.devices.failed = self.devices.failed.saturating_add(1);
        }
        // A report shows that the site has the job, should the event itself come later.
        self.accept();
    }

    /// Counts the login of a target that was reported for the first time. Returns whether the device
    /// refused it.
    pub(crate) fn count_login(&mut self, failure: Option<&Failure>) -> bool {
        let refused = failure.is_some_and(Failure::is_refused_login);
        let left_out = failure.is_some_and(|failure| {
            matches!(
                failure.code,
                ErrorCode::JobBraked | ErrorCode::ChangeStopped | ErrorCode::PolicyQuietHours
            )
        });
        self.refused = self.refused.saturating_add(u32::from(refused));
        self.left_out = self.left_out.saturating_add(u32::from(left_out));
        refused
    }

    /// The site has ended the job. Returns whether anything changed.
    pub(crate) fn announce(&mut self, announced: Announced) -> bool {
        if self.state.is_terminal() || self.announced == Some(announced) {
            return false;
        }
        self.accept();
        self.announced = Some(announced);
        true
    }

    /// Ends the site where everything it announced is there. `applied` tells whether every batch
    /// of a range has been applied. Returns whether the site ended.
    pub(crate) fn settle(
        &mut self,
        applied: impl FnOnce(Epoch, Sequence, Sequence) -> bool,
    ) -> bool {
        let Some(announced) = self.announced.filter(|_| !self.state.is_terminal()) else {
            return false;
        };
        if let SiteOutcome::Refused(code) = announced.outcome {
            return self.end(SiteJobState::Refused, Some(code));
        }
        let counted = self.devices.ok.saturating_add(self.devices.failed);
        let complete = counted >= announced.records
            && announced
                .range
                .is_none_or(|(first, last)| applied(announced.epoch, first, last));
        complete
            && match announced.outcome {
                SiteOutcome::Cancelled => self.end_stopped(),
                SiteOutcome::Expired => {
                    self.end(SiteJobState::Expired, Some(ErrorCode::SiteMissing))
                }
                SiteOutcome::Complete | SiteOutcome::Refused(_) => {
                    self.end(SiteJobState::Done, None)
                }
            }
    }

    /// Somebody stopped the job: a site that has not accepted it ends now, the others are told and
    /// awaited. Returns whether the site ended.
    pub(crate) fn cancel(&mut self) -> bool {
        self.state == SiteJobState::Waiting
            && self.end(SiteJobState::Cancelled, Some(ErrorCode::JobCancelled))
    }

    /// The tenant's brake was pulled: a site that has not accepted the job ends now, the others are told
    /// and awaited. Returns whether anything changed.
    pub(crate) fn brake(&mut self, now: UtcMillis) -> bool {
        self.stop(now, None)
    }

    /// Too many changes of the job have failed: the same, for this reason.
    pub(crate) fn stop_changes(&mut self, now: UtcMillis) -> bool {
        self.stop(now, Some(ErrorCode::ChangeStopped))
    }

    fn stop(&mut self, now: UtcMillis, reason: Option<ErrorCode>) -> bool {
        if self.state.is_terminal() || self.announced.is_some() || self.braked_at.is_some() {
            return false;
        }
        self.braked_at = Some(now);
        self.reason = reason;
        if self.state == SiteJobState::Waiting {
            self.end_stopped();
        }
        true
    }

    /// The first devices of the job were not changed: a site that has not begun is left alone. Returns
    /// whether the site ended.
    pub(crate) fn hold_back(&mut self) -> bool {
        self.state == SiteJobState::Waiting
            && self.end(SiteJobState::Cancelled, Some(ErrorCode::ChangeStopped))
    }

    /// Looks at the clock. Returns whether the site ended.
    pub(crate) fn tick(&mut self, job: &JobTrack, grace: &Grace, now: UtcMillis) -> bool {
        if self.state.is_terminal() {
            return false;
        }
        let stopped_at = job.cancelled_at.into_iter().chain(self.braked_at).min();
        if stopped_at.is_some_and(|at| now >= at.after(grace.cancel)) {
            return self.end_stopped();
        }
        match self.state {
            SiteJobState::Waiting if now >= job.deadline_at => {
                self.end(SiteJobState::Expired, Some(ErrorCode::SiteOffline))
            }
            SiteJobState::Accepted if now >= job.deadline_at.after(grace.expire) => {
                self.end(SiteJobState::Expired, Some(ErrorCode::SiteMissing))
            }
            SiteJobState::Waiting
            | SiteJobState::Accepted
            | SiteJobState::Done
            | SiteJobState::Refused
            | SiteJobState::Cancelled
            | SiteJobState::Expired => false,
        }
    }

    /// Why a target without a report has none.
    pub(crate) fn missing_code(&self, online: bool) -> ErrorCode {
        match self.state {
            SiteJobState::Waiting | SiteJobState::Accepted if !online => ErrorCode::SiteOffline,
            SiteJobState::Waiting | SiteJobState::Accepted | SiteJobState::Done => {
                ErrorCode::SiteMissing
            }
            SiteJobState::Refused | SiteJobState::Cancelled | SiteJobState::Expired => {
                self.reason.unwrap_or(ErrorCode::SiteMissing)
            }
        }
    }

    fn end_stopped(&mut self) -> bool {
        let reason = if self.braked_at.is_some() {
            self.reason.unwrap_or(ErrorCode::JobBraked)
        } else {
            ErrorCode::JobCancelled
        };
        self.end(SiteJobState::Cancelled, Some(reason))
    }

    fn end(&mut self, state: SiteJobState, reason: Option<ErrorCode>) -> bool {
        self.state = state;
        self.reason = reason;
        true
    }
}

/// A job as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobTrack {
    /// Where it stands.
    pub(crate) state: JobState,
    /// When it ends at the latest.
    pub(crate) deadline_at: UtcMillis,
    /// When somebody stopped it.
    pub(crate) cancelled_at: Option<UtcMillis>,
    /// Whether the brake stopped the rest of a tenant's work, or failed changes the rest of the job.
    pub(crate) braked: bool,
    /// When it ended.
    pub(crate) ended_at: Option<UtcMillis>,
    /// How many sites it is for.
    pub(crate) sites_total: u32,
    /// How many of these have ended.
    pub(crate) sites_ended: u32,
    /// How many of these ended because time ran out.
    pub(crate) sites_expired: u32,
    /// The devices of all sites.
    pub(crate) devices: DeviceCounts,
    /// Grows with every change.
    pub(crate) version: u64,
}

impl JobTrack {
    /// A target was reported for the first time.
    pub(crate) fn reported(&mut self, success: bool, channels: u64) {
        if success {
            self.devices.ok = self.devices.ok.saturating_add(1);
            self.devices.channels = self.devices.channels.saturating_add(channels);
        } else {
            self.devices.failed = self.devices.failed.saturating_add(1);
        }
    }

    /// One of its sites has ended in this state.
    pub(crate) fn site_ended(&mut self, state: SiteJobState, now: UtcMillis) {
        self.sites_ended = self.sites_ended.saturating_add(1).min(self.sites_total);
        if state == SiteJobState::Expired {
            self.sites_expired = self.sites_expired.saturating_add(1);
        }
        if self.state.is_terminal() || self.sites_ended < self.sites_total {
            return;
        }
        self.ended_at = Some(now);
        self.state = if self.cancelled_at.is_some() {
            JobState::Cancelled
        } else if self.sites_expired > 0 {
            JobState::Expired
        } else if self.braked {
            JobState::Cancelled
        } else {
            JobState::Finished
        };
    }

    /// Somebody stops it. Returns whether that changes anything.
    pub(crate) fn cancel(&mut self, now: UtcMillis) -> bool {
        if self.state.is_terminal() || self.cancelled_at.is_some() {
            return false;
        }
        self.cancelled_at = Some(now);
        true
    }
}

#[cfg(test)]
mod tests;
