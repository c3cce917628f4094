//! Quiet hours: what is not begun, and that what was begun is finished.

use tvtfleet_proto::model::order::Order;

use super::*;
use crate::quiet::QuietHours;

/// Work from 08:00 to 18:00 UTC is not begun; the clock shows a Monday.
fn quiet_site(now: &str) -> (SiteContext, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(now.parse().unwrap()));
    let policy = Policy {
        asks: Ask::ALL.iter().copied().collect(),
        quiet_hours: vec![QuietHours::new("08:00", "18:00").unwrap()],
        ..Policy::default()
    };
    let site = SiteContext {
        policy,
        clock: Arc::<ManualClock>::clone(&clock),
        ..site()
    };
    (site, clock)
}

async fn begin(
    site: &Arc<SiteContext>,
    work: SiteWork,
    bounds: WorkBounds,
) -> (WorkEnd, BTreeMap<u32, DeviceReport>) {
    let (events, mut received) = mpsc::channel(EVENTS);
    let cancel = CancellationToken::new();
    let end = run_work_within(job(), work, bounds, Arc::clone(site), cancel, events).await;
    (end, reports(&mut received))
}

#[tokio::test]
async fn nothing_is_begun_in_quiet_hours_and_everything_after_them() {
    let peer = Peer::start(Habit::Recorder { channels: 4 }, mac(1), Duration::ZERO).await;
    let (site, clock) = quiet_site("2026-11-23T17:59:59Z");
    let site = Arc::new(site);
    let bounds = WorkBounds::default;
    let (end, reports) = begin(&site, scan(vec![target(0, &peer)]), bounds()).await;
    assert_eq!(
        (end.outcome, end.failed, end.braked),
        (WorkOutcome::Complete, 1, false)
    );
    assert_eq!(code(&reports[&0]), Some(ErrorCode::PolicyQuietHours));
    let text = &reports[&0].failure.as_ref().unwrap().text;
    assert!(text.contains("until 2026-11-23T18:00:00"), "{text}");
    assert!(reports[&0].attempts.is_empty());
    assert_eq!(peer.connections(), 0);

    clock.advance(Duration::from_secs(1));
    let (end, reports) = begin(&site, scan(vec![target(0, &peer)]), bounds()).await;
    assert_eq!((end.failed, code(&reports[&0])), (0, None));
}

#[tokio::test]
async fn a_device_that_was_begun_before_quiet_hours_is_finished() {
    let habit = Habit::Recorder { channels: 4 };
    let first = Peer::start(habit, mac(1), Duration::ZERO).await;
    let second = Peer::start(habit, mac(2), Duration::ZERO).await;
    let (site, clock) = quiet_site("2026-11-23T07:59:59Z");
    let mut work = scan(vec![target(0, &first), target(1, &second)]);
    work.options.parallel = 1;
    // With room for one, the end of the first device cannot be told before its start is read here.
    let (events, mut received) = mpsc::channel(1);
    let mut ends = Vec::new();
    let stop = CancellationToken::new();
    let listening = async {
        while let Some(event) = received.recv().await {
            match event {
                WorkEvent::Started(_) => clock.set("2026-11-23T08:00:00Z".parse().unwrap()),
                WorkEvent::Finished(report) => ends.push((code(&report), report.channels.len())),
            }
        }
    };
    let (end, ()) = tokio::join!(
        run_work(job(), work, Arc::new(site), stop, events),
        listening
    );
    assert_eq!((end.reported, end.failed), (2, 1));
    let quiet = Some(ErrorCode::PolicyQuietHours);
    assert_eq!(ends, [(None, 4), (quiet, 0)]);
    assert_eq!(first.connections() + second.connections(), 1);
}

#[tokio::test]
async fn changes_end_with_one_reason_but_one_under_way_is_looked_at() {
    let peer = Peer::start(Habit::Recorder { channels: 4 }, mac(1), Duration::ZERO).await;
    let (site, _) = quiet_site("2026-11-23T12:00:00Z");
    let site = Arc::new(site);
    let change = || SiteWork {
        options: WorkOptions {
            ask: Ask::Reboot,
            order: Some(Box::new(Order::default())),
            ..WorkOptions::default()
        },
        targets: (0..5).map(|number| target(number, &peer)).collect(),
    };
    let (end, reports) = begin(&site, change(), WorkBounds::default()).await;
    assert_eq!((end.reported, end.failed), (5, 5));
    let quiet = Some(ErrorCode::PolicyQuietHours);
    assert!(reports.values().all(|report| code(report) == quiet));
    assert_eq!(peer.connections(), 0);

    let settling = WorkBounds {
        settling: [(TargetNo(0), Vec::new())].into(),
        ..WorkBounds::default()
    };
    let (_, reports) = begin(&site, change(), settling).await;
    assert_eq!(reports.len(), 5);
    assert_ne!(code(&reports[&0]), quiet);
}
