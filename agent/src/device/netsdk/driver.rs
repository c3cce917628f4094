//! The driver: one device, one helper.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::SemaphorePermit;
use tokio::time::sleep_until;
use tvtfleet_proto::device::sdkpipe::{
    Answer as SdkAnswer, CallFailure, DeviceRecord, Login, NatRoute, Reason, Request, channels,
    facts, meaning,
};
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::report::{DeviceFacts, Failure};

use super::helper::Helper;
use super::library::{LibraryError, find_host, locate};
use super::nat::{self, lost_on_the_way};
use super::pages::by_pages;
use crate::budget::Spent;
use crate::device::connect::{cancelled, connect};
use crate::device::gate::spent;
use crate::device::interface::Support;
use crate::device::{Answer, Device, DeviceError, Visit};

/// Time for a login; the library's own limits add up to this.
const LOGIN: Duration = Duration::from_secs(20);
/// Time for a login by serial number: a server that does not know it takes half of that.
const LOGIN_NAT: Duration = Duration::from_secs(40);
/// Time for a list: the library gives up after ten seconds, and is asked twice.
pub(super) const LIST: Duration = Duration::from_secs(25);
/// Time for the clock, which the helper asks for several times.
pub(super) const CLOCK: Duration = Duration::from_secs(30);
/// Asks that the library can answer without changing anything, other than a scan.
pub(crate) const READS: [Ask; 6] = [
    Ask::Info,
    Ask::Channels,
    Ask::Disks,
    Ask::Clock,
    Ask::Recording,
    Ask::RtspUrl,
];
/// Kept back from the device's time, so that the call that hangs is named.
const MARGIN: Duration = Duration::from_millis(50);

/// One device, over the vendor's library.
#[derive(Debug)]
pub(crate) struct NetsdkDevice<'a> {
    pub(super) visit: Visit<'a>,
    helper: Option<Helper>,
    /// Held as long as the helper lives.
    place: Option<SemaphorePermit<'a>>,
    /// Whether a credential has been given to the helper.
    sent: bool,
    /// Whether the helper has a session with the device.
    pub(super) logged_in: bool,
    pub(super) facts: DeviceFacts,
    /// What the library told of the device at the login.
    pub(super) record: DeviceRecord,
}

impl<'a> NetsdkDevice<'a> {
    /// A driver for one visit; nothing is started yet.
    pub(crate) fn new(visit: Visit<'a>) -> Self {
        Self {
            visit,
            helper: None,
            place: None,
            sent: false,
            logged_in: false,
            facts: DeviceFacts::default(),
            record: DeviceRecord::default(),
        }
    }

    async fn scan(&mut self) -> Result<Answer, Failure> {
        self.log_in().await?;
        let found = self.list().await?;
        Ok(Answer {
            facts: self.facts.clone(),
            ..found
        })
    }

    /// The channels, and what is missing of them.
    pub(super) async fn list(&mut self) -> Result<Answer, Failure> {
        let mut warnings = Vec::new();
        let answer = self.call(&Request::Cameras, LIST).await?;
        let cameras = if let SdkAnswer::Cameras(rows) = answer {
            rows
        } else if let Some(failed) = passable(&answer) {
            // The device is reachable, and that is worth telling.
            tracing::info!(reason = %words(failed), "no camera list");
            warnings.push(ErrorCode::AddressesUnknown);
            Vec::new()
        } else {
            return Err(self.unexpected(&answer));
        };
        let answer = self.call(&Request::Channels, LIST).await?;
        let rows = if let SdkAnswer::Channels(rows) = answer {
            rows
        } else if passable(&answer).is_some() {
            Vec::new()
        } else {
            return Err(self.unexpected(&answer));
        };
        let channels = channels(&cameras, &rows);
        if channels.is_empty() {
            warnings = vec![ErrorCode::NoChannels];
        }
        Ok(Answer {
            channels,
            warnings,
            ..Answer::default()
        })
    }

    /// Starts a helper and logs in, once the gate lets it.
    pub(super) async fn log_in(&mut self) -> Result<(), Failure> {
        let Visit { site, gate, .. } = self.visit;
        site.fuses
            .check(&self.visit.target.endpoint, Instant::now())?;
        let (address, nat) = self.route().await?;
        let place = site.helpers.acquire().await;
        self.place = place.ok();
        let library = locate(site.vendor.library.as_deref()).map_err(unavailable)?;
        let host = find_host(site.vendor.host.as_deref()).map_err(unavailable)?;
        let (helper, hello) = Helper::start(&host, &library).await?;
        self.helper = Some(helper);
        let permit = gate.pass(None).await?;
        let Some(credential) = gate.credential else {
            permit.settle(Spent::Nothing);
            return Err(Failure::new(ErrorCode::CredentialMissing, "no credential"));
        };
        let connect_ms = site.protocol.connect.as_millis();
        let login = Request::Login(Login {
            host: address.map(|at| at.ip().to_string()).unwrap_or_default(),
            port: address.map(|at| at.port()).unwrap_or_default(),
            username: credential.username.clone(),
            password: credential.password.clone(),
            connect_ms: u32::try_from(connect_ms).unwrap_or(u32::MAX),
            nat,
        });
        let limit = if address.is_some() { LOGIN } else { LOGIN_NAT };
        self.sent = true;
        // Dropped on the way out, the permit counts: whether the login was tried is unknown.
        let answer = self.call(&login, limit).await?;
        if let SdkAnswer::Device(record) = answer {
            permit.settle(Spent::Accepted);
            self.facts = facts(&record);
            self.record = record;
            self.logged_in = true;
            return Ok(());
        }
        let SdkAnswer::Failed(failed) = &answer else {
            return Err(self.unexpected(&answer));
        };
        let mut failure = self.failure(failed);
        if address.is_none() {
            failure.text.push_str(&lost_on_the_way(&hello, &failure));
        }
        // The library says that it did not get as far as the device.
        self.sent = failure.code.kind() != ErrorKind::Unreachable;
        let failure = Failure {
            credentials_sent: self.sent,
            ..failure
        };
        permit.settle(spent(&failure));
        Err(failure)
    }

    /// Where the device is: its address, or the way by its serial number.
    async fn route(&self) -> Result<(Option<SocketAddr>, Option<NatRoute>), Failure> {
        if let Host::Serial(serial) = &self.visit.target.endpoint.host {
            return nat::route(serial, &self.visit.site.vendor).map(|nat| (None, Some(nat)));
        }
        // The library waits for minutes on a host that does not answer, and asks no policy.
        let address = connect(self.visit)
            .await?
            .peer_addr()
            .map_err(|_| Failure::new(ErrorCode::Closed, "the device closed the connection"))?;
        Ok((Some(address), None))
    }

    /// One call, within its own limit and the device's deadline.
    pub(super) async fn call(
        &mut self,
        request: &Request,
        limit: Duration,
    ) -> Result<SdkAnswer, Failure> {
        let until = (self.visit.deadline - MARGIN).min(Instant::now() + limit);
        let Some(helper) = &mut self.helper else {
            return Err(Failure::new(ErrorCode::Internal, "no helper"));
        };
        let answer = helper.call(request, until).await;
        if let Err(failure) = &answer {
            let Visit { site, target, .. } = self.visit;
            site.fuses
                .lost(&target.endpoint, failure.code, Instant::now());
            self.abandon().await;
        }
        answer.map_err(|failure| Failure {
            credentials_sent: self.sent,
            ..failure
        })
    }

    /// Kills a helper that is of no use any more; only then may another take its place.
    pub(super) async fn abandon(&mut self) {
        if let Some(helper) = self.helper.take() {
            helper.kill().await;
        }
        self.place = None;
        self.logged_in = false;
    }

    pub(super) fn failure(&self, failed: &CallFailure) -> Failure {
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

    pub(super) fn unexpected(&self, answer: &SdkAnswer) -> Failure {
        if let SdkAnswer::Failed(failed) = answer {
            return self.failure(failed);
        }
        let text = "the helper answers another question";
        Failure {
            credentials_sent: self.sent,
            ..Failure::new(ErrorCode::SdkProtocol, text)
        }
    }
}

impl Device for NetsdkDevice<'_> {
    fn backend(&self) -> Backend {
        Backend::Netsdk
    }

    fn supports(&self, ask: Ask) -> Support {
        if ask == Ask::Scan || ask == Ask::Reboot || READS.contains(&ask) || by_pages(ask) {
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
        let order = self.visit.change.filter(|_| ask == Ask::Reboot);
        let work = async {
            match (ask, &order) {
                (Ask::Scan, _) => self.scan().await,
                // What was interrupted is not sent again, so that no login is needed.
                (_, Some(order)) if order.settling.is_some() => Ok(Answer::default()),
                // Also shows that the device is there, and that the account may log in.
                (_, Some(_)) => self.log_in().await.map(|()| Answer::default()),
                _ if by_pages(ask) => self.ask_pages(ask).await,
                _ => self.read(ask).await,
            }
        };
        let mut result = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(cancelled()),
            result = work => result,
            () = sleep_until(deadline.into()) => {
                Err(Failure::new(ErrorCode::DeviceDeadline, "the time for the device ran out"))
            }
        };
        if let (Ok(_), Some(order)) = (&result, &order) {
            result = self.reboot(order).await;
        }
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
            self.visit.site.fuses.kept(&self.visit.target.endpoint);
            helper.leave().await;
        }
        drop(self.place);
    }
}

/// A failed call after which the others are worth trying.
fn passable(answer: &SdkAnswer) -> Option<&CallFailure> {
    let SdkAnswer::Failed(failed) = answer else {
        return None;
    };
    (!is_layout(failed)).then_some(failed)
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
