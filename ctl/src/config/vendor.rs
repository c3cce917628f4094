//! Where this computer has the vendor's library and bridges.

use std::path::PathBuf;

use clap::Args;
use tvt_agent::VendorSettings;
use tvt_agent::vendor::NatServer;
use tvtfleet_proto::device::bridge::base_url;
use tvtfleet_proto::device::sdkpipe::NatKind;
use tvtfleet_proto::error::ErrorCode;

use crate::env::{self, Environment, Variable};
use crate::error::CliError;
use crate::io::Io;

/// Options that say where the vendor's library and bridges are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Vendor's library and bridges")]
pub(crate) struct VendorArgs {
    /// The vendor's libdvrnetsdk.so, or the root of its SDK
    #[arg(long, value_name = "PATH")]
    sdk_path: Option<PathBuf>,
    /// Address of the HTTP bridge [default: http://localhost:3000]
    #[arg(long, value_name = "URL", value_parser = url)]
    api_url: Option<String>,
    /// The bridge script for Node 18 or newer
    #[arg(long, value_name = "FILE")]
    scan_script: Option<PathBuf>,
    /// Give the password to the script in its arguments, where every user of this computer sees it
    #[arg(long)]
    scan_script_argv: bool,
    /// The vendor's server that reaches recorders given as nat:SERIAL; passwords go through it
    #[arg(long, value_name = "HOST:PORT")]
    nat_server: Option<String>,
    /// How that server is spoken to
    #[arg(long, value_name = "TYPE", value_parser = ["nat", "nat20"], default_value = "nat20")]
    nat_type: String,
}

fn url(text: &str) -> Result<String, String> {
    let root = base_url(text).map(str::to_owned);
    root.ok_or_else(|| "write http://host:3000, without user and password".to_owned())
}

impl VendorArgs {
    /// Settles the settings from flags, variables and what a configuration file says.
    ///
    /// # Errors
    ///
    /// `config.invalid` for variables that cannot be used.
    pub(crate) fn settle(&self, file: VendorSettings, io: &Io) -> Result<VendorSettings, CliError> {
        for variable in VARIABLES {
            io.env.text(*variable)?;
        }
        let settled = file.with_variables(|name| read(&io.env, name));
        let settled =
            settled.map_err(|error| CliError::new(ErrorCode::ConfigInvalid, error.to_string()))?;
        let place = |path: &PathBuf| io.resolve(path);
        let settings = VendorSettings {
            library: self.sdk_path.clone().or(settled.library),
            bridge_url: self.api_url.clone().or(settled.bridge_url),
            script: self.scan_script.as_ref().map(place).or(settled.script),
            script_argv: self.scan_script_argv,
            nat: self.nat()?.or(settled.nat),
            ..settled
        };
        if settings.is_bridge_exposed() {
            io.warn("passwords of devices go to the bridge in clear; use https");
        }
        if settings.script_argv {
            io.warn("every user of this computer can read passwords while the script runs");
        }
        Ok(settings)
    }

    fn nat(&self) -> Result<Option<NatServer>, CliError> {
        let kind = if self.nat_type == NatKind::Nat.as_str() {
            NatKind::Nat
        } else {
            NatKind::Nat20
        };
        let Some(text) = &self.nat_server else {
            return Ok(None);
        };
        let server = NatServer::read(text, kind);
        let wrong = || CliError::new(ErrorCode::UsageInvalid, "--nat-server: write host:port");
        server.map(Some).ok_or_else(wrong)
    }
}

/// What the variables alone say.
///
/// # Errors
///
/// As [`VendorArgs::settle`].
pub(crate) fn vendor_of_environment(io: &Io) -> Result<VendorSettings, CliError> {
    let settings = VendorSettings::default().with_variables(|name| read(&io.env, name));
    settings.map_err(|error| CliError::new(ErrorCode::ConfigInvalid, error.to_string()))
}

/// The variables that [`VendorSettings`] reads.
const VARIABLES: &[Variable] = &[
    env::SDK_PATH,
    env::OLD_SDK_PATH,
    env::NETSDK_HOST,
    env::API_URL,
    env::SCAN_SCRIPT,
    env::OLD_SCAN_SCRIPT,
];

fn read(environment: &Environment, name: &str) -> Option<String> {
    let variable = VARIABLES.iter().find(|variable| variable.name == name)?;
    environment.text(*variable).ok().flatten()
}
