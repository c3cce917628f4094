//! The spool as writer and sender share it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tvtfleet_proto::envelope;
use tvtfleet_proto::model::id::{Epoch, Sequence, SiteId};
use tvtfleet_proto::model::want::OutBatch;
use tvtfleet_proto::wire::v1;

use crate::spool::{Spool, SpoolError};

/// The spool, and who wants to hear of it. Its operations block, so they run on their own threads.
#[derive(Debug)]
pub(crate) struct SpoolShared {
    site: SiteId,
    epoch: Epoch,
    spool: Mutex<Spool>,
    appended: watch::Sender<Sequence>,
    full: watch::Sender<bool>,
    /// The last number that the stream is known to have.
    stored: watch::Sender<Sequence>,
    /// Whether the disk has refused a batch, and taken none since.
    starved: watch::Sender<bool>,
    /// Another agent speaks for the site.
    displaced: AtomicBool,
    /// Bytes of pictures that wait: they count when it is decided whether to begin new work.
    pictures: AtomicU64,
}

impl SpoolShared {
    pub(crate) fn new(site: SiteId, spool: Spool) -> Arc<Self> {
        let last = Sequence(spool.next().0.saturating_sub(1));
        let full = spool.is_full();
        Arc::new(Self {
            site,
            epoch: spool.epoch(),
            spool: Mutex::new(spool),
            appended: watch::Sender::new(last),
            full: watch::Sender::new(full),
            stored: watch::Sender::new(Sequence(0)),
            starved: watch::Sender::new(false),
            displaced: AtomicBool::new(false),
            pictures: AtomicU64::new(0),
        })
    }

    pub(crate) const fn site(&self) -> &SiteId {
        &self.site
    }

    pub(crate) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The last number in the spool, as it grows.
    pub(crate) fn appended(&self) -> watch::Receiver<Sequence> {
        self.appended.subscribe()
    }

    /// Whether the disk takes no reports.
    pub(crate) fn starved(&self) -> watch::Receiver<bool> {
        self.starved.subscribe()
    }

    /// Notes that the stream has everything up to a number.
    pub(super) fn set_stored(&self, upto: Sequence) {
        self.stored
            .send_if_modified(|old| std::mem::replace(old, upto) != upto);
    }

    /// Waits until the stream has everything that is in the spool: what is less important than reports
    /// goes out then.
    pub(crate) async fn until_sent(&self) {
        let (mut stored, appended) = (self.stored.subscribe(), self.appended());
        let sent = stored.wait_for(|stored| *stored >= *appended.borrow());
        // The sender is there for as long as this value.
        let _sent = sent.await.is_ok();
    }

    /// Whether new work should wait: for room, or because another agent speaks for the site.
    pub(crate) fn full(&self) -> watch::Receiver<bool> {
        self.full.subscribe()
    }

    /// Says that there is no room, whatever the spool counts: the disk itself is full.
    pub(super) fn declare_full(&self) {
        self.full
            .send_if_modified(|full| !std::mem::replace(full, true));
        self.starved.send_replace(true);
    }

    fn is_full(&self, spool: &Spool) -> bool {
        self.displaced.load(Ordering::Acquire)
            || spool.is_full_with(self.pictures.load(Ordering::Acquire))
    }

    /// Says how many bytes of pictures wait. Returns the bytes that reports leave for pictures: none
    /// where the disk takes no reports.
    pub(crate) fn set_pictures(&self, bytes: u64) -> u64 {
        self.pictures.store(bytes, Ordering::Release);
        let (full, room) = self.peek(|spool| (self.is_full(spool), spool.room()));
        if *self.starved.borrow() {
            return 0;
        }
        self.full
            .send_if_modified(|old| std::mem::replace(old, full) != full);
        room
    }

    /// Says whether another agent speaks for the site: then no work is started here.
    pub(super) fn set_displaced(&self, displaced: bool) {
        if self.displaced.swap(displaced, Ordering::AcqRel) != displaced {
            let full = self.peek(|spool| self.is_full(spool));
            self.full
                .send_if_modified(|old| std::mem::replace(old, full) != full);
        }
    }

    /// Looks at the spool without writing to it.
    pub(crate) fn peek<R>(&self, look: impl FnOnce(&Spool) -> R) -> R {
        look(&self.spool.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Uses the spool on a thread that may block, then tells what has changed.
    pub(super) async fn with<R: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut Spool) -> Result<R, SpoolError> + Send + 'static,
    ) -> Result<R, SpoolError> {
        let shared = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let mut spool = shared.spool.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut spool);
            let last = Sequence(spool.next().0.saturating_sub(1));
            let full = shared.is_full(&spool);
            drop(spool);
            if result.is_ok() {
                let grew = shared
                    .appended
                    .send_if_modified(|old| std::mem::replace(old, last) != last);
                if grew {
                    shared
                        .starved
                        .send_if_modified(|starved| std::mem::replace(starved, false));
                }
                shared
                    .full
                    .send_if_modified(|old| std::mem::replace(old, full) != full);
            }
            result
        });
        match task.await {
            Ok(result) => result,
            Err(error) => {
                let source = std::io::Error::other(error.to_string());
                Err(SpoolError::Io {
                    what: "use",
                    path: "the spool".into(),
                    source,
                })
            }
        }
    }
}

/// The sealed bytes of a batch without items, which takes the place of one that is lost.
pub(crate) fn filler(site: &SiteId, epoch: Epoch, sequence: Sequence) -> Vec<u8> {
    let batch = OutBatch {
        site: site.clone(),
        epoch,
        sequence,
        items: Vec::new(),
    };
    encode(&envelope::seal(&v1::OutBatch::from(batch)), "")
}

/// The longest trace context that is kept with a batch, in bytes: one of version 0 has 55.
const TRACE_MAX: usize = 128;

/// A sealed batch with the trace it belongs to, as the spool keeps it: length of the context (1),
/// context, batch.
pub(crate) fn encode(sealed: &[u8], traceparent: &str) -> Vec<u8> {
    let trace = if traceparent.len() <= TRACE_MAX {
        traceparent.as_bytes()
    } else {
        &[]
    };
    let mut bytes = Vec::with_capacity(sealed.len().saturating_add(trace.len()).saturating_add(1));
    bytes.push(u8::try_from(trace.len()).unwrap_or(0));
    bytes.extend_from_slice(trace);
    bytes.extend_from_slice(sealed);
    bytes
}

/// The sealed batch in a payload of the spool.
pub(crate) fn sealed_batch(payload: &[u8]) -> Option<&[u8]> {
    decode(payload).map(|(sealed, _)| sealed)
}

/// Takes apart what [`encode`] made.
pub(super) fn decode(payload: &[u8]) -> Option<(&[u8], &str)> {
    let (length, rest) = payload.split_first()?;
    let (trace, sealed) = rest.split_at_checked(usize::from(*length))?;
    Some((sealed, std::str::from_utf8(trace).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_bus::publish::Outgoing;

    #[test]
    fn payloads_take_apart() {
        let context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(
            decode(&encode(b"sealed", context)),
            Some((b"sealed".as_slice(), context))
        );
        assert_eq!(
            decode(&encode(b"sealed", &"x".repeat(500))),
            Some((b"sealed".as_slice(), ""))
        );
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[9, 1, 2]), None);
    }

    #[test]
    fn a_filler_is_a_batch_that_can_be_read() {
        let site: SiteId = "acme/depot".parse().unwrap();
        let epoch = Epoch::new(uuid::Uuid::from_u128(5));
        let bytes = filler(&site, epoch, Sequence(7));
        let (sealed, _) = decode(&bytes).unwrap();
        let (outgoing, batch) = Outgoing::reopen(sealed.to_vec().into()).unwrap();
        assert_eq!((batch.sequence, batch.items.len()), (Sequence(7), 0));
        assert_eq!(outgoing.message_id, format!("{epoch}-7"));
    }
}
