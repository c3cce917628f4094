//! Changes of devices of many sites: where they begin, and when they stop.

use std::collections::BTreeSet;

use rusqlite::Connection;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::id::{JobId, SiteId};
use tvtfleet_proto::model::job::{JobState, Selector, SiteJobState};
use tvtfleet_proto::model::order::Order;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::want::OutItem;

use super::fixture::*;
use crate::store::{job, site};

/// Three sites with four devices each; the site's number is in its addresses.
fn fleet() -> (Connection, [SiteId; 3]) {
    let db = database();
    let sites: [SiteId; 3] =
        ["acme/barn", "acme/depot", "acme/yard"].map(|site| site.parse().unwrap());
    for (number, site) in (0_u128..).zip(&sites) {
        let hosts = (1..=4).map(|host| entry(&format!("10.{number}.0.{host}")));
        import(
            &db,
            number,
            hosts.map(|entry| (site.clone(), entry)).collect(),
        );
        hello(&db, site, number + 1, 1, false);
    }
    (db, sites)
}

/// Submits a change that two failures stop, while the agents of these sites are there.
fn change(db: &Connection, online: &[&SiteId]) -> JobId {
    let mut submission = submission(1, Selector::All);
    submission.online = online.iter().map(|site| (*site).clone()).collect();
    submission.spec.work.ask = Ask::SetServices;
    submission.spec.work.order = Some(Box::new(Order {
        stop_after: 2,
        settings: [("rtsp".to_owned(), "false".to_owned())].into(),
        ..Order::default()
    }));
    job::submit(db, &submission).unwrap()
}

fn unchanged(job: JobId, target: u32, code: ErrorCode) -> OutItem {
    let mut report = failed(job, target);
    report.failure = Some(Failure::new(code, "no"));
    item(report)
}

fn standings(db: &Connection, job: JobId) -> Vec<(String, SiteJobState, Option<ErrorCode>)> {
    let sites = view(db, job).sites.into_iter();
    sites
        .map(|site| (site.site.to_string(), site.state, site.reason))
        .collect()
}

#[test]
fn the_canary_is_a_site_whose_agent_is_there() {
    let (db, [barn, depot, yard]) = fleet();
    let job = change(&db, &[&depot, &yard]);
    let order: Vec<String> = standings(&db, job).into_iter().map(|site| site.0).collect();
    assert_eq!(order, ["acme/depot", "acme/barn", "acme/yard"]);
    let work = site::work(&db, &depot, job).unwrap().unwrap();
    let hosts = work
        .targets
        .iter()
        .map(|target| target.endpoint.host.to_string());
    let expected: BTreeSet<String> = (1..=4).map(|host| format!("10.1.0.{host}")).collect();
    assert_eq!(hosts.collect::<BTreeSet<_>>(), expected);
    for waits in [&barn, &yard] {
        assert!(site::work(&db, waits, job).unwrap().is_none(), "{waits}");
    }
}

#[test]
fn without_an_agent_anywhere_the_first_site_is_the_canary() {
    let (db, [barn, ..]) = fleet();
    let job = change(&db, &[]);
    assert!(site::work(&db, &barn, job).unwrap().is_some());
    let questions = submit(&db, 2, Selector::All);
    let order = standings(&db, questions).into_iter().map(|site| site.0);
    assert_eq!(
        order.collect::<Vec<_>>(),
        ["acme/barn", "acme/depot", "acme/yard"]
    );
}

#[test]
fn failures_of_all_sites_together_stop_a_change_everywhere() {
    let (db, [barn, depot, yard]) = fleet();
    let job = change(&db, &[]);
    let good = |target| item(report(job, target, &format!("S{target}")));
    let no = |target| unchanged(job, target, ErrorCode::ChangeUnverified);
    let left_out = |target| unchanged(job, target, ErrorCode::ChangeStopped);
    apply_all(
        &db,
        vec![
            message(1, &barn, 1, 1, vec![accepted(job), good(0)]),
            message(
                2,
                &depot,
                2,
                1,
                vec![accepted(job), good(0), no(1), left_out(2)],
            ),
        ],
    );
    assert_eq!(
        view(&db, job).reason,
        None,
        "what was left out is no failure"
    );
    assert!(
        site::work(&db, &yard, job).unwrap().is_some(),
        "the canary went well"
    );
    apply_all(&db, vec![message(3, &barn, 1, 2, vec![no(1)])]);

    assert_eq!(view(&db, job).reason, Some(ErrorCode::ChangeStopped));
    assert_eq!(
        view(&db, job).state,
        JobState::Open,
        "two sites are awaited"
    );
    let stopped = Some(ErrorCode::ChangeStopped);
    assert_eq!(
        standings(&db, job),
        [
            ("acme/barn".to_owned(), SiteJobState::Accepted, stopped),
            ("acme/depot".to_owned(), SiteJobState::Accepted, stopped),
            ("acme/yard".to_owned(), SiteJobState::Cancelled, stopped),
        ]
    );
    for site in [&barn, &depot, &yard] {
        assert!(site::work(&db, site, job).unwrap().is_none(), "{site}");
    }
    assert!(
        codes(&rows(&db, job, 0))
            .iter()
            .filter(|code| **code == stopped)
            .count()
            >= 4,
        "the devices of the yard were left alone"
    );
}
