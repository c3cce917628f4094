//! What is shown while a discovery runs in this process: devices as they appear, and on a terminal
//! how far it is.

use tvt_agent::discover::DiscoverEvent;
use tvt_coordinator::render::discovery::found_line;

use crate::io::Io;

/// The display of one discovery.
pub(crate) struct Live<'a> {
    io: &'a Io,
    quiet: bool,
    status: bool,
}

impl<'a> Live<'a> {
    /// A display that shows nothing where the user wants `quiet`.
    pub(crate) const fn new(io: &'a Io, quiet: bool) -> Self {
        Self {
            io,
            quiet,
            status: false,
        }
    }

    /// Shows something that happened.
    pub(crate) fn show(&mut self, event: DiscoverEvent) {
        if self.quiet {
            return;
        }
        match event {
            DiscoverEvent::Sweeping { addresses, rate } => {
                self.line(&format!("Sweeping {addresses} addresses at {rate} probes per second..."));
            }
            DiscoverEvent::Found(device) => self.line(&found_line(&device)),
            DiscoverEvent::Progress { done, total, found, .. } if self.io.stderr_is_terminal => {
                let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
                let text = format!("\r\u{1b}[2K  {percent}% of {total} probes, {found} found");
                self.io.stderr.text(&text);
                self.status = true;
            }
            DiscoverEvent::Progress { .. }
            | DiscoverEvent::Updated(_)
            // Notes are printed at the end.
            | DiscoverEvent::Note(_) => {}
        }
    }

    /// Takes the status line away.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.status) {
            self.io.stderr.text("\r\u{1b}[2K");
        }
    }

    fn line(&mut self, text: &str) {
        self.clear();
        self.io.note(text);
    }
}
