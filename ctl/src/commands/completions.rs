//! `tvtctl completions`.

use clap_complete::Shell;
use tvtfleet_proto::error::ExitStatus;

use crate::args;
use crate::exit::Outcome;
use crate::io::Io;

/// Arguments of `tvtctl completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tvtctl completions bash > ~/.local/share/bash-completion/completions/tvtctl")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self, io: &mut Io) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut args::parser(), "tvtctl", &mut script);
        io.write_out(&script)?;
        Ok(ExitStatus::Success)
    }
}
