//! Applies the results stream to the database.
//!
//! One transaction per portion of messages holds reports, events, high-water marks and the cursor;
//! only then is the stream acknowledged. After any trouble reading begins again at the cursor of
//! the database, and what was applied before falls out by its number.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use tvtfleet_bus::backoff::Backoff;
use tvtfleet_bus::consume::{OutConsumer, OutMessage, Position, StreamGeneration};
use tvtfleet_bus::trace::RemoteContext;
use tvtfleet_bus::trust::check_batch;
use tvtfleet_bus::{BusError, BusState, MessageError, attribute};
use tvtfleet_proto::convert::BadField;
use tvtfleet_proto::envelope::{self, BODY_MAX};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::{Epoch, Sequence, SiteId};
use tvtfleet_proto::model::want::OutItem;
use tvtfleet_proto::subject;
use tvtfleet_proto::wire::v1;

use crate::core::Core;
use crate::run::CoordinatorError;
use crate::store::belief::{self, AgentKey};
use crate::store::{self, Batch, DbError, Incoming, StoreError, Unreadable, site};

/// The most messages of one transaction: with some hundred reports each it stays well under a
/// second, so that requests do not wait long for the writer.
const PORTION: usize = 32;
/// How long one look for messages lasts.
const LOOK: Duration = Duration::from_secs(1);
/// How many messages are applied one by one after a transaction failed, to find the one that fails.
const CAREFUL: usize = 2 * PORTION;
/// The most traces that one transaction is linked to.
const LINKS_MAX: usize = 16;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));

/// Why reading begins again.
enum Interrupted {
    /// The bus failed, or came back.
    Bus(BusError),
    /// A transaction failed.
    Store(StoreError),
    /// The server came back, perhaps without the consumer.
    Reconnected,
}

/// Applies results until `stop`.
pub(crate) async fn run(core: Core, stop: CancellationToken) -> Result<(), CoordinatorError> {
    let mut attempt = 0_usize;
    let mut careful = 0_usize;
    while !stop.is_cancelled() {
        let mut reader = Reader {
            core: &core,
            careful,
            progressed: false,
        };
        let interrupted = tokio::select! {
            interrupted = reader.read() => interrupted,
            () = stop.cancelled() => return Ok(()),
        };
        attempt = if reader.progressed {
            1
        } else {
            attempt.saturating_add(1)
        };
        careful = reader.careful;
        core.set_idle(false);
        match interrupted {
            Interrupted::Reconnected => attempt = 0,
            Interrupted::Bus(error) => {
                tracing::warn!(error.type = error.code().as_str(), %error, "results stream interrupted");
            }
            Interrupted::Store(StoreError::Closed) => return Err(StoreError::Closed.into()),
            Interrupted::Store(error) => {
                tracing::error!(
                    error.type = error.code().as_str(), error = chain(&error), "results not stored"
                );
                careful = CAREFUL;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(BACKOFF.delay(attempt)) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

/// Reads the stream from the database's cursor until something goes wrong.
struct Reader<'a> {
    core: &'a Core,
    /// How many messages are still to be applied one by one.
    careful: usize,
    /// Whether anything was applied.
    progressed: bool,
}

impl Reader<'_> {
    async fn read(&mut self) -> Interrupted {
        match self.read_on().await {
            Err(interrupted) => interrupted,
            Ok(never) => match never {},
        }
    }

    async fn read_on(&mut self) -> Result<std::convert::Infallible, Interrupted> {
        let core = self.core;
        let mut state = core.bus.state();
        state.mark_unchanged();
        let mut consumer = self.open().await?;
        // A portion is read while the one before it is being stored.
        let mut storing: Option<Storing> = None;
        let mut reading: Option<Reading> = None;
        let mut waiting: Option<Portion> = None;
        loop {
            let max = if self.careful > 0 { 1 } else { PORTION };
            tokio::select! {
                stored = finished(&mut storing) => {
                    let last = stored.map_err(Interrupted::Store)?;
                    self.progressed = true;
                    if let Err(error) = consumer.ack_through(last).await {
                        tracing::debug!(%error, "results not acknowledged");
                    }
                }
                messages = consumer.next_batch(max, LOOK), if waiting.is_none() && reading.is_none() => {
                    let messages = messages.map_err(Interrupted::Bus)?;
                    core.set_idle(messages.is_empty() && storing.is_none());
                    if let Some(last) = messages.last().map(|message| message.stream_sequence) {
                        let careful = self.careful > 0;
                        self.careful = self.careful.saturating_sub(messages.len());
                        let core = core.clone();
                        reading = Some(tokio::spawn(async move {
                            let signers = signers(&core, &messages).await?;
                            let read = tokio::task::spawn_blocking(move || {
                                Portion::read(last, messages, careful, &signers)
                            });
                            read.await.map_err(|_| StoreError::Closed)
                        }));
                    }
                }
                portion = ready(&mut reading) => {
                    waiting = Some(portion.map_err(Interrupted::Store)?);
                }
                changed = state.changed() => {
                    let back = *state.borrow_and_update() == BusState::Connected;
                    if changed.is_ok() && back {
                        return Err(Interrupted::Reconnected);
                    }
                }
            }
            if storing.is_none()
                && let Some(portion) = waiting.take()
            {
                let last = portion.last;
                let task = tokio::spawn(store(core.clone(), portion));
                storing = Some(Storing { last, task });
            }
        }
    }

    async fn open(&self) -> Result<OutConsumer, Interrupted> {
        let core = self.core;
        let at = core
            .store
            .read("read the cursor", site::position)
            .await
            .map_err(Interrupted::Store)?;
        let position = Position {
            generation: StreamGeneration(at.generation),
            after: at.cursor,
        };
        let consumer = OutConsumer::open(&core.bus, &core.config.durable(), position)
            .await
            .map_err(Interrupted::Bus)?;
        let generation = consumer.generation().0;
        if generation != at.generation {
            if at.generation != 0 {
                tracing::warn!(
                    "the results stream was made anew; the agents are asked to send again"
                );
                core.presence().replay_all();
            }
            core.store
                .write("begin a new stream", move |db| {
                    site::restart(db, generation, 0)
                })
                .await
                .map_err(Interrupted::Store)?;
        }
        Ok(consumer)
    }
}

/// A portion that is being read.
type Reading = JoinHandle<Result<Portion, StoreError>>;

/// The agents that count, by site: one, and two while it changes its keys.
type Signers = BTreeMap<SiteId, Vec<AgentKey>>;

/// Messages of one transaction, read as far as they can be without the database.
struct Portion {
    /// The position of the last one.
    last: u64,
    incoming: Vec<Incoming>,
    /// The senders' traces.
    contexts: Vec<RemoteContext>,
    /// The first message as it came, where it is the only one and may have to be set aside.
    spare: Option<OutMessage>,
}

impl Portion {
    fn read(last: u64, messages: Vec<OutMessage>, careful: bool, signers: &Signers) -> Self {
        let spare = messages.first().filter(|_| careful).cloned();
        let contexts = messages.iter().map(|message| &message.context);
        let contexts = contexts.filter(|context| context.is_present());
        Self {
            last,
            contexts: contexts.take(LINKS_MAX).cloned().collect(),
            incoming: messages
                .into_iter()
                .map(|message| {
                    signed(signers, &message)
                        .map_or_else(|refusal| *refusal, |()| incoming(message))
                })
                .collect(),
            spare,
        }
    }
}

/// Waits for the portion that is being read, for ever where there is none.
async fn ready(reading: &mut Option<Reading>) -> Result<Portion, StoreError> {
    let Some(task) = reading else {
        return std::future::pending().await;
    };
    let portion = task.await;
    *reading = None;
    portion.unwrap_or(Err(StoreError::Closed))
}

/// A portion that is being stored.
struct Storing {
    last: u64,
    task: JoinHandle<Result<(), StoreError>>,
}

/// Waits for the portion that is being stored, for ever where there is none. Returns the position of
/// its last message.
async fn finished(storing: &mut Option<Storing>) -> Result<u64, StoreError> {
    let Some(Storing { last, task }) = storing else {
        return std::future::pending().await;
    };
    let (last, result) = (*last, task.await);
    *storing = None;
    result.unwrap_or(Err(StoreError::Closed))?;
    Ok(last)
}

async fn store(core: Core, portion: Portion) -> Result<(), StoreError> {
    let Portion {
        incoming,
        contexts,
        spare,
        ..
    } = portion;
    let span = tracing::info_span!(
        "report.apply",
        { attribute::BATCH_COUNT } = incoming.len(),
        reports = tracing::field::Empty,
        duplicates = tracing::field::Empty,
        quarantined = tracing::field::Empty,
    );
    for context in contexts {
        context.link(&span);
    }
    let now = core.clock.now();
    let work = core
        .store
        .write("store results", move |db| store::apply(db, incoming, now));
    let mut result = work.instrument(span.clone()).await;
    if let (Err(StoreError::Failed { source, .. }), Some(message)) = (&result, spare)
        && is_about_the_message(source)
    {
        let bad = Incoming {
            position: message.stream_sequence,
            subject: message.subject,
            content: Err(Unreadable {
                code: source.code(),
                reason: chain(source),
                body: message.raw.to_vec(),
            }),
        };
        result = core
            .store
            .write("set a message aside", move |db| {
                store::apply(db, vec![bad], now)
            })
            .await;
    }
    let applied = result?;
    span.record("reports", applied.reports);
    span.record("duplicates", applied.duplicates);
    span.record("quarantined", applied.quarantined);
    core.applied(&applied);
    Ok(())
}

/// The keys of the agents that count for the sites of messages. A site of which no agent has enrolled
/// has none: what it sends is not checked.
async fn signers(core: &Core, messages: &[OutMessage]) -> Result<Signers, StoreError> {
    let Some(trust) = core.trust.clone() else {
        return Ok(BTreeMap::new());
    };
    let sites = messages.iter();
    let sites = sites.filter_map(|message| Some(subject::parse_out(&message.subject)?.0));
    let sites: BTreeSet<SiteId> = sites.filter(|site| trust.knows(&site.tenant)).collect();
    core.store
        .read("read the agents' keys", move |db| {
            let mut keys = BTreeMap::new();
            for site in sites {
                let next = belief::agents(db, &site)?.into_iter();
                let next = next.filter(|agent| agent.pending);
                if let Some(agent) = belief::agent(db, &site)? {
                    keys.insert(site, std::iter::once(agent).chain(next).collect());
                }
            }
            Ok(keys)
        })
        .await
}

/// Checks that the agent of the site has signed a message; says what to set aside instead where not.
/// Nothing is lost when that is a mistake: its number stays open, and the agent is asked for it again.
fn signed(signers: &Signers, message: &OutMessage) -> Result<(), Box<Incoming>> {
    let site = subject::parse_out(&message.subject).map(|(site, _)| site);
    let Some(agents) = site.as_ref().and_then(|site| signers.get(site)) else {
        return Ok(());
    };
    let mut checked = Ok(());
    for agent in agents {
        let (raw, signature) = (&message.raw, &message.signature);
        checked = check_batch(&agent.user_key, &agent.site, raw, signature);
        if checked.is_ok() {
            break;
        }
    }
    checked.map_err(|error| {
        let reason = if message.signature.is_empty() {
            "a batch without the signature of the site's agent".to_owned()
        } else {
            format!("not signed by the site's agent: {error}")
        };
        Box::new(Incoming {
            position: message.stream_sequence,
            subject: message.subject.clone(),
            content: Err(Unreadable {
                code: ErrorCode::ReportUnsigned,
                reason,
                // Whoever forges could fill the disk with it.
                body: Vec::new(),
            }),
        })
    })
}

/// Whether a transaction failed for what the message says, so that trying again is of no use.
fn is_about_the_message(error: &DbError) -> bool {
    match error {
        DbError::Damaged { .. } | DbError::Refused(_) => true,
        DbError::Log(_) => false,
        DbError::Sql(error) => matches!(
            error.sqlite_error_code(),
            None | Some(
                rusqlite::ErrorCode::ConstraintViolation
                    | rusqlite::ErrorCode::TypeMismatch
                    | rusqlite::ErrorCode::TooBig
            )
        ),
    }
}

/// Reads a message as far as it can be read: one bad item does not take the others with it.
fn incoming(message: OutMessage) -> Incoming {
    let content = match message.batch {
        Ok(batch) => Ok(Batch {
            site: batch.site,
            epoch: batch.epoch,
            sequence: batch.sequence,
            items: batch
                .items
                .into_iter()
                .map(|item| Ok(item.into()))
                .collect(),
        }),
        Err(MessageError::Field(field)) => item_by_item(&message.subject, &message.raw)
            .map_err(|_| unreadable_message(&MessageError::Field(field), &message.raw)),
        Err(error) => Err(unreadable_message(&error, &message.raw)),
    };
    Incoming {
        position: message.stream_sequence,
        subject: message.subject,
        content,
    }
}

pub(crate) fn item_by_item(subject: &str, raw: &[u8]) -> Result<Batch, BadField> {
    let wire: v1::OutBatch =
        envelope::open(raw, BODY_MAX).map_err(|error| BadField::new("batch", error))?;
    let outer = v1::OutBatch {
        items: Vec::new(),
        ..wire.clone()
    };
    let outer = tvtfleet_proto::model::want::OutBatch::try_from(outer)?;
    let site = subject::parse_out(subject).map(|(site, _)| site);
    if site.as_ref() != Some(&outer.site) {
        return Err(BadField::new("site", "not the site of the subject"));
    }
    let items = wire.items.into_iter().map(|item| {
        let body = prost::Message::encode_to_vec(&item);
        OutItem::try_from(item)
            .map(Into::into)
            .map_err(|error| Unreadable {
                code: ErrorCode::MessageInvalid,
                reason: error.to_string(),
                body,
            })
    });
    let (epoch, sequence): (Epoch, Sequence) = (outer.epoch, outer.sequence);
    Ok(Batch {
        site: outer.site,
        epoch,
        sequence,
        items: items.collect(),
    })
}

fn unreadable_message(error: &MessageError, raw: &[u8]) -> Unreadable {
    Unreadable {
        code: error.code(),
        reason: error.to_string(),
        body: raw.to_vec(),
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests;
