//! Domain → wire → bytes → wire → domain is the identity, and hostile bytes are refused by field.

use std::fmt::Debug;
use std::time::Duration;

use proptest::prelude::*;
use prost::Message;
use uuid::Uuid;

use super::{audited, discovered, health, pushed, samples};
use crate::convert::BadField;
use crate::error::ErrorCode;
use crate::model::agent::{AgentView, Heartbeat, Hello};
use crate::model::api::*;
use crate::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};
use crate::model::id::{JobId, Sequence, TargetNo};
use crate::model::report::{DeviceFacts, DeviceReport, Failure};
use crate::model::time::UtcMillis;
use crate::model::want::{OutBatch, OutItem};
use crate::wire::v1;

fn trip<M, W>(model: &M) -> M
where
    M: Clone + TryFrom<W>,
    W: From<M> + Message + Default,
    M::Error: Debug,
{
    let wire = W::from(model.clone());
    M::try_from(W::decode(wire.encode_to_vec().as_slice()).unwrap()).unwrap()
}

#[test]
fn every_message_survives_the_trip() {
    macro_rules! check {
        ($($wire:ident: $sample:expr;)+) => { $( assert_eq!(trip::<_, v1::$wire>(&$sample), $sample); )+ };
    }
    check! {
        DeviceReport: samples::report();
        InventoryEntry: samples::entry();
        WantDoc: samples::want();
        OutBatch: samples::batch();
        Hello: samples::hello();
        Heartbeat: samples::heartbeat();
        Heartbeat: Heartbeat { health: Some(health::spool_health()), ..samples::heartbeat() };
        Hello: Hello { home: "boot.1.2".into(), ..samples::hello() };
        Watermark: samples::watermark();
        JobView: samples::job_view();
        Submitted: Submitted { job: samples::job_view() };
        JobStatus: JobStatus {
            job: samples::job_view(),
            progress: vec![(samples::site(), samples::progress())],
        next: Some("x".into()),
        };
        ListJobs: ListJobs { before: Some(samples::job()), limit: 3 };
        ShowJob: ShowJob { job: None, after_version: 4, wait: Duration::from_secs(5), cursor: "x".into() };
        JobList: Page { rows: vec![samples::job_view()], next: Some("x".into()) };
        WantDoc: samples::ordered();
        SignJob: SignJob { job: samples::job(), orders: vec![(samples::site(), samples::signed())] };
        UnsignedWork: samples::unsigned();
        OutBatch: pushed::batch();
        WantDoc: pushed::want();
        PushCredentials: pushed::push();
        ListCredentials: pushed::list();
        CredentialPage: pushed::page();
        ListSealingKeys: pushed::list_keys();
        SealingKeyPage: pushed::keys();
        CancelJob: CancelJob { job: samples::job() };
        ReadResults: ReadResults { job: samples::job(), cursor: "x".into(), limit: 9, site: None, after: None };
        ResultPage: samples::rows();
        DevicePage: samples::devices();
        ListDevices: samples::list_devices();
        ShowDevice: ShowDevice { name: "nvr-1".into(), at: Some(samples::at(1)) };
        ListDevices: ListDevices { at: Some(samples::at(1)), ..samples::list_devices() };
        DevicePage: samples::noted_devices();
        ListChanges: samples::list_changes();
        ChangePage: samples::changes();
        ListAudit: audited::list();
        AuditPage: audited::page();
        EditDevices: samples::edit();
        ImportResults: samples::past_results();
        RunQuery: samples::query();
        QueryPage: samples::answer();
        ImportDevices: samples::import();
        Imported: samples::imported();
        ListSites: ListSites { tenants: vec![], site: Some(samples::site()), cursor: "x".into(), limit: 9 };
        SiteList: Page { rows: vec![samples::site_view()], next: Some("x".into()) };
        ListAgents: ListAgents { cursor: "x".into(), limit: 9 };
        AgentList: Page { rows: vec![samples::agent_view()], next: Some("x".into()) };
        AddSite: AddSite { site: samples::site(), display_name: "D".into(), labels: vec!["l".into()] };
        SiteView: samples::site_view();
        AgentView: samples::agent_view();
        AgentView: AgentView { health: Some(health::spool_health()), ..samples::agent_view() };
        Checkup: health::checkup();
        DiscoverOptions: discovered::discover_options();
        DiscoverReport: discovered::discover_report();
        CoordinatorInfo: CoordinatorInfo {
            version: "1".into(),
            started_at: samples::at(0),
            applied: 4,
            quarantined: 1,
        };
    }
    for selector in samples::selectors() {
        let submit = SubmitJob {
            idempotency_key: Uuid::from_u128(9),
            spec: samples::spec(selector),
        };
        assert_eq!(trip::<_, v1::SubmitJob>(&submit), submit);
    }
}

#[test]
fn the_wrong_field_is_named() {
    let field = |change: fn(&mut v1::DeviceReport)| {
        let mut wire = v1::DeviceReport::from(samples::report());
        change(&mut wire);
        DeviceReport::try_from(wire).map_err(|bad: BadField| bad.field)
    };
    assert_eq!(field(|wire| wire.job = vec![1]), Err("job"));
    assert_eq!(field(|wire| wire.facts = None), Err("facts"));
    assert_eq!(field(|wire| wire.ask = "format-disk".into()), Err("ask"));
    assert_eq!(field(|wire| wire.channels[0].port = 65_536), Err("port"));
    assert_eq!(field(|wire| wire.channels[0].label = None), Err("label"));
}

#[test]
fn a_code_of_a_newer_program_does_not_lose_the_report() {
    let mut wire = v1::DeviceReport::from(samples::report());
    wire.failure.as_mut().unwrap().code = "device.on_fire".into();
    wire.warnings.push("device.smells".into());
    let failure = DeviceReport::try_from(wire).unwrap().failure.unwrap();
    assert_eq!(failure.code, ErrorCode::MessageVersion);
    assert!(
        failure.text.ends_with("(device.on_fire)"),
        "{}",
        failure.text
    );
}

#[test]
fn a_document_of_another_version_is_refused() {
    let mut wire = v1::WantDoc::from(samples::want());
    wire.version = 2;
    assert_eq!(
        crate::model::want::WantDoc::try_from(wire).map_err(|bad| bad.field),
        Err("version")
    );
}

fn channels() -> impl Strategy<Value = Channel> {
    let label = prop_oneof![
        any::<i64>().prop_map(ChannelLabel::Number),
        any::<String>().prop_map(ChannelLabel::Text),
    ];
    let status = any::<String>().prop_map(|text| ChannelStatus::from_text(&text));
    (
        label,
        any::<String>(),
        any::<String>(),
        any::<u16>(),
        status,
        any::<bool>(),
    )
        .prop_map(|(label, name, address, port, status, listed)| Channel {
            label,
            name,
            address,
            port,
            status,
            status_source: if listed {
                StatusSource::ChannelList
            } else {
                StatusSource::LoginRecord
            },
            protocol: String::new(),
            model: String::new(),
        })
}

fn reports() -> impl Strategy<Value = DeviceReport> {
    let code = proptest::sample::select(ErrorCode::ALL);
    let failure = proptest::option::of((code.clone(), any::<String>(), any::<bool>()).prop_map(
        |(code, text, credentials_sent)| Failure {
            code,
            text,
            credentials_sent,
            wire_code: None,
        },
    ));
    (
        any::<u128>(),
        any::<u32>(),
        any::<i64>(),
        proptest::collection::vec(channels(), 0..8),
        failure,
        proptest::collection::vec(code, 0..4),
        any::<Option<u32>>(),
        any::<String>(),
    )
        .prop_map(
            |(job, target, at, channels, failure, warnings, total_channels, name)| DeviceReport {
                job: JobId::new(Uuid::from_u128(job)),
                target: TargetNo(target),
                observed_at: UtcMillis::new(at),
                facts: DeviceFacts {
                    total_channels,
                    name,
                    ..DeviceFacts::default()
                },
                channels,
                failure,
                warnings,
                ..samples::report()
            },
        )
}

proptest! {
    #[test]
    fn any_report_survives_the_trip(report in reports()) {
        prop_assert_eq!(trip::<_, v1::DeviceReport>(&report), report);
    }

    #[test]
    fn any_batch_survives_the_envelope(report in reports(), sequence in 1_u64..) {
        let batch = OutBatch {
            sequence: Sequence(sequence),
            items: vec![OutItem::Report(Box::new(report))],
            ..samples::batch()
        };
        let sealed = crate::envelope::seal(&v1::OutBatch::from(batch.clone()));
        let opened: v1::OutBatch = crate::envelope::open(&sealed, crate::envelope::BODY_MAX).unwrap();
        prop_assert_eq!(OutBatch::try_from(opened).unwrap(), batch);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        if let Ok(wire) = v1::OutBatch::decode(bytes.as_slice()) {
            let _ = OutBatch::try_from(wire);
        }
        if let Ok(wire) = v1::WantDoc::decode(bytes.as_slice()) {
            let _ = crate::model::want::WantDoc::try_from(wire);
        }
    }
}
