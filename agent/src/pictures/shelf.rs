//! Where pictures wait: one file each, named by its digest.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::watch;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::picture::{PICTURE_MAX, PictureChunk, PictureDigest};
use tvtfleet_proto::model::report::Failure;

/// A picture that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) digest: PictureDigest,
    pub(crate) size: u64,
}

/// Pictures that are remembered as let go.
const DROPPED_MAX: usize = 4096;

/// The pictures that wait.
#[derive(Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
    max_bytes: u64,
    inner: Mutex<Inner>,
    /// Grows whenever a picture comes or goes.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The oldest first.
    waiting: VecDeque<Waiting>,
    /// Bytes on the disk, and of what is being written.
    bytes: u64,
    /// Bytes that reports leave of the whole cap.
    room: Option<u64>,
    /// Pictures that were let go before they were sent, and of which the coordinator has not heard.
    dropped: VecDeque<PictureDigest>,
}

impl Inner {
    fn note_dropped(&mut self, digest: PictureDigest) {
        if self.dropped.len() >= DROPPED_MAX {
            self.dropped.pop_front();
        }
        self.dropped.push_back(digest);
    }
}

impl Shelf {
    /// Opens a folder, and goes on with what is in it.
    pub(crate) fn open(folder: &Path, max_bytes: u64) -> io::Result<Arc<Self>> {
        fs::create_dir_all(folder)?;
        let mut found: Vec<(SystemTime, Waiting)> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (about, name) = (entry.metadata()?, entry.file_name());
            let digest = name.to_string_lossy().parse();
            let (Ok(digest), 1..=PICTURE_MAX) = (digest, about.len()) else {
                // What a power cut left half written.
                fs::remove_file(entry.path())?;
                continue;
            };
            let size = about.len();
            let since = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            found.push((since, Waiting { digest, size }));
        }
        found.sort_by_key(|(since, _)| *since);
        let bytes = found.iter().map(|(_, waiting)| waiting.size).sum();
        Ok(Arc::new(Self {
            folder: folder.to_owned(),
            max_bytes,
            inner: Mutex::new(Inner {
                waiting: found.into_iter().map(|(_, waiting)| waiting).collect(),
                bytes,
                room: None,
                dropped: VecDeque::new(),
            }),
            changes: watch::Sender::new(0),
        }))
    }

    /// Keeps a picture; it is on the disk when this returns. Waits for room until `deadline`.
    ///
    /// # Errors
    ///
    /// `picture.not_kept`.
    pub(crate) async fn keep(
        self: &Arc<Self>,
        digest: PictureDigest,
        bytes: Arc<Vec<u8>>,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<(), Failure> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let refuse = |text: &str| Failure::new(ErrorCode::PictureNotKept, text);
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            match self.reserve(digest, size) {
                Reserved::Known => return Ok(()),
                Reserved::Yes => break,
                Reserved::Never => {
                    return Err(refuse("the picture is larger than the room for pictures"));
                }
                Reserved::NotNow => {}
            }
            let changed = tokio::select! {
                changed = timeout_at(deadline.into(), changes.changed()) => changed,
                () = cancel.cancelled() => return Err(refuse("the job was stopped")),
            };
            if changed.is_err() {
                return Err(refuse(
                    "the site has no room for pictures; they wait to be sent",
                ));
            }
        }
        let shelf = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || shelf.write(digest, &bytes)).await;
        let result = match written {
            Ok(Ok(())) => {
                self.lock().waiting.push_back(Waiting { digest, size });
                Ok(())
            }
            Ok(Err(error)) => {
                self.give_back(size);
                Err(refuse(&format!("the picture cannot be written: {error}")))
            }
            Err(_) => {
                self.give_back(size);
                Err(refuse("the picture was not written"))
            }
        };
        self.tell();
        result
    }

    /// The oldest pictures, up to `most`.
    pub(crate) fn oldest(&self, most: usize) -> Vec<Waiting> {
        self.lock().waiting.iter().take(most).copied().collect()
    }

    /// Bytes of all of them, and of what is being written.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Hears of pictures that come and go.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Reads a piece of a picture. Blocks.
    pub(crate) fn read(&self, waiting: Waiting, offset: u64) -> io::Result<PictureChunk> {
        let file = File::open(self.file(waiting.digest))?;
        let length = PictureChunk::length_at(waiting.size, offset);
        let mut data = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut data, offset)?;
        Ok(PictureChunk {
            digest: waiting.digest,
            size: waiting.size,
            offset,
            data,
        })
    }

    /// Pictures that will not be sent, up to `most`.
    pub(crate) fn dropped(&self, most: usize) -> Vec<PictureDigest> {
        self.lock().dropped.iter().take(most).copied().collect()
    }

    /// Forgets pictures that will not be sent: the coordinator has heard of them.
    pub(crate) fn told_dropped(&self, told: &[PictureDigest]) {
        self.lock().dropped.retain(|digest| !told.contains(digest));
    }

    /// Gives a picture up that cannot be sent.
    pub(crate) fn give_up(&self, digest: PictureDigest) {
        self.lock().note_dropped(digest);
        self.let_go(digest);
    }

    /// Lets a picture go: the coordinator has it.
    pub(crate) fn let_go(&self, digest: PictureDigest) {
        let mut inner = self.lock();
        let place = inner.waiting.iter().position(|one| one.digest == digest);
        let gone = place.and_then(|place| inner.waiting.remove(place));
        if let Some(gone) = gone {
            inner.bytes = inner.bytes.saturating_sub(gone.size);
            drop(inner);
            self.delete(digest);
            self.tell();
        }
    }

    /// Makes room for reports: the oldest pictures go until the rest fits into `room`. Returns how many
    /// went.
    pub(crate) fn yield_to_reports(&self, room: u64) -> usize {
        let mut gone = Vec::new();
        let grown;
        {
            let mut inner = self.lock();
            grown = inner.room.replace(room).is_some_and(|before| before < room);
            while inner.bytes > room
                && let Some(oldest) = inner.waiting.pop_front()
            {
                inner.bytes = inner.bytes.saturating_sub(oldest.size);
                inner.note_dropped(oldest.digest);
                gone.push(oldest.digest);
            }
        }
        for digest in &gone {
            self.delete(*digest);
        }
        if !gone.is_empty() || grown {
            self.tell();
        }
        gone.len()
    }

    fn reserve(&self, digest: PictureDigest, size: u64) -> Reserved {
        let mut inner = self.lock();
        if inner.waiting.iter().any(|one| one.digest == digest) {
            return Reserved::Known;
        }
        if size > self.max_bytes {
            return Reserved::Never;
        }
        let room = self.max_bytes.min(inner.room.unwrap_or(u64::MAX));
        let bytes = inner.bytes.saturating_add(size);
        if bytes > room {
            return Reserved::NotNow;
        }
        inner.bytes = bytes;
        Reserved::Yes
    }

    fn give_back(&self, size: u64) {
        let mut inner = self.lock();
        inner.bytes = inner.bytes.saturating_sub(size);
    }

    fn write(&self, digest: PictureDigest, bytes: &[u8]) -> io::Result<()> {
        // Two devices may show the same picture at the same time.
        let mut new = tempfile_in(&self.folder, digest)?;
        let written = new.1.write_all(bytes).and_then(|()| new.1.sync_all());
        let placed = written
            .and_then(|()| fs::rename(&new.0, self.file(digest)))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        if placed.is_err() {
            let _rest = fs::remove_file(&new.0);
        }
        placed
    }

    fn delete(&self, digest: PictureDigest) {
        if let Err(error) = fs::remove_file(self.file(digest)) {
            tracing::warn!(%error, %digest, "a picture cannot be deleted");
        }
    }

    fn file(&self, digest: PictureDigest) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

enum Reserved {
    Known,
    Yes,
    NotNow,
    Never,
}

/// A new file that nobody else writes to.
fn tempfile_in(folder: &Path, digest: PictureDigest) -> io::Result<(PathBuf, File)> {
    let path = folder.join(format!("{digest}.{}", uuid::Uuid::new_v4().simple()));
    let file = File::options().write(true).create_new(true).open(&path)?;
    Ok((path, file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn digest(mark: u8) -> PictureDigest {
        PictureDigest([mark; 32])
    }

    async fn keep(
        shelf: &Arc<Shelf>,
        mark: u8,
        size: usize,
        wait: Duration,
    ) -> Result<(), Failure> {
        let bytes = Arc::new(vec![mark; size]);
        let stop = CancellationToken::new();
        shelf
            .keep(digest(mark), bytes, Instant::now() + wait, &stop)
            .await
    }

    #[tokio::test]
    async fn pictures_wait_in_order_and_over_restarts() {
        let home = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(home.path(), 1000).unwrap();
        for mark in [3, 1, 2] {
            keep(&shelf, mark, 100, Duration::ZERO).await.unwrap();
        }
        keep(&shelf, 3, 100, Duration::ZERO).await.unwrap();
        fs::write(home.path().join("half.written"), "x").unwrap();
        let shelf = Shelf::open(home.path(), 1000).unwrap();
        let oldest = shelf.oldest(9);
        assert_eq!(oldest.len(), 3, "the same picture waits once");
        let waiting = *oldest.iter().find(|one| one.digest == digest(1)).unwrap();
        assert_eq!(shelf.read(waiting, 0).unwrap().data, [1; 100]);
        shelf.let_go(digest(1));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn a_full_shelf_holds_back_until_a_picture_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(home.path(), 250).unwrap();
        keep(&shelf, 1, 200, Duration::ZERO).await.unwrap();
        let refused = keep(&shelf, 2, 100, Duration::from_millis(20)).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::PictureNotKept);
        let larger = keep(&shelf, 3, 300, Duration::from_secs(600)).await;
        assert_eq!(larger.unwrap_err().code, ErrorCode::PictureNotKept);
        let waits = keep(&shelf, 2, 100, Duration::from_secs(60));
        let goes = async {
            tokio::task::yield_now().await;
            shelf.let_go(digest(1));
        };
        let (kept, ()) = tokio::join!(waits, goes);
        kept.unwrap();
        assert_eq!(shelf.oldest(9).len(), 1);
    }

    #[tokio::test]
    async fn reports_take_the_room_of_the_oldest_pictures() {
        let home = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(home.path(), 1000).unwrap();
        for mark in 1..=4 {
            keep(&shelf, mark, 100, Duration::ZERO).await.unwrap();
        }
        assert_eq!(shelf.yield_to_reports(400), 0);
        assert_eq!(shelf.yield_to_reports(250), 2);
        assert_eq!(shelf.oldest(1)[0].digest, digest(3));
        let refused = keep(&shelf, 5, 100, Duration::ZERO).await;
        assert!(refused.is_err(), "the room belongs to reports now");
        shelf.give_up(digest(3));
        assert_eq!(shelf.dropped(9), [digest(1), digest(2), digest(3)]);
        shelf.told_dropped(&shelf.dropped(2));
        assert_eq!(shelf.dropped(9), [digest(3)]);
        assert_eq!(shelf.yield_to_reports(1000), 0);
        keep(&shelf, 5, 100, Duration::ZERO).await.unwrap();
    }
}
