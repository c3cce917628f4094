//! `tvtctl backends`.

use serde::Serialize;
use tvt_agent::{VendorSettings, backends};
use tvtfleet_proto::error::ExitStatus;
use tvtfleet_proto::model::backend::BackendState;

use crate::config::VendorArgs;
use crate::exit::Outcome;
use crate::io::Io;
use crate::output::{self, Format, Row};

/// Arguments of `tvtctl backends`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The vendor's library is loaded by a helper process, the bridge is asked for its health.
Nothing is sent to any device.

Examples:
  tvtctl backends
  TVT_SDK_PATH=/opt/tvt-sdk tvtctl backends
  tvtctl backends --api-url http://127.0.0.1:3000 --format json")]
pub(crate) struct Args {
    /// How to write the list: table, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    vendor: VendorArgs,
}

impl Args {
    /// Runs the command.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        let settings = self.vendor.settle(VendorSettings::default(), io)?;
        let states = backends::survey(&settings).await;
        let rows: Vec<BackendRow> = states.iter().map(BackendRow::from).collect();
        output::list(io, self.format, &rows)?;
        Ok(ExitStatus::Success)
    }
}

/// A backend of a computer.
#[derive(Default, Serialize)]
pub(crate) struct BackendRow {
    backend: String,
    usable: bool,
    configured: bool,
    version: String,
    detail: String,
}

impl From<&BackendState> for BackendRow {
    fn from(state: &BackendState) -> Self {
        Self {
            backend: state.backend.clone(),
            usable: state.usable,
            configured: state.configured,
            version: state.version.clone(),
            detail: state.detail.clone(),
        }
    }
}

impl Row for BackendRow {
    const NOUN: &'static str = "backends";
    const HEADS: &'static [&'static str] =
        &["BACKEND", "USABLE", "CONFIGURED", "VERSION", "DETAIL"];

    fn cells(&self) -> Vec<String> {
        let yes_no = |truth| if truth { "yes" } else { "no" }.to_owned();
        vec![
            self.backend.clone(),
            yes_no(self.usable),
            yes_no(self.configured),
            self.version.clone(),
            self.detail.clone(),
        ]
    }
}
