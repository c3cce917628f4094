//! A made-up fleet: its inventory, what its recorders report, and the bench's part as its agents.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use prost::Message;
use tvtfleet_bus::Bus;
use tvtfleet_bus::clock::{Clock, SystemClock};
use tvtfleet_bus::rpc::request;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::agent::{AgentFacts, Hello, Watermark};
use tvtfleet_proto::model::api::{IMPORT_CHUNK, ImportDevices};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};
use tvtfleet_proto::model::id::{Epoch, ImportId, JobId, Sequence, SiteId, TargetNo, WantRevision};
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::report::{Attempt, DeviceFacts, DeviceFamily, DeviceReport};
use tvtfleet_proto::model::want::{OutBatch, OutItem, SiteEvent, SiteOutcome};
use tvtfleet_proto::subject::{self, ApiOp, RpcOp};
use tvtfleet_proto::wire::v1;
use uuid::Uuid;

use crate::service::ask;

/// The content of a batch after which agents seal it, in bytes.
pub(crate) const BATCH_BYTES: usize = 64 * 1024;
/// How long a request of an agent may take.
const REQUEST: Duration = Duration::from_secs(20);

/// Places that cameras are named after; enough that batches shrink no better than real ones.
const PLACES: [&str; 12] = [
    "Parkdeck Süd",
    "Loading bay",
    "Entrance",
    "Lager",
    "Gate 3",
    "Cash desk",
    "Stairs B",
    "Roof west",
    "Werkstatt",
    "Lobby",
    "Perimeter",
    "Lift",
];
/// Models of cameras.
const MODELS: [&str; 4] = ["IP-5IRD4S4C4-28", "TD-9544S4", "TD-9523A3-FR", "TD-9441E3"];

/// A fleet of equal sites.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fleet {
    pub(crate) sites: u32,
    pub(crate) devices_per_site: u32,
    pub(crate) channels: u32,
}

/// A site with the numbers of its spool.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    id: SiteId,
    number: u32,
    epoch: Epoch,
    next: u64,
}

impl Fleet {
    /// All devices.
    pub(crate) fn devices(self) -> u32 {
        self.sites.saturating_mul(self.devices_per_site)
    }

    /// The site of a number.
    pub(crate) fn site(number: u32) -> Result<SiteId> {
        let name = format!("bench/site-{number:04}");
        name.parse().context("not a site")
    }

    /// Brings all devices into the inventory and says hello for every site.
    pub(crate) async fn introduce(self, bus: &Bus) -> Result<Vec<Site>> {
        self.import(bus).await?;
        let mut sites = Vec::new();
        for number in 0..self.sites {
            let site = Site {
                id: Self::site(number)?,
                number,
                epoch: Epoch::new(Uuid::new_v4()),
                next: 1,
            };
            site.hello(bus).await?;
            sites.push(site);
        }
        Ok(sites)
    }

    /// Brings all sites and devices into the inventory.
    pub(crate) async fn import(self, bus: &Bus) -> Result<()> {
        let mut entries: Vec<(SiteId, InventoryEntry)> = Vec::new();
        for number in 0..self.sites {
            let site = Self::site(number)?;
            let devices = 0..self.devices_per_site;
            entries.extend(devices.map(|device| (site.clone(), entry(number, device))));
        }
        let import = ImportId::new(Uuid::new_v4());
        for chunk in entries.chunks(IMPORT_CHUNK) {
            let wanted = ImportDevices {
                import,
                entries: chunk.to_vec(),
                labels: Vec::new(),
                create_sites: true,
            };
            let done: v1::Imported = ask(
                bus,
                ApiOp::InventoryImport,
                &v1::ImportDevices::from(wanted),
            )
            .await?;
            if let Some(refused) = done.refused.first() {
                bail!("the coordinator refused a device: {}", refused.text);
            }
        }
        Ok(())
    }

    /// Everything that a site sends for a job, in the order of its spool.
    pub(crate) fn batches(self, site: &mut Site, job: JobId, changed: bool) -> Vec<OutBatch> {
        let at = SystemClock.now();
        let mut batches = vec![site.batch(vec![OutItem::Event(SiteEvent::Accepted { job, at })])];
        let first = Sequence(site.next);
        let mut items = Vec::new();
        let mut bytes = 0_usize;
        for device in 0..self.devices_per_site {
            let report = OutItem::Report(Box::new(self.report(site.number, device, job, changed)));
            bytes = bytes.saturating_add(v1::OutItem::from(report.clone()).encoded_len());
            items.push(report);
            if bytes >= BATCH_BYTES {
                batches.push(site.batch(std::mem::take(&mut items)));
                bytes = 0;
            }
        }
        if !items.is_empty() {
            batches.push(site.batch(items));
        }
        let last = Sequence(site.next.saturating_sub(1));
        let done = SiteEvent::Done {
            job,
            at: SystemClock.now(),
            outcome: SiteOutcome::Complete,
            records: self.devices_per_site,
            range: Some((first, last)),
        };
        batches.push(site.batch(vec![OutItem::Event(done)]));
        batches
    }

    /// What one recorder reports.
    pub(crate) fn report(self, site: u32, device: u32, job: JobId, changed: bool) -> DeviceReport {
        let now = SystemClock.now();
        let [_, _, high, low] = device.to_be_bytes();
        let [_, _, site_high, site_low] = site.to_be_bytes();
        let firmware = if changed && device % 20 == 3 {
            "1.4.13.7"
        } else {
            "1.4.12.2"
        };
        let facts = DeviceFacts {
            name: format!("NVR-{site:04}-{device:05}"),
            model: "TD-3332H4".to_owned(),
            serial: format!("N{site:04}{device:06}"),
            firmware: firmware.to_owned(),
            mac: format!("58:5B:69:{:02X}:{high:02X}:{low:02X}", site_high ^ site_low)
                .parse()
                .ok(),
            total_channels: Some(self.channels),
            family: Some(DeviceFamily::Standard),
            protocol_version: Some(3),
            ..DeviceFacts::default()
        };
        let attempt = Attempt {
            backend: Backend::Protocol,
            started_at: now,
            duration: Duration::from_millis(80),
            code: None,
        };
        DeviceReport {
            job,
            target: TargetNo(device),
            ask: Ask::Scan,
            observed_at: now,
            backend: Backend::Protocol,
            facts,
            channels: (1..=self.channels)
                .map(|number| channel(device, number, changed))
                .collect(),
            failure: None,
            warnings: Vec::new(),
            attempts: vec![attempt],
            answer: None,
            found: None,
        }
    }
}

impl Site {
    /// Says hello as the site's agent.
    pub(crate) async fn hello(&self, bus: &Bus) -> Result<()> {
        let hello = Hello {
            site: self.id.clone(),
            epoch: self.epoch,
            oldest: Sequence(1),
            next: Sequence(self.next),
            want_revision: WantRevision(0),
            facts: AgentFacts {
                hostname: "bench".to_owned(),
                ..AgentFacts::default()
            },
            home: String::new(),
        };
        let subject = subject::rpc(&self.id, RpcOp::Hello);
        let reply: v1::Watermark = request(bus, &subject, &v1::Hello::from(hello), REQUEST).await?;
        let reply = Watermark::try_from(reply)?;
        match reply.refused {
            None => Ok(()),
            Some(code) => bail!(
                "the coordinator refuses {}: {}",
                self.id,
                ErrorCode::as_str(code)
            ),
        }
    }

    /// The name of the site.
    pub(crate) fn name(&self) -> String {
        self.id.to_string()
    }

    fn batch(&mut self, items: Vec<OutItem>) -> OutBatch {
        let sequence = Sequence(self.next);
        self.next = self.next.saturating_add(1);
        OutBatch {
            site: self.id.clone(),
            epoch: self.epoch,
            sequence,
            items,
        }
    }
}

fn entry(site: u32, device: u32) -> InventoryEntry {
    let [_, _, high, low] = device.to_be_bytes();
    let [_, _, _, site_low] = site.to_be_bytes();
    InventoryEntry {
        hostname: format!("nvr-{device:05}"),
        manufacturer: "TVT".to_owned(),
        ..InventoryEntry::bare(Host::Ip(IpAddr::V4(Ipv4Addr::new(10, site_low, high, low))))
    }
}

fn channel(device: u32, number: u32, changed: bool) -> Channel {
    let place = device.wrapping_mul(31).wrapping_add(number);
    let offline = place % 16 == 5 || (changed && place % 40 == 11);
    Channel {
        label: ChannelLabel::Number(i64::from(number)),
        name: camera_name(device, number),
        address: format!("192.168.{}.{}", device % 250, number.saturating_add(10)),
        port: 9008,
        status: if offline {
            ChannelStatus::Offline
        } else {
            ChannelStatus::Online
        },
        status_source: StatusSource::ChannelList,
        protocol: "TVT".to_owned(),
        model: pick(&MODELS, place).to_owned(),
    }
}

fn camera_name(device: u32, number: u32) -> String {
    let mixed =
        device.wrapping_mul(2_654_435_761).rotate_left(number) ^ number.wrapping_mul(40_503);
    format!(
        "{} {}-{}",
        pick(&PLACES, mixed),
        mixed % 97,
        mixed / 97 % 997
    )
}

fn pick(list: &'static [&'static str], at: u32) -> &'static str {
    let at = usize::try_from(at).unwrap_or(0);
    at.checked_rem(list.len())
        .and_then(|at| list.get(at))
        .unwrap_or(&"")
}
