//! The writer: collects what the site has to tell, and puts it into the spool in batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tvtfleet_proto::envelope;
use tvtfleet_proto::model::id::Sequence;
use tvtfleet_proto::model::want::{OutBatch, OutItem};
use tvtfleet_proto::wire::v1;

use super::batch::Batcher;
use super::shared::{SpoolShared, encode};
use crate::chain::Chain;

/// Items that wait for the writer; whoever has more waits.
const QUEUE: usize = 256;
/// The pause before a batch that the disk did not take is written again.
const DISK_PAUSE: Duration = Duration::from_secs(2);

/// Hands items to the writer. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct WriterHandle(mpsc::Sender<Submission>);

#[derive(Debug)]
struct Submission {
    item: OutItem,
    tag: Tag,
}

#[derive(Debug)]
struct Tag {
    traceparent: String,
    placed: oneshot::Sender<Sequence>,
}

/// The writer is gone: the agent is being stopped, and the item is not in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the agent is being stopped")]
pub(crate) struct Stopped;

impl WriterHandle {
    /// Hands over an item. The returned receiver tells its batch once that is on the disk.
    pub(crate) async fn submit(
        &self,
        item: OutItem,
        traceparent: &str,
    ) -> Result<oneshot::Receiver<Sequence>, Stopped> {
        let (placed, place) = oneshot::channel();
        let tag = Tag {
            traceparent: traceparent.to_owned(),
            placed,
        };
        self.0
            .send(Submission { item, tag })
            .await
            .map_err(|_| Stopped)?;
        Ok(place)
    }

    /// Hands over an item and waits until it is on the disk.
    pub(crate) async fn write(
        &self,
        item: OutItem,
        traceparent: &str,
    ) -> Result<Sequence, Stopped> {
        self.submit(item, traceparent)
            .await?
            .await
            .map_err(|_| Stopped)
    }
}

/// The task behind [`WriterHandle`].
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<SpoolShared>,
    queue: mpsc::Receiver<Submission>,
}

impl Writer {
    pub(crate) fn new(shared: Arc<SpoolShared>) -> (WriterHandle, Self) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (WriterHandle(sender), Self { shared, queue })
    }

    /// Runs until every handle is gone; then everything handed over is on the disk.
    pub(crate) async fn run(mut self) {
        let mut batcher = Batcher::new();
        let mut open = true;
        while open {
            let due = batcher.due();
            let alarm = async {
                match due {
                    Some(moment) => sleep_until(moment.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = alarm => self.write(&mut batcher).await,
                submission = self.queue.recv() => match submission {
                    Some(Submission { item, tag }) => batcher.push(Instant::now(), item, tag),
                    None => open = false,
                },
            }
        }
        self.write(&mut batcher).await;
    }

    async fn write(&self, batcher: &mut Batcher<Tag>) {
        let Some((items, tags)) = batcher.take() else {
            return;
        };
        let traceparent = tags
            .iter()
            .map(|tag| tag.traceparent.as_str())
            .find(|text| !text.is_empty());
        let traceparent: Arc<str> = traceparent.unwrap_or_default().into();
        let items = Arc::new(items);
        let sequence = loop {
            match self
                .append(Arc::clone(&items), Arc::clone(&traceparent))
                .await
            {
                Ok(sequence) => break sequence,
                Err(error) => {
                    // Nothing is dropped: the queue behind this fills up, and work stops.
                    self.shared.declare_full();
                    tracing::error!(error.r#type = %error.code(), error = %Chain(&error), "the spool takes no batch");
                    tokio::time::sleep(DISK_PAUSE).await;
                }
            }
        };
        for tag in tags {
            // Whoever does not want to know any more has been stopped.
            let _gone = tag.placed.send(sequence);
        }
    }

    async fn append(
        &self,
        items: Arc<Vec<v1::OutItem>>,
        traceparent: Arc<str>,
    ) -> Result<Sequence, crate::spool::SpoolError> {
        let site = self.shared.site().clone();
        self.shared
            .with(move |spool| {
                let head = OutBatch {
                    site,
                    epoch: spool.epoch(),
                    sequence: spool.next(),
                    items: Vec::new(),
                };
                let batch = v1::OutBatch {
                    items: items.to_vec(),
                    ..v1::OutBatch::from(head)
                };
                spool.append(&encode(&envelope::seal(&batch), &traceparent))
            })
            .await
    }
}
