//! The registry of environment variables: every one that this program reads, and no other.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use tvt_agent::vendor;
use tvtfleet_bus::telemetry::LOG_VARIABLE;
use tvtfleet_proto::error::ErrorCode;

use crate::error::CliError;

/// One environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it says, as a line of the help text.
    pub help: &'static str,
    /// Whether a `.env` file in the working directory may set it too.
    ///
    /// True for the settings of local scans only: a file that happens to lie in a directory must not
    /// be able to send fleet commands to another server.
    pub dotenv: bool,
}

/// User name on the devices.
pub const USERNAME: Variable = Variable {
    name: "TVT_USERNAME",
    help: "User name on the devices",
    dotenv: true,
};
/// Password on the devices.
pub const PASSWORD: Variable = Variable {
    name: "TVT_PASSWORD",
    help: "Password on the devices",
    dotenv: true,
};
/// TCP port of devices whose inventory entry names none.
pub const PORT: Variable = Variable {
    name: "TVT_PORT",
    help: "TCP port where the inventory names none",
    dotenv: true,
};
/// Time allowed for one device.
pub const TIMEOUT: Variable = Variable {
    name: "TVT_TIMEOUT",
    help: "Time allowed for one device",
    dotenv: true,
};
/// How many devices are asked at a time.
pub const CONCURRENCY: Variable = Variable {
    name: "TVT_CONCURRENCY",
    help: "Devices asked at a time",
    dotenv: true,
};
/// Channels that a bridge is asked for.
pub const MAX_CHANNELS: Variable = Variable {
    name: "TVT_MAX_CHANNELS",
    help: "Channels that a bridge is asked for",
    dotenv: true,
};
/// The vendor's library. Names code to run, so no `.env` may set it.
pub const SDK_PATH: Variable = Variable {
    name: vendor::SDK_PATH_VARIABLE,
    help: "The vendor's libdvrnetsdk.so, or the root of its SDK",
    dotenv: false,
};
/// The older name of [`SDK_PATH`].
pub const OLD_SDK_PATH: Variable = Variable {
    name: vendor::OLD_SDK_PATH_VARIABLE,
    help: "Older name of TVT_SDK_PATH",
    dotenv: false,
};
/// The program that hosts the vendor's library.
pub const NETSDK_HOST: Variable = Variable {
    name: vendor::HOST_VARIABLE,
    help: "The program tvt-netsdk-host, where it is not beside this one",
    dotenv: false,
};
/// The HTTP bridge. Gets passwords, so no `.env` may set it.
pub const API_URL: Variable = Variable {
    name: vendor::API_URL_VARIABLE,
    help: "Address of the HTTP bridge to the vendor's SDK",
    dotenv: false,
};
/// The bridge script.
pub const SCAN_SCRIPT: Variable = Variable {
    name: vendor::SCRIPT_VARIABLE,
    help: "The bridge script for Node",
    dotenv: false,
};
/// The older name of [`SCAN_SCRIPT`].
pub const OLD_SCAN_SCRIPT: Variable = Variable {
    name: vendor::OLD_SCRIPT_VARIABLE,
    help: "Older name of TVT_SCAN_SCRIPT",
    dotenv: false,
};
/// Address of the NATS server.
pub const NATS_URL: Variable = Variable {
    name: "TVT_NATS_URL",
    help: "Address of the NATS server",
    dotenv: false,
};
/// Credentials file of the operator.
pub const NATS_CREDS: Variable = Variable {
    name: "TVT_NATS_CREDS",
    help: "Credentials file for the NATS server",
    dotenv: false,
};
/// Certificate authority of the NATS server.
pub const NATS_CA: Variable = Variable {
    name: "TVT_NATS_CA",
    help: "Certificate authority file of the NATS server",
    dotenv: false,
};
/// The configuration file of fleet commands.
pub const CTL_CONFIG: Variable = Variable {
    name: "TVT_CTL_CONFIG",
    help: "Configuration file instead of ~/.config/tvtfleet/tvtctl.toml",
    dotenv: false,
};
/// The folder of a fleet's keys.
pub const FLEET_DIR: Variable = Variable {
    name: "TVT_FLEET_DIR",
    help: "Folder of the fleet's keys, for tvtctl admin",
    dotenv: false,
};
/// Where configuration lives.
pub const XDG_CONFIG_HOME: Variable = Variable {
    name: "XDG_CONFIG_HOME",
    help: "Folder of configuration files instead of ~/.config",
    dotenv: false,
};
/// The user's folder.
pub const HOME: Variable = Variable {
    name: "HOME",
    help: "The user's folder",
    dotenv: false,
};
/// Switches colours off.
pub const NO_COLOR: Variable = Variable {
    name: "NO_COLOR",
    help: "Switches colours off where not empty",
    dotenv: false,
};
/// What is logged; read by the telemetry of all binaries.
pub const LOG: Variable = Variable {
    name: LOG_VARIABLE,
    help: "What is logged to stderr, as \"info\"",
    dotenv: false,
};
/// Where traces go; read by the telemetry of all binaries.
pub const OTEL_ENDPOINT: Variable = Variable {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    help: "Where traces are sent; none where unset",
    dotenv: false,
};

/// Every variable, in the order of the help text.
pub const ALL: &[Variable] = &[
    USERNAME,
    PASSWORD,
    PORT,
    TIMEOUT,
    CONCURRENCY,
    MAX_CHANNELS,
    SDK_PATH,
    OLD_SDK_PATH,
    NETSDK_HOST,
    API_URL,
    SCAN_SCRIPT,
    OLD_SCAN_SCRIPT,
    NATS_URL,
    NATS_CREDS,
    NATS_CA,
    CTL_CONFIG,
    FLEET_DIR,
    XDG_CONFIG_HOME,
    HOME,
    NO_COLOR,
    LOG,
    OTEL_ENDPOINT,
];

/// The environment of one run, as the caller gives it.
///
/// A variable that is set but empty counts as unset.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Takes what the operating system or a test provides.
    pub fn new<I, K, V>(variables: I) -> Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let into = |(name, value): (K, V)| (name.into(), value.into());
        Self(variables.into_iter().map(into).collect())
    }

    /// The text of a variable; `None` where it is unset or empty.
    ///
    /// # Errors
    ///
    /// `config.invalid` where the value is not UTF-8. The value itself is not shown.
    pub(crate) fn text(&self, variable: Variable) -> Result<Option<String>, CliError> {
        match self.raw(variable) {
            None => Ok(None),
            Some(value) => value.clone().into_string().map(Some).map_err(|_| {
                let text = format!("the environment variable {} is not UTF-8", variable.name);
                CliError::new(ErrorCode::ConfigInvalid, text)
            }),
        }
    }

    /// A variable that names a file or folder; `None` where it is unset or empty.
    #[must_use]
    pub(crate) fn path(&self, variable: Variable) -> Option<PathBuf> {
        self.raw(variable).map(PathBuf::from)
    }

    /// Whether a variable is set to anything but the empty text.
    #[must_use]
    pub(crate) fn is_set(&self, variable: Variable) -> bool {
        self.raw(variable).is_some()
    }

    fn raw(&self, variable: Variable) -> Option<&OsString> {
        self.0
            .get(std::ffi::OsStr::new(variable.name))
            .filter(|value| !value.is_empty())
    }
}

/// The variables as a section of the help text.
#[must_use]
pub(crate) fn help_section() -> String {
    let width = ALL
        .iter()
        .map(|variable| variable.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::from("Environment variables:\n");
    for variable in ALL {
        text.push_str(&format!("  {:width$}  {}\n", variable.name, variable.help));
    }
    text.push_str("\nA variable that is set but empty counts as unset.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let env = Environment::new([("TVT_PORT", ""), ("TVT_USERNAME", "op")]);
        assert_eq!(env.text(PORT).unwrap(), None);
        assert_eq!(env.text(USERNAME).unwrap().as_deref(), Some("op"));
        assert!(!env.is_set(PASSWORD));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = ALL.iter().map(|variable| variable.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
