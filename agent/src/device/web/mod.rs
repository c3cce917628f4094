//! The drivers of the web interfaces.
//!
//! They move requests and answers; what to ask and when a credential may be shown is decided by the
//! sessions and errands of `tvtfleet_proto::device::{webapi, cgi}` and by the gate.

mod cgi;
mod change;
mod enabled;
mod known;
mod link;
mod password;
mod pins;
mod reboot;
mod settings;
mod tls;
mod webapi;

pub(crate) use cgi::CgiDevice;
pub(crate) use known::KnownWeb;
pub use pins::{CertificatePins, PinError};
pub(crate) use settings::PORTS_MAX;
pub use settings::{KeyLogin, WebPort, WebSettings};
pub(crate) use webapi::WebApiDevice;

use tokio::time::timeout_at;
use tvtfleet_proto::device::http::{Findings, Trouble};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::report::{DeviceFacts, Failure};

use super::interface::Answer;
use super::visit::Visit;
use crate::budget::LoginPermit;

/// Waits for leave to show the credential of a visit, until the device's time is up.
async fn permit(visit: Visit<'_>) -> Result<LoginPermit<'_>, Failure> {
    let pass = visit.gate.pass(visit.target.known_mac);
    match timeout_at(visit.deadline.into(), pass).await {
        Ok(leave) => leave,
        Err(_) => {
            let text = "the time for the device ran out";
            Err(Failure::new(ErrorCode::DeviceDeadline, text))
        }
    }
}

/// A failure of an exchange as one of a report. A credential that the device accepted is not one
/// that was tried in vain.
pub(crate) fn failure(trouble: Trouble, in_vain: bool) -> Failure {
    Failure {
        credentials_sent: in_vain,
        wire_code: trouble.wire_code,
        ..Failure::new(trouble.code, trouble.text)
    }
}

/// What was found, as an answer. Only a scan is to change what the inventory knows of a device:
/// interfaces write versions and names in different ways. Others say who answered.
pub(crate) fn answer(ask: Ask, found: Findings) -> Answer {
    let facts = if ask == Ask::Scan {
        found.facts
    } else {
        DeviceFacts {
            serial: found.facts.serial,
            mac: found.facts.mac,
            ..DeviceFacts::default()
        }
    };
    Answer {
        facts,
        channels: found.channels,
        warnings: found.warnings,
        failed: None,
        answer: found.answer,
    }
}
