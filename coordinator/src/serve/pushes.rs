//! Takes device credentials that operators push to sites, and says what became of them. What is secret is
//! sealed to the agents: the coordinator cannot read it.

use tvtfleet_bus::trust::{OperatorList, OrderFault, SignedDocument};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::model::audit::AuditEntry;
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::push::{ListCredentials, ListSealingKeys, PUSHES_MAX, PushCredentials};
use tvtfleet_proto::model::signed::SignedStatement;
use tvtfleet_proto::subject::ApiOp;
use tvtfleet_proto::wire::v1;

use crate::core::Core;
use crate::store::audit;
use crate::store::credential::{self, Push};
use crate::trust::{Caller, Trust};

use super::{audited, read, refuse, signing, store_error};

/// The most tenants or sites that a list names.
const NAMES_MAX: usize = 1_000;

/// Checks and stores pushes; each site gets its own with its next want document.
pub(super) async fn take(
    core: &Core,
    caller: &Caller,
    request: PushCredentials,
) -> Result<v1::CredentialsPushed, ApiError> {
    let Some(trust) = core.trust.as_deref() else {
        let text = "this coordinator has no trust section: there are no keys to seal to";
        return Err(refuse(ErrorCode::PushRefused, text, ""));
    };
    if request.pushes.len() > PUSHES_MAX {
        let text = format!("more than {PUSHES_MAX} credentials");
        return Err(refuse(
            ErrorCode::MessageInvalid,
            text,
            "send less at a time",
        ));
    }
    let now = core.clock.now();
    let mut pushes = Vec::new();
    let mut labels = std::collections::BTreeSet::new();
    for (site, signed) in request.pushes {
        caller.check_site(&site)?;
        let push = open(trust, caller, &site, signed).map_err(|fault| refusal(&site, fault))?;
        let statement = &push.statement;
        statement
            .check(&site, &statement.reader, now)
            .map_err(|fault| refusal(&site, fault))?;
        labels.insert(statement.label.clone());
        pushes.push(push);
    }
    let count = u32::try_from(pushes.len()).unwrap_or(u32::MAX);
    if pushes.is_empty() {
        return Ok(v1::CredentialsPushed { sites: 0 });
    }
    let labels: Vec<String> = labels.into_iter().collect();
    let row = AuditEntry {
        detail: format!("credentials {}", labels.join(", ")),
        outcome: format!("on their way to {count} sites"),
        ..audited::row(core, caller, ApiOp::CredentialPush)
            .for_sites(pushes.iter().map(|push| push.site.clone()))
    };
    let by = caller.name.clone();
    core.store
        .write("store pushed credentials", move |db| {
            credential::store(db, &pushes, &by, now)?;
            audit::append(db, row)
        })
        .await
        .map_err(store_error)?;
    tracing::info!(user = caller.name, sites = count, labels = %labels.join(","), "credentials were pushed");
    core.wants_outdated.notify_one();
    core.audited.notify_one();
    Ok(v1::CredentialsPushed { sites: count })
}

/// Lists pushes of the caller's tenants.
pub(super) async fn list(
    core: &Core,
    caller: &Caller,
    mut request: ListCredentials,
) -> Result<v1::CredentialPage, ApiError> {
    caller.confine(&mut request.tenants)?;
    few(request.tenants.len().max(request.sites.len()))?;
    let now = core.clock.now();
    let page = read(core, "list pushed credentials", move |db| {
        credential::list(db, &request, now)
    });
    Ok(page.await?.into())
}

/// Lists the sealing keys of the agents of the caller's tenants.
pub(super) async fn keys(
    core: &Core,
    caller: &Caller,
    mut request: ListSealingKeys,
) -> Result<v1::SealingKeyPage, ApiError> {
    caller.confine(&mut request.tenants)?;
    few(request.tenants.len().max(request.sites.len()))?;
    let page = read(core, "list sealing keys", move |db| {
        credential::sealing_keys(db, &request)
    });
    Ok(page.await?.into())
}

fn few(names: usize) -> Result<(), ApiError> {
    if names <= NAMES_MAX {
        return Ok(());
    }
    let text = format!("more than {NAMES_MAX} names");
    Err(refuse(ErrorCode::UsageInvalid, text, ""))
}

/// Reads a push as the agent of the site would: by the list that it has. Only the caller's own counts.
fn open(
    trust: &Trust,
    caller: &Caller,
    site: &SiteId,
    signed: SignedStatement,
) -> Result<Push, OrderFault> {
    let own: OperatorList = signing::own_list(trust, caller, &site.tenant)?;
    let statement = own.push(&SignedDocument::from(signed.clone()))?;
    let id = statement.id().ok_or(OrderFault::Content)?;
    if statement
        .label
        .parse::<tvtfleet_proto::model::id::CredentialLabel>()
        .is_err()
    {
        return Err(OrderFault::Content);
    }
    Ok(Push {
        id,
        site: site.clone(),
        statement,
        document: signed,
    })
}

fn refusal(site: &SiteId, fault: OrderFault) -> ApiError {
    refuse(
        ErrorCode::PushRefused,
        format!("{site}: {fault}"),
        "use the credentials of the operator; an admin may have to bring the roster up to date",
    )
}
