//! `tvtctl admin backup` and `restore`: the folder as one file and back.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use tvtfleet_bus::closed_file;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};

use crate::error::CliError;
use crate::exit::Outcome;
use crate::files;
use crate::io::Io;
use crate::realm::{Folder, Realm};

use super::place::FolderArgs;

/// The version of the file.
const SCHEMA: u32 = 1;
/// The largest backup, in bytes.
const BACKUP_MAX: u64 = 64 * 1024 * 1024;
/// The largest file in it, in bytes.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// Arguments of `tvtctl admin backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file holds every key of the fleet in clear: keep it where only you get at it, encrypted by means of
your own. It holds nothing of the coordinator's database, which is backed up on its own.

Example:
  tvtctl admin backup fleet-2026-11.backup --dir fleet")]
pub(crate) struct BackupArgs {
    /// File to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    folder: FolderArgs,
}

/// Arguments of `tvtctl admin restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tvtctl admin restore fleet-2026-11.backup fleet")]
pub(crate) struct RestoreArgs {
    /// File that `tvtctl admin backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder to make
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Backup {
    schema: u32,
    files: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    mode: u32,
    text: String,
}

impl BackupArgs {
    pub(super) fn run(self, io: &mut Io) -> Outcome {
        let realm = self.folder.open(io)?;
        let mut backup = Backup {
            schema: SCHEMA,
            files: BTreeMap::new(),
        };
        for name in realm.folder.files()? {
            let path = realm.folder.path(&name);
            let message = format!("cannot read {}", path.display());
            let bytes = files::read(&path, FILE_MAX)
                .map_err(|error| error.about(ErrorCode::ConfigUnreadable, &message))?;
            let text = String::from_utf8(bytes)
                .map_err(|_| CliError::new(ErrorCode::ConfigInvalid, message))?;
            let entry = Entry {
                mode: realm.folder.mode_of(&name),
                text,
            };
            backup.files.insert(name.display().to_string(), entry);
        }
        let text = serde_json::to_vec(&backup).map_err(|error| {
            CliError::new(ErrorCode::Internal, "the backup cannot be written").because(&error)
        })?;
        let path = io.resolve(&self.file);
        files::check_writable(&path)?;
        if path.exists() {
            let message = format!("{} is there already", path.display());
            return Err(CliError::new(ErrorCode::OutputUnwritable, message)
                .hint("name a new file; backups are not written over")
                .into());
        }
        files::write_mode(&path, &text, 0o600)?;
        io.note(&format!("wrote {} files", backup.files.len()));
        Ok(ExitStatus::Success)
    }
}

impl RestoreArgs {
    pub(super) fn run(self, io: &mut Io) -> Outcome {
        let path = io.resolve(&self.file);
        let message = format!("{} is no usable backup", path.display());
        let text = closed_file::read(&path, None, BACKUP_MAX)
            .map_err(|error| CliError::new(error.code(), &message).because(&error))?;
        // The parser's words could quote a key.
        let backup: Backup = serde_json::from_str(text.expose())
            .map_err(|_| CliError::new(ErrorCode::ConfigInvalid, &message))?;
        let plain = |name: &String| {
            Path::new(name)
                .components()
                .all(|part| matches!(part, Component::Normal(_)))
        };
        if backup.schema != SCHEMA || !backup.files.keys().all(plain) {
            return Err(CliError::new(ErrorCode::ConfigInvalid, message).into());
        }
        let folder = Folder::create(&io.resolve(&self.dir))?;
        for (name, entry) in &backup.files {
            folder.write(name, entry.text.as_bytes(), entry.mode & 0o644)?;
        }
        // Whether it is whole shows when it is opened.
        let realm = Realm::open(&folder.path(""), io.clock.now())?;
        io.note(&format!(
            "made the folder of the fleet {} again; tell the servers: tvtctl admin push --dir {}",
            realm.fleet.name,
            self.dir.display()
        ));
        Ok(ExitStatus::Success)
    }
}
