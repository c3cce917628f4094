//! Sites, their labels and what their agents last said of themselves.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension, Row, params};

use tvtfleet_proto::model::agent::AgentFacts;
use tvtfleet_proto::model::api::{AddSite, ListSites, Page, SiteView};
use tvtfleet_proto::model::id::{Epoch, SiteId, WantRevision};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::wire::v1;

use crate::jobs::select::{self, Value};
use crate::ledger::Ledger;

use super::columns::{SiteRow, count, epoch as read_epoch, optional_moment, site_id, unsigned};
use super::error::DbError;
use super::paging::{Placed, Room, bad_cursor, fill};
use super::producers;

/// The longest text that an agent may say of itself, in characters.
const FACT_MAX: usize = 200;

/// Finds a site.
pub(super) fn find(db: &Connection, site: &SiteId) -> Result<Option<SiteRow>, DbError> {
    let mut query = db.prepare_cached("SELECT id FROM sites WHERE tenant = ?1 AND name = ?2")?;
    let names = params![site.tenant.as_str(), site.site.as_str()];
    Ok(query.query_row(names, |row| row.get(0)).optional()?)
}

/// Adds a site of which only the id is known, unless it is there. Returns whether it was added.
pub(super) fn ensure(
    db: &Connection,
    site: &SiteId,
    now: UtcMillis,
) -> Result<(SiteRow, bool), DbError> {
    if let Some(row) = find(db, site)? {
        return Ok((row, false));
    }
    db.prepare_cached("INSERT INTO sites (tenant, name, added_at) VALUES (?1, ?2, ?3)")?
        .execute(params![
            site.tenant.as_str(),
            site.site.as_str(),
            now.millis()
        ])?;
    Ok((SiteRow(db.last_insert_rowid()), true))
}

/// Adds a site, or changes its name and labels. Returns whether it was added.
pub(crate) fn add(db: &Connection, request: &AddSite, now: UtcMillis) -> Result<bool, DbError> {
    let (row, added) = ensure(db, &request.site, now)?;
    db.execute(
        "UPDATE sites SET display_name = ?2 WHERE id = ?1",
        params![row, request.display_name],
    )?;
    db.execute("DELETE FROM site_labels WHERE site = ?1", [row])?;
    for label in &request.labels {
        db.execute(
            "INSERT OR IGNORE INTO site_labels VALUES (?1, ?2)",
            params![row, label],
        )?;
    }
    Ok(added)
}

/// Lists a page of sites by name. Whether they are online is for the caller to fill in.
pub(crate) fn list(db: &Connection, request: &ListSites) -> Result<Page<SiteView>, DbError> {
    let mut filter = select::Filter::default();
    filter.tenants(&request.tenants);
    if let Some(site) = &request.site {
        filter.sites(std::slice::from_ref(site));
    }
    if !request.cursor.is_empty() {
        let after = read_cursor(&request.cursor)?;
        let names = [after.tenant.to_string(), after.site.to_string()];
        filter.also("(s.tenant, s.name) > (?, ?)", names.map(Value::Text));
    }
    let room = Room::new(request.limit);
    let sql = format!(
        "SELECT s.id, s.tenant, s.name, s.display_name, s.last_seen,
                (SELECT count(*) FROM devices d WHERE d.site = s.id AND d.address IS NOT NULL) AS devices,
                (SELECT count(*) FROM devices d
                 WHERE d.site = s.id AND d.failing = 1 AND d.address IS NOT NULL) AS failing,
                (SELECT count(*) FROM job_sites j
                 WHERE j.site = s.id AND j.state IN ('waiting', 'accepted')) AS open_jobs
         FROM sites s WHERE {} ORDER BY s.tenant, s.name LIMIT {}",
        filter.condition(),
        room.asked(),
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(rusqlite::params_from_iter(filter.values()))?;
    fill(&mut rows, room, |row| {
        let view = read_view(db, row)?;
        Ok(Placed {
            bytes: v1::SiteView::from(view.clone()).encoded_len(),
            cursor: view.site.to_string(),
            row: view,
        })
    })
}

fn read_view(db: &Connection, row: &Row<'_>) -> Result<SiteView, DbError> {
    let tenant: String = row.get("tenant")?;
    let name: String = row.get("name")?;
    Ok(SiteView {
        site: site_id(&tenant, &name)?,
        display_name: row.get("display_name")?,
        labels: labels(db, row.get("id")?)?,
        online: false,
        last_seen: optional_moment(row, "last_seen")?,
        devices: count(row.get("devices")?),
        failing: count(row.get("failing")?),
        open_jobs: count(row.get("open_jobs")?),
    })
}

fn labels(db: &Connection, site: SiteRow) -> Result<Vec<String>, DbError> {
    let mut query =
        db.prepare_cached("SELECT label FROM site_labels WHERE site = ?1 ORDER BY label")?;
    let labels = query.query_map([site], |row| row.get(0))?;
    Ok(labels.collect::<Result<_, _>>()?)
}

/// Reads the site behind which a page begins.
fn read_cursor(cursor: &str) -> Result<SiteId, DbError> {
    cursor.parse().map_err(|_| bad_cursor(cursor))
}

/// The epoch that speaks for a site.
pub(super) fn epoch(db: &Connection, site: SiteRow) -> Result<Option<Epoch>, DbError> {
    let mut query = db.prepare_cached("SELECT epoch FROM sites WHERE id = ?1")?;
    let bytes: Option<Vec<u8>> = query.query_row([site], |row| row.get(0))?;
    bytes.map(|bytes| read_epoch(&bytes)).transpose()
}

/// Lets an epoch speak for a site.
pub(super) fn set_epoch(
    db: &Connection,
    site: SiteRow,
    epoch: Epoch,
    facts: &AgentFacts,
    now: UtcMillis,
) -> Result<(), DbError> {
    let cut = |text: &str| text.chars().take(FACT_MAX).collect::<String>();
    let mut query = db.prepare_cached(
        "UPDATE sites SET epoch = ?2, agent_version = ?3, agent_hostname = ?4, agent_platform = ?5,
                last_seen = ?6, agent_backends = ?7 WHERE id = ?1",
    )?;
    let backends = v1::AgentFacts {
        backends: facts.backends.iter().cloned().map(Into::into).collect(),
        ..v1::AgentFacts::default()
    };
    query.execute(params![
        site,
        epoch.uuid().as_bytes(),
        cut(&facts.version),
        cut(&facts.hostname),
        cut(&facts.platform),
        now.millis(),
        backends.encode_to_vec(),
    ])?;
    Ok(())
}

/// Lets an epoch speak for a site for which none does yet, by its first batch.
pub(super) fn adopt_epoch(db: &Connection, site: SiteRow, epoch: Epoch) -> Result<(), DbError> {
    db.prepare_cached("UPDATE sites SET epoch = ?2 WHERE id = ?1 AND epoch IS NULL")?
        .execute(params![site, epoch.uuid().as_bytes()])?;
    Ok(())
}

/// Stores when agents were last heard.
pub(crate) fn remember_seen(db: &Connection, seen: &[(SiteId, UtcMillis)]) -> Result<(), DbError> {
    let mut query =
        db.prepare_cached("UPDATE sites SET last_seen = ?3 WHERE tenant = ?1 AND name = ?2")?;
    for (site, at) in seen {
        query.execute(params![
            site.tenant.as_str(),
            site.site.as_str(),
            at.millis()
        ])?;
    }
    Ok(())
}

/// What is stored of a site's agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The site.
    pub(crate) site: SiteId,
    /// The epoch that speaks for it, and what of it has been applied.
    pub(crate) spool: Option<(Epoch, Ledger)>,
    /// Who its agent is.
    pub(crate) facts: AgentFacts,
    /// When it was last heard.
    pub(crate) last_seen: Option<UtcMillis>,
    /// The newest want document.
    pub(crate) want: WantRevision,
}

/// Reads what is stored of every site's agent.
pub(crate) fn standings(db: &Connection) -> Result<Vec<Standing>, DbError> {
    let mut query = db.prepare(
        "SELECT id, tenant, name, epoch, agent_version, agent_hostname, agent_platform, last_seen,
                want_revision, agent_backends FROM sites",
    )?;
    let mut rows = query.query([])?;
    let mut standings = Vec::new();
    while let Some(row) = rows.next()? {
        let tenant: String = row.get("tenant")?;
        let name: String = row.get("name")?;
        let epoch: Option<Vec<u8>> = row.get("epoch")?;
        let spool = match epoch {
            Some(bytes) => {
                let epoch = read_epoch(&bytes)?;
                let ledger = producers::load(db, row.get("id")?, epoch)?.unwrap_or_default();
                Some((epoch, ledger))
            }
            None => None,
        };
        let backends: Vec<u8> = row.get("agent_backends")?;
        standings.push(Standing {
            site: site_id(&tenant, &name)?,
            spool,
            facts: AgentFacts {
                version: row.get("agent_version")?,
                hostname: row.get("agent_hostname")?,
                platform: row.get("agent_platform")?,
                // What a newer program wrote and this one cannot read will be said again.
                backends: v1::AgentFacts::decode(backends.as_slice())
                    .map(|facts| AgentFacts::from(facts).backends)
                    .unwrap_or_default(),
            },
            last_seen: optional_moment(row, "last_seen")?,
            want: WantRevision(unsigned(row.get("want_revision")?)),
        });
    }
    Ok(standings)
}
