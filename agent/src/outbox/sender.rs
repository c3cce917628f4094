//! The sender: publishes what is in the spool, and deletes what the coordinator has.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::backoff::Backoff;
use tvtfleet_bus::clock::Clock;
use tvtfleet_bus::publish::{OutAck, OutPublisher, Outgoing, PendingAck};
use tvtfleet_bus::{Bus, BusError, BusState};
use tvtfleet_proto::envelope;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::agent::Watermark;
use tvtfleet_proto::model::id::Sequence;
use tvtfleet_proto::wire::v1;

use super::shared::{SpoolShared, decode, encode, filler};
use super::window::{Generation, Verdict, Window};
use crate::chain::Chain;
use crate::identity::Identity;
use crate::spool::{Spool, SpoolError, SpoolRecord};

/// Bytes read from the spool at a time.
const READ_BYTES: usize = 256 * 1024;

type Acks = FuturesUnordered<Sent>;
type Sent = std::pin::Pin<
    Box<dyn Future<Output = (Sequence, Generation, Result<OutAck, BusError>)> + Send>,
>;

/// The task that empties the spool.
pub(crate) struct Sender {
    shared: Arc<SpoolShared>,
    publisher: OutPublisher,
    window: Window,
    backoff: Backoff,
    appended: watch::Receiver<Sequence>,
    state: watch::Receiver<BusState>,
    watermarks: mpsc::Receiver<Watermark>,
    /// Read from the spool, not sent yet.
    ahead: VecDeque<SpoolRecord>,
    acks: Acks,
    refused: Option<ErrorCode>,
    clock: Arc<dyn Clock>,
    /// Signs what is sent; `None` without an identity.
    signer: Option<Identity>,
}

impl Sender {
    /// A sender over `bus`; watermarks that belong to another epoch are ignored.
    pub(crate) fn new(
        shared: Arc<SpoolShared>,
        bus: &Bus,
        backoff: Backoff,
        watermarks: mpsc::Receiver<Watermark>,
        clock: Arc<dyn Clock>,
        signer: Option<Identity>,
    ) -> Self {
        let (committed, last) = shared.peek(|spool| {
            (
                spool.committed(),
                Sequence(spool.next().0.saturating_sub(1)),
            )
        });
        let mut appended = shared.appended();
        appended.mark_changed();
        let mut state = bus.state();
        state.mark_changed();
        Self {
            publisher: OutPublisher::new(bus),
            window: Window::new(committed, last),
            shared,
            backoff,
            appended,
            state,
            watermarks,
            ahead: VecDeque::new(),
            acks: FuturesUnordered::new(),
            refused: None,
            clock,
            signer,
        }
    }

    /// Sends until it is told to stop. What is not acknowledged by then is sent by the next start.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            self.fill_window().await;
            self.shared.set_stored(self.window.stored());
            let alarm = async {
                match self.window.wake_at() {
                    Some(moment) => sleep_until(moment.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(watermark) = self.watermarks.recv() => self.on_watermark(&watermark).await,
                Ok(()) = self.state.changed() => {
                    let connected = *self.state.borrow_and_update() == BusState::Connected;
                    self.window.on_connection(connected);
                    self.acks.clear();
                }
                Some((sequence, generation, result)) = self.acks.next(), if !self.acks.is_empty() => {
                    match result {
                        Ok(_) => self.window.on_acked(sequence, generation),
                        Err(error) => self.on_error(generation, &error),
                    }
                }
                Ok(()) = self.appended.changed() => {
                    let last = *self.appended.borrow_and_update();
                    self.window.on_appended(last);
                }
                () = alarm => {}
            }
        }
    }

    async fn fill_window(&mut self) {
        while let Some(sequence) = self.window.next_to_send(Instant::now()) {
            let Some(record) = self.record(sequence).await else {
                return;
            };
            let Some((outgoing, bytes)) = self.outgoing(&record) else {
                return;
            };
            match self.publisher.publish(&outgoing).await {
                Ok(pending) => self.on_sent(sequence, bytes, pending),
                Err(error) => return self.on_error(self.window.generation(), &error),
            }
        }
    }

    fn on_sent(&mut self, sequence: Sequence, bytes: usize, pending: PendingAck) {
        let generation = self.window.on_sent(sequence, bytes);
        self.acks.push(Box::pin(
            async move { (sequence, generation, pending.await) },
        ));
    }

    fn on_error(&mut self, generation: Generation, error: &BusError) {
        let backoff = self.backoff;
        let news = self
            .window
            .on_failed(generation, Instant::now(), |failures| {
                backoff.delay(usize::try_from(failures).unwrap_or(usize::MAX))
            });
        if news {
            self.acks.clear();
            tracing::warn!(error.r#type = %error.code(), error = %Chain(error), "results are not stored, they are sent again");
        }
    }

    /// The batch with a number, read with some of those that follow.
    async fn record(&mut self, sequence: Sequence) -> Option<SpoolRecord> {
        while self
            .ahead
            .front()
            .is_some_and(|record| record.sequence < sequence)
        {
            self.ahead.pop_front();
        }
        if self
            .ahead
            .front()
            .is_none_or(|record| record.sequence != sequence)
        {
            self.ahead.clear();
            match self
                .shared
                .with(move |spool| spool.read(sequence, READ_BYTES))
                .await
            {
                Ok(records) => self.ahead.extend(records),
                Err(SpoolError::Damaged(lost)) => {
                    // An empty batch takes its place, so that those behind it arrive.
                    tracing::error!(%lost, "a batch in the spool is damaged, its reports are lost");
                    let payload = filler(self.shared.site(), self.shared.epoch(), sequence);
                    return Some(SpoolRecord { sequence, payload });
                }
                Err(error) => {
                    tracing::error!(error.r#type = %error.code(), error = %Chain(&error), "the spool cannot be read");
                    self.pause();
                    return None;
                }
            }
        }
        self.ahead.pop_front()
    }

    fn outgoing(&mut self, record: &SpoolRecord) -> Option<(Outgoing, usize)> {
        let reopened = decode(&record.payload).and_then(|(sealed, traceparent)| {
            let sealed = bytes::Bytes::copy_from_slice(sealed);
            let (outgoing, batch) = Outgoing::reopen(sealed).ok()?;
            let ours = batch.sequence == record.sequence && batch.epoch == self.shared.epoch();
            ours.then(|| Outgoing {
                traceparent: traceparent.to_owned(),
                ..outgoing
            })
        });
        if let Some(outgoing) = reopened {
            let outgoing = match &self.signer {
                Some(identity) => match identity.sign_batch(outgoing) {
                    Ok(signed) => signed,
                    Err(error) => {
                        tracing::error!(error.r#type = %error.code(), error = %Chain(&error), "results cannot be signed");
                        self.pause();
                        return None;
                    }
                },
                None => outgoing,
            };
            let bytes = outgoing.body.len();
            return Some((outgoing, bytes));
        }
        // The checksum fits, so a newer program wrote it: this one cannot go on.
        tracing::error!(sequence = %record.sequence, "a batch in the spool cannot be understood");
        self.pause();
        None
    }

    fn pause(&mut self) {
        let generation = self.window.generation();
        let backoff = self.backoff;
        self.window
            .on_failed(generation, Instant::now(), |failures| {
                backoff.delay(usize::try_from(failures).unwrap_or(usize::MAX))
            });
        self.acks.clear();
    }

    async fn on_watermark(&mut self, watermark: &Watermark) {
        let before = std::mem::replace(&mut self.refused, watermark.refused);
        self.window.on_welcome(watermark.refused.is_none());
        // While another agent speaks for the site, this one does not ask its devices.
        self.shared
            .set_displaced(watermark.refused == Some(ErrorCode::SiteClaimed));
        match watermark.refused {
            Some(code) if before != watermark.refused => {
                tracing::error!(error.r#type = %code, "the coordinator refuses this agent, results stay here");
                self.acks.clear();
            }
            None if before.is_some() => tracing::info!("the coordinator takes results again"),
            Some(_) | None => {}
        }
        if watermark.refused.is_some() || watermark.epoch != self.shared.epoch() {
            return;
        }
        // The spool may have grown since the last look.
        let last = *self.appended.borrow_and_update();
        self.window.on_appended(last);
        if before == Some(ErrorCode::SiteClaimed) {
            // The other agent may have used the numbers of what is held here: a copy of this spool.
            return self.renumber(watermark.committed).await;
        }
        let now = Instant::now();
        let before = self.window.generation();
        let oldest = self.shared.peek(Spool::oldest);
        match self
            .window
            .on_watermark(now, watermark.committed, watermark.resend_from, oldest)
        {
            Verdict::Commit(committed) => {
                let now = self.clock.now();
                let commit = self.shared.with(move |spool| spool.commit(committed, now));
                if let Err(error) = commit.await {
                    tracing::error!(error.r#type = %error.code(), error = %Chain(&error), "the spool cannot let go");
                }
            }
            Verdict::Renumber(committed) => self.renumber(committed).await,
            Verdict::Recall(from) => {
                tracing::warn!(%from, "the coordinator misses what it once had, it is sent again");
                self.ahead.clear();
                if let Err(error) = self.shared.with(move |spool| spool.recall(from)).await {
                    tracing::error!(error.r#type = %error.code(), error = %Chain(&error), "the spool cannot take back");
                }
            }
        }
        if self.window.generation() != before {
            self.acks.clear();
        }
    }

    /// Gives everything that is held new numbers, behind those that the coordinator has seen. Reports
    /// may arrive twice that way; they are counted by device.
    async fn renumber(&mut self, committed: Sequence) {
        tracing::error!(%committed, "the numbers of held results may have been used already; numbering anew");
        self.ahead.clear();
        let now = self.clock.now();
        let renumbered = self.shared.with(move |spool| {
            let (mut old, end) = (spool.committed().next(), spool.next());
            spool.skip_to(committed);
            while old < end {
                match spool.read(old, 1) {
                    Ok(records) => {
                        for record in records {
                            append_anew(spool, &record)?;
                        }
                    }
                    Err(SpoolError::Damaged(_)) => {}
                    Err(error) => return Err(error),
                }
                old = old.next();
            }
            spool.commit(committed, now)?;
            Ok(Sequence(spool.next().0.saturating_sub(1)))
        });
        match renumbered.await {
            Ok(last) => self.window.on_renumbered(committed, last),
            Err(error) => {
                tracing::error!(error.r#type = %error.code(), error = %Chain(&error), "the spool cannot be numbered anew");
            }
        }
    }
}

/// Appends a batch again, under the next number.
fn append_anew(spool: &mut Spool, record: &SpoolRecord) -> Result<(), SpoolError> {
    let Some((sealed, traceparent)) = decode(&record.payload) else {
        return Ok(());
    };
    let Ok(batch) = envelope::open::<v1::OutBatch>(sealed, envelope::BODY_MAX) else {
        return Ok(());
    };
    let batch = v1::OutBatch {
        sequence: spool.next().0,
        ..batch
    };
    spool
        .append(&encode(&envelope::seal(&batch), traceparent))
        .map(drop)
}
