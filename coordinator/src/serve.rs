//! Answers the operators: every request of [`ApiOp`].

use std::collections::BTreeSet;

use tracing::Instrument as _;
use uuid::Uuid;

use tvtfleet_bus::rpc::{Call, Reply};
use tvtfleet_bus::{attribute, trace};
use tvtfleet_proto::convert::BadField;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{
    AddSite, ApiError, CancelJob, CoordinatorInfo, ImportDevices, ListDevices, ListJobs, ListSites,
    ReadResults, ReadSearches, ShowDevice, ShowJob, SubmitJob, Submitted,
};
use tvtfleet_proto::model::audit::ListAudit;
use tvtfleet_proto::model::change::ListChanges;
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::job::JobView;
use tvtfleet_proto::model::query::ImportResults;
use tvtfleet_proto::subject::{self, ApiOp};
use tvtfleet_proto::wire::v1;

use crate::checkup;
use crate::core::Core;
use crate::intake::chain;
use crate::store::{DbError, StoreError, audit, inventory, job, site};
use crate::trust::Caller;

mod audited;
mod check;
mod confine;
mod fleet;
mod history;
mod pictures;
mod pushes;
mod roster;
mod signing;
mod watching;

/// Answers one request of an operator.
pub(crate) async fn answer(core: Core, call: Call) -> Result<Reply, ApiError> {
    let answered = answer_unrecorded(&core, &call).await;
    if let Err(error) = &answered
        && let Some((user, op)) = subject::parse_api(&call.subject)
    {
        let asker = core.operator_name(user);
        audited::refused(&core, &call, (&asker, user), op, error).await;
    }
    answered
}

/// As [`answer`], where a refusal leaves no trace in the audit: a standby writes nothing.
pub(crate) async fn answer_unrecorded(core: &Core, call: &Call) -> Result<Reply, ApiError> {
    let Some((user, op)) = subject::parse_api(&call.subject) else {
        return Err(refuse(
            ErrorCode::MessageInvalid,
            "no such request",
            "use the same version of all programs",
        ));
    };
    let caller = Caller::admit(core.trust.as_deref(), user, op)?;
    answer_admitted(core, call, &caller, op).await
}

async fn answer_admitted(
    core: &Core,
    call: &Call,
    caller: &Caller,
    op: ApiOp,
) -> Result<Reply, ApiError> {
    let user = caller.name.as_str();
    match op {
        ApiOp::JobSubmit => {
            let mut request: SubmitJob = call
                .open::<v1::SubmitJob>()?
                .try_into()
                .map_err(unreadable)?;
            confine::job(core, caller, &mut request.spec.selector).await?;
            let order = request.spec.work.order.as_ref();
            if let Some(undo) = order.and_then(|order| order.undo) {
                confine::seen_job(core, caller, undo).await?;
            }
            let submitted = submit(core, call, caller, request).await?;
            Ok(Reply::of(&v1::Submitted::from(submitted)))
        }
        ApiOp::JobList => {
            let request: ListJobs = call
                .open::<v1::ListJobs>()?
                .try_into()
                .map_err(unreadable)?;
            let mut page = read(core, "list jobs", move |db| job::list(db, &request)).await?;
            page.rows = confine::jobs(core, caller, page.rows).await?;
            Ok(Reply::of(&v1::JobList::from(page)))
        }
        ApiOp::JobShow => {
            let request: ShowJob = call.open::<v1::ShowJob>()?.try_into().map_err(unreadable)?;
            let request = confine::shown_job(core, caller, request).await?;
            let status = watching::show_job(core, request).await?;
            Ok(Reply::of(&v1::JobStatus::from(status)))
        }
        ApiOp::JobCancel => {
            let request: CancelJob = call
                .open::<v1::CancelJob>()?
                .try_into()
                .map_err(unreadable)?;
            confine::seen_job(core, caller, request.job).await?;
            let view = cancel(core, caller, request.job).await?;
            Ok(Reply::of(&v1::JobView::from(view)))
        }
        ApiOp::JobSign => {
            let request = call.open::<v1::SignJob>()?.try_into().map_err(unreadable)?;
            let left = signing::sign(core, caller, request).await?;
            Ok(Reply::of(&v1::UnsignedWork::from(left)))
        }
        ApiOp::JobResults => {
            let request: ReadResults = call
                .open::<v1::ReadResults>()?
                .try_into()
                .map_err(unreadable)?;
            confine::seen_job(core, caller, request.job).await?;
            let online = core.presence().online(core.now().instant);
            let page = read(core, "read results", move |db| {
                job::page(db, &request, &online)
            })
            .await?;
            Ok(Reply::of(&v1::ResultPage::from(page)))
        }
        ApiOp::JobSearches => {
            let request: ReadSearches = call
                .open::<v1::ReadSearches>()?
                .try_into()
                .map_err(unreadable)?;
            confine::seen_job(core, caller, request.job).await?;
            let page = read(core, "read discoveries", move |db| {
                job::searches(db, &request)
            })
            .await?;
            Ok(Reply::of(&v1::SearchPage::from(page)))
        }
        ApiOp::InventoryList => {
            let mut request: ListDevices = call
                .open::<v1::ListDevices>()?
                .try_into()
                .map_err(unreadable)?;
            caller.confine(&mut request.tenants)?;
            check::list_devices(&request)?;
            let page = read(core, "list devices", move |db| {
                inventory::list(db, &request)
            })
            .await?;
            Ok(Reply::of(&v1::DevicePage::from(page)))
        }
        ApiOp::InventoryShow => {
            let request: ShowDevice = call.open::<v1::ShowDevice>()?.into();
            let view = read(core, "show a device", move |db| {
                inventory::show(db, &request)
            })
            .await?;
            caller.check_site(&view.site)?;
            Ok(Reply::of(&v1::DeviceView::from(view)))
        }
        ApiOp::InventoryImport => {
            let request: ImportDevices = call
                .open::<v1::ImportDevices>()?
                .try_into()
                .map_err(unreadable)?;
            for (site, _) in &request.entries {
                caller.check_site(site)?;
            }
            let imported = import(core, caller, request).await?;
            Ok(Reply::of(&imported))
        }
        ApiOp::InventoryEdit => {
            let request = call.open::<v1::EditDevices>()?.into();
            let page = history::edit(core, caller, request).await?;
            Ok(Reply::of(&v1::DevicePage::from(page)))
        }
        ApiOp::InventoryResults => {
            let request: ImportResults = call
                .open::<v1::ImportResults>()?
                .try_into()
                .map_err(unreadable)?;
            caller.check_site(&request.site)?;
            let imported = history::import_results(core, caller, request).await?;
            Ok(Reply::of(&v1::Imported::from(imported)))
        }
        ApiOp::ChangeList => {
            let mut request: ListChanges = call
                .open::<v1::ListChanges>()?
                .try_into()
                .map_err(unreadable)?;
            caller.confine(&mut request.tenants)?;
            let page = history::list_changes(core, request).await?;
            Ok(Reply::of(&v1::ChangePage::from(page)))
        }
        ApiOp::QueryRun => {
            let request = call.open::<v1::RunQuery>()?.into();
            let page = history::query(core, user, request).await?;
            Ok(Reply::of(&v1::QueryPage::from(page)))
        }
        ApiOp::SiteList => {
            let mut request: ListSites = call
                .open::<v1::ListSites>()?
                .try_into()
                .map_err(unreadable)?;
            caller.confine(&mut request.tenants)?;
            let page = fleet::list_sites(core, request).await?;
            Ok(Reply::of(&v1::SiteList::from(page)))
        }
        ApiOp::SiteAdd => {
            let request: AddSite = call.open::<v1::AddSite>()?.try_into().map_err(unreadable)?;
            caller.check_site(&request.site)?;
            let view = fleet::add_site(core, caller, request).await?;
            Ok(Reply::of(&v1::SiteView::from(view)))
        }
        ApiOp::AgentList => {
            let request = call.open::<v1::ListAgents>()?.into();
            let page = fleet::list_agents(core, caller, &request)?;
            Ok(Reply::of(&v1::AgentList::from(page)))
        }
        ApiOp::AuditList => {
            let request: ListAudit = call
                .open::<v1::ListAudit>()?
                .try_into()
                .map_err(unreadable)?;
            let page = audited::list(core, caller, request).await?;
            Ok(Reply::of(&v1::AuditPage::from(page)))
        }
        ApiOp::CoordinatorCheck => {
            let checkup = checkup::examine(core).await.map_err(store_error)?;
            Ok(Reply::of(&v1::Checkup::from(checkup)))
        }
        ApiOp::CoordinatorInfo => {
            let at = read(core, "read the cursor", site::position).await?;
            Ok(Reply::of(&v1::CoordinatorInfo::from(CoordinatorInfo {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                started_at: core.started_at,
                applied: at.cursor,
                quarantined: at.quarantined,
            })))
        }
        ApiOp::PictureList => pictures::list(core, caller, call).await,
        ApiOp::PictureRead => pictures::part(core, caller, call).await,
        ApiOp::CredentialKeys => {
            let request = call.open::<v1::ListSealingKeys>()?.try_into();
            let request = request.map_err(unreadable)?;
            Ok(Reply::of(&pushes::keys(core, caller, request).await?))
        }
        ApiOp::CredentialPush => {
            let request = call.open::<v1::PushCredentials>()?.try_into();
            let request = request.map_err(unreadable)?;
            Ok(Reply::of(&pushes::take(core, caller, request).await?))
        }
        ApiOp::CredentialList => {
            let request = call.open::<v1::ListCredentials>()?.try_into();
            let request = request.map_err(unreadable)?;
            Ok(Reply::of(&pushes::list(core, caller, request).await?))
        }
        ApiOp::RosterUpdate => {
            let document = call.open::<v1::SignedDocument>()?.into();
            let taken = roster::take(core, caller, document).await?;
            Ok(Reply::of(&taken))
        }
    }
}

/// The refusal of a request with a field that makes no sense.
pub(crate) fn unreadable(error: BadField) -> ApiError {
    refuse(
        error.code(),
        format!("the request cannot be used: {error}"),
        "",
    )
}

/// The refusal of a request that the database refused or failed at.
pub(crate) fn store_error(error: StoreError) -> ApiError {
    if let StoreError::Failed {
        source: DbError::Refused(refusal),
        ..
    } = error
    {
        return refusal;
    }
    tracing::error!(error.type = error.code().as_str(), error = chain(&error), "request failed");
    refuse(
        error.code(),
        format!("the coordinator {error}"),
        "see the coordinator's log",
    )
}

fn refuse(code: ErrorCode, message: impl Into<String>, hint: &str) -> ApiError {
    ApiError {
        code,
        message: message.into(),
        hint: hint.to_owned(),
    }
}

async fn read<T: Send + 'static>(
    core: &Core,
    step: &'static str,
    work: impl FnOnce(&rusqlite::Connection) -> Result<T, DbError> + Send + 'static,
) -> Result<T, ApiError> {
    core.store.read(step, work).await.map_err(store_error)
}

async fn submit(
    core: &Core,
    call: &Call,
    caller: &Caller,
    request: SubmitJob,
) -> Result<Submitted, ApiError> {
    check::job(&request.spec)?;
    let span = tracing::info_span!("job.submit", { attribute::JOB } = tracing::field::Empty);
    submit_checked(core, call, caller, request)
        .instrument(span)
        .await
}

async fn submit_checked(
    core: &Core,
    call: &Call,
    caller: &Caller,
    request: SubmitJob,
) -> Result<Submitted, ApiError> {
    let now = core.clock.now();
    let changes = request.spec.work.ask.changes_device();
    let needs_order = core.trust.is_some() && changes;
    let submission = job::Submission {
        online: if changes {
            core.presence().online(core.clock.instant())
        } else {
            BTreeSet::new()
        },
        id: JobId::new(Uuid::new_v7(uuid_time(now.millis()))),
        idempotency: request.idempotency_key,
        spec: request.spec,
        user: caller.name.clone(),
        now,
        traceparent: trace::traceparent(&call.context),
        needs_order,
    };
    let (user, key) = (caller.name.as_str(), caller.user_key.clone());
    let id = core
        .store
        .write("submit a job", move |db| {
            let id = job::submit(db, &submission)?;
            // One that was submitted before has its row.
            if id == submission.id {
                audit::submitted(db, &submission, &key)?;
            }
            Ok(id)
        })
        .await
        .map_err(store_error)?;
    core.audited.notify_one();
    core.jobs_changed();
    tracing::Span::current().record(attribute::JOB, id.to_string());
    let job = watching::view(core, id, "").await.map(|(job, _)| job)?;
    tracing::info!(
        tvt.job.id = %id, user, sites = job.sites_total, devices = job.devices.total, "job submitted"
    );
    Ok(Submitted { job })
}

async fn cancel(core: &Core, caller: &Caller, id: JobId) -> Result<JobView, ApiError> {
    let now = core.clock.now();
    let user = caller.name.as_str();
    let (who, key) = (caller.name.clone(), caller.user_key.clone());
    let changed = core
        .store
        .write("cancel a job", move |db| {
            let changed = job::cancel(db, id, now)?;
            if changed {
                audit::cancelled(db, id, &who, &key, now)?;
            }
            Ok(changed)
        })
        .await
        .map_err(store_error)?;
    if changed {
        tracing::info!(tvt.job.id = %id, user, "job cancelled");
        core.audited.notify_one();
        core.jobs_changed();
    }
    watching::view(core, id, "").await.map(|(job, _)| job)
}

fn unknown_job(id: JobId) -> ApiError {
    refuse(
        ErrorCode::JobUnknown,
        format!("there is no job {id}"),
        "see `tvtctl jobs`",
    )
}

async fn import(
    core: &Core,
    caller: &Caller,
    request: ImportDevices,
) -> Result<v1::Imported, ApiError> {
    let user = caller.name.as_str();
    let (request, refused) = check::import(request)?;
    let now = core.clock.now();
    let id = request.import;
    let mut row = audited::row(core, caller, ApiOp::InventoryImport)
        .for_sites(request.entries.iter().map(|(site, _)| site.clone()));
    row.devices = u32::try_from(request.entries.len()).unwrap_or(u32::MAX);
    row.detail = format!("import {id}");
    let mut imported = core
        .store
        .write("import devices", move |db| {
            let imported = inventory::import(db, &request, now)?;
            row.outcome = format!(
                "{} added, {} updated, {} unchanged, {} refused",
                imported.added,
                imported.updated,
                imported.unchanged,
                imported.refused.len()
            );
            audit::append(db, row)?;
            Ok(imported)
        })
        .await
        .map_err(store_error)?;
    core.audited.notify_one();
    for site in &imported.sites_added {
        core.presence().add(site);
    }
    // Positions are those of the request as it came.
    let kept = |position: u32| refused.original(position);
    imported.refused = imported
        .refused
        .into_iter()
        .map(|(at, code, text)| (kept(at), code, text))
        .collect();
    imported.refused.extend(refused.entries.iter().cloned());
    imported.refused.sort_by_key(|(position, ..)| *position);
    tracing::info!(
        import = %id, user, added = imported.added, updated = imported.updated,
        unchanged = imported.unchanged, refused = imported.refused.len(), "devices imported"
    );
    Ok(v1::Imported::from(imported))
}

/// The time part of a version 7 UUID.
fn uuid_time(millis: i64) -> uuid::Timestamp {
    let millis = u64::try_from(millis).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000)
        .unwrap_or(0)
        .saturating_mul(1_000_000);
    uuid::Timestamp::from_unix(uuid::NoContext, millis / 1000, nanos)
}
