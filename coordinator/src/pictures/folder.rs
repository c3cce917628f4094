//! The folder of pictures: `TENANT/ab/abcd…` for what is whole, `TENANT/incoming/SITE.abcd…` for what
//! is still growing. Everything here blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::{SiteId, TenantId};
use tvtfleet_proto::model::picture::{CHUNK, PART, PictureChunk, PictureDigest};

/// The most pictures of one site that grow at a time; the one that has rested longest gives way.
const GROWING_MAX: usize = 8;

/// The folder of pictures cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// There is no room, or less than what has to stay free.
    #[error("there is no room for pictures on the disk of {}", .0.display())]
    Full(PathBuf),
    /// A file cannot be used.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl FolderError {
    /// The stable code.
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::Full(_) => ErrorCode::StorageFull,
            Self::Io { .. } => ErrorCode::StorageIo,
        }
    }

    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| {
            let kind = source.kind();
            if matches!(
                kind,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) {
                Self::Full(path)
            } else {
                Self::Io { what, path, source }
            }
        }
    }
}

/// What became of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is on the disk, and more is to come.
    More,
    /// The picture is whole and in its place.
    Whole,
    /// It was there already, or one before it is missing.
    Unwanted,
    /// The picture is whole and is not what its digest says: all of it is gone.
    Wrong,
}

/// The folder.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    min_free: u64,
    full: AtomicBool,
}

impl Folder {
    pub(crate) const fn new(root: PathBuf, min_free: u64) -> Self {
        Self {
            root,
            min_free,
            full: AtomicBool::new(false),
        }
    }

    /// Whether the last chunk found no room.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// How many bytes of a growing picture of a site are there.
    pub(crate) fn growing(&self, site: &SiteId, digest: PictureDigest) -> u64 {
        fs::metadata(self.incoming(site, digest)).map_or(0, |file| whole_chunks(file.len()))
    }

    /// Adds a chunk; it is on the disk when this returns.
    pub(crate) fn add(&self, site: &SiteId, chunk: &PictureChunk) -> Result<Added, FolderError> {
        let added = self.add_where_there_is_room(site, chunk);
        let full = matches!(added, Err(FolderError::Full(_)));
        self.full.store(full, Ordering::Relaxed);
        added
    }

    fn add_where_there_is_room(
        &self,
        site: &SiteId,
        chunk: &PictureChunk,
    ) -> Result<Added, FolderError> {
        let place = self.file(&site.tenant, chunk.digest);
        if place.exists() {
            return Ok(Added::Whole);
        }
        let growing = self.incoming(site, chunk.digest);
        let folder = growing.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(FolderError::io("create", folder))?;
        if self.free(folder) < self.min_free {
            return Err(FolderError::Full(folder.to_owned()));
        }
        if chunk.offset == 0 && !growing.exists() {
            make_room(folder, site)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(chunk.offset == 0)
            .truncate(false)
            .open(&growing);
        let file = match file {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Added::Unwanted),
            Err(error) => return Err(FolderError::io("open", &growing)(error)),
        };
        let length = file
            .metadata()
            .map_err(FolderError::io("look at", &growing))?;
        if chunk.offset != whole_chunks(length.len()) {
            return Ok(Added::Unwanted);
        }
        let written = file
            .set_len(chunk.offset)
            .and_then(|()| file.write_all_at(&chunk.data, chunk.offset))
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            // What was half written goes again: its room may be what somebody else needs.
            let _shorter = file.set_len(chunk.offset);
            return Err(FolderError::io("write", &growing)(error));
        }
        let end = chunk
            .offset
            .saturating_add(u64::try_from(chunk.data.len()).unwrap_or(u64::MAX));
        if end < chunk.size {
            return Ok(Added::More);
        }
        drop(file);
        if digest_of(&growing)? != chunk.digest {
            remove(&growing)?;
            return Ok(Added::Wrong);
        }
        let home = place.parent().unwrap_or(&self.root);
        fs::create_dir_all(home).map_err(FolderError::io("create", home))?;
        fs::rename(&growing, &place).map_err(FolderError::io("rename", &growing))?;
        let synced = File::open(home).and_then(|home| home.sync_all());
        synced.map_err(FolderError::io("sync", home))?;
        Ok(Added::Whole)
    }

    /// Reads part of a picture, and says how large the whole is. `None` where it is not there.
    pub(crate) fn read(
        &self,
        tenant: &TenantId,
        digest: PictureDigest,
        offset: u64,
    ) -> Result<Option<(u64, Vec<u8>)>, FolderError> {
        let path = self.file(tenant, digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FolderError::io("open", &path)(error)),
        };
        let size = file
            .metadata()
            .map_err(FolderError::io("look at", &path))?
            .len();
        let length = usize::try_from(size.saturating_sub(offset).min(PART)).unwrap_or(0);
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset)
            .map_err(FolderError::io("read", &path))?;
        Ok(Some((size, bytes)))
    }

    /// Deletes a picture.
    pub(crate) fn delete(
        &self,
        tenant: &TenantId,
        digest: PictureDigest,
    ) -> Result<(), FolderError> {
        remove(&self.file(tenant, digest))
    }

    /// Deletes what has not grown since a moment.
    pub(crate) fn delete_abandoned(&self, before: SystemTime) -> Result<usize, FolderError> {
        let mut gone = 0_usize;
        for tenant in entries(&self.root)? {
            for growing in entries(&tenant.join(INCOMING))? {
                if rested_since(&growing).is_some_and(|since| since < before) {
                    remove(&growing)?;
                    gone = gone.saturating_add(1);
                }
            }
        }
        Ok(gone)
    }

    /// Bytes that are free; all there are where nobody knows.
    fn free(&self, folder: &Path) -> u64 {
        let space = rustix::fs::statvfs(folder);
        space.map_or(u64::MAX, |space| {
            space.f_bavail.saturating_mul(space.f_frsize)
        })
    }

    fn file(&self, tenant: &TenantId, digest: PictureDigest) -> PathBuf {
        let name = digest.to_string();
        let start = name.get(..2).unwrap_or_default().to_owned();
        self.root.join(tenant.to_string()).join(start).join(name)
    }

    fn incoming(&self, site: &SiteId, digest: PictureDigest) -> PathBuf {
        let folder = self.root.join(site.tenant.to_string()).join(INCOMING);
        folder.join(format!("{}.{digest}", site.site))
    }
}

const INCOMING: &str = "incoming";

const fn whole_chunks(length: u64) -> u64 {
    length - length % CHUNK
}

/// Lets the picture of a site that has rested longest go, where too many are growing.
fn make_room(folder: &Path, site: &SiteId) -> Result<(), FolderError> {
    let prefix = format!("{}.", site.site);
    let mut growing: Vec<(Option<SystemTime>, PathBuf)> = entries(folder)?
        .into_iter()
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy());
            name.is_some_and(|name| name.starts_with(&prefix))
        })
        .map(|path| (rested_since(&path), path))
        .collect();
    growing.sort();
    let surplus = growing.len().saturating_sub(GROWING_MAX.saturating_sub(1));
    growing
        .iter()
        .take(surplus)
        .try_for_each(|(_, path)| remove(path))
}

fn rested_since(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let listed = fs::read_dir(folder).and_then(|entries| {
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect()
    });
    match listed {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Vec::new())
        }
        other => other.map_err(FolderError::io("list", folder)),
    }
}

fn remove(path: &Path) -> Result<(), FolderError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FolderError::io("delete", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn digest_of(path: &Path) -> Result<PictureDigest, FolderError> {
    let failed = || FolderError::io("read", path);
    let mut file = File::open(path).map_err(failed())?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer).map_err(failed())?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
            return Ok(PictureDigest(hasher.finalize().into()));
        };
        hasher.update(read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> SiteId {
        "acme/north".parse().unwrap()
    }

    fn chunks(seed: u8, size: usize) -> Vec<PictureChunk> {
        let bytes: Vec<u8> = (0..size)
            .map(|at| seed.wrapping_add(u8::try_from(at % 251).unwrap()))
            .collect();
        let digest = PictureDigest(Sha256::digest(&bytes).into());
        let step = usize::try_from(CHUNK).unwrap();
        let pieces = bytes.chunks(step).enumerate();
        pieces
            .map(|(place, data)| PictureChunk {
                digest,
                size: u64::try_from(size).unwrap(),
                offset: u64::try_from(place).unwrap() * CHUNK,
                data: data.to_vec(),
            })
            .collect()
    }

    #[test]
    fn a_picture_grows_in_order_and_over_restarts() {
        let home = tempfile::tempdir().unwrap();
        let folder = || Folder::new(home.path().join("p"), 0);
        let chunks = chunks(1, 300_000);
        let digest = chunks[0].digest;
        let add = |place: usize| folder().add(&site(), &chunks[place]).unwrap();
        assert_eq!(add(1), Added::Unwanted, "one before it is missing");
        assert_eq!((add(0), add(0)), (Added::More, Added::Unwanted));
        assert_eq!(folder().growing(&site(), digest), CHUNK);
        // A power cut in the middle of the second one.
        let growing = folder().incoming(&site(), digest);
        OpenOptions::new()
            .append(true)
            .open(&growing)
            .unwrap()
            .set_len(CHUNK + 7)
            .unwrap();
        assert_eq!(folder().growing(&site(), digest), CHUNK);
        assert_eq!((add(1), add(2)), (Added::More, Added::Whole));
        assert!(!growing.exists());
        let read = |offset| {
            folder()
                .read(&site().tenant, digest, offset)
                .unwrap()
                .unwrap()
        };
        assert_eq!(read(0).0, 300_000);
        assert_eq!(read(PART).1, &chunks[2].data[..], "the last part");
        assert_eq!(add(0), Added::Whole, "again after a lost word");
        let other: TenantId = "globex".parse().unwrap();
        assert_eq!(
            folder().read(&other, digest, 0).unwrap(),
            None,
            "of another tenant"
        );
    }

    #[test]
    fn what_is_not_what_it_says_is_thrown_away() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path().to_owned(), 0);
        let mut chunks = chunks(2, 1000);
        chunks[0].digest = PictureDigest([9; 32]);
        assert_eq!(folder.add(&site(), &chunks[0]).unwrap(), Added::Wrong);
        assert_eq!(folder.growing(&site(), chunks[0].digest), 0);
        assert_eq!(
            folder.read(&site().tenant, chunks[0].digest, 0).unwrap(),
            None
        );
    }

    #[test]
    fn a_disk_without_room_takes_nothing_and_says_so() {
        let home = tempfile::tempdir().unwrap();
        let full = Folder::new(home.path().to_owned(), u64::MAX);
        let chunks = chunks(3, 1000);
        let error = full.add(&site(), &chunks[0]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::StorageFull);
        assert!(full.is_full());
        let roomy = Folder::new(home.path().to_owned(), 0);
        assert_eq!(roomy.add(&site(), &chunks[0]).unwrap(), Added::Whole);
        assert!(!roomy.is_full());
    }

    #[test]
    fn a_site_has_few_pictures_that_grow() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path().to_owned(), 0);
        for seed in 0..20 {
            let chunk = &chunks(seed, 200_000)[0];
            assert_eq!(folder.add(&site(), chunk).unwrap(), Added::More);
        }
        let incoming = home.path().join("acme").join(INCOMING);
        assert_eq!(entries(&incoming).unwrap().len(), GROWING_MAX);
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        assert_eq!(folder.delete_abandoned(later).unwrap(), GROWING_MAX);
    }
}
