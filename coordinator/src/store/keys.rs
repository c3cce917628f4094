//! Whom the fleet believes: the authority's words, used tickets, and the keys of agents.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, params};

use tvtfleet_proto::model::id::{ImportId, JobId, SiteId};
use tvtfleet_proto::model::time::UtcMillis;

use super::columns::{moment, signed, unsigned};
use super::error::DbError;
use super::{sites, wants};

/// The longest text that an agent may say of itself, in characters.
const FACT_MAX: usize = 200;

/// An agent that enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentKey {
    /// The site that it enrolled for.
    pub(crate) site: SiteId,
    /// Its user key.
    pub(crate) user_key: String,
    /// Its sealing key.
    pub(crate) curve_key: String,
    /// The name of its box.
    pub(crate) hostname: String,
    /// When it enrolled, or named these keys.
    pub(crate) enrolled_at: UtcMillis,
    /// Whether it has named these keys but not used them: those before them count.
    pub(crate) pending: bool,
    /// The newest wish for new keys that these meet, as a revision of the authority's words.
    pub(crate) rotation: u64,
}

/// Reads the newest words of the authority.
pub(crate) fn roster(db: &Connection) -> Result<Option<String>, DbError> {
    let mut query = db.prepare("SELECT document FROM roster WHERE id = 1")?;
    Ok(query.query_row([], |row| row.get(0)).optional()?)
}

/// Stores words of the authority, where they are newer; every site is then told whose orders count.
pub(crate) fn save_roster(db: &Connection, revision: u64, document: &str) -> Result<(), DbError> {
    let changed = db.execute(
        "INSERT INTO roster (id, revision, document) VALUES (1, ?1, ?2)
         ON CONFLICT (id) DO UPDATE SET revision = ?1, document = ?2 WHERE revision < ?1",
        params![signed(revision), document],
    )?;
    if changed > 0 {
        wants::advance_all(db)?;
    }
    Ok(())
}

/// Lets an agent in with a ticket; `false` where the ticket was used already. The same agent may use
/// it again, because an answer can be lost.
pub(crate) fn enrol(db: &Connection, ticket: &str, agent: &AgentKey) -> Result<bool, DbError> {
    let used: Option<String> = db
        .prepare("SELECT user_key FROM tickets WHERE id = ?1")?
        .query_row([ticket], |row| row.get(0))
        .optional()?;
    if let Some(user_key) = used {
        return Ok(user_key == agent.user_key);
    }
    sites::ensure(db, &agent.site, agent.enrolled_at)?;
    let (tenant, site) = (agent.site.tenant.as_str(), agent.site.site.as_str());
    let at = agent.enrolled_at.millis();
    db.execute(
        "INSERT INTO tickets (id, tenant, site, used_at, user_key) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![ticket, tenant, site, at, agent.user_key],
    )?;
    let hostname: String = agent.hostname.chars().take(FACT_MAX).collect();
    let added = db.execute(
        "INSERT OR IGNORE INTO agent_keys
             (user_key, tenant, site, curve_key, hostname, enrolled_at, renewed_at, rotation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",
        params![
            agent.user_key,
            tenant,
            site,
            agent.curve_key,
            hostname,
            at,
            signed(agent.rotation)
        ],
    )?;
    // A key that is somebody's already is nobody else's.
    Ok(added == 1)
}

/// Stores the keys that an agent will go on with, in place of others that it named and never used.
/// `false` where the user key is known already, as somebody's or as an earlier one.
pub(crate) fn succeed(db: &Connection, agent: &AgentKey) -> Result<bool, DbError> {
    let (tenant, site) = (agent.site.tenant.as_str(), agent.site.site.as_str());
    db.execute(
        "DELETE FROM agent_keys WHERE tenant = ?1 AND site = ?2 AND pending = 1",
        params![tenant, site],
    )?;
    let added = db.execute(
        "INSERT OR IGNORE INTO agent_keys
             (user_key, tenant, site, curve_key, hostname, enrolled_at, renewed_at, pending, rotation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 1, ?7)",
        params![
            agent.user_key,
            tenant,
            site,
            agent.curve_key,
            agent.hostname,
            agent.enrolled_at.millis(),
            signed(agent.rotation),
        ],
    )?;
    Ok(added == 1)
}

/// Lets keys count that an agent has named, now that it has used them. Returns whether they did not
/// count before.
pub(crate) fn take_over(db: &Connection, user_key: &str) -> Result<bool, DbError> {
    let changed = db.execute(
        "UPDATE agent_keys SET pending = 0 WHERE user_key = ?1 AND pending = 1",
        [user_key],
    )?;
    Ok(changed == 1)
}

/// The agent that counts for a site: the one that enrolled last.
pub(crate) fn agent(db: &Connection, site: &SiteId) -> Result<Option<AgentKey>, DbError> {
    let mut agents = agents(db, site)?.into_iter();
    Ok(agents.rfind(|agent| !agent.pending))
}

/// Every agent that enrolled for a site, in order.
pub(crate) fn agents(db: &Connection, site: &SiteId) -> Result<Vec<AgentKey>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT user_key, curve_key, hostname, enrolled_at, pending, rotation FROM agent_keys
         WHERE tenant = ?1 AND site = ?2 ORDER BY enrolled_at, user_key",
    )?;
    let rows = query.query_map(params![site.tenant.as_str(), site.site.as_str()], |row| {
        Ok(AgentKey {
            site: site.clone(),
            user_key: row.get(0)?,
            curve_key: row.get(1)?,
            hostname: row.get(2)?,
            enrolled_at: moment(row, "enrolled_at")?,
            pending: row.get("pending")?,
            rotation: unsigned(row.get("rotation")?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The sites whose agent got its last token before `before`, with when that was; the oldest first.
pub(crate) fn stale_tokens(
    db: &Connection,
    before: UtcMillis,
    limit: usize,
) -> Result<Vec<(String, UtcMillis)>, DbError> {
    // Only the agent that counts for its site.
    let mut query = db.prepare_cached(
        "SELECT tenant || '/' || site AS name, renewed_at FROM agent_keys k
         WHERE renewed_at < ?1 AND k.pending = 0 AND NOT EXISTS (
             SELECT 1 FROM agent_keys n WHERE n.tenant = k.tenant AND n.site = k.site
             AND n.pending = 0 AND (n.enrolled_at, n.user_key) > (k.enrolled_at, k.user_key))
         ORDER BY renewed_at, name LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query.query_map(params![before.millis(), limit], |row| {
        Ok((row.get(0)?, moment(row, "renewed_at")?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes that an agent got a new token.
pub(crate) fn renewed(db: &Connection, user_key: &str, now: UtcMillis) -> Result<(), DbError> {
    db.execute(
        "UPDATE agent_keys SET renewed_at = ?2 WHERE user_key = ?1",
        params![user_key, now.millis()],
    )?;
    Ok(())
}

/// The tenants that a job is about.
pub(crate) fn tenants_of_job(db: &Connection, job: JobId) -> Result<BTreeSet<String>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT DISTINCT s.tenant FROM jobs j JOIN job_sites t ON t.job = j.id
         JOIN sites s ON s.id = t.site WHERE j.uuid = ?1",
    )?;
    let rows = query.query_map([job.uuid().as_bytes()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The tenants of the devices that an import named.
pub(crate) fn tenants_of_import(
    db: &Connection,
    import: ImportId,
) -> Result<BTreeSet<String>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT DISTINCT s.tenant FROM imports i JOIN devices d ON d.id = i.device
         JOIN sites s ON s.id = d.site WHERE i.import = ?1",
    )?;
    let rows = query.query_map([import.uuid().as_bytes()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn only_the_agent_that_counts_can_be_late() {
        let mut db = Connection::open_in_memory().unwrap();
        schema::prepare(&mut db, true).unwrap();
        let agent = |site: &str, key: &str, at| AgentKey {
            site: site.parse().unwrap(),
            user_key: key.to_owned(),
            curve_key: String::new(),
            hostname: String::new(),
            enrolled_at: UtcMillis::new(at),
            pending: false,
            rotation: 0,
        };
        for (ticket, agent) in [
            ("1", agent("a/x", "U1", 10)),
            ("2", agent("a/x", "U2", 20)),
            ("3", agent("a/y", "U3", 15)),
            ("4", agent("b/x", "U4", 5)),
        ] {
            assert!(enrol(&db, ticket, &agent).unwrap());
        }
        let late = |before, limit| -> Vec<(String, i64)> {
            let late = stale_tokens(&db, UtcMillis::new(before), limit).unwrap();
            let late = late.into_iter().map(|(site, at)| (site, at.millis()));
            late.collect()
        };
        let named = |site: &str, at| (site.to_owned(), at);
        assert_eq!(late(20, 9), [named("b/x", 5), named("a/y", 15)]);
        assert_eq!(late(100, 2), [named("b/x", 5), named("a/y", 15)]);
        renewed(&db, "U4", UtcMillis::new(300)).unwrap();
        assert_eq!(late(100, 9), [named("a/y", 15), named("a/x", 20)]);
    }

    #[test]
    fn new_keys_count_once_they_were_used() {
        let mut db = Connection::open_in_memory().unwrap();
        schema::prepare(&mut db, true).unwrap();
        let site: SiteId = "a/x".parse().unwrap();
        let key = |name: &str, at, rotation| AgentKey {
            site: site.clone(),
            user_key: name.to_owned(),
            curve_key: format!("X{name}"),
            hostname: "box".to_owned(),
            enrolled_at: UtcMillis::new(at),
            pending: rotation > 0,
            rotation,
        };
        let counts = |db: &Connection| agent(db, &site).unwrap().unwrap().user_key;
        assert!(enrol(&db, "1", &key("U1", 10, 0)).unwrap());
        assert!(succeed(&db, &key("U2", 20, 7)).unwrap());
        assert_eq!(counts(&db), "U1", "not used yet");
        assert!(succeed(&db, &key("U3", 30, 7)).unwrap(), "made anew");
        assert_eq!(agents(&db, &site).unwrap().len(), 2);
        assert!(!succeed(&db, &key("U1", 30, 7)).unwrap(), "its own old key");
        assert!(!take_over(&db, "U2").unwrap(), "forgotten");
        assert!(succeed(&db, &key("U3", 30, 7)).unwrap());
        assert_eq!(stale_tokens(&db, UtcMillis::new(100), 9).unwrap().len(), 1);
        assert!(take_over(&db, "U3").unwrap());
        assert!(!take_over(&db, "U3").unwrap(), "it counts already");
        assert_eq!(counts(&db), "U3");
        assert_eq!(agent(&db, &site).unwrap().unwrap().rotation, 7);
    }
}
