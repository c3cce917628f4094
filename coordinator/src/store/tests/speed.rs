//! How fast reports are applied, and how long questions take meanwhile.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tvtfleet_proto::model::api::{ListDevices, ListSites, ReadResults};
use tvtfleet_proto::model::channel::ChannelStatus;
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::job::Selector;

use super::fixture::*;
use crate::store::{Incoming, Store, apply, inventory, job, site};

const SITES: u32 = 1000;
const DEVICES: u32 = 20;
const CHANNELS: i64 = 32;
/// Reports of one message, and messages of one transaction.
const PER_MESSAGE: u32 = 20;
const PER_TRANSACTION: usize = 32;

fn site_of(number: u32) -> SiteId {
    format!("acme/site-{number:05}").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs optimised code: cargo test --release -p tvt-coordinator speed -- --ignored --nocapture"]
async fn ten_thousand_reports_a_second_are_applied() {
    let folder = tempfile::tempdir().unwrap();
    let (store, closed) = Store::open(folder.path()).unwrap();
    store
        .write("set up", |db| {
            for number in 0..SITES {
                let entries =
                    (1..=DEVICES).map(|n| (site_of(number), entry(&format!("10.0.0.{n}"))));
                import(db, number.into(), entries.collect());
                hello(db, &site_of(number), 1, 1, false);
            }
            Ok(())
        })
        .await
        .unwrap();
    for (round, name) in [(1_u32, "first"), (2, "unchanged"), (3, "changed")] {
        let id = store
            .write("submit", move |db| {
                job::submit(db, &submission(round.into(), Selector::All))
            })
            .await
            .unwrap();
        let mut messages: Vec<Incoming> = Vec::new();
        for number in 0..SITES {
            for (index, first) in (0..DEVICES)
                .step_by(usize::try_from(PER_MESSAGE).unwrap())
                .enumerate()
            {
                let items = (first..first + PER_MESSAGE).map(|target| {
                    let mut report = report(id, target, &format!("SN-{number}-{target}"));
                    report.observed_at = at(i64::from(round));
                    report.channels = (1..=CHANNELS)
                        .map(|n| channel(n, &format!("Camera {number} {n}")))
                        .collect();
                    if round == 3 {
                        report.channels[0].status = ChannelStatus::Offline;
                    }
                    item(report)
                });
                let sequence = u64::try_from(index).unwrap()
                    + u64::from(round - 1) * u64::from(DEVICES / PER_MESSAGE)
                    + 1;
                let position = u64::try_from(messages.len()).unwrap() + 1;
                messages.push(message(
                    position,
                    &site_of(number),
                    1,
                    sequence,
                    items.collect(),
                ));
            }
        }
        let total = SITES * DEVICES;
        let started = Instant::now();
        let asker = store.clone();
        let (done, asking) = tokio::sync::watch::channel(false);
        let questions = tokio::spawn(async move {
            let mut worst = Duration::ZERO;
            while !*asking.borrow() {
                let asked = Instant::now();
                let text = ListDevices {
                    text: "site".into(),
                    limit: 100,
                    ..Default::default()
                };
                asker
                    .read("ask", move |db| inventory::list(db, &text))
                    .await
                    .unwrap();
                let between = Instant::now();
                asker
                    .read("ask", |db| site::list(db, &ListSites::default()))
                    .await
                    .unwrap();
                worst = worst.max(between - asked).max(between.elapsed());
                // As many as a few dozen operators would ask.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            worst
        });
        while !messages.is_empty() {
            let rest = messages.split_off(messages.len().min(PER_TRANSACTION));
            let portion = std::mem::replace(&mut messages, rest);
            store
                .write("apply", move |db| apply(db, portion, at(30)))
                .await
                .unwrap();
        }
        let rate = f64::from(total) / started.elapsed().as_secs_f64();
        done.send(true).unwrap();
        let worst = questions.await.unwrap();
        let size = std::fs::metadata(folder.path().join("coordinator.db"))
            .unwrap()
            .len();
        println!(
            "{name}: {rate:.0} reports/s, slowest question {worst:?}, database {} MB",
            size >> 20
        );
        assert!(rate >= 10_000.0, "{name}: {rate:.0} reports/s");
        assert!(worst < Duration::from_millis(50), "{name}: {worst:?}");
    }
    drop(store);
    closed.wait().await;
}

/// 10,000 sites with 100,000 devices: no answer may take a noticeable time.
#[test]
#[ignore = "builds a large database: cargo test --release -p tvt-coordinator speed -- --ignored --nocapture"]
fn questions_stay_quick_at_full_size() {
    let db = database();
    db.execute_batch("BEGIN").unwrap();
    for number in 0..10_000 {
        let entries = (1..=10).map(|n| (site_of(number), entry(&format!("10.0.0.{n}"))));
        import(&db, number.into(), entries.collect());
    }
    let timed = |what: &str, limit: u64, work: &mut dyn FnMut()| {
        let started = Instant::now();
        work();
        let took = started.elapsed();
        println!("{what}: {took:?}");
        assert!(took < Duration::from_millis(limit), "{what}: {took:?}");
    };
    let mut id = submission(1, Selector::All).id;
    timed("submit for everything", 5000, &mut || {
        id = submit(&db, 1, Selector::All)
    });
    timed("a first page of devices", 50, &mut || {
        inventory::list(
            &db,
            &ListDevices {
                limit: 200,
                ..Default::default()
            },
        )
        .unwrap();
    });
    let cursor = "acme/site-09000/3".to_owned();
    timed("a late page of devices", 50, &mut || {
        let request = ListDevices {
            cursor: cursor.clone(),
            limit: 200,
            ..Default::default()
        };
        assert_eq!(inventory::list(&db, &request).unwrap().rows.len(), 200);
    });
    timed("a search without a hit", 250, &mut || {
        let request = ListDevices {
            text: "nothing".into(),
            ..Default::default()
        };
        assert!(inventory::list(&db, &request).unwrap().rows.is_empty());
    });
    timed("a late page of sites", 50, &mut || {
        let request = ListSites {
            cursor: site_of(9000).to_string(),
            ..ListSites::default()
        };
        assert_eq!(site::list(&db, &request).unwrap().rows.len(), 999);
    });
    timed("the wants of 256 sites", 100, &mut || {
        assert_eq!(site::dirty(&db, 256).unwrap().len(), 256);
    });
    timed("a late page of results", 50, &mut || {
        let request = ReadResults {
            job: id,
            cursor: "9000.5".into(),
            limit: 200,
            site: None,
            after: None,
        };
        assert_eq!(
            job::page(&db, &request, &BTreeSet::new())
                .unwrap()
                .rows
                .len(),
            200
        );
    });
    timed("a job with a late page of its sites", 50, &mut || {
        let (view, next) = job::view(&db, id, "8999").unwrap().unwrap();
        assert_eq!((view.sites.len(), next), (1000, None));
    });
}

/// 100,000 devices with 3.2 million channels: what an index serves takes no noticeable time.
#[test]
#[ignore = "builds a large database: cargo test -p tvt-coordinator speed -- --ignored --nocapture"]
fn questions_in_sql_stay_quick_at_full_size() {
    use crate::store::{query, schema};
    use tvtfleet_proto::model::query::RunQuery;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("coordinator.db");
    let mut db = rusqlite::Connection::open(&path).unwrap();
    schema::prepare(&mut db, true).unwrap();
    db.execute_batch("BEGIN").unwrap();
    for number in 0..10_000 {
        let entries = (1..=10).map(|n| (site_of(number), entry(&format!("10.0.0.{n}"))));
        import(&db, number.into(), entries.collect());
    }
    db.execute_batch(
        "UPDATE devices SET model = 'TD-' || (id % 40), firmware = '1.' || (id % 7);
         INSERT INTO channels
           WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 31)
           SELECT d.id, n.i, n.i + 1, 'Camera ' || n.i, '10.1.' || (d.id % 250) || '.' || n.i, 9008,
                  CASE WHEN (d.id * 32 + n.i) % 1000 = 7 THEN 'Offline' ELSE 'Online' END,
                  'TVT', 'TD-9421', d.id
           FROM devices d, n;
         COMMIT;",
    )
    .unwrap();
    assert_eq!(number(&db, "SELECT count(*) FROM channels"), 3_200_000);
    for (sql, rows) in [
        (
            "SELECT site, name FROM channels WHERE status = 'Offline' ORDER BY since_ms LIMIT 100",
            100,
        ),
        ("SELECT count(*) FROM channels WHERE status = 'Offline'", 1),
        (
            "SELECT site, channel FROM channels WHERE address = '10.1.7.7' LIMIT 100",
            100,
        ),
        (
            "SELECT * FROM channels WHERE device_id = 'at:acme/site-00500/10.0.0.3:6036' AND site = 'x'",
            0,
        ),
        (
            "SELECT model, count(*) AS n FROM devices GROUP BY model ORDER BY n DESC",
            40,
        ),
        ("SELECT kind FROM changes WHERE at_ms > ago_ms('1d')", 0),
    ] {
        let request = RunQuery {
            sql: sql.into(),
            ..RunQuery::default()
        };
        // The first look reads the file.
        let mut took = Duration::MAX;
        for _ in 0..2 {
            let started = Instant::now();
            let answer = query::run(&path, &request, at(0)).unwrap();
            took = started.elapsed();
            assert_eq!(answer.rows.len(), rows, "{sql}");
        }
        println!("{sql}: {took:?}");
        assert!(took < Duration::from_millis(50), "{sql}: {took:?}");
    }
}
