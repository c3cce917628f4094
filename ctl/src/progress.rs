//! Progress on stderr: a bar on a terminal, lines elsewhere, nothing where the user wants quiet.

use std::fmt;
use std::io;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::io::{Io, Stderr};

/// Shows how far some work is.
pub(crate) struct Progress {
    stderr: Stderr,
    shown: Shown,
}

enum Shown {
    Nothing,
    Lines,
    Bar(ProgressBar),
}

impl Progress {
    /// Progress over `total` devices, in the form that suits where stderr goes.
    #[must_use]
    pub(crate) fn new(io: &Io, quiet: bool, total: u64) -> Self {
        let shown = if quiet {
            Shown::Nothing
        } else if io.stderr_is_terminal {
            let terminal = Terminal {
                stderr: io.stderr.clone(),
                width: io.width,
            };
            let target = ProgressDrawTarget::term_like(Box::new(terminal));
            let bar = ProgressBar::with_draw_target(Some(total), target);
            let template = "  [{bar:30}] {pos}/{len} devices {msg} {elapsed}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.tick();
            Shown::Bar(bar)
        } else {
            Shown::Lines
        };
        Self {
            stderr: io.stderr.clone(),
            shown,
        }
    }

    /// A message before the work begins or as it goes on.
    pub(crate) fn say(&self, text: &str) {
        let text = crate::output::printable(text);
        match &self.shown {
            Shown::Nothing => {}
            Shown::Lines => self.stderr.line(&text),
            Shown::Bar(bar) => bar.suspend(|| self.stderr.line(&text)),
        }
    }

    /// A message that a bar makes superfluous.
    pub(crate) fn step(&self, text: &str) {
        if let Shown::Lines = self.shown {
            self.stderr.line(&crate::output::printable(text));
        }
    }

    /// Moves the bar.
    pub(crate) fn advance(&self, done: u64, failed: u64) {
        if let Shown::Bar(bar) = &self.shown {
            bar.set_position(done);
            bar.set_message(if failed == 0 {
                String::new()
            } else {
                format!("({failed} failed)")
            });
        }
    }

    /// Whether anything is shown.
    pub(crate) const fn is_shown(&self) -> bool {
        !matches!(self.shown, Shown::Nothing)
    }

    /// Moves the bar of a search.
    pub(crate) fn search(&self, done: u64, total: u64, found: u64) {
        if let Shown::Bar(bar) = &self.shown {
            let template = "  [{bar:30}] {pos}/{len} probes {msg} {elapsed}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(format!("({found} found)"));
        }
    }

    /// Moves the bar of pictures.
    pub(crate) fn pictures(&self, done: u64, total: u64, message: String) {
        if let Shown::Bar(bar) = &self.shown {
            let template = "  [{bar:30}] {pos}/{len} pictures {msg} {elapsed}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(message);
        }
    }

    /// Corrects the number of devices.
    pub(crate) fn set_total(&self, total: u64) {
        if let Shown::Bar(bar) = &self.shown {
            bar.set_length(total);
        }
    }

    /// Takes the bar away; what follows begins on a fresh line.
    pub(crate) fn finish(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The terminal behind [`Stderr`], as indicatif wants it.
struct Terminal {
    stderr: Stderr,
    width: u16,
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Terminal")
    }
}

impl Terminal {
    fn send(&self, text: &str) -> io::Result<()> {
        self.stderr.text(text);
        Ok(())
    }

    fn cursor(&self, count: usize, direction: char) -> io::Result<()> {
        if count == 0 {
            Ok(())
        } else {
            self.send(&format!("\u{1b}[{count}{direction}"))
        }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.width
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.cursor(n, 'D')
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.send(&format!("{s}\n"))
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.send(s)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.send("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
