//! Answers what is about changes, edits, results of earlier scans and questions in SQL.

use std::time::Duration;

use tvtfleet_proto::model::api::{ApiError, DeviceView, Imported, Page, WATCH_MAX};
use tvtfleet_proto::model::change::{ChangePage, ListChanges};
use tvtfleet_proto::model::query::{EditDevices, ImportResults, QueryPage, RunQuery};
use tvtfleet_proto::subject::ApiOp;

use crate::core::Core;
use crate::store::{audit, change, inventory};
use crate::trust::Caller;

use super::watching::{HELD, LOOK_GAP};
use super::{audited, check, read, store_error};

/// Devices whose channels are written to the table of channels in one transaction.
const PORTION: u32 = 200;
/// How long a question waits for the table of channels to be brought up to date.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);

/// Lists changes; a request that follows is held until there is one.
pub(super) async fn list_changes(
    core: &Core,
    request: ListChanges,
) -> Result<ChangePage, ApiError> {
    check::list_changes(&request)?;
    let wait = request.wait.min(WATCH_MAX);
    let deadline = tokio::time::Instant::now().checked_add(wait);
    let deadline = deadline.filter(|_| request.after.is_some() && !wait.is_zero());
    let mut signal = core.watch_jobs();
    let mut request = request;
    let mut place = None;
    loop {
        signal.mark_unchanged();
        let asked = request.clone();
        let page = read(core, "list changes", move |db| change::list(db, &asked)).await?;
        let Some(deadline) = deadline.filter(|_| page.rows.is_empty()) else {
            return Ok(page);
        };
        // What was looked at and does not fit the request need not be looked at again.
        request.after = Some(page.position);
        if place.is_none() {
            place = HELD.try_acquire().ok();
        }
        if place.is_none()
            || tokio::time::timeout_at(deadline, signal.changed())
                .await
                .is_err()
        {
            return Ok(page);
        }
        // Many small changes are one.
        tokio::time::sleep(LOOK_GAP).await;
    }
}

/// Labels, notes or forgets devices.
pub(super) async fn edit(
    core: &Core,
    caller: &Caller,
    request: EditDevices,
) -> Result<Page<DeviceView>, ApiError> {
    check::edit(&request)?;
    let now = core.clock.now();
    let (count, forget) = (request.devices.len(), request.forget);
    let user = caller.name.as_str();
    let mut row = audited::row(core, caller, ApiOp::InventoryEdit);
    row.devices = u32::try_from(count).unwrap_or(u32::MAX);
    row.detail = described(&request);
    let page = core
        .store
        .write("edit devices", move |db| {
            let page = inventory::edit(db, &request, now)?;
            let sites = page.rows.iter().map(|device| device.site.clone());
            audit::append(db, row.for_sites(sites))?;
            Ok(page)
        })
        .await
        .map_err(store_error)?;
    core.audited.notify_one();
    core.jobs_changed();
    tracing::info!(user, devices = count, forget, "devices edited");
    Ok(page)
}

/// What an edit does to which devices.
fn described(request: &EditDevices) -> String {
    let mut text = Vec::new();
    for (verb, labels) in [
        ("label", &request.add_labels),
        ("take the label", &request.remove_labels),
    ] {
        if !labels.is_empty() {
            text.push(format!("{verb} {}", labels.join(",")));
        }
    }
    for (verb, is_asked) in [
        ("note", request.note.is_some()),
        ("verify", request.verify),
        ("forget", request.forget),
    ] {
        if is_asked {
            text.push(verb.to_owned());
        }
    }
    format!("{}: {}", text.join(", "), request.devices.join(", "))
}

/// Brings in results of an earlier scan.
pub(super) async fn import_results(
    core: &Core,
    caller: &Caller,
    request: ImportResults,
) -> Result<Imported, ApiError> {
    check::results(&request)?;
    let (id, site) = (request.import, request.site.clone());
    let user = caller.name.as_str();
    let mut row = audited::row(core, caller, ApiOp::InventoryResults).for_sites([site.clone()]);
    row.devices = u32::try_from(request.results.len()).unwrap_or(u32::MAX);
    row.detail = format!("import {id}");
    let now = core.clock.now();
    let imported = core
        .store
        .write("import results", move |db| {
            let imported = inventory::import_results(db, &request, now)?;
            row.outcome = format!(
                "{} added, {} updated, {} unchanged",
                imported.added, imported.updated, imported.unchanged
            );
            audit::append(db, row)?;
            Ok(imported)
        })
        .await
        .map_err(store_error)?;
    core.audited.notify_one();
    core.jobs_changed();
    tracing::info!(
        import = %id, tvt.site.id = %site, user, added = imported.added,
        updated = imported.updated, unchanged = imported.unchanged, "results imported"
    );
    Ok(imported)
}

/// Answers a question in SQL.
pub(super) async fn query(
    core: &Core,
    user: &str,
    request: RunQuery,
) -> Result<QueryPage, ApiError> {
    let pending = if request.sql.to_ascii_lowercase().contains("channels") {
        catch_up(core).await?
    } else {
        0
    };
    tracing::debug!(user, "question in SQL");
    let now = core.clock.now();
    let answer = core.store.question(request, now).await;
    let mut page = answer.map_err(store_error)?;
    page.channels_pending = pending;
    Ok(page)
}

/// Brings the table of channels up to date as far as that is quick. Returns how many devices are
/// left.
async fn catch_up(core: &Core) -> Result<u32, ApiError> {
    let end = tokio::time::Instant::now().checked_add(CATCH_UP_MAX);
    while end.is_some_and(|end| tokio::time::Instant::now() < end) {
        let written = core
            .store
            .write("write channels", |db| inventory::refresh(db, PORTION))
            .await
            .map_err(store_error)?;
        if written == 0 {
            return Ok(0);
        }
    }
    read(core, "count channels", inventory::pending).await
}
