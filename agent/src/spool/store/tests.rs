use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

const SMALL: SpoolSettings = SpoolSettings {
    max_bytes: 4096,
    segment_bytes: 200,
    keep: Duration::ZERO,
};

fn now() -> UtcMillis {
    UtcMillis::new(1_790_000_000_000)
}

fn epoch() -> Epoch {
    Epoch::new(uuid::Uuid::from_u128(1))
}

fn filler(_: Epoch, sequence: Sequence) -> Vec<u8> {
    format!("filler {sequence}").into_bytes()
}

fn open(folder: &Path) -> (Spool, Vec<Damage>) {
    Spool::open(folder, SMALL, epoch(), &filler).unwrap()
}

fn payload(number: u64) -> Vec<u8> {
    format!("payload {number} {}", "x".repeat(40)).into_bytes()
}

fn fill(spool: &mut Spool, count: u64) {
    for _ in 0..count {
        let next = spool.next();
        assert_eq!(spool.append(&payload(next.0)).unwrap(), next);
    }
}

fn all(spool: &mut Spool) -> Vec<SpoolRecord> {
    let oldest = spool.oldest();
    spool.read(oldest, usize::MAX).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    Segment::list(folder)
        .unwrap()
        .into_iter()
        .map(|(_, path)| path)
        .collect()
}

#[test]
fn batches_survive_and_are_deleted_once_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path());
    assert_eq!((spool.next(), spool.oldest()), (Sequence(1), Sequence(1)));
    fill(&mut spool, 10);
    assert!(files(folder.path()).len() > 2);
    drop(spool);
    let (mut spool, damages) = open(folder.path());
    assert!(damages.is_empty());
    let records = all(&mut spool);
    assert_eq!(records.len(), 10);
    assert!(
        records
            .iter()
            .all(|record| record.payload == payload(record.sequence.0))
    );
    spool.commit(Sequence(7), now()).unwrap();
    assert!(spool.oldest() > Sequence(1) && spool.oldest() <= Sequence(8));
    spool.commit(Sequence(10), now()).unwrap();
    assert_eq!((spool.bytes(), spool.next()), (0, Sequence(11)));
    drop(spool);
    let (mut spool, _) = open(folder.path());
    assert_eq!(
        (spool.next(), spool.committed()),
        (Sequence(11), Sequence(10))
    );
    fill(&mut spool, 1);
    assert_eq!(all(&mut spool)[0].sequence, Sequence(11));
}

#[test]
fn a_torn_end_is_cut_and_its_number_is_not_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path());
    fill(&mut spool, 2);
    let path = files(folder.path()).pop().unwrap();
    drop(spool);
    let length = std::fs::metadata(&path).unwrap().len();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(length - 5)
        .unwrap();
    let (mut spool, damages) = open(folder.path());
    assert_eq!(
        (damages.len(), &damages[0].set_aside),
        (1, &None),
        "no damage"
    );
    assert_eq!(damages[0].lost, [Sequence(2)]);
    let records = all(&mut spool);
    assert_eq!(records[0].payload, payload(1));
    assert_eq!(records[1].payload, filler(epoch(), Sequence(2)));
    assert_eq!(spool.next(), Sequence(3));
}

#[test]
fn a_damaged_segment_is_set_aside_and_its_other_batches_live() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path());
    fill(&mut spool, 9);
    drop(spool);
    let path = files(folder.path()).remove(1);
    let mut file = File::options().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(50)).unwrap();
    file.write_all(b"#").unwrap();
    let (mut spool, damages) = open(folder.path());
    assert_eq!(damages.len(), 1);
    assert!(damages[0].set_aside.as_ref().unwrap().exists());
    let lost: Vec<_> = damages[0].lost.iter().map(|number| number.0).collect();
    assert_eq!(lost.len(), 1);
    let records = all(&mut spool);
    assert_eq!(records.len(), 9);
    for record in records {
        let expected = if lost.contains(&record.sequence.0) {
            filler(epoch(), record.sequence)
        } else {
            payload(record.sequence.0)
        };
        assert_eq!(record.payload, expected);
    }
    drop(spool);
    assert!(open(folder.path()).1.is_empty(), "mended for good");
}

#[test]
fn a_missing_segment_and_a_lost_state_are_survived() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path());
    fill(&mut spool, 9);
    drop(spool);
    std::fs::remove_file(files(folder.path()).remove(1)).unwrap();
    std::fs::remove_file(folder.path().join("state")).unwrap();
    let other = Epoch::new(uuid::Uuid::from_u128(2));
    let (mut spool, damages) = Spool::open(folder.path(), SMALL, other, &filler).unwrap();
    assert_eq!(spool.epoch(), epoch());
    assert_eq!(damages.len(), 1);
    assert_eq!(all(&mut spool).len(), 9);
    assert_eq!(spool.next(), Sequence(10));
}

#[test]
fn segments_of_another_spool_are_set_aside() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let other = Epoch::new(uuid::Uuid::from_u128(u128::MAX));
    fill(&mut open(one.path()).0, 1);
    let (mut spool, _) = Spool::open(two.path(), SMALL, other, &filler).unwrap();
    fill(&mut spool, 1);
    std::fs::copy(&files(two.path())[0], &files(one.path())[0]).unwrap();
    let (mut spool, damages) = open(one.path());
    assert!(damages[0].set_aside.is_some());
    assert_eq!(spool.damaged(), 1);
    assert_eq!((spool.epoch(), spool.next()), (epoch(), Sequence(1)));
    fill(&mut spool, 1);
}

#[test]
fn one_flipped_bit_never_refuses_a_start_and_loses_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    fill(&mut open(folder.path()).0, 5);
    let whole: Vec<_> = files(folder.path())
        .into_iter()
        .map(|path| (std::fs::read(&path).unwrap(), path))
        .collect();
    for (bytes, path) in &whole {
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            std::fs::write(path, flipped).unwrap();
            let (mut spool, damages) = open(folder.path());
            let lost: Vec<_> = damages.into_iter().flat_map(|damage| damage.lost).collect();
            assert!(lost.len() <= 1, "{path:?} at {at}: {lost:?}");
            for record in all(&mut spool) {
                if !lost.contains(&record.sequence) {
                    assert_eq!(record.payload, payload(record.sequence.0));
                }
            }
            for (bytes, path) in &whole {
                std::fs::write(path, bytes).unwrap();
            }
        }
    }
}

#[test]
fn a_batch_that_becomes_unreadable_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path());
    fill(&mut spool, 2);
    let path = files(folder.path()).pop().unwrap();
    let mut file = File::options().write(true).open(&path).unwrap();
    file.seek(SeekFrom::End(-1)).unwrap();
    file.write_all(b"#").unwrap();
    assert_eq!(spool.read(Sequence(1), usize::MAX).unwrap().len(), 1);
    let error = spool.read(Sequence(2), usize::MAX).unwrap_err();
    assert!(matches!(error, SpoolError::Damaged(Sequence(2))), "{error}");
}

#[test]
fn fullness_comes_before_the_cap_and_refuses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(folder.path());
    while !spool.is_full() {
        fill(&mut spool, 1);
    }
    assert!(spool.bytes() < SMALL.max_bytes);
    fill(&mut spool, 20);
    let last = Sequence(spool.next().0 - 1);
    spool.commit(last, now()).unwrap();
    assert!(!spool.is_full());
}

/// Keeps what is committed for a minute.
const KEEPING: SpoolSettings = SpoolSettings {
    max_bytes: 4096,
    segment_bytes: 200,
    keep: Duration::from_secs(60),
};

#[test]
fn what_is_committed_is_kept_for_a_while_and_can_be_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        Spool::open(folder.path(), KEEPING, epoch(), &filler)
            .unwrap()
            .0
    };
    let mut spool = open();
    fill(&mut spool, 9);
    spool.commit(Sequence(9), now()).unwrap();
    assert_eq!((spool.oldest(), spool.bytes()), (Sequence(1), 0));
    assert!(spool.kept_bytes() > 0 && !spool.is_full());
    drop(spool);
    // A coordinator with an older database misses the second half.
    let mut spool = open();
    assert_eq!(spool.committed(), Sequence(9));
    spool.recall(Sequence(5)).unwrap();
    assert_eq!(spool.committed(), Sequence(4));
    assert!(spool.bytes() > 0);
    let records = spool.read(Sequence(5), usize::MAX).unwrap();
    assert_eq!(records.len(), 5);
    assert_eq!(records[0].payload, payload(5));
    assert_eq!(spool.next(), Sequence(10), "no number is used twice");
    spool.commit(Sequence(9), now()).unwrap();
    let later = now().after(Duration::from_secs(61));
    fill(&mut spool, 1);
    spool.commit(Sequence(9), later).unwrap();
    assert_eq!(spool.oldest(), Sequence(10), "the others are old");
    spool.commit(Sequence(10), later).unwrap();
    spool
        .commit(Sequence(10), later.after(Duration::from_secs(61)))
        .unwrap();
    assert_eq!((spool.kept_bytes(), spool.next()), (0, Sequence(11)));
}

#[test]
fn what_is_kept_never_takes_the_place_of_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), KEEPING, epoch(), &filler)
        .unwrap()
        .0;
    for _ in 0..200 {
        fill(&mut spool, 1);
        let last = Sequence(spool.next().0 - 1);
        spool.commit(last, now()).unwrap();
        assert!(
            spool.kept_bytes() <= KEEPING.max_bytes / 4 + 300,
            "{}",
            spool.kept_bytes()
        );
    }
    while !spool.is_full() {
        fill(&mut spool, 1);
        assert!(spool.kept_bytes() + spool.bytes() <= KEEPING.max_bytes);
    }
    spool.recall(Sequence(1)).unwrap();
    assert_eq!(
        spool.committed().next(),
        spool.oldest(),
        "only what is there comes back"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_history_keeps_what_is_not_committed(
        steps in proptest::collection::vec((0_u8..8, 0_u64..12), 1..60)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(folder.path()).0;
        let (mut model, mut committed) = (BTreeMap::new(), 0);
        for (what, number) in steps {
            match what {
                0..=4 => {
                    let sequence = spool.next();
                    spool.append(&payload(sequence.0)).unwrap();
                    prop_assert!(model.insert(sequence.0, payload(sequence.0)).is_none());
                }
                5 => {
                    let last = model.keys().next_back().copied().unwrap_or(committed);
                    committed = committed.max((committed + number).min(last));
                    spool.commit(Sequence(committed), now()).unwrap();
                }
                6 => spool = { drop(spool); open(folder.path()).0 },
                _ => {
                    let from = (committed + 1 + number).min(spool.next().0);
                    for record in spool.read(Sequence(from), 100).unwrap() {
                        prop_assert_eq!(Some(&record.payload), model.get(&record.sequence.0));
                    }
                }
            }
            let held = spool.read(Sequence(committed + 1), usize::MAX).unwrap();
            prop_assert_eq!(held.len(), model.range(committed + 1..).count());
        }
    }
}
