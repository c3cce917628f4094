//! One device's turn in a job: its tries, and the report that they come to.

use std::time::Instant;

use tracing::Span;
use tvtfleet_proto::device::cgi::Errand;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::report::{Attempt, DeviceReport, Failure};
use tvtfleet_proto::model::secret::Credential;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::Target;

use crate::device::complete::complete;
use crate::device::gate::LoginGate;
use crate::device::select::{
    Completion, Configured, backends, both_failed, completed, is_incomplete, may_fall_back,
};
use crate::device::{
    Answer, BridgeDevice, BridgeWay, CgiDevice, ChangeOrder, Device, DeviceError, NetsdkDevice,
    ProtocolDevice, Visit, WebApiDevice,
};
use crate::run::JobShared;
use crate::snapshot::take_pictures;

/// What has happened in a device's turn so far.
#[derive(Debug)]
pub(crate) struct Turn {
    target: Target,
    tries: u32,
    attempts: Vec<Attempt>,
    last: Option<Ended>,
}

/// How the last try ended.
#[derive(Debug)]
struct Ended {
    backend: Backend,
    observed_at: UtcMillis,
    result: Result<Answer, DeviceError>,
}

/// What one try came to: one or more backends, one after the other.
#[derive(Debug)]
pub(crate) struct TryEnd {
    attempts: Vec<Attempt>,
    ended: Ended,
}

impl Turn {
    pub(crate) const fn new(target: Target) -> Self {
        Self {
            target,
            tries: 0,
            attempts: Vec::new(),
            last: None,
        }
    }

    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    /// Counts a try. Says whether it is the first.
    pub(crate) const fn begin_try(&mut self) -> bool {
        self.tries = self.tries.saturating_add(1);
        self.tries == 1
    }

    /// How many tries have been begun.
    pub(crate) const fn tries(&self) -> u32 {
        self.tries
    }

    /// Takes the end of a try.
    pub(crate) fn take(&mut self, end: TryEnd) {
        self.attempts.extend(end.attempts);
        self.last = Some(end.ended);
    }

    /// Notes a failure that no driver reported.
    pub(crate) fn fail(&mut self, failure: Failure, now: UtcMillis) {
        self.last = Some(Ended {
            backend: Backend::Protocol,
            observed_at: now,
            result: Err(failure.into()),
        });
    }

    /// How the last try failed, if it did.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.last
            .as_ref()?
            .result
            .as_ref()
            .err()
            .map(|error| &error.failure)
    }

    pub(crate) fn into_report(self, shared: &JobShared) -> DeviceReport {
        let ended = self.last.unwrap_or_else(|| Ended {
            backend: Backend::Protocol,
            observed_at: shared.site.clock.now(),
            result: Err(Failure::new(ErrorCode::Internal, "the device was not asked").into()),
        });
        let (answer, failure) = match ended.result {
            Ok(mut answer) => {
                let failed = answer.failed.take();
                (answer, failed)
            }
            Err(error) => (
                Answer {
                    facts: *error.facts,
                    ..Answer::default()
                },
                Some(error.failure),
            ),
        };
        DeviceReport {
            job: shared.job,
            target: self.target.number,
            ask: shared.options.ask,
            observed_at: ended.observed_at,
            backend: ended.backend,
            facts: answer.facts,
            channels: answer.channels,
            failure,
            warnings: answer.warnings,
            attempts: self.attempts,
            answer: answer.answer,
            found: None,
        }
    }
}

/// Asks a device once, by each backend in turn until one answers in full or none may follow.
pub(crate) async fn try_once(shared: &JobShared, target: &Target, deadline: Instant) -> TryEnd {
    let mut attempts = Vec::new();
    // The wait for somebody else's visit is bounded by the device's time; the drivers then say so.
    let _place = tokio::select! {
        biased;
        place = shared.site.turnstile.enter(&target.endpoint) => Some(place),
        () = shared.cancel.cancelled() => None,
        () = tokio::time::sleep_until(deadline.into()) => None,
    };
    let ask = shared.options.ask;
    let ended = if ask == Ask::Snapshot {
        photograph(shared, target, deadline, &mut attempts).await
    } else {
        ask_in_turn(shared, target, ask, deadline, &mut attempts).await
    };
    log(&ended);
    TryEnd { attempts, ended }
}

/// Takes the pictures of a device: of one channel, or of those that a scan finds.
async fn photograph(
    shared: &JobShared,
    target: &Target,
    deadline: Instant,
    attempts: &mut Vec<Attempt>,
) -> Ended {
    let ended = |backend, result| Ended {
        backend,
        observed_at: shared.site.clock.now(),
        result,
    };
    if let Err(failure) = shared.site.policy.check_ask(Ask::Snapshot, target) {
        return ended(Backend::WebApi, Err(failure.into()));
    }
    // Only a scan tells where the cameras are.
    let scope = &shared.options.scope;
    let scanned = if scope.channel.is_some() && scope.camera.is_none() {
        None
    } else {
        let scan = ask_in_turn(shared, target, Ask::Scan, deadline, attempts).await;
        match scan.result {
            Ok(answer) => Some(answer),
            Err(_) => return scan,
        }
    };
    let answer = take_pictures(shared, target, scanned, deadline).await;
    ended(Backend::WebApi, Ok(answer))
}

/// Asks by each backend in turn until one answers in full or none may follow.
async fn ask_in_turn(
    shared: &JobShared,
    target: &Target,
    ask: Ask,
    deadline: Instant,
    attempts: &mut Vec<Attempt>,
) -> Ended {
    let mut last: Option<Ended> = None;
    let configured = Configured::by(&shared.site.vendor);
    for backend in backends(
        shared.options.backend,
        ask,
        configured,
        &target.endpoint.host,
    ) {
        let (started_at, began) = (shared.site.clock.now(), Instant::now());
        let mut result = ask_by(shared, target, ask, backend, deadline).await;
        let code = result.as_ref().err().map(|error| error.failure.code);
        attempts.push(Attempt {
            backend,
            started_at,
            duration: began.elapsed(),
            code,
        });
        if let Ok(answer) = &mut result {
            complete_answer(shared, target, ask, deadline, answer, attempts).await;
        }
        let ended = Ended {
            backend,
            observed_at: shared.site.clock.now(),
            result,
        };
        let ended = match last.take() {
            Some(earlier) => joined(earlier, ended),
            None => ended,
        };
        let goes_on = match &ended.result {
            Ok(answer) => ask == Ask::Scan && is_incomplete(answer),
            Err(error) => may_fall_back(&error.failure),
        };
        last = Some(ended);
        if !goes_on {
            break;
        }
    }
    last.unwrap_or_else(|| Ended {
        backend: Backend::Protocol,
        observed_at: shared.site.clock.now(),
        result: Err(Failure::new(ErrorCode::UnsupportedVariant, "no way to ask this").into()),
    })
}

/// What two backends in turn come to.
fn joined(earlier: Ended, later: Ended) -> Ended {
    match (earlier.result, later.result) {
        (Ok(known), Ok(answer)) => {
            let backend = if answer.channels.is_empty() {
                earlier.backend
            } else {
                later.backend
            };
            Ended {
                backend,
                result: Ok(completed(known, answer)),
                ..later
            }
        }
        // An answer with gaps is better than none.
        (Ok(answer), Err(_)) => Ended {
            result: Ok(answer),
            ..earlier
        },
        (Err(_), Ok(answer)) => Ended {
            result: Ok(answer),
            ..later
        },
        (Err(first), Err(second)) => Ended {
            result: Err(DeviceError {
                failure: both_failed(
                    (earlier.backend, &first.failure),
                    (later.backend, &second.failure),
                ),
                facts: first.facts,
            }),
            ..earlier
        },
    }
}

/// Asks other interfaces for what is missing in an answer. Their failures are attempts, nothing more.
async fn complete_answer(
    shared: &JobShared,
    target: &Target,
    ask: Ask,
    deadline: Instant,
    answer: &mut Answer,
    attempts: &mut Vec<Attempt>,
) {
    let options = &shared.options;
    if shared.site.web.ports.is_empty() {
        return;
    }
    let Some(completion) = Completion::of(options.backend, ask, answer) else {
        return;
    };
    for backend in completion.backends() {
        let (started_at, began) = (shared.site.clock.now(), Instant::now());
        let result = complete_by(shared, target, *backend, completion, deadline).await;
        let failure = result.as_ref().err().cloned();
        attempts.push(Attempt {
            backend: *backend,
            started_at,
            duration: began.elapsed(),
            code: failure.as_ref().map(|failure| failure.code),
        });
        if let Ok(more) = result {
            complete(answer, more);
        }
        if failure.is_none_or(|failure| !Completion::may_go_on(&failure)) {
            return;
        }
    }
}

async fn complete_by(
    shared: &JobShared,
    target: &Target,
    backend: Backend,
    completion: Completion,
    deadline: Instant,
) -> Result<Answer, Failure> {
    let credential = credential(shared, target)?;
    let visit = visit(shared, target, credential.as_ref(), deadline);
    if backend == Backend::Cgi {
        let mut device = CgiDevice::new(visit, false);
        let errand = Errand::completing(completion == Completion::Cameras);
        let result = device.errand(Ask::Scan, errand).await;
        device.close().await;
        return result;
    }
    let mut device = WebApiDevice::new(visit, false);
    device.identity().await
}

fn credential(shared: &JobShared, target: &Target) -> Result<Option<Credential>, Failure> {
    if let Some(given) = &shared.login {
        return Ok(Some(given.clone()));
    }
    let label = target
        .credential
        .as_ref()
        .or(shared.options.credential.as_ref());
    shared.site.credential_for(label, target)
}

fn visit<'a>(
    shared: &'a JobShared,
    target: &'a Target,
    credential: Option<&'a Credential>,
    deadline: Instant,
) -> Visit<'a> {
    Visit {
        target,
        site: &shared.site,
        gate: LoginGate {
            job: shared.job,
            endpoint: &target.endpoint,
            credential,
            budget: &shared.site.budget,
            clock: &*shared.site.clock,
            braked: &shared.braked,
        },
        scope: &shared.options.scope,
        change: shared.options.order.as_deref().map(|order| ChangeOrder {
            order,
            target: target.number,
            settings: if target.settings.is_empty() {
                &order.settings
            } else {
                &target.settings
            },
            settling: shared.settling.get(&target.number).map(Vec::as_slice),
            intents: shared.intents.as_ref(),
        }),
        deadline,
        cancel: &shared.cancel,
    }
}

async fn ask_by(
    shared: &JobShared,
    target: &Target,
    ask: Ask,
    backend: Backend,
    deadline: Instant,
) -> Result<Answer, DeviceError> {
    let (site, options) = (&*shared.site, &shared.options);
    site.policy.check_ask(options.ask, target)?;
    let credential = if ask.needs_login() {
        credential(shared, target)?
    } else {
        None
    };
    let visit = visit(shared, target, credential.as_ref(), deadline);
    match backend {
        Backend::Protocol => ask_with(ProtocolDevice::new(visit), ask).await,
        Backend::Netsdk => ask_with(NetsdkDevice::new(visit), ask).await,
        Backend::Sdk => ask_with(BridgeDevice::new(visit, BridgeWay::Service), ask).await,
        Backend::SdkLocal => ask_with(BridgeDevice::new(visit, BridgeWay::Script), ask).await,
        Backend::WebApi => ask_with(WebApiDevice::new(visit, true), ask).await,
        Backend::Cgi => ask_with(CgiDevice::new(visit, true), ask).await,
        Backend::Discovery => {
            let text = "a discovery asks a site, not a device";
            Err(Failure::new(ErrorCode::UnsupportedVariant, text).into())
        }
    }
}

async fn ask_with(mut device: impl Device, ask: Ask) -> Result<Answer, DeviceError> {
    Span::current().record("tvt.backend", device.backend().as_str());
    let result = device.ask(ask).await;
    device.close().await;
    result
}

fn log(ended: &Ended) {
    match &ended.result {
        Ok(answer) => tracing::debug!(channels = answer.channels.len(), "the device answered"),
        Err(error) => {
            Span::current().record("error.type", error.failure.code.as_str());
            tracing::info!(
                error.r#type = %error.failure.code,
                error = %error.failure,
                "the device was asked in vain"
            );
        }
    }
}
