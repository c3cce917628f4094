//! Devices that are known by their serial number: a server of the vendor's brings both sides together.

use tvtfleet_proto::device::sdkpipe::{Hello, NatRoute};
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::report::Failure;

use crate::device::vendor::VendorSettings;

/// The library beside the vendor's that knows the servers.
const COMPANION: &str = "NatClientSDK";

/// The way to a device by the server that this site names.
///
/// # Errors
///
/// `device.policy_refused` where none is named: passwords go through it.
pub(super) fn route(serial: &str, settings: &VendorSettings) -> Result<NatRoute, Failure> {
    let Some(server) = &settings.nat else {
        let text = "nobody named a server of the vendor's for devices known by their serial number; \
                    set --nat-server, or sdk.nat_server at the agent";
        return Err(Failure::new(ErrorCode::PolicyRefused, text));
    };
    Ok(NatRoute {
        serial: serial.to_owned(),
        server: server.host.clone(),
        port: server.port,
        kind: server.kind,
    })
}

/// What else to say of a login by serial number that did not get as far as the device.
pub(super) fn lost_on_the_way(hello: &Hello, failure: &Failure) -> String {
    if failure.code.kind() != ErrorKind::Unreachable {
        return String::new();
    }
    let companion = hello.companions.iter().find(|one| one.name == COMPANION);
    match companion.filter(|one| one.loaded.is_none()) {
        Some(missing) => format!(
            "; lib{COMPANION} was not loaded: {}",
            missing.trouble.as_deref().unwrap_or("it is not there")
        ),
        None => "; the server may not know this serial number: each brand has its own".to_owned(),
    }
}
