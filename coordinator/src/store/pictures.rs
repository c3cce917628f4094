//! Pictures: what reports say of them, which files there are, and what is too old.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension, Row, params};

use tvtfleet_proto::device::picture::{Flag, Look, Seen};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::answer::{Answer, PictureTaken};
use tvtfleet_proto::model::api::Page;
use tvtfleet_proto::model::id::{JobId, SiteId, TenantId};
use tvtfleet_proto::model::picture::{ListPictures, PictureDigest, PictureView};
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::wire::v1;

use crate::jobs::select::{Filter, Value};

use super::columns::{DeviceRow, job_id, signed, site_id, unsigned};
use super::device_rows::Place;
use super::devices::find_one;
use super::error::DbError;
use super::paging::{Placed, Room, bad_cursor, fill};

/// The longest text of a picture that is kept, in characters: names and words of devices.
const TEXT_MAX: usize = 200;
/// The longest look that is kept, in bytes.
const LOOK_MAX: usize = 4096;
/// The most pictures of one report that are kept.
const ROWS_MAX: usize = 1024;

/// Notes the pictures of a report, with the doubts that earlier pictures cast on them. What makes no
/// sense is left out: it stays in the report.
pub(super) fn note(
    db: &Connection,
    place: &Place,
    device: DeviceRow,
    (job, number): (JobId, u32),
    pictures: &[PictureTaken],
    now: UtcMillis,
) -> Result<(), DbError> {
    for picture in pictures.iter().take(ROWS_MAX) {
        let digest = picture.sha256.as_deref().and_then(|text| text.parse().ok());
        let (Some(PictureDigest(digest)), Some(channel)) = (digest, picture.channel) else {
            continue;
        };
        let taken_at = UtcMillis::new(picture.taken_at_ms.unwrap_or(now.millis())).min(now);
        let look = picture.look.as_deref().unwrap_or_default();
        let seen = Seen {
            sha256: digest,
            taken_at,
            look: Look::from_text(look),
        };
        let flags = flags(db, place, device, channel, &seen, picture)?;
        let text = |text: &Option<String>| -> String {
            let text = text.as_deref().unwrap_or_default();
            text.chars().take(TEXT_MAX).collect()
        };
        db.prepare_cached(
            "INSERT OR IGNORE INTO pictures (job, site, number, channel, device, taken_at, name, way,
               stream, format, width, height, bytes, sha256, flags, look)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            job.uuid().as_bytes(),
            place.row,
            number,
            channel,
            device,
            taken_at.millis(),
            text(&picture.name),
            text(&picture.way),
            text(&picture.stream),
            text(&picture.format),
            picture.width.unwrap_or(0),
            picture.height.unwrap_or(0),
            signed(picture.bytes.unwrap_or(0)),
            digest,
            flags.join(","),
            if look.len() <= LOOK_MAX { look } else { "" },
        ])?;
    }
    Ok(())
}

/// The pictures of a report; none where it asked for something else.
pub(super) fn of_report(report: &DeviceReport) -> Vec<PictureTaken> {
    match &report.answer {
        Some(Answer::Pictures(pictures)) => pictures.clone(),
        Some(_) | None => Vec::new(),
    }
}

fn flags(
    db: &Connection,
    place: &Place,
    device: DeviceRow,
    channel: u32,
    seen: &Seen,
    picture: &PictureTaken,
) -> Result<Vec<String>, DbError> {
    let last = db
        .prepare_cached(
            "SELECT sha256, taken_at, look FROM pictures
             WHERE device = ?1 AND channel = ?2 AND taken_at < ?3
             ORDER BY taken_at DESC, id DESC LIMIT 1",
        )?
        .query_row(params![device, channel, seen.taken_at.millis()], |row| {
            Ok(Seen {
                sha256: row.get(0)?,
                taken_at: UtcMillis::new(row.get(1)?),
                look: Look::from_text(&row.get::<_, String>(2)?),
            })
        })
        .optional()?;
    let mut flags = seen.flags(last.as_ref());
    let elsewhere: bool = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM pictures
               WHERE sha256 = ?1 AND site = ?2 AND (device <> ?3 OR channel <> ?4))",
        )?
        .query_row(params![seen.sha256, place.row, device, channel], |row| {
            row.get(0)
        })?;
    flags.extend(elsewhere.then_some(Flag::MaybeSwapped));
    // What only the site can know; what it says beyond that is not a flag.
    let told = [Flag::Degraded, Flag::Raw];
    let told = told.into_iter().filter(|flag| {
        let name = flag.as_str();
        picture.flags.iter().any(|said| said == name)
    });
    flags.extend(told);
    Ok(flags.iter().map(ToString::to_string).collect())
}

/// Lists pictures, the newest first.
pub(crate) fn list(db: &Connection, request: &ListPictures) -> Result<Page<PictureView>, DbError> {
    let room = Room::new(request.limit);
    let mut filter = Filter::default();
    filter.tenants(&request.tenants);
    filter.sites(&request.sites);
    if !request.device.is_empty() {
        let device = find_one(db, request.device.trim())?;
        filter.also("p.device = ?", [Value::Number(device.0)]);
    }
    if let Some(job) = request.job {
        filter.also("p.job = ?", [Value::Bytes(job.uuid().as_bytes().to_vec())]);
    }
    if request.newest {
        filter.also(
            "NOT EXISTS (SELECT 1 FROM pictures n WHERE n.device = p.device
               AND n.channel = p.channel AND (n.taken_at, n.id) > (p.taken_at, p.id))",
            [],
        );
    }
    if !request.cursor.is_empty() {
        let id = request.cursor.parse();
        let id = id.map_err(|_| bad_cursor(&request.cursor))?;
        filter.also("p.id < ?", [Value::Number(id)]);
    }
    let sql = format!(
        "{SELECT} WHERE {} ORDER BY p.id DESC LIMIT {}",
        filter.condition(),
        room.asked()
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(rusqlite::params_from_iter(filter.values()))?;
    fill(&mut rows, room, |row| {
        let view = read(row)?;
        Ok(Placed {
            bytes: v1::PictureView::from(view.clone()).encoded_len(),
            cursor: view.id.to_string(),
            row: view,
        })
    })
}

const SELECT: &str = "SELECT p.*, s.tenant AS tenant, s.name AS site_name, d.name AS device_name,
    d.hostname, d.address,
    EXISTS (SELECT 1 FROM picture_files f WHERE f.tenant = s.tenant AND f.sha256 = p.sha256) AS stored
  FROM pictures p JOIN sites s ON s.id = p.site JOIN devices d ON d.id = p.device";

fn read(row: &Row<'_>) -> Result<PictureView, DbError> {
    let (tenant, site): (String, String) = (row.get("tenant")?, row.get("site_name")?);
    let job: Vec<u8> = row.get("job")?;
    let flags: String = row.get("flags")?;
    let stored: bool = row.get("stored")?;
    let told = |column: &str| -> Result<Option<String>, rusqlite::Error> {
        let text: String = row.get(column)?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    };
    Ok(PictureView {
        id: unsigned(row.get("id")?),
        site: site_id(&tenant, &site)?,
        device_id: row.get("device_name")?,
        address: row.get::<_, Option<String>>("address")?.unwrap_or_default(),
        hostname: row.get("hostname")?,
        job: Some(job_id(&job)?),
        picture: PictureTaken {
            channel: Some(row.get("channel")?),
            name: told("name")?,
            state: Some("taken".to_owned()),
            taken_at_ms: Some(row.get("taken_at")?),
            way: told("way")?,
            stream: told("stream")?,
            format: told("format")?,
            width: Some(row.get("width")?),
            height: Some(row.get("height")?),
            bytes: Some(unsigned(row.get("bytes")?)),
            sha256: Some(PictureDigest(row.get("sha256")?).to_string()),
            flags: flags
                .split(',')
                // The same bytes may have come with another picture.
                .filter(|flag| !(flag.is_empty() || stored && *flag == Flag::Dropped.as_str()))
                .map(ToOwned::to_owned)
                .collect(),
            look: told("look")?,
            error_code: None,
            error: None,
        },
        stored,
    })
}

/// A picture, with its digest, by its number.
pub(crate) fn find(db: &Connection, id: u64) -> Result<(SiteId, PictureDigest), DbError> {
    let sql = format!("{SELECT} WHERE p.id = ?1");
    let found = db
        .prepare_cached(&sql)?
        .query_row([signed(id)], |row| {
            let site: (String, String) = (row.get("tenant")?, row.get("site_name")?);
            Ok((site, PictureDigest(row.get("sha256")?)))
        })
        .optional()?;
    let Some(((tenant, site), digest)) = found else {
        let message = format!("there is no picture {id}");
        return Err(DbError::refused(ErrorCode::PictureUnknown, message, ""));
    };
    Ok((site_id(&tenant, &site)?, digest))
}

/// Which of these pictures are stored.
pub(crate) fn stored(
    db: &Connection,
    tenant: &TenantId,
    digests: &[PictureDigest],
) -> Result<Vec<bool>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM picture_files WHERE tenant = ?1 AND sha256 = ?2)",
    )?;
    let mut known = Vec::with_capacity(digests.len());
    for digest in digests {
        known.push(query.query_row(params![tenant.to_string(), digest.0], |row| row.get(0))?);
    }
    Ok(known)
}

/// Notes that a site will not send these pictures.
pub(crate) fn drop_out(
    db: &Connection,
    site: &SiteId,
    digests: &[PictureDigest],
) -> Result<(), DbError> {
    let mut update = db.prepare_cached(
        "UPDATE pictures SET flags = CASE flags WHEN '' THEN ?3 ELSE flags || ',' || ?3 END
         WHERE sha256 = ?4 AND instr(',' || flags || ',', ',' || ?3 || ',') = 0
           AND site IN (SELECT id FROM sites WHERE tenant = ?1 AND name = ?2)",
    )?;
    let flag = Flag::Dropped.as_str();
    for digest in digests {
        update.execute(params![
            site.tenant.to_string(),
            site.site.to_string(),
            flag,
            digest.0
        ])?;
    }
    Ok(())
}

/// Notes that a file is in its place.
pub(crate) fn keep(
    db: &Connection,
    tenant: &TenantId,
    digest: PictureDigest,
    bytes: u64,
    now: UtcMillis,
) -> Result<(), DbError> {
    db.prepare_cached("INSERT OR REPLACE INTO picture_files VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            tenant.to_string(),
            digest.0,
            signed(bytes),
            now.millis()
        ])?;
    Ok(())
}

/// How long and how many pictures are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PictureBounds {
    /// Pictures taken before go.
    pub(crate) before: Option<UtcMillis>,
    /// The most of one channel.
    pub(crate) per_channel: Option<u32>,
    /// The most bytes of all files.
    pub(crate) bytes: Option<u64>,
}

/// Takes out pictures beyond the bounds, at most `portion` of each kind. Returns how many.
pub(crate) fn forget(
    db: &Connection,
    bounds: &PictureBounds,
    portion: u32,
) -> Result<usize, DbError> {
    let mut gone = 0_usize;
    if let Some(before) = bounds.before {
        gone = gone.saturating_add(
            db.prepare_cached(
                "DELETE FROM pictures WHERE id IN
                   (SELECT id FROM pictures WHERE taken_at < ?1 ORDER BY taken_at LIMIT ?2)",
            )?
            .execute(params![before.millis(), portion])?,
        );
    }
    if let Some(most) = bounds.per_channel {
        gone = gone.saturating_add(
            db.prepare_cached(
                "DELETE FROM pictures WHERE id IN
                   (SELECT id FROM (SELECT id, row_number() OVER
                      (PARTITION BY device, channel ORDER BY taken_at DESC, id DESC) AS place
                      FROM pictures) WHERE place > ?1 LIMIT ?2)",
            )?
            .execute(params![most, portion])?,
        );
    }
    if let Some(most) = bounds.bytes {
        gone = gone.saturating_add(shrink(db, signed(most), portion)?);
    }
    Ok(gone)
}

/// Takes out the oldest pictures until the files of the rest fit.
fn shrink(db: &Connection, most: i64, portion: u32) -> Result<usize, DbError> {
    // What no picture refers to goes with the next sweep and does not count.
    let held: i64 = db.query_row(
        "SELECT coalesce(sum(bytes), 0) FROM picture_files f WHERE EXISTS
           (SELECT 1 FROM pictures p JOIN sites s ON s.id = p.site
            WHERE p.sha256 = f.sha256 AND s.tenant = f.tenant)",
        [],
        |row| row.get(0),
    )?;
    let mut over = held.saturating_sub(most);
    if over <= 0 {
        return Ok(0);
    }
    let mut oldest = db.prepare_cached(
        "SELECT p.id, p.bytes FROM pictures p JOIN sites s ON s.id = p.site
         JOIN picture_files f ON f.tenant = s.tenant AND f.sha256 = p.sha256
         ORDER BY p.taken_at, p.id LIMIT ?1",
    )?;
    let rows = oldest.query_map([portion], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
    let mut gone = 0_usize;
    for (id, bytes) in rows {
        if over <= 0 {
            break;
        }
        over = over.saturating_sub(bytes);
        gone = gone.saturating_add(
            db.prepare_cached("DELETE FROM pictures WHERE id = ?1")?
                .execute([id])?,
        );
    }
    Ok(gone)
}

/// Files that no picture refers to and that were stored before: younger ones may still be announced.
pub(crate) fn unneeded(
    db: &Connection,
    before: UtcMillis,
    portion: u32,
) -> Result<Vec<(TenantId, PictureDigest)>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT f.tenant, f.sha256 FROM picture_files f WHERE f.stored_at < ?1 AND NOT EXISTS
           (SELECT 1 FROM pictures p JOIN sites s ON s.id = p.site
            WHERE p.sha256 = f.sha256 AND s.tenant = f.tenant)
         ORDER BY f.stored_at LIMIT ?2",
    )?;
    let mut rows = query.query(params![before.millis(), portion])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let tenant: String = row.get(0)?;
        let tenant = tenant.parse();
        let tenant = tenant.map_err(|error| DbError::damaged("tenant of a picture", error))?;
        found.push((tenant, PictureDigest(row.get(1)?)));
    }
    Ok(found)
}

/// Forgets files that have been deleted.
pub(crate) fn lose(db: &Connection, files: &[(TenantId, PictureDigest)]) -> Result<(), DbError> {
    let mut delete =
        db.prepare_cached("DELETE FROM picture_files WHERE tenant = ?1 AND sha256 = ?2")?;
    for (tenant, digest) in files {
        delete.execute(params![tenant.to_string(), digest.0])?;
    }
    Ok(())
}
