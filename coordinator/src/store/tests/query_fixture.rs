//! A small fleet in a database file, for questions in SQL.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::channel::ChannelStatus;
use tvtfleet_proto::model::job::Selector;
use tvtfleet_proto::model::report::{Attempt, DeviceReport};

use super::fixture::*;
use crate::store::{inventory, schema};

/// The folder goes with it.
pub(crate) struct Fleet {
    pub(crate) path: PathBuf,
    _folder: tempfile::TempDir,
}

/// Three devices: one with a camera that went offline, one that went away, one never reported.
pub(crate) fn fleet() -> Fleet {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("coordinator.db");
    let mut db = Connection::open(&path).unwrap();
    schema::prepare(&mut db, true).unwrap();
    hosts(&db, &depot(), 3);
    let jobs = [submit(&db, 1, Selector::All), submit(&db, 2, Selector::All)];
    let tried = |mut report: DeviceReport, seconds| {
        report.observed_at = at(seconds);
        report.attempts = vec![Attempt {
            backend: Backend::Protocol,
            started_at: at(seconds),
            duration: Duration::from_millis(20),
            code: report.failure.as_ref().map(|failure| failure.code),
        }];
        item(report)
    };
    let mut offline = report(jobs[1], 0, "A");
    offline.channels[1].status = ChannelStatus::Offline;
    let mut written = 0;
    for (number, items) in [
        vec![
            tried(report(jobs[0], 0, "A"), 10),
            tried(report(jobs[0], 1, "B"), 11),
        ],
        vec![tried(offline, 12), tried(failed(jobs[1], 1), 13)],
    ]
    .into_iter()
    .enumerate()
    {
        let number = u64::try_from(number).unwrap() + 1;
        let applied = apply_all(&db, vec![message(number, &depot(), 1, number, items)]);
        assert_eq!(applied.reports, 2);
        // The table of channels is written behind the reports.
        assert!(inventory::pending(&db).unwrap() > 0);
        while inventory::refresh(&db, 1).unwrap() > 0 {
            written += 1;
        }
    }
    assert_eq!((written, inventory::pending(&db).unwrap()), (3, 0));
    Fleet {
        path,
        _folder: folder,
    }
}
