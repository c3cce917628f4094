//! Discoveries of the fleet: samples, and what their messages keep.

use prost::Message;
use uuid::Uuid;

use super::{discovered, samples};
use crate::convert::BadField;
use crate::error::ErrorCode;
use crate::model::agent::Progress;
use crate::model::api::{ListDevices, Page, ReadResults, ReadSearches, SiteSearched, SubmitJob};
use crate::model::ask::Ask;
use crate::model::backend::{Backend, BackendChoice};
use crate::model::discovery::{NETWORKS_MAX, Searched, Sighting, Standing};
use crate::model::id::{Sequence, TargetNo};
use crate::model::job::{JobSpec, Selector, WorkOptions};
use crate::model::query::EditDevices;
use crate::model::report::{DeviceReport, Failure};
use crate::model::want::{OutBatch, OutItem};
use crate::wire::v1;

pub(super) fn submit() -> SubmitJob {
    let spec = JobSpec {
        work: WorkOptions {
            ask: Ask::Discover,
            discover: Some(Box::new(discovered::discover_options())),
            ..samples::options()
        },
        ..samples::spec(Selector::All)
    };
    SubmitJob {
        idempotency_key: Uuid::from_u128(9),
        spec,
    }
}

pub(super) fn searched() -> Searched {
    let report = discovered::discover_report();
    Searched {
        job: samples::job(),
        at: samples::at(3),
        politeness: report.politeness,
        notes: report.notes,
        covered: vec!["10.20.0.0/24".parse().unwrap()],
        excluded: vec!["10.20.0.1/32".parse().unwrap()],
        found: 1,
        failure: Some(Failure::new(ErrorCode::PolicyRefused, "not allowed")),
    }
}

pub(super) fn found() -> DeviceReport {
    let device = discovered::discover_report().devices.into_iter().next();
    DeviceReport {
        ask: Ask::Discover,
        backend: Backend::Discovery,
        found: device.map(Box::new),
        ..samples::report()
    }
}

pub(super) fn batch() -> OutBatch {
    OutBatch {
        sequence: Sequence(9),
        items: vec![
            OutItem::Report(Box::new(found())),
            OutItem::Searched(Box::new(searched())),
        ],
        ..samples::batch()
    }
}

pub(super) fn searches() -> Page<SiteSearched> {
    Page {
        rows: vec![SiteSearched {
            site: samples::site(),
            searched: searched(),
        }],
        next: Some("3".into()),
    }
}

/// What discoveries added to messages that were there before.
pub(super) fn additions() -> Vec<(&'static str, Vec<u8>)> {
    let mut devices = samples::devices();
    for view in &mut devices.rows {
        view.sighting = Sighting {
            standings: [Standing::New, Standing::Unverified].into(),
            last_seen: Some(samples::at(2)),
            seen: found().found,
        };
    }
    let progress = Progress {
        found: 3,
        probes_done: 200,
        probes_total: 508,
        ..samples::progress()
    };
    vec![
        (
            "DevicePageSeen",
            v1::DevicePage::from(devices).encode_to_vec(),
        ),
        (
            "ProgressSearching",
            v1::Progress::from(progress).encode_to_vec(),
        ),
        (
            "EditDevicesVerify",
            v1::EditDevices::from(EditDevices {
                verify: true,
                ..samples::edit()
            })
            .encode_to_vec(),
        ),
        (
            "ListDevicesStanding",
            v1::ListDevices::from(ListDevices {
                standings: vec![Standing::Gone],
                ..samples::list_devices()
            })
            .encode_to_vec(),
        ),
        (
            "ReadResultsAfter",
            v1::ReadResults::from(ReadResults {
                job: samples::job(),
                cursor: String::new(),
                limit: 0,
                site: Some(samples::site()),
                after: Some(TargetNo(4)),
            })
            .encode_to_vec(),
        ),
    ]
}

#[test]
fn a_discovery_survives_the_trip() {
    assert_eq!(v1::SubmitJob::from(submit()).try_into(), Ok(submit()));
    assert_eq!(v1::OutBatch::from(batch()).try_into(), Ok(batch()));
    assert_eq!(v1::SearchPage::from(searches()).try_into(), Ok(searches()));
    let request = ReadSearches {
        job: samples::job(),
        cursor: "x".into(),
        limit: 7,
    };
    assert_eq!(
        v1::ReadSearches::from(request.clone()).try_into(),
        Ok(request)
    );
}

#[test]
fn a_discovery_without_options_is_refused() {
    let mut wire = v1::WorkOptions::from(submit().spec.work);
    wire.discover = None;
    let bad = WorkOptions::try_from(wire).map_err(|bad: BadField| bad.field);
    assert_eq!(bad, Err("discover"));
    let mut wire = v1::WorkOptions::from(submit().spec.work);
    if let Some(options) = &mut wire.discover {
        options.subnets = vec!["10.0.0.0/24".into(); NETWORKS_MAX + 1];
    }
    let bad = WorkOptions::try_from(wire).map_err(|bad: BadField| bad.field);
    assert_eq!(bad, Err("subnets"));
}

#[test]
fn no_job_is_done_by_discovery_alone() {
    assert!("discovery".parse::<Backend>().is_ok());
    assert!("discovery".parse::<BackendChoice>().is_err());
}
