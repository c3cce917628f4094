//! Pictures give way to reports: first no job is begun, then pictures go, and never a report.

use std::sync::Arc;

use tvtfleet_proto::error::ErrorCode;

use super::shelf::Shelf;
use crate::outbox::SpoolShared;

/// Lets pictures go whenever reports need their room, for as long as it is polled.
pub(crate) async fn yield_to_reports(shelf: Arc<Shelf>, spool: Arc<SpoolShared>) {
    let (mut appended, mut starved) = (spool.appended(), spool.starved());
    let mut changes = shelf.changes();
    loop {
        appended.mark_unchanged();
        starved.mark_unchanged();
        changes.mark_unchanged();
        let room = spool.set_pictures(shelf.bytes());
        let gone = shelf.yield_to_reports(room);
        if gone > 0 {
            spool.set_pictures(shelf.bytes());
            tracing::warn!(
                error.r#type = %ErrorCode::PictureNotKept,
                pictures = gone,
                "pictures were let go: reports need the room"
            );
        }
        let changed = tokio::select! {
            changed = appended.changed() => changed,
            changed = starved.changed() => changed,
            changed = changes.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}
