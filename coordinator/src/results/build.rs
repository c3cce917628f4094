//! From the coordinator's rows to records.

use std::borrow::Cow;
use std::time::Duration;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{ResultRow, RowOutcome};
use tvtfleet_proto::model::channel::{Channel, ChannelLabel};
use tvtfleet_proto::model::report::{Attempt, DeviceFamily, DeviceReport, Failure};

use super::record::{AttemptRecord, CameraRecord, ChannelKey, DeviceInfo, ResultRecord};

/// pytvt's text for a device that let us in and named no camera.
const NO_CAMERAS: &str = "Connected but could not retrieve camera details via HTTP tunnel";

impl<'a> From<&'a ResultRow> for ResultRecord<'a> {
    fn from(row: &'a ResultRow) -> Self {
        let asked = ResultRecord {
            site: Cow::Borrowed(&row.site_label),
            hostname: Cow::Borrowed(&row.entry.hostname),
            nvr_ip: Cow::Owned(row.entry.host.to_string()),
            nvr_mac: Cow::Borrowed(&row.entry.mac_text),
            nvr_port: i64::from(row.port),
            device_id: Some(Cow::Borrowed(&row.device_id)),
            ..ResultRecord::default()
        };
        match &row.outcome {
            RowOutcome::Reported(report) => reported(asked, report),
            RowOutcome::Missing { job, code } => ResultRecord {
                error: Some(Cow::Borrowed(missing_text(*code))),
                error_code: Some(Cow::Borrowed(code.as_str())),
                job_id: Some(Cow::Owned(job.to_string())),
                ..asked
            },
        }
    }
}

impl<'a> From<&'a ResultRecord<'a>> for ResultRecord<'a> {
    fn from(record: &'a ResultRecord<'a>) -> Self {
        record.clone()
    }
}

fn reported<'a>(asked: ResultRecord<'a>, report: &'a DeviceReport) -> ResultRecord<'a> {
    let facts = &report.facts;
    let cameras: Vec<CameraRecord<'a>> = report.channels.iter().map(CameraRecord::from).collect();
    let total = facts.total_channels.map_or(count(cameras.len()), i64::from);
    ResultRecord {
        success: report.is_success(),
        device_name: Cow::Borrowed(&facts.name),
        device_model: Cow::Borrowed(&facts.model),
        serial_number: Cow::Borrowed(&facts.serial),
        firmware: Cow::Borrowed(&facts.firmware),
        total_channels: total,
        device_info: device_info(report, &cameras),
        cameras,
        error: error_text(report),
        backend: Cow::Borrowed(report.backend.as_str()),
        error_code: report
            .headline_code()
            .map(|code| Cow::Borrowed(code.as_str())),
        warnings: report
            .warnings
            .iter()
            .map(|code| Cow::Borrowed(code.as_str()))
            .collect(),
        attempts: report.attempts.iter().map(AttemptRecord::from).collect(),
        observed_at: Some(Cow::Owned(report.observed_at.to_string())),
        job_id: Some(Cow::Owned(report.job.to_string())),
        ..asked
    }
}

impl<'a> From<&'a Channel> for CameraRecord<'a> {
    fn from(channel: &'a Channel) -> Self {
        CameraRecord {
            channel: match &channel.label {
                ChannelLabel::Number(number) => ChannelKey::Number(*number),
                ChannelLabel::Text(text) => ChannelKey::Text(Cow::Borrowed(text)),
            },
            name: Cow::Borrowed(&channel.name),
            address: Cow::Borrowed(&channel.address),
            port: i64::from(channel.port),
            status: Cow::Borrowed(channel.status.as_str()),
            protocol: Cow::Borrowed(&channel.protocol),
            model: Cow::Borrowed(&channel.model),
            status_source: Some(Cow::Borrowed(channel.status_source.as_str())),
        }
    }
}

impl<'a> From<&'a Attempt> for AttemptRecord<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        AttemptRecord {
            backend: Cow::Borrowed(attempt.backend.as_str()),
            duration_ms: i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
            code: attempt.code.map(|code| Cow::Borrowed(code.as_str())),
        }
    }
}

/// pytvt's object for the family, as far as the login got, then the family and protocol version.
fn device_info<'a>(report: &'a DeviceReport, cameras: &[CameraRecord<'a>]) -> DeviceInfo<'a> {
    let facts = &report.facts;
    let some_text = |text: &'a str| (!text.is_empty()).then_some(Cow::Borrowed(text));
    let greeted = DeviceInfo {
        mac: facts.mac.map(|mac| Cow::Owned(mac.to_string())),
        family: facts.family.map(|family| Cow::Borrowed(family.as_str())),
        protocol_version: facts.protocol_version.map(i64::from),
        ..DeviceInfo::default()
    };
    match facts.family {
        Some(DeviceFamily::Standard) if facts.config_data_len.is_some() => DeviceInfo {
            config_data_len: facts.config_data_len.map(i64::from),
            software_ver: some_text(&facts.software_ver_hex),
            build_date: facts.build_date.map(i64::from),
            device_name: Some(Cow::Borrowed(&facts.name)),
            ..greeted
        },
        Some(DeviceFamily::Head) if !facts.serial.is_empty() || !cameras.is_empty() => DeviceInfo {
            device_name: Some(Cow::Borrowed(&facts.serial)),
            channel_count: Some(facts.total_channels.map_or(count(cameras.len()), i64::from)),
            cameras: Some(
                cameras
                    .iter()
                    .map(|camera| CameraRecord {
                        status_source: None,
                        ..camera.clone()
                    })
                    .collect(),
            ),
            ..greeted
        },
        Some(DeviceFamily::Standard | DeviceFamily::Head) | None => greeted,
    }
}

/// pytvt's wording where it has one for the same situation, else the report's own.
fn error_text(report: &DeviceReport) -> Option<Cow<'_, str>> {
    let Some(failure) = &report.failure else {
        return report
            .warnings
            .contains(&ErrorCode::NoChannels)
            .then_some(Cow::Borrowed(NO_CAMERAS));
    };
    let tried = report.attempts.last().map(|attempt| attempt.duration);
    Some(pytvt_text(failure, tried).unwrap_or(Cow::Borrowed(&failure.text)))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "pytvt knows a handful of situations only"
)]
fn pytvt_text(failure: &Failure, tried: Option<Duration>) -> Option<Cow<'static, str>> {
    match failure.code {
        ErrorCode::ConnectRefused => Some(Cow::Borrowed("Connection refused")),
        ErrorCode::LoginRejected => Some(Cow::Borrowed("Login failed: invalid credentials")),
        ErrorCode::Closed => Some(Cow::Borrowed(
            "Network error: Connection closed while reading",
        )),
        ErrorCode::ConnectTimeout | ErrorCode::InitTimeout => {
            let millis = tried
                .filter(|tried| *tried >= Duration::from_millis(500))?
                .as_millis();
            Some(Cow::Owned(format!(
                "Connection timed out ({}s)",
                (millis + 500) / 1000
            )))
        }
        _ => None,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "new reasons get the general sentence"
)]
const fn missing_text(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::SiteOffline => "Not asked: the site's agent is offline",
        ErrorCode::SiteMissing => "No report from the site before the job's deadline",
        ErrorCode::SiteUnknown => "Not asked: the site is not known",
        ErrorCode::SiteClaimed => "Not asked: another agent speaks for the site",
        ErrorCode::SiteSpoolFull => "Not asked: the disk of the site's agent is full",
        ErrorCode::SiteAgentTooOld => "Not asked: the site's agent is too old for this work",
        ErrorCode::JobCancelled => "Not asked: the job was cancelled",
        ErrorCode::JobExpired => "Not asked: the job's deadline passed",
        ErrorCode::JobBraked => "Not asked: the job was stopped after too many refused logins",
        ErrorCode::ChangeStopped => "Not tried: changes failed at other devices of the job",
        _ => "No report from the site",
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
