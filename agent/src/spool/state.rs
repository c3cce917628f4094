//! The `state` file: which spool this is, and how far the coordinator has got. Written anew and
//! renamed into place, so that it is always whole.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tvtfleet_proto::model::id::{Epoch, Sequence};

use super::error::SpoolError;

const NAME: &str = "state";
const VERSION: u32 = 1;
/// The file is about a hundred bytes; anything larger is not ours.
const FILE_MAX: u64 = 4096;

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The life of the spool.
    pub(super) epoch: Epoch,
    /// The coordinator has everything up to here.
    pub(super) committed: Sequence,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    epoch: String,
    committed: u64,
}

impl State {
    /// Reads the file of a folder; `None` where there is none, or none that can be read.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, SpoolError> {
        use std::io::Read;
        let path = folder.join(NAME);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SpoolError::io("read", path)(error)),
        };
        let mut text = Vec::new();
        file.take(FILE_MAX)
            .read_to_end(&mut text)
            .map_err(SpoolError::io("read", &path))?;
        let stored: Stored = match serde_json::from_slice(&text) {
            Ok(stored) => stored,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the spool's state file is damaged");
                return Ok(None);
            }
        };
        if stored.version > VERSION {
            return Err(SpoolError::Newer(path));
        }
        let Ok(epoch) = stored.epoch.parse() else {
            tracing::error!(path = %path.display(), "the spool's state file has no epoch");
            return Ok(None);
        };
        Ok(Some(Self {
            epoch,
            committed: Sequence(stored.committed),
        }))
    }

    /// Writes the file of a folder, and waits until it is on the disk.
    pub(super) fn write(&self, folder: &Path) -> Result<(), SpoolError> {
        let stored = Stored {
            version: VERSION,
            epoch: self.epoch.to_string(),
            committed: self.committed.0,
        };
        let text = serde_json::to_vec(&stored).unwrap_or_default();
        write_whole(folder, NAME, &text).map_err(SpoolError::io("write", folder.join(NAME)))
    }
}

/// Writes a file under another name, then renames it, then makes the renaming last.
pub(crate) fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let (path, draft) = (folder.join(name), folder.join(format!("{name}.new")));
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&draft, &path)?;
    sync_folder(folder)
}

/// Makes created, renamed and deleted files of a folder last.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_reads_back_and_damage_is_no_state() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), None);
        let epoch = Epoch::new(uuid::Uuid::from_u128(9));
        let state = State {
            epoch,
            committed: Sequence(41),
        };
        state.write(folder.path()).unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), Some(state));
        std::fs::write(folder.path().join(NAME), b"{\"version\":1,").unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), None);
        std::fs::write(
            folder.path().join(NAME),
            b"{\"version\":2,\"epoch\":\"\",\"committed\":0}",
        )
        .unwrap();
        assert!(matches!(
            State::read(folder.path()),
            Err(SpoolError::Newer(_))
        ));
    }
}
