//! Web interfaces that go wrong: pages of errors, packed and endless bodies, other hosts, ends of sessions.

use std::time::Duration;

use tvt_agent::WebPort;
use tvt_sim::{ApiDialect, ApiLogin, Kind, Mutation, WebFault, WebSpec};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::{Ask, AskScope};
use tvtfleet_proto::model::backend::{Backend, BackendChoice};
use tvtfleet_proto::model::id::JobId;

use crate::web_asks::{Bench, PASSWORD, answered, only};

#[tokio::test]
async fn a_session_that_ended_is_opened_again_once_and_a_stale_nonce_is_no_refusal() {
    let bench = Bench::start(
        Kind::Head,
        WebSpec {
            nonce_uses: 1,
            ..WebSpec::default()
        },
    );
    let report = bench.ask(Ask::Streams, only(Backend::WebApi)).await;
    assert_eq!(answered(&report).rows().len(), 3);
    assert_eq!(bench.device.counters().logins_failed, 0);
    bench.device.apply(Mutation::EndWebSessions).await.unwrap();
    let report = bench.ask(Ask::Disks, only(Backend::Cgi)).await;
    assert_eq!(answered(&report).rows().len(), 1);
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_is_opened_again_once() {
    // Motion takes a list and three channels: four commands.
    for (uses, logins, code) in [
        (0, 1, None),
        (4, 1, None),
        (3, 2, None),
        (2, 2, None),
        (1, 2, Some(ErrorCode::SessionExpired)),
    ] {
        let web = WebSpec {
            session_uses: uses,
            ..WebSpec::default()
        };
        let bench = Bench::start(Kind::Head, web);
        let report = bench.ask(Ask::Motion, only(Backend::Cgi)).await;
        let found = report.failure.as_ref().map(|failure| failure.code);
        assert_eq!(found, code, "{uses}");
        if code.is_none() {
            assert_eq!(answered(&report).rows().len(), 3, "{uses}");
        }
        let counters = bench.device.counters();
        assert_eq!(
            (counters.logins_tried, counters.logins_failed),
            (logins, 0),
            "{uses}"
        );
        assert_eq!(counters.sessions_open, 0, "{uses}");
    }
}

#[tokio::test]
async fn a_way_to_another_host_is_not_followed() {
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = elsewhere.local_addr().unwrap();
    let same = |port: u16, path: &str| format!("http://127.0.0.1:{port}{path}");
    for backend in [Backend::WebApi, Backend::Cgi] {
        for way in [
            same(address.port(), "/"),
            format!("//{address}/x"),
            "/doLogin".to_owned(),
        ] {
            let web = WebSpec {
                fault: Some(WebFault::Redirect(way.clone())),
                ..WebSpec::default()
            };
            let bench = Bench::start(Kind::Standard, web);
            let failure = bench.ask(Ask::Info, only(backend)).await.failure.unwrap();
            assert_eq!(failure.code, ErrorCode::RedirectRefused, "{backend} {way}");
            assert!(!failure.text.contains(&way), "{}", failure.text);
            let counters = bench.device.counters();
            assert_eq!((counters.http_requests, counters.logins_tried), (1, 0));
        }
    }
    let heard = tokio::time::timeout(Duration::from_millis(50), elsewhere.accept()).await;
    assert!(heard.is_err(), "somebody followed");
}

#[tokio::test]
async fn every_fault_of_the_web_interfaces_has_its_code() {
    let rows = [
        (WebFault::Status(403), ErrorCode::PermissionDenied),
        (WebFault::Status(404), ErrorCode::InterfaceAbsent),
        (WebFault::Status(500), ErrorCode::DeviceFault),
        (WebFault::Html, ErrorCode::BadAnswer),
        (WebFault::Truncated, ErrorCode::Truncated),
        (
            WebFault::Redirect("http://192.0.2.1/".to_owned()),
            ErrorCode::RedirectRefused,
        ),
        (WebFault::Endless, ErrorCode::FrameTooLarge),
        (WebFault::Mute, ErrorCode::RequestTimeout),
    ];
    for (fault, code) in rows {
        let web = WebSpec {
            fault: Some(fault.clone()),
            ..WebSpec::default()
        };
        let bench = Bench::start(Kind::Standard, web);
        for backend in [Backend::WebApi, Backend::Cgi] {
            let report = bench.ask(Ask::Info, only(backend)).await;
            let failure = report.failure.unwrap();
            assert_eq!(failure.code, code, "{fault:?} {backend}");
            assert!(!failure.credentials_sent);
        }
        assert_eq!(bench.device.counters().logins_tried, 0, "{fault:?}");
    }
}

/// The most memory that this process ever had, in MB.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn a_packed_answer_is_not_unpacked() {
    let before = peak_mb();
    for (backend, api) in [
        (Backend::WebApi, ApiDialect::FlatV2),
        (Backend::WebApi, ApiDialect::Lapi),
        (Backend::Cgi, ApiDialect::FlatV2),
    ] {
        for encoding in ["gzip", "deflate", "br", "zstd", ""] {
            let word = encoding.to_owned();
            for fault in [WebFault::Bomb(word.clone()), WebFault::HalfBomb(word)] {
                let cut_off = encoding.is_empty() && matches!(fault, WebFault::HalfBomb(_));
                let web = WebSpec {
                    api,
                    fault: Some(fault.clone()),
                    ..WebSpec::default()
                };
                let bench = Bench::start(Kind::Standard, web);
                let failure = bench.ask(Ask::Info, only(backend)).await.failure.unwrap();
                let wanted = if cut_off {
                    ErrorCode::Truncated
                } else {
                    ErrorCode::BadAnswer
                };
                assert_eq!(failure.code, wanted, "{backend} {api:?} {fault:?}");
                // A challenge needs no body, so without the header the login comes first.
                let counters = bench.device.counters();
                assert!(counters.logins_tried == 0 || encoding.is_empty());
                assert_eq!(counters.logins_failed, 0);
            }
        }
    }
    // Each would have unpacked to 512 MB. Other tests of this process take some as well.
    let grown = peak_mb().saturating_sub(before);
    assert!(grown < 256, "{grown} MB");
}

#[tokio::test]
async fn a_closed_port_is_told_and_a_changed_password_counts_everywhere() {
    let bench = Bench::start_with(Kind::Standard, WebSpec::default(), PASSWORD, |web| {
        web.ports = vec![WebPort {
            port: 1,
            tls: false,
        }];
    });
    let report = bench.ask(Ask::Info, BackendChoice::Auto).await;
    assert_eq!(report.failure.unwrap().code, ErrorCode::ConnectRefused);
    let bench = Bench::start(Kind::Standard, WebSpec::default());
    let password = tvt_sim::Password::new("Another-1");
    bench
        .device
        .apply(Mutation::SetPassword { password })
        .await
        .unwrap();
    for backend in [Backend::WebApi, Backend::Cgi] {
        let report = bench.ask(Ask::Info, only(backend)).await;
        assert_eq!(report.failure.unwrap().code, ErrorCode::LoginRejected);
    }
}

#[tokio::test]
async fn a_web_port_that_swallows_everything_costs_a_scan_less_than_a_second_and_once() {
    // A full queue of connections: the kernel drops what comes after them.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let silent = socket.listen(1).unwrap();
    let address = silent.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(
        Duration::from_millis(200),
        tokio::net::TcpStream::connect(address),
    )
    .await
    {
        filling.push(stream);
        assert!(filling.len() < 64, "the queue has no end");
    }
    let bench = Bench::start_with(Kind::Standard, WebSpec::default(), PASSWORD, |web| {
        web.ports = vec![WebPort {
            port: address.port(),
            tls: false,
        }];
    });
    for (most, scan) in [(2_000, "first"), (500, "second")] {
        let began = std::time::Instant::now();
        let report = bench.ask(Ask::Scan, BackendChoice::Auto).await;
        assert_eq!(report.failure, None);
        let completion = report.attempts.last().unwrap();
        assert_eq!(completion.code, Some(ErrorCode::ConnectTimeout));
        let took = began.elapsed().as_millis();
        assert!(took < most, "the {scan} scan took {took} ms");
    }
    drop((filling, silent));
}

#[tokio::test]
async fn a_recorder_that_gets_other_firmware_during_a_job_is_told_as_it_is() {
    let bench = Bench::start(Kind::Standard, WebSpec::default());
    let job = JobId::new(uuid::Uuid::new_v4());
    let ask = || bench.ask_in(job, Ask::Info, only(Backend::WebApi), AskScope::default());
    answered(&ask().await);
    // The new firmware speaks the other dialect, with other ways to log in.
    let web = WebSpec {
        port: bench.device.web_address().unwrap().port(),
        api: ApiDialect::Lapi,
        api_login: ApiLogin::DigestSha256,
        ..WebSpec::default()
    };
    bench.device.apply(Mutation::SetWeb { web }).await.unwrap();
    // What was remembered is tried first, and given up without a credential.
    answered(&ask().await);
    answered(&ask().await);
    assert_eq!(bench.device.counters().logins_failed, 0);
}
