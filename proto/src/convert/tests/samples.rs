//! One value of each message, with every field set to something that can be told apart.

use std::time::Duration;

use uuid::Uuid;

use crate::error::ErrorCode;
use crate::model::agent::{AgentFacts, AgentView, Heartbeat, Hello, Progress, Watermark};
use crate::model::api::*;
use crate::model::ask::Ask;
use crate::model::backend::{Backend, BackendChoice};
use crate::model::change::*;
use crate::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};
use crate::model::discovery::Sighting;
use crate::model::id::{Epoch, ImportId, JobId, Sequence, SiteId, TargetNo, WantRevision};
use crate::model::inventory::InventoryEntry;
use crate::model::job::*;
use crate::model::mac::MacAddr;
use crate::model::query::*;
use crate::model::report::{Attempt, DeviceFacts, DeviceFamily, DeviceReport, Failure};
use crate::model::signed::SignedStatement;
use crate::model::time::UtcMillis;
use crate::model::want::*;

pub(super) fn job() -> JobId {
    JobId::new(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001))
}

pub(super) fn epoch() -> Epoch {
    Epoch::new(Uuid::from_u128(0xE0))
}

pub(super) fn site() -> SiteId {
    "acme/depot-1".parse().unwrap()
}

pub(super) fn at(offset: i64) -> UtcMillis {
    UtcMillis::new(1_793_000_000_000 + offset)
}

pub(super) fn entry() -> InventoryEntry {
    InventoryEntry {
        host: "10.0.0.5".parse().unwrap(),
        port: Some(9008),
        site_label: "Depot Süd".into(),
        hostname: "nvr-1".into(),
        mac_text: "58:5b:69:10:00:0b".into(),
        manufacturer: "TVT".into(),
        credential: Some("night".parse().unwrap()),
    }
}

pub(super) fn facts() -> DeviceFacts {
    DeviceFacts {
        name: "NVR-011".into(),
        model: "TD-3316B2".into(),
        serial: "N9K42".into(),
        firmware: "1.4.10.0".into(),
        mac: Some(MacAddr::from([0x58, 0x5B, 0x69, 0x10, 0, 0x0B])),
        total_channels: Some(16),
        family: Some(DeviceFamily::Head),
        protocol_version: Some(11),
        device_type: Some(3),
        config_data_len: Some(4096),
        software_ver_hex: "000a0401".into(),
        build_date: Some(20_240_131),
    }
}

pub(super) fn report() -> DeviceReport {
    DeviceReport {
        job: job(),
        target: TargetNo(7),
        ask: Ask::Scan,
        observed_at: at(1),
        backend: Backend::Protocol,
        facts: facts(),
        channels: vec![
            Channel {
                label: ChannelLabel::Number(-3),
                name: "入口".into(),
                address: "10.20.1.11".into(),
                port: 9008,
                status: ChannelStatus::Online,
                status_source: StatusSource::ChannelList,
                protocol: "TVT".into(),
                model: "TD-9544S4-C".into(),
            },
            Channel {
                label: ChannelLabel::Text("D1".into()),
                name: String::new(),
                address: String::new(),
                port: 0,
                status: ChannelStatus::Other("Recording".into()),
                status_source: StatusSource::LoginRecord,
                protocol: String::new(),
                model: String::new(),
            },
        ],
        failure: Some(Failure {
            code: ErrorCode::LoginRejected,
            text: "Login failed: invalid credentials".into(),
            credentials_sent: true,
            wire_code: Some(2),
        }),
        warnings: vec![ErrorCode::AddressesUnknown, ErrorCode::Truncated],
        attempts: vec![
            Attempt {
                backend: Backend::Protocol,
                started_at: at(0),
                duration: Duration::from_millis(123),
                code: Some(ErrorCode::LoginRejected),
            },
            Attempt {
                backend: Backend::Protocol,
                started_at: at(2),
                duration: Duration::ZERO,
                code: None,
            },
        ],
        answer: None,
        found: None,
    }
}

pub(super) fn options() -> WorkOptions {
    WorkOptions {
        ask: Ask::Probe,
        backend: BackendChoice::Only(Backend::Protocol),
        credential: Some("nvr-default".parse().unwrap()),
        parallel: 32,
        device_deadline: Duration::from_secs(20),
        scope: Default::default(),
        discover: None,
        order: None,
    }
}

pub(super) fn spec(selector: Selector) -> JobSpec {
    JobSpec {
        selector,
        work: options(),
        deadline: Duration::from_secs(900),
        note: "weekly".into(),
    }
}

pub(super) fn selectors() -> Vec<Selector> {
    vec![
        Selector::All,
        Selector::Match {
            tenants: vec!["acme".parse().unwrap()],
            sites: vec![site()],
            labels: vec!["gold".into()],
        },
        Selector::Import(ImportId::new(Uuid::from_u128(5))),
        Selector::FailedOf(job()),
    ]
}

fn counts() -> DeviceCounts {
    DeviceCounts {
        total: 9,
        ok: 5,
        failed: 2,
        channels: 160,
    }
}

pub(super) fn job_view() -> JobView {
    JobView {
        id: job(),
        spec: spec(Selector::All),
        submitted_by: "UABC".into(),
        submitted_at: at(0),
        deadline_at: at(9),
        ended_at: Some(at(8)),
        state: JobState::Expired,
        devices: counts(),
        sites_total: 3,
        sites_ended: 2,
        version: 77,
        reason: None,
        sites: vec![SiteJobView {
            site: site(),
            display_name: "Depot".into(),
            state: SiteJobState::Refused,
            online: true,
            last_seen: Some(at(3)),
            devices: counts(),
            reason: Some(ErrorCode::SiteSpoolFull),
        }],
    }
}

pub(super) fn want() -> WantDoc {
    let target = Target {
        number: TargetNo(4),
        endpoint: "10.0.0.5:6036".parse().unwrap(),
        known_mac: facts().mac,
        trusted: true,
        credential: Some("night".parse().unwrap()),
        settings: Default::default(),
    };
    WantDoc {
        site: site(),
        revision: WantRevision(12),
        issued_at: at(0),
        jobs: vec![
            JobWant {
                job: job(),
                state: WantState::Run,
                not_after: at(100),
                traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
                target_count: 1,
                work: Some(SiteWork {
                    options: options(),
                    targets: vec![target],
                }),
                order: None,
            },
            JobWant {
                job: job(),
                state: WantState::Cancel,
                not_after: at(200),
                traceparent: String::new(),
                target_count: 5000,
                work: None,
                order: None,
            },
        ],
        operators: None,
        credentials: Vec::new(),
    }
}

pub(super) fn signed() -> SignedStatement {
    SignedStatement {
        statement: b"{}".to_vec(),
        signature: vec![7; 64],
    }
}

/// The want document with an operator's order.
pub(super) fn ordered() -> WantDoc {
    let mut doc = want();
    doc.operators = Some(signed());
    doc.jobs[0].order = Some(signed());
    doc
}

pub(super) fn unsigned() -> UnsignedWork {
    let work = want().jobs.swap_remove(0).work.unwrap();
    UnsignedWork {
        job: job(),
        not_after: at(9),
        sites: vec![(site(), work)],
    }
}

pub(super) fn batch() -> OutBatch {
    let done = |outcome, range| {
        OutItem::Event(SiteEvent::Done {
            job: job(),
            at: at(5),
            outcome,
            records: 9,
            range,
        })
    };
    OutBatch {
        site: site(),
        epoch: epoch(),
        sequence: Sequence(3),
        items: vec![
            OutItem::Report(Box::new(report())),
            OutItem::Event(SiteEvent::Accepted {
                job: job(),
                at: at(4),
            }),
            done(SiteOutcome::Complete, Some((Sequence(1), Sequence(3)))),
            done(SiteOutcome::Cancelled, None),
            done(SiteOutcome::Expired, None),
            done(SiteOutcome::Refused(ErrorCode::SiteSpoolFull), None),
        ],
    }
}

fn agent_facts() -> AgentFacts {
    AgentFacts {
        version: "0.1.0".into(),
        hostname: "edge-1".into(),
        platform: "linux-x86_64".into(),
        // As frozen by the first release, which knew none.
        backends: Vec::new(),
    }
}

pub(super) fn hello() -> Hello {
    Hello {
        site: site(),
        epoch: epoch(),
        oldest: Sequence(2),
        next: Sequence(9),
        want_revision: WantRevision(12),
        facts: agent_facts(),
        home: String::new(),
    }
}

pub(super) fn progress() -> Progress {
    Progress {
        job: job(),
        done: 3,
        failed: 1,
        running: 2,
        total: 9,
        found: 0,
        probes_done: 0,
        probes_total: 0,
    }
}

pub(super) fn heartbeat() -> Heartbeat {
    Heartbeat {
        site: site(),
        epoch: epoch(),
        next: Sequence(9),
        want_revision: WantRevision(12),
        spool_bytes: 4096,
        agent_time: at(6),
        progress: vec![progress()],
        health: None,
        home: String::new(),
    }
}

pub(super) fn watermark() -> Watermark {
    Watermark {
        epoch: epoch(),
        committed: Sequence(8),
        resend_from: Some(Sequence(3)),
        want_revision: WantRevision(13),
        server_time: at(7),
        refused: Some(ErrorCode::SiteClaimed),
        watched: true,
        rotate: false,
    }
}

pub(super) fn rows() -> Page<ResultRow> {
    let row = |site, outcome| ResultRow {
        site,
        site_label: "Depot Süd".into(),
        entry: entry(),
        port: 9008,
        device_id: "sn:N9K42".into(),
        outcome,
    };
    Page {
        rows: vec![
            row(Some(site()), RowOutcome::Reported(Box::new(report()))),
            row(
                None,
                RowOutcome::Missing {
                    job: job(),
                    code: ErrorCode::SiteOffline,
                },
            ),
        ],
        next: Some("acme/depot-1#8".into()),
    }
}

pub(super) fn devices() -> Page<DeviceView> {
    let view = DeviceView {
        device_id: "sn:N9K42".into(),
        site: site(),
        site_display_name: "Depot".into(),
        entry: entry(),
        labels: vec!["gold".into()],
        facts: facts(),
        channel_count: Some(2),
        channels: report().channels,
        first_known: at(0),
        last_report: Some(at(5)),
        last_success: Some(at(4)),
        last_failure: Some(ErrorCode::ConnectTimeout),
        note: String::new(),
        sighting: Sighting::default(),
    };
    Page {
        rows: vec![view],
        next: None,
    }
}

pub(super) fn list_devices() -> ListDevices {
    ListDevices {
        tenants: vec!["acme".parse().unwrap()],
        sites: vec![site()],
        labels: vec!["gold".into()],
        text: "nvr".into(),
        with_channels: true,
        cursor: "c".into(),
        limit: 50,
        at: None,
        standings: vec![],
    }
}

/// What later versions added to a page of devices.
pub(super) fn noted_devices() -> Page<DeviceView> {
    let mut page = devices();
    for view in &mut page.rows {
        view.note = "behind the bar".into();
    }
    page
}

pub(super) fn list_changes() -> ListChanges {
    ListChanges {
        tenants: vec!["acme".parse().unwrap()],
        sites: vec![site()],
        devices: vec!["nvr-1".into()],
        kinds: vec![ChangeKind::Moved, ChangeKind::ChannelStatus],
        since: Some(at(1)),
        until: Some(at(2)),
        cursor: "c".into(),
        limit: 50,
        after: Some(7),
        wait: Duration::from_secs(20),
    }
}

pub(super) fn changes() -> ChangePage {
    ChangePage {
        rows: vec![Change {
            id: Uuid::from_u128(77),
            at: at(3),
            site: site(),
            device_id: "sn:N9K42".into(),
            hostname: "nvr-1".into(),
            address: "10.0.0.5:9008".into(),
            kind: ChangeKind::ChannelStatus,
            channel: "4".into(),
            channel_name: "Gate".into(),
            field: "status".into(),
            old: "Online".into(),
            new: "Offline".into(),
            job: Some(job()),
        }],
        next: Some("n".into()),
        position: 12,
    }
}

pub(super) fn edit() -> EditDevices {
    EditDevices {
        devices: vec!["nvr-1".into()],
        add_labels: vec!["gold".into()],
        remove_labels: vec!["old".into()],
        note: Some("behind the bar".into()),
        forget: true,
        verify: false,
    }
}

pub(super) fn past_results() -> ImportResults {
    ImportResults {
        import: ImportId::new(Uuid::from_u128(5)),
        site: site(),
        results: vec![PastResult {
            entry: entry(),
            report: report(),
        }],
    }
}

pub(super) fn query() -> RunQuery {
    RunQuery {
        sql: "SELECT 1".into(),
        skip: 1000,
        limit: 50,
    }
}

pub(super) fn answer() -> QueryPage {
    QueryPage {
        columns: ["a", "b", "c", "d", "e"].map(Into::into).into(),
        rows: vec![vec![
            SqlValue::Null,
            SqlValue::Integer(-4),
            SqlValue::Real(0.5),
            SqlValue::Text("x".into()),
            SqlValue::Blob(vec![1, 2]),
        ]],
        more: true,
        channels_pending: 3,
    }
}

pub(super) fn import() -> ImportDevices {
    ImportDevices {
        import: ImportId::new(Uuid::from_u128(5)),
        entries: vec![(site(), entry())],
        labels: vec!["gold".into()],
        create_sites: true,
    }
}

pub(super) fn imported() -> Imported {
    Imported {
        added: 1,
        updated: 2,
        unchanged: 3,
        sites_added: vec![site()],
        refused: vec![(4, ErrorCode::InventoryEntryNoSite, "no site x".into())],
    }
}

pub(super) fn site_view() -> SiteView {
    SiteView {
        site: site(),
        display_name: "Depot".into(),
        labels: vec!["gold".into()],
        online: true,
        last_seen: Some(at(1)),
        devices: 9,
        failing: 2,
        open_jobs: 1,
    }
}

pub(super) fn agent_view() -> AgentView {
    AgentView {
        site: site(),
        online: true,
        last_seen: Some(at(2)),
        facts: agent_facts(),
        epoch: Some(epoch()),
        committed: Sequence(8),
        next: Sequence(9),
        spool_bytes: 4096,
        clock_skew_ms: -250,
        want_taken: WantRevision(12),
        want_newest: WantRevision(13),
        health: None,
    }
}
