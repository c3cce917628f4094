//! Waiting for a job: what is shown meanwhile, and when to stop.

use std::collections::BTreeMap;
use std::time::Duration;

use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::api::{JobStatus, ShowJob};
use tvtfleet_proto::model::id::{JobId, SiteId};
use tvtfleet_proto::model::job::{JobView, SiteJobState, SiteJobView};

use crate::discovery::Finds;
use crate::error::CliError;
use crate::io::Io;
use crate::progress::Progress;
use crate::server::Server;

/// How long the coordinator holds a request while nothing changes; progress hints do not count as a
/// change, so this is also how often a bar moves at least.
const HOLD: Duration = Duration::from_secs(2);
/// The least time between two requests.
const PACE: Duration = Duration::from_millis(200);
/// How long after a job's deadline it is given up by those who wait; clocks differ.
const OVERDUE_MAX: Duration = Duration::from_secs(600);
/// How long a site may take to be heard before it counts as offline: the coordinator or the agent may
/// have started a moment ago.
const OFFLINE_GRACE: Duration = Duration::from_secs(3);
/// How long the coordinator may be away before waiting for it ends.
const AWAY_MAX: Duration = Duration::from_secs(120);

/// When to stop waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Every site that is connected has ended.
    OnlineSitesEnded,
    /// The job has ended.
    JobEnded,
}

/// How waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// What was waited for has come.
    Reached,
    /// The time allowed is over.
    OutOfTime,
    /// The user does not want to wait any longer.
    Interrupted,
}

/// Waits for a job and shows its progress; without a limit, until somewhat after its deadline.
///
/// # Errors
///
/// The job is not known, or the coordinator has been away for too long.
pub(crate) async fn watch(
    server: &Server,
    first: JobStatus,
    until: Until,
    limit: Option<Duration>,
    quiet: bool,
    io: &Io,
) -> Result<(JobStatus, Ended), CliError> {
    let job = first.job.id;
    let progress = Progress::new(io, quiet, first.job.devices.total.into());
    let mut seen = SeenSites::default();
    let mut finds = Finds::default();
    let mut status = first;
    let begun = io.clock.instant();
    let limit = limit.unwrap_or_else(|| {
        status
            .job
            .deadline_at
            .since(io.clock.now())
            .saturating_add(OVERDUE_MAX)
    });
    let mut last_answer = begun;
    let mut earliest = tokio::time::Instant::now();
    loop {
        show(&status, &mut seen, &progress);
        finds.tell(server, &status, &progress).await?;
        let waited = io.clock.instant().duration_since(begun);
        if is_reached(&status.job, until, waited) {
            return Ok((status, Ended::Reached));
        }
        let left = limit.saturating_sub(waited);
        if left.is_zero() {
            return Ok((status, Ended::OutOfTime));
        }
        let hold = if waited < OFFLINE_GRACE { PACE } else { HOLD }.min(left);
        let request = ShowJob {
            job: Some(job),
            after_version: status.job.version,
            wait: hold,
            cursor: String::new(),
        };
        let paced = async {
            tokio::time::sleep_until(earliest).await;
            earliest = tokio::time::Instant::now() + PACE;
            server.show_job(request).await
        };
        let answer = tokio::select! {
            answer = paced => answer,
            () = io.interrupt.cancelled() => return Ok((status, Ended::Interrupted)),
        };
        match answer {
            Ok(next) => {
                last_answer = io.clock.instant();
                status = next;
            }
            Err(error) if is_passing(&error) => {
                let away = io.clock.instant().duration_since(last_answer);
                if away > AWAY_MAX {
                    return Err(error.hint(format!("the job goes on; tvtctl jobs wait {job}")));
                }
                progress.step(&format!("  waiting for the coordinator ({})", error.code));
            }
            Err(error) => return Err(error),
        }
    }
}

/// The sites of a job that are away and still have work to do.
pub(crate) fn offline_sites(job: &JobView) -> impl Iterator<Item = &SiteJobView> {
    job.sites
        .iter()
        .filter(|site| !site.online && !site.state.is_terminal())
}

/// Names the sites that are away, and what to do about them.
pub(crate) fn tell_offline(job: &JobView, io: &Io) {
    const SHOWN_MAX: usize = 20;
    let sites: Vec<_> = offline_sites(job).collect();
    for site in sites.iter().take(SHOWN_MAX) {
        let seen = match site.last_seen {
            Some(moment) => format!("last seen {moment}"),
            None => "never seen".to_owned(),
        };
        io.warn(&format!(
            "site {} is offline, {seen}; {} of {} devices not reported",
            named(site),
            site.devices.missing(),
            site.devices.total,
        ));
    }
    if sites.len() > SHOWN_MAX {
        io.warn(&format!(
            "{} more sites are offline",
            sites.len().saturating_sub(SHOWN_MAX)
        ));
    }
    if !sites.is_empty() && !job.state.is_terminal() {
        io.note(&format!(
            "hint: they get the work when they come back, until {}; tvtctl jobs wait {} waits for them",
            job.deadline_at, job.id,
        ));
    }
}

/// Names the sites that ended otherwise than they should.
pub(crate) fn tell_troubled(job: &JobView, io: &Io) {
    for site in &job.sites {
        if !matches!(
            site.state,
            SiteJobState::Refused | SiteJobState::Expired | SiteJobState::Cancelled
        ) {
            continue;
        }
        let why = site
            .reason
            .map(|code| format!(" ({code})"))
            .unwrap_or_default();
        io.warn(&format!(
            "site {}: {}{why}; {} of {} devices not reported",
            named(site),
            site.state,
            site.devices.missing(),
            site.devices.total,
        ));
    }
}

/// The user has stopped waiting; the job goes on.
#[must_use]
pub(crate) fn interrupted(job: JobId) -> CliError {
    CliError::new(ErrorCode::Interrupted, "interrupted; the job goes on").hint(format!(
        "tvtctl jobs wait {job} waits on, tvtctl jobs cancel {job} stops it"
    ))
}

/// Waiting has taken longer than allowed; the job goes on.
#[must_use]
pub(crate) fn out_of_time(job: JobId) -> CliError {
    CliError::new(
        ErrorCode::CoordinatorTimeout,
        "the job has not ended in the time allowed",
    )
    .hint(format!("the job goes on; tvtctl jobs wait {job} waits on"))
    .ends_with(tvtfleet_proto::error::ExitStatus::TimedOut)
}

fn is_reached(job: &JobView, until: Until, waited: Duration) -> bool {
    job.state.is_terminal()
        || match until {
            Until::JobEnded => false,
            Until::OnlineSitesEnded => job
                .sites
                .iter()
                .all(|site| site.state.is_terminal() || (!site.online && waited >= OFFLINE_GRACE)),
        }
}

/// Whether an error is about the way to the coordinator, which may come back.
fn is_passing(error: &CliError) -> bool {
    error.code.kind() == ErrorKind::Bus && error.code.retryable()
}

#[derive(Default)]
struct SeenSites(BTreeMap<SiteId, (SiteJobState, bool)>);

fn show(status: &JobStatus, seen: &mut SeenSites, progress: &Progress) {
    let job = &status.job;
    for site in &job.sites {
        let now = (site.state, site.online);
        if seen.0.insert(site.site.clone(), now) != Some(now) {
            progress.step(&site_line(job, site));
        }
    }
    // Hints of sites at work run ahead of what has been applied; the larger of the two is nearer.
    let hinted: BTreeMap<_, _> = status
        .progress
        .iter()
        .map(|(site, hint)| (site, hint))
        .collect();
    let (mut done, mut failed) = (0_u64, 0_u64);
    for site in &job.sites {
        let applied = site.devices.ok.saturating_add(site.devices.failed);
        let hint = hinted.get(&site.site);
        done = done.saturating_add(applied.max(hint.map_or(0, |hint| hint.done)).into());
        failed = failed.saturating_add(
            site.devices
                .failed
                .max(hint.map_or(0, |hint| hint.failed))
                .into(),
        );
    }
    progress.set_total(job.devices.total.into());
    progress.advance(done, failed);
}

fn site_line(job: &JobView, site: &SiteJobView) -> String {
    let devices = site.devices;
    let what = match site.state {
        SiteJobState::Waiting if !site.online => "OFFLINE".to_owned(),
        SiteJobState::Waiting => "WAITING".to_owned(),
        SiteJobState::Accepted => "RUNNING".to_owned(),
        SiteJobState::Done => format!("DONE ({} ok, {} failed)", devices.ok, devices.failed),
        SiteJobState::Refused => "REFUSED".to_owned(),
        SiteJobState::Cancelled => "CANCELLED".to_owned(),
        SiteJobState::Expired => "EXPIRED".to_owned(),
    };
    format!(
        "  [{}/{}] {} - {what}",
        job.sites_ended,
        job.sites_total,
        named(site)
    )
}

fn named(site: &SiteJobView) -> String {
    if site.display_name.is_empty() {
        site.site.to_string()
    } else {
        format!("{} ({})", site.site, site.display_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::model::job::{DeviceCounts, JobSpec, JobState, Selector, WorkOptions};
    use tvtfleet_proto::model::time::UtcMillis;

    fn site(name: &str, state: SiteJobState, online: bool) -> SiteJobView {
        SiteJobView {
            site: name.parse().unwrap(),
            display_name: String::new(),
            state,
            online,
            last_seen: None,
            devices: DeviceCounts {
                total: 3,
                ok: 1,
                failed: 1,
                channels: 8,
            },
            reason: None,
        }
    }

    fn job(state: JobState, sites: Vec<SiteJobView>) -> JobView {
        JobView {
            id: JobId::new(uuid::Uuid::nil()),
            spec: JobSpec {
                selector: Selector::All,
                work: WorkOptions::default(),
                deadline: Duration::from_secs(3600),
                note: String::new(),
            },
            submitted_by: String::new(),
            submitted_at: UtcMillis::new(0),
            deadline_at: UtcMillis::new(0),
            ended_at: None,
            state,
            devices: DeviceCounts::default(),
            sites_total: 2,
            sites_ended: 0,
            version: 1,
            reason: None,
            sites,
        }
    }

    #[test]
    fn sites_that_are_away_are_not_waited_for() {
        let done = || site("acme/a", SiteJobState::Done, true);
        let away = || site("acme/b", SiteJobState::Waiting, false);
        let lost = || site("acme/c", SiteJobState::Accepted, false);
        let busy = || site("acme/d", SiteJobState::Accepted, true);
        for (sites, online, ended) in [
            (vec![done(), away()], true, false),
            (vec![done(), lost()], true, false),
            (vec![done(), busy()], false, false),
            (vec![away()], true, false),
        ] {
            let job = job(JobState::Open, sites);
            assert_eq!(
                is_reached(&job, Until::OnlineSitesEnded, OFFLINE_GRACE),
                online,
                "{job:?}"
            );
            assert_eq!(
                is_reached(&job, Until::JobEnded, OFFLINE_GRACE),
                ended,
                "{job:?}"
            );
            let patient = is_reached(&job, Until::OnlineSitesEnded, Duration::ZERO);
            assert_eq!(
                patient, ended,
                "a site that was not heard yet is given a moment: {job:?}"
            );
        }
        let just_submitted = job(JobState::Open, vec![away()]);
        assert!(!is_reached(
            &just_submitted,
            Until::OnlineSitesEnded,
            Duration::ZERO
        ));
        let expired = job(JobState::Expired, vec![busy()]);
        assert!(
            is_reached(&expired, Until::OnlineSitesEnded, Duration::ZERO)
                && is_reached(&expired, Until::JobEnded, Duration::ZERO)
        );
        let names = |job: JobView| {
            offline_sites(&job)
                .map(|site| site.site.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names(job(JobState::Open, vec![done(), away(), lost()])),
            ["acme/b", "acme/c"]
        );
    }

    #[test]
    fn a_site_is_told_in_a_line() {
        let job = job(JobState::Open, Vec::new());
        let line = |state, online| site_line(&job, &site("acme/a", state, online));
        assert_eq!(
            line(SiteJobState::Done, true),
            "  [0/2] acme/a - DONE (1 ok, 1 failed)"
        );
        assert_eq!(
            line(SiteJobState::Waiting, false),
            "  [0/2] acme/a - OFFLINE"
        );
    }
}
