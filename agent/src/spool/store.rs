//! The spool as a whole: segments in order, and the state file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::{Epoch, Sequence};
use tvtfleet_proto::model::time::UtcMillis;

use super::error::SpoolError;
use super::record::PAYLOAD_MAX;
use super::segment::{Segment, epoch_of};
use super::state::State;

/// The size at which a new segment is begun, in bytes.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// The smallest share of the cap that is kept free for reports of devices that are being asked when
/// it is reached: one part in this many.
const RESERVE_ONE_IN: u64 = 16;
/// The largest share of the cap for batches that the coordinator has: one part in this many.
const KEPT_ONE_IN: u64 = 4;
/// For how long such batches are kept where the settings do not say.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// How a spool is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolSettings {
    /// From this size on, in bytes, the spool counts as full. It never refuses a batch for that.
    pub max_bytes: u64,
    /// The size at which a new segment is begun, in bytes.
    pub segment_bytes: u64,
    /// For how long batches are kept that the coordinator has: it may be restored from a backup.
    pub keep: Duration,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self {
            max_bytes: 512 * 1024 * 1024,
            segment_bytes: SEGMENT_BYTES,
            keep: KEEP,
        }
    }
}

/// One batch in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolRecord {
    /// Its number.
    pub sequence: Sequence,
    /// The bytes that were appended.
    pub payload: Vec<u8>,
}

/// What was found and mended when a spool was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where the damaged file was put; `None` where only the end of the last one was half written.
    pub set_aside: Option<PathBuf>,
    /// The batches that are gone; empty ones stand in their place.
    pub lost: Vec<Sequence>,
}

/// Batches in order, on the disk. All methods block.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    settings: SpoolSettings,
    state: State,
    /// Numbers up to here are not given out.
    floor: Sequence,
    /// In order; the last one is appended to.
    segments: Vec<Segment>,
    active: Option<File>,
    reader: Option<Reader>,
}

/// Where the last reading ended: batches are read one after the other.
#[derive(Debug)]
struct Reader {
    file: File,
    first: Sequence,
    next: Sequence,
    offset: u64,
}

impl Spool {
    /// Opens the spool of a folder, or makes one with the given epoch. `filler` makes the bytes of an
    /// empty batch that takes the place of one that is damaged.
    ///
    /// # Errors
    ///
    /// `storage.io`, `storage.full`, `storage.version`. Damage is never an error.
    pub fn open(
        folder: &Path,
        settings: SpoolSettings,
        new_epoch: Epoch,
        filler: &dyn Fn(Epoch, Sequence) -> Vec<u8>,
    ) -> Result<(Self, Vec<Damage>), SpoolError> {
        std::fs::create_dir_all(folder).map_err(SpoolError::io("create", folder))?;
        let files = Segment::list(folder)?;
        let state = match State::read(folder)? {
            Some(state) => state,
            None => {
                // The segments say which spool it is; how far the coordinator got, it says itself.
                let mut epoch = new_epoch;
                for (_, path) in files.iter().rev() {
                    epoch = epoch_of(path)?.unwrap_or(epoch);
                }
                let oldest = files.first().map_or(Sequence(1), |(first, _)| *first);
                let state = State {
                    epoch,
                    committed: Sequence(oldest.0.saturating_sub(1)),
                };
                state.write(folder)?;
                state
            }
        };
        let (segments, damages) = open_all(folder, state.epoch, &files, filler)?;
        let active = match segments.last() {
            Some(last) => {
                let opened = File::options().read(true).write(true).open(&last.path);
                Some(opened.map_err(SpoolError::io("open", &last.path))?)
            }
            None => None,
        };
        let mut spool = Self {
            folder: folder.to_owned(),
            settings,
            state,
            floor: Sequence(0),
            segments,
            active,
            reader: None,
        };
        for segment in &mut spool.segments {
            if segment.last <= spool.state.committed {
                segment.released = segment.changed_at();
            }
        }
        spool.check_invariants();
        Ok((spool, damages))
    }

    /// The life of this spool.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.state.epoch
    }

    /// The coordinator has everything up to here.
    #[must_use]
    pub const fn committed(&self) -> Sequence {
        self.state.committed
    }

    /// The number that the next batch will get.
    #[must_use]
    pub fn next(&self) -> Sequence {
        let last = self
            .segments
            .last()
            .map_or(self.state.committed, |segment| segment.last);
        last.max(self.state.committed).max(self.floor).next()
    }

    /// The first number that is still held; the next one where none is.
    #[must_use]
    pub fn oldest(&self) -> Sequence {
        let held = self
            .segments
            .iter()
            .find(|segment| segment.last >= segment.first);
        held.map_or_else(|| self.next(), |segment| segment.first)
    }

    /// Bytes of segments with something that the coordinator does not have yet.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let waiting = self
            .segments
            .iter()
            .filter(|segment| !self.is_released(segment));
        waiting.map(|segment| segment.bytes).sum()
    }

    /// Bytes of segments that the coordinator has and that are kept for a while.
    #[must_use]
    pub fn kept_bytes(&self) -> u64 {
        let kept = self
            .segments
            .iter()
            .filter(|segment| self.is_released(segment));
        kept.map(|segment| segment.bytes).sum()
    }

    /// How many damaged files were set aside and are still there.
    #[must_use]
    pub fn damaged(&self) -> u32 {
        Segment::count_damaged(&self.folder)
    }

    /// Bytes that are free on its disk; 0 where nobody knows.
    #[must_use]
    pub fn disk_free(&self) -> u64 {
        let space = rustix::fs::statvfs(&self.folder);
        space.map_or(0, |space| space.f_bavail.saturating_mul(space.f_frsize))
    }

    /// Bytes that are left of the cap.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.settings.max_bytes.saturating_sub(self.bytes())
    }

    /// Whether no new work should be started: what is left is for work under way.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_full_with(0)
    }

    /// The same, where something else takes bytes of the cap too.
    #[must_use]
    pub fn is_full_with(&self, others: u64) -> bool {
        self.bytes().saturating_add(others) >= self.usable_bytes()
    }

    fn usable_bytes(&self) -> u64 {
        let reserve = self.settings.max_bytes / RESERVE_ONE_IN;
        self.settings.max_bytes.saturating_sub(reserve)
    }

    fn is_released(&self, segment: &Segment) -> bool {
        segment.last <= self.state.committed
    }

    /// Appends a batch under the number [`Self::next`]; it is on the disk when this returns. After an
    /// error nothing has been appended.
    ///
    /// # Errors
    ///
    /// `storage.full`, `storage.io`, `message.too_large`.
    pub fn append(&mut self, payload: &[u8]) -> Result<Sequence, SpoolError> {
        if payload.len() > PAYLOAD_MAX {
            return Err(SpoolError::TooLarge(payload.len()));
        }
        // What the coordinator has gives way to what it does not have.
        let room = self.usable_bytes().saturating_sub(self.bytes());
        self.delete_kept(|kept, _| kept > room)?;
        match self.append_once(payload) {
            Err(error) if error.code() == ErrorCode::StorageFull && self.kept_bytes() > 0 => {
                self.delete_kept(|_, _| true)?;
                self.append_once(payload)
            }
            other => other,
        }
    }

    fn append_once(&mut self, payload: &[u8]) -> Result<Sequence, SpoolError> {
        let sequence = self.next();
        let full = |segment: &Segment| {
            segment.bytes >= self.settings.segment_bytes || segment.last.next() != sequence
        };
        if self.active.is_none() || self.segments.last().is_none_or(full) {
            let (segment, file) = Segment::create(&self.folder, self.state.epoch, sequence)?;
            // One of the same name can only be empty, and has just been made anew.
            self.segments.retain(|old| old.path != segment.path);
            self.segments.push(segment);
            self.active = Some(file);
        }
        if let (Some(segment), Some(file)) = (self.segments.last_mut(), self.active.as_ref()) {
            segment.append(file, sequence, payload)?;
            segment.released = None;
        }
        self.check_invariants();
        Ok(sequence)
    }

    /// Gives the batches that follow numbers above `used`: somebody has seen numbers up to there.
    pub fn skip_to(&mut self, used: Sequence) {
        self.floor = self.floor.max(used);
    }

    /// Reads batches from a number on, at least one if there is one, then as many as fit.
    ///
    /// # Errors
    ///
    /// `storage.corrupt` with the number of a batch that has become unreadable; `storage.io`.
    pub fn read(
        &mut self,
        from: Sequence,
        max_bytes: usize,
    ) -> Result<Vec<SpoolRecord>, SpoolError> {
        let mut records = Vec::new();
        let mut bytes = 0_usize;
        let mut wanted = from;
        while wanted < self.next() && (records.is_empty() || bytes < max_bytes) {
            let payload = match self.read_one(wanted) {
                // The batches before the damaged one are delivered first.
                Err(_) if !records.is_empty() => break,
                other => other?,
            };
            bytes = bytes.saturating_add(payload.len());
            records.push(SpoolRecord {
                sequence: wanted,
                payload,
            });
            wanted = wanted.next();
        }
        Ok(records)
    }

    /// Takes the coordinator's word that it has everything up to `committed`, and deletes what has
    /// been kept for long enough.
    ///
    /// # Errors
    ///
    /// `storage.io`, `storage.full`.
    pub fn commit(&mut self, committed: Sequence, now: UtcMillis) -> Result<(), SpoolError> {
        let news = committed > self.state.committed;
        self.state.committed = self.state.committed.max(committed);
        let committed = self.state.committed;
        let mut released = false;
        for segment in &mut self.segments {
            if segment.last <= committed && segment.released.is_none() {
                segment.release(now);
                released = true;
            }
        }
        // The numbers must outlive the last segment that shows them.
        let written = if news && released {
            self.state.write(&self.folder)
        } else {
            Ok(())
        };
        let (keep, room) = (self.settings.keep, self.settings.max_bytes / KEPT_ONE_IN);
        self.delete_kept(|kept, since| kept > room || now.since(since) >= keep)?;
        self.check_invariants();
        written
    }

    /// Takes the coordinator's word back: it misses batches from `from` on, as one does whose database
    /// was restored from a backup. What is still there counts as not committed again.
    ///
    /// # Errors
    ///
    /// `storage.io`, `storage.full`.
    pub fn recall(&mut self, from: Sequence) -> Result<(), SpoolError> {
        let committed = Sequence(from.max(self.oldest()).0.saturating_sub(1));
        if committed >= self.state.committed {
            return Ok(());
        }
        self.floor = self.floor.max(self.state.committed);
        self.state.committed = committed;
        for segment in self
            .segments
            .iter_mut()
            .filter(|segment| segment.last > committed)
        {
            segment.released = None;
        }
        self.check_invariants();
        self.state.write(&self.folder)
    }

    /// Deletes segments that the coordinator has, oldest first, for as long as `wanted` says so of the
    /// bytes that are kept and of the time of release of the oldest.
    fn delete_kept(&mut self, wanted: impl Fn(u64, UtcMillis) -> bool) -> Result<(), SpoolError> {
        let mut kept = self.kept_bytes();
        while let Some(segment) = self.segments.first()
            && self.is_released(segment)
            && wanted(kept, segment.released.unwrap_or_default())
        {
            // Without a segment only the state file knows the numbers. On a full disk it finds no
            // room: then the last one stays.
            if self.segments.len() == 1 {
                self.state.write(&self.folder)?;
            }
            match std::fs::remove_file(&segment.path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(SpoolError::io("delete", &segment.path)(error)),
            }
            kept = kept.saturating_sub(segment.bytes);
            self.segments.remove(0);
        }
        if self.segments.is_empty() {
            self.active = None;
        }
        Ok(())
    }

    fn read_one(&mut self, wanted: Sequence) -> Result<Vec<u8>, SpoolError> {
        let segment = self
            .segments
            .iter()
            .find(|segment| segment.first <= wanted && wanted <= segment.last)
            .ok_or(SpoolError::Damaged(wanted))?;
        let mut reader = match self.reader.take() {
            Some(reader) if reader.first == segment.first => reader,
            _ => {
                let file =
                    File::open(&segment.path).map_err(SpoolError::io("open", &segment.path))?;
                Reader {
                    file,
                    first: segment.first,
                    next: segment.first,
                    offset: 0,
                }
            }
        };
        let from = if reader.next <= wanted {
            reader.offset
        } else {
            0
        };
        let place = segment
            .find(&reader.file, wanted, from)?
            .ok_or(SpoolError::Damaged(wanted))?;
        let read = segment.read_at(&reader.file, place)?;
        let (_, payload, end) = read.ok_or(SpoolError::Damaged(wanted))?;
        (reader.next, reader.offset) = (wanted.next(), end);
        self.reader = Some(reader);
        Ok(payload)
    }

    fn check_invariants(&self) {
        debug_assert!(
            self.segments.windows(2).all(|pair| match pair {
                [before, after] => before.last < after.first,
                _ => true,
            }),
            "segments overlap"
        );
        debug_assert!(self.active.is_some() != self.segments.is_empty());
    }
}

fn open_all(
    folder: &Path,
    epoch: Epoch,
    files: &[(Sequence, PathBuf)],
    filler: &dyn Fn(Epoch, Sequence) -> Vec<u8>,
) -> Result<(Vec<Segment>, Vec<Damage>), SpoolError> {
    let mut segments = Vec::with_capacity(files.len());
    let mut damages = Vec::new();
    let filler = |sequence| filler(epoch, sequence);
    for (index, (first, path)) in files.iter().enumerate() {
        let next_first = files.get(index.saturating_add(1)).map(|(next, _)| *next);
        let opened = Segment::open(folder, epoch, *first, path.clone(), next_first, &filler)?;
        if let Some(file) = &opened.set_aside {
            tracing::error!(
                file = %file.display(), lost = opened.lost.len(),
                "a segment of the spool was damaged and has been set aside"
            );
        }
        if opened.set_aside.is_some() || !opened.lost.is_empty() {
            damages.push(Damage {
                set_aside: opened.set_aside,
                lost: opened.lost,
            });
        }
        segments.push(opened.segment);
    }
    Ok((segments, damages))
}

#[cfg(test)]
mod tests;
