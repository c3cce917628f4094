//! Answers the agents: hello, heartbeat, progress, and work that is too large for a want document.

use std::sync::Arc;

use tvtfleet_bus::rpc::{Call, Reply};
use tvtfleet_proto::convert::BadField;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::agent::{AgentFacts, Heartbeat, Hello, Progress, Watermark};
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::model::backend::BackendState;
use tvtfleet_proto::model::id::{JobId, SiteId};
use tvtfleet_proto::model::picture::{ASKED_MAX, PictureState};
use tvtfleet_proto::subject::{self, RpcOp};
use tvtfleet_proto::wire::v1;
use uuid::Uuid;

use crate::core::Core;
use crate::presence;
use crate::serve::{store_error, unreadable};
use crate::store::picture;
use crate::store::site::{self, Claim};
use crate::trust as enrolment;

/// The longest text that an agent may say of itself, in characters.
const FACT_MAX: usize = 200;
/// The most backends of one agent.
const BACKENDS_MAX: usize = 16;
/// How much of the reason why one cannot be used is kept, in characters.
const DETAIL_MAX: usize = 1000;

/// Answers one request of an agent.
pub(crate) async fn answer(core: Core, call: Call) -> Result<Reply, ApiError> {
    let Some((site, op)) = subject::parse_rpc(&call.subject) else {
        return Err(refuse(ErrorCode::MessageInvalid, "no such request"));
    };
    match op {
        RpcOp::Hello => {
            let hello: Hello = call.open::<v1::Hello>()?.try_into().map_err(unreadable)?;
            check_site(&site, &hello.site)?;
            let mut watermark = greet(&core, shortened(hello)).await?;
            watermark.rotate =
                watermark.refused.is_none() && enrolment::is_wanted(&core, &site).await;
            Ok(Reply::of(&v1::Watermark::from(watermark)))
        }
        RpcOp::Heartbeat => {
            let beat: Heartbeat = call
                .open::<v1::Heartbeat>()?
                .try_into()
                .map_err(unreadable)?;
            check_site(&site, &beat.site)?;
            let idle = core.is_idle();
            let mut watermark = core.presence().heartbeat(&beat, idle, core.now());
            watermark.rotate =
                watermark.refused.is_none() && enrolment::is_wanted(&core, &site).await;
            Ok(Reply::of(&v1::Watermark::from(watermark)))
        }
        RpcOp::Progress => {
            let progress: Progress = call
                .open::<v1::Progress>()?
                .try_into()
                .map_err(unreadable)?;
            core.presence().progress(&site, progress, core.now());
            Ok(Reply::of(&v1::Progress::from(progress)))
        }
        RpcOp::Pictures => pictures(&core, site, call.open()?).await,
        RpcOp::Renew => enrolment::answer(core, call, Some(site)).await,
        RpcOp::Spec => {
            let request: v1::SpecRequest = call.open()?;
            let job = Uuid::from_slice(&request.job)
                .map_err(|_| unreadable(BadField::new("job", "not 16 bytes")))?;
            let work = core
                .store
                .read("read the work of a site", move |db| {
                    site::work(db, &site, JobId::new(job))
                })
                .await
                .map_err(store_error)?;
            Ok(Reply::of(&v1::SpecReply {
                work: work.map(v1::SiteWork::from),
            }))
        }
    }
}

/// Tells a site how much of its pictures is here.
async fn pictures(core: &Core, site: SiteId, request: v1::AskPictures) -> Result<Reply, ApiError> {
    let named = request
        .site
        .parse()
        .map_err(|_| unreadable(BadField::new("site", "not a site")))?;
    check_site(&site, &named)?;
    let digests = request.digests().map_err(unreadable)?;
    if digests.len() > ASKED_MAX {
        return Err(unreadable(BadField::new("sha256", "too many")));
    }
    let dropped = request.dropped_digests().map_err(unreadable)?;
    if dropped.len() > ASKED_MAX {
        return Err(unreadable(BadField::new("dropped", "too many")));
    }
    if !dropped.is_empty() {
        let site = site.clone();
        core.store
            .write("note pictures that will not come", move |db| {
                picture::drop_out(db, &site, &dropped)
            })
            .await
            .map_err(store_error)?;
    }
    let (tenant, asked) = (site.tenant.clone(), digests.clone());
    let stored = core
        .store
        .read("look for pictures", move |db| {
            picture::stored(db, &tenant, &asked)
        })
        .await
        .map_err(store_error)?;
    let folder = Arc::clone(&core.pictures);
    let full = folder.is_full();
    let states = tokio::task::spawn_blocking(move || {
        let states = digests.into_iter().zip(stored).map(|(digest, stored)| {
            v1::PictureState::from(PictureState {
                digest,
                have: if stored {
                    0
                } else {
                    folder.growing(&site, digest)
                },
                stored,
            })
        });
        states.collect::<Vec<_>>()
    });
    let states = states
        .await
        .map_err(|_| refuse(ErrorCode::Internal, "the pictures could not be looked for"))?;
    Ok(Reply::of(&v1::PictureStates { states, full }))
}

async fn greet(core: &Core, hello: Hello) -> Result<Watermark, ApiError> {
    let now = core.now();
    let known = core.presence().hello(&hello, now);
    if let Some(watermark) = known {
        return Ok(watermark);
    }
    if core.presence().is_copy(&hello, now.instant) {
        tracing::error!(
            tvt.site.id = %hello.site, epoch = %hello.epoch, hostname = hello.facts.hostname,
            "two copies of one agent are running; the second is refused"
        );
        return Ok(presence::refusal(hello.epoch, ErrorCode::SiteClaimed, now));
    }
    let alive = core.presence().is_alive(&hello.site, now.instant);
    let claimed = {
        let hello = hello.clone();
        core.store
            .write("let an agent speak for its site", move |db| {
                site::claim(db, &hello, alive, now.utc)
            })
    };
    let refuse = |code: ErrorCode| {
        tracing::warn!(
            tvt.site.id = %hello.site, error.type = code.as_str(), epoch = %hello.epoch,
            hostname = hello.facts.hostname, "agent refused"
        );
        presence::refusal(hello.epoch, code, now)
    };
    match claimed.await.map_err(store_error)? {
        Claim::UnknownSite => Ok(refuse(ErrorCode::SiteUnknown)),
        Claim::Taken => Ok(refuse(ErrorCode::SiteClaimed)),
        Claim::Granted {
            ledger,
            want,
            lost,
            wants_changed,
        } => {
            tracing::info!(
                tvt.site.id = %hello.site, epoch = %hello.epoch, version = hello.facts.version,
                committed = ledger.committed().0, next = hello.next.0, "agent connected"
            );
            if lost > 0 {
                tracing::warn!(
                    tvt.site.id = %hello.site, batches = lost,
                    "the agent does not hold batches any more that were never applied"
                );
            }
            if wants_changed {
                core.wants_outdated.notify_one();
            }
            Ok(core.presence().granted(&hello, &ledger, want, now))
        }
    }
}

/// The subject is checked by the server, so that the message must agree with it.
fn check_site(subject: &SiteId, message: &SiteId) -> Result<(), ApiError> {
    if subject == message {
        Ok(())
    } else {
        Err(refuse(
            ErrorCode::MessageInvalid,
            "the message names another site than its subject",
        ))
    }
}

fn shortened(hello: Hello) -> Hello {
    let cut = |text: String| text.chars().take(FACT_MAX).collect::<String>();
    let AgentFacts {
        version,
        hostname,
        platform,
        backends,
    } = hello.facts;
    let backends = backends.into_iter().take(BACKENDS_MAX);
    let facts = AgentFacts {
        version: cut(version),
        hostname: cut(hostname),
        platform: cut(platform),
        backends: backends
            .map(|state| BackendState {
                backend: cut(state.backend),
                version: cut(state.version),
                detail: state.detail.chars().take(DETAIL_MAX).collect(),
                ..state
            })
            .collect(),
    };
    Hello {
        facts,
        home: cut(hello.home),
        ..hello
    }
}

fn refuse(code: ErrorCode, message: &str) -> ApiError {
    ApiError {
        code,
        message: message.to_owned(),
        hint: String::new(),
    }
}
