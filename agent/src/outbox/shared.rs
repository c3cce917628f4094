//! The spool as writer and sender share it.

use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Another agent speaks for the site.
    displaced: AtomicBool,
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
            displaced: AtomicBool::new(false),
        })
    }

    pub(crate) const fn site(&self) -> &SiteId {
        &self.site
    }

    pub(crate) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The last number in the spool, as it grows.
    pub(super) fn appended(&self) -> watch::Receiver<Sequence> {
        self.appended.subscribe()
    }

    /// Whether new work should wait: for room, or because another agent speaks for the site.
    pub(crate) fn full(&self) -> watch::Receiver<bool> {
        self.full.subscribe()
    }

    /// Says that there is no room, whatever the spool counts: the disk itself is full.
    pub(super) fn declare_full(&self) {
        self.full
            .send_if_modified(|full| !std::mem::replace(full, true));
    }

    /// Says whether another agent speaks for the site: then no work is started here.
    pub(super) fn set_displaced(&self, displaced: bool) {
        if self.displaced.swap(displaced, Ordering::AcqRel) != displaced {
            let full = displaced || self.peek(Spool::is_full);
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
            let full = spool.is_full() || shared.displaced.load(Ordering::Acquire);
            drop(spool);
            if result.is_ok() {
                shared
                    .appended
                    .send_if_modified(|old| std::mem::replace(old, last) != last);
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
