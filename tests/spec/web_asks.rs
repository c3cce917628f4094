//! Asks over the web interfaces, against recorders that serve both dialects and every login.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use tvt_agent::credentials::FixedCredential;
use tvt_agent::policy::Policy;
use tvt_agent::work::{SiteContext, WorkEvent, run_work};
use tvt_agent::{KeyLogin, ProtocolSettings, RetrySettings, WebPort, WebSettings};
use tvt_sim::{
    ApiDialect, ApiLogin, Device, DeviceSpec, Fleet, Kind, Mutation, Options, PagesLogin,
    Simulator, WebSpec,
};
use tvtfleet_bus::clock::SystemClock;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::answer::Answer;
use tvtfleet_proto::model::ask::{Ask, AskScope};
use tvtfleet_proto::model::backend::{Backend, BackendChoice};
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::model::secret::{Credential, Secret};
use tvtfleet_proto::model::want::{SiteWork, Target};

pub(crate) const PASSWORD: &str = "Fleet-2026";

/// A recorder with web interfaces, and a site that may ask it.
pub(crate) struct Bench {
    _simulator: Simulator,
    pub(crate) device: Arc<Device>,
    pub(crate) site: Arc<SiteContext>,
}

impl Bench {
    pub(crate) fn start(kind: Kind, web: WebSpec) -> Self {
        Self::start_with(kind, web, PASSWORD, |_| {})
    }

    pub(crate) fn start_with(
        kind: Kind,
        web: WebSpec,
        password: &str,
        adapt: impl FnOnce(&mut WebSettings),
    ) -> Self {
        let mut spec = DeviceSpec::new(([127, 0, 0, 1], 0).into());
        spec.kind = kind;
        spec.name = "Front & back".to_owned();
        spec.mac = "58:5B:69:01:02:03".parse().unwrap();
        if kind == Kind::Head {
            spec.serial = "N12AB34CD56".to_owned();
            spec.channels = vec![(1, true), (2, false), (28, true)];
        } else {
            spec.cameras = vec![
                json!({"channel": 1, "szChlname": "Kühlhaus", "szServer": "10.0.0.11", "status": 1}),
                json!({"channel": 2, "szChlname": "R&D", "szServer": "10.0.0.12", "status": 0}),
            ];
        }
        spec.web = Some(web);
        let fleet = Fleet {
            devices: vec![spec],
        };
        let simulator = Simulator::start(fleet, Options::default()).unwrap();
        let device = Arc::clone(&simulator.devices()[0]);
        let site = Self::site(&device, password, adapt);
        Self {
            _simulator: simulator,
            device,
            site,
        }
    }

    /// A site that remembers nothing yet.
    fn site(
        device: &Device,
        password: &str,
        adapt: impl FnOnce(&mut WebSettings),
    ) -> Arc<SiteContext> {
        let credential = Credential {
            username: "admin".to_owned(),
            password: Secret::new(password),
        };
        let once = RetrySettings {
            retries: 0,
            ..RetrySettings::default()
        };
        let mut settings = WebSettings {
            ports: vec![WebPort {
                port: device.web_address().unwrap().port(),
                tls: false,
            }],
            request: Duration::from_secs(2),
            ..WebSettings::default()
        };
        adapt(&mut settings);
        let site = SiteContext::new(
            Box::new(FixedCredential(credential)),
            Policy::default(),
            ProtocolSettings::default(),
            Arc::new(SystemClock),
        )
        .with_retry(once)
        .with_web(settings, Arc::default());
        Arc::new(site)
    }

    pub(crate) async fn ask(&self, ask: Ask, backend: BackendChoice) -> DeviceReport {
        self.ask_about(ask, backend, AskScope::default()).await
    }

    async fn ask_about(&self, ask: Ask, backend: BackendChoice, scope: AskScope) -> DeviceReport {
        let job = JobId::new(uuid::Uuid::new_v4());
        self.ask_in(job, ask, backend, scope).await
    }

    pub(crate) async fn ask_in(
        &self,
        job: JobId,
        ask: Ask,
        backend: BackendChoice,
        scope: AskScope,
    ) -> DeviceReport {
        let address = self.device.address();
        let endpoint: Endpoint = address.to_string().parse().unwrap();
        let target = Target {
            number: TargetNo(0),
            endpoint,
            known_mac: None,
            trusted: true,
            credential: None,
            settings: Default::default(),
        };
        let work = SiteWork {
            options: WorkOptions {
                ask,
                backend,
                scope,
                device_deadline: Duration::from_secs(20),
                ..WorkOptions::default()
            },
            targets: vec![target],
        };
        let (sender, mut events) = tokio::sync::mpsc::channel(8);
        let run = run_work(
            job,
            work,
            Arc::clone(&self.site),
            CancellationToken::new(),
            sender,
        );
        let collect = async {
            let mut found = None;
            while let Some(event) = events.recv().await {
                if let WorkEvent::Finished(report) = event {
                    found = Some(*report);
                }
            }
            found.unwrap()
        };
        let (_, report) = tokio::join!(run, collect);
        let shown = format!("{report:?}");
        assert!(!shown.contains(PASSWORD), "no password in a report");
        report
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        let records = self.device.counters().violation_records;
        records.iter().map(ToString::to_string).collect()
    }
}

pub(crate) fn only(backend: Backend) -> BackendChoice {
    BackendChoice::Only(backend)
}

#[track_caller]
pub(crate) fn answered(report: &DeviceReport) -> &Answer {
    assert_eq!(report.failure, None);
    report.answer.as_ref().expect("an answer")
}

#[tokio::test]
async fn every_question_is_answered_by_whoever_can() {
    let bench = Bench::start(Kind::Head, WebSpec::default());
    for ask in Ask::ALL {
        let scope = AskScope {
            channel: None,
            from: "2026-11-01 00:00:00".to_owned(),
            to: "2026-11-01 23:59:59".to_owned(),
            stream: None,
            camera: None,
        };
        // A discovery asks a site; changes and pictures have places of their own.
        if ask.changes_device() || matches!(ask, Ask::Discover | Ask::Snapshot) {
            continue;
        }
        let report = bench.ask_about(*ask, BackendChoice::Auto, scope).await;
        assert_eq!(report.failure, None, "{ask}");
        let rows = report.answer.as_ref().map(|answer| answer.rows().len());
        let per_channel = [
            Ask::Image,
            Ask::Streams,
            Ask::Audio,
            Ask::Osd,
            Ask::Motion,
            Ask::CameraLogins,
        ];
        if matches!(ask, Ask::Scan | Ask::Channels) {
            assert_eq!(report.channels.len(), 3, "{ask}");
        } else if per_channel.contains(ask) {
            assert_eq!(rows, Some(3), "{ask}");
        } else if *ask != Ask::Probe {
            assert!(rows > Some(0), "{ask}");
        }
    }
    assert_eq!(bench.violations(), Vec::<String>::new());
    let counters = bench.device.counters();
    assert_eq!(
        (counters.logins_failed, counters.sessions_open),
        (0, 0),
        "every session is ended"
    );
    assert_eq!(counters.sessions_max, 1, "one interface at a time");
}

#[tokio::test]
async fn both_dialects_and_every_login_of_the_web_api_are_spoken() {
    for (api, api_login) in [
        (ApiDialect::FlatV1, ApiLogin::Basic),
        (ApiDialect::FlatV1, ApiLogin::Digest),
        (ApiDialect::FlatV2, ApiLogin::DigestSha256),
        (ApiDialect::Lapi, ApiLogin::Digest),
    ] {
        let web = WebSpec {
            api,
            api_login,
            ..WebSpec::default()
        };
        let bench = Bench::start(Kind::Standard, web);
        let report = bench.ask(Ask::Info, only(Backend::WebApi)).await;
        let Answer::Info(info) = answered(&report) else {
            panic!("{report:?}");
        };
        assert_eq!(
            info[0].model.as_deref(),
            Some("TD-EX3316"),
            "{api:?} {api_login:?}"
        );
        assert_eq!(info[0].serial.as_deref(), Some("N585B69010203"));
        assert_eq!(report.backend, Backend::WebApi);
        assert_eq!(
            bench.violations(),
            Vec::<String>::new(),
            "{api:?} {api_login:?}"
        );
    }
}

#[tokio::test]
async fn every_login_of_the_pages_is_spoken_and_the_oldest_only_where_allowed() {
    for (pages, key_login) in [
        (PagesLogin::Classic, KeyLogin::Never),
        (PagesLogin::Classic, KeyLogin::Always),
        (PagesLogin::Modern, KeyLogin::Never),
        (PagesLogin::Modern, KeyLogin::Announced),
        (PagesLogin::Encrypted, KeyLogin::Announced),
        (PagesLogin::Keyed, KeyLogin::Announced),
        (PagesLogin::Keyed, KeyLogin::Always),
    ] {
        let web = WebSpec {
            pages,
            ..WebSpec::default()
        };
        let bench = Bench::start_with(Kind::Head, web, PASSWORD, |web| web.key_login = key_login);
        let report = bench.ask(Ask::Users, only(Backend::Cgi)).await;
        let Answer::Users(users) = answered(&report) else {
            panic!("{report:?}");
        };
        assert_eq!(users[0].username.as_deref(), Some("admin"));
        assert_eq!(
            bench.device.counters().http_requests,
            4,
            "greeting, login, question, logout"
        );
        assert_eq!(bench.violations(), Vec::<String>::new());
    }
    let old = WebSpec {
        pages: PagesLogin::Legacy,
        ..WebSpec::default()
    };
    let refused = Bench::start(Kind::Head, old.clone());
    let report = refused.ask(Ask::Users, only(Backend::Cgi)).await;
    assert_eq!(report.failure.unwrap().code, ErrorCode::PolicyRefused);
    assert_eq!(refused.device.counters().logins_tried, 0);
    let allowed = Bench::start_with(Kind::Head, old, PASSWORD, |web| web.legacy_login = true);
    let report = allowed.ask(Ask::Users, only(Backend::Cgi)).await;
    assert_eq!(answered(&report).rows().len(), 1);
}

#[tokio::test]
async fn a_wrong_guess_at_the_kind_of_login_costs_one_try_and_no_second_kind_is_tried() {
    for (pages, key_login) in [
        (PagesLogin::Modern, KeyLogin::Always),
        (PagesLogin::Keyed, KeyLogin::Never),
    ] {
        let web = WebSpec {
            pages,
            ..WebSpec::default()
        };
        let bench = Bench::start_with(Kind::Head, web, PASSWORD, |web| web.key_login = key_login);
        let report = bench.ask(Ask::Users, BackendChoice::Auto).await;
        assert_eq!(report.failure.unwrap().code, ErrorCode::LoginRejected);
        let counters = bench.device.counters();
        assert_eq!((counters.logins_tried, counters.logins_failed), (1, 1));
    }
}

#[tokio::test]
async fn a_recorder_that_took_a_proof_is_not_told_the_password_later() {
    let bench = Bench::start_with(Kind::Head, WebSpec::default(), PASSWORD, |web| {
        web.legacy_login = true;
    });
    answered(&bench.ask(Ask::Users, only(Backend::Cgi)).await);
    let web = WebSpec {
        port: bench.device.web_address().unwrap().port(),
        pages: PagesLogin::Legacy,
        ..WebSpec::default()
    };
    bench.device.apply(Mutation::SetWeb { web }).await.unwrap();
    let report = bench.ask(Ask::Users, only(Backend::Cgi)).await;
    assert_eq!(report.failure.unwrap().code, ErrorCode::PolicyRefused);
    assert_eq!(bench.device.counters().logins_tried, 1);
}

#[tokio::test]
async fn channels_are_named_in_hexadecimal_and_names_come_as_they_are() {
    let bench = Bench::start(Kind::Head, WebSpec::default());
    let report = bench.ask(Ask::Channels, only(Backend::Cgi)).await;
    let names: Vec<(String, &str, &str)> = report
        .channels
        .iter()
        .map(|channel| {
            (
                channel.label.to_string(),
                channel.name.as_str(),
                channel.status.as_str(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("1".to_owned(), "R&D 1", "Online"),
            ("2".to_owned(), "R&D 2", "Offline"),
            ("28".to_owned(), "R&D 28", "Online"),
        ]
    );
}

#[tokio::test]
async fn the_drift_of_a_clock_is_measured() {
    let bench = Bench::start(
        Kind::Standard,
        WebSpec {
            clock_offset_s: 90,
            ..WebSpec::default()
        },
    );
    let report = bench.ask(Ask::Clock, BackendChoice::Auto).await;
    let Answer::Clock(clocks) = answered(&report) else {
        panic!("{report:?}");
    };
    let (drift, error) = (
        clocks[0].drift_ms.unwrap(),
        clocks[0].drift_error_ms.unwrap(),
    );
    assert!(
        (drift - 90_000).unsigned_abs() <= error,
        "{drift} ± {error}"
    );
    assert_eq!(clocks[0].ambiguous, Some(false));
    // The challenge, and the question: two requests.
    assert_eq!(bench.device.counters().http_requests, 2);
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_over_all_interfaces() {
    let bench = Bench::start_with(Kind::Standard, WebSpec::default(), "wrong", |_| {});
    let job = JobId::new(uuid::Uuid::new_v4());
    for (ask, backend, code) in [
        (Ask::Info, BackendChoice::Auto, ErrorCode::LoginRejected),
        (Ask::Users, only(Backend::Cgi), ErrorCode::AttemptsSpent),
        (Ask::Info, only(Backend::WebApi), ErrorCode::AttemptsSpent),
        (Ask::Scan, only(Backend::Protocol), ErrorCode::AttemptsSpent),
    ] {
        let report = bench.ask_in(job, ask, backend, AskScope::default()).await;
        assert_eq!(report.failure.unwrap().code, code, "{ask}");
        assert_eq!(
            report.attempts.len(),
            1,
            "no other interface follows a refusal"
        );
    }
    assert_eq!(bench.device.counters().logins_failed, 1);
}

#[tokio::test]
async fn the_lock_of_an_account_is_shared_and_told_by_each_interface() {
    let mut bench = Bench::start_with(Kind::Standard, WebSpec::default(), "wrong", |_| {});
    for backend in [
        Backend::WebApi,
        Backend::Cgi,
        Backend::Protocol,
        Backend::WebApi,
        Backend::Cgi,
    ] {
        let ask = if backend == Backend::Protocol {
            Ask::Scan
        } else {
            Ask::Info
        };
        // Another agent, which knows of no refusal.
        bench.site = Bench::site(&bench.device, "wrong", |_| {});
        let report = bench.ask(ask, only(backend)).await;
        assert_eq!(
            report.failure.unwrap().code,
            ErrorCode::LoginRejected,
            "{backend}"
        );
    }
    for backend in [Backend::Cgi, Backend::WebApi] {
        // Another agent, which knows of no refusal.
        bench.site = Bench::site(&bench.device, "wrong", |_| {});
        let report = bench.ask(Ask::Info, only(backend)).await;
        let failure = report.failure.unwrap();
        assert_eq!(failure.code, ErrorCode::AccountLocked, "{backend}");
        assert!(failure.credentials_sent);
    }
    assert_eq!(bench.device.counters().lockouts, 1);
}

#[tokio::test]
async fn auto_completes_a_standard_recorder_in_two_requests() {
    let bench = Bench::start(Kind::Standard, WebSpec::default());
    let alone = bench.ask(Ask::Scan, only(Backend::Protocol)).await;
    assert_eq!(
        (
            alone.facts.model.as_str(),
            bench.device.counters().http_requests
        ),
        ("", 0)
    );
    let report = bench.ask(Ask::Scan, BackendChoice::Auto).await;
    assert_eq!(report.failure, None);
    assert_eq!(
        (report.facts.model.as_str(), report.facts.serial.as_str()),
        ("TD-EX3316", "N585B69010203")
    );
    assert_eq!(report.channels, alone.channels);
    assert_eq!(
        report.facts.firmware, alone.facts.firmware,
        "what the protocol said stays"
    );
    let backends: Vec<Backend> = report
        .attempts
        .iter()
        .map(|attempt| attempt.backend)
        .collect();
    assert_eq!(backends, [Backend::Protocol, Backend::WebApi]);
    assert_eq!(
        bench.device.counters().http_requests,
        2,
        "a challenge and an answer"
    );
}

#[tokio::test]
async fn auto_names_the_cameras_of_a_head_variant_recorder() {
    let bench = Bench::start(Kind::Head, WebSpec::default());
    let report = bench.ask(Ask::Scan, BackendChoice::Auto).await;
    let addresses: Vec<&str> = report
        .channels
        .iter()
        .map(|channel| channel.address.as_str())
        .collect();
    assert_eq!(addresses, ["10.77.0.1", "10.77.0.2", "10.77.0.28"]);
    assert_eq!(report.facts.model, "TD-EX3316");
    assert_eq!(report.warnings, []);
    assert_eq!(report.backend, Backend::Protocol);
}

#[tokio::test]
async fn auto_is_no_worse_where_there_is_no_web_interface() {
    let off = WebSpec {
        api: ApiDialect::Off,
        pages: PagesLogin::Off,
        ..WebSpec::default()
    };
    let bench = Bench::start(Kind::Standard, off);
    let report = bench.ask(Ask::Scan, BackendChoice::Auto).await;
    assert_eq!((report.failure, report.channels.len()), (None, 2));
    assert_eq!(report.warnings, []);
    let codes: Vec<Option<ErrorCode>> =
        report.attempts.iter().map(|attempt| attempt.code).collect();
    let absent = Some(ErrorCode::InterfaceAbsent);
    assert_eq!(
        codes,
        [None, absent, absent],
        "the other interface is looked for as well"
    );
}

#[tokio::test]
async fn the_pages_answer_for_recordings_sound_and_streams_too() {
    let bench = Bench::start(Kind::Head, WebSpec::default());
    let scope = |from: &str, to: &str, channel| AskScope {
        from: from.to_owned(),
        to: to.to_owned(),
        channel,
        ..AskScope::default()
    };
    let utc = ("2026-11-01 00:00:00Z", "2026-11-01 06:30:00Z");
    let cgi = only(Backend::Cgi);
    let search = scope(utc.0, utc.1, None);
    let report = bench.ask_about(Ask::RecordingSegments, cgi, search).await;
    let Answer::Segments(segments) = answered(&report) else {
        panic!("{report:?}");
    };
    let found: Vec<_> = segments
        .iter()
        .map(|one| (one.channel.unwrap(), one.start.as_deref(), one.seconds))
        .collect();
    // Channel 2 has no recordings, which is no failure.
    let (start, length) = (Some(utc.0), Some(23_400));
    assert_eq!(found, [(1, start, length), (28, start, length)]);
    assert_eq!(segments[0].record_type.as_deref(), Some("schedule"));

    let local = scope("2026-11-01 00:00:00", "2026-11-01 06:00:00", Some(1));
    let report = bench
        .ask_about(Ask::RecordingSegments, cgi, local.clone())
        .await;
    assert_eq!(report.failure.unwrap().code, ErrorCode::UnsupportedVariant);
    // The web API searches on the device's clock and is told a range in UTC on that.
    for (range, first) in [
        (local, "2026-11-01 00:00:00"),
        (scope(utc.0, utc.1, Some(1)), "2026-11-01 08:00:00"),
    ] {
        let report = bench
            .ask_about(Ask::RecordingSegments, BackendChoice::Auto, range)
            .await;
        let Answer::Segments(segments) = answered(&report) else {
            panic!("{report:?}");
        };
        assert_eq!(segments[0].start.as_deref(), Some(first));
    }
    for ask in [Ask::Audio, Ask::Streams] {
        assert_eq!(
            answered(&bench.ask(ask, cgi).await).rows().len(),
            3,
            "{ask}"
        );
    }
    assert_eq!(bench.violations(), Vec::<String>::new());
}
