//! Device credentials on their way from operators to sites, and what the sites said of them.
//!
//! Of a site and label there are two rows at most: the newest push, and the newest that is in the vault.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use tvtfleet_bus::trust::CredentialPush;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::Page;
use tvtfleet_proto::model::audit::{AuditDecision, AuditEntry};
use tvtfleet_proto::model::id::{SiteId, TenantId};
use tvtfleet_proto::model::push::{
    CredentialAnswer, CredentialView, ListCredentials, ListSealingKeys, PushState, SealingKey,
};
use tvtfleet_proto::model::signed::SignedStatement;
use tvtfleet_proto::model::time::UtcMillis;
use uuid::Uuid;

use super::columns::{SiteRow, moment, signed, site_id, unsigned};
use super::error::DbError;
use super::orders::{pack, unpack};
use super::paging::{Placed, Room, bad_cursor, fill};
use super::{audit_rows, keys, sites, wants};

/// The most pushes of a site's want document; later ones follow once these are answered.
const WANTED_MAX: u32 = 32;
/// The most bytes of them, unless one alone is larger.
const WANTED_BYTES: usize = 40 * 1024;

/// A push whose signature was checked.
#[derive(Clone, Debug)]
pub(crate) struct Push {
    pub(crate) id: Uuid,
    pub(crate) site: SiteId,
    pub(crate) statement: CredentialPush,
    pub(crate) document: SignedStatement,
}

/// Stores pushes, in place of earlier ones that their sites have not answered. The same push again
/// changes nothing.
pub(crate) fn store(
    db: &Connection,
    pushes: &[Push],
    by: &str,
    now: UtcMillis,
) -> Result<(), DbError> {
    for push in pushes {
        let refuse = |text: String| {
            let hint = "ask for the sites' keys again: tvtctl agents show TENANT/SITE";
            DbError::refused(ErrorCode::PushRefused, text, hint)
        };
        let agent = keys::agent(db, &push.site)?;
        let key = agent.map(|agent| agent.curve_key);
        let statement = &push.statement;
        if key.as_ref() != Some(&statement.reader) {
            let text = format!("{} has an agent with another key, or none", push.site);
            return Err(refuse(text));
        }
        let Some(row) = sites::find(db, &push.site)? else {
            return Err(refuse(format!("{} was never added", push.site)));
        };
        let known: bool = db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM credential_pushes WHERE uuid = ?1)")?
            .query_row([push.id.as_bytes()], |row| row.get(0))?;
        if known {
            continue;
        }
        let newest: Option<i64> = db
            .prepare_cached(
                "SELECT max(version) FROM credential_pushes WHERE site = ?1 AND label = ?2",
            )?
            .query_row(params![row, statement.label], |row| row.get(0))?;
        let newest = newest.map_or(0, unsigned);
        if statement.version <= newest {
            let text = format!("{}: {} has version {newest}", push.site, statement.label);
            let hint = "push again; the version is the time of the push";
            return Err(DbError::refused(ErrorCode::PushReplayed, text, hint));
        }
        db.prepare_cached(
            "DELETE FROM credential_pushes WHERE site = ?1 AND label = ?2 AND state <> 'accepted'",
        )?
        .execute(params![row, statement.label])?;
        db.prepare_cached(
            "INSERT INTO credential_pushes
                 (uuid, site, label, version, reader, document, pushed_by, pushed_at, not_after)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            push.id.as_bytes(),
            row,
            statement.label,
            signed(statement.version),
            statement.reader,
            pack(&push.document),
            by,
            now.millis(),
            statement.not_after,
        ])?;
        wants::advance(db, row)?;
    }
    Ok(())
}

/// What a site has not answered yet, oldest first: a portion.
pub(super) fn waiting(db: &Connection, site: SiteRow) -> Result<Vec<SignedStatement>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT document FROM credential_pushes
         WHERE site = ?1 AND state = 'waiting' AND document IS NOT NULL ORDER BY id LIMIT ?2",
    )?;
    let mut rows = query.query(params![site, WANTED_MAX])?;
    let (mut pushes, mut bytes) = (Vec::new(), 0_usize);
    while let Some(row) = rows.next()? {
        let document: Vec<u8> = row.get("document")?;
        bytes = bytes.saturating_add(document.len());
        if bytes > WANTED_BYTES && !pushes.is_empty() {
            break;
        }
        pushes.push(unpack(&document)?);
    }
    Ok(pushes)
}

/// Notes what a site said. Returns whether that was still open.
pub(super) fn answered(
    db: &Connection,
    site: SiteRow,
    answer: &CredentialAnswer,
    now: UtcMillis,
) -> Result<bool, DbError> {
    let mut query = db.prepare_cached(
        "SELECT p.id, p.label, p.version, p.pushed_by, s.tenant, s.name
         FROM credential_pushes p JOIN sites s ON s.id = p.site
         WHERE p.uuid = ?1 AND p.site = ?2 AND p.state = 'waiting'",
    )?;
    let found = query
        .query_row(params![answer.push.as_bytes(), site], |row| {
            let label: String = row.get("label")?;
            let (tenant, name): (String, String) = (row.get("tenant")?, row.get("name")?);
            let version = unsigned(row.get("version")?);
            let by: String = row.get("pushed_by")?;
            Ok((row.get::<_, i64>("id")?, label, version, by, tenant, name))
        })
        .optional()?;
    let Some((id, label, version, by, tenant, name)) = found else {
        return Ok(false);
    };
    let state = match answer.refused {
        None => PushState::Accepted,
        Some(_) => PushState::Refused,
    };
    let reason = answer.refused.map_or("", ErrorCode::as_str);
    db.prepare_cached(
        "UPDATE credential_pushes SET state = ?2, reason = ?3, answered_at = ?4, document = NULL
         WHERE id = ?1",
    )?
    .execute(params![id, state.as_str(), reason, now.millis()])?;
    if state == PushState::Accepted {
        db.prepare_cached(
            "DELETE FROM credential_pushes WHERE site = ?1 AND label = ?2 AND id < ?3",
        )?
        .execute(params![site, label, id])?;
    }
    let entry = AuditEntry {
        at: now,
        who: "agent".to_owned(),
        kind: "credential.answer".to_owned(),
        decision: AuditDecision::Noted.as_str().to_owned(),
        code: reason.to_owned(),
        detail: format!("credential {label}, version {version}; pushed by {by}"),
        outcome: state.to_string(),
        ..AuditEntry::default()
    };
    audit_rows::append(db, entry.for_sites([site_id(&tenant, &name)?]))?;
    wants::advance(db, site)?;
    Ok(true)
}

/// Lists pushes, by site and label.
pub(crate) fn list(
    db: &Connection,
    request: &ListCredentials,
    now: UtcMillis,
) -> Result<Page<CredentialView>, DbError> {
    let mut filter = Places::new(&request.tenants, &request.sites, "s");
    if let Some(label) = &request.label {
        filter.and("p.label = ?", label.as_str());
    }
    let after = cursor(&request.cursor)?;
    let room = Room::new(request.limit);
    let sql = format!(
        "SELECT p.*, CAST(p.id AS TEXT) AS cursor, s.tenant, s.name FROM credential_pushes p JOIN sites s ON s.id = p.site
         WHERE {} AND p.id > {after} ORDER BY p.id LIMIT {}",
        filter.sql,
        room.asked(),
    );
    page(db, &sql, filter, room, |row| view(row, now))
}

/// Lists the keys of the agents that count for their sites.
pub(crate) fn sealing_keys(
    db: &Connection,
    request: &ListSealingKeys,
) -> Result<Page<SealingKey>, DbError> {
    let mut filter = Places::new(&request.tenants, &request.sites, "k");
    filter.and("k.tenant || '/' || k.site > ?", &request.cursor);
    let room = Room::new(request.limit);
    let sql = format!(
        "SELECT k.tenant || '/' || k.site AS cursor, k.tenant, k.site AS name, k.curve_key, k.user_key, k.hostname,
                k.enrolled_at FROM agent_keys k
         WHERE {} AND k.pending = 0 AND NOT EXISTS (
             SELECT 1 FROM agent_keys n WHERE n.tenant = k.tenant AND n.site = k.site
             AND n.pending = 0 AND (n.enrolled_at, n.user_key) > (k.enrolled_at, k.user_key))
         ORDER BY cursor LIMIT {}",
        filter.sql,
        room.asked(),
    );
    page(db, &sql, filter, room, |row| {
        let (tenant, name): (String, String) = (row.get("tenant")?, row.get("name")?);
        Ok(SealingKey {
            site: site_id(&tenant, &name)?,
            curve_key: row.get("curve_key")?,
            user_key: row.get("user_key")?,
            hostname: row.get("hostname")?,
            enrolled_at: moment(row, "enrolled_at")?,
        })
    })
}

fn view(row: &Row<'_>, now: UtcMillis) -> Result<CredentialView, DbError> {
    let damaged = |error: &dyn std::fmt::Display| DbError::damaged("a push", error);
    let (tenant, name): (String, String) = (row.get("tenant")?, row.get("name")?);
    let (label, state): (String, String) = (row.get("label")?, row.get("state")?);
    let (reason, uuid): (String, [u8; 16]) = (row.get("reason")?, row.get("uuid")?);
    let not_after = moment(row, "not_after")?;
    let mut state: PushState = state.parse().map_err(|error| damaged(&error))?;
    if state == PushState::Waiting && not_after <= now {
        state = PushState::Expired;
    }
    let answered: Option<i64> = row.get("answered_at")?;
    Ok(CredentialView {
        push: Uuid::from_bytes(uuid),
        site: site_id(&tenant, &name)?,
        label: label.parse().map_err(|error| damaged(&error))?,
        version: unsigned(row.get("version")?),
        state,
        reason: reason.parse().ok(),
        pushed_by: row.get("pushed_by")?,
        pushed_at: moment(row, "pushed_at")?,
        not_after,
        answered_at: answered.map(UtcMillis::new),
        reader: row.get("reader")?,
    })
}

/// Of which tenants and sites.
struct Places {
    sql: String,
    values: Vec<Value>,
}

impl Places {
    fn new(tenants: &[TenantId], sites: &[SiteId], table: &str) -> Self {
        let mut places = Self {
            sql: "1".to_owned(),
            values: Vec::new(),
        };
        let site = if table == "s" { "name" } else { "site" };
        let tenants = tenants.iter().map(TenantId::to_string).collect();
        places.among(&format!("{table}.tenant"), tenants);
        let sites = sites.iter().map(SiteId::to_string).collect();
        places.among(&format!("{table}.tenant || '/' || {table}.{site}"), sites);
        places
    }

    fn among(&mut self, what: &str, values: Vec<String>) {
        if values.is_empty() {
            return;
        }
        let marks = vec!["?"; values.len()].join(", ");
        self.sql.push_str(&format!(" AND {what} IN ({marks})"));
        self.values.extend(values.into_iter().map(Value::from));
    }

    fn and(&mut self, sql: &str, value: &str) {
        self.sql.push_str(&format!(" AND {sql}"));
        self.values.push(Value::from(value.to_owned()));
    }
}

/// About the bytes of a row: keys, names and times.
const ROW_BYTES: usize = 400;

fn page<T>(
    db: &Connection,
    sql: &str,
    filter: Places,
    room: Room,
    mut read: impl FnMut(&Row<'_>) -> Result<T, DbError>,
) -> Result<Page<T>, DbError> {
    let mut query = db.prepare(sql)?;
    let mut rows = query.query(params_from_iter(filter.values))?;
    fill(&mut rows, room, |row| {
        Ok(Placed {
            row: read(row)?,
            bytes: ROW_BYTES,
            cursor: row.get("cursor")?,
        })
    })
}

fn cursor(text: &str) -> Result<i64, DbError> {
    match text {
        "" => Ok(0),
        cursor => cursor.parse().map_err(|_| bad_cursor(cursor)),
    }
}
