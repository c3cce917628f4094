//! The driver: a device, asked by a bridge.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;
use tvtfleet_proto::device::bridge::ScanRequest;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::report::Failure;

use super::client::Bridge;
use super::script;
use crate::budget::Spent;
use crate::device::connect::{cancelled, check_host};
use crate::device::gate::spent;
use crate::device::interface::Support;
use crate::device::{Answer, Device, DeviceError, Visit};

/// Kept back from the device's time, so that the bridge's own failure is told and not ours.
const MARGIN: Duration = Duration::from_millis(50);

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
    visit: Visit<'a>,
    way: Way,
}

impl<'a> BridgeDevice<'a> {
    /// A driver for one visit; nothing is sent yet.
    pub(crate) const fn new(visit: Visit<'a>, way: Way) -> Self {
        Self { visit, way }
    }

    async fn scan(&self) -> Result<Answer, Failure> {
        let Visit {
            target, site, gate, ..
        } = self.visit;
        check_host(self.visit).await?;
        // Before anything counts: what is missing here is no device's fault.
        let bridge = match self.way {
            Way::Service => Some(Bridge::new(&site.vendor)),
            Way::Script => {
                script::find_script(&site.vendor)?;
                None
            }
        };
        let place = match self.way {
            Way::Service => None,
            Way::Script => site.helpers.acquire().await.ok(),
        };
        let permit = gate.pass(None).await?;
        let Some(credential) = gate.credential else {
            permit.settle(Spent::Nothing);
            return Err(Failure::new(ErrorCode::CredentialMissing, "no credential"));
        };
        let host = match &target.endpoint.host {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.clone(),
        };
        let request = ScanRequest {
            host: &host,
            port: target.endpoint.port,
            credential,
            max_cameras: site.vendor.max_cameras,
        };
        let until = self.visit.deadline - MARGIN;
        let result = match bridge {
            Some(bridge) => {
                let limit = until.saturating_duration_since(Instant::now());
                match request.body() {
                    Ok(body) => bridge.scan(body, limit.max(MARGIN)).await,
                    Err(error) => Err(Failure::new(ErrorCode::Internal, error.to_string())),
                }
            }
            None => script::scan(&site.vendor, &request, until).await,
        };
        drop(place);
        permit.settle(match &result {
            Ok(_) => Spent::Accepted,
            Err(failure) => spent(failure),
        });
        let scan = result?;
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
        if ask == Ask::Scan {
            Support::Full
        } else {
            Support::None
        }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Answer, DeviceError> {
        if self.supports(ask) == Support::None {
            let text = "a bridge cannot answer this";
            return Err(Failure::new(ErrorCode::UnsupportedVariant, text).into());
        }
        let result = tokio::select! {
            biased;
            () = self.visit.cancel.cancelled() => Err(unsure(cancelled())),
            result = self.scan() => result,
            () = sleep_until(self.visit.deadline.into()) => {
                let text = "the time for the device ran out";
                Err(unsure(Failure::new(ErrorCode::DeviceDeadline, text)))
            }
        };
        Ok(result?)
    }

    async fn close(self) {}
}

/// A failure at a moment when the bridge may have had the credential.
fn unsure(failure: Failure) -> Failure {
    Failure {
        credentials_sent: true,
        ..failure
    }
}
