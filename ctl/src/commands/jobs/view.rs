//! Jobs and their sites, as users read and parse them.

use std::fmt::Write as _;

use serde::Serialize;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::JobStatus;
use tvtfleet_proto::model::job::{DeviceCounts, JobView, Selector, SiteJobView};

use crate::error::Stop;
use crate::io::Io;
use crate::output::{self, Format, Row, SCHEMA};

/// What became of devices; in CSV the columns `devices_total` and so on.
#[derive(Debug, Default, Serialize)]
struct Counts {
    total: u32,
    ok: u32,
    failed: u32,
    missing: u32,
    channels: u64,
}

impl From<DeviceCounts> for Counts {
    fn from(counts: DeviceCounts) -> Self {
        Self {
            total: counts.total,
            ok: counts.ok,
            failed: counts.failed,
            missing: counts.missing(),
            channels: counts.channels,
        }
    }
}

/// A job in a list.
#[derive(Debug, Default, Serialize)]
pub(super) struct JobRow {
    id: String,
    state: String,
    ask: String,
    selector: String,
    submitted_by: String,
    submitted_at: String,
    deadline_at: String,
    ended_at: Option<String>,
    reason: Option<String>,
    sites_total: u32,
    sites_ended: u32,
    devices: Counts,
    note: String,
}

impl From<&JobView> for JobRow {
    fn from(job: &JobView) -> Self {
        Self {
            id: job.id.to_string(),
            state: job.state.to_string(),
            ask: job.spec.work.ask.to_string(),
            selector: selector_text(&job.spec.selector),
            submitted_by: job.submitted_by.clone(),
            submitted_at: job.submitted_at.to_string(),
            deadline_at: job.deadline_at.to_string(),
            ended_at: job.ended_at.map(|moment| moment.to_string()),
            reason: job.reason.map(|code| code.to_string()),
            sites_total: job.sites_total,
            sites_ended: job.sites_ended,
            devices: job.devices.into(),
            note: job.spec.note.clone(),
        }
    }
}

impl Row for JobRow {
    const NOUN: &'static str = "jobs";
    const HEADS: &'static [&'static str] = &[
        "JOB",
        "STATE",
        "SUBMITTED",
        "SITES",
        "DEVICES",
        "FAILED",
        "MISSING",
        "FOR",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.state.clone(),
            self.submitted_at.clone(),
            format!("{}/{}", self.sites_ended, self.sites_total),
            format!(
                "{}/{}",
                self.devices.ok.saturating_add(self.devices.failed),
                self.devices.total
            ),
            self.devices.failed.to_string(),
            self.devices.missing.to_string(),
            self.selector.clone(),
        ]
    }
}

/// One site of a job.
#[derive(Debug, Default, Serialize)]
pub(super) struct SiteRow {
    site: String,
    display_name: String,
    state: String,
    online: bool,
    last_seen: Option<String>,
    devices: Counts,
    reason: Option<String>,
}

impl From<&SiteJobView> for SiteRow {
    fn from(site: &SiteJobView) -> Self {
        Self {
            site: site.site.to_string(),
            display_name: site.display_name.clone(),
            state: site.state.to_string(),
            online: site.online,
            last_seen: site.last_seen.map(|moment| moment.to_string()),
            devices: site.devices.into(),
            reason: site.reason.map(|code| code.to_string()),
        }
    }
}

impl Row for SiteRow {
    const NOUN: &'static str = "sites";
    const HEADS: &'static [&'static str] = &[
        "SITE",
        "STATE",
        "ONLINE",
        "LAST SEEN",
        "OK",
        "FAILED",
        "MISSING",
        "REASON",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.site.clone(),
            self.state.clone(),
            if self.online { "yes" } else { "no" }.to_owned(),
            self.last_seen.clone().unwrap_or_else(|| "never".to_owned()),
            self.devices.ok.to_string(),
            self.devices.failed.to_string(),
            self.devices.missing.to_string(),
            self.reason.clone().unwrap_or_default(),
        ]
    }
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    #[serde(flatten)]
    job: JobRow,
    sites: Vec<SiteRow>,
}

/// Writes one job with its sites. CSV holds the sites only: one table a file.
pub(super) fn write(io: &mut Io, format: Format, status: &JobStatus) -> Result<(), Stop> {
    let job = JobRow::from(&status.job);
    let sites: Vec<SiteRow> = status.job.sites.iter().map(SiteRow::from).collect();
    match format {
        Format::Table => {
            let mut text = describe(&job);
            if !sites.is_empty() {
                text.push('\n');
                text.push_str(&output::table(SiteRow::HEADS, sites.iter().map(Row::cells)));
            }
            io.write_out(text.as_bytes())
        }
        Format::Json => output::json(
            io,
            &Document {
                schema: SCHEMA,
                job,
                sites,
            },
        ),
        Format::Csv => output::list(io, format, &sites),
    }
}

fn describe(job: &JobRow) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{label:<10}{}", output::printable(value));
        }
    };
    line("Job", &job.id);
    line("State", &job.state);
    for (code, why) in [
        (
            ErrorCode::JobBraked,
            "many devices of a tenant refused the login; its other devices were left out",
        ),
        (
            ErrorCode::ChangeStopped,
            "changes failed at too many devices; the other devices were left alone",
        ),
    ] {
        if job.reason.as_deref() == Some(code.as_str()) {
            line("Reason", &format!("{code} ({why})"));
        }
    }
    line("For", &job.selector);
    line("Note", &job.note);
    line("By", &job.submitted_by);
    line("Submitted", &job.submitted_at);
    line("Deadline", &job.deadline_at);
    line("Ended", job.ended_at.as_deref().unwrap_or_default());
    line(
        "Sites",
        &format!("{} of {} ended", job.sites_ended, job.sites_total),
    );
    line(
        "Devices",
        &format!(
            "{} ok, {} failed, {} missing, {} in all; {} channels",
            job.devices.ok,
            job.devices.failed,
            job.devices.missing,
            job.devices.total,
            job.devices.channels
        ),
    );
    text
}

/// What a job is for, in words.
fn selector_text(selector: &Selector) -> String {
    match selector {
        Selector::All => "all".to_owned(),
        Selector::Import(import) => format!("import {import}"),
        Selector::FailedOf(job) => format!("failed of {job}"),
        Selector::Match {
            tenants,
            sites,
            labels,
        } => {
            let tenants = tenants.iter().map(|tenant| format!("tenant {tenant}"));
            let sites = sites.iter().map(|site| format!("site {site}"));
            let labels = labels.iter().map(|label| format!("label {label}"));
            tenants
                .chain(sites)
                .chain(labels)
                .collect::<Vec<_>>()
                .join(", ")
        }
    }
}
