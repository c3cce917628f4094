//! Takes an operator's orders for a job that changes devices, and says what is still to be signed.

use tvtfleet_bus::trust::{ChangeOrder, OperatorList, OrderFault, SignedDocument};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{ApiError, SignJob, UnsignedWork};
use tvtfleet_proto::model::audit::AuditEntry;
use tvtfleet_proto::model::id::TenantId;
use tvtfleet_proto::model::signed::SignedStatement;
use tvtfleet_proto::subject::ApiOp;
use tvtfleet_proto::wire::v1;

use crate::core::Core;
use crate::store::{audit, job};
use crate::trust::{Caller, Trust};

use super::{audited, confine, read, refuse, store_error, unknown_job};

/// The most orders of one request.
const ORDERS_MAX: usize = 2_000;

/// Checks and stores orders; a site whose work is signed gets it. Returns what is left.
pub(super) async fn sign(
    core: &Core,
    caller: &Caller,
    request: SignJob,
) -> Result<UnsignedWork, ApiError> {
    let id = request.job;
    confine::seen_job(core, caller, id).await?;
    if !request.orders.is_empty() {
        let Some(trust) = core.trust.as_deref() else {
            let text = "this coordinator has no trust section: nobody signs jobs here";
            return Err(refuse(ErrorCode::TrustRefused, text, ""));
        };
        if request.orders.len() > ORDERS_MAX {
            let text = format!("more than {ORDERS_MAX} orders");
            return Err(refuse(
                ErrorCode::MessageInvalid,
                text,
                "send less at a time",
            ));
        }
        let mut orders = Vec::new();
        for (site, signed) in request.orders {
            caller.check_site(&site)?;
            let order = open(trust, caller, &site, signed.clone()).map_err(refusal)?;
            orders.push((site, order, signed));
        }
        let now = core.clock.now();
        let row = AuditEntry {
            job: Some(id),
            outcome: format!("orders stored: {}", orders.len()),
            ..audited::row(core, caller, ApiOp::JobSign)
                .for_sites(orders.iter().map(|(site, ..)| site.clone()))
        };
        let signed = core
            .store
            .write("store orders", move |db| {
                job::sign(db, id, &orders, now)?;
                audit::append(db, row)?;
                Ok(orders.len())
            })
            .await
            .map_err(store_error)?;
        tracing::info!(tvt.job.id = %id, user = caller.name, sites = signed, "work was signed");
        core.audited.notify_one();
        core.jobs_changed();
    }
    read(core, "read unsigned work", move |db| job::unsigned(db, id))
        .await?
        .ok_or_else(|| unknown_job(id))
}

/// Reads an order as an agent of the site would: by the list that the agent has. Only the caller's own
/// counts.
fn open(
    trust: &Trust,
    caller: &Caller,
    site: &tvtfleet_proto::model::id::SiteId,
    signed: SignedStatement,
) -> Result<ChangeOrder, OrderFault> {
    let own = own_list(trust, caller, &site.tenant)?;
    let document = SignedDocument::from(v1::SignedDocument::from(signed));
    own.order(&document)
}

/// The list that agents of a tenant have, with the caller alone on it.
pub(super) fn own_list(
    trust: &Trust,
    caller: &Caller,
    tenant: &TenantId,
) -> Result<OperatorList, OrderFault> {
    let list = trust
        .operators_of(tenant)
        .and_then(|list| OperatorList::read(&list, trust.authority(), tenant).ok())
        .filter(|list| list.keys.contains(&caller.user_key))
        .ok_or(OrderFault::Signer)?;
    Ok(OperatorList {
        keys: vec![caller.user_key.clone()],
        ..list
    })
}

fn refusal(fault: OrderFault) -> ApiError {
    refuse(
        ErrorCode::OrderRefused,
        fault.to_string(),
        "use the credentials of the operator; an admin may have to bring the roster up to date",
    )
}
