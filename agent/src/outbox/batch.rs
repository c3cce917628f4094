//! Which items share a batch, and when it is closed. Time is an argument.

use std::time::{Duration, Instant};

use prost::Message;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::model::want::OutItem;
use tvtfleet_proto::wire::v1;

/// A batch of this many bytes before compression is closed.
const BATCH_BYTES: usize = 64 * 1024;
/// A batch is closed when nothing has come for this long ...
const QUIET: Duration = Duration::from_millis(200);
/// ... and at the latest this long after its first item.
const OLDEST: Duration = Duration::from_secs(1);
/// A report larger than this, in bytes, is shortened: the stream takes no message above 512 KB, and
/// what it never takes would hold up everything behind it.
const ITEM_MAX: usize = 384 * 1024;

/// Items that wait to be written, with whatever belongs to each.
#[derive(Debug)]
pub(super) struct Batcher<T> {
    items: Vec<v1::OutItem>,
    tags: Vec<T>,
    bytes: usize,
    /// When the first and the last item came.
    times: Option<(Instant, Instant)>,
    urgent: bool,
}

impl<T> Batcher<T> {
    pub(super) const fn new() -> Self {
        Self {
            items: Vec::new(),
            tags: Vec::new(),
            bytes: 0,
            times: None,
            urgent: false,
        }
    }

    /// Adds an item. Events wait for nothing.
    pub(super) fn push(&mut self, now: Instant, item: OutItem, tag: T) {
        self.urgent |= matches!(item, OutItem::Event(_) | OutItem::Credential(_));
        let item = to_wire(item);
        self.bytes = self.bytes.saturating_add(item.encoded_len());
        self.items.push(item);
        self.tags.push(tag);
        let first = self.times.map_or(now, |(first, _)| first);
        self.times = Some((first, now));
    }

    /// When the batch must be closed; `None` while it is empty.
    pub(super) fn due(&self) -> Option<Instant> {
        let (first, last) = self.times?;
        if self.urgent || self.bytes >= BATCH_BYTES {
            return Some(first);
        }
        Some((first + OLDEST).min(last + QUIET))
    }

    /// Takes the batch out.
    pub(super) fn take(&mut self) -> Option<(Vec<v1::OutItem>, Vec<T>)> {
        let full = std::mem::replace(self, Self::new());
        (!full.items.is_empty()).then_some((full.items, full.tags))
    }
}

/// Turns an item into its message, shortened where it is larger than any message may be.
fn to_wire(item: OutItem) -> v1::OutItem {
    let OutItem::Report(report) = item else {
        return item.into();
    };
    let mut report = *report;
    loop {
        let wire = v1::OutItem::from(OutItem::Report(Box::new(report.clone())));
        if wire.encoded_len() <= ITEM_MAX {
            return wire;
        }
        shorten(&mut report);
    }
}

/// Halves the channels; a report without any is small by the limits of the session.
fn shorten(report: &mut DeviceReport) {
    let channels = report.channels.len();
    tracing::warn!(channels, tvt.job.id = %report.job, "a report is too large and loses channels");
    report.channels.truncate(channels / 2);
    if channels == 0 {
        report.facts = tvtfleet_proto::model::report::DeviceFacts::default();
        report.attempts.truncate(1);
    }
    if !report.warnings.contains(&ErrorCode::Truncated) {
        report.warnings.insert(0, ErrorCode::Truncated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::model::ask::Ask;
    use tvtfleet_proto::model::backend::Backend;
    use tvtfleet_proto::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};
    use tvtfleet_proto::model::id::{JobId, TargetNo};
    use tvtfleet_proto::model::report::DeviceFacts;
    use tvtfleet_proto::model::time::UtcMillis;
    use tvtfleet_proto::model::want::SiteEvent;

    fn job() -> JobId {
        JobId::new(uuid::Uuid::from_u128(1))
    }

    fn report(channels: usize, name: usize) -> OutItem {
        let channel = Channel {
            label: ChannelLabel::Number(1),
            name: "n".repeat(name),
            address: String::new(),
            port: 0,
            status: ChannelStatus::Online,
            status_source: StatusSource::ChannelList,
            protocol: String::new(),
            model: String::new(),
        };
        OutItem::Report(Box::new(DeviceReport {
            job: job(),
            target: TargetNo(0),
            ask: Ask::Scan,
            observed_at: UtcMillis::new(0),
            backend: Backend::Protocol,
            facts: DeviceFacts::default(),
            channels: vec![channel; channels],
            failure: None,
            warnings: Vec::new(),
            attempts: Vec::new(),
            answer: None,
            found: None,
        }))
    }

    #[test]
    fn a_batch_closes_when_it_is_quiet_old_or_large() {
        let now = Instant::now();
        let mut batcher = Batcher::new();
        assert_eq!(batcher.due(), None);
        batcher.push(now, report(1, 10), 'a');
        assert_eq!(batcher.due(), Some(now + QUIET));
        let later = now + Duration::from_millis(900);
        batcher.push(later, report(1, 10), 'b');
        assert_eq!(batcher.due(), Some(now + OLDEST));
        batcher.push(later, report(300, 250), 'c');
        assert_eq!(batcher.due(), Some(now));
        let (items, tags) = batcher.take().unwrap();
        assert_eq!((items.len(), tags), (3, vec!['a', 'b', 'c']));
        assert!(batcher.take().is_none() && batcher.due().is_none());
    }

    #[test]
    fn an_event_closes_at_once() {
        let now = Instant::now();
        let mut batcher = Batcher::new();
        let event = SiteEvent::Accepted {
            job: job(),
            at: UtcMillis::new(0),
        };
        batcher.push(now, OutItem::Event(event), ());
        assert_eq!(batcher.due(), Some(now));
    }

    #[test]
    fn a_report_that_no_message_could_hold_is_shortened() {
        let wire = to_wire(report(1024, 1000));
        assert!(wire.encoded_len() <= ITEM_MAX);
        let Some(v1::out_item::Item::Report(report)) = wire.item else {
            panic!()
        };
        assert!(
            (128..1024).contains(&report.channels.len()),
            "{}",
            report.channels.len()
        );
        assert_eq!(report.warnings, [ErrorCode::Truncated.as_str()]);
    }
}
