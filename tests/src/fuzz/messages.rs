//! Messages of the fleet as a hostile peer might send them.

use prost::Message;
use tvtfleet_proto::envelope::{self, BODY_MAX};
use tvtfleet_proto::model::want::{self, WANT_MAX};
use tvtfleet_proto::wire::v1;

/// The limit under which the packing is tried: small, so that a bomb is cheap to find.
const SMALL: usize = 64 * 1024;

/// Unpacks a message body; the first byte says how it is packed.
///
/// # Panics
///
/// Where a body larger than the limit comes out.
pub fn envelope(bytes: &[u8]) {
    if let Ok(message) = envelope::open::<v1::ApiError>(bytes, SMALL) {
        let again = envelope::open::<v1::ApiError>(&envelope::seal(&message), BODY_MAX);
        assert_eq!(again.as_ref(), Ok(&message), "opening reverses sealing");
    }
}

/// Reads a want document.
///
/// # Panics
///
/// Where a document that was accepted is not the same after a round trip.
pub fn want_doc(bytes: &[u8]) {
    let Ok(document) = v1::WantDoc::decode(bytes) else {
        return;
    };
    let Ok(document) = want::WantDoc::try_from(document) else {
        return;
    };
    let sealed = envelope::seal(&v1::WantDoc::from(document.clone()));
    let again = envelope::open::<v1::WantDoc>(&sealed, WANT_MAX.max(bytes.len().saturating_mul(4)));
    let again = again
        .ok()
        .and_then(|wire| want::WantDoc::try_from(wire).ok());
    assert_eq!(again, Some(document), "a want document survives the way");
}

/// Reads a batch of an agent's outbox.
///
/// # Panics
///
/// Where a batch that was accepted is not the same after a round trip.
pub fn out_batch(bytes: &[u8]) {
    let Ok(batch) = v1::OutBatch::decode(bytes) else {
        return;
    };
    let Ok(batch) = want::OutBatch::try_from(batch) else {
        return;
    };
    assert!(!batch.message_id().is_empty(), "a batch has an id");
    let _ = batch.lane();
    let sealed = envelope::seal(&v1::OutBatch::from(batch.clone()));
    let again = envelope::open::<v1::OutBatch>(&sealed, BODY_MAX);
    let again = again
        .ok()
        .and_then(|wire| want::OutBatch::try_from(wire).ok());
    assert_eq!(again, Some(batch), "a batch survives the way");
}
