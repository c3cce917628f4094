//! Messages that come twice, late, out of order, from strangers, or not at all.

use tvtfleet_proto::model::id::Sequence;
use tvtfleet_proto::model::job::{JobState, Selector, SiteJobState};

use super::fixture::*;
use crate::store::site::Claim;
use crate::store::{Store, Unreadable, apply, inventory, job, site};
use tvtfleet_proto::error::ErrorCode;

#[test]
fn results_count_once_whatever_is_repeated() {
    let db = database();
    hosts(&db, &depot(), 3);
    hello(&db, &depot(), 1, 1, false);
    let id = submit(&db, 7, Selector::All);
    let messages = vec![
        message(1, &depot(), 1, 1, vec![accepted(id)]),
        message(
            2,
            &depot(),
            1,
            3,
            vec![item(report(id, 1, "B")), item(failed(id, 2))],
        ),
        message(3, &depot(), 1, 4, vec![done(id, 3, Some((2, 3)))]),
        message(4, &depot(), 1, 2, vec![item(report(id, 0, "A"))]),
    ];
    let applied = apply_all(&db, messages.clone());
    assert_eq!((applied.reports, applied.duplicates), (3, 0));
    let first = view(&db, id);
    assert_eq!(first.state, JobState::Finished);
    assert_eq!(
        (
            first.devices.ok,
            first.devices.failed,
            first.devices.channels
        ),
        (2, 1, 4)
    );
    // Delivered again, and reported again under new numbers.
    let again = apply_all(&db, messages);
    assert_eq!((again.reports, again.duplicates), (0, 4));
    let twice = apply_all(
        &db,
        vec![message(9, &depot(), 1, 5, vec![item(report(id, 0, "A"))])],
    );
    assert_eq!((twice.reports, twice.duplicates), (0, 1));
    assert_eq!(view(&db, id).devices, first.devices);
}

#[test]
fn a_missing_batch_holds_the_end_back() {
    let db = database();
    hosts(&db, &depot(), 2);
    hello(&db, &depot(), 1, 1, false);
    let id = submit(&db, 7, Selector::All);
    let applied = apply_all(
        &db,
        vec![
            message(1, &depot(), 1, 1, vec![item(report(id, 0, "A"))]),
            message(2, &depot(), 1, 3, vec![done(id, 2, Some((1, 2)))]),
        ],
    );
    let (_, ledger) = &applied.spools[&depot()];
    assert_eq!(
        (ledger.committed(), ledger.gap()),
        (Sequence(1), Some(Sequence(2)))
    );
    assert_eq!(view(&db, id).sites[0].state, SiteJobState::Accepted);
    // The last batch closes the gap in a later transaction, and says nothing of this job itself.
    apply_all(
        &db,
        vec![message(3, &depot(), 1, 4, vec![item(report(id, 1, "B"))])],
    );
    assert_eq!(view(&db, id).state, JobState::Open);
    let applied = apply_all(&db, vec![message(4, &depot(), 1, 2, Vec::new())]);
    assert_eq!(view(&db, id).state, JobState::Finished);
    assert!(applied.wants, "the job leaves the want document");
    assert_eq!(applied.spools[&depot()].1.committed(), Sequence(4));
}

#[tokio::test]
async fn a_crash_between_commit_and_acknowledgement_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let messages = |id| {
        vec![
            message(1, &depot(), 1, 1, vec![item(report(id, 0, "A"))]),
            message(
                2,
                &depot(),
                1,
                2,
                vec![item(report(id, 1, "B")), done(id, 2, Some((1, 2)))],
            ),
        ]
    };
    let (store, closed) = Store::open(folder.path()).unwrap();
    let id = store
        .write("set up", move |db| {
            hosts(db, &depot(), 2);
            hello(db, &depot(), 1, 1, false);
            let id = job::submit(db, &submission(7, Selector::All))?;
            apply(db, vec![messages(id).remove(0)], at(30))?;
            Ok(id)
        })
        .await
        .unwrap();
    // A transaction that fails at its end leaves nothing behind.
    let failing = store.write("fail", move |db| {
        apply(db, messages(id), at(30))?;
        Err::<(), _>(crate::store::DbError::damaged("test", "stop"))
    });
    assert!(failing.await.is_err());
    assert!(
        Store::open(folder.path()).is_err(),
        "one coordinator at a time"
    );
    drop(store);
    closed.wait().await;

    let (store, closed) = Store::open(folder.path()).unwrap();
    let at_start = store.read("look", site::position).await.unwrap();
    assert_eq!(at_start.cursor, 1);
    let applied = store
        .write("again", move |db| apply(db, messages(id), at(30)))
        .await
        .unwrap();
    assert_eq!((applied.reports, applied.duplicates), (1, 1));
    let job = store
        .read("look", move |db| Ok(view(db, id)))
        .await
        .unwrap();
    assert_eq!((job.state, job.devices.ok), (JobState::Finished, 2));
    drop(store);
    closed.wait().await;
}

#[test]
fn a_stream_made_anew_is_read_from_its_start() {
    let db = database();
    hosts(&db, &depot(), 3);
    hello(&db, &depot(), 1, 1, false);
    let id = submit(&db, 7, Selector::All);
    site::restart(&db, 100, 0).unwrap();
    apply_all(
        &db,
        vec![message(500, &depot(), 1, 1, vec![item(report(id, 0, "A"))])],
    );
    // The server lost everything; the agent sends again from its watermark, and one batch too many.
    site::restart(&db, 200, 0).unwrap();
    let applied = apply_all(
        &db,
        vec![
            message(1, &depot(), 1, 1, vec![item(report(id, 0, "A"))]),
            message(
                2,
                &depot(),
                1,
                2,
                vec![item(report(id, 1, "B")), item(report(id, 2, "C"))],
            ),
            message(3, &depot(), 1, 3, vec![done(id, 3, Some((1, 2)))]),
        ],
    );
    assert_eq!((applied.reports, applied.duplicates), (2, 1));
    assert_eq!(view(&db, id).state, JobState::Finished);
    let position = site::position(&db).unwrap();
    assert_eq!((position.generation, position.cursor), (200, 3));
}

#[test]
fn one_agent_speaks_for_a_site() {
    let db = database();
    assert_eq!(hello(&db, &depot(), 1, 1, false), Claim::UnknownSite);
    hosts(&db, &depot(), 2);
    let id = submit(&db, 7, Selector::All);
    assert!(matches!(
        hello(&db, &depot(), 1, 1, false),
        Claim::Granted { .. }
    ));
    assert_eq!(hello(&db, &depot(), 2, 1, true), Claim::Taken);
    let applied = apply_all(
        &db,
        vec![message(1, &depot(), 2, 1, vec![item(report(id, 0, "A"))])],
    );
    assert_eq!((applied.reports, applied.quarantined), (0, 1));
    // The first has been silent for too long: the second takes over, and sends again.
    let Claim::Granted { ledger, .. } = hello(&db, &depot(), 2, 1, false) else {
        panic!()
    };
    assert_eq!(
        ledger.committed(),
        Sequence(0),
        "what was set aside was not applied"
    );
    let applied = apply_all(
        &db,
        vec![
            message(2, &depot(), 2, 1, vec![item(report(id, 0, "A"))]),
            // What the first had published before counts all the same.
            message(3, &depot(), 1, 1, vec![item(report(id, 1, "B"))]),
        ],
    );
    assert_eq!((applied.reports, applied.quarantined), (2, 0));
    assert_eq!(applied.spools[&depot()].0, epoch(2));
}

#[test]
fn the_first_batch_may_overtake_the_first_hello() {
    let db = database();
    hosts(&db, &depot(), 1);
    let id = submit(&db, 7, Selector::All);
    let applied = apply_all(
        &db,
        vec![message(1, &depot(), 1, 1, vec![item(report(id, 0, "A"))])],
    );
    assert_eq!(applied.reports, 1);
    assert_eq!(hello(&db, &depot(), 2, 1, true), Claim::Taken);
    let Claim::Granted { ledger, lost, .. } = hello(&db, &depot(), 1, 1, true) else {
        panic!()
    };
    assert_eq!((ledger.committed(), lost), (Sequence(1), 0));
}

#[test]
fn what_the_agent_lost_does_not_hold_it_up_for_ever() {
    let db = database();
    hosts(&db, &depot(), 1);
    let Claim::Granted { ledger, lost, .. } = hello(&db, &depot(), 1, 50, false) else {
        panic!()
    };
    assert_eq!((ledger.committed(), lost), (Sequence(49), 49));
}

#[test]
fn bad_messages_are_set_aside_and_hold_nothing_up() {
    let db = database();
    hosts(&db, &depot(), 1);
    hello(&db, &depot(), 1, 1, false);
    let id = submit(&db, 7, Selector::All);
    let other = submission(8, Selector::All).id;
    let unreadable = || Unreadable {
        code: ErrorCode::MessageInvalid,
        reason: "nonsense".repeat(1000),
        body: vec![0; 200_000],
    };
    let mut mixed = message(
        3,
        &depot(),
        1,
        1,
        vec![
            item(report(other, 0, "A")),
            item(report(id, 77, "A")),
            accepted(other),
            item(report(id, 0, "A")),
        ],
    );
    if let Ok(batch) = &mut mixed.content {
        batch.items.push(Err(unreadable()));
    }
    let mut broken = message(1, &depot(), 1, 9, Vec::new());
    broken.content = Err(unreadable());
    let stranger = message(
        2,
        &"acme/nowhere".parse().unwrap(),
        1,
        1,
        vec![accepted(id)],
    );
    let applied = apply_all(&db, vec![broken, stranger, mixed]);
    assert_eq!((applied.reports, applied.quarantined), (1, 6));
    assert_eq!(site::position(&db).unwrap().quarantined, 6);
    assert_eq!(
        number(&db, "SELECT max(length(body)) FROM quarantine"),
        65_536
    );
    assert_eq!(
        number(&db, "SELECT max(length(reason)) FROM quarantine"),
        300
    );
    assert_eq!(applied.spools[&depot()].1.committed(), Sequence(1));
}

#[test]
fn a_restored_database_writes_wants_that_agents_take() {
    let db = database();
    hosts(&db, &depot(), 1);
    let hello = tvtfleet_proto::model::agent::Hello {
        site: depot(),
        epoch: epoch(1),
        oldest: Sequence(1),
        next: Sequence(1),
        want_revision: tvtfleet_proto::model::id::WantRevision(41),
        facts: Default::default(),
        home: String::new(),
    };
    let claim = site::claim(&db, &hello, false, at(0)).unwrap();
    let Claim::Granted {
        want,
        wants_changed,
        ..
    } = claim
    else {
        panic!()
    };
    assert_eq!((want.0, wants_changed), (42, true));
    assert_eq!(site::dirty(&db, 10).unwrap()[0].revision.0, 42);
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// Three sites with some devices, a stream that loses, doubles and reorders, and transactions that
/// are rolled back: in the end every device counts exactly once.
#[test]
fn a_fleet_behind_a_bad_bus_is_counted_exactly() {
    for seed in 1..40_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut db = database();
        let sites: Vec<tvtfleet_proto::model::id::SiteId> = (0..3)
            .map(|n| format!("acme/site-{n}").parse().unwrap())
            .collect();
        let mut spools = Vec::new();
        for (number, site) in sites.iter().enumerate() {
            let count = 1 + u32::try_from(random.below(20)).unwrap();
            let entries = (1..=count).map(|n| (site.clone(), entry(&format!("10.0.0.{n}"))));
            import(&db, u128::try_from(number).unwrap(), entries.collect());
            hello(&db, site, 1, 1, false);
            spools.push(count);
        }
        let id = submit(&db, 7, Selector::All);
        let batches: Vec<Vec<_>> = spools
            .iter()
            .map(|count| {
                let mut batches = vec![vec![accepted(id)]];
                batches.extend((0..*count).map(|n| {
                    let good = n % 4 != 3;
                    vec![item(if good {
                        report(id, n, &format!("S{n}"))
                    } else {
                        failed(id, n)
                    })]
                }));
                batches.push(vec![done(id, *count, Some((2, u64::from(*count) + 1)))]);
                batches
            })
            .collect();
        let mut committed = vec![0_usize; sites.len()];
        let mut position = 0;
        let mut rounds = 0;
        while view(&db, id).state == JobState::Open {
            rounds += 1;
            assert!(rounds < 2000, "seed {seed} never ended");
            let mut stream = Vec::new();
            for (number, site) in sites.iter().enumerate() {
                for (index, items) in batches[number].iter().enumerate().skip(committed[number]) {
                    for _ in 0..random.below(3) {
                        position += 1;
                        let sequence = u64::try_from(index).unwrap() + 1;
                        stream.push(message(position, site, 1, sequence, items.clone()));
                    }
                }
            }
            for index in (1..stream.len()).rev() {
                stream.swap(index, random.below(index + 1));
            }
            stream.truncate(1 + random.below(stream.len().max(1)));
            let transaction = db.transaction().unwrap();
            let applied = apply_all(&transaction, stream);
            if random.below(4) == 0 {
                transaction.rollback().unwrap();
                continue;
            }
            transaction.commit().unwrap();
            for (number, site) in sites.iter().enumerate() {
                if let Some((_, ledger)) = applied.spools.get(site) {
                    committed[number] = usize::try_from(ledger.committed().0).unwrap();
                }
            }
        }
        let job = view(&db, id);
        let total: u32 = spools.iter().sum();
        let bad: u32 = spools.iter().map(|count| count / 4).sum();
        assert_eq!(job.state, JobState::Finished, "seed {seed}");
        assert_eq!(
            (job.devices.ok, job.devices.failed),
            (total - bad, bad),
            "seed {seed}"
        );
        assert_eq!(
            rows(&db, id, 7).len(),
            usize::try_from(total).unwrap(),
            "seed {seed}"
        );
        let listed = inventory::list(&db, &Default::default()).unwrap().rows;
        assert_eq!(listed.len(), usize::try_from(total).unwrap(), "seed {seed}");
    }
}
