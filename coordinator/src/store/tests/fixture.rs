//! A database with a site or more, and the messages of their agents.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::Connection;
use uuid::Uuid;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::agent::{AgentFacts, Hello};
use tvtfleet_proto::model::api::{
    ImportDevices, Imported, ListDevices, Page, ReadResults, ResultRow, RowOutcome, ShowDevice,
};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};
use tvtfleet_proto::model::id::{Epoch, ImportId, JobId, Sequence, SiteId, TargetNo, WantRevision};
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::job::{JobSpec, JobView, Selector, WorkOptions};
use tvtfleet_proto::model::report::{DeviceFacts, DeviceReport, Failure};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{OutItem, SiteEvent, SiteOutcome};
use tvtfleet_proto::subject;

use crate::store::{Applied, Batch, Incoming, apply, inventory, job, schema, site};

/// A moment after the start of every test.
pub(super) fn at(seconds: i64) -> UtcMillis {
    UtcMillis::new(1_790_000_000_000 + seconds * 1000)
}

pub(super) fn depot() -> SiteId {
    "acme/depot".parse().unwrap()
}

pub(super) fn epoch(number: u128) -> Epoch {
    Epoch::new(Uuid::from_u128(number))
}

pub(super) fn database() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::prepare(&mut connection, true).unwrap();
    connection
}

pub(super) fn entry(host: &str) -> InventoryEntry {
    InventoryEntry::bare(host.parse().unwrap())
}

pub(super) fn import(
    db: &Connection,
    number: u128,
    entries: Vec<(SiteId, InventoryEntry)>,
) -> Imported {
    let request = ImportDevices {
        import: ImportId::new(Uuid::from_u128(number)),
        entries,
        labels: Vec::new(),
        create_sites: true,
    };
    inventory::import(
        db,
        &request,
        at(i64::try_from(number % 1000).unwrap() * 100),
    )
    .unwrap()
}

/// Hosts `10.0.0.1` onwards at a site.
pub(super) fn hosts(db: &Connection, site: &SiteId, count: u32) {
    let entries =
        (1..=count).map(|n| (site.clone(), entry(&format!("10.0.{}.{}", n >> 8, n & 255))));
    import(db, 0, entries.collect());
}

pub(super) fn hello(
    db: &Connection,
    site: &SiteId,
    of: u128,
    oldest: u64,
    alive: bool,
) -> site::Claim {
    let hello = Hello {
        site: site.clone(),
        epoch: epoch(of),
        oldest: Sequence(oldest),
        next: Sequence(oldest),
        want_revision: WantRevision(0),
        facts: AgentFacts::default(),
        home: String::new(),
    };
    site::claim(db, &hello, alive, at(0)).unwrap()
}

pub(super) fn submission(number: u128, selector: Selector) -> job::Submission {
    job::Submission {
        online: BTreeSet::new(),
        id: JobId::new(Uuid::from_u128(number)),
        idempotency: Uuid::from_u128(number),
        spec: JobSpec {
            selector,
            work: WorkOptions::default(),
            deadline: Duration::from_secs(600),
            note: String::new(),
        },
        user: "U".into(),
        now: at(0),
        traceparent: String::new(),
        needs_order: false,
    }
}

pub(super) fn submit(db: &Connection, number: u128, selector: Selector) -> JobId {
    job::submit(db, &submission(number, selector)).unwrap()
}

pub(super) fn channel(number: i64, name: &str) -> Channel {
    Channel {
        label: ChannelLabel::Number(number),
        name: name.into(),
        address: format!("192.168.1.{number}"),
        port: 9008,
        status: ChannelStatus::Online,
        status_source: StatusSource::ChannelList,
        protocol: "TVT".into(),
        model: "TD-9421".into(),
    }
}

/// A good report of a recorder with two channels.
pub(super) fn report(job: JobId, target: u32, serial: &str) -> DeviceReport {
    DeviceReport {
        job,
        target: TargetNo(target),
        ask: Ask::Scan,
        observed_at: at(10),
        backend: Backend::Protocol,
        facts: DeviceFacts {
            serial: serial.into(),
            model: "TD-3316".into(),
            firmware: "1.4.10".into(),
            ..DeviceFacts::default()
        },
        channels: vec![channel(1, "Gate"), channel(2, "Yard")],
        failure: None,
        warnings: Vec::new(),
        attempts: Vec::new(),
        answer: None,
        found: None,
    }
}

pub(super) fn failed(job: JobId, target: u32) -> DeviceReport {
    DeviceReport {
        facts: DeviceFacts::default(),
        channels: Vec::new(),
        failure: Some(Failure::new(ErrorCode::ConnectTimeout, "no answer")),
        ..report(job, target, "")
    }
}

pub(super) fn item(report: DeviceReport) -> OutItem {
    OutItem::Report(Box::new(report))
}

pub(super) fn accepted(job: JobId) -> OutItem {
    OutItem::Event(SiteEvent::Accepted { job, at: at(1) })
}

pub(super) fn done(job: JobId, records: u32, range: Option<(u64, u64)>) -> OutItem {
    OutItem::Event(SiteEvent::Done {
        job,
        at: at(20),
        outcome: SiteOutcome::Complete,
        records,
        range: range.map(|(first, last)| (Sequence(first), Sequence(last))),
    })
}

/// A message as the stream would hold it.
pub(super) fn message(
    position: u64,
    site: &SiteId,
    of: u128,
    sequence: u64,
    items: Vec<OutItem>,
) -> Incoming {
    Incoming {
        position,
        subject: subject::out(site, tvtfleet_proto::model::want::Lane::Records),
        content: Ok(Batch {
            site: site.clone(),
            epoch: epoch(of),
            sequence: Sequence(sequence),
            items: items.into_iter().map(|item| Ok(item.into())).collect(),
        }),
    }
}

pub(super) fn apply_all(db: &Connection, messages: Vec<Incoming>) -> Applied {
    apply(db, messages, at(30)).unwrap()
}

pub(super) fn view(db: &Connection, id: JobId) -> JobView {
    let (view, next) = job::view(db, id, "").unwrap().unwrap();
    assert_eq!(next, None, "one page");
    view
}

/// All rows of a job, read in pages of `limit`.
pub(super) fn rows(db: &Connection, id: JobId, limit: u32) -> Vec<ResultRow> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let request = ReadResults {
            job: id,
            cursor,
            limit,
            site: None,
            after: None,
        };
        let page: Page<ResultRow> = job::page(db, &request, &BTreeSet::new()).unwrap();
        rows.extend(page.rows);
        match page.next {
            Some(next) => cursor = next,
            None => return rows,
        }
    }
}

pub(super) fn codes(rows: &[ResultRow]) -> Vec<Option<ErrorCode>> {
    rows.iter()
        .map(|row| match &row.outcome {
            RowOutcome::Reported(report) => report.headline_code(),
            RowOutcome::Missing { code, .. } => Some(*code),
        })
        .collect()
}

/// Name and host of every device that stands somewhere.
pub(super) fn standing(db: &Connection) -> Vec<(String, String)> {
    let page = inventory::list(db, &ListDevices::default()).unwrap();
    page.rows
        .into_iter()
        .map(|view| (view.device_id, view.entry.host.to_string()))
        .collect()
}

pub(super) fn show(db: &Connection, name: &str) -> Result<String, ErrorCode> {
    inventory::show(
        db,
        &ShowDevice {
            name: name.into(),
            at: None,
        },
    )
    .map(|view| view.device_id)
    .map_err(|error| error.code())
}

pub(super) fn number(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}
