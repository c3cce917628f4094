//! Sites and agents, as operators list and add them.

use prost::Message as _;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::agent::AgentView;
use tvtfleet_proto::model::api::{AddSite, ApiError, ListAgents, ListSites, Page, SiteView};
use tvtfleet_proto::subject::ApiOp;
use tvtfleet_proto::wire::v1;

use crate::core::Core;
use crate::store::{Room, audit, site};
use crate::trust::Caller;

use super::{audited, check, read, refuse, store_error};

/// Lists a page of sites, and whether they are there.
pub(super) async fn list_sites(
    core: &Core,
    request: ListSites,
) -> Result<Page<SiteView>, ApiError> {
    check::list_sites(&request)?;
    let mut page = read(core, "list sites", move |db| site::list(db, &request)).await?;
    let now = core.now().instant;
    let presence = core.presence();
    for view in &mut page.rows {
        let (online, heard) = presence.seen(&view.site, now);
        view.online = online;
        view.last_seen = view.last_seen.max(heard);
    }
    Ok(page)
}

/// Adds a site, or changes its name and labels.
pub(super) async fn add_site(
    core: &Core,
    caller: &Caller,
    request: AddSite,
) -> Result<SiteView, ApiError> {
    check::site(&request)?;
    let user = caller.name.as_str();
    let mut row = audited::row(core, caller, ApiOp::SiteAdd).for_sites([request.site.clone()]);
    row.detail = format!(
        "name {:?}, labels {}",
        request.display_name,
        request.labels.join(",")
    );
    let (site, now) = (request.site.clone(), core.clock.now());
    let added = core
        .store
        .write("add a site", move |db| {
            let added = site::add(db, &request, now)?;
            row.outcome = if added { "added" } else { "changed" }.to_owned();
            audit::append(db, row)?;
            Ok(added)
        })
        .await
        .map_err(store_error)?;
    core.audited.notify_one();
    core.presence().add(&site);
    tracing::info!(tvt.site.id = %site, user, added, "site added or changed");
    let page = list_sites(
        core,
        ListSites {
            site: Some(site),
            ..ListSites::default()
        },
    )
    .await?;
    page.rows
        .into_iter()
        .next()
        .ok_or_else(|| refuse(ErrorCode::Internal, "the site is gone again", ""))
}

/// Lists a page of the agents whose sites the operator may see.
pub(super) fn list_agents(
    core: &Core,
    caller: &Caller,
    request: &ListAgents,
) -> Result<Page<AgentView>, ApiError> {
    let after = match request.cursor.as_str() {
        "" => None,
        cursor => Some(cursor.parse().map_err(|_| {
            let hint = "begin again at the first page";
            refuse(ErrorCode::UsageInvalid, "that is no cursor", hint)
        })?),
    };
    let mut room = Room::new(request.limit);
    let mut page = Page {
        rows: Vec::<AgentView>::new(),
        next: None,
    };
    let presence = core.presence();
    for agent in presence.views(after.as_ref(), core.now().instant) {
        if !caller.covers(&agent.site.tenant) {
            continue;
        }
        if room.is_full() {
            page.next = page.rows.last().map(|agent| agent.site.to_string());
            break;
        }
        room.take(v1::AgentView::from(agent.clone()).encoded_len());
        page.rows.push(agent);
    }
    Ok(page)
}
