//! Pages of how the discoveries of a job went: one row per site that has told.

use rusqlite::{Connection, params};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{Page, ReadSearches, SiteSearched};
use tvtfleet_proto::model::discovery::Searched;
use tvtfleet_proto::wire::v1;

use super::columns::site_id;
use super::error::DbError;
use super::job_rows;
use super::pack::unpack;
use super::paging::{Placed, Room, bad_cursor, fill};

/// Reads a page, by the names of the sites.
pub(crate) fn page(db: &Connection, request: &ReadSearches) -> Result<Page<SiteSearched>, DbError> {
    let Some((job, _)) = job_rows::find(db, request.job)? else {
        let message = format!("there is no job {}", request.job);
        return Err(DbError::refused(
            ErrorCode::JobUnknown,
            message,
            "see `tvtctl jobs`",
        ));
    };
    let after: i64 = match request.cursor.as_str() {
        "" => -1,
        cursor => cursor.parse().map_err(|_| bad_cursor(cursor))?,
    };
    let room = Room::new(request.limit);
    let mut query = db.prepare_cached(
        "SELECT r.ordinal, r.body, s.tenant, s.name FROM searches r
         JOIN job_sites j ON j.job = r.job AND j.ordinal = r.ordinal
         JOIN sites s ON s.id = j.site
         WHERE r.job = ?1 AND r.ordinal > ?2 ORDER BY r.ordinal LIMIT ?3",
    )?;
    let mut rows = query.query(params![job, after, room.asked()])?;
    fill(&mut rows, room, |row| {
        let body: Vec<u8> = row.get("body")?;
        let (tenant, name): (String, String) = (row.get("tenant")?, row.get("name")?);
        let wire: v1::Searched = unpack("discovery", &body)?;
        let bytes = prost::Message::encoded_len(&wire);
        let searched =
            Searched::try_from(wire).map_err(|error| DbError::damaged("discovery", error))?;
        Ok(Placed {
            row: SiteSearched {
                site: site_id(&tenant, &name)?,
                searched,
            },
            bytes,
            cursor: row.get::<_, i64>("ordinal")?.to_string(),
        })
    })
}
