//! Changes over the web interfaces: looked at before, sent once, read back, and settled after a break.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tvt_agent::credentials::CredentialSource;
use tvt_agent::policy::Policy;
use tvt_agent::work::{SiteContext, WorkBounds, WorkEvent, run_work_within};
use tvt_agent::{Intent, ProtocolSettings, RetrySettings, WebPort, WebSettings};
use tvt_sim::{ApiDialect, Device, Kind, Mutation, WebSpec, WriteFault};
use tvtfleet_bus::clock::SystemClock;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::answer::{Answer, DeviceChange};
use tvtfleet_proto::model::ask::{Ask, AskScope};
use tvtfleet_proto::model::backend::BackendChoice;
use tvtfleet_proto::model::id::{CredentialLabel, JobId, TargetNo};
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::order::Order;
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::model::secret::{Credential, Secret};
use tvtfleet_proto::model::want::{SiteWork, Target};

use crate::web_asks::Bench;

pub(crate) const OLD: &str = "Fleet-2026";
pub(crate) const NEW: &str = "Gate-2027";

/// The vault of a site: the old password is the default, the new one has a label.
struct Vault;

impl CredentialSource for Vault {
    fn find(&self, label: Option<&CredentialLabel>) -> Option<Credential> {
        let password = match label {
            None => OLD,
            Some(label) if label.as_str() == "next" => NEW,
            Some(_) => return None,
        };
        Some(Credential {
            username: "admin".to_owned(),
            password: Secret::new(password),
        })
    }
}

fn site(device: &Device, policy: Policy) -> Arc<SiteContext> {
    site_where(device, policy, |_| {})
}

pub(crate) fn site_where(
    device: &Device,
    policy: Policy,
    adapt: impl FnOnce(&mut WebSettings),
) -> Arc<SiteContext> {
    let mut web = WebSettings {
        ports: vec![WebPort {
            port: device.web_address().unwrap().port(),
            tls: false,
        }],
        request: Duration::from_secs(2),
        ..WebSettings::default()
    };
    adapt(&mut web);
    let once = RetrySettings {
        retries: 0,
        ..RetrySettings::default()
    };
    let protocol = ProtocolSettings::default();
    let site = SiteContext::new(Box::new(Vault), policy, protocol, Arc::new(SystemClock));
    Arc::new(site.with_retry(once).with_web(web, Arc::default()))
}

pub(crate) fn everything() -> Policy {
    Policy {
        asks: Ask::ALL.iter().copied().collect(),
        ..Policy::default()
    }
}

fn order(settings: &[(&str, &str)]) -> Order {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Order {
        settings: settings.iter().map(owned).collect(),
        ..Order::default()
    }
}

/// How a job goes: what was noted before, and what the notes are answered with.
#[derive(Default)]
pub(crate) struct Circumstances {
    pub(crate) settling: BTreeMap<TargetNo, Vec<DeviceChange>>,
    pub(crate) cannot_note: bool,
    pub(crate) channel: Option<u32>,
}

/// Changes devices and returns their reports and what was noted before.
pub(crate) async fn change(
    site: &Arc<SiteContext>,
    devices: &[&Device],
    ask: Ask,
    order: Order,
    how: Circumstances,
) -> (Vec<DeviceReport>, Vec<Vec<DeviceChange>>) {
    let target = |(number, device): (u32, &&Device)| Target {
        number: TargetNo(number),
        endpoint: device.address().to_string().parse().unwrap(),
        known_mac: None,
        trusted: true,
        credential: None,
        settings: BTreeMap::new(),
    };
    let work = SiteWork {
        options: WorkOptions {
            ask,
            backend: BackendChoice::Auto,
            scope: AskScope {
                channel: how.channel,
                ..AskScope::default()
            },
            device_deadline: Duration::from_secs(20),
            order: Some(Box::new(order)),
            ..WorkOptions::default()
        },
        targets: (0..).zip(devices).map(target).collect(),
    };
    let (sender, mut events) = mpsc::channel(8);
    let (intents, mut intended) = mpsc::channel::<Intent>(8);
    let bounds = WorkBounds {
        intents: Some(intents),
        settling: how.settling,
        ..WorkBounds::default()
    };
    let job = JobId::new(uuid::Uuid::new_v4());
    let run = run_work_within(
        job,
        work,
        bounds,
        Arc::clone(site),
        CancellationToken::new(),
        sender,
    );
    let collect = async {
        let mut reports = Vec::new();
        while let Some(event) = events.recv().await {
            if let WorkEvent::Finished(report) = event {
                reports.push(*report);
            }
        }
        reports
    };
    let note = async {
        let mut notes = Vec::new();
        while let Some(Intent { changes, noted, .. }) = intended.recv().await {
            notes.push(changes);
            let _: Result<(), bool> = oneshot::Sender::send(noted, !how.cannot_note);
        }
        notes
    };
    let (_, reports, notes) = tokio::join!(run, collect, note);
    let shown = format!("{reports:?} {notes:?}");
    assert!(
        !shown.contains(OLD) && !shown.contains(NEW),
        "no password is shown"
    );
    (reports, notes)
}

pub(crate) fn outcomes(report: &DeviceReport) -> Vec<(&str, &str, &str)> {
    let Some(Answer::Changes(changes)) = &report.answer else {
        panic!("{report:?}");
    };
    changes
        .iter()
        .map(|one| {
            (
                one.old.as_deref().unwrap_or_default(),
                one.new.as_deref().unwrap_or_default(),
                one.outcome.as_deref().unwrap_or_default(),
            )
        })
        .collect()
}

pub(crate) fn bench(web: WebSpec) -> Bench {
    let mut bench = Bench::start(Kind::Head, web);
    bench.site = site(&bench.device, everything());
    bench
}

pub(crate) async fn one(bench: &Bench, ask: Ask, order: Order) -> DeviceReport {
    let (mut reports, _) = change(
        &bench.site,
        &[&bench.device],
        ask,
        order,
        Circumstances::default(),
    )
    .await;
    reports.pop().unwrap()
}

#[tokio::test]
async fn every_setting_is_shown_first_then_set_once_and_read_back() {
    for (ask, settings, write, old) in [
        (
            Ask::SetImage,
            &[("bright", "60")][..],
            "SetImageConfig/2",
            "51",
        ),
        (
            Ask::SetStreams,
            &[("frame_rate", "12")],
            "SetVideoStreamConfig/2",
            "25",
        ),
        (
            Ask::SetOsd,
            &[("name", "R&D <1>")],
            "SetImageOsdConfig/2",
            "Gate",
        ),
        (
            Ask::SetServices,
            &[("rtsp", "false")],
            "editRTSPServer",
            "true",
        ),
        (
            Ask::SetPlatform,
            &[("server", "cms2.example.net")],
            "editPlatformCfg",
            "cms.example.net",
        ),
        (
            Ask::SetAudio,
            &[("enabled", "false")],
            "editNodeEncodeInfo",
            "true",
        ),
    ] {
        let bench = bench(WebSpec::default());
        let how = || Circumstances {
            channel: Some(2),
            ..Circumstances::default()
        };
        let new = settings[0].1;
        let dry = Order {
            dry_run: true,
            ..order(settings)
        };
        let (reports, notes) = change(&bench.site, &[&bench.device], ask, dry, how()).await;
        assert_eq!(reports[0].failure, None, "{ask}");
        assert_eq!(outcomes(&reports[0]), [(old, new, "would_change")], "{ask}");
        assert!(
            notes.is_empty() && bench.device.web_writes().is_empty(),
            "{ask}"
        );

        let (reports, notes) =
            change(&bench.site, &[&bench.device], ask, order(settings), how()).await;
        assert_eq!(reports[0].failure, None, "{ask}");
        assert_eq!(outcomes(&reports[0]), [(old, new, "changed")], "{ask}");
        assert_eq!(notes.len(), 1, "noted once, before it was sent");
        assert_eq!(notes[0][0].old.as_deref(), Some(old));

        let (reports, notes) =
            change(&bench.site, &[&bench.device], ask, order(settings), how()).await;
        assert_eq!(outcomes(&reports[0]), [(new, new, "unchanged")], "{ask}");
        assert!(notes.is_empty(), "{ask}");
        assert_eq!(bench.device.web_writes(), [write], "{ask}");
        assert_eq!(bench.violations(), Vec::<String>::new());
        assert_eq!(bench.device.counters().sessions_open, 0);
    }
}

#[tokio::test]
async fn streams_are_set_by_the_pages_where_there_is_no_web_api() {
    let bench = bench(WebSpec {
        api: ApiDialect::Off,
        ..WebSpec::default()
    });
    let wanted = order(&[("frame_rate", "12"), ("codec", "h264")]);
    let report = one(&bench, Ask::SetStreams, wanted).await;
    assert_eq!(report.failure, None);
    let rows = outcomes(&report);
    assert_eq!(rows.len(), 6, "two settings of three channels");
    assert!(rows.iter().all(|row| row.2 == "changed"), "{rows:?}");
    assert_eq!(bench.device.web_writes(), ["editNodeEncodeInfo"; 3]);
}

#[tokio::test]
async fn a_web_api_that_was_switched_on_has_to_answer() {
    for (api, start_ms, answers) in [
        (ApiDialect::FlatV2, 0, true),
        (ApiDialect::Lapi, 500, true),
        (ApiDialect::FlatV1, 3_600_000, false),
    ] {
        let mut bench = bench(WebSpec {
            api,
            api_start_ms: start_ms,
            ..WebSpec::default()
        });
        bench.site = site_where(&bench.device, everything(), |web| {
            web.service_start = Duration::from_secs(4);
        });
        let off = one(&bench, Ask::SetServices, order(&[("web_api", "false")])).await;
        assert_eq!(off.failure, None, "{api:?}");
        let on = one(&bench, Ask::SetServices, order(&[("web_api", "true")])).await;
        assert_eq!(outcomes(&on), [("false", "true", "changed")]);
        let code = on.failure.map(|failure| failure.code);
        assert_eq!(code, (!answers).then_some(ErrorCode::ChangeUnverified));
        // The looks show no credential.
        let counters = bench.device.counters();
        assert_eq!(counters.logins_failed, 0);
        assert_eq!(bench.violations(), Vec::<String>::new());
    }
}

const YEAR_S: i64 = 365 * 24 * 60 * 60;

#[tokio::test]
async fn a_clock_is_set_to_the_agents() {
    // More than an hour, and ten years: a battery that is empty.
    for offset in [5_000, -10 * YEAR_S, 10 * YEAR_S] {
        let bench = bench(WebSpec {
            clock_offset_s: offset,
            ..WebSpec::default()
        });
        let known = bench.ask(Ask::Clock, BackendChoice::Auto).await;
        let Some(Answer::Clock(clocks)) = known.answer else {
            panic!("{:?}", known.failure);
        };
        let drift = clocks[0].drift_ms.unwrap();
        assert!((drift - offset * 1000).abs() < 3_000, "{:?}", clocks[0]);
        let others = [Ask::Info, Ask::Disks, Ask::Users, Ask::Recording];
        for ask in others {
            let report = bench.ask(ask, BackendChoice::Auto).await;
            assert_eq!(report.failure, None, "{ask} of a clock off by {offset} s");
        }
        let asks_server = one(&bench, Ask::SetClock, order(&[("time", "now")])).await;
        assert_eq!(asks_server.failure.unwrap().code, ErrorCode::ChangeInvalid);
        let by_hand = order(&[("time", "now"), ("sync", "manually")]);
        let report = one(&bench, Ask::SetClock, by_hand.clone()).await;
        assert_eq!(report.failure, None);
        assert!(
            outcomes(&report).iter().all(|row| row.2 == "changed"),
            "{report:?}"
        );
        let report = bench.ask(Ask::Clock, BackendChoice::Auto).await;
        let Some(Answer::Clock(clocks)) = report.answer else {
            panic!("{:?}", report.failure);
        };
        assert!(clocks[0].drift_ms.unwrap().abs() < 3_000, "{:?}", clocks[0]);
        let again = one(&bench, Ask::SetClock, by_hand).await;
        assert!(outcomes(&again).iter().all(|row| row.2 == "unchanged"));
        let server = order(&[("sync", "NTP"), ("ntp_server", "ntp.example.net")]);
        let report = one(&bench, Ask::SetClock, server).await;
        assert_eq!(report.failure, None);
        assert_eq!(bench.device.web_writes(), ["SetDateAndTime"; 2]);
    }
}

#[tokio::test]
async fn what_the_read_back_shows_decides_and_nothing_is_sent_twice() {
    for (fault, outcome, code) in [
        (
            WriteFault::Ignored,
            "failed",
            Some(ErrorCode::ChangeUnverified),
        ),
        (WriteFault::LostAfter, "changed", None),
        (WriteFault::LostBefore, "failed", Some(ErrorCode::Truncated)),
        (WriteFault::MuteAfter, "changed", None),
        (
            WriteFault::MuteBefore,
            "failed",
            Some(ErrorCode::RequestTimeout),
        ),
    ] {
        for (ask, settings) in [
            (Ask::SetImage, &[("bright", "60")][..]),
            (Ask::SetServices, &[("rtsp", "false")]),
        ] {
            let bench = bench(WebSpec {
                write_fault: Some(fault),
                ..WebSpec::default()
            });
            let how = Circumstances {
                channel: Some(1),
                ..Circumstances::default()
            };
            let (reports, _) =
                change(&bench.site, &[&bench.device], ask, order(settings), how).await;
            assert_eq!(outcomes(&reports[0])[0].2, outcome, "{fault:?} {ask}");
            let found = reports[0].failure.as_ref().map(|failure| failure.code);
            assert_eq!(found, code, "{fault:?} {ask}");
            assert_eq!(bench.device.web_writes().len(), 1, "{fault:?} {ask}");
        }
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_noted_is_not_sent_and_an_interrupted_one_is_only_looked_at() {
    let bench = bench(WebSpec::default());
    let wanted = order(&[("rtsp", "false")]);
    let how = Circumstances {
        cannot_note: true,
        ..Circumstances::default()
    };
    let (reports, notes) = change(
        &bench.site,
        &[&bench.device],
        Ask::SetServices,
        wanted.clone(),
        how,
    )
    .await;
    assert_eq!(
        reports[0].failure.as_ref().unwrap().code,
        ErrorCode::StorageIo
    );
    assert!(bench.device.web_writes().is_empty());
    for (done, outcome) in [(false, "failed"), (true, "changed")] {
        if done {
            one(&bench, Ask::SetServices, wanted.clone()).await;
        }
        let settling = BTreeMap::from([(TargetNo(0), notes[0].clone())]);
        let how = Circumstances {
            settling,
            ..Circumstances::default()
        };
        let (reports, noted) = change(
            &bench.site,
            &[&bench.device],
            Ask::SetServices,
            wanted.clone(),
            how,
        )
        .await;
        assert_eq!(outcomes(&reports[0]), [("true", "false", outcome)]);
        assert!(noted.is_empty());
    }
    assert_eq!(bench.device.web_writes(), ["editRTSPServer"]);
}

#[tokio::test]
async fn the_policy_of_a_site_has_to_name_a_change() {
    let mut bench = bench(WebSpec::default());
    bench.site = site(&bench.device, Policy::default());
    for ask in Ask::ALL.iter().filter(|ask| ask.changes_device()) {
        let report = one(&bench, *ask, Order::default()).await;
        assert_eq!(
            report.failure.unwrap().code,
            ErrorCode::PolicyRefused,
            "{ask}"
        );
    }
    assert_eq!(bench.device.counters().http_requests, 0);
}

#[tokio::test]
async fn a_failure_in_the_canary_leaves_the_others_alone() {
    let benches: Vec<Bench> = (0..4).map(|_| bench(WebSpec::default())).collect();
    let ports = benches.iter().map(|bench| WebPort {
        port: bench.device.web_address().unwrap().port(),
        tls: false,
    });
    // All recorders share an address here, so the ports say who is asked: one that refuses.
    let ports: Vec<WebPort> = ports.take(1).collect();
    let site = {
        let web = WebSettings {
            ports,
            ..WebSettings::default()
        };
        let protocol = ProtocolSettings::default();
        let site = SiteContext::new(
            Box::new(Vault),
            everything(),
            protocol,
            Arc::new(SystemClock),
        );
        Arc::new(site.with_web(web, Arc::default()))
    };
    let refusing = WebSpec {
        write_fault: Some(WriteFault::Refused(31)),
        ..WebSpec::default()
    };
    let web = Mutation::SetWeb { web: refusing };
    benches[0].device.apply(web).await.unwrap();
    let devices: Vec<&Device> = benches.iter().map(|bench| &*bench.device).collect();
    let wanted = order(&[("rtsp", "false")]);
    let (reports, _) = change(
        &site,
        &devices,
        Ask::SetServices,
        wanted,
        Circumstances::default(),
    )
    .await;
    let codes: Vec<ErrorCode> = reports
        .iter()
        .map(|report| report.failure.as_ref().unwrap().code)
        .collect();
    let stopped = ErrorCode::ChangeStopped;
    assert_eq!(
        codes,
        [ErrorCode::RequestRefused, stopped, stopped, stopped]
    );
    assert_eq!(benches[0].device.web_writes().len(), 1);
}

#[tokio::test]
async fn a_reboot_is_proved_by_going_away_and_coming_back() {
    let bench = bench(WebSpec::default());
    let report = one(&bench, Ask::Reboot, Order::default()).await;
    assert_eq!(report.failure, None);
    assert_eq!(outcomes(&report), [("", "restarted", "changed")]);
    assert_eq!(bench.device.web_writes(), ["Reboot"]);
}
