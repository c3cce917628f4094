//! Segment files: opening, mending, appending, reading.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tvtfleet_proto::model::id::{Epoch, Sequence};
use tvtfleet_proto::model::time::UtcMillis;

use super::error::SpoolError;
use super::record::{
    BadHeader, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, Scan, encode, read_header, scan,
    segment_header,
};
use super::state::{sync_folder, write_whole};

const SUFFIX: &str = ".seg";
const SET_ASIDE: &str = ".damaged";
/// More numbers than this are never in one segment.
const NUMBERS_MAX: u64 = 1 << 20;

/// One segment file and what is in it. An empty one has `last` before `first`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// The first sequence number that belongs in it.
    pub(super) first: Sequence,
    /// The last sequence number in it.
    pub(super) last: Sequence,
    /// Its size in bytes.
    pub(super) bytes: u64,
    /// Since when the coordinator has all of it; `None` where it does not. The file's time of change
    /// says the same after a restart.
    pub(super) released: Option<UtcMillis>,
}

/// What was found when a segment was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) segment: Segment,
    /// Sequence numbers whose batches are gone.
    pub(super) lost: Vec<Sequence>,
    /// Where the damaged file was put.
    pub(super) set_aside: Option<PathBuf>,
}

impl Segment {
    /// The segments of a folder with their first sequence numbers, in order.
    pub(super) fn list(folder: &Path) -> Result<Vec<(Sequence, PathBuf)>, SpoolError> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(SpoolError::io("list", folder))? {
            let path = entry.map_err(SpoolError::io("list", folder))?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let first = name
                .strip_suffix(SUFFIX)
                .and_then(|number| number.parse().ok());
            if let Some(first) = first {
                found.push((Sequence(first), path));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// How many damaged files of a folder were set aside.
    pub(super) fn count_damaged(folder: &Path) -> u32 {
        let damaged = |entry: &std::fs::DirEntry| {
            let name = entry.file_name();
            name.to_string_lossy().ends_with(SET_ASIDE)
        };
        let count = std::fs::read_dir(folder).map_or(0, |entries| {
            entries.filter_map(Result::ok).filter(damaged).count()
        });
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Makes a new, empty segment that is on the disk when this returns.
    pub(super) fn create(
        folder: &Path,
        epoch: Epoch,
        first: Sequence,
    ) -> Result<(Self, File), SpoolError> {
        let path = folder.join(format!("{:020}{SUFFIX}", first.0));
        let make = || {
            // A file of that name holds nothing: its numbers would have been taken into account.
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&path)?;
            file.write_all(&segment_header(epoch))?;
            file.sync_all()?;
            sync_folder(folder)?;
            Ok(file)
        };
        let file = make().map_err(SpoolError::io("create", &path))?;
        let bytes = u64::try_from(SEGMENT_HEADER).unwrap_or(u64::MAX);
        let last = Sequence(first.0.saturating_sub(1));
        Ok((
            Self {
                path,
                first,
                last,
                bytes,
                released: None,
            },
            file,
        ))
    }

    /// Reads a segment and mends it where needed.
    ///
    /// `next_first` is the first number of the following segment; without one, this is the last
    /// segment, whose end may be half written. `filler` makes the batch that takes a lost one's place.
    pub(super) fn open(
        folder: &Path,
        epoch: Epoch,
        first: Sequence,
        path: PathBuf,
        next_first: Option<Sequence>,
        filler: &dyn Fn(Sequence) -> Vec<u8>,
    ) -> Result<Opened, SpoolError> {
        let bytes = std::fs::read(&path).map_err(SpoolError::io("read", &path))?;
        // The state file is of this version, so a header that is not is damaged.
        let header = read_header(&bytes);
        let whole = header == Ok(epoch);
        // A crash while the file was made; nothing had been written to it.
        let unborn = bytes.len() < SEGMENT_HEADER && next_first.is_none();
        let found = if header.is_ok_and(|found| !is_nearly(found, epoch)) {
            // Another spool's: its results are not this one's.
            Scan::default()
        } else {
            scan(&bytes)
        };
        let wanted_last = match (next_first, found.records.last(), found.torn) {
            (Some(next), _, _) => Sequence(next.0.saturating_sub(1)),
            // The batch that was being written: it may have reached somebody all the same.
            (None, Some((last, _)), Some(_)) => last.next(),
            (None, None, Some(_)) => first,
            (None, Some((last, _)), None) => *last,
            (None, None, None) => Sequence(first.0.saturating_sub(1)),
        };
        let wanted_last = if wanted_last.0.saturating_sub(first.0) > NUMBERS_MAX {
            // Numbers were left out behind it, and nobody waits for them.
            let last = found.records.last().map(|(last, _)| *last);
            last.unwrap_or(Sequence(first.0.saturating_sub(1)))
        } else {
            wanted_last
        };
        let lost = missing(&found, first, wanted_last);
        if lost.is_empty() && found.torn.is_none() && whole {
            let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let segment = Self {
                path,
                first,
                last: wanted_last,
                bytes: size,
                released: None,
            };
            return Ok(Opened {
                segment,
                lost,
                set_aside: None,
            });
        }
        // A torn end alone is no damage. Its batch counts as lost all the same: it may have been whole
        // before the disk failed.
        let damaged = found.holes || !whole && !unborn || next_first.is_some();
        let set_aside = if damaged {
            Some(set_aside(&path)?)
        } else {
            None
        };
        let mended = mend(&bytes, &found, epoch, first, wanted_last, filler);
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        write_whole(folder, name, &mended).map_err(SpoolError::io("mend", &path))?;
        let size = u64::try_from(mended.len()).unwrap_or(u64::MAX);
        let segment = Self {
            path,
            first,
            last: wanted_last,
            bytes: size,
            released: None,
        };
        Ok(Opened {
            segment,
            lost,
            set_aside,
        })
    }

    /// Notes that the coordinator has all of the segment since `at`, also in the file itself.
    pub(super) fn release(&mut self, at: UtcMillis) {
        self.released = Some(at);
        let noted = File::options()
            .write(true)
            .open(&self.path)
            .and_then(|file| file.set_modified(to_system(at)));
        if let Err(error) = noted {
            // It may be kept longer or shorter after a restart, nothing else.
            tracing::debug!(%error, path = %self.path.display(), "the time of a segment is not noted");
        }
    }

    /// When the file was changed last.
    pub(super) fn changed_at(&self) -> Option<UtcMillis> {
        let changed = std::fs::metadata(&self.path).ok()?.modified().ok()?;
        let age = changed.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(UtcMillis::new(0).after(age))
    }

    /// Appends records and waits until they are on the disk. After an error the file is as it was.
    pub(super) fn append(
        &mut self,
        file: &File,
        sequence: Sequence,
        payload: &[u8],
    ) -> Result<(), SpoolError> {
        let record = encode(sequence, payload);
        let written = file
            .write_all_at(&record, self.bytes)
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Best effort: what stays behind is overwritten by the next batch, or cut off at a start.
            if let Err(error) = file.set_len(self.bytes) {
                tracing::debug!(%error, "the end of a failed batch stays in the spool");
            }
            return Err(SpoolError::io("append to", &self.path)(error));
        }
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(record.len()).unwrap_or(u64::MAX));
        self.last = sequence;
        Ok(())
    }

    /// Reads the record at an offset; returns it with the offset of the next one. `None` at the end.
    pub(super) fn read_at(
        &self,
        file: &File,
        offset: u64,
    ) -> Result<Option<(Sequence, Vec<u8>, u64)>, SpoolError> {
        let Some(header) = self.header_at(file, offset)? else {
            return Ok(None);
        };
        let start = offset.saturating_add(as_u64(RECORD_HEADER));
        let mut payload = vec![0; header.length];
        file.read_exact_at(&mut payload, start)
            .map_err(SpoolError::io("read", &self.path))?;
        if !header.fits(&payload) {
            return Err(SpoolError::Damaged(header.sequence));
        }
        Ok(Some((
            header.sequence,
            payload,
            start.saturating_add(as_u64(header.length)),
        )))
    }

    /// The offset of a sequence number's record, looked for from an offset on.
    pub(super) fn find(
        &self,
        file: &File,
        wanted: Sequence,
        from: u64,
    ) -> Result<Option<u64>, SpoolError> {
        let mut offset = from.max(as_u64(SEGMENT_HEADER));
        while let Some(header) = self.header_at(file, offset)? {
            if header.sequence >= wanted {
                return Ok((header.sequence == wanted).then_some(offset));
            }
            offset = offset
                .saturating_add(as_u64(RECORD_HEADER))
                .saturating_add(as_u64(header.length));
        }
        Ok(None)
    }

    fn header_at(&self, file: &File, offset: u64) -> Result<Option<RecordHeader>, SpoolError> {
        if offset >= self.bytes {
            return Ok(None);
        }
        let mut header = [0; RECORD_HEADER];
        match file.read_exact_at(&mut header, offset) {
            Ok(()) => RecordHeader::read(&header)
                .map(Some)
                .ok_or(SpoolError::Damaged(self.last)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(SpoolError::io("read", &self.path)(error)),
        }
    }
}

/// The epoch that a segment file says, for when the state file is gone; `None` where it is damaged.
pub(super) fn epoch_of(path: &Path) -> Result<Option<Epoch>, SpoolError> {
    let mut header = [0; SEGMENT_HEADER];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    if read.is_err() {
        return Ok(None);
    }
    match read_header(&header) {
        Ok(epoch) => Ok(Some(epoch)),
        Err(BadHeader::Damaged) => Ok(None),
        Err(BadHeader::Newer) => Err(SpoolError::Newer(path.to_owned())),
    }
}

/// Whether an epoch is the other one but for a few bits: two of them differ in about half of theirs.
fn is_nearly(one: Epoch, other: Epoch) -> bool {
    const BITS: u32 = 8;
    let (one, other) = (one.uuid().as_u128(), other.uuid().as_u128());
    (one ^ other).count_ones() <= BITS
}

fn missing(found: &Scan, first: Sequence, last: Sequence) -> Vec<Sequence> {
    let have: std::collections::BTreeSet<_> =
        found.records.iter().map(|(number, _)| *number).collect();
    (first.0..=last.0)
        .map(Sequence)
        .filter(|number| !have.contains(number))
        .collect()
}

/// Writes a segment anew: the readable records, and fillers for the others.
fn mend(
    bytes: &[u8],
    found: &Scan,
    epoch: Epoch,
    first: Sequence,
    last: Sequence,
    filler: &dyn Fn(Sequence) -> Vec<u8>,
) -> Vec<u8> {
    let mut mended = segment_header(epoch).to_vec();
    let mut records = found.records.iter().peekable();
    for number in (first.0..=last.0).map(Sequence) {
        let record = records.next_if(|(sequence, _)| *sequence == number);
        match record.and_then(|(_, place)| bytes.get(place.clone())) {
            Some(payload) => mended.extend(encode(number, payload)),
            None => mended.extend(encode(number, &filler(number))),
        }
    }
    mended
}

/// Moves a damaged file out of the way, never over an earlier one.
fn set_aside(path: &Path) -> Result<PathBuf, SpoolError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}{SET_ASIDE}", uuid::Uuid::new_v4().simple()));
    let aside = PathBuf::from(aside);
    std::fs::rename(path, &aside).map_err(SpoolError::io("set aside", path))?;
    Ok(aside)
}

fn to_system(at: UtcMillis) -> SystemTime {
    SystemTime::UNIX_EPOCH + at.since(UtcMillis::new(0))
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
