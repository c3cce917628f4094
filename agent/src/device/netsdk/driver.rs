//! The driver: one device, one helper.

use std::time::{Duration, Instant};

use tokio::sync::SemaphorePermit;
use tokio::time::sleep_until;
use tvtfleet_proto::device::sdkpipe::{
    Answer as SdkAnswer, CallFailure, Login, Reason, Request, channels, facts, meaning,
};
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::report::{DeviceFacts, Failure};

use super::helper::Helper;
use super::library::{LibraryError, find_host, locate};
use crate::budget::Spent;
use crate::device::connect::{cancelled, connect};
use crate::device::gate::spent;
use crate::device::interface::Support;
use crate::device::{Answer, Device, DeviceError, Visit};

/// Time for a login; the library's own limits add up to this.
const LOGIN: Duration = Duration::from_secs(20);
/// Time for a list: the library gives up after ten seconds, and is asked twice.
const LIST: Duration = Duration::from_secs(25);
/// Kept back from the device's time, so that the call that hangs is named.
const MARGIN: Duration = Duration::from_millis(50);

/// One device, over the vendor's library.
#[derive(Debug)]
pub(crate) struct NetsdkDevice<'a> {
    visit: Visit<'a>,
    helper: Option<Helper>,
    /// Held as long as the helper lives.
    place: Option<SemaphorePermit<'a>>,
    /// Whether a credential has been given to the helper.
    sent: bool,
    facts: DeviceFacts,
}

impl<'a> NetsdkDevice<'a> {
    /// A driver for one visit; nothing is started yet.
    pub(crate) fn new(visit: Visit<'a>) -> Self {
        Self {
            visit,
            helper: None,
            place: None,
            sent: false,
            facts: DeviceFacts::default(),
        }
    }

    async fn scan(&mut self) -> Result<Answer, Failure> {
        self.log_in().await?;
        let mut warnings = Vec::new();
        let cameras = match self.call(&Request::Cameras, LIST).await? {
            SdkAnswer::Cameras(rows) => rows,
            // The device is reachable, and that is worth telling.
            SdkAnswer::Failed(failed) if !is_layout(&failed) => {
                tracing::info!(reason = %words(&failed), "no camera list");
                warnings.push(ErrorCode::AddressesUnknown);
                Vec::new()
            }
            other @ (SdkAnswer::Failed(_)
            | SdkAnswer::Device(_)
            | SdkAnswer::Channels(_)
            | SdkAnswer::Done) => return Err(self.unexpected(&other)),
        };
        let rows = match self.call(&Request::Channels, LIST).await? {
            SdkAnswer::Channels(rows) => rows,
            SdkAnswer::Failed(failed) if !is_layout(&failed) => Vec::new(),
            other @ (SdkAnswer::Failed(_)
            | SdkAnswer::Device(_)
            | SdkAnswer::Cameras(_)
            | SdkAnswer::Done) => return Err(self.unexpected(&other)),
        };
        let channels = channels(&cameras, &rows);
        if channels.is_empty() {
            warnings = vec![ErrorCode::NoChannels];
        }
        Ok(Answer {
            facts: self.facts.clone(),
            channels,
            warnings,
            ..Answer::default()
        })
    }

    /// Starts a helper and logs in, once the gate lets it.
    async fn log_in(&mut self) -> Result<(), Failure> {
        let Visit { site, gate, .. } = self.visit;
        // The library waits for minutes on a host that does not answer, and asks no policy.
        let address = connect(self.visit)
            .await?
            .peer_addr()
            .map_err(|_| Failure::new(ErrorCode::Closed, "the device closed the connection"))?;
        let place = site.helpers.acquire().await;
        self.place = place.ok();
        let library = locate(site.vendor.library.as_deref()).map_err(unavailable)?;
        let host = find_host(site.vendor.host.as_deref()).map_err(unavailable)?;
        let (helper, _) = Helper::start(&host, &library).await?;
        self.helper = Some(helper);
        let permit = gate.pass(None).await?;
        let Some(credential) = gate.credential else {
            permit.settle(Spent::Nothing);
            return Err(Failure::new(ErrorCode::CredentialMissing, "no credential"));
        };
        let connect_ms = site.protocol.connect.as_millis();
        let login = Request::Login(Login {
            host: address.ip().to_string(),
            port: address.port(),
            username: credential.username.clone(),
            password: credential.password.clone(),
            connect_ms: u32::try_from(connect_ms).unwrap_or(u32::MAX),
        });
        self.sent = true;
        // Dropped on the way out, the permit counts: whether the login was tried is unknown.
        match self.call(&login, LOGIN).await? {
            SdkAnswer::Device(record) => {
                permit.settle(Spent::Accepted);
                self.facts = facts(&record);
                Ok(())
            }
            SdkAnswer::Failed(failed) => {
                let failure = self.failure(&failed);
                // The library says that it did not get as far as the device.
                self.sent = failure.code.kind() != ErrorKind::Unreachable;
                let failure = Failure {
                    credentials_sent: self.sent,
                    ..failure
                };
                permit.settle(spent(&failure));
                Err(failure)
            }
            other @ (SdkAnswer::Cameras(_) | SdkAnswer::Channels(_) | SdkAnswer::Done) => {
                Err(self.unexpected(&other))
            }
        }
    }

    /// One call, within its own limit and the device's deadline.
    async fn call(&mut self, request: &Request, limit: Duration) -> Result<SdkAnswer, Failure> {
        let until = (self.visit.deadline - MARGIN).min(Instant::now() + limit);
        let Some(helper) = &mut self.helper else {
            return Err(Failure::new(ErrorCode::Internal, "no helper"));
        };
        let answer = helper.call(request, until).await;
        if answer.is_err() {
            self.abandon().await;
        }
        answer.map_err(|failure| Failure {
            credentials_sent: self.sent,
            ..failure
        })
    }

    /// Kills a helper that is of no use any more; only then may another take its place.
    async fn abandon(&mut self) {
        if let Some(helper) = self.helper.take() {
            helper.kill().await;
        }
        self.place = None;
    }

    fn failure(&self, failed: &CallFailure) -> Failure {
        let (code, wire_code) = match &failed.reason {
            Reason::Number(number) => (meaning(*number).code, Some(*number)),
            Reason::Layout(_) => (ErrorCode::SdkLayout, None),
            Reason::Unsaid => (ErrorCode::SdkFailed, None),
            Reason::Missing => (ErrorCode::UnsupportedVariant, None),
            Reason::Order => (ErrorCode::SdkProtocol, None),
            Reason::Argument => (ErrorCode::CredentialInvalid, None),
        };
        Failure {
            code,
            text: words(failed),
            credentials_sent: self.sent,
            wire_code,
        }
    }

    fn unexpected(&self, answer: &SdkAnswer) -> Failure {
        match answer {
            SdkAnswer::Failed(failed) => self.failure(failed),
            SdkAnswer::Device(_)
            | SdkAnswer::Cameras(_)
            | SdkAnswer::Channels(_)
            | SdkAnswer::Done => Failure {
                credentials_sent: self.sent,
                ..Failure::new(
                    ErrorCode::SdkProtocol,
                    "the helper answers another question",
                )
            },
        }
    }
}

impl Device for NetsdkDevice<'_> {
    fn backend(&self) -> Backend {
        Backend::Netsdk
    }

    fn supports(&self, ask: Ask) -> Support {
        if ask == Ask::Scan {
            Support::Full
        } else {
            Support::None
        }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Answer, DeviceError> {
        if self.supports(ask) == Support::None {
            let text = "the vendor's library cannot answer this";
            return Err(Failure::new(ErrorCode::UnsupportedVariant, text).into());
        }
        let (deadline, cancel) = (self.visit.deadline, self.visit.cancel);
        let result = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(cancelled()),
            result = self.scan() => result,
            () = sleep_until(deadline.into()) => {
                Err(Failure::new(ErrorCode::DeviceDeadline, "the time for the device ran out"))
            }
        };
        let Err(failure) = result else {
            return result.map_err(DeviceError::from);
        };
        // Whatever the helper is doing, nobody waits for it any more.
        if matches!(
            failure.code,
            ErrorCode::DeviceCancelled | ErrorCode::DeviceDeadline | ErrorCode::SdkLayout
        ) {
            self.abandon().await;
        }
        Err(DeviceError {
            failure: Failure {
                credentials_sent: failure.credentials_sent || self.sent,
                ..failure
            },
            facts: Box::new(self.facts.clone()),
        })
    }

    async fn close(self) {
        if let Some(helper) = self.helper {
            helper.leave().await;
        }
        drop(self.place);
    }
}

const fn is_layout(failed: &CallFailure) -> bool {
    matches!(failed.reason, Reason::Layout(_))
}

fn words(failed: &CallFailure) -> String {
    let function = &failed.function;
    match &failed.reason {
        Reason::Number(number) => match meaning(*number).text {
            "" => format!("{function} failed with number {number}"),
            text => format!("{function} failed: {text} ({number})"),
        },
        Reason::Unsaid => format!("{function} failed, the library gave no reason"),
        Reason::Layout(text) => format!("{function}: {text}"),
        Reason::Missing => format!("this build of the library lacks {function}"),
        Reason::Order => format!("{function} was called at the wrong time"),
        Reason::Argument => format!("{function}: a text holds a NUL"),
    }
}

fn unavailable(error: LibraryError) -> Failure {
    Failure::new(ErrorCode::SdkUnavailable, error.to_string())
}
