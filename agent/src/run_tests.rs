//! The work of a job against real TCP peers on loopback.

mod quiet;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::clock::{Clock, ManualClock, SystemClock};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::report::{DeviceFamily, DeviceReport};
use tvtfleet_proto::model::secret::{Credential, Secret};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{SiteWork, Target};

use crate::credentials::{CredentialSource, FixedCredential, NoCredentials};
use crate::device::{ProtocolSettings, WebSettings};
use crate::peer::{Habit, Peer, mac};
use crate::policy::Policy;
use crate::retry::RetrySettings;
use crate::work::{
    SiteContext, WorkBounds, WorkEnd, WorkEvent, WorkOutcome, run_work, run_work_within,
};

/// Room for every event of a test.
const EVENTS: usize = 1024;

fn password() -> Box<dyn CredentialSource> {
    let password = Secret::new("pw-of-the-test");
    Box::new(FixedCredential(Credential {
        username: "admin".into(),
        password,
    }))
}

fn site() -> SiteContext {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let quick = RetrySettings {
        first_pause: Duration::from_millis(1),
        later_pause: Duration::from_millis(2),
        ..RetrySettings::default()
    };
    SiteContext::new(
        password(),
        Policy::default(),
        ProtocolSettings::default(),
        clock,
    )
    .with_retry(quick)
    .with_web(no_web(), Arc::default())
}

/// What happens on the binary protocol alone.
fn no_web() -> WebSettings {
    WebSettings {
        ports: Vec::new(),
        ..WebSettings::default()
    }
}

fn target(number: u32, peer: &Peer) -> Target {
    Target {
        number: TargetNo(number),
        endpoint: peer.address.to_string().parse().unwrap(),
        known_mac: None,
        trusted: true,
        credential: None,
        settings: Default::default(),
    }
}

fn job() -> JobId {
    JobId::new(uuid::Uuid::new_v4())
}

fn scan(targets: Vec<Target>) -> SiteWork {
    SiteWork {
        options: WorkOptions::default(),
        targets,
    }
}

async fn work(site: SiteContext, work: SiteWork) -> (WorkEnd, BTreeMap<u32, DeviceReport>) {
    let (events, mut received) = mpsc::channel(EVENTS);
    let end = run_work(
        job(),
        work,
        Arc::new(site),
        CancellationToken::new(),
        events,
    )
    .await;
    (end, reports(&mut received))
}

fn reports(received: &mut mpsc::Receiver<WorkEvent>) -> BTreeMap<u32, DeviceReport> {
    let mut reports = BTreeMap::new();
    let mut started = Vec::new();
    while let Ok(event) = received.try_recv() {
        match event {
            WorkEvent::Started(number) => started.push(number.0),
            WorkEvent::Finished(report) => {
                assert!(
                    reports.insert(report.target.0, *report).is_none(),
                    "reported twice"
                );
            }
        }
    }
    started.sort_unstable();
    started.dedup();
    assert!(
        started.iter().all(|number| reports.contains_key(number)),
        "a device is lost"
    );
    reports
}

fn code(report: &DeviceReport) -> Option<ErrorCode> {
    report.failure.as_ref().map(|failure| failure.code)
}

#[tokio::test]
async fn a_recorder_is_read_and_left_politely() {
    let peer = Peer::start(Habit::Recorder { channels: 32 }, mac(1), Duration::ZERO).await;
    let (end, reports) = work(site(), scan(vec![target(0, &peer)])).await;
    assert_eq!(end.outcome, WorkOutcome::Complete);
    assert_eq!((end.reported, end.failed, end.braked), (1, 0, false));
    let report = &reports[&0];
    assert!(report.is_success(), "{report:?}");
    assert_eq!(report.channels.len(), 32);
    assert_eq!(report.warnings, [ErrorCode::AddressesUnknown]);
    assert_eq!(report.facts.serial, "N9K0042");
    assert_eq!(report.facts.firmware, "1.4.10.0");
    assert_eq!(report.facts.mac, Some(MacAddr::from(mac(1))));
    assert_eq!(report.facts.family, Some(DeviceFamily::Head));
    assert_eq!(report.facts.total_channels, Some(32));
    assert_eq!(report.attempts.len(), 1);
    let bye = async {
        while peer.logouts() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), bye)
        .await
        .expect("no logout came");
}

#[tokio::test]
async fn a_probe_sends_nothing() {
    let peer = Peer::start(Habit::Recorder { channels: 4 }, mac(1), Duration::ZERO).await;
    let options = WorkOptions {
        ask: Ask::Probe,
        ..WorkOptions::default()
    };
    let untrusted = Target {
        trusted: false,
        ..target(0, &peer)
    };
    let (_, reports) = work(
        site(),
        SiteWork {
            options,
            targets: vec![untrusted],
        },
    )
    .await;
    assert!(reports[&0].is_success(), "{:?}", reports[&0]);
    assert_eq!(reports[&0].facts.firmware, "1.4.10.0");
    assert_eq!(peer.logins(), 0);
}

#[tokio::test]
async fn every_misbehaviour_is_a_report() {
    let settings = ProtocolSettings {
        limits: tvtfleet_proto::device::tvt::Limits {
            init: Duration::from_millis(200),
            login: Duration::from_millis(200),
            ..ProtocolSettings::default().limits
        },
        ..ProtocolSettings::default()
    };
    let closed = {
        let peer = Peer::start(Habit::Silent, mac(9), Duration::ZERO).await;
        let target = target(5, &peer);
        peer.stop().await;
        target
    };
    let habits = [
        (
            Habit::Refuses,
            ErrorCode::LoginRejected,
            "Login failed: invalid credentials",
            1,
        ),
        (
            Habit::Silent,
            ErrorCode::InitTimeout,
            "Connection timed out (0.2s)",
            3,
        ),
        (
            Habit::ClosesAtLogin,
            ErrorCode::ClosedAfterLogin,
            "Network error: Connection closed while reading",
            1,
        ),
        (
            Habit::Stranger,
            ErrorCode::NotTvt,
            "No init packet received (got",
            1,
        ),
        (
            Habit::NeverAnswers,
            ErrorCode::LoginTimeout,
            "Connection timed out (0.2s)",
            1,
        ),
    ];
    let mut peers = Vec::new();
    for (number, (habit, ..)) in (0_u8..).zip(&habits) {
        peers.push(Peer::start(*habit, mac(number), Duration::ZERO).await);
    }
    let mut targets: Vec<_> = (0..)
        .zip(&peers)
        .map(|(number, peer)| target(number, peer))
        .collect();
    targets.push(closed);
    let site = SiteContext {
        protocol: settings,
        ..site()
    };
    let (end, reports) = work(site, scan(targets)).await;
    assert_eq!((end.reported, end.failed), (6, 6));
    for ((number, peer), (habit, expected, text, tries)) in (0_u32..).zip(&peers).zip(&habits) {
        let report = &reports[&number];
        assert_eq!(code(report), Some(*expected), "{habit:?}");
        let words = &report.failure.as_ref().unwrap().text;
        assert!(words.starts_with(text), "{habit:?}: {words}");
        assert_eq!(report.attempts.len(), *tries, "{habit:?}");
        assert_eq!(peer.connections(), *tries, "{habit:?}");
        assert!(peer.logins() <= 1, "{habit:?}");
    }
    assert_eq!(code(&reports[&5]), Some(ErrorCode::ConnectRefused));
    assert_eq!(
        reports[&5].failure.as_ref().unwrap().text,
        "Connection refused"
    );
    assert_eq!(reports[&5].attempts.len(), 3);
}

#[tokio::test]
async fn a_refused_credential_is_not_tried_on_the_same_device_again() {
    // Two addresses, one device: the greeting alone gives it away.
    let first = Peer::start(Habit::Refuses, mac(7), Duration::ZERO).await;
    let second = Peer::start(Habit::Refuses, mac(7), Duration::ZERO).await;
    let (_, reports) = work(site(), scan(vec![target(0, &first), target(1, &second)])).await;
    assert_eq!(first.logins() + second.logins(), 1);
    let mut codes: Vec<_> = reports.values().filter_map(code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [ErrorCode::LoginRejected, ErrorCode::AttemptsSpent]);
}

#[tokio::test]
async fn a_device_that_locked_the_account_is_left_alone_in_later_jobs() {
    let peer = Peer::start(Habit::Locked, mac(3), Duration::ZERO).await;
    let start = UtcMillis::new(1_800_000_000_000);
    let clock = Arc::new(ManualClock::new(start));
    let shared: Arc<dyn Clock> = clock.clone();
    let site = Arc::new(SiteContext {
        clock: shared,
        ..site()
    });
    let scan_once = async || {
        let (events, mut received) = mpsc::channel(EVENTS);
        let work = scan(vec![target(0, &peer)]);
        let cancel = CancellationToken::new();
        run_work(job(), work, Arc::clone(&site), cancel, events).await;
        reports(&mut received)[&0].failure.clone().unwrap()
    };
    let said = scan_once().await;
    assert_eq!(
        (said.code, said.credentials_sent),
        (ErrorCode::AccountLocked, true)
    );
    let known = scan_once().await;
    assert_eq!(
        (known.code, known.credentials_sent),
        (ErrorCode::AccountLocked, false)
    );
    assert!(
        known
            .text
            .ends_with("not tried again before 2027-01-15T08:30:00.000Z"),
        "{}",
        known.text
    );
    assert_eq!(peer.logins(), 1);
    clock.advance(Duration::from_secs(30 * 60));
    let again = scan_once().await;
    assert!(again.credentials_sent);
    assert_eq!(peer.logins(), 2);
}

#[tokio::test]
async fn a_wrong_fleet_password_is_stopped_by_the_brake() {
    let mut peers = Vec::new();
    for number in 0..30 {
        peers.push(Peer::start(Habit::Refuses, mac(number), Duration::ZERO).await);
    }
    let targets = (0..)
        .zip(&peers)
        .map(|(number, peer)| target(number, peer))
        .collect();
    let options = WorkOptions {
        parallel: 2,
        ..WorkOptions::default()
    };
    let (end, reports) = work(site(), SiteWork { options, targets }).await;
    assert!(end.braked);
    assert_eq!(
        (end.outcome, end.reported, end.failed),
        (WorkOutcome::Complete, 30, 30)
    );
    let logins: usize = peers.iter().map(Peer::logins).sum();
    assert!((5..=6).contains(&logins), "{logins} logins");
    let braked = reports
        .values()
        .filter(|report| code(report) == Some(ErrorCode::JobBraked));
    assert_eq!(braked.count(), 30 - logins);
}

#[tokio::test]
async fn policy_and_missing_credentials_end_before_a_login() {
    let peer = Peer::start(Habit::Recorder { channels: 4 }, mac(1), Duration::ZERO).await;
    let untrusted = Target {
        trusted: false,
        ..target(0, &peer)
    };
    let (_, reports) = work(site(), scan(vec![untrusted])).await;
    assert_eq!(code(&reports[&0]), Some(ErrorCode::PolicyRefused));
    assert_eq!(peer.connections(), 0);

    let elsewhere = Policy {
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        ..Policy::default()
    };
    let (_, reports) = work(
        SiteContext {
            policy: elsewhere,
            ..site()
        },
        scan(vec![target(0, &peer)]),
    )
    .await;
    assert_eq!(code(&reports[&0]), Some(ErrorCode::PolicyRefused));
    assert_eq!(peer.connections(), 0);

    let without = SiteContext {
        credentials: Box::new(NoCredentials),
        ..site()
    };
    let (_, reports) = work(without, scan(vec![target(0, &peer)])).await;
    assert_eq!(code(&reports[&0]), Some(ErrorCode::CredentialMissing));
    assert_eq!(
        reports[&0].facts.firmware, "1.4.10.0",
        "the greeting counts all the same"
    );
    assert_eq!(peer.logins(), 0);
}

#[tokio::test]
async fn cancelling_reports_what_was_begun() {
    let peer = Peer::start(Habit::NeverAnswers, mac(1), Duration::ZERO).await;
    let options = WorkOptions {
        parallel: 1,
        ..WorkOptions::default()
    };
    let second = Peer::start(Habit::NeverAnswers, mac(2), Duration::ZERO).await;
    let work = SiteWork {
        options,
        targets: vec![target(0, &peer), target(1, &second)],
    };
    let (events, mut received) = mpsc::channel(EVENTS);
    let cancel = CancellationToken::new();
    let running = tokio::spawn(run_work(
        job(),
        work,
        Arc::new(site()),
        cancel.clone(),
        events,
    ));
    while peer.logins() == 0 {
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    let end = running.await.unwrap();
    assert_eq!((end.outcome, end.reported), (WorkOutcome::Cancelled, 1));
    let reports = reports(&mut received);
    assert_eq!(code(&reports[&0]), Some(ErrorCode::DeviceCancelled));
    assert!(reports[&0].failure.as_ref().unwrap().credentials_sent);
    assert_eq!(second.connections(), 0);
}

#[tokio::test]
async fn the_job_deadline_ends_devices_and_the_job() {
    let peer = Peer::start(Habit::NeverAnswers, mac(1), Duration::ZERO).await;
    let (events, mut received) = mpsc::channel(EVENTS);
    let not_after = Some(SystemClock.now().after(Duration::from_millis(300)));
    let bounds = WorkBounds {
        not_after,
        ..WorkBounds::default()
    };
    let options = WorkOptions {
        parallel: 1,
        ..WorkOptions::default()
    };
    let second = Peer::start(Habit::NeverAnswers, mac(2), Duration::ZERO).await;
    let work = SiteWork {
        options,
        targets: vec![target(0, &peer), target(1, &second)],
    };
    let began = Instant::now();
    let end = run_work_within(
        job(),
        work,
        bounds,
        Arc::new(site()),
        CancellationToken::new(),
        events,
    )
    .await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!((end.outcome, end.reported), (WorkOutcome::Expired, 1));
    assert_eq!(
        code(&reports(&mut received)[&0]),
        Some(ErrorCode::LoginTimeout)
    );
}

#[tokio::test]
async fn a_job_without_a_listener_ends() {
    let peer = Peer::start(Habit::NeverAnswers, mac(1), Duration::ZERO).await;
    let (events, received) = mpsc::channel(EVENTS);
    let running = tokio::spawn(run_work(
        job(),
        scan(vec![target(0, &peer)]),
        Arc::new(site()),
        CancellationToken::new(),
        events,
    ));
    while peer.logins() == 0 {
        tokio::task::yield_now().await;
    }
    drop(received);
    assert_eq!(running.await.unwrap().outcome, WorkOutcome::Cancelled);
}

#[tokio::test]
async fn a_held_job_starts_when_there_is_room() {
    let peer = Peer::start(Habit::Recorder { channels: 1 }, mac(1), Duration::ZERO).await;
    let (room, hold) = tokio::sync::watch::channel(true);
    let bounds = WorkBounds {
        hold: Some(hold),
        ..WorkBounds::default()
    };
    let (events, mut received) = mpsc::channel(EVENTS);
    let work = run_work_within(
        job(),
        scan(vec![target(0, &peer)]),
        bounds,
        Arc::new(site()),
        CancellationToken::new(),
        events,
    );
    let mut work = std::pin::pin!(work);
    assert!(futures_util::poll!(work.as_mut()).is_pending());
    assert!(received.try_recv().is_err());
    room.send(false).unwrap();
    assert_eq!(work.await.reported, 1);
}

/// A defect of ours in the work on a device.
struct Defect;

impl CredentialSource for Defect {
    fn find(&self, _: Option<&tvtfleet_proto::model::id::CredentialLabel>) -> Option<Credential> {
        panic!("a defect, for the test");
    }
}

#[tokio::test]
async fn a_panic_is_a_report_and_not_tried_again() {
    let peer = Peer::start(Habit::Recorder { channels: 1 }, mac(1), Duration::ZERO).await;
    let site = SiteContext {
        credentials: Box::new(Defect),
        ..site()
    };
    let (end, reports) = work(site, scan(vec![target(0, &peer), target(1, &peer)])).await;
    assert_eq!(
        (end.outcome, end.reported, end.failed),
        (WorkOutcome::Complete, 2, 2)
    );
    assert!(
        reports
            .values()
            .all(|report| code(report) == Some(ErrorCode::Internal))
    );
    assert_eq!(peer.connections(), 0);
}

#[tokio::test]
async fn jobs_of_a_site_share_its_places() {
    let recorder = Habit::Recorder { channels: 1 };
    let mut peers = Vec::new();
    for number in 0..8 {
        peers.push(Peer::start(recorder, mac(number), Duration::from_millis(5)).await);
    }
    let site = Arc::new(site().with_parallel(1));
    let mut jobs = Vec::new();
    for half in peers.chunks(4) {
        let targets = (0..)
            .zip(half)
            .map(|(number, peer)| target(number, peer))
            .collect();
        let (events, received) = mpsc::channel(EVENTS);
        let token = CancellationToken::new();
        jobs.push((
            run_work(job(), scan(targets), Arc::clone(&site), token, events),
            received,
        ));
    }
    let (second, mut second_events) = jobs.pop().unwrap();
    let (first, mut first_events) = jobs.pop().unwrap();
    let (first, second) = tokio::join!(first, second);
    assert_eq!(
        (first.reported, first.failed, second.reported, second.failed),
        (4, 0, 4, 0)
    );
    assert_eq!(
        reports(&mut first_events).len() + reports(&mut second_events).len(),
        8
    );
}

/// 200 recorders of 32 channels, 20 ms for each of their two replies: nothing but the devices' own
/// time may count.
#[tokio::test]
async fn the_work_takes_as_long_as_the_devices_need() {
    const DEVICES: u32 = 200;
    const PARALLEL: u32 = 16;
    const REPLY: Duration = Duration::from_millis(20);
    let peer_of = |number: u32| {
        let [_, _, high, low] = number.to_be_bytes();
        Peer::start(
            Habit::Recorder { channels: 32 },
            [0x58, 0x5B, 0x69, 1, high, low],
            REPLY,
        )
    };
    let mut peers = Vec::new();
    for number in 0..DEVICES {
        peers.push(peer_of(number).await);
    }
    let targets = (0..)
        .zip(&peers)
        .map(|(number, peer)| target(number, peer))
        .collect();
    let options = WorkOptions {
        parallel: PARALLEL,
        ..WorkOptions::default()
    };
    let began = Instant::now();
    let (end, reports) = work(site(), SiteWork { options, targets }).await;
    let took = began.elapsed();
    assert_eq!((end.reported, end.failed), (DEVICES, 0));
    assert!(reports.values().all(|report| report.channels.len() == 32));
    assert!(peers.iter().all(|peer| peer.most_open() == 1));
    let rounds = f64::from(DEVICES.div_ceil(PARALLEL));
    let least = REPLY.as_secs_f64() * 2.0 * rounds;
    println!("{took:?}, the devices need {least:.3} s");
    // Debug builds on a busy machine; the bench measures the real aim.
    assert!(took.as_secs_f64() < least * 4.0, "{took:?} for {least} s");
}
