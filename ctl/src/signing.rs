//! Signs jobs that change devices: each site's work, with the key of the operator.
//!
//! The coordinator says what each site is to do. What is not what the operator asked for is not signed:
//! another ask, other settings or options, a site that was not named, more devices than were announced.

use std::path::Path;

use tvtfleet_bus::clock::{Clock as _, SystemClock};
use tvtfleet_bus::closed_file;
use tvtfleet_bus::trust::{ChangeOrder, KeyPair, SignedDocument, TrustError, key_of_credentials};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{SignJob, UnsignedWork};
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::job::{JobSpec, JobView, Selector};
use tvtfleet_proto::model::want::SiteWork;

use crate::error::CliError;
use crate::server::Server;

/// The largest credentials file, in bytes.
const FILE_MAX: u64 = 64 * 1024;

/// Signs the work of every site of a job that has just been submitted. Nothing, where the coordinator
/// asks for no orders.
///
/// # Errors
///
/// `trust.order_refused` where the coordinator would have something else signed; `trust.*`, and what
/// the coordinator refuses.
pub(crate) async fn sign_job(
    server: &Server,
    credentials: &Path,
    spec: &JobSpec,
    job: &JobView,
) -> Result<(), CliError> {
    let mut orders = Vec::new();
    let mut left = job.devices.total;
    let mut key = None;
    loop {
        let request = SignJob {
            job: job.id,
            orders: std::mem::take(&mut orders),
        };
        let unsigned = server.sign_job(request).await?;
        if unsigned.sites.is_empty() {
            return Ok(());
        }
        let key: &KeyPair = match &mut key {
            Some(key) => key,
            none => none.insert(operator_key(credentials)?),
        };
        check(&unsigned, spec, job, &mut left).map_err(|reason| {
            CliError::new(ErrorCode::OrderRefused, "the job is not signed")
                .cause(reason)
                .hint(format!("tvtctl jobs cancel {}", job.id))
        })?;
        for (site, work) in &unsigned.sites {
            let now = SystemClock.now();
            let order = ChangeOrder::of(job.id, site, work, now, unsigned.not_after);
            let signed = SignedDocument::sign(&order, key).map_err(|error| unusable(&error))?;
            orders.push((site.clone(), signed.into()));
        }
    }
}

/// Reads the key with which an operator signs.
///
/// # Errors
///
/// `config.*`, `trust.invalid`.
pub(crate) fn operator_key(file: &Path) -> Result<KeyPair, CliError> {
    let text = closed_file::read(file, None, FILE_MAX).map_err(|error| {
        CliError::new(error.code(), "the operator's key cannot be read").because(&error)
    })?;
    key_of_credentials(&text).map_err(|error| unusable(&error))
}

pub(crate) fn unusable(error: &TrustError) -> CliError {
    CliError::new(error.code(), "the operator's key cannot sign").because(error)
}

/// Compares what is to be signed with what was asked for. `left` is how many devices may still come.
fn check(
    unsigned: &UnsignedWork,
    spec: &JobSpec,
    job: &JobView,
    left: &mut u32,
) -> Result<(), String> {
    if unsigned.job != job.id || unsigned.not_after > job.deadline_at {
        return Err("the coordinator speaks of another job".to_owned());
    }
    for (site, work) in &unsigned.sites {
        check_site(site, work, spec)?;
        let devices = u32::try_from(work.targets.len()).unwrap_or(u32::MAX);
        *left = left
            .checked_sub(devices.max(1))
            .ok_or("the coordinator names more devices than it announced")?;
    }
    Ok(())
}

fn check_site(site: &SiteId, work: &SiteWork, spec: &JobSpec) -> Result<(), String> {
    if work.options != spec.work {
        return Err(format!("the coordinator changed what {site} is to do"));
    }
    let has_undo = spec
        .work
        .order
        .as_ref()
        .is_some_and(|order| order.undo.is_some());
    if !has_undo
        && work
            .targets
            .iter()
            .any(|target| !target.settings.is_empty())
    {
        return Err(format!(
            "the coordinator added settings for devices of {site}"
        ));
    }
    if let Selector::Match { tenants, sites, .. } = &spec.selector
        && (!(tenants.is_empty() || tenants.contains(&site.tenant))
            || !(sites.is_empty() || sites.contains(site)))
    {
        return Err(format!("{site} was not asked for"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::model::ask::Ask;
    use tvtfleet_proto::model::job::WorkOptions;

    #[test]
    fn only_what_was_asked_for_is_signed() {
        let spec = JobSpec {
            selector: Selector::Match {
                tenants: Vec::new(),
                sites: vec!["acme/depot".parse().unwrap()],
                labels: Vec::new(),
            },
            work: WorkOptions {
                ask: Ask::Reboot,
                ..WorkOptions::default()
            },
            deadline: std::time::Duration::from_secs(60),
            note: String::new(),
        };
        let work = SiteWork {
            options: spec.work.clone(),
            targets: Vec::new(),
        };
        let depot = "acme/depot".parse().unwrap();
        check_site(&depot, &work, &spec).unwrap();
        check_site(&"acme/other".parse().unwrap(), &work, &spec).unwrap_err();
        let mut other = work.clone();
        other.options.ask = Ask::SetPassword;
        check_site(&depot, &other, &spec).unwrap_err();
        let mut more = work;
        more.targets.push(tvtfleet_proto::model::want::Target {
            number: tvtfleet_proto::model::id::TargetNo(0),
            endpoint: "10.0.0.1:6036".parse().unwrap(),
            known_mac: None,
            trusted: true,
            credential: None,
            settings: [("rtsp".to_owned(), "0".to_owned())].into(),
        });
        check_site(&depot, &more, &spec).unwrap_err();
    }
}
