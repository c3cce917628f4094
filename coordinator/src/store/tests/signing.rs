//! Work that changes devices waits at each site until an operator has signed just that work.

use tvtfleet_bus::trust::ChangeOrder;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::job::Selector;
use tvtfleet_proto::model::signed::SignedStatement;

use super::fixture::*;
use crate::store::{job, site};

#[test]
fn a_site_gets_work_that_was_signed_and_no_other() {
    let db = database();
    let yard = "acme/yard".parse().unwrap();
    import(
        &db,
        1,
        vec![(depot(), entry("10.0.0.1")), (yard, entry("10.0.0.2"))],
    );
    let mut submission = submission(1, Selector::All);
    submission.needs_order = true;
    submission.spec.work.ask = Ask::Reboot;
    submission.spec.work.order = Some(Box::default());
    let id = job::submit(&db, &submission).unwrap();
    let wanted = || -> Vec<_> {
        let dirty = site::dirty(&db, 9).unwrap().into_iter();
        dirty.flat_map(|want| want.jobs).collect()
    };
    assert!(wanted().is_empty(), "nobody has signed");
    assert_eq!(site::work(&db, &depot(), id).unwrap(), None);
    let left = job::unsigned(&db, id).unwrap().unwrap();
    assert_eq!(left.sites.len(), 2);
    let signed = SignedStatement {
        statement: b"s".to_vec(),
        signature: vec![1; 64],
    };
    let (name, work) = left.sites.first().cloned().unwrap();
    let sign = |order| job::sign(&db, id, &[(name.clone(), order, signed.clone())], at(1));
    let mut other = work.clone();
    other.options.parallel += 1;
    let long_enough = |work| ChangeOrder::of(id, &name, work, at(0), left.not_after);
    for refused in [
        long_enough(&other),
        ChangeOrder::of(id, &name, &work, at(0), at(1)),
        ChangeOrder::of(id, &left.sites[1].0, &work, at(0), left.not_after),
    ] {
        assert_eq!(sign(refused).unwrap_err().code(), ErrorCode::OrderRefused);
    }
    assert!(wanted().is_empty());
    sign(long_enough(&work)).unwrap();
    let jobs = wanted();
    assert_eq!(jobs.len(), 1, "the other site still waits");
    assert_eq!(jobs[0].order, Some(signed));
    assert_eq!(jobs[0].targets, work.targets);
    assert_eq!(job::unsigned(&db, id).unwrap().unwrap().sites.len(), 1);
    // Nobody has begun yet, so a cancelled job is over, and nothing is left to sign.
    job::cancel(&db, id, at(2)).unwrap();
    assert!(wanted().is_empty());
    let view = view(&db, id);
    assert!(view.state.is_terminal());
    assert!(job::unsigned(&db, id).unwrap().unwrap().sites.is_empty());
}
