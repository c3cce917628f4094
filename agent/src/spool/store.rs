//! The spool as a whole: segments in order, and the state file.

use std::fs::File;
use std::path::{Path, PathBuf};

use tvtfleet_proto::model::id::{Epoch, Sequence};

use super::error::SpoolError;
use super::record::PAYLOAD_MAX;
use super::segment::{Segment, epoch_of};
use super::state::State;

/// The size at which a new segment is begun, in bytes.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// The smallest share of the cap that is kept free for reports of devices that are being asked when
/// it is reached: one part in this many.
const RESERVE_ONE_IN: u64 = 16;

/// How a spool is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolSettings {
    /// From this size on, in bytes, the spool counts as full. It never refuses a batch for that.
    pub max_bytes: u64,
    /// The size at which a new segment is begun, in bytes.
    pub segment_bytes: u64,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self {
            max_bytes: 512 * 1024 * 1024,
            segment_bytes: SEGMENT_BYTES,
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

/// Damage that was found and mended when a spool was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where the damaged file was put.
    pub set_aside: PathBuf,
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
    /// `storage.io`, `storage.full`, `storage.version`, `storage.corrupt` where the files belong to
    /// different spools.
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
                let epoch = files
                    .iter()
                    .find_map(|(_, path)| epoch_of(path))
                    .unwrap_or(new_epoch);
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
        // A crash may have come between the state and the deletion that it announced.
        spool.delete_committed(false)?;
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

    /// Bytes on the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Whether no new work should be started: what is left is for work under way.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let reserve = self.settings.max_bytes / RESERVE_ONE_IN;
        self.bytes() >= self.settings.max_bytes.saturating_sub(reserve)
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

    /// Takes the coordinator's word that it has everything up to `committed`, and deletes what is no
    /// longer needed. Numbers never go back.
    ///
    /// # Errors
    ///
    /// `storage.io`, `storage.full`.
    pub fn commit(&mut self, committed: Sequence) -> Result<(), SpoolError> {
        self.state.committed = self.state.committed.max(committed);
        let committed = self.state.committed;
        if !self
            .segments
            .iter()
            .any(|segment| segment.last <= committed)
        {
            return Ok(());
        }
        // The numbers must outlive the last segment that shows them. On a full disk, deleting the
        // others makes the room that the state file needs.
        let written = self.state.write(&self.folder);
        if written.is_ok() || self.segments.len() > 1 {
            self.delete_committed(written.is_err())?;
        }
        self.check_invariants();
        written
    }

    fn delete_committed(&mut self, keep_last: bool) -> Result<(), SpoolError> {
        let committed = self.state.committed;
        while let Some(segment) = self.segments.first()
            && segment.last <= committed
            && !(keep_last && self.segments.len() == 1)
        {
            match std::fs::remove_file(&segment.path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(SpoolError::io("delete", &segment.path)(error)),
            }
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
        if let Some(set_aside) = opened.set_aside {
            let damage = Damage {
                set_aside,
                lost: opened.lost,
            };
            tracing::error!(
                file = %damage.set_aside.display(), lost = damage.lost.len(),
                "a segment of the spool was damaged and has been set aside"
            );
            damages.push(damage);
        }
        segments.push(opened.segment);
    }
    Ok((segments, damages))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::io::{Seek, SeekFrom, Write};

    const SMALL: SpoolSettings = SpoolSettings {
        max_bytes: 4096,
        segment_bytes: 200,
    };

    fn epoch() -> Epoch {
        Epoch::new(uuid::Uuid::from_u128(1))
    }

    fn filler(_: Epoch, sequence: Sequence) -> Vec<u8> {
        format!("filler {sequence}").into_bytes()
    }

    fn open(folder: &Path) -> (Spool, Vec<Damage>) {
        Spool::open(folder, SMALL, epoch(), &filler).unwrap()
    }

    fn payload(number: u64) -> Vec<u8> {
        format!("payload {number} {}", "x".repeat(40)).into_bytes()
    }

    fn fill(spool: &mut Spool, count: u64) {
        for _ in 0..count {
            let next = spool.next();
            assert_eq!(spool.append(&payload(next.0)).unwrap(), next);
        }
    }

    fn all(spool: &mut Spool) -> Vec<SpoolRecord> {
        let oldest = spool.oldest();
        spool.read(oldest, usize::MAX).unwrap()
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        Segment::list(folder)
            .unwrap()
            .into_iter()
            .map(|(_, path)| path)
            .collect()
    }

    #[test]
    fn batches_survive_and_are_deleted_once_committed() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(folder.path());
        assert_eq!((spool.next(), spool.oldest()), (Sequence(1), Sequence(1)));
        fill(&mut spool, 10);
        assert!(files(folder.path()).len() > 2);
        drop(spool);
        let (mut spool, damages) = open(folder.path());
        assert!(damages.is_empty());
        let records = all(&mut spool);
        assert_eq!(records.len(), 10);
        assert!(
            records
                .iter()
                .all(|record| record.payload == payload(record.sequence.0))
        );
        spool.commit(Sequence(7)).unwrap();
        assert!(spool.oldest() > Sequence(1) && spool.oldest() <= Sequence(8));
        spool.commit(Sequence(10)).unwrap();
        assert_eq!((spool.bytes(), spool.next()), (0, Sequence(11)));
        drop(spool);
        let (mut spool, _) = open(folder.path());
        assert_eq!(
            (spool.next(), spool.committed()),
            (Sequence(11), Sequence(10))
        );
        fill(&mut spool, 1);
        assert_eq!(all(&mut spool)[0].sequence, Sequence(11));
    }

    #[test]
    fn a_torn_end_is_cut_and_its_number_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(folder.path());
        fill(&mut spool, 2);
        let path = files(folder.path()).pop().unwrap();
        drop(spool);
        let length = std::fs::metadata(&path).unwrap().len();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(length - 5)
            .unwrap();
        let (mut spool, damages) = open(folder.path());
        assert!(damages.is_empty(), "a torn end is no damage");
        let records = all(&mut spool);
        assert_eq!(records[0].payload, payload(1));
        assert_eq!(records[1].payload, filler(epoch(), Sequence(2)));
        assert_eq!(spool.next(), Sequence(3));
    }

    #[test]
    fn a_damaged_segment_is_set_aside_and_its_other_batches_live() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(folder.path());
        fill(&mut spool, 9);
        drop(spool);
        let path = files(folder.path()).remove(1);
        let mut file = File::options().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(50)).unwrap();
        file.write_all(b"#").unwrap();
        let (mut spool, damages) = open(folder.path());
        assert_eq!(damages.len(), 1);
        assert!(damages[0].set_aside.exists());
        let lost: Vec<_> = damages[0].lost.iter().map(|number| number.0).collect();
        assert_eq!(lost.len(), 1);
        let records = all(&mut spool);
        assert_eq!(records.len(), 9);
        for record in records {
            let expected = if lost.contains(&record.sequence.0) {
                filler(epoch(), record.sequence)
            } else {
                payload(record.sequence.0)
            };
            assert_eq!(record.payload, expected);
        }
        drop(spool);
        assert!(open(folder.path()).1.is_empty(), "mended for good");
    }

    #[test]
    fn a_missing_segment_and_a_lost_state_are_survived() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(folder.path());
        fill(&mut spool, 9);
        drop(spool);
        std::fs::remove_file(files(folder.path()).remove(1)).unwrap();
        std::fs::remove_file(folder.path().join("state")).unwrap();
        let other = Epoch::new(uuid::Uuid::from_u128(2));
        let (mut spool, damages) = Spool::open(folder.path(), SMALL, other, &filler).unwrap();
        assert_eq!(spool.epoch(), epoch());
        assert_eq!(damages.len(), 1);
        assert_eq!(all(&mut spool).len(), 9);
        assert_eq!(spool.next(), Sequence(10));
    }

    #[test]
    fn segments_of_another_spool_are_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let other = Epoch::new(uuid::Uuid::from_u128(2));
        fill(&mut open(one.path()).0, 1);
        let (mut spool, _) = Spool::open(two.path(), SMALL, other, &filler).unwrap();
        fill(&mut spool, 1);
        std::fs::copy(&files(two.path())[0], &files(one.path())[0]).unwrap();
        let error = Spool::open(one.path(), SMALL, epoch(), &filler).unwrap_err();
        assert!(matches!(error, SpoolError::Foreign(_)), "{error}");
    }

    #[test]
    fn a_batch_that_becomes_unreadable_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(folder.path());
        fill(&mut spool, 2);
        let path = files(folder.path()).pop().unwrap();
        let mut file = File::options().write(true).open(&path).unwrap();
        file.seek(SeekFrom::End(-1)).unwrap();
        file.write_all(b"#").unwrap();
        assert_eq!(spool.read(Sequence(1), usize::MAX).unwrap().len(), 1);
        let error = spool.read(Sequence(2), usize::MAX).unwrap_err();
        assert!(matches!(error, SpoolError::Damaged(Sequence(2))), "{error}");
    }

    #[test]
    fn fullness_comes_before_the_cap_and_refuses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(folder.path());
        while !spool.is_full() {
            fill(&mut spool, 1);
        }
        assert!(spool.bytes() < SMALL.max_bytes);
        fill(&mut spool, 20);
        let last = Sequence(spool.next().0 - 1);
        spool.commit(last).unwrap();
        assert!(!spool.is_full());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_history_keeps_what_is_not_committed(
            steps in proptest::collection::vec((0_u8..8, 0_u64..12), 1..60)
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut spool = open(folder.path()).0;
            let (mut model, mut committed) = (BTreeMap::new(), 0);
            for (what, number) in steps {
                match what {
                    0..=4 => {
                        let sequence = spool.next();
                        spool.append(&payload(sequence.0)).unwrap();
                        prop_assert!(model.insert(sequence.0, payload(sequence.0)).is_none());
                    }
                    5 => {
                        let last = model.keys().next_back().copied().unwrap_or(committed);
                        committed = committed.max((committed + number).min(last));
                        spool.commit(Sequence(committed)).unwrap();
                    }
                    6 => spool = { drop(spool); open(folder.path()).0 },
                    _ => {
                        let from = (committed + 1 + number).min(spool.next().0);
                        for record in spool.read(Sequence(from), 100).unwrap() {
                            prop_assert_eq!(Some(&record.payload), model.get(&record.sequence.0));
                        }
                    }
                }
                let held = spool.read(Sequence(committed + 1), usize::MAX).unwrap();
                prop_assert_eq!(held.len(), model.range(committed + 1..).count());
            }
        }
    }
}
