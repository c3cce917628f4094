//! Submitting, telling the sites, stopping, expiring, and reading results.

use std::collections::BTreeSet;
use std::time::Duration;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{ListJobs, ReadResults};
use tvtfleet_proto::model::id::{ImportId, JobId, WantRevision};
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::job::{JobState, Selector, SiteJobState};
use uuid::Uuid;

use super::fixture::*;
use crate::jobs::tracker::Grace;
use crate::store::site::Written;
use crate::store::{job, site};

const GRACE: Grace = Grace {
    expire: Duration::from_secs(10),
    cancel: Duration::from_secs(60),
};

fn yard() -> tvtfleet_proto::model::id::SiteId {
    "acme/yard".parse().unwrap()
}

#[test]
fn a_selector_means_what_it_meant_at_submission() {
    let db = database();
    import(
        &db,
        1,
        vec![
            (yard(), entry("10.0.0.2")),
            (depot(), entry("10.0.0.1")),
            (yard(), entry("10.0.0.1")),
        ],
    );
    let hosts = |id| {
        rows(&db, id, 0)
            .into_iter()
            .map(|row| format!("{} {}", row.site.unwrap(), row.entry.host))
            .collect::<Vec<_>>()
    };
    let all = submit(&db, 1, Selector::All);
    import(&db, 2, vec![(depot(), entry("10.0.0.9"))]);
    assert_eq!(
        hosts(all),
        [
            "acme/depot 10.0.0.1",
            "acme/yard 10.0.0.2",
            "acme/yard 10.0.0.1"
        ]
    );
    let of_import = |number| Selector::Import(ImportId::new(Uuid::from_u128(number)));
    assert_eq!(hosts(submit(&db, 2, of_import(2))), ["acme/depot 10.0.0.9"]);
    let sites = Selector::Match {
        tenants: Vec::new(),
        sites: vec![yard()],
        labels: Vec::new(),
    };
    assert_eq!(hosts(submit(&db, 3, sites)).len(), 2);
    let nothing = Selector::Match {
        tenants: vec!["other".parse().unwrap()],
        sites: Vec::new(),
        labels: Vec::new(),
    };
    for (selector, code) in [
        (nothing, ErrorCode::JobNoTargets),
        (of_import(99), ErrorCode::JobNoTargets),
        (
            Selector::FailedOf(JobId::new(Uuid::from_u128(99))),
            ErrorCode::JobUnknown,
        ),
    ] {
        // Refused work is rolled back.
        let transaction = db.unchecked_transaction().unwrap();
        let refused = job::submit(&transaction, &submission(4, selector)).unwrap_err();
        assert_eq!(refused.code(), code);
    }
}

#[test]
fn the_same_key_submits_once() {
    let db = database();
    hosts(&db, &depot(), 2);
    let first = submission(1, Selector::All);
    let again = job::Submission {
        id: JobId::new(Uuid::from_u128(2)),
        ..first.clone()
    };
    assert_eq!(job::submit(&db, &first).unwrap(), first.id);
    assert_eq!(job::submit(&db, &again).unwrap(), first.id);
    assert_eq!(job::list(&db, &ListJobs::default()).unwrap().rows.len(), 1);
}

#[test]
fn the_failed_ones_can_be_asked_again() {
    let db = database();
    hosts(&db, &depot(), 4);
    let first = submit(&db, 1, Selector::All);
    apply_all(
        &db,
        vec![message(
            1,
            &depot(),
            1,
            1,
            vec![
                item(report(first, 0, "A")),
                item(failed(first, 1)),
                item(report(first, 3, "D")),
            ],
        )],
    );
    let again = submit(&db, 2, Selector::FailedOf(first));
    let hosts: Vec<_> = rows(&db, again, 0)
        .iter()
        .map(|row| row.entry.host.to_string())
        .collect();
    assert_eq!(hosts, ["10.0.0.2", "10.0.0.3"]);
}

#[test]
fn every_target_has_one_row_however_small_the_pages() {
    let db = database();
    hosts(&db, &depot(), 5);
    hosts(&db, &yard(), 4);
    let id = submit(&db, 1, Selector::All);
    apply_all(
        &db,
        vec![
            message(
                1,
                &depot(),
                1,
                1,
                vec![accepted(id), item(report(id, 0, "A")), item(failed(id, 2))],
            ),
            message(2, &depot(), 1, 2, vec![done(id, 2, Some((1, 1)))]),
        ],
    );
    let all = rows(&db, id, 0);
    assert_eq!(all.len(), 9);
    for limit in 1..=10 {
        assert_eq!(rows(&db, id, limit), all, "pages of {limit}");
    }
    let missing = Some(ErrorCode::SiteMissing);
    let offline = Some(ErrorCode::SiteOffline);
    let expected = [
        None,
        missing,
        Some(ErrorCode::ConnectTimeout),
        missing,
        missing,
        offline,
        offline,
        offline,
        offline,
    ];
    assert_eq!(codes(&all), expected);
    let request = ReadResults {
        job: id,
        cursor: String::new(),
        limit: 0,
        site: None,
        after: None,
    };
    let page = job::page(&db, &request, &BTreeSet::from([yard()])).unwrap();
    assert_eq!(
        codes(&page.rows)[5],
        missing,
        "the agent is there, so it is only not done yet"
    );
    assert_eq!(all[0].device_id, "sn:A");
    assert_eq!(
        (all[0].site_label.as_str(), all[0].port),
        ("acme/depot", 6036)
    );
    let bad = ReadResults {
        cursor: "1".into(),
        ..request
    };
    assert_eq!(
        job::page(&db, &bad, &BTreeSet::new()).unwrap_err().code(),
        ErrorCode::UsageInvalid
    );
}

#[test]
fn sites_are_told_once_and_again_after_every_change() {
    let db = database();
    hosts(&db, &depot(), 2);
    hosts(&db, &yard(), 1);
    let id = submit(&db, 1, Selector::All);
    let dirty = site::dirty(&db, 10).unwrap();
    assert_eq!(dirty.len(), 2);
    assert_eq!(site::dirty(&db, 1).unwrap().len(), 1, "in portions");
    let depot_want = dirty.iter().find(|want| want.site == depot()).unwrap();
    assert_eq!(
        (depot_want.revision, depot_want.jobs[0].targets.len()),
        (WantRevision(1), 2)
    );
    assert!(depot_want.jobs[0].targets[0].trusted);
    let written: Vec<_> = dirty
        .iter()
        .map(|want| Written {
            row: want.row,
            revision: want.revision,
            bucket: Some(9),
            at_least: want.revision,
        })
        .collect();
    site::written(&db, &written).unwrap();
    assert_eq!(site::dirty(&db, 10).unwrap(), []);
    assert_eq!(
        site::work(&db, &depot(), id)
            .unwrap()
            .unwrap()
            .targets
            .len(),
        2
    );

    // The depot ends: its document loses the job.
    apply_all(
        &db,
        vec![message(1, &depot(), 1, 1, vec![done(id, 0, None)])],
    );
    let dirty = site::dirty(&db, 10).unwrap();
    assert_eq!(
        (dirty.len(), dirty[0].revision, dirty[0].bucket),
        (1, WantRevision(2), Some(9))
    );
    assert!(dirty[0].jobs.is_empty());
    assert_eq!(site::work(&db, &depot(), id).unwrap(), None);
    // A bucket that knows more than the database: the next document passes it.
    let ahead = Written {
        row: dirty[0].row,
        revision: WantRevision(7),
        bucket: Some(3),
        at_least: WantRevision(8),
    };
    site::written(&db, &[ahead]).unwrap();
    assert_eq!(site::dirty(&db, 10).unwrap()[0].revision, WantRevision(8));
}

#[test]
fn a_cancelled_job_ends_where_it_has_not_begun_and_is_recalled_elsewhere() {
    let db = database();
    hosts(&db, &depot(), 2);
    hosts(&db, &yard(), 2);
    let id = submit(&db, 1, Selector::All);
    apply_all(
        &db,
        vec![message(
            1,
            &depot(),
            1,
            1,
            vec![accepted(id), item(report(id, 0, "A"))],
        )],
    );
    assert!(job::cancel(&db, id, at(100)).unwrap());
    assert!(!job::cancel(&db, id, at(101)).unwrap());
    let states = |view: &tvtfleet_proto::model::job::JobView| {
        view.sites.iter().map(|site| site.state).collect::<Vec<_>>()
    };
    let open = view(&db, id);
    assert_eq!(
        (open.state, states(&open)),
        (
            JobState::Open,
            vec![SiteJobState::Accepted, SiteJobState::Cancelled]
        )
    );
    let recall = site::dirty(&db, 10).unwrap();
    let of_depot = recall.iter().find(|want| want.site == depot()).unwrap();
    assert!(of_depot.jobs[0].cancelled);
    assert_eq!(site::work(&db, &depot(), id).unwrap(), None);
    // The depot never confirms; the grace ends it.
    assert_eq!(job::due(&db, &GRACE, at(159)).unwrap(), []);
    assert_eq!(job::due(&db, &GRACE, at(160)).unwrap(), [id]);
    assert_eq!(job::expire(&db, id, &GRACE, at(160)).unwrap(), 1);
    let ended = view(&db, id);
    assert_eq!(
        (ended.state, ended.ended_at),
        (JobState::Cancelled, Some(at(160)))
    );
    let cancelled = Some(ErrorCode::JobCancelled);
    assert_eq!(
        codes(&rows(&db, id, 0)),
        [None, cancelled, cancelled, cancelled]
    );
    // What had been done meanwhile counts, and changes nothing else.
    apply_all(
        &db,
        vec![message(
            2,
            &depot(),
            1,
            2,
            vec![item(report(id, 1, "B")), done(id, 2, Some((1, 2)))],
        )],
    );
    let late = view(&db, id);
    assert_eq!((late.state, late.devices.ok), (JobState::Cancelled, 2));
    assert!(late.version > ended.version);
    assert_eq!(
        job::cancel(&db, JobId::new(Uuid::nil()), at(0))
            .unwrap_err()
            .code(),
        ErrorCode::JobUnknown
    );
}

#[test]
fn the_deadline_ends_a_job() {
    let db = database();
    hosts(&db, &depot(), 1);
    hosts(&db, &yard(), 1);
    let id = submit(&db, 1, Selector::All);
    apply_all(&db, vec![message(1, &depot(), 1, 1, vec![accepted(id)])]);
    assert_eq!(job::due(&db, &GRACE, at(599)).unwrap(), []);
    assert_eq!(job::expire(&db, id, &GRACE, at(600)).unwrap(), 1);
    assert_eq!(
        view(&db, id).state,
        JobState::Open,
        "the depot may still send its last reports"
    );
    assert_eq!(job::expire(&db, id, &GRACE, at(610)).unwrap(), 1);
    let ended = view(&db, id);
    assert_eq!((ended.state, ended.sites_ended), (JobState::Expired, 2));
    assert_eq!(
        codes(&rows(&db, id, 0)),
        [Some(ErrorCode::SiteMissing), Some(ErrorCode::SiteOffline)]
    );
    assert_eq!(job::due(&db, &GRACE, at(9999)).unwrap(), []);
}

#[test]
fn jobs_are_listed_newest_first() {
    let db = database();
    hosts(&db, &depot(), 1);
    let jobs: Vec<_> = (1..=5)
        .map(|number| submit(&db, number, Selector::All))
        .collect();
    assert_eq!(job::newest(&db).unwrap(), Some(jobs[4]));
    let page = |before, limit| {
        let listed = job::list(&db, &ListJobs { before, limit }).unwrap().rows;
        listed.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 2), [jobs[4], jobs[3]]);
    assert_eq!(page(Some(jobs[3]), 0), [jobs[2], jobs[1], jobs[0]]);
}

#[test]
fn entries_keep_what_the_inventory_said_at_submission() {
    let db = database();
    let named = |text: &str| InventoryEntry {
        hostname: text.into(),
        site_label: "North".into(),
        ..entry("10.0.0.1")
    };
    import(&db, 1, vec![(depot(), named("old"))]);
    let id = submit(&db, 1, Selector::All);
    import(&db, 2, vec![(depot(), named("new"))]);
    let row = rows(&db, id, 0).remove(0);
    assert_eq!(
        (row.entry.hostname.as_str(), row.site_label.as_str()),
        ("old", "North")
    );
}

#[test]
fn the_brake_stops_the_rest_of_a_tenant_and_nobody_else() {
    let db = database();
    let sites = ["acme/depot", "acme/yard", "acme/barn", "globex/harbour"]
        .map(|site| site.parse::<tvtfleet_proto::model::id::SiteId>().unwrap());
    for (number, site) in (0_u128..).zip(&sites) {
        let entries = (1..=10).map(|n| (site.clone(), entry(&format!("10.{number}.0.{n}"))));
        import(&db, number, entries.collect());
        hello(&db, site, number + 1, 1, false);
    }
    let id = submit(&db, 1, Selector::All);
    let refused = |target| {
        let mut report = failed(id, target);
        report.failure = Some(tvtfleet_proto::model::report::Failure {
            credentials_sent: true,
            ..tvtfleet_proto::model::report::Failure::new(ErrorCode::LoginRejected, "no")
        });
        item(report)
    };
    let [depot, yard, barn, harbour] = &sites;
    let first = vec![
        message(1, depot, 1, 1, vec![accepted(id), refused(0), refused(1)]),
        message(2, yard, 2, 1, vec![accepted(id), refused(0), refused(1)]),
        message(3, harbour, 4, 1, (0..9).map(refused).collect()),
    ];
    apply_all(&db, first);
    assert_eq!(
        view(&db, id).reason,
        None,
        "four refusals, and one site alone"
    );
    let before = site::dirty(&db, 9).unwrap().len();
    assert_eq!(before, 4, "nothing has been written yet");
    apply_all(&db, vec![message(4, yard, 2, 2, vec![refused(2)])]);

    let shown = view(&db, id);
    assert_eq!(shown.reason, Some(ErrorCode::JobBraked));
    assert_eq!(shown.state, JobState::Open);
    let states: Vec<_> = shown
        .sites
        .iter()
        .map(|site| (site.state, site.reason))
        .collect();
    assert_eq!(
        states,
        [
            // barn, depot, yard, harbour: by name.
            (SiteJobState::Cancelled, Some(ErrorCode::JobBraked)),
            (SiteJobState::Accepted, None),
            (SiteJobState::Accepted, None),
            (SiteJobState::Accepted, None),
        ]
    );
    let cancelled: Vec<_> = site::dirty(&db, 9)
        .unwrap()
        .into_iter()
        .map(|want| {
            (
                want.site.to_string(),
                want.jobs.iter().map(|job| job.cancelled).collect(),
            )
        })
        .collect::<Vec<(String, Vec<bool>)>>();
    let expected = [
        (depot, vec![true]),
        (yard, vec![true]),
        (barn, vec![]),
        (harbour, vec![false]),
    ]
    .map(|(site, jobs)| (site.to_string(), jobs));
    assert_eq!(cancelled, expected);
    assert!(site::work(&db, depot, id).unwrap().is_none());
    assert!(site::work(&db, harbour, id).unwrap().is_some());
    // An agent that is away is not awaited for longer than a cancelled one.
    assert!(job::due(&db, &GRACE, at(89)).unwrap().is_empty());
    assert_eq!(job::due(&db, &GRACE, at(90)).unwrap(), [id]);
    assert_eq!(job::expire(&db, id, &GRACE, at(90)).unwrap(), 2);
    let missing = codes(&rows(&db, id, 0));
    let braked = missing
        .iter()
        .filter(|code| **code == Some(ErrorCode::JobBraked));
    assert_eq!(braked.count(), 10 + 8 + 7);
}
