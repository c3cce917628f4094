//! `tvtctl man`.

use std::path::PathBuf;

use clap_mangen::Man;
use tvtfleet_proto::error::ExitStatus;

use crate::args;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::files;
use crate::io::Io;

/// Arguments of `tvtctl man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tvtctl man ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// Folder for the pages; made where it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self, io: &mut Io) -> Outcome {
        let folder = io.resolve(&self.folder);
        files::prepare_folder(&folder)?;
        let mut parser = args::parser();
        parser.build();
        let mut written = 0_usize;
        write_pages(&parser, "tvtctl", &folder, &mut written)?;
        io.note(&format!(
            "{written} pages written to {}",
            self.folder.display()
        ));
        Ok(ExitStatus::Success)
    }
}

/// Writes the page of a command and of those below it, as `tvtctl-jobs-list.1`.
fn write_pages(
    command: &clap::Command,
    name: &str,
    folder: &std::path::Path,
    written: &mut usize,
) -> Result<(), CliError> {
    let page = Man::new(command.clone().name(name.to_owned()));
    files::write(&folder.join(format!("{name}.1")), |out| {
        page.render(&mut &mut *out)
    })?;
    *written = written.saturating_add(1);
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        write_pages(
            below,
            &format!("{name}-{}", below.get_name()),
            folder,
            written,
        )?;
    }
    Ok(())
}
