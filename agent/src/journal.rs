//! The journal: which jobs the site has accepted, and which of their devices have been reported.
//!
//! One append-only file per job. A job is in its file, on the disk, before the site says that it has
//! accepted it; after a restart it goes on with the devices that are left. Notes about devices need
//! not reach the disk at once: a device whose note is lost is asked again, and counted once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use prost::Message;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::answer::DeviceChange;
use tvtfleet_proto::model::discovery::{DiscoveredDevice, SweepCursor};
use tvtfleet_proto::model::id::{JobId, Sequence, TargetNo};
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{JobWant, SiteWork};
use tvtfleet_proto::wire::v1;

use crate::spool::sync_folder;

const SUFFIX: &str = ".job";
/// The largest file that is read, in bytes. 100,000 devices take about 10 MB.
const FILE_MAX: u64 = 64 * 1024 * 1024;
/// The largest entry, in bytes: the work of a job.
const ENTRY_MAX: usize = 32 * 1024 * 1024;
/// Bytes before the payload of an entry: length and checksum.
const ENTRY_HEADER: usize = 8;

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}", path.display())]
pub struct JournalError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl JournalError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        if full.contains(&self.source.kind()) {
            ErrorCode::StorageFull
        } else {
            ErrorCode::StorageIo
        }
    }

    /// The thread that was to write has broken.
    pub(crate) fn broken(error: &tokio::task::JoinError) -> Self {
        let source = io::Error::other(error.to_string());
        Self {
            what: "write",
            path: "the journal".into(),
            source,
        }
    }

    fn at(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self { what, path, source }
    }
}

/// What is known about a device that has been reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportedDevice {
    /// The batch that holds its report.
    pub sequence: Sequence,
    /// Whether it refused the login.
    pub refused: bool,
    /// The Ethernet address in its greeting.
    pub mac: Option<MacAddr>,
}

/// A job as the journal knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalJob {
    /// The job as it was accepted. Its work may be missing.
    pub want: JobWant,
    /// The devices that have been reported.
    pub reported: BTreeMap<TargetNo, ReportedDevice>,
    /// The devices that its discovery has found, whether reported or not.
    pub found: BTreeMap<TargetNo, DiscoveredDevice>,
    /// The changes of devices that were about to be sent.
    pub intended: BTreeMap<TargetNo, Vec<DeviceChange>>,
    /// Where its discovery goes on.
    pub cursor: Option<SweepCursor>,
    /// The batch that tells how its discovery went; `None` while it goes on.
    pub searched: Option<Sequence>,
    /// Whether the site is done with it.
    pub ended: bool,
    /// The batch that says so, where it is known.
    pub ended_in: Option<Sequence>,
}

impl JournalJob {
    /// A job of which nothing is done yet.
    #[must_use]
    pub const fn new(want: JobWant) -> Self {
        Self {
            want,
            reported: BTreeMap::new(),
            found: BTreeMap::new(),
            intended: BTreeMap::new(),
            cursor: None,
            searched: None,
            ended: false,
            ended_in: None,
        }
    }

    /// The last batch that anything is noted of.
    pub(crate) fn last_noted(&self) -> Sequence {
        self.range().map_or(Sequence(0), |(_, last)| last)
    }

    /// The first and last batch that hold its results.
    #[must_use]
    pub fn range(&self) -> Option<(Sequence, Sequence)> {
        let numbers = || {
            let reports = self.reported.values().map(|device| device.sequence);
            reports.chain(self.searched)
        };
        numbers().min().zip(numbers().max())
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Want(want) => self.want = *want,
            Entry::Work(work) => self.want.work = Some(work),
            Entry::Reported(target, device) => {
                self.reported.insert(target, device);
            }
            Entry::Forgotten(target) => {
                self.reported.remove(&target);
            }
            Entry::Found(target, device) => {
                self.found.insert(target, *device);
            }
            Entry::Cursor(cursor) => self.cursor = Some(cursor),
            Entry::Searched(sequence) => self.searched = sequence,
            Entry::Ended(sequence) => (self.ended, self.ended_in) = (true, sequence),
            Entry::Intended(target, changes) => {
                self.intended.insert(target, changes);
            }
            Entry::Reopened => (self.ended, self.ended_in) = (false, None),
        }
    }
}

/// The journal of a site.
#[derive(Clone, Debug)]
pub struct Journal {
    folder: PathBuf,
}

impl Journal {
    /// Opens the journal of a folder and reads its jobs. Devices whose reports are in batches that are
    /// `lost` are forgotten. A file that cannot be understood is set aside: the job comes again with the next
    /// want document.
    ///
    /// # Errors
    ///
    /// `storage.io`, `storage.full`.
    pub fn open(
        folder: &Path,
        lost: &dyn Fn(Sequence) -> bool,
    ) -> Result<(Self, Vec<(JournalJob, JobFile)>), JournalError> {
        std::fs::create_dir_all(folder).map_err(JournalError::at("create", folder))?;
        let mut jobs = Vec::new();
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(JournalError::at("list", folder))? {
            paths.push(entry.map_err(JournalError::at("list", folder))?.path());
        }
        paths.sort_unstable();
        for path in paths {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let Some(job) = name
                .strip_suffix(SUFFIX)
                .and_then(|job| job.parse::<JobId>().ok())
            else {
                continue;
            };
            match read_job(&path, job, lost)? {
                Some(found) => jobs.push(found),
                None => set_aside(&path)?,
            }
        }
        Ok((
            Self {
                folder: folder.to_owned(),
            },
            jobs,
        ))
    }

    /// Writes a new job; it is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// `storage.io`, `storage.full`.
    pub fn create(&self, want: &JobWant) -> Result<JobFile, JournalError> {
        let path = self.folder.join(format!("{}{SUFFIX}", want.job));
        let mut file = JobFile {
            file: None,
            path: path.clone(),
        };
        let make = |file: &mut JobFile| {
            file.file = Some(
                File::options()
                    .create(true)
                    .write(true)
                    .truncate(true)
                    .open(&path)?,
            );
            file.append(&Entry::Want(Box::new(want.clone())), true)?;
            sync_folder(&self.folder)
        };
        make(&mut file).map_err(JournalError::at("create", &path))?;
        Ok(file)
    }

    /// How long ago a job's file was written to; `None` where there is none.
    pub(crate) fn age(&self, job: JobId, now: UtcMillis) -> Option<Duration> {
        let path = self.folder.join(format!("{job}{SUFFIX}"));
        let changed = std::fs::metadata(path).ok()?.modified().ok()?;
        let changed = changed.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(now.since(UtcMillis::new(0).after(changed)))
    }

    /// Deletes the file of a job that is not wanted any more.
    ///
    /// # Errors
    ///
    /// `storage.io`.
    pub fn remove(&self, job: JobId) -> Result<(), JournalError> {
        let path = self.folder.join(format!("{job}{SUFFIX}"));
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(JournalError::at("delete", &path)(error))
            }
            _ => Ok(()),
        }
    }
}

/// The file of one job, for whoever works on it.
#[derive(Debug)]
pub struct JobFile {
    file: Option<File>,
    path: PathBuf,
}

impl JobFile {
    /// Notes the work of a job, fetched after it was accepted; on the disk when this returns.
    ///
    /// # Errors
    ///
    /// `storage.io`, `storage.full`.
    pub fn note_work(&mut self, work: &SiteWork) -> Result<(), JournalError> {
        self.note(&Entry::Work(work.clone()), true)
    }

    /// Notes that a device's report is in the spool. Reaches the disk at some time.
    ///
    /// # Errors
    ///
    /// `storage.io`, `storage.full`.
    pub fn note_reported(
        &mut self,
        target: TargetNo,
        device: ReportedDevice,
    ) -> Result<(), JournalError> {
        self.note(&Entry::Reported(target, device), false)
    }

    /// Notes a device that the job's discovery has found. Reaches the disk at some time; one that is
    /// lost is found again.
    ///
    /// # Errors
    ///
    /// `storage.io`, `storage.full`.
    pub fn note_found(
        &mut self,
        target: TargetNo,
        device: &DiscoveredDevice,
    ) -> Result<(), JournalError> {
        self.note(&Entry::Found(target, Box::new(device.clone())), false)
    }

    /// Notes what is about to be changed at a device; on the disk when this returns.
    ///
    /// # Errors
    ///
    /// `storage.io`, `storage.full`.
    pub fn note_intended(
        &mut self,
        target: TargetNo,
        changes: Vec<DeviceChange>,
    ) -> Result<(), JournalError> {
        self.note(&Entry::Intended(target, changes), true)
    }

    /// Notes how far the job's discovery is. Reaches the disk at some time.
    ///
    /// # Errors
    ///
    /// `storage.io`, `storage.full`.
    pub fn note_cursor(&mut self, cursor: SweepCursor) -> Result<(), JournalError> {
        self.note(&Entry::Cursor(cursor), false)
    }

    /// Notes that the job's discovery is over, and the batch that tells so; on the disk when this
    /// returns.
    ///
    /// # Errors
    ///
    /// `storage.io`, `storage.full`.
    pub fn note_searched(&mut self, sequence: Sequence) -> Result<(), JournalError> {
        self.note(&Entry::Searched(Some(sequence)), true)
    }

    /// Notes that the site is done with the job, and which batch says so; on the disk when this
    /// returns.
    ///
    /// # Errors
    ///
    /// `storage.io`, `storage.full`.
    pub fn note_ended(&mut self, told: Sequence) -> Result<(), JournalError> {
        self.note(&Entry::Ended(Some(told)), true)
    }

    fn note(&mut self, entry: &Entry, lasting: bool) -> Result<(), JournalError> {
        self.append(entry, lasting)
            .map_err(JournalError::at("write", &self.path))
    }

    fn append(&mut self, entry: &Entry, lasting: bool) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::options().append(true).open(&self.path)?),
        };
        let before = file.metadata()?.len();
        let written = file.write_all(&entry.encode());
        let written = if lasting {
            written.and_then(|()| file.sync_data())
        } else {
            written
        };
        if written.is_err() {
            // Half an entry would hide all that follow.
            file.set_len(before)?;
        }
        written
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Want(Box<JobWant>),
    Work(SiteWork),
    Reported(TargetNo, ReportedDevice),
    Forgotten(TargetNo),
    Found(TargetNo, Box<DiscoveredDevice>),
    Cursor(SweepCursor),
    /// `None` where the batch was lost.
    Searched(Option<Sequence>),
    Ended(Option<Sequence>),
    Reopened,
    Intended(TargetNo, Vec<DeviceChange>),
}

impl Entry {
    fn encode(&self) -> Vec<u8> {
        let (tag, body) = match self {
            Self::Want(want) => (1, v1::JobWant::from((**want).clone()).encode_to_vec()),
            Self::Work(work) => (2, v1::SiteWork::from(work.clone()).encode_to_vec()),
            Self::Reported(target, device) => {
                let mut body = target.0.to_le_bytes().to_vec();
                body.extend_from_slice(&device.sequence.0.to_le_bytes());
                body.push(u8::from(device.refused));
                body.extend_from_slice(&device.mac.map(MacAddr::octets).unwrap_or_default());
                (3, body)
            }
            Self::Forgotten(target) => (4, target.0.to_le_bytes().to_vec()),
            Self::Found(target, device) => {
                let mut body = target.0.to_le_bytes().to_vec();
                body.extend(v1::DiscoveredDevice::from((**device).clone()).encode_to_vec());
                (6, body)
            }
            Self::Cursor(cursor) => (7, v1::SweepCursor::from(*cursor).encode_to_vec()),
            Self::Searched(sequence) => {
                // Batches count from 1.
                let number = sequence.map_or(0, |sequence| sequence.0);
                (8, number.to_le_bytes().to_vec())
            }
            Self::Ended(sequence) => {
                let body = sequence.map(|sequence| sequence.0.to_le_bytes().to_vec());
                (5, body.unwrap_or_default())
            }
            Self::Reopened => (9, Vec::new()),
            Self::Intended(target, changes) => {
                let mut body = target.0.to_le_bytes().to_vec();
                let rows = changes.iter().cloned().map(Into::into).collect();
                body.extend(v1::DeviceChangeList { rows }.encode_to_vec());
                (20, body)
            }
        };
        let mut payload = vec![tag];
        payload.extend(body);
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
        bytes.extend(payload);
        bytes
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let (tag, body) = payload.split_first()?;
        Some(match tag {
            1 => Self::Want(Box::new(v1::JobWant::decode(body).ok()?.try_into().ok()?)),
            2 => Self::Work(v1::SiteWork::decode(body).ok()?.try_into().ok()?),
            3 => {
                let (target, rest) = body.split_first_chunk::<4>()?;
                let (sequence, rest) = rest.split_first_chunk::<8>()?;
                let (refused, rest) = rest.split_first()?;
                let mac = MacAddr::from(*rest.first_chunk::<6>()?);
                let device = ReportedDevice {
                    sequence: Sequence(u64::from_le_bytes(*sequence)),
                    refused: *refused != 0,
                    mac: Some(mac).filter(|mac| mac.octets() != [0; 6]),
                };
                Self::Reported(TargetNo(u32::from_le_bytes(*target)), device)
            }
            4 => Self::Forgotten(TargetNo(u32::from_le_bytes(*body.first_chunk::<4>()?))),
            6 => {
                let (target, rest) = body.split_first_chunk::<4>()?;
                let device = v1::DiscoveredDevice::decode(rest).ok()?.try_into().ok()?;
                Self::Found(TargetNo(u32::from_le_bytes(*target)), Box::new(device))
            }
            7 => Self::Cursor(v1::SweepCursor::decode(body).ok()?.into()),
            8 => {
                let number = u64::from_le_bytes(*body.first_chunk::<8>()?);
                Self::Searched((number != 0).then_some(Sequence(number)))
            }
            // The first version noted no batch.
            5 => Self::Ended(
                body.first_chunk::<8>()
                    .map(|number| Sequence(u64::from_le_bytes(*number))),
            ),
            9 => Self::Reopened,
            20 => {
                let (target, rest) = body.split_first_chunk::<4>()?;
                let list = v1::DeviceChangeList::decode(rest).ok()?;
                let changes = list.rows.into_iter().map(Into::into).collect();
                Self::Intended(TargetNo(u32::from_le_bytes(*target)), changes)
            }
            _ => return None,
        })
    }
}

/// Reads the entries of a file; returns them with the offset behind the last good one.
fn entries(bytes: &[u8]) -> (Vec<Entry>, usize) {
    let mut entries = Vec::new();
    let mut at = 0_usize;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(((length, crc), payload)) = split_entry(rest) else {
            return (entries, at);
        };
        let Some(payload) = payload.get(..length).filter(|_| length <= ENTRY_MAX) else {
            return (entries, at);
        };
        let entry = if crc32fast::hash(payload) == crc {
            Entry::decode(payload)
        } else {
            None
        };
        let Some(entry) = entry else {
            return (entries, at);
        };
        entries.push(entry);
        at = at.saturating_add(ENTRY_HEADER).saturating_add(length);
    }
}

fn split_entry(bytes: &[u8]) -> Option<((usize, u32), &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, payload) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    Some(((length, u32::from_le_bytes(*crc)), payload))
}

/// Reads a job; `None` where the file does not begin with one.
fn read_job(
    path: &Path,
    job: JobId,
    lost: &dyn Fn(Sequence) -> bool,
) -> Result<Option<(JournalJob, JobFile)>, JournalError> {
    let unreadable = || JournalError::at("read", path);
    let mut bytes = Vec::new();
    let file = File::options()
        .read(true)
        .append(true)
        .open(path)
        .map_err(unreadable())?;
    (&file)
        .take(FILE_MAX)
        .read_to_end(&mut bytes)
        .map_err(unreadable())?;
    let (entries, good) = entries(&bytes);
    let mut entries = entries.into_iter();
    let Some(Entry::Want(want)) = entries
        .next()
        .filter(|entry| matches!(entry, Entry::Want(want) if want.job == job))
    else {
        return Ok(None);
    };
    let mut found = JournalJob::new(*want);
    for entry in entries {
        found.apply(entry);
    }
    let length = u64::try_from(good).unwrap_or(u64::MAX);
    if good < bytes.len() {
        tracing::warn!(path = %path.display(), "the end of a journal was half written");
        file.set_len(length)
            .map_err(JournalError::at("mend", path))?;
    }
    let mut file = JobFile {
        file: Some(file),
        path: path.to_owned(),
    };
    let gone: Vec<_> = found
        .reported
        .iter()
        .filter(|(_, device)| lost(device.sequence))
        .map(|(target, _)| *target)
        .collect();
    // What the site said of its end is lost, or not true any more.
    let untold = found.ended_in.is_some_and(lost);
    let unsearched = found.searched.is_some_and(lost);
    let reopened = found.ended && (untold || unsearched || !gone.is_empty());
    for target in gone {
        found.apply(Entry::Forgotten(target));
        file.note(&Entry::Forgotten(target), false)?;
    }
    if unsearched {
        found.apply(Entry::Searched(None));
        file.note(&Entry::Searched(None), false)?;
    }
    if reopened {
        found.apply(Entry::Reopened);
        file.note(&Entry::Reopened, true)?;
    }
    if found.ended {
        // Nobody works on it; an open file for each such job would be waste.
        file.file = None;
    }
    Ok(Some((found, file)))
}

fn set_aside(path: &Path) -> Result<(), JournalError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}.damaged", uuid::Uuid::new_v4().simple()));
    tracing::error!(path = %path.display(), "a journal was damaged and has been set aside");
    std::fs::rename(path, &aside).map_err(JournalError::at("set aside", path))
}

#[cfg(test)]
mod tests;
