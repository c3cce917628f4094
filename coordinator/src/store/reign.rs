//! Leading and following, inside the writer's transactions.
//!
//! The leader stores a transaction in the log before it commits. So its database never holds what
//! the log does not, and whoever lost the lead has nothing to take back: what failed to be stored
//! was rolled back, and what was stored all the same comes to it as to everybody else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use tvtfleet_bus::BusError;
use tvtfleet_bus::replica::LogWriter;
use tvtfleet_proto::model::replica::{LOG_PART_MAX, LogEntry, LogKind, LogMark};

use super::error::DbError;
use super::replica::{self, Standing};
use super::row_log::RowLog;

/// What the writer and the rest of the program know of the lead.
pub(crate) struct Lead {
    /// How long the lead lasts without a sign of life.
    pub(crate) lease: Duration,
    /// Cancelled when the lead is lost.
    pub(crate) lost: CancellationToken,
    /// Bytes that were stored in the log.
    pub(crate) logged: AtomicU64,
    proven: Mutex<(Instant, LogMark)>,
}

impl Lead {
    /// A lead that is still to be taken.
    pub(crate) fn new(lease: Duration) -> Arc<Self> {
        Arc::new(Self {
            lease,
            lost: CancellationToken::new(),
            logged: AtomicU64::new(0),
            proven: Mutex::new((Instant::now(), LogMark::default())),
        })
    }

    /// Whether the lead was proven within the lease. A process that was stopped and goes on finds
    /// here that it must not speak for the fleet.
    pub(crate) fn holds(&self) -> bool {
        !self.lost.is_cancelled() && self.proven().0.elapsed() < self.lease
    }

    /// Where the database stands.
    pub(crate) fn mark(&self) -> LogMark {
        self.proven().1
    }

    /// For how long nothing was stored in the log.
    pub(crate) fn silent(&self) -> Duration {
        self.proven().0.elapsed()
    }

    fn proven(&self) -> (Instant, LogMark) {
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prove(&self, since: Instant, mark: LogMark) {
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = (since, mark);
    }
}

/// How the lead is to be taken.
pub(crate) struct Claim {
    /// The name of this replica.
    pub(crate) name: String,
    /// Writes after the last entry that this replica knows.
    pub(crate) log: LogWriter,
    /// Which log that is.
    pub(crate) generation: i64,
    /// Where the rest of the program looks.
    pub(crate) lead: Arc<Lead>,
    /// For waiting on the writer's thread.
    pub(crate) runtime: Handle,
}

/// The lead, as the writer has it.
pub(super) struct Reign {
    claim: Claim,
    rows: RowLog,
    schema: u32,
    mark: LogMark,
}

impl Reign {
    /// Takes the lead: the entry that says so fits only where nobody else has written since.
    pub(super) fn begin(db: &mut Connection, claim: Claim) -> Result<Self, DbError> {
        let rows = RowLog::new(db)?;
        let transaction = db.transaction()?;
        let standing = replica::standing(&transaction)?;
        let mut reign = Self {
            claim,
            rows,
            schema: standing.schema,
            mark: standing.mark,
        };
        let after = LogMark {
            term: standing.mark.term.saturating_add(1),
            number: standing.mark.number.saturating_add(1),
        };
        reign.append(&transaction, LogKind::Lead, after, Vec::new())?;
        transaction.commit()?;
        reign.rows.start(db)?;
        Ok(reign)
    }

    pub(super) fn end(&self, db: &Connection) {
        self.claim.lead.lost.cancel();
        if let Err(error) = self.rows.stop(db) {
            tracing::warn!(%error, "changes are still taken down");
        }
    }

    /// Before a transaction.
    ///
    /// # Errors
    ///
    /// The lead was lost: nothing may be written.
    pub(super) fn prepare(&self) -> Result<(), DbError> {
        // What a transaction that was rolled back left.
        drop(self.rows.take());
        if self.claim.lead.lost.is_cancelled() {
            return Err(DbError::Log(Box::new(BusError::Fenced)));
        }
        Ok(())
    }

    /// Stores in the log what a transaction has changed.
    pub(super) fn hand_on(&mut self, transaction: &Transaction<'_>) -> Result<(), DbError> {
        let changes = self.rows.take();
        if changes.is_empty() {
            return Ok(());
        }
        let after = LogMark {
            number: self.mark.number.saturating_add(1),
            ..self.mark
        };
        self.append(transaction, LogKind::Changes, after, changes)
    }

    /// Says that the leader is alive.
    pub(super) fn beat(&mut self) -> Result<(), DbError> {
        self.prepare()?;
        self.store(LogKind::Beat, self.mark, Vec::new()).map(drop)
    }

    /// Says that whoever is ready may lead. Nothing can be written afterwards.
    pub(super) fn resign(&mut self) -> Result<(), DbError> {
        self.prepare()?;
        let said = self.store(LogKind::Resign, self.mark, Vec::new());
        self.lose();
        said.map(drop)
    }

    /// After a commit that failed: the log has what the database does not.
    pub(super) fn lose(&self) {
        self.claim.lead.lost.cancel();
    }

    fn append(
        &mut self,
        transaction: &Transaction<'_>,
        kind: LogKind,
        after: LogMark,
        changes: Vec<u8>,
    ) -> Result<(), DbError> {
        let position = self.store(kind, after, changes)?;
        let claim = &self.claim;
        replica::stand(transaction, after, &claim.name, claim.generation, position)
    }

    fn store(&mut self, kind: LogKind, after: LogMark, changes: Vec<u8>) -> Result<u64, DbError> {
        let since = Instant::now();
        let mut pieces: Vec<Vec<u8>> = changes.chunks(LOG_PART_MAX).map(<[u8]>::to_vec).collect();
        if pieces.is_empty() {
            pieces.push(Vec::new());
        }
        let parts = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        let entries = (0..).zip(pieces).map(|(part, changes)| LogEntry {
            kind,
            leader: self.claim.name.clone(),
            before: self.mark,
            after,
            schema: self.schema,
            part,
            parts,
            changes,
        });
        let entries = entries.collect();
        let claim = &mut self.claim;
        match claim.runtime.block_on(claim.log.append(entries)) {
            Ok((position, bytes)) => {
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                claim.lead.logged.fetch_add(bytes, Ordering::Relaxed);
                self.mark = after;
                claim.lead.prove(since, after);
                Ok(position)
            }
            Err(error) => {
                // Stored or not: nobody knows, and only the log can tell.
                claim.lead.lost.cancel();
                Err(DbError::Log(Box::new(error)))
            }
        }
    }
}

/// A whole transaction of the leader.
#[derive(Debug)]
pub(crate) struct Step {
    /// The position of its last part.
    pub(crate) position: u64,
    /// Who led.
    pub(crate) leader: String,
    /// Where a database must stand.
    pub(crate) before: LogMark,
    /// Where it stands then.
    pub(crate) after: LogMark,
    /// The changed rows.
    pub(crate) changes: Vec<u8>,
}

/// Does what the leader did, in one transaction. Returns where the database stands.
///
/// # Errors
///
/// [`DbError::Damaged`] where a step does not fit.
pub(super) fn follow(
    transaction: &Transaction<'_>,
    rows: &RowLog,
    log: i64,
    steps: &[Step],
) -> Result<Standing, DbError> {
    let mut at = replica::standing(transaction)?;
    for step in steps {
        if step.before != at.mark {
            return Err(DbError::damaged("log of changes", "a step does not fit"));
        }
        rows.replay(transaction, &step.changes)?;
        at.mark = step.after;
    }
    if let Some(last) = steps.last() {
        replica::stand(transaction, last.after, &last.leader, log, last.position)?;
    }
    replica::standing(transaction)
}
