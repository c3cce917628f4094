//! Lists of any length, a page at a time: so many rows and so many bytes, and where the next begins.

use rusqlite::{Row, Rows};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{PAGE_BYTES, PAGE_MAX, Page};

use super::error::DbError;

/// How much more fits into a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    rows: u32,
    bytes: usize,
}

impl Room {
    /// An empty page of at most so many rows; 0 is [`PAGE_MAX`], which no page exceeds.
    pub(crate) fn new(limit: u32) -> Self {
        let rows = match limit {
            0 => PAGE_MAX,
            limit => limit.min(PAGE_MAX),
        };
        Self {
            rows,
            bytes: PAGE_BYTES,
        }
    }

    /// How many rows to ask the database for: one that does not fit tells that there is a next page.
    pub(super) fn asked(self) -> u32 {
        self.rows.saturating_add(1)
    }

    /// Whether nothing more fits.
    pub(crate) fn is_full(self) -> bool {
        self.rows == 0 || self.bytes == 0
    }

    /// Takes the room of a row. The last one may be larger than what was left.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.rows = self.rows.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// A row of a page.
#[derive(Debug)]
pub(super) struct Placed<T> {
    /// The row.
    pub(super) row: T,
    /// About how many bytes it takes in the answer.
    pub(super) bytes: usize,
    /// What the next page begins behind, if this row is the last one.
    pub(super) cursor: String,
}

/// Reads rows into a page until it is full.
pub(super) fn fill<T>(
    rows: &mut Rows<'_>,
    mut room: Room,
    mut read: impl FnMut(&Row<'_>) -> Result<Placed<T>, DbError>,
) -> Result<Page<T>, DbError> {
    let mut page = Page {
        rows: Vec::new(),
        next: None,
    };
    let mut last = String::new();
    while let Some(row) = rows.next()? {
        if room.is_full() {
            page.next = Some(last);
            break;
        }
        let placed = read(row)?;
        room.take(placed.bytes);
        last = placed.cursor;
        page.rows.push(placed.row);
    }
    Ok(page)
}

/// The refusal of a cursor that this program did not write.
pub(super) fn bad_cursor(cursor: &str) -> DbError {
    let shown: String = cursor.chars().take(80).collect();
    DbError::refused(
        ErrorCode::UsageInvalid,
        format!("{shown:?} is no cursor"),
        "begin again at the first page",
    )
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn pages(limit: u32, each: usize) -> Vec<usize> {
        let db = Connection::open_in_memory().unwrap();
        let (mut behind, mut sizes) = (0_i64, Vec::new());
        loop {
            let room = Room::new(limit);
            let mut query = db
                .prepare(
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
                     SELECT i FROM n WHERE i > ?1 LIMIT ?2",
                )
                .unwrap();
            let mut rows = query.query([behind, i64::from(room.asked())]).unwrap();
            let page = fill(&mut rows, room, |row| {
                let number: i64 = row.get(0)?;
                Ok(Placed {
                    row: number,
                    bytes: each,
                    cursor: number.to_string(),
                })
            })
            .unwrap();
            assert_eq!(
                page.rows.first(),
                Some(&(behind + 1)),
                "no row twice, none left out"
            );
            sizes.push(page.rows.len());
            match page.next {
                Some(next) => behind = next.parse().unwrap(),
                None => return sizes,
            }
        }
    }

    #[test]
    fn pages_hold_so_many_rows() {
        assert_eq!(pages(0, 1), [1000, 1000, 500]);
        assert_eq!(pages(5000, 1), [1000, 1000, 500]);
        assert_eq!(pages(1250, 0), [1000, 1000, 500]);
        assert_eq!(pages(500, 1), [500; 5]);
    }

    #[test]
    fn pages_hold_so_many_bytes() {
        assert_eq!(pages(0, PAGE_BYTES / 700), [701, 701, 701, 397]);
        assert_eq!(pages(2, PAGE_BYTES * 2).len(), 2500);
    }

    #[test]
    fn a_strange_cursor_is_refused_and_shown_in_part() {
        let error = bad_cursor(&"x".repeat(500));
        assert_eq!(error.code(), ErrorCode::UsageInvalid);
        assert!(error.to_string().len() < 120, "{error}");
    }
}
