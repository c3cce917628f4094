//! One agent of a swarm: the agent's own reconcile, journal, plan, spool and window of batches, on a
//! connection of its own. Only the recorders are missing: they answer at once.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use prost::Message;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tvt_agent::simulation::{Moment, Sent, Site, Word};
use tvtfleet_bus::backoff::Backoff;
use tvtfleet_bus::clock::{Clock, SystemClock};
use tvtfleet_bus::publish::{OutAck, OutPublisher, Outgoing, PendingAck};
use tvtfleet_bus::rpc::request;
use tvtfleet_bus::want::{WantSubscription, read_want_direct, subscribe_want};
use tvtfleet_bus::{Bus, BusError, BusState, ConnectOptions, connect};
use tvtfleet_proto::model::agent::Watermark;
use tvtfleet_proto::model::id::{Epoch, JobId, SiteId};
use tvtfleet_proto::model::want::{OutItem, WantDoc};
use tvtfleet_proto::subject::{self, RpcOp};
use tvtfleet_proto::wire::v1;
use uuid::Uuid;

use super::books::Books;
use crate::fleet::{BATCH_BYTES, Fleet};

/// The coordinator's time to answer, as agents have it.
const REPLY_LIMIT: Duration = Duration::from_secs(5);
/// The waits before what was not heard is said again, as agents have them.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
/// The pause before batches are sent again.
const RESEND: Duration = Duration::from_secs(1);
/// An agent that works speaks at least this often.
const BUSY: Duration = Duration::from_secs(10);

type Coming<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// An agent and the site that it stands for.
#[derive(Debug)]
pub(super) struct Agent {
    number: u32,
    id: SiteId,
    core: Site,
    fleet: Fleet,
    /// Reports of one batch.
    batch: usize,
    heartbeat: Duration,
    books: Arc<Books>,
}

impl Agent {
    /// Opens a new spool and journal below `folder`.
    pub(super) fn open(
        fleet: Fleet,
        number: u32,
        folder: &Path,
        heartbeat: Duration,
        books: Arc<Books>,
    ) -> Result<Self> {
        let id = Fleet::site(number)?;
        let folder = folder.join(number.to_string());
        std::fs::create_dir_all(&folder).context("cannot create a folder for a spool")?;
        let epoch = Epoch::new(Uuid::new_v4());
        let report = fleet.report(number, 0, JobId::new(Uuid::nil()), false);
        let size = v1::OutItem::from(OutItem::Report(Box::new(report))).encoded_len();
        Ok(Self {
            number,
            core: Site::open(&folder, &id, epoch, &format!("swarm-{number}"), now()),
            id,
            fleet,
            batch: BATCH_BYTES.checked_div(size).unwrap_or(1).max(1),
            heartbeat,
            books,
        })
    }

    /// Connects, and does what it is told until it is stopped.
    ///
    /// # Errors
    ///
    /// The server refuses it.
    pub(super) async fn run(
        mut self,
        options: ConnectOptions,
        stop: CancellationToken,
    ) -> Result<()> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            ended = self.live(&options) => ended,
        }
    }

    async fn live(&mut self, options: &ConnectOptions) -> Result<()> {
        let bus = connect(options).await.context("an agent cannot connect")?;
        let mut docs = subscribe_want(&bus, &self.id).await?;
        let mut session = Session::new(bus);
        loop {
            self.settle(&mut session);
            let more = self.work();
            if session.up {
                self.send(&mut session).await?;
            }
            self.wait(&mut session, &mut docs, more).await?;
        }
    }

    /// Follows the connection: a new one begins with a hello, and with reading.
    fn settle(&mut self, session: &mut Session) {
        let up = *session.state.borrow_and_update() == BusState::Connected;
        if up != session.up {
            session.up = up;
            self.core.connected(up);
            (session.speaking, session.reading) = (None, None);
            (session.heard, session.read, session.welcome) = (false, false, false);
            session.in_flight.clear();
            let now = Instant::now();
            (session.say_at, session.read_at) = (now, Some(now));
        }
        if session.up && session.speaking.is_none() && session.say_at <= Instant::now() {
            let word = self.core.say(SystemClock.now());
            session.speaking = Some(Box::pin(say(session.bus.clone(), self.id.clone(), word)));
        }
        let read = session.read_at.is_some_and(|at| at <= Instant::now());
        if session.up && session.reading.is_none() && read {
            session.read_at = None;
            let (bus, site) = (session.bus.clone(), self.id.clone());
            session.reading = Some(Box::pin(async move { read_want_direct(&bus, &site).await }));
        }
        if session.heard && session.read && !session.welcome {
            session.welcome = true;
            self.books.welcome(self.number);
        }
    }

    /// Asks as many recorders as fit into a batch. Says whether there is more to do.
    fn work(&mut self) -> bool {
        let now = now();
        let changed = self.books.changed.load(Ordering::Relaxed);
        let mut asked = 0_usize;
        while asked < self.batch
            && let Some((job, target)) = self.core.ask(now)
        {
            let report = self
                .fleet
                .report(self.number, target.number.0, job, changed);
            self.core.answered(report);
            asked = asked.saturating_add(1);
        }
        self.core.seal(usize::MAX);
        self.core.note();
        asked > 0
    }

    async fn send(&mut self, session: &mut Session) -> Result<()> {
        while let Some(sent) = self.core.send(std::time::Instant::now()) {
            let (outgoing, _) = Outgoing::reopen(sent.body.clone().into())?;
            match session.publisher.publish(&outgoing).await {
                Ok(ack) => session.in_flight.push_back((sent, ack)),
                Err(_) => {
                    self.not_stored(&sent, session);
                    break;
                }
            }
        }
        Ok(())
    }

    fn not_stored(&mut self, sent: &Sent, session: &mut Session) {
        self.books.not_stored();
        self.core.unacked(sent, std::time::Instant::now());
        session.in_flight.clear();
        session.send_at = Some(Instant::now() + RESEND);
    }

    async fn wait(
        &mut self,
        session: &mut Session,
        docs: &mut WantSubscription,
        more: bool,
    ) -> Result<()> {
        let timer = session.timer();
        tokio::select! {
            biased;
            changed = session.state.changed() => {
                changed.context("the connection has ended")?;
                // It may have gone and come back unseen: whatever comes now is a new one.
                self.core.connected(false);
                session.up = false;
            }
            doc = docs.next() => self.core.take(&doc?, now()),
            stored = front(&mut session.in_flight) => {
                if let Some((sent, _)) = session.in_flight.pop_front() {
                    match stored {
                        Ok(_) => {
                            self.core.acked(&sent);
                            self.books.stored(sent.body.len());
                        }
                        Err(_) => self.not_stored(&sent, session),
                    }
                }
            }
            answer = coming(&mut session.speaking) => self.heard(answer, session),
            doc = coming(&mut session.reading) => {
                session.reading = None;
                match doc {
                    Ok(doc) => {
                        session.read = true;
                        if let Some(doc) = doc {
                            self.core.take(&doc, now());
                        }
                    }
                    Err(_) => {
                        self.books.not_answered();
                        session.read_at = Some(Instant::now() + BACKOFF.delay(1));
                    }
                }
            }
            () = std::future::ready(()), if more => {}
            () = sleep_until(timer) => {
                if session.send_at.is_some_and(|at| at <= Instant::now()) {
                    session.send_at = None;
                }
            }
        }
        Ok(())
    }

    fn heard(&mut self, answer: Result<Watermark>, session: &mut Session) {
        session.speaking = None;
        let pause = match answer {
            Ok(watermark) if watermark.refused.is_none() => {
                if session.heard {
                    self.books.heartbeat();
                }
                session.failures = 0;
                session.heard = true;
                if self.core.told(&watermark, now()) {
                    session.read_at = Some(Instant::now());
                }
                let busy = !self.core.is_quiet();
                jittered(if busy {
                    self.heartbeat.min(BUSY)
                } else {
                    self.heartbeat
                })
            }
            answer => {
                if let Ok(watermark) = answer {
                    self.core.told(&watermark, now());
                }
                self.books.not_answered();
                session.failures = session.failures.saturating_add(1);
                BACKOFF.delay(session.failures)
            }
        };
        session.say_at = Instant::now() + pause;
    }
}

/// What belongs to a connection.
struct Session {
    bus: Bus,
    publisher: OutPublisher,
    state: tokio::sync::watch::Receiver<BusState>,
    up: bool,
    heard: bool,
    read: bool,
    /// Whether both have been written down.
    welcome: bool,
    failures: usize,
    speaking: Coming<Result<Watermark>>,
    reading: Coming<Result<Option<WantDoc>, BusError>>,
    in_flight: VecDeque<(Sent, PendingAck)>,
    say_at: Instant,
    read_at: Option<Instant>,
    send_at: Option<Instant>,
}

impl Session {
    fn new(bus: Bus) -> Self {
        Self {
            publisher: OutPublisher::new(&bus),
            state: bus.state(),
            bus,
            up: false,
            heard: false,
            read: false,
            welcome: false,
            failures: 0,
            speaking: None,
            reading: None,
            in_flight: VecDeque::new(),
            say_at: Instant::now(),
            read_at: None,
            send_at: None,
        }
    }

    /// When there is something to do, whatever comes.
    fn timer(&self) -> Instant {
        let idle = Instant::now() + BUSY;
        let say = (self.up && self.speaking.is_none()).then_some(self.say_at);
        let read = self.read_at.filter(|_| self.up && self.reading.is_none());
        [say, read, self.send_at]
            .into_iter()
            .flatten()
            .fold(idle, Instant::min)
    }
}

async fn say(bus: Bus, site: SiteId, word: Word) -> Result<Watermark> {
    let reply: v1::Watermark = match word {
        Word::Hello(hello) => {
            let subject = subject::rpc(&site, RpcOp::Hello);
            request(&bus, &subject, &v1::Hello::from(hello), REPLY_LIMIT).await?
        }
        Word::Heartbeat(beat) => {
            let subject = subject::rpc(&site, RpcOp::Heartbeat);
            request(&bus, &subject, &v1::Heartbeat::from(beat), REPLY_LIMIT).await?
        }
    };
    Ok(Watermark::try_from(reply)?)
}

/// Waits for what comes; for ever where nothing does.
async fn coming<T>(what: &mut Coming<T>) -> T {
    match what {
        Some(what) => what.await,
        None => pending().await,
    }
}

async fn front(in_flight: &mut VecDeque<(Sent, PendingAck)>) -> Result<OutAck, BusError> {
    match in_flight.front_mut() {
        Some((_, ack)) => ack.await,
        None => pending().await,
    }
}

/// A span between 0.8 and 1.2 times `interval`.
fn jittered(interval: Duration) -> Duration {
    let part = u32::try_from(RandomState::new().hash_one(0_u8) % 401).unwrap_or(200);
    interval.saturating_mul(part.saturating_add(800)) / 1000
}

fn now() -> Moment {
    Moment {
        utc: SystemClock.now(),
        instant: std::time::Instant::now(),
    }
}
