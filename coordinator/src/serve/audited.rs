//! What of requests goes into the audit, and reading it.

use tvtfleet_bus::rpc::Call;
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::api::{AddSite, ApiError, SubmitJob};
use tvtfleet_proto::model::audit::{AuditDecision, AuditEntry, AuditPage, ListAudit};
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::job::Selector;
use tvtfleet_proto::model::query::ImportResults;
use tvtfleet_proto::subject::ApiOp;
use tvtfleet_proto::wire::v1;

use crate::audit as keeper;
use crate::core::Core;
use crate::store::audit;
use crate::trust::{Caller, Scope};

use super::read;

/// What is in the way of a list longer than this, in names, is a mistake.
const NAMES_MAX: usize = 1000;

/// Whether a request changes something or has devices asked.
const fn changes(op: ApiOp) -> bool {
    match op {
        ApiOp::JobSubmit
        | ApiOp::JobCancel
        | ApiOp::JobSign
        | ApiOp::InventoryImport
        | ApiOp::InventoryEdit
        | ApiOp::InventoryResults
        | ApiOp::SiteAdd
        | ApiOp::CredentialPush
        | ApiOp::RosterUpdate => true,
        ApiOp::JobList
        | ApiOp::JobShow
        | ApiOp::JobResults
        | ApiOp::JobSearches
        | ApiOp::InventoryList
        | ApiOp::InventoryShow
        | ApiOp::ChangeList
        | ApiOp::QueryRun
        | ApiOp::SiteList
        | ApiOp::AgentList
        | ApiOp::CoordinatorInfo
        | ApiOp::CoordinatorCheck
        | ApiOp::AuditList
        | ApiOp::PictureList
        | ApiOp::PictureRead
        | ApiOp::CredentialKeys
        | ApiOp::CredentialList => false,
    }
}

/// The row of a request that was done. What comes of it is for the request's own code to fill in.
pub(super) fn row(core: &Core, caller: &Caller, op: ApiOp) -> AuditEntry {
    let (who, key) = (&caller.name, &caller.user_key);
    keeper::row_of(core, who, key, &kind(op), AuditDecision::Admitted)
}

/// Notes a request that was not done, where it would have changed something, or somebody asked for
/// what is not his or hers.
pub(super) async fn refused(
    core: &Core,
    call: &Call,
    (who, key): (&str, &str),
    op: ApiOp,
    error: &ApiError,
) {
    if !changes(op) && error.code != ErrorCode::TrustForbidden {
        return;
    }
    let is_failure = matches!(
        error.code.kind(),
        ErrorKind::Storage | ErrorKind::Internal | ErrorKind::Bus
    );
    let decision = if is_failure {
        AuditDecision::Failed
    } else {
        AuditDecision::Refused
    };
    let (sites, detail) = asked_for(call, op);
    let entry = AuditEntry {
        code: error.code.as_str().to_owned(),
        detail,
        outcome: error.message.clone(),
        ..keeper::row_of(core, who, key, &kind(op), decision)
    };
    keeper::note_refused(core, entry.for_sites(sites)).await;
}

/// Reads a page of the audit. Operators of some tenants see what is about those only, and nothing of
/// the chain as a whole.
pub(super) async fn list(
    core: &Core,
    caller: &Caller,
    mut request: ListAudit,
) -> Result<AuditPage, ApiError> {
    caller.confine(&mut request.tenants)?;
    let names = [
        request.tenants.len(),
        request.sites.len(),
        request.who.len(),
        request.kinds.len(),
    ];
    if names.into_iter().any(|count| count > NAMES_MAX) {
        let text = format!("more than {NAMES_MAX} names");
        return Err(super::refuse(ErrorCode::UsageInvalid, text, ""));
    }
    // Read before the rows: the end that it knows is among them then.
    let witness = keeper::witness(core).await;
    let mut page = read(core, "read the audit", move |db| audit::list(db, &request)).await?;
    if caller.scope == Scope::All {
        page.witness = witness;
    } else {
        page.head = None;
    }
    Ok(page)
}

fn kind(op: ApiOp) -> String {
    let (noun, verb) = op.tokens();
    format!("{noun}.{verb}")
}

/// What a request asks for, as far as it can be read.
fn asked_for(call: &Call, op: ApiOp) -> (Vec<SiteId>, String) {
    let none = (Vec::new(), String::new());
    if op == ApiOp::JobSubmit {
        let request = call.open::<v1::SubmitJob>().map(SubmitJob::try_from);
        let Ok(Ok(request)) = request else {
            return none;
        };
        let selector = request.spec.selector;
        let text = audit::described(&selector);
        let detail = format!("{} of {text}", audit::ordered(&request.spec.work));
        return match selector {
            Selector::Match { sites, .. } => (sites, detail),
            Selector::All | Selector::Import(_) | Selector::FailedOf(_) => (Vec::new(), detail),
        };
    }
    if op == ApiOp::SiteAdd {
        return match call.open::<v1::AddSite>().map(AddSite::try_from) {
            Ok(Ok(request)) => (vec![request.site], request.display_name),
            _ => none,
        };
    }
    if op == ApiOp::InventoryResults {
        let request = call.open::<v1::ImportResults>();
        return match request.map(ImportResults::try_from) {
            Ok(Ok(request)) => (vec![request.site], String::new()),
            _ => none,
        };
    }
    none
}
