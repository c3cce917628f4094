//! The audit in the database: what is recorded, and what tampering with the tables shows.

use tvtfleet_proto::model::audit::{
    AuditEntry, AuditFault, AuditMark, AuditRow, AuditVerifier, ListAudit, Verified,
};
use tvtfleet_proto::model::job::Selector;

use super::fixture::*;
use crate::store::{Cutoffs, apply, audit, prune};

fn database_with_rows(count: i64) -> rusqlite::Connection {
    let db = database();
    for number in 0..count {
        let entry = AuditEntry {
            at: at(number),
            who: "anna".into(),
            kind: "site.add".into(),
            ..AuditEntry::default()
        };
        audit::append(&db, entry.for_sites([depot()])).unwrap();
    }
    db
}

fn rows(db: &rusqlite::Connection) -> Vec<AuditRow> {
    let mut rows = Vec::new();
    let mut request = ListAudit {
        limit: 3,
        ..ListAudit::default()
    };
    loop {
        let page = audit::list(db, &request).unwrap();
        rows.extend(page.rows);
        match page.next {
            Some(next) => request.after = next,
            None => return rows,
        }
    }
}

fn verify(db: &rusqlite::Connection, marks: Vec<AuditMark>) -> Result<Verified, AuditFault> {
    let mut verifier = AuditVerifier::new(marks);
    rows(db).iter().try_for_each(|row| verifier.row(row))?;
    verifier.end(true)
}

#[test]
fn tampering_with_the_table_names_the_first_bad_row() {
    let tampered = |sql: &str| {
        let db = database_with_rows(9);
        let head = audit::head(&db).unwrap();
        assert_eq!(verify(&db, vec![head]).unwrap().rows, 9);
        db.execute_batch(sql).unwrap();
        verify(&db, vec![head]).unwrap_err()
    };
    assert_eq!(
        tampered("UPDATE audit SET who = 'ben' WHERE number = 5"),
        AuditFault::Altered(5)
    );
    assert_eq!(
        tampered("DELETE FROM audit WHERE number = 5"),
        AuditFault::Missing { from: 5, to: 5 }
    );
    assert_eq!(
        tampered("DELETE FROM audit WHERE number > 6"),
        AuditFault::Cut { last: 6, known: 9 }
    );
    assert_eq!(
        tampered("DELETE FROM audit WHERE number < 3"),
        AuditFault::Beheaded(3)
    );
    let swap = "UPDATE audit SET number = -1 WHERE number = 4;
                UPDATE audit SET number = 4 WHERE number = 5;
                UPDATE audit SET number = 5 WHERE number = -1";
    assert_eq!(tampered(swap), AuditFault::Unlinked(4));
}

#[test]
fn old_rows_go_from_the_beginning_and_the_chain_says_so() {
    let db = database_with_rows(9);
    let cutoffs = Cutoffs {
        audit: Some(at(6)),
        now: at(100),
        ..Cutoffs::default()
    };
    assert_eq!(prune(&db, &cutoffs, 4).unwrap(), 4);
    assert_eq!(prune(&db, &cutoffs, 4).unwrap(), 2);
    assert_eq!(prune(&db, &cutoffs, 4).unwrap(), 0);
    let verified = verify(&db, vec![audit::head(&db).unwrap()]).unwrap();
    assert_eq!((verified.first, verified.rows), (7, 5));
}

#[test]
fn the_end_of_a_job_is_recorded_once_with_its_counts() {
    let db = database();
    hosts(&db, &depot(), 2);
    hello(&db, &depot(), 1, 1, false);
    let job = submit(&db, 1, Selector::All);
    let items = vec![item(report(job, 0, "S0")), done(job, 1, Some((1, 1)))];
    apply(&db, vec![message(1, &depot(), 1, 1, items)], at(5)).unwrap();
    // What comes late, or again, ends nothing again.
    let late = vec![item(report(job, 1, "S1"))];
    apply(&db, vec![message(2, &depot(), 1, 2, late)], at(6)).unwrap();
    let ends: Vec<_> = rows(&db).into_iter().map(|row| row.entry).collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert_eq!(ends[0].kind, "job.end");
    assert_eq!(ends[0].job, Some(job));
    assert_eq!(ends[0].sites, [depot()]);
    assert!(
        ends[0]
            .outcome
            .contains("1 ok, 0 failed, 1 not reported of 2"),
        "{:?}",
        ends[0]
    );
    assert!(verify(&db, Vec::new()).is_ok());
}

#[test]
fn lists_are_narrowed_and_tenants_see_their_own_rows_only() {
    let db = database_with_rows(2);
    let other = AuditEntry {
        who: "ben".into(),
        kind: "job.submit".into(),
        at: at(50),
        ..AuditEntry::default()
    };
    let both = ["acme/depot", "blue/yard"].map(|site| site.parse().unwrap());
    audit::append(&db, other.for_sites(both.clone())).unwrap();
    let list = |request: ListAudit| -> Vec<u64> {
        let page = audit::list(&db, &request).unwrap();
        page.rows.iter().map(|row| row.number).collect()
    };
    let any = ListAudit::default;
    let acme = vec!["acme".parse().unwrap()];
    assert_eq!(
        list(ListAudit {
            tenants: acme,
            ..any()
        }),
        [1, 2]
    );
    assert_eq!(
        list(ListAudit {
            sites: vec![both[1].clone()],
            ..any()
        }),
        [3]
    );
    assert_eq!(
        list(ListAudit {
            who: vec!["ben".into()],
            ..any()
        }),
        [3]
    );
    assert_eq!(
        list(ListAudit {
            kinds: vec!["job".into()],
            ..any()
        }),
        [3]
    );
    assert_eq!(
        list(ListAudit {
            kinds: vec!["jo".into()],
            ..any()
        }),
        [0_u64; 0]
    );
    assert_eq!(
        list(ListAudit {
            since: Some(at(1)),
            until: Some(at(2)),
            ..any()
        }),
        [2]
    );
    assert_eq!(list(ListAudit { after: 2, ..any() }), [3]);
}
