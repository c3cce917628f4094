//! Copies of the leader's database, in pieces.
//!
//! The manifest is stored last, so that a copy that can be found is complete.

use std::path::Path;

use async_nats::StatusCode;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::DirectGetErrorKind;
use prost::Message;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tvtfleet_proto::envelope::{self, BODY_MAX};
use tvtfleet_proto::model::replica::{SNAPSHOT_PART, SNAPSHOT_PARTS_MAX, SnapshotManifest};
use tvtfleet_proto::subject::{self, SNAPSHOT_NEWEST, SNAPSHOT_STREAM};
use tvtfleet_proto::wire::v1;

use crate::connect::{Bus, REQUEST_TIMEOUT};
use crate::error::BusError;
use crate::want::publish_error;

const WHAT: &str = "a piece of a snapshot";

/// Stores the file `path` as the copy that `manifest` describes; its size, parts and digest are
/// filled in here. The parts of the copy before it are taken out.
///
/// # Errors
///
/// `bus.stream` where there is no room, `bus.timeout`, `bus.unreachable`; an unreadable file as
/// `bus.stream` too.
pub async fn store(
    bus: &Bus,
    path: &Path,
    manifest: SnapshotManifest,
) -> Result<SnapshotManifest, BusError> {
    let before = newest(bus).await.ok().flatten();
    let mut file = tokio::fs::File::open(path)
        .await
        .map_err(|error| broken(&error))?;
    let (mut digest, mut bytes, mut parts) = (Sha256::new(), 0_u64, 0_u32);
    loop {
        let mut piece = Vec::new();
        let limit = u64::try_from(SNAPSHOT_PART).unwrap_or(u64::MAX);
        let read = (&mut file)
            .take(limit)
            .read_to_end(&mut piece)
            .await
            .map_err(|error| broken(&error))?;
        if read == 0 {
            break;
        }
        if parts >= SNAPSHOT_PARTS_MAX {
            return Err(broken(&"the database is too large"));
        }
        digest.update(&piece);
        bytes = bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        let part = v1::SnapshotPart { body: piece };
        put(bus, subject::snapshot_part(&manifest.id, parts), &part).await?;
        parts = parts.saturating_add(1);
    }
    let manifest = SnapshotManifest {
        parts,
        bytes,
        sha256: digest.finalize().into(),
        ..manifest
    };
    let wire = v1::SnapshotManifest::from(manifest.clone());
    put(bus, SNAPSHOT_NEWEST.to_owned(), &wire).await?;
    if let Some(before) = before.filter(|before| before.id != manifest.id) {
        let purge = async {
            let stream = bus
                .jetstream
                .get_stream_no_info(SNAPSHOT_STREAM)
                .await
                .ok()?;
            let parts = subject::snapshot_parts(&before.id);
            stream.purge().filter(parts).await.ok()
        };
        if tokio::time::timeout(REQUEST_TIMEOUT, purge)
            .await
            .ok()
            .flatten()
            .is_none()
        {
            tracing::warn!("an old snapshot was not taken out");
        }
    }
    Ok(manifest)
}

/// Tells of the newest copy; `None` where there is none.
///
/// # Errors
///
/// `bus.stream`, `bus.timeout`, `bus.unreachable`, `message.invalid`.
pub async fn newest(bus: &Bus) -> Result<Option<SnapshotManifest>, BusError> {
    let Some(wire) = read::<v1::SnapshotManifest>(bus, SNAPSHOT_NEWEST.to_owned()).await? else {
        return Ok(None);
    };
    let manifest = SnapshotManifest::try_from(wire);
    Ok(Some(manifest.map_err(|error| broken(&error))?))
}

/// Reads a copy into the file `path`, and checks that it is whole.
///
/// # Errors
///
/// `bus.stream` where a part is missing (there may be a newer copy) or the file cannot be written,
/// `bus.timeout`, `bus.unreachable`.
pub async fn fetch(bus: &Bus, manifest: &SnapshotManifest, path: &Path) -> Result<(), BusError> {
    let mut file = tokio::fs::File::create(path)
        .await
        .map_err(|error| broken(&error))?;
    let (mut digest, mut bytes) = (Sha256::new(), 0_u64);
    for part in 0..manifest.parts {
        let subject = subject::snapshot_part(&manifest.id, part);
        let piece = read::<v1::SnapshotPart>(bus, subject).await?;
        let piece = piece.ok_or_else(|| broken(&"a part is missing"))?.body;
        digest.update(&piece);
        bytes = bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if bytes > manifest.bytes {
            return Err(broken(&"longer than announced"));
        }
        file.write_all(&piece)
            .await
            .map_err(|error| broken(&error))?;
    }
    file.sync_all().await.map_err(|error| broken(&error))?;
    let whole: [u8; 32] = digest.finalize().into();
    if whole == manifest.sha256 && bytes == manifest.bytes {
        Ok(())
    } else {
        Err(broken(&"the copy is damaged"))
    }
}

async fn put<M: Message>(bus: &Bus, subject: String, message: &M) -> Result<(), BusError> {
    if !bus.is_connected() {
        return Err(BusError::Disconnected);
    }
    let mark = bus.standing.mark();
    let message = PublishMessage::build().payload(envelope::seal(message).into());
    let stored = async {
        let sent = bus.jetstream.send_publish(subject.clone(), message).await?;
        sent.await
    };
    let stored = tokio::select! {
        biased;
        stored = stored => stored,
        error = bus.standing.broken(mark, &subject) => return Err(error),
        () = tokio::time::sleep(REQUEST_TIMEOUT) => return Err(BusError::Timeout { what: WHAT }),
    };
    stored
        .map(drop)
        .map_err(|error| publish_error(SNAPSHOT_STREAM, WHAT, error))
}

async fn read<M: Message + Default>(bus: &Bus, subject: String) -> Result<Option<M>, BusError> {
    if !bus.is_connected() {
        return Err(BusError::Disconnected);
    }
    let stream = bus
        .jetstream
        .get_stream_no_info(SNAPSHOT_STREAM)
        .await
        .map_err(|error| broken(&error))?;
    let found = tokio::time::timeout(REQUEST_TIMEOUT, stream.direct_get_last_for_subject(subject))
        .await
        .map_err(|_| BusError::Timeout { what: WHAT })?;
    match found {
        Ok(message) => envelope::open(&message.payload, BODY_MAX)
            .map(Some)
            .map_err(|error| broken(&error)),
        Err(error) => match error.kind() {
            DirectGetErrorKind::NotFound
            | DirectGetErrorKind::ErrorResponse(StatusCode::NOT_FOUND, _) => Ok(None),
            DirectGetErrorKind::InvalidSubject
            | DirectGetErrorKind::TimedOut
            | DirectGetErrorKind::Request
            | DirectGetErrorKind::ErrorResponse(..)
            | DirectGetErrorKind::Other => Err(broken(&error)),
        },
    }
}

fn broken(error: &dyn std::fmt::Display) -> BusError {
    BusError::Stream {
        stream: SNAPSHOT_STREAM.to_owned(),
        reason: error.to_string(),
    }
}
