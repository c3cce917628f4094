//! Lets an agent that the authority asked for it go on with new keys.
//!
//! The agent names them over its own line, signed with its old key and with the new one. The old keys
//! count until the new ones are used once: whatever is cut off in between, one of the two gets through.

use tvtfleet_bus::trust::{XKey, check_rotate};
use tvtfleet_proto::model::audit::{AuditDecision, AuditEntry};
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::wire::v1;

use crate::audit;
use crate::core::Core;
use crate::store::audit as rows;
use crate::store::belief::{self, AgentKey};

use super::Trust;
use super::enrol::{Refusal, recognise};

/// An agent with the keys that it has and those that it names.
pub(super) struct Named {
    pub(super) old: AgentKey,
    pub(super) new: AgentKey,
}

/// Whether the agent of a site is to change its keys and has not done so.
pub(crate) async fn is_wanted(core: &Core, site: &SiteId) -> bool {
    let wanted = match core.trust.as_deref() {
        Some(trust) => trust.rotation(site),
        None => 0,
    };
    if wanted == 0 {
        return false;
    }
    let asked = site.clone();
    let agent = core
        .store
        .read("find an agent", move |db| belief::agent(db, &asked))
        .await;
    // What the database cannot say now it says at the next heartbeat.
    matches!(agent, Ok(Some(agent)) if agent.rotation < wanted)
}

/// Stores the keys that an agent names. `sender` sealed the request.
pub(super) async fn name(
    core: &Core,
    trust: &Trust,
    site: &SiteId,
    rotate: v1::Rotate,
    sender: &str,
    now: UtcMillis,
) -> Result<Named, Refusal> {
    let attest = rotate.attest.ok_or(Refusal::Unreadable)?;
    let asked_at = UtcMillis::new(attest.asked_at_ms);
    let old = recognise(core, trust, attest).await?;
    if old.site != *site || old.pending {
        return Err(Refusal::Stranger);
    }
    if sender != old.curve_key {
        return Err(Refusal::Sender);
    }
    let wanted = trust.rotation(site);
    if wanted <= old.rotation {
        return Err(Refusal::Unasked);
    }
    let keys = (rotate.user_key.as_str(), rotate.curve_key.as_str());
    check_rotate(&old.user_key, site, asked_at, keys, &rotate.old_signature)?;
    check_rotate(keys.0, site, asked_at, keys, &rotate.new_signature)?;
    XKey::from_public_key(keys.1).map_err(|_| Refusal::Unreadable)?;
    let after_old = old.enrolled_at.millis().saturating_add(1);
    let new = AgentKey {
        site: site.clone(),
        user_key: rotate.user_key,
        curve_key: rotate.curve_key,
        hostname: old.hostname.clone(),
        enrolled_at: now.max(UtcMillis::new(after_old)),
        pending: true,
        rotation: wanted,
    };
    let (stored, row) = (
        new.clone(),
        row(core, &old.user_key, "agent.rotate", AuditDecision::Admitted),
    );
    let row = AuditEntry {
        detail: format!("new keys {}, {}", new.user_key, new.curve_key),
        outcome: "named; the old ones are good until these are used".to_owned(),
        ..row
    }
    .for_sites([site.clone()]);
    let named = core.store.write("name new keys of an agent", move |db| {
        let known = belief::agents(db, &stored.site)?;
        // An agent that did not hear the answer asks again.
        let again = known.iter().any(|known| {
            known.pending
                && (&known.user_key, &known.curve_key) == (&stored.user_key, &stored.curve_key)
        });
        if again {
            return Ok(true);
        }
        let named = belief::succeed(db, &stored)?;
        if named {
            rows::append(db, row)?;
        }
        Ok(named)
    });
    if !named.await? {
        return Err(Refusal::Known);
    }
    core.audited.notify_one();
    tracing::info!(tvt.site.id = %site, agent = old.user_key, new = new.user_key, "agent names new keys");
    Ok(Named { old, new })
}

/// Lets the keys of an agent count that it has just used for the first time.
pub(super) async fn take_over(core: &Core, agent: &AgentKey) -> Result<(), Refusal> {
    let row = row(core, &agent.user_key, "agent.rotated", AuditDecision::Noted);
    let row = AuditEntry {
        outcome: "the new keys count; the old ones do not any more".to_owned(),
        ..row
    }
    .for_sites([agent.site.clone()]);
    let user_key = agent.user_key.clone();
    core.store
        .write("let new keys of an agent count", move |db| {
            if belief::take_over(db, &user_key)? {
                rows::append(db, row)?;
            }
            Ok(())
        })
        .await?;
    core.audited.notify_one();
    tracing::info!(tvt.site.id = %agent.site, agent = agent.user_key, "agent uses its new keys");
    Ok(())
}

fn row(core: &Core, user_key: &str, kind: &str, decision: AuditDecision) -> AuditEntry {
    audit::row_of(core, "agent", user_key, kind, decision)
}
