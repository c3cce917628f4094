//! Comparing what two outlines leave open.

use std::io;
use std::num::NonZero;
use std::thread;

use bumpalo::Bump;

use super::Outline;
use crate::diff::change::{DeviceDiff, Diff};
use crate::diff::compare;
use crate::diff::matching::{self, Matches};
use crate::results::ResultRecord;

/// The most threads that compare devices; more would wait for the file.
const WORKERS_MAX: usize = 8;
/// The fewest devices for which a further thread is worth its start.
const WORKER_SHARE: usize = 64;

/// Which devices have to be read again, and what is known without.
#[derive(Debug)]
pub struct Comparison<'o> {
    matches: Matches,
    unchanged: usize,
    old: &'o Outline,
    new: &'o Outline,
}

/// What a comparison keeps of the files: the text of the differences, and nothing else.
#[derive(Debug, Default)]
pub struct Kept(Vec<Bump>);

/// Fills a buffer from a place in a file, counted in bytes from its beginning; an unexpected end
/// where the file has not as much.
pub trait Reread: Fn(&mut [u8], u64) -> io::Result<()> + Sync {}

impl<F: Fn(&mut [u8], u64) -> io::Result<()> + Sync> Reread for F {}

/// A device cannot be read a second time.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The operating system says why.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A device is not as the outline has it, or its channels cannot be read.
    #[error("the file changed while it was read")]
    Changed,
}

/// A device, or a pair, that has to be read; by its place in the outlines.
#[derive(Clone, Copy, Debug)]
enum Open {
    Same(usize, usize),
    Replaced(usize, usize),
    Removed(usize),
    Added(usize),
}

impl<'o> Comparison<'o> {
    /// Compares two outlines of one key.
    #[must_use]
    pub fn of(old: &'o Outline, new: &'o Outline) -> Self {
        let mut matches = matching::join(&old.identities(), &new.identities());
        let before = matches.same.len();
        matches.same.retain(|(was, is)| {
            let digests = (old.devices.get(*was), new.devices.get(*is));
            matches!(digests, (Some(was), Some(is)) if was.digest != is.digest)
        });
        Self {
            unchanged: before.saturating_sub(matches.same.len()),
            matches,
            old,
            new,
        }
    }

    /// What differs. The devices that may differ are read again from the two files that the
    /// outlines are of, one pair at a time in each thread.
    ///
    /// # Errors
    /// A file cannot be read, is another one now, or has channels that cannot be read.
    pub fn diff<'k>(
        &self,
        old_file: impl Reread,
        new_file: impl Reread,
        kept: &'k mut Kept,
    ) -> Result<Diff<'k>, ReloadError> {
        let open = self.open();
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let workers = open
            .len()
            .div_ceil(WORKER_SHARE)
            .clamp(1, threads.min(WORKERS_MAX));
        let share = open.len().div_ceil(workers).max(1);
        kept.0.resize_with(workers, Bump::new);
        let mut found = Diff {
            old_devices: self.old.len(),
            new_devices: self.new.len(),
            unchanged: self.unchanged,
            devices: Vec::new(),
        };
        let parts: Vec<Result<Part<'k>, ReloadError>> = thread::scope(|scope| {
            let workers: Vec<_> = open
                .chunks(share)
                .zip(&mut kept.0)
                .map(|(share, kept)| {
                    let (old_file, new_file) = (&old_file, &new_file);
                    scope.spawn(move || self.compare(share, old_file, new_file, kept))
                })
                .collect();
            let ended = |_| Err(io::Error::other("a comparing thread ended early").into());
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(ended))
                .collect()
        });
        let mut devices = Vec::with_capacity(open.len());
        for part in parts {
            let part = part?;
            devices.extend(part.devices);
            found.unchanged = found.unchanged.saturating_add(part.unchanged);
        }
        // What shares its place keeps the order of the matches, as where whole files are compared.
        devices.sort_unstable_by_key(|(rank, _)| *rank);
        found.devices = devices.into_iter().map(|(_, device)| device).collect();
        compare::sort(&mut found.devices);
        Ok(found)
    }

    /// What has to be read, with its rank among the matches: in the order of the files, so that they
    /// are read from front to back.
    fn open(&self) -> Vec<(usize, Open)> {
        let Matches {
            same,
            replaced,
            removed,
            added,
        } = &self.matches;
        let mut open: Vec<Open> = same.iter().map(|(was, is)| Open::Same(*was, *is)).collect();
        open.extend(replaced.iter().map(|(was, is)| Open::Replaced(*was, *is)));
        open.extend(removed.iter().map(|was| Open::Removed(*was)));
        open.extend(added.iter().map(|is| Open::Added(*is)));
        let mut open: Vec<(usize, Open)> = open.into_iter().enumerate().collect();
        open.sort_unstable_by_key(|(_, open)| match open {
            Open::Same(was, _) | Open::Replaced(was, _) | Open::Removed(was) => *was,
            Open::Added(is) => *is,
        });
        open
    }

    fn compare<'k>(
        &self,
        share: &[(usize, Open)],
        old_file: &impl Reread,
        new_file: &impl Reread,
        kept: &'k Bump,
    ) -> Result<Part<'k>, ReloadError> {
        let mut part = Part::default();
        let (mut old_text, mut new_text) = (Vec::new(), Vec::new());
        for (rank, open) in share {
            let (was, is) = match open {
                Open::Same(was, is) | Open::Replaced(was, is) => (Some(*was), Some(*is)),
                Open::Removed(was) => (Some(*was), None),
                Open::Added(is) => (None, Some(*is)),
            };
            let was = read(self.old, was, old_file, &mut old_text)?;
            let is = read(self.new, is, new_file, &mut new_text)?;
            let device = match (open, &was, &is) {
                (Open::Same(..), Some(was), Some(is)) => compare(was, is),
                (Open::Replaced(..), Some(was), Some(is)) => Some(compare::replaced(was, is)),
                (Open::Removed(_), Some(was), _) => Some(compare::removed(was)),
                (Open::Added(_), _, Some(is)) => Some(compare::added(is)),
                (..) => return Err(ReloadError::Changed),
            };
            match device {
                Some(device) => part.devices.push((*rank, device.kept_in(kept))),
                None => part.unchanged = part.unchanged.saturating_add(1),
            }
        }
        Ok(part)
    }
}

/// What one thread found.
#[derive(Default)]
struct Part<'k> {
    /// With their ranks.
    devices: Vec<(usize, DeviceDiff<'k>)>,
    unchanged: usize,
}

/// Reads a device of an outline once more.
fn read<'t>(
    outline: &Outline,
    index: Option<usize>,
    file: &impl Reread,
    text: &'t mut Vec<u8>,
) -> Result<Option<ResultRecord<'t>>, ReloadError> {
    let Some(device) = index.and_then(|index| outline.devices.get(index)) else {
        return Ok(None);
    };
    let length = usize::try_from(device.length).map_err(|_| ReloadError::Changed)?;
    text.resize(length, 0);
    match file(text, device.at) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(ReloadError::Changed);
        }
        Err(error) => return Err(error.into()),
    }
    let text = std::str::from_utf8(text).map_err(|_| ReloadError::Changed)?;
    serde_json::from_str(text)
        .map(Some)
        .map_err(|_| ReloadError::Changed)
}
