//! The tasks of an agent that speak over one connection. New keys need a new connection: these tasks
//! end with the old one and begin anew, while the jobs go on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::backoff::Backoff;
use tvtfleet_bus::clock::Clock;
use tvtfleet_bus::{Bus, Shutdown};
use tvtfleet_proto::model::agent::AgentFacts;
use tvtfleet_proto::model::want::WantDoc;

use crate::heartbeat::Speaker;
use crate::identity::{Ended, Identity, Keeper};
use crate::intake::Intake;
use crate::outbox::{Sender, SpoolShared};
use crate::pictures::{PictureSender, Shelf};
use crate::status::Status;

/// Watermarks that wait; whoever brings more waits.
const WATERMARKS: usize = 8;
/// The waits before results are sent again.
const SEND_BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
/// The time for the connection to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// What the tasks of every connection share.
pub(crate) struct Line {
    pub(crate) spool: Arc<SpoolShared>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) status: Arc<Status>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) identity: Option<Identity>,
    pub(crate) docs: mpsc::Sender<WantDoc>,
    pub(crate) connection: watch::Sender<Option<Bus>>,
    pub(crate) facts: AgentFacts,
    /// What tells a copy of the spool from another one.
    pub(crate) home: String,
    pub(crate) heartbeat: Duration,
    /// The servers.
    pub(crate) urls: Vec<String>,
}

impl Line {
    /// Keeps the token good, where the agent has an identity.
    pub(crate) fn keeper(&self) -> Option<Keeper> {
        Some(Keeper {
            identity: self.identity.clone()?,
            urls: self.urls.clone(),
            clock: Arc::clone(&self.clock),
            status: Arc::clone(&self.status),
        })
    }

    /// Works over `bus`. Returns the connection where the agent is to stop, and nothing where it has new
    /// keys and must connect again.
    pub(crate) async fn work(&self, bus: Bus, shutdown: &Shutdown) -> Option<Bus> {
        let stop = shutdown.child_token();
        let mut keeping = self
            .keeper()
            .map(|keeper| shutdown.spawn(keeper.run(bus.clone(), stop.clone())));
        let tasks = self.begin(&bus, shutdown, &stop);
        self.connection.send_replace(Some(bus.clone()));
        loop {
            let kept = async {
                match &mut keeping {
                    Some(keeping) => matches!(keeping.await, Ok(Ended::NewKeys)),
                    None => std::future::pending().await,
                }
            };
            let has_new_keys = tokio::select! {
                biased;
                () = shutdown.requested() => return Some(bus),
                has_new_keys = kept => has_new_keys,
            };
            if has_new_keys {
                break;
            }
            // It ended with the agent, which is told any moment.
            keeping = None;
        }
        self.connection.send_replace(None);
        stop.cancel();
        for task in tasks {
            // One that failed is gone as well.
            let _ended = task.await;
        }
        bus.close(CLOSE_LIMIT).await;
        self.status.set_rotate(false);
        None
    }

    fn begin(
        &self,
        bus: &Bus,
        shutdown: &Shutdown,
        stop: &CancellationToken,
    ) -> [JoinHandle<()>; 4] {
        let (watermarks, told) = mpsc::channel(WATERMARKS);
        let sender = Sender::new(
            Arc::clone(&self.spool),
            bus,
            SEND_BACKOFF,
            told,
            Arc::clone(&self.clock),
            self.identity.clone(),
        );
        let pictures = PictureSender {
            shelf: Arc::clone(&self.shelf),
            spool: Arc::clone(&self.spool),
            bus: bus.clone(),
        };
        let intake = Intake {
            site: self.spool.site().clone(),
            bus: bus.clone(),
            docs: self.docs.clone(),
            status: Arc::clone(&self.status),
        };
        let speaker = Speaker {
            bus: bus.clone(),
            spool: Arc::clone(&self.spool),
            status: Arc::clone(&self.status),
            clock: Arc::clone(&self.clock),
            facts: self.facts.clone(),
            home: self.home.clone(),
            interval: self.heartbeat,
            watermarks,
        };
        [
            shutdown.spawn(sender.run(stop.clone())),
            shutdown.spawn(pictures.run(stop.clone())),
            shutdown.spawn(intake.run(stop.clone())),
            shutdown.spawn(speaker.run(stop.clone())),
        ]
    }
}
