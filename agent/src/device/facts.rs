//! Turns what a session of the binary protocol learnt into facts and failures of a report.

use tvtfleet_proto::device::tvt::{Compat, Failure as SessionFailure, Init, Login, Outcome};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::{DeviceFacts, DeviceFamily, Failure};

use super::connect::Seconds;
use super::interface::{Answer, DeviceError};
use super::settings::ProtocolSettings;

/// Makes an answer or an error of a session's outcome.
pub(crate) fn answer(outcome: Outcome, settings: &ProtocolSettings) -> Result<Answer, DeviceError> {
    let mut facts = facts(&outcome);
    match outcome.result {
        Ok(findings) => {
            if facts.total_channels.is_none() && !findings.channels.is_empty() {
                facts.total_channels = u32::try_from(findings.channels.len()).ok();
            }
            Ok(Answer {
                facts,
                channels: findings.channels,
                warnings: findings.partial,
                answer: None,
                failed: None,
            })
        }
        Err(failure) => {
            let failure = words(&failure, outcome.traffic.bytes, settings);
            Err(DeviceError {
                failure,
                facts: Box::new(facts),
            })
        }
    }
}

fn facts(outcome: &Outcome) -> DeviceFacts {
    let mut facts = outcome
        .greeting
        .as_ref()
        .map_or_else(DeviceFacts::default, greeted);
    outcome
        .device_name(Compat::None)
        .clone_into(&mut facts.name);
    outcome
        .serial_number()
        .unwrap_or_default()
        .clone_into(&mut facts.serial);
    match &outcome.login {
        Some(Login::Standard(login)) => {
            facts.mac = facts.mac.or(Some(login.mac).filter(|mac| mac.is_unicast()));
            facts.config_data_len = Some(login.config_data_len);
            facts.build_date = Some(login.build_date);
            let [a, b, c, d] = login.software_version;
            facts.software_ver_hex = format!("{a:02x}{b:02x}{c:02x}{d:02x}");
        }
        Some(Login::Head(login)) => {
            let channels = login.max_channels.max(login.channel_count);
            facts.total_channels = Some(u32::from(channels)).filter(|count| *count > 0);
        }
        None => {}
    }
    facts
}

fn greeted(greeting: &Init) -> DeviceFacts {
    let family = if greeting.is_head_variant() {
        DeviceFamily::Head
    } else {
        DeviceFamily::Standard
    };
    // All zero is a field that the device does not fill.
    let firmware = match greeting.software_version.0 {
        0 => String::new(),
        _ => greeting.software_version.to_string(),
    };
    DeviceFacts {
        firmware,
        mac: Some(greeting.mac).filter(|mac| mac.is_unicast()),
        family: Some(family),
        protocol_version: Some(greeting.protocol_version),
        device_type: Some(greeting.device_type),
        ..DeviceFacts::default()
    }
}

/// Puts a failure into words: pytvt's where it has some for the situation, so that scripts that look
/// for them keep working.
fn words(failure: &SessionFailure, received: u64, settings: &ProtocolSettings) -> Failure {
    let text =
        pytvt_words(failure.code, received, settings).unwrap_or_else(|| match failure.hint {
            Some(hint) => format!("{} (looks like {hint})", failure.text),
            None => failure.text.clone(),
        });
    Failure {
        code: failure.code,
        text,
        credentials_sent: failure.credentials_sent,
        wire_code: failure.wire_code,
    }
}

fn pytvt_words(code: ErrorCode, received: u64, settings: &ProtocolSettings) -> Option<String> {
    let timed_out = |limit| Some(format!("Connection timed out ({})", Seconds(limit)));
    let closed = [ErrorCode::Closed, ErrorCode::ClosedAfterLogin].contains(&code);
    if code == ErrorCode::InitTimeout {
        timed_out(settings.limits.init)
    } else if code == ErrorCode::LoginTimeout {
        timed_out(settings.limits.login)
    } else if closed {
        Some("Network error: Connection closed while reading".to_owned())
    } else if code == ErrorCode::NotTvt {
        Some(format!("No init packet received (got {received} bytes)"))
    } else if code == ErrorCode::LoginRejected {
        Some("Login failed: invalid credentials".to_owned())
    } else {
        None
    }
}
