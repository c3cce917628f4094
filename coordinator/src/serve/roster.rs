//! Takes what the fleet's authority says.

use tvtfleet_bus::trust::SignedDocument;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::model::audit::AuditEntry;
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::subject::ApiOp;
use tvtfleet_proto::wire::v1;

use crate::core::Core;
use crate::store::{audit, belief};
use crate::trust::{Caller, Trust};

use super::{audited, read, refuse, store_error};

/// Believes a newer roster, stores it, and names the agents that are revoked.
pub(super) async fn take(
    core: &Core,
    caller: &Caller,
    document: SignedDocument,
) -> Result<v1::RosterTaken, ApiError> {
    let Some(trust) = core.trust.clone() else {
        return Err(refuse(
            ErrorCode::TrustRefused,
            "this coordinator has no trust section",
            "use the coordinator.toml that `tvtctl admin init` wrote",
        ));
    };
    let text = serde_json::to_string(&document)
        .map_err(|error| refuse(ErrorCode::Internal, error.to_string(), ""))?;
    let adopted = trust.adopt(&document).map_err(|error| {
        tracing::warn!(error.type = error.code().as_str(), %error, "a roster is not believed");
        refuse(
            error.code(),
            error.to_string(),
            "use the folder of this fleet",
        )
    })?;
    let revision = adopted.revision;
    if adopted.is_new {
        let row = AuditEntry {
            // Whoever brings the words: they are those of whoever holds the fleet's folder.
            who: "authority".to_owned(),
            detail: format!("revision {revision} of whom to believe"),
            outcome: trust.summary(),
            ..audited::row(core, caller, ApiOp::RosterUpdate)
        };
        core.store
            .write("store the roster", move |db| {
                belief::save_roster(db, revision, &text)?;
                audit::append(db, row)
            })
            .await
            .map_err(store_error)?;
        // The agents hear whose orders count.
        core.wants_outdated.notify_one();
        core.audited.notify_one();
        tracing::info!(revision, "the authority's roster has changed");
    }
    let mut revoked = Vec::new();
    for site in trust.revoked_sites() {
        let agents = read(core, "find agents", move |db| belief::agents(db, &site)).await?;
        let agents = agents.into_iter().filter(|agent| trust.is_revoked(agent));
        revoked.extend(agents.map(|agent| v1::RevokedAgent {
            tenant: agent.site.tenant.to_string(),
            site: agent.site.site.to_string(),
            user_key: agent.user_key,
        }));
    }
    let mut rotated = Vec::new();
    for site in trust.rotating_sites() {
        rotated.push(rotation_of(core, &trust, site).await?);
    }
    Ok(v1::RosterTaken {
        revision,
        revoked,
        rotated,
    })
}

/// How far the agent of a site is with its new keys.
async fn rotation_of(
    core: &Core,
    trust: &Trust,
    site: SiteId,
) -> Result<v1::RotatedAgent, ApiError> {
    let (asked, wanted) = (site.clone(), trust.rotation(&site));
    let agents = read(core, "find agents", move |db| belief::agents(db, &asked)).await?;
    let counts = agents.iter().rfind(|agent| !agent.pending);
    let usable = counts.filter(|agent| !trust.is_revoked(agent));
    let refused = match usable {
        Some(_) => String::new(),
        None => ErrorCode::TrustRefused.as_str().to_owned(),
    };
    let done = usable.is_some_and(|agent| agent.rotation >= wanted);
    let (user_key, curve_key) = usable.map_or_else(Default::default, |agent| {
        (agent.user_key.clone(), agent.curve_key.clone())
    });
    let others = agents
        .into_iter()
        .filter(|agent| done && !agent.pending && agent.user_key != user_key);
    Ok(v1::RotatedAgent {
        tenant: site.tenant.to_string(),
        site: site.site.to_string(),
        done,
        refused,
        replaced: others.map(|agent| agent.user_key).collect(),
        user_key,
        curve_key,
    })
}
