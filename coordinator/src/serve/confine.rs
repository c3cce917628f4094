//! Keeps operators of some tenants to those, where the database has to be asked what belongs to whom.

use tvtfleet_proto::model::api::{ApiError, ShowJob};
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::job::{JobView, Selector};

use crate::core::Core;
use crate::store::{belief, job};
use crate::trust::{Caller, Scope};

use super::{read, unknown_job};

/// Confines what a new job is for.
pub(super) async fn job(
    core: &Core,
    caller: &Caller,
    selector: &mut Selector,
) -> Result<(), ApiError> {
    caller.confine_selector(selector)?;
    match *selector {
        Selector::FailedOf(job) => seen_job(core, caller, job).await,
        Selector::Import(import) if caller.scope != Scope::All => {
            let step = "find the tenants of an import";
            let tenants = read(core, step, move |db| belief::tenants_of_import(db, import)).await?;
            if caller.may_see(&tenants) {
                Ok(())
            } else {
                Err(super::refuse(
                    tvtfleet_proto::error::ErrorCode::TrustForbidden,
                    "the import names devices of other tenants",
                    "",
                ))
            }
        }
        Selector::All | Selector::Match { .. } | Selector::Import(_) => Ok(()),
    }
}

/// Refuses a job that concerns other tenants too, as if there were none.
pub(super) async fn seen_job(core: &Core, caller: &Caller, id: JobId) -> Result<(), ApiError> {
    if caller.scope == Scope::All || may_see(core, caller, id).await? {
        Ok(())
    } else {
        Err(unknown_job(id))
    }
}

/// Leaves of a list the jobs that the operator may see.
pub(super) async fn jobs(
    core: &Core,
    caller: &Caller,
    jobs: Vec<JobView>,
) -> Result<Vec<JobView>, ApiError> {
    if caller.scope == Scope::All {
        return Ok(jobs);
    }
    let mut seen = Vec::new();
    for job in jobs {
        if may_see(core, caller, job.id).await? {
            seen.push(job);
        }
    }
    Ok(seen)
}

/// Names the job that is to be shown, and refuses one that is not the operator's to see.
pub(super) async fn shown_job(
    core: &Core,
    caller: &Caller,
    mut request: ShowJob,
) -> Result<ShowJob, ApiError> {
    if caller.scope == Scope::All {
        return Ok(request);
    }
    if request.job.is_none() {
        request.job = read(core, "find the newest job", job::newest).await?;
    }
    if let Some(id) = request.job {
        seen_job(core, caller, id).await?;
    }
    Ok(request)
}

async fn may_see(core: &Core, caller: &Caller, id: JobId) -> Result<bool, ApiError> {
    let step = "find the tenants of a job";
    let tenants = read(core, step, move |db| belief::tenants_of_job(db, id)).await?;
    Ok(caller.may_see(&tenants))
}
