//! The threads that own the database connections.
//!
//! One writer, so that transactions never wait for each other inside SQLite, with a bounded queue;
//! and a few readers, which see the last commit and are never held up by the writer.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{Semaphore, mpsc, oneshot};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::query::{QueryPage, RunQuery};
use tvtfleet_proto::model::time::UtcMillis;

use super::error::{DbError, StoreError};
use super::health::{self, Health};
use super::reign::{self, Claim, Reign, Step};
use super::replica::{self, Standing};
use super::row_log::RowLog;
use super::{query, schema};

/// Transactions that may wait for the writer; more submitters wait in turn.
const WRITE_QUEUE: usize = 64;
/// Read connections: enough that a long page does not hold up a short answer.
const READERS: usize = 4;
/// Questions in SQL that are answered at a time; each has a connection of its own.
const QUESTIONS: usize = 2;
/// How long a question waits for its turn.
const QUESTION_WAIT: Duration = Duration::from_secs(2);
const FILE: &str = "coordinator.db";
const LOCK: &str = "coordinator.lock";

type Work = Box<dyn FnOnce(&mut Writer) + Send>;

/// What the writer's thread has.
struct Writer {
    connection: Connection,
    /// The lead among replicas, where this one has it.
    reign: Option<Reign>,
    /// For following, made when it is first needed.
    rows: Option<RowLog>,
}

/// The open database. Clones share it.
#[derive(Clone)]
pub(crate) struct Store {
    writer: mpsc::Sender<Work>,
    readers: Arc<Readers>,
    /// The database file, for questions in SQL.
    path: Arc<Path>,
    questions: Arc<Semaphore>,
}

struct Readers {
    free: Mutex<Vec<Connection>>,
    /// As many as there are connections; held until the connection is back.
    permits: Arc<Semaphore>,
}

/// Resolves once the writer has closed the database.
pub(crate) struct Closed(oneshot::Receiver<()>);

impl Closed {
    /// Waits for the end; every clone of the [`Store`] must be dropped for it to come.
    pub(crate) async fn wait(self) {
        // An error means that the thread is gone as well.
        let _ = self.0.await;
    }
}

impl Store {
    /// The database file in a folder.
    pub(crate) fn file(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Opens or makes the database in a folder, and starts its writer.
    ///
    /// # Errors
    ///
    /// `storage.locked` where another coordinator has the folder, `storage.version` where a newer
    /// one wrote it, and the other `storage.` codes.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Closed), StoreError> {
        let open = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Open { path, source }
        };
        std::fs::create_dir_all(folder).map_err(open(folder))?;
        let lock = lock(&folder.join(LOCK))?;
        let path = folder.join(FILE);
        let connect = |writer| -> Result<Connection, StoreError> {
            let mut connection = Connection::open(&path).map_err(|error| StoreError::Failed {
                step: "open the database",
                source: error.into(),
            })?;
            schema::prepare(&mut connection, writer)?;
            Ok(connection)
        };
        let connection = connect(true)?;
        let readers = (0..READERS)
            .map(|_| connect(false))
            .collect::<Result<Vec<_>, _>>()?;
        let (writer, queue) = mpsc::channel(WRITE_QUEUE);
        let (ended, closed) = oneshot::channel();
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                run_writer(connection, queue);
                drop(lock);
                // Nobody may be waiting.
                let _ = ended.send(());
            })
            .map_err(open(&path))?;
        let readers = Readers {
            free: Mutex::new(readers),
            permits: Arc::new(Semaphore::new(READERS)),
        };
        Ok((
            Self {
                writer,
                readers: Arc::new(readers),
                path: path.into(),
                questions: Arc::new(Semaphore::new(QUESTIONS)),
            },
            Closed(closed),
        ))
    }

    /// Runs one write transaction; it is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// The work's own error, or that of the database; either way nothing was changed.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        step: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, result) = oneshot::channel();
        let work: Work = Box::new(move |writer| {
            // The submitter may have gone; the work is done all the same.
            let _ = reply.send(transact(writer, work));
        });
        self.writer
            .send(work)
            .await
            .map_err(|_| StoreError::Closed)?;
        let result = result.await.map_err(|_| StoreError::Closed)?;
        result.map_err(|source| StoreError::Failed { step, source })
    }

    /// Takes the lead among replicas: from now on every transaction is stored in the log first.
    ///
    /// # Errors
    ///
    /// `coordinator.standby` where another has written to the log since; those of bus and database.
    pub(crate) async fn lead(&self, claim: Claim) -> Result<(), StoreError> {
        self.alone("take the lead", move |writer| {
            writer.rows = None;
            writer.reign = Some(Reign::begin(&mut writer.connection, claim)?);
            Ok(())
        })
        .await
    }

    /// Gives the lead up; transactions are not logged any more, and nobody should make any.
    ///
    /// # Errors
    ///
    /// `storage.io` where the writer has ended.
    pub(crate) async fn give_up(&self) -> Result<(), StoreError> {
        self.alone("give the lead up", |writer| {
            if let Some(reign) = writer.reign.take() {
                reign.end(&writer.connection);
            }
            Ok(())
        })
        .await
    }

    /// Tells the standbys that this leader stops; nothing can be written afterwards.
    ///
    /// # Errors
    ///
    /// `coordinator.standby` where the lead is lost, those of the bus.
    pub(crate) async fn resign(&self) -> Result<(), StoreError> {
        self.alone("hand the lead over", |writer| {
            writer.reign.as_mut().map_or(Ok(()), Reign::resign)
        })
        .await
    }

    /// Tells the standbys that the leader is alive.
    ///
    /// # Errors
    ///
    /// `coordinator.standby` where the lead is lost, those of the bus.
    pub(crate) async fn beat(&self) -> Result<(), StoreError> {
        self.alone("say that the leader is alive", |writer| {
            writer.reign.as_mut().map_or(Ok(()), Reign::beat)
        })
        .await
    }

    /// Does what the leader did. Returns where the database stands.
    ///
    /// # Errors
    ///
    /// `storage.corrupt` where it does not fit: start again from a snapshot.
    pub(crate) async fn follow(&self, log: i64, steps: Vec<Step>) -> Result<Standing, StoreError> {
        self.alone("follow the leader", move |writer| {
            let rows = match writer.rows.take() {
                Some(rows) => rows,
                None => RowLog::new(&writer.connection)?,
            };
            let rows = writer.rows.insert(rows);
            let transaction = writer
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let standing = reign::follow(&transaction, rows, log, &steps)?;
            transaction.commit()?;
            Ok(standing)
        })
        .await
    }

    /// Writes a copy of the database into a new file. Returns where it stands.
    ///
    /// # Errors
    ///
    /// That of the database.
    pub(crate) async fn copy(&self, into: &Path) -> Result<Standing, StoreError> {
        let (path, into) = (Arc::clone(&self.path), into.to_string_lossy().into_owned());
        let copied = tokio::task::spawn_blocking(move || -> Result<Standing, DbError> {
            let connection = Connection::open(&path)?;
            connection.execute("VACUUM INTO ?1", [&into])?;
            replica::standing(&Connection::open(&into)?)
        });
        let copied = copied.await.map_err(|_| StoreError::Closed)?;
        copied.map_err(|source| StoreError::Failed {
            step: "copy the database",
            source,
        })
    }

    /// Runs work of the writer that is no transaction of its own.
    async fn alone<T: Send + 'static>(
        &self,
        step: &'static str,
        work: impl FnOnce(&mut Writer) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, result) = oneshot::channel();
        let work: Work = Box::new(move |writer| {
            let _ = reply.send(work(writer));
        });
        self.writer
            .send(work)
            .await
            .map_err(|_| StoreError::Closed)?;
        let result = result.await.map_err(|_| StoreError::Closed)?;
        result.map_err(|source| StoreError::Failed { step, source })
    }

    /// Runs queries that see one and the same commit.
    ///
    /// # Errors
    ///
    /// The work's own error, or that of the database.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        step: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(&self.readers);
        let permit = Arc::clone(&readers.permits).acquire_owned();
        let permit = permit.await.map_err(|_| StoreError::Closed)?;
        let result = tokio::task::spawn_blocking(move || {
            let connection = readers.take().ok_or(StoreError::Closed)?;
            let result = connection
                .unchecked_transaction()
                .map_err(DbError::from)
                .and_then(|transaction| work(&transaction));
            readers.put(connection);
            // A caller that went away must not free the place of a connection still in use.
            drop(permit);
            result.map_err(|source| StoreError::Failed { step, source })
        });
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Bytes of the log beside the database.
    pub(crate) fn wal_bytes(&self) -> u64 {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        std::fs::metadata(log).map_or(0, |file| file.len())
    }

    /// Folds the log into the database and begins it anew, unless a reader still needs it.
    ///
    /// # Errors
    ///
    /// `storage.io` where the writer has ended.
    pub(crate) async fn fold_log(&self) -> Result<(), StoreError> {
        let (reply, result) = oneshot::channel();
        let work: Work = Box::new(move |writer| {
            let connection = &writer.connection;
            // Nobody waits for a reader here; the next look tries again.
            let folded = connection.execute_batch(
                "PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = 5000;",
            );
            if let Err(error) = folded {
                tracing::debug!(%error, "the log of the database was not folded in");
            }
            let _ = reply.send(());
        });
        self.writer
            .send(work)
            .await
            .map_err(|_| StoreError::Closed)?;
        result.await.map_err(|_| StoreError::Closed)
    }

    /// Looks at how the database is doing, for about `limit`.
    ///
    /// # Errors
    ///
    /// That of the database.
    pub(crate) async fn health(&self, limit: Duration) -> Result<Health, StoreError> {
        let path = Arc::clone(&self.path);
        let result = tokio::task::spawn_blocking(move || health::look(&path, limit));
        let result = result.await.map_err(|_| StoreError::Closed)?;
        result.map_err(|source| StoreError::Failed {
            step: "look at the database",
            source,
        })
    }

    /// Answers a question in SQL.
    ///
    /// # Errors
    ///
    /// `query.invalid`, `query.timeout`, or that of the database.
    pub(crate) async fn question(
        &self,
        request: RunQuery,
        now: UtcMillis,
    ) -> Result<QueryPage, StoreError> {
        let step = "answer a question";
        let permit = Arc::clone(&self.questions).acquire_owned();
        let Ok(permit) = tokio::time::timeout(QUESTION_WAIT, permit).await else {
            let source = DbError::refused(
                ErrorCode::QueryTimeout,
                "other questions are being answered",
                "try again",
            );
            return Err(StoreError::Failed { step, source });
        };
        let permit = permit.map_err(|_| StoreError::Closed)?;
        let path = Arc::clone(&self.path);
        let result = tokio::task::spawn_blocking(move || {
            let result = query::run(&path, &request, now);
            drop(permit);
            result.map_err(|source| StoreError::Failed { step, source })
        });
        result.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Readers {
    fn take(&self) -> Option<Connection> {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    fn put(&self, connection: Connection) {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
    }
}

fn run_writer(connection: Connection, mut queue: mpsc::Receiver<Work>) {
    let mut writer = Writer {
        connection,
        reign: None,
        rows: None,
    };
    while let Some(work) = queue.blocking_recv() {
        work(&mut writer);
    }
    // Closing the last connection folds the log into the database.
    if let Err((_, error)) = writer.connection.close() {
        tracing::warn!(error = %error, "the database was not closed properly");
    }
}

fn transact<T>(
    writer: &mut Writer,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, DbError>,
) -> Result<T, DbError> {
    let reign = &mut writer.reign;
    if let Some(reign) = reign {
        reign.prepare()?;
    }
    let transaction = writer
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&transaction)?;
    if let Some(reign) = reign {
        reign.hand_on(&transaction)?;
    }
    if let Err(error) = transaction.commit() {
        if let Some(reign) = reign {
            reign.lose();
        }
        return Err(error.into());
    }
    Ok(result)
}

/// Takes the folder for this process; the lock goes when the file is closed.
fn lock(path: &PathBuf) -> Result<File, StoreError> {
    let failed = |source| StoreError::Open {
        path: path.clone(),
        source,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(failed)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse(path.clone())),
        Err(errno) => Err(failed(errno.into())),
    }
}
