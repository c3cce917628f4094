//! Pictures in the database: what reports say, doubts, and what goes first.

use tvtfleet_proto::model::answer::{Answer, PictureTaken};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::job::Selector;
use tvtfleet_proto::model::picture::{ListPictures, PictureDigest};
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::model::time::UtcMillis;

use super::fixture::*;
use crate::store::picture::drop_out;
use crate::store::picture::{PictureBounds, find, forget, keep, list, lose, stored, unneeded};
use rusqlite::Connection;

fn taken(channel: u32, mark: u8, at: UtcMillis) -> PictureTaken {
    PictureTaken {
        channel: Some(channel),
        state: Some("taken".into()),
        taken_at_ms: Some(at.millis()),
        way: Some("webapi".into()),
        format: Some("jpeg".into()),
        bytes: Some(1000),
        sha256: Some(PictureDigest([mark; 32]).to_string()),
        ..PictureTaken::default()
    }
}

/// A job whose report of the first device brings these pictures.
fn pictures(db: &Connection, number: u128, pictures: Vec<PictureTaken>) {
    let job = submit(db, number, Selector::All);
    let report = DeviceReport {
        ask: Ask::Snapshot,
        channels: Vec::new(),
        answer: Some(Answer::Pictures(pictures)),
        ..report(job, 0, "S1")
    };
    let sequence = u64::try_from(number).unwrap();
    let applied = apply_all(
        db,
        vec![message(sequence, &depot(), 1, sequence, vec![item(report)])],
    );
    assert_eq!(applied.quarantined, 0);
}

fn fleet() -> Connection {
    let db = database();
    hosts(&db, &depot(), 1);
    db
}

fn flags(db: &Connection) -> Vec<(u32, Vec<String>)> {
    let page = list(db, &ListPictures::default()).unwrap();
    let rows = page.rows.into_iter();
    rows.map(|row| (row.picture.channel.unwrap(), row.picture.flags))
        .collect()
}

fn bounds() -> PictureBounds {
    PictureBounds {
        before: None,
        per_channel: None,
        bytes: None,
    }
}

#[test]
fn doubts_are_judged_by_what_the_fleet_took_before() {
    let db = fleet();
    pictures(&db, 1, vec![taken(1, 1, at(-100)), taken(2, 2, at(-100))]);
    let bad = PictureTaken {
        sha256: Some("../../x".into()),
        ..taken(3, 9, at(-50))
    };
    pictures(
        &db,
        2,
        vec![taken(1, 1, at(-50)), taken(2, 1, at(-50)), bad],
    );
    let named = |flag: &str| vec![flag.to_owned()];
    assert_eq!(
        flags(&db),
        [
            (2, named("maybe_swapped")),
            (1, named("maybe_stale")),
            (2, vec![]),
            (1, vec![])
        ],
        "the newest first; what is no digest is left out"
    );
    let newest = ListPictures {
        newest: true,
        ..ListPictures::default()
    };
    assert_eq!(list(&db, &newest).unwrap().rows.len(), 2);
    let foreign = ListPictures {
        tenants: vec!["globex".parse().unwrap()],
        ..ListPictures::default()
    };
    assert_eq!(list(&db, &foreign).unwrap().rows, []);
    assert!(find(&db, 999).is_err());
}

#[test]
fn what_a_site_lets_go_is_flagged_until_its_bytes_come_all_the_same() {
    let db = fleet();
    pictures(&db, 1, vec![taken(1, 1, at(-100)), taken(2, 2, at(-100))]);
    let gone = [PictureDigest([1; 32])];
    let other = "acme/elsewhere".parse().unwrap();
    drop_out(&db, &other, &gone).unwrap();
    assert!(flags(&db).iter().all(|(_, flags)| flags.is_empty()));
    for _ in 0..2 {
        drop_out(&db, &depot(), &gone).unwrap();
    }
    let dropped = vec!["dropped".to_owned()];
    assert_eq!(flags(&db), [(2, vec![]), (1, dropped)]);
    keep(&db, &depot().tenant, gone[0], 1000, at(0)).unwrap();
    assert!(flags(&db).iter().all(|(_, flags)| flags.is_empty()));
}

#[test]
fn pictures_go_by_age_number_and_size_and_their_files_with_them() {
    let db = fleet();
    let tenant = depot().tenant;
    for number in 1..=6_u8 {
        let time = at(i64::from(number) - 100);
        pictures(&db, number.into(), vec![taken(1, number, time)]);
        keep(&db, &tenant, PictureDigest([number; 32]), 1000, time).unwrap();
    }
    let count = || list(&db, &ListPictures::default()).unwrap().rows.len();
    let old = PictureBounds {
        before: Some(at(-98)),
        ..bounds()
    };
    assert_eq!((forget(&db, &old, 100).unwrap(), count()), (1, 5));
    let few = PictureBounds {
        per_channel: Some(4),
        ..bounds()
    };
    assert_eq!((forget(&db, &few, 100).unwrap(), count()), (1, 4));
    let small = PictureBounds {
        bytes: Some(2500),
        ..bounds()
    };
    assert_eq!((forget(&db, &small, 100).unwrap(), count()), (2, 2));
    assert_eq!(forget(&db, &small, 100).unwrap(), 0);
    let gone = unneeded(&db, at(0), 100).unwrap();
    let marks: Vec<u8> = gone.iter().map(|(_, digest)| digest.0[0]).collect();
    assert_eq!(marks, [1, 2, 3, 4]);
    assert!(
        unneeded(&db, at(-1000), 100).unwrap().is_empty(),
        "too young"
    );
    lose(&db, &gone).unwrap();
    let asked = [PictureDigest([4; 32]), PictureDigest([5; 32])];
    assert_eq!(stored(&db, &tenant, &asked).unwrap(), [false, true]);
    let other = "globex".parse().unwrap();
    assert_eq!(stored(&db, &other, &asked).unwrap(), [false, false]);
}
