//! Lets agents in: newcomers with a ticket, and agents that are known and ask for a new token.
//!
//! Every kind of request comes in a box that only the coordinator can open, and are answered in one that
//! only the agent can open. Whoever is refused learns nothing about why, and waits.

use std::time::Duration;

use prost::Message as _;

use tvtfleet_bus::rpc::{Call, Reply};
use tvtfleet_bus::trust::{
    SealedBox, SignedDocument, Ticket, TrustError, check_attest, check_join, open, seal,
};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::model::audit::{AuditDecision, AuditEntry};
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::wire::v1;
use tvtfleet_proto::wire::v1::enrol_request::Kind;

use crate::audit;
use crate::core::Core;
use crate::serve::store_error;
use crate::store::audit as rows;
use crate::store::belief::{self, AgentKey};

use super::{Trust, rotate};

/// The largest request inside its box, in bytes.
const REQUEST_MAX: usize = 8 * 1024;
/// How long whoever is refused waits for the answer.
const REFUSAL_DELAY: Duration = Duration::from_secs(1);
const WHAT: &str = "the request";

/// Why somebody is not let in: for the log, not for the asker.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the coordinator has no trust section")]
    NoTrust,
    #[error("the request cannot be read")]
    Unreadable,
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("the ticket has expired")]
    Expired,
    #[error("the ticket was used by another agent")]
    Used,
    #[error("the tenant is not known")]
    Tenant,
    #[error("another agent, or none, is enrolled for the site")]
    Stranger,
    #[error("the agent was revoked")]
    Revoked,
    #[error("the box was sealed by somebody else")]
    Sender,
    #[error("nobody asked the agent for new keys")]
    Unasked,
    #[error("the new keys are known already")]
    Known,
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

/// Answers a request for enrolment or for a new token. `site` is the site of the subject, where it has
/// one.
pub(crate) async fn answer(
    core: Core,
    call: Call,
    site: Option<SiteId>,
) -> Result<Reply, ApiError> {
    match admit(&core, &call, site.as_ref()).await {
        Ok(reply) => Ok(reply),
        Err(Refusal::Store(error)) => Err(store_error(error)),
        Err(refusal) => {
            let entry = AuditEntry {
                code: ErrorCode::TrustRefused.as_str().to_owned(),
                outcome: refusal.to_string(),
                ..audit::row_of(&core, "agent", "", "agent.admit", AuditDecision::Refused)
            };
            audit::note_refused(&core, entry.for_sites(site)).await;
            tracing::warn!(
                error.type = ErrorCode::TrustRefused.as_str(), subject = call.subject,
                reason = %refusal, "nobody is let in"
            );
            tokio::time::sleep(REFUSAL_DELAY).await;
            Err(ApiError {
                code: ErrorCode::TrustRefused,
                message: "the coordinator does not let this agent in".to_owned(),
                hint: "ask for a new join string; the coordinator's log says why".to_owned(),
            })
        }
    }
}

async fn admit(core: &Core, call: &Call, site: Option<&SiteId>) -> Result<Reply, Refusal> {
    let trust = core.trust.as_deref().ok_or(Refusal::NoTrust)?;
    let sealed = call.open::<v1::Sealed>().map_err(|_| Refusal::Unreadable)?;
    let sealed = SealedBox::from(sealed);
    let request = open(WHAT, &sealed, trust.key())?;
    if request.len() > REQUEST_MAX {
        return Err(Refusal::Unreadable);
    }
    let request = v1::EnrolRequest::decode(request.as_slice()).map_err(|_| Refusal::Unreadable)?;
    let now = core.clock.now();
    let (agent, reader) = match (request.kind.ok_or(Refusal::Unreadable)?, site) {
        (Kind::Join(join), None) => {
            let agent = enrol(core, trust, join, now).await?;
            let reader = agent.curve_key.clone();
            (agent, reader)
        }
        (Kind::Rotate(keys), Some(site)) => {
            let named = rotate::name(core, trust, site, keys, &sealed.sender, now).await?;
            (named.new, named.old.curve_key)
        }
        (Kind::Join(_) | Kind::Rotate(_), _) => return Err(Refusal::Unreadable),
        (Kind::Attest(attest), site) => {
            let agent = recognise(core, trust, attest).await?;
            if site.is_some_and(|site| *site != agent.site) {
                return Err(Refusal::Stranger);
            }
            if sealed.sender != agent.curve_key {
                return Err(Refusal::Sender);
            }
            if agent.pending {
                rotate::take_over(core, &agent).await?;
            }
            let reader = agent.curve_key.clone();
            (agent, reader)
        }
    };
    if sealed.sender != reader {
        return Err(Refusal::Sender);
    }
    let expires_at = now.after(trust.token_life());
    let token = trust
        .agent_token(&agent.site, &agent.user_key, now, expires_at)
        .ok_or(Refusal::Tenant)??;
    let user_key = agent.user_key.clone();
    core.store
        .write("note a new token", move |db| {
            belief::renewed(db, &user_key, now)
        })
        .await?;
    let reply = v1::EnrolReply {
        token,
        server_time_ms: now.millis(),
    };
    let sealed = seal(&reply.encode_to_vec(), trust.key(), &reader)?;
    tracing::info!(tvt.site.id = %agent.site, agent = agent.user_key, "agent has a new token");
    Ok(Reply::of(&v1::Sealed::from(sealed)))
}

/// A newcomer with a ticket.
async fn enrol(
    core: &Core,
    trust: &Trust,
    join: v1::Join,
    now: UtcMillis,
) -> Result<AgentKey, Refusal> {
    let document = SignedDocument::from(join.ticket.ok_or(Refusal::Unreadable)?);
    let ticket: Ticket = document.verify(trust.authority())?;
    if now > ticket.expires_at() {
        return Err(Refusal::Expired);
    }
    let site = ticket.site()?;
    if !trust.knows(&site.tenant) {
        return Err(Refusal::Tenant);
    }
    check_join(&join.user_key, &document, &join.curve_key, &join.signature)?;
    let agent = AgentKey {
        site: site.clone(),
        user_key: join.user_key,
        curve_key: join.curve_key,
        hostname: join.hostname,
        enrolled_at: now,
        pending: false,
        // Its keys are new.
        rotation: trust.rotation(&site),
    };
    if trust.is_revoked(&agent) {
        return Err(Refusal::Revoked);
    }
    let stored = agent.clone();
    let row = audit::row_of(
        core,
        "agent",
        &agent.user_key,
        "agent.enrol",
        AuditDecision::Admitted,
    );
    let row = AuditEntry {
        detail: format!("ticket {}, host {:?}", ticket.id, agent.hostname),
        outcome: "enrolled".to_owned(),
        ..row
    }
    .for_sites([site.clone()]);
    let enrolled = core
        .store
        .write("enrol an agent", move |db| {
            let known = belief::agent(db, &stored.site)?;
            let is_new = known.is_none_or(|known| known.user_key != stored.user_key);
            let enrolled = belief::enrol(db, &ticket.id, &stored)?;
            // An agent that did not hear the answer asks again.
            if enrolled && is_new {
                rows::append(db, row)?;
            }
            Ok((enrolled, is_new))
        })
        .await?;
    core.audited.notify_one();
    match enrolled {
        (false, _) => return Err(Refusal::Used),
        (true, true) => core.presence().succeeded(&site),
        (true, false) => {}
    }
    tracing::info!(tvt.site.id = %site, agent = agent.user_key, hostname = agent.hostname, "agent enrolled");
    Ok(agent)
}

/// An agent that is known: the one that counts, or the same with keys that it has named.
pub(super) async fn recognise(
    core: &Core,
    trust: &Trust,
    attest: v1::Attest,
) -> Result<AgentKey, Refusal> {
    let site: SiteId = format!("{}/{}", attest.tenant, attest.site)
        .parse()
        .map_err(|_| Refusal::Unreadable)?;
    let asked_at = UtcMillis::new(attest.asked_at_ms);
    check_attest(&attest.user_key, &site, asked_at, &attest.signature)?;
    // An old request may be sent again by anybody who saw it: the answer is of use to its agent only.
    let (counts, all) = core
        .store
        .read("find an agent", move |db| {
            Ok((belief::agent(db, &site)?, belief::agents(db, &site)?))
        })
        .await?;
    let next = all.into_iter().filter(|agent| agent.pending);
    let agent = counts
        .into_iter()
        .chain(next)
        .find(|agent| agent.user_key == attest.user_key)
        .ok_or(Refusal::Stranger)?;
    if trust.is_revoked(&agent) {
        return Err(Refusal::Revoked);
    }
    Ok(agent)
}
