//! A process that decodes, as the one that gives it orders sees it.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout};

use super::darkroom::COMMAND;
use super::exchange::{ANSWER_MAX, Made, Order};
use crate::device::child::{ChildGroup, command};

/// This program, whatever has become of its file meanwhile.
const OWN: &str = "/proc/self/exe";
/// Programs that can be started to decode.
const PROGRAMS: [&str; 2] = ["tvt-agent", "tvtctl"];
/// Time for a process that has closed its pipe to be gone.
const GONE: Duration = Duration::from_secs(1);

static DECODES: OnceLock<()> = OnceLock::new();

/// Remembers that this program decodes when it is asked to.
pub(super) fn this_program_decodes() {
    let _known = DECODES.set(());
}

/// The program to start: this one, or for programs that cannot decode one of the fleet's beside it.
pub(super) fn program() -> Option<PathBuf> {
    if DECODES.get().is_some() {
        return Some(OWN.into());
    }
    let own = std::env::current_exe().ok()?;
    // Programs of tests stand one folder deeper.
    let folders = own.ancestors().skip(1).take(2);
    let mut there =
        folders.flat_map(|folder| PROGRAMS.iter().map(move |program| folder.join(program)));
    there.find(|path| path.is_file())
}

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Worker {
    group: ChildGroup,
    input: ChildStdin,
    output: ChildStdout,
}

impl Worker {
    /// Starts a process.
    pub(super) fn start(program: &PathBuf) -> io::Result<Self> {
        let mut command = command(program);
        command
            .arg(COMMAND)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A decoder that breaks says where; its process's end says enough.
            .stderr(Stdio::null());
        let mut group = ChildGroup::start(&mut command)?;
        let (Some(input), Some(output), _) = group.pipes() else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self {
            group,
            input,
            output,
        })
    }

    /// Gives an order and waits for what comes of it. The process is of no use after an error.
    pub(super) async fn carry_out(&mut self, order: Order, picture: &[u8]) -> io::Result<Made> {
        let head = order
            .head(picture.len())
            .ok_or(io::ErrorKind::InvalidInput)?;
        self.input.write_all(&head).await?;
        self.input.write_all(picture).await?;
        let length = usize::try_from(self.output.read_u32_le().await?).unwrap_or(usize::MAX);
        if length > ANSWER_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut answer = vec![0; length];
        self.output.read_exact(&mut answer).await?;
        Made::read(answer).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// How it ended, where it has.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        self.group.ended(GONE).await
    }

    /// The number of the process, while it runs.
    #[cfg(test)]
    pub(super) fn id(&self) -> Option<u32> {
        self.group.id()
    }
}
