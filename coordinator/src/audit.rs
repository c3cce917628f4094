//! The audit outside of the database: where its chain ends is kept in a file beside it, so that rows
//! cut off at the end are noticed, and what was refused is noted without anybody being able to fill
//! the disk with it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::audit::{AUDIT_REWOUND, AuditDecision, AuditEntry, AuditMark};

use crate::core::Core;
use crate::run::CoordinatorError;
use crate::store::{DbError, audit};

/// The file's name in the data folder: one line, `NUMBER:HASH`.
const WITNESS: &str = "audit.head";
/// The longest file that is read, in bytes.
const WITNESS_MAX: u64 = 256;
/// The shortest time between two writings of the file.
const WRITE_GAP: Duration = Duration::from_millis(200);
/// Refusals that are noted at once, and then within [`REFUSAL_SPAN`].
const REFUSALS_MAX: u32 = 200;
/// In this time as many refusals more may be noted.
const REFUSAL_SPAN: Duration = Duration::from_secs(600);

/// How many refusals may still be noted. Whoever can connect can be refused as often as he or she
/// likes.
#[derive(Debug, Default)]
pub(crate) struct RefusalLimit(Mutex<Option<Window>>);

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    noted: u32,
    left_out: u64,
}

impl RefusalLimit {
    /// Whether one more is noted, and then how many were not since the last one that was.
    fn take(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Window {
            since: now,
            noted: 0,
            left_out: 0,
        };
        let current = window.get_or_insert(fresh);
        if now.duration_since(current.since) >= REFUSAL_SPAN {
            *current = Window {
                left_out: current.left_out,
                ..fresh
            };
        }
        if current.noted >= REFUSALS_MAX {
            current.left_out = current.left_out.saturating_add(1);
            return None;
        }
        current.noted = current.noted.saturating_add(1);
        Some(std::mem::take(&mut current.left_out))
    }
}

/// Adds the row of something that was refused or failed, unless there were too many lately.
pub(crate) async fn note_refused(core: &Core, mut entry: AuditEntry) {
    let Some(left_out) = core.refusals.take(core.clock.instant()) else {
        return;
    };
    if left_out > 0 {
        entry.outcome = format!(
            "{} (and {left_out} refusals before that are not in the audit)",
            entry.outcome
        );
    }
    let noted = core
        .store
        .write("note a refusal", move |db| audit::append(db, entry))
        .await;
    match noted {
        Ok(_) => core.audited.notify_one(),
        Err(error) => {
            tracing::error!(error.type = error.code().as_str(), %error, "a refusal is not in the audit");
        }
    }
}

/// Keeps the file up to date until `stop`. Where the database's chain ends before what the file says,
/// a row says so: nobody can have the file forgotten by starting the program.
pub(crate) async fn run(core: Core, stop: CancellationToken) -> Result<(), CoordinatorError> {
    let path = witness_path(&core);
    compare(&core, &path).await?;
    let mut written = None;
    let mut jobs = core.watch_jobs();
    loop {
        jobs.mark_unchanged();
        let head = core.store.read("read the end of the audit", audit::head);
        let head = head.await?;
        if written != Some(head) && head.number > 0 {
            let target = path.clone();
            let result = tokio::task::spawn_blocking(move || write(&target, head)).await;
            match result.map_err(CoordinatorError::Task)? {
                Ok(()) => written = Some(head),
                Err(error) => {
                    let code = ErrorCode::StorageIo.as_str();
                    tracing::error!(error.type = code, %error, file = %path.display(), "cannot note the end of the audit");
                }
            }
        }
        if stop.is_cancelled() {
            return Ok(());
        }
        tokio::select! {
            _ = jobs.changed() => {}
            () = core.audited.notified() => {}
            () = stop.cancelled() => {}
        }
        // Many rows are one writing.
        tokio::select! {
            () = tokio::time::sleep(WRITE_GAP) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// What the file says; `None` where there is none that can be read.
pub(crate) async fn witness(core: &Core) -> Option<AuditMark> {
    let path = witness_path(core);
    let read = tokio::task::spawn_blocking(move || read(&path)).await;
    read.ok()?.ok()?
}

/// Notes where the chain does not have what the file says it had.
async fn compare(core: &Core, path: &Path) -> Result<(), CoordinatorError> {
    let target = path.to_owned();
    let found = tokio::task::spawn_blocking(move || read(&target)).await;
    let found = found.map_err(CoordinatorError::Task)?;
    let now = core.clock.now();
    let rewound = core
        .store
        .write("compare the end of the audit", move |db| {
            let head = audit::head(db)?;
            let text = match found {
                Ok(Some(known)) if known.number == 0 => return Ok(None),
                Ok(Some(known)) => {
                    let is_same = audit::hash_of(db, known.number)? == Some(known.hash);
                    // Rows that were taken out because of their age are older than the file.
                    if is_same {
                        return Ok(None);
                    }
                    format!("the file {WITNESS} knew {known}")
                }
                Ok(None) if head.number == 0 => return Ok(None),
                Ok(None) => format!("the file {WITNESS} is not there"),
                Err(_) => format!("the file {WITNESS} cannot be read"),
            };
            audit::append(db, rewound(now, head, &text))?;
            Ok::<_, DbError>(Some(text))
        })
        .await?;
    if let Some(reason) = rewound {
        tracing::error!(
            error.type = ErrorCode::AuditBroken.as_str(), reason,
            "the audit does not end where it ended: an older database, or rows were cut off"
        );
    }
    Ok(())
}

fn rewound(now: tvtfleet_proto::model::time::UtcMillis, head: AuditMark, text: &str) -> AuditEntry {
    AuditEntry {
        at: now,
        who: "coordinator".to_owned(),
        kind: AUDIT_REWOUND.to_owned(),
        decision: AuditDecision::Noted.as_str().to_owned(),
        code: ErrorCode::AuditBroken.as_str().to_owned(),
        detail: format!("the audit ended with {head}; {text}"),
        outcome: "an older database was put in its place, or rows were cut off".to_owned(),
        ..AuditEntry::default()
    }
}

fn witness_path(core: &Core) -> PathBuf {
    core.config.data_dir.join(WITNESS)
}

fn read(path: &Path) -> Result<Option<AuditMark>, std::io::Error> {
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(file, WITNESS_MAX), &mut text)?;
    let mark = text.parse();
    mark.map(Some)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

/// Writes the file whole or not at all.
fn write(path: &Path, head: AuditMark) -> Result<(), std::io::Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{head}")?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The row of a request, before anything is known of it.
pub(crate) fn row_of(
    core: &Core,
    who: &str,
    key: &str,
    kind: &str,
    decision: AuditDecision,
) -> AuditEntry {
    AuditEntry {
        at: core.clock.now(),
        who: who.to_owned(),
        key: key.to_owned(),
        kind: kind.to_owned(),
        decision: decision.as_str().to_owned(),
        ..AuditEntry::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_do_not_fill_the_disk() {
        let limit = RefusalLimit::default();
        let start = Instant::now();
        for _ in 0..REFUSALS_MAX {
            assert_eq!(limit.take(start), Some(0));
        }
        assert_eq!((limit.take(start), limit.take(start)), (None, None));
        assert_eq!(limit.take(start + REFUSAL_SPAN), Some(2));
        assert_eq!(limit.take(start + REFUSAL_SPAN), Some(0));
    }

    #[test]
    fn the_file_reads_back_and_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WITNESS);
        assert_eq!(read(&path).unwrap(), None);
        for number in [1, 2] {
            let head = AuditMark {
                number,
                ..AuditMark::default()
            };
            write(&path, head).unwrap();
            assert_eq!(read(&path).unwrap(), Some(head));
        }
        std::fs::write(&path, "nonsense").unwrap();
        assert!(read(&path).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
