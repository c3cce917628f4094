//! The other end of an agent, written down for the tests: answers its requests, takes its results in
//! order, and writes want documents. What it does is decided by the test, not by a coordinator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tvtfleet_bus::clock::{Clock, SystemClock};
use tvtfleet_bus::consume::{OutConsumer, Position, StreamGeneration};
use tvtfleet_bus::rpc::{Call, Reply, Server};
use tvtfleet_bus::streams::{Declarations, ensure};
use tvtfleet_bus::want::write_want;
use tvtfleet_bus::{Bus, ConnectOptions, connect};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::agent::{Heartbeat, Hello, Watermark};
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::model::discovery::Searched;
use tvtfleet_proto::model::id::{Epoch, JobId, Sequence, SiteId, WantRevision};
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::model::want::{JobWant, OutItem, SiteEvent, SiteWork, WantDoc};
use tvtfleet_proto::subject::{self, COORDINATOR_QUEUE, RPC_ALL, RpcOp};
use tvtfleet_proto::wire::v1;

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(crate) struct Known {
    pub(crate) refused: Option<ErrorCode>,
    pub(crate) works: BTreeMap<JobId, SiteWork>,
    pub(crate) hellos: u32,
    pub(crate) heartbeats: u32,
    pub(crate) next: Sequence,
    pub(crate) spool_bytes: u64,
    pub(crate) taken: WantRevision,
    /// Whether what is missing is asked for again.
    pub(crate) asks_again: bool,
    /// Whether it keeps to itself how far it has got.
    pub(crate) keeps_quiet: bool,
    pub(crate) reports: Vec<DeviceReport>,
    pub(crate) events: Vec<SiteEvent>,
    pub(crate) searched: Vec<Searched>,
    /// Every message as it came.
    pub(crate) raw: Vec<Vec<u8>>,
    epoch: Option<Epoch>,
    committed: Sequence,
    sparse: BTreeSet<Sequence>,
    revision: WantRevision,
    stored: Option<u64>,
}

pub(crate) struct Centre {
    pub(crate) bus: Bus,
    site: SiteId,
    known: Arc<Mutex<Known>>,
    changed: Arc<Notify>,
    _stop: DropGuard,
}

impl Centre {
    pub(crate) async fn start(url: &str, site: &SiteId) -> Self {
        let options = ConnectOptions {
            urls: vec![url.to_owned()],
            name: "centre".into(),
            retry_initial: true,
            ..ConnectOptions::default()
        };
        let bus = connect(&options).await.unwrap();
        ensure(&bus, &Declarations::SMALL).await.unwrap();
        let known = Arc::new(Mutex::new(Known::default()));
        let changed = Arc::new(Notify::new());
        let stop = CancellationToken::new();
        let server = Server::open(&bus, RPC_ALL, COORDINATOR_QUEUE, 8)
            .await
            .unwrap();
        let (state, told) = (Arc::clone(&known), Arc::clone(&changed));
        let answering = server.run(
            move |call| {
                let reply = answer(&call, &mut state.lock().unwrap());
                told.notify_waiters();
                async move { reply }
            },
            stop.child_token(),
        );
        tokio::spawn(answering);
        tokio::spawn(consume(
            bus.clone(),
            Arc::clone(&known),
            Arc::clone(&changed),
            stop.child_token(),
        ));
        Self {
            bus,
            site: site.clone(),
            known,
            changed,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Known) -> R) -> R {
        act(&mut self.known.lock().unwrap())
    }

    /// Writes what the site should be doing.
    pub(crate) async fn want(&self, jobs: Vec<JobWant>) {
        let (revision, stored) = self.with(|known| {
            known.revision = WantRevision(known.revision.0 + 1);
            (known.revision, known.stored)
        });
        let doc = WantDoc {
            site: self.site.clone(),
            revision,
            issued_at: SystemClock.now(),
            jobs,
            operators: None,
            credentials: Vec::new(),
        };
        let stored = write_want(&self.bus, &doc, stored).await.unwrap();
        self.with(|known| known.stored = Some(stored));
    }

    /// Waits until a test is content with what has come.
    pub(crate) async fn until<R>(
        &self,
        what: &str,
        mut ready: impl FnMut(&Known) -> Option<R>,
    ) -> R {
        let waiting = async {
            loop {
                // Registered before the look, so that no event falls between.
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                if let Some(found) = self.with(|known| ready(known)) {
                    return found;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => self.with(|known| {
                panic!(
                    "{what} did not happen; {} reports, events {:?}",
                    known.reports.len(),
                    known.events
                )
            }),
        }
    }

    /// Waits until the site has ended a job and everything it announced is here.
    pub(crate) async fn until_done(&self, wanted: JobId) -> SiteEvent {
        self.until("the end of the job", |known| {
            known
                .events
                .iter()
                .find(|event| match event {
                    SiteEvent::Done { job, range, .. } => {
                        *job == wanted && range.is_none_or(|(_, last)| last <= known.committed)
                    }
                    SiteEvent::Accepted { .. } => false,
                })
                .cloned()
        })
        .await
    }
}

fn answer(call: &Call, known: &mut Known) -> Result<Reply, ApiError> {
    let (_, op) = subject::parse_rpc(&call.subject).unwrap();
    match op {
        RpcOp::Hello => {
            let hello = Hello::try_from(call.open::<v1::Hello>()?).unwrap();
            known.hellos += 1;
            known.next = hello.next;
            known.taken = hello.want_revision;
            known.epoch = Some(hello.epoch);
            Ok(Reply::of(&v1::Watermark::from(watermark(
                known,
                hello.epoch,
            ))))
        }
        RpcOp::Heartbeat => {
            let beat = Heartbeat::try_from(call.open::<v1::Heartbeat>()?).unwrap();
            known.heartbeats += 1;
            known.next = beat.next;
            known.taken = beat.want_revision;
            known.spool_bytes = beat.spool_bytes;
            Ok(Reply::of(&v1::Watermark::from(watermark(
                known, beat.epoch,
            ))))
        }
        // These agents have no identity that could be renewed, and take no pictures.
        RpcOp::Renew | RpcOp::Pictures => Err(ApiError {
            code: ErrorCode::TrustRefused,
            message: String::new(),
            hint: String::new(),
        }),
        RpcOp::Progress => Ok(Reply::of(&call.open::<v1::Progress>()?)),
        RpcOp::Spec => {
            let request: v1::SpecRequest = call.open()?;
            let job = JobId::new(uuid::Uuid::from_slice(&request.job).unwrap());
            let work = known.works.get(&job).cloned().map(v1::SiteWork::from);
            Ok(Reply::of(&v1::SpecReply { work }))
        }
    }
}

fn watermark(known: &Known, epoch: Epoch) -> Watermark {
    let behind = known.committed.next() < known.next;
    Watermark {
        epoch,
        committed: if known.keeps_quiet {
            Sequence(0)
        } else {
            known.committed
        },
        resend_from: (known.asks_again && behind).then(|| known.committed.next()),
        want_revision: known.revision,
        server_time: SystemClock.now(),
        refused: known.refused,
        watched: false,
        rotate: false,
    }
}

async fn consume(
    bus: Bus,
    known: Arc<Mutex<Known>>,
    changed: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut position = Position {
        generation: StreamGeneration(0),
        after: 0,
    };
    while !stop.is_cancelled() {
        let Ok(mut consumer) = OutConsumer::open(&bus, "centre", position).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        position.generation = consumer.generation();
        loop {
            let next = tokio::select! {
                () = stop.cancelled() => return,
                next = consumer.next_batch(100, Duration::from_millis(200)) => next,
            };
            let Ok(messages) = next else { break };
            for message in messages {
                position.after = message.stream_sequence;
                let mut known = known.lock().unwrap();
                known.raw.push(message.raw.to_vec());
                let batch = message.batch.expect("a batch that can be read");
                apply(&mut known, batch.sequence, batch.items);
            }
            changed.notify_waiters();
        }
    }
}

fn apply(known: &mut Known, sequence: Sequence, items: Vec<OutItem>) {
    if sequence <= known.committed || !known.sparse.insert(sequence) {
        return;
    }
    for item in items {
        match item {
            OutItem::Report(report) => known.reports.push(*report),
            OutItem::Event(event) => known.events.push(event),
            OutItem::Searched(searched) => known.searched.push(*searched),
            OutItem::Credential(_) => {}
        }
    }
    while known.sparse.remove(&known.committed.next()) {
        known.committed = known.committed.next();
    }
}
