//! The files of the attempt budget in the agent's data folder: the key of the fingerprints and what
//! devices have refused.
//!
//! The memory is small, and changes only when a login is refused; so it is written anew as a whole and
//! renamed into place. Neither user names nor passwords are in it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tvtfleet_proto::model::time::UtcMillis;
use zeroize::Zeroizing;

use super::fingerprint::{Fingerprint, FingerprintKey, KEY_LEN};
use super::ledger::DeviceName;
use super::memory::{Key, Memory};
use crate::spool::sync_folder;

const KEY_FILE: &str = "refusals.key";
const MEMORY_FILE: &str = "refusals";
/// The first line of the memory's file.
const HEADER: &str = "tvtfleet refusals 1";
/// The largest memory that is read, in bytes: about 100,000 entries.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// The budget's files cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}", path.display())]
pub struct KeeperError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl KeeperError {
    fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            what,
            path: path.to_owned(),
            source,
        }
    }
}

/// The folder that holds the budget's files.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    folder: PathBuf,
}

impl Keeper {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The key of the folder; a new one where there is none. With a new key, old entries name nobody.
    pub(super) fn key(&self) -> Result<FingerprintKey, KeeperError> {
        let path = self.folder.join(KEY_FILE);
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        match File::open(&path).and_then(|mut file| file.read_exact(&mut *bytes)) {
            Ok(()) => return Ok(FingerprintKey::new(*bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                tracing::warn!(path = %path.display(), "the key of the refusals is cut short and made anew");
            }
            Err(error) => return Err(KeeperError::at("read", &path)(error)),
        }
        let key = FingerprintKey::random();
        self.replace(KEY_FILE, key.bytes())?;
        Ok(key)
    }

    /// Reads the memory. Lines that cannot be understood are left out: the rest still protects.
    pub(super) fn read(&self) -> Result<Memory, KeeperError> {
        let path = self.folder.join(MEMORY_FILE);
        let mut text = String::new();
        match File::open(&path).and_then(|file| file.take(FILE_MAX).read_to_string(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Memory::default()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(path = %path.display(), "the refusals are damaged and forgotten");
                return Ok(Memory::default());
            }
            Err(error) => return Err(KeeperError::at("read", &path)(error)),
        }
        let (memory, damaged) = parse(&text);
        if damaged > 0 {
            tracing::warn!(path = %path.display(), lines = damaged, "some refusals are damaged and forgotten");
        }
        Ok(memory)
    }

    /// Writes the memory; it is on the disk when this returns.
    pub(super) fn write(&self, memory: &Memory) -> Result<(), KeeperError> {
        self.replace(MEMORY_FILE, text(memory).as_bytes())
    }

    fn replace(&self, name: &str, content: &[u8]) -> Result<(), KeeperError> {
        let (path, fresh) = (
            self.folder.join(name),
            self.folder.join(format!("{name}.new")),
        );
        let write = || {
            let mut file = File::options()
                .create(true)
                .write(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(content)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)?;
            sync_folder(&self.folder)
        };
        write().map_err(KeeperError::at("write", &path))
    }
}

/// One line per refusal and per lock: the word, the device, the fingerprint, milliseconds since 1970.
fn text(memory: &Memory) -> String {
    let mut text = format!("{HEADER}\n");
    let mut line = |word: &str, (device, print): &Key, moment: UtcMillis| {
        text.push_str(&format!("{word} {device} {print} {}\n", moment.millis()));
    };
    for (key, at) in memory.refusals() {
        line("refused", key, at);
    }
    for (key, until) in memory.locks() {
        line("locked", key, until);
    }
    text
}

/// Reads what [`text`] writes; returns it with the number of lines that make no sense.
fn parse(text: &str) -> (Memory, usize) {
    let mut memory = Memory::default();
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return (memory, text.lines().count());
    }
    let damaged = lines
        .filter(|line| parse_line(line, &mut memory).is_none())
        .count();
    (memory, damaged)
}

fn parse_line(line: &str, memory: &mut Memory) -> Option<()> {
    let mut words = line.split(' ');
    let (word, device, print) = (words.next()?, words.next()?, words.next()?);
    let moment = UtcMillis::new(words.next()?.parse().ok()?);
    let key = (DeviceName::parse(device)?, Fingerprint::parse(print)?);
    match (word, words.next()) {
        ("refused", None) => memory.keep_refused(key, moment),
        ("locked", None) => memory.keep_lock(key, moment),
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use tvtfleet_proto::model::mac::MacAddr;
    use tvtfleet_proto::model::secret::{Credential, Secret};

    fn filled(key: &FingerprintKey) -> Memory {
        let account = key.account(&Credential {
            username: "operator-name".into(),
            password: Secret::new("pw-of-the-test"),
        });
        let mac = Some(MacAddr::from([0x58, 0x5B, 0x69, 0, 0, 9]));
        let names = DeviceName::all(mac, &"[2001:db8::1]:6036".parse().unwrap());
        let mut memory = Memory::default();
        memory.refused(&names, &account, UtcMillis::new(1_800_000_000_000));
        memory.refused(&names, &account, UtcMillis::new(1_800_000_000_001));
        memory.locked(&names, &account, UtcMillis::new(1_800_000_000_000), None);
        memory
    }

    #[test]
    fn the_memory_reads_back_and_holds_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper::new(folder.path());
        let key = keeper.key().unwrap();
        let memory = filled(&key);
        keeper.write(&memory).unwrap();
        assert_eq!(keeper.read().unwrap(), memory);
        assert_eq!(keeper.key().unwrap().bytes(), key.bytes());
        let text = std::fs::read_to_string(folder.path().join(MEMORY_FILE)).unwrap();
        assert!(
            !text.contains("operator-name") && !text.contains("pw-of"),
            "{text}"
        );
        for name in [KEY_FILE, MEMORY_FILE] {
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn damage_costs_the_damaged_lines_only() {
        let memory = filled(&FingerprintKey::new([3; KEY_LEN]));
        let whole = text(&memory);
        let mut broken = whole.replacen("refused ", "refused\u{0} ", 1);
        broken.push_str("locked nonsense\n");
        let (read, damaged) = parse(&broken);
        assert_eq!(damaged, 2);
        assert_eq!(
            read.refusals().count() + read.locks().count() + 1,
            memory.refusals().count() + memory.locks().count()
        );
        assert_eq!(parse("").0, Memory::default());
        assert_eq!(parse("something else\nentirely\n").1, 2);
        for end in 0..whole.len() {
            if let Some(part) = whole.get(..end) {
                parse(part);
            }
        }
    }

    #[test]
    fn a_key_that_is_cut_short_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(KEY_FILE), b"short").unwrap();
        let keeper = Keeper::new(folder.path());
        let key = keeper.key().unwrap();
        assert_eq!(keeper.key().unwrap().bytes(), key.bytes());
        assert_eq!(keeper.read().unwrap(), Memory::default());
    }
}
