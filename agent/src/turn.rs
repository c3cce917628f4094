//! One device's turn in a job: its tries, and the report that they come to.

use std::time::Instant;

use tracing::Span;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::report::{Attempt, DeviceReport, Failure};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::Target;

use crate::device::gate::LoginGate;
use crate::device::select::{backends, may_fall_back};
use crate::device::{Answer, Device, DeviceError, ProtocolDevice, Visit};
use crate::run::JobShared;

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
            Ok(answer) => (answer, None),
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
            found: None,
        }
    }
}

/// Asks a device once, by each backend in turn until one answers or none may follow.
pub(crate) async fn try_once(shared: &JobShared, target: &Target, deadline: Instant) -> TryEnd {
    let mut attempts = Vec::new();
    let mut last: Option<Ended> = None;
    for backend in backends(shared.options.backend, shared.options.ask) {
        let (started_at, began) = (shared.site.clock.now(), Instant::now());
        let result = ask_by(shared, target, backend, deadline).await;
        let failure = result.as_ref().err().map(|error| error.failure.clone());
        let code = failure.as_ref().map(|failure| failure.code);
        attempts.push(Attempt {
            backend,
            started_at,
            duration: began.elapsed(),
            code,
        });
        last = Some(Ended {
            backend,
            observed_at: shared.site.clock.now(),
            result,
        });
        if failure
            .as_ref()
            .is_none_or(|failure| !may_fall_back(failure))
        {
            break;
        }
    }
    let ended = last.unwrap_or_else(|| Ended {
        backend: Backend::Protocol,
        observed_at: shared.site.clock.now(),
        result: Err(Failure::new(ErrorCode::UnsupportedVariant, "no way to ask this").into()),
    });
    log(&ended);
    TryEnd { attempts, ended }
}

async fn ask_by(
    shared: &JobShared,
    target: &Target,
    backend: Backend,
    deadline: Instant,
) -> Result<Answer, DeviceError> {
    let (site, options) = (&*shared.site, &shared.options);
    site.policy.check_ask(options.ask, target)?;
    let label = target.credential.as_ref().or(options.credential.as_ref());
    let credential = if options.ask.needs_login() {
        site.credentials.find(label)
    } else {
        None
    };
    let gate = LoginGate {
        job: shared.job,
        endpoint: &target.endpoint,
        credential: credential.as_ref(),
        budget: &site.budget,
        clock: &*site.clock,
        braked: &shared.braked,
    };
    let visit = Visit {
        target,
        site,
        gate,
        deadline,
        cancel: &shared.cancel,
    };
    match backend {
        Backend::Protocol => ask_with(ProtocolDevice::new(visit), shared).await,
        Backend::Discovery => {
            let text = "a discovery asks a site, not a device";
            Err(Failure::new(ErrorCode::UnsupportedVariant, text).into())
        }
    }
}

async fn ask_with(mut device: impl Device, shared: &JobShared) -> Result<Answer, DeviceError> {
    Span::current().record("tvt.backend", device.backend().as_str());
    let result = device.ask(shared.options.ask).await;
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
