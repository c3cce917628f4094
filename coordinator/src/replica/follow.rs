//! Follows the leader, until there is none.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tvtfleet_bus::backoff::Backoff;
use tvtfleet_bus::replica::{self as log, LogReader, LogWriter};
use tvtfleet_bus::{BusError, rpc};
use tvtfleet_proto::model::replica::StandbyReport;
use tvtfleet_proto::subject::STANDBY_REPORT;
use tvtfleet_proto::wire::v1;

use crate::intake::chain;
use crate::run::CoordinatorError;
use crate::store::lead::{Standing, standing};
use crate::store::{DbError, Store, StoreError};

use super::reader::{Meaning, Reader};
use super::run::Replica;
use super::standby::Service;

/// Entries that are read and done at a time.
const PORTION: usize = 64;
/// How long to wait where there is nothing to follow yet.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Leases to wait before a replica that did not lead last begins an empty log again, or leads after
/// an entry that it cannot read.
const DOUBTFUL_LEASES: u32 = 4;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// How following ended.
pub(super) enum Outcome {
    /// A stop was asked for.
    Stopped,
    /// Nobody leads, and this replica may.
    Lead(Box<Candidacy>),
    /// A copy of the leader's database is in this file, to be put in the place of this one.
    Restore(PathBuf),
}

/// What it takes to claim the lead.
pub(super) struct Candidacy {
    /// Writes after the last entry that this replica knows.
    pub(super) log: LogWriter,
    /// Which log it is.
    pub(super) generation: i64,
    /// Whether the log does not go on from where this database stood in it.
    pub(super) broken: bool,
}

enum Interrupted {
    Bus(BusError),
    Store(StoreError),
}

impl From<BusError> for Interrupted {
    fn from(error: BusError) -> Self {
        Self::Bus(error)
    }
}

/// Follows the leader. `restored` is the copy that was taken last, which is not taken twice.
pub(super) async fn follow(
    replica: &Replica,
    store: &Store,
    restored: &mut Option<String>,
) -> Result<Outcome, CoordinatorError> {
    let mut service = Service::default();
    let mut attempt = 0_usize;
    let result = loop {
        let tried = tokio::select! {
            tried = follow_on(replica, store, restored, &mut service) => tried,
            () = replica.shutdown.requested() => break Ok(Outcome::Stopped),
        };
        attempt = match tried {
            Ok(Some(outcome)) => break Ok(outcome),
            Ok(None) => 0,
            Err(Interrupted::Bus(error)) => {
                tracing::warn!(error.type = error.code().as_str(), error = chain(&error), "the leader cannot be followed");
                attempt.saturating_add(1)
            }
            Err(Interrupted::Store(error)) => break Err(error.into()),
        };
        let wait = if attempt == 0 {
            LOOK_INTERVAL
        } else {
            BACKOFF.delay(attempt)
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = replica.shutdown.requested() => break Ok(Outcome::Stopped),
        }
    };
    service.stop().await;
    result
}

/// Follows for as long as nothing goes wrong; `None` is to begin again.
async fn follow_on(
    replica: &Replica,
    store: &Store,
    restored: &mut Option<String>,
    service: &mut Service,
) -> Result<Option<Outcome>, Interrupted> {
    let (bus, settings) = (&replica.bus, &replica.settings);
    log::ensure(bus, &replica.config.declarations()).await?;
    let state = log::state(bus).await?;
    let generation = state.generation.0;
    let read = store.read("read where the database stands", standing).await;
    let mut at = read.map_err(Interrupted::Store)?;
    replica.hearsay().leader.clone_from(&at.leader);
    let known = at.log == generation && at.position <= state.last;
    let candidacy = |last: u64| Candidacy {
        log: LogWriter::new(bus, last),
        generation,
        broken: !known,
    };
    if state.last == 0 {
        let mine = at.leader == settings.name || (at.leader.is_empty() && !settings.standby);
        let patient = settings.lease.saturating_mul(DOUBTFUL_LEASES);
        let abandoned = at.mark.number > 0 && replica.quiet() >= patient;
        serve_if_quiet(replica, store, &at, service).await?;
        return Ok((mine || abandoned).then(|| Outcome::Lead(Box::new(candidacy(0)))));
    }
    let mut seen = if known {
        at.position
    } else {
        state.first.saturating_sub(1)
    };
    let mut log = LogReader::open(bus, seen).await?;
    let mut reader = Reader::new(at.mark, at.schema);
    let tick = settings.lease.checked_div(10).unwrap_or(LOOK_INTERVAL);
    let tick = tick.min(LOOK_INTERVAL);
    let mut reported = None;
    let mut resigned = false;
    let mut unread = false;
    loop {
        let batch = log.next_batch(PORTION, tick).await?;
        let drained = batch.len() < PORTION;
        let (mut steps, mut astray, mut alive) = (Vec::new(), false, false);
        for (position, entry) in batch {
            seen = position;
            let entry = match entry {
                Ok(entry) => entry,
                // A step that is missed shows at the next, which does not fit any more.
                Err(error) => {
                    tracing::error!(
                        position,
                        error = chain(&error),
                        "an entry of the log cannot be read and is passed over"
                    );
                    (unread, resigned) = (true, false);
                    continue;
                }
            };
            unread = false;
            match reader.read(position, entry) {
                Meaning::Step(step) => {
                    resigned = false;
                    steps.push(step);
                }
                Meaning::Alive => (alive, resigned) = (true, false),
                Meaning::Resigned => (alive, resigned) = (true, true),
                Meaning::Nothing => {}
                Meaning::Astray => {
                    astray = true;
                    break;
                }
            }
        }
        if !steps.is_empty() {
            alive = true;
            match store.follow(generation, steps).await {
                Ok(standing) => at = standing,
                Err(StoreError::Failed {
                    step,
                    source: source @ DbError::Damaged { .. },
                }) => {
                    let error = StoreError::Failed { step, source };
                    tracing::error!(
                        error = chain(&error),
                        "this replica is not what the leader's is"
                    );
                    astray = true;
                }
                Err(error) => return Err(Interrupted::Store(error)),
            }
        }
        if astray {
            return restore(replica, &at, restored).await;
        }
        note(replica, &at, alive, drained);
        let caught_up = drained && seen >= state.last && at.mark.number > 0;
        let mine = at.leader == settings.name;
        // An entry that cannot be read may be a step of a leader that knows more.
        let leases = if unread { DOUBTFUL_LEASES } else { 1 };
        let patient = settings.lease.saturating_mul(leases);
        if caught_up && (mine || resigned || replica.quiet() >= patient) {
            return Ok(Some(Outcome::Lead(Box::new(candidacy(seen)))));
        }
        serve_if_quiet(replica, store, &at, service).await?;
        let due = settings.lease.checked_div(5).unwrap_or(LOOK_INTERVAL);
        if reported.is_none_or(|since: Instant| since.elapsed() >= due) {
            reported = Some(Instant::now());
            report(replica, &at, due);
        }
    }
}

fn note(replica: &Replica, at: &Standing, alive: bool, drained: bool) {
    let mut hearsay = replica.hearsay();
    if hearsay.leader != at.leader {
        hearsay.leader.clone_from(&at.leader);
        tracing::info!(leader = %at.leader, term = at.mark.term, "following");
    }
    if alive {
        hearsay.heard = Instant::now();
        if drained {
            hearsay.level = Some(hearsay.heard);
        }
    }
}

/// Answers questions while nobody hears of the leader.
async fn serve_if_quiet(
    replica: &Replica,
    store: &Store,
    at: &Standing,
    service: &mut Service,
) -> Result<(), Interrupted> {
    let patience = replica.settings.lease.checked_div(3).unwrap_or_default();
    if replica.quiet() < patience || at.mark.number == 0 {
        service.stop().await;
        return Ok(());
    }
    match service.start(replica, store).await {
        Ok(()) => Ok(()),
        Err(CoordinatorError::Bus(error)) => Err(Interrupted::Bus(error)),
        Err(CoordinatorError::Store(error)) => Err(Interrupted::Store(error)),
        Err(error) => {
            tracing::warn!(
                error = chain(&error),
                "questions are not answered meanwhile"
            );
            Ok(())
        }
    }
}

/// Tells the leader how far this replica is, without waiting.
fn report(replica: &Replica, at: &Standing, limit: Duration) {
    let report = StandbyReport {
        name: replica.settings.name.clone(),
        mark: at.mark,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let bus = replica.bus.clone();
    // It ends by itself at the time of the next one.
    tokio::spawn(async move {
        let report = v1::StandbyReport::from(report);
        let noted: Result<v1::StandbyNoted, _> =
            rpc::request(&bus, STANDBY_REPORT, &report, limit).await;
        if let Err(error) = noted {
            tracing::debug!(
                error = chain(&error),
                "the leader was not told how far this replica is"
            );
        }
    });
}

/// Reads the newest copy of the leader's database, where there is one that helps.
async fn restore(
    replica: &Replica,
    at: &Standing,
    restored: &mut Option<String>,
) -> Result<Option<Outcome>, Interrupted> {
    let Some(manifest) = log::newest(&replica.bus).await? else {
        tracing::info!("waiting for a snapshot of the leader");
        return Ok(None);
    };
    if manifest.schema != at.schema {
        tracing::warn!(
            theirs = manifest.schema,
            ours = at.schema,
            "the leader's database is of another version; run the same program everywhere"
        );
        return Ok(None);
    }
    if manifest.mark == at.mark || restored.as_ref() == Some(&manifest.id) {
        return Ok(None);
    }
    let path = replica.config.data_dir.join("snapshot.db");
    log::fetch(&replica.bus, &manifest, &path).await?;
    tracing::info!(
        bytes = manifest.bytes,
        term = manifest.mark.term,
        number = manifest.mark.number,
        "beginning anew from a snapshot"
    );
    *restored = Some(manifest.id);
    Ok(Some(Outcome::Restore(path)))
}
