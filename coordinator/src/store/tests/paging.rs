//! Lists of a fleet larger than an answer.

use std::collections::BTreeSet;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{AddSite, ListJobs, ListSites};
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::job::Selector;

use super::fixture::*;
use crate::store::{job, site};

const SITES: u16 = 2_345;

fn site_of(number: u16) -> SiteId {
    format!("t{}/s{number:05}", number % 7).parse().unwrap()
}

fn fleet() -> rusqlite::Connection {
    let db = database();
    db.execute_batch("BEGIN").unwrap();
    for number in 0..SITES {
        import(
            &db,
            u128::from(number),
            vec![(site_of(number), entry("10.0.0.1"))],
        );
        let named = AddSite {
            site: site_of(number),
            display_name: "Ω".repeat(100),
            labels: vec![format!("l{number}"), "all".into()],
        };
        site::add(&db, &named, at(1)).unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
    db
}

/// Sites of all pages, each once and in order, and how many pages it took.
fn pages(db: &rusqlite::Connection, mut request: ListSites) -> (Vec<SiteId>, usize) {
    let (mut sites, mut count) = (Vec::new(), 0);
    loop {
        let page = site::list(db, &request).unwrap();
        sites.extend(page.rows.into_iter().map(|view| view.site));
        count += 1;
        match page.next {
            Some(next) => request.cursor = next,
            None => break,
        }
    }
    assert!(sites.is_sorted());
    assert_eq!(sites.iter().collect::<BTreeSet<_>>().len(), sites.len());
    (sites, count)
}

#[test]
fn sites_come_in_pages() {
    let db = fleet();
    assert_eq!(pages(&db, ListSites::default()).0.len(), usize::from(SITES));
    let few = ListSites {
        limit: 400,
        ..ListSites::default()
    };
    let (sites, count) = pages(&db, few);
    assert_eq!((sites.len(), count), (usize::from(SITES), 6));
    let tenant = ListSites {
        tenants: vec!["t3".parse().unwrap()],
        limit: 100,
        ..ListSites::default()
    };
    let (sites, count) = pages(&db, tenant);
    assert_eq!((sites.len(), count), (335, 4));
    assert!(sites.iter().all(|site| site.tenant.as_str() == "t3"));
    let page = site::list(
        &db,
        &ListSites {
            site: Some(site_of(9)),
            ..ListSites::default()
        },
    );
    let page = page.unwrap();
    assert_eq!((page.rows.len(), page.next), (1, None));
    assert_eq!(page.rows[0].labels, ["all", "l9"]);
    for cursor in ["x", "a/b/c", "/", "a/B\n"] {
        let bad = ListSites {
            cursor: cursor.into(),
            ..ListSites::default()
        };
        let error = site::list(&db, &bad).unwrap_err();
        assert_eq!(error.code(), ErrorCode::UsageInvalid, "{cursor:?}");
    }
}

#[test]
fn the_sites_of_a_job_come_in_pages() {
    let db = fleet();
    let id = submit(&db, 1, Selector::All);
    let (mut cursor, mut seen, mut pages) = (String::new(), BTreeSet::new(), 0);
    loop {
        let (view, next) = job::view(&db, id, &cursor).unwrap().unwrap();
        assert_eq!(
            view.sites_total,
            u32::from(SITES),
            "the head is the same in each page"
        );
        for site in view.sites {
            assert!(seen.insert(site.site.clone()), "{} twice", site.site);
        }
        pages += 1;
        match next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (usize::from(SITES), 3));
    let error = job::view(&db, id, "x").unwrap_err();
    assert_eq!(error.code(), ErrorCode::UsageInvalid);
    let listed = job::list(&db, &ListJobs::default()).unwrap();
    assert_eq!((listed.rows.len(), listed.next), (1, None));
    assert!(listed.rows[0].sites.is_empty(), "a list has no sites");
}
