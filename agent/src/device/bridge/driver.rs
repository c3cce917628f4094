//! The driver: a device, asked by a bridge.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;
use tvtfleet_proto::device::bridge::{self, Call, DeviceRequest};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::report::Failure;

use super::client::Bridge;
use super::script::{self, scrubbed};
use crate::budget::Spent;
use crate::device::connect::{cancelled, check_host, only_by_serial};
use crate::device::gate::spent;
use crate::device::interface::Support;
use crate::device::{Answer, Device, DeviceError, Visit};

/// Kept back from the device's time, so that the bridge's own failure is told and not ours.
const MARGIN: Duration = Duration::from_millis(50);

/// Time for a call other than a scan; what pytvt waits.
const CALL: Duration = Duration::from_secs(30);
/// Asks that the service can answer without changing anything, other than a scan.
pub(crate) const READS: [Ask; 4] = [Ask::Info, Ask::Channels, Ask::Clock, Ask::RtspUrl];

/// Which bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The HTTP service.
    Service,
    /// The script.
    Script,
}

/// One device, over a bridge.
#[derive(Debug)]
pub(crate) struct BridgeDevice<'a> {
    pub(super) visit: Visit<'a>,
    way: Way,
}

impl<'a> BridgeDevice<'a> {
    /// A driver for one visit; nothing is sent yet.
    pub(crate) const fn new(visit: Visit<'a>, way: Way) -> Self {
        Self { visit, way }
    }

    /// Has a call made, once the gate lets it, and reads the answer with `read`.
    pub(super) async fn exchange<T>(
        &self,
        call: Call,
        read: impl FnOnce(&[u8]) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Visit { site, gate, .. } = self.visit;
        // Before anything counts: what is missing here is no device's fault.
        if self.way == Way::Script {
            script::find_script(&site.vendor)?;
        }
        let place = match self.way {
            Way::Service => None,
            Way::Script => site.helpers.acquire().await.ok(),
        };
        let permit = gate.pass(None).await?;
        let Some(credential) = gate.credential else {
            permit.settle(Spent::Nothing);
            return Err(Failure::new(ErrorCode::CredentialMissing, "no credential"));
        };
        let host = match &self.visit.target.endpoint.host {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.clone(),
            Host::Serial(_) => return Err(only_by_serial()),
        };
        let request = DeviceRequest {
            host: &host,
            port: self.visit.target.endpoint.port,
            credential,
        };
        let mut until = self.visit.deadline - MARGIN;
        if !matches!(call, Call::Scan(_)) {
            until = until.min(Instant::now() + CALL);
        }
        let result = match self.way {
            Way::Service => {
                let limit = until.saturating_duration_since(Instant::now());
                match request.body(call) {
                    Ok(body) => {
                        let bridge = Bridge::new(&site.vendor);
                        bridge.call(call, body, limit.max(MARGIN)).await
                    }
                    Err(error) => Err(Failure::new(ErrorCode::Internal, error.to_string())),
                }
            }
            Way::Script => script::scan(&site.vendor, &request, until).await,
        };
        drop(place);
        let result = result.and_then(|body| {
            read(&body).map_err(|failure| Failure {
                text: scrubbed(&failure.text, &credential.password),
                ..failure
            })
        });
        permit.settle(match &result {
            Ok(_) => Spent::Accepted,
            Err(failure) => spent(failure),
        });
        result
    }

    /// Identity and channels.
    pub(super) async fn scan(&self) -> Result<Answer, Failure> {
        let most = self.visit.site.vendor.max_cameras;
        let scan = self.exchange(Call::Scan(most), bridge::scan).await?;
        let mut warnings = Vec::new();
        if let Some(remark) = scan.remark {
            tracing::info!(%remark, "the bridge remarks");
            warnings.push(ErrorCode::AddressesUnknown);
        }
        if scan.channels.is_empty() {
            warnings = vec![ErrorCode::NoChannels];
        }
        Ok(Answer {
            facts: scan.facts,
            channels: scan.channels,
            warnings,
            ..Answer::default()
        })
    }
}

impl Device for BridgeDevice<'_> {
    fn backend(&self) -> Backend {
        match self.way {
            Way::Service => Backend::Sdk,
            Way::Script => Backend::SdkLocal,
        }
    }

    fn supports(&self, ask: Ask) -> Support {
        let by_service = ask == Ask::Reboot || READS.contains(&ask);
        let can = match self.way {
            Way::Service => ask == Ask::Scan || by_service,
            Way::Script => matches!(ask, Ask::Scan | Ask::Channels),
        };
        if can { Support::Full } else { Support::None }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Answer, DeviceError> {
        if self.supports(ask) == Support::None {
            let text = "a bridge cannot answer this";
            return Err(Failure::new(ErrorCode::UnsupportedVariant, text).into());
        }
        let order = self.visit.change.filter(|_| ask == Ask::Reboot);
        let work = async {
            check_host(self.visit).await?;
            match (ask, &order) {
                (Ask::Scan, _) => self.scan().await,
                // What was interrupted is not sent again, so that no login is needed.
                (_, Some(order)) if order.settling.is_some() => Ok(Answer::default()),
                (_, Some(_)) => self.before_reboot().await,
                _ => self.read(ask).await,
            }
        };
        let mut result = tokio::select! {
            biased;
            () = self.visit.cancel.cancelled() => Err(unsure(cancelled())),
            result = work => result,
            () = sleep_until(self.visit.deadline.into()) => {
                let text = "the time for the device ran out";
                Err(unsure(Failure::new(ErrorCode::DeviceDeadline, text)))
            }
        };
        if let (Ok(_), Some(order)) = (&result, &order) {
            result = self.reboot(order).await;
        }
        Ok(result?)
    }

    async fn close(self) {}
}

/// A failure at a moment when the bridge may have had the credential.
pub(super) fn unsure(failure: Failure) -> Failure {
    Failure {
        credentials_sent: true,
        ..failure
    }
}
