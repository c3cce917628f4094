//! Request and reply: answers, refusals, nobody there, too slow, too many, and replies that must not
//! be sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::rpc::{Call, Reply, RpcError, Server, request};
use tvtfleet_bus::{Bus, BusError};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::subject::{API_ALL, ApiOp, COORDINATOR_QUEUE, api};
use tvtfleet_proto::wire::v1::{ListJobs, ShowDevice, Submitted};
use tvtfleet_tests::{NatsServer, PATIENCE, eventually, sample};

/// Answers with the name that was asked for.
async fn echo(call: Call) -> Result<Reply, ApiError> {
    let asked: ShowDevice = call.open()?;
    match asked.name.as_str() {
        "nobody" => Err(ApiError {
            code: ErrorCode::DeviceUnknown,
            message: "no device \"nobody\"".to_owned(),
            hint: "tvtctl inventory list".to_owned(),
        }),
        "panic" => panic!("as asked"),
        "huge" => {
            // Too many different numbers to shrink below what the server takes.
            let mut state = 1_u64;
            let mut letter = || {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                char::from(b'a' + u8::try_from((state >> 40) % 26).unwrap())
            };
            Ok(Reply::of(&ShowDevice {
                name: (0..3_000_000).map(|_| letter()).collect(),
                at_ms: None,
            }))
        }
        _ => Ok(Reply::of(&asked)),
    }
}

async fn serve(bus: &Bus, stop: &CancellationToken) -> JoinHandle<Result<(), BusError>> {
    let server = Server::open(bus, API_ALL, COORDINATOR_QUEUE, 4)
        .await
        .unwrap();
    tokio::spawn(server.run(echo, stop.clone()))
}

async fn ask(bus: &Bus, name: &str) -> Result<ShowDevice, RpcError> {
    let subject = api("local", ApiOp::InventoryShow);
    request(
        bus,
        &subject,
        &ShowDevice {
            name: name.to_owned(),
            at_ms: None,
        },
        PATIENCE,
    )
    .await
}

#[tokio::test]
async fn an_answer_or_a_refusal_with_its_code_comes_back() {
    let nats = NatsServer::start().await;
    let (coordinator, ctl) = (nats.connect("coordinator").await, nats.connect("ctl").await);
    let stop = CancellationToken::new();
    let serving = serve(&coordinator, &stop).await;
    assert_eq!(ask(&ctl, "nvr").await.unwrap().name, "nvr");
    let long = "camera ".repeat(10_000);
    assert_eq!(
        ask(&ctl, &long).await.unwrap().name,
        long,
        "packed on the way"
    );
    let error = ask(&ctl, "nobody").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeviceUnknown);
    assert_eq!(error.to_string(), "no device \"nobody\"");
    assert_eq!(error.hint(), Some("tvtctl inventory list"));
    let error = ask(&ctl, "panic").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Internal, "{error:?}");
    let error = ask(&ctl, "huge").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::MessageTooLarge, "{error:?}");
    assert_eq!(ask(&ctl, "still there").await.unwrap().name, "still there");
    stop.cancel();
    timeout(PATIENCE, serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_request_or_reply_that_cannot_be_read_says_so() {
    let nats = NatsServer::start().await;
    let bus = nats.connect("test").await;
    let stop = CancellationToken::new();
    let _serving = serve(&bus, &stop).await;
    let subject = api("local", ApiOp::JobList);
    // Bytes that are no text, in a field that is one.
    let bad = ListJobs {
        before: vec![0xFF; 16],
        limit: 0,
    };
    let error = request::<_, ShowDevice>(&bus, &subject, &bad, PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::MessageInvalid, "{error:?}");
    assert!(
        matches!(error, RpcError::Refused(_)),
        "the coordinator said so"
    );
    let good = ShowDevice {
        name: "\u{7f}".to_owned(),
        at_ms: None,
    };
    let error = request::<_, Submitted>(&bus, &subject, &good, PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::MessageInvalid, "{error:?}");
    assert!(matches!(error, RpcError::Reply(_)), "the asker saw it");
}

#[tokio::test]
async fn without_a_coordinator_it_is_absent_at_once() {
    let nats = NatsServer::start().await;
    let bus = nats.connect("ctl").await;
    let subject = api("local", ApiOp::CoordinatorInfo);
    let anything = ShowDevice::default();
    let asked = request::<_, ShowDevice>(&bus, &subject, &anything, Duration::from_secs(3600));
    let error = timeout(PATIENCE, asked).await.unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::CoordinatorAbsent);
    assert!(error.hint().unwrap().contains("tvt-coordinator"));
}

#[tokio::test]
async fn a_coordinator_that_does_not_answer_times_out() {
    let nats = NatsServer::start().await;
    let bus = nats.connect("ctl").await;
    let raw = async_nats::connect(nats.url()).await.unwrap();
    let mut silent = raw.subscribe(API_ALL).await.unwrap();
    // A round trip: the subscription stands.
    raw.request("nobody.there", "".into()).await.unwrap_err();
    let subject = api("local", ApiOp::CoordinatorInfo);
    let limit = Duration::from_millis(200);
    let error = request::<_, ShowDevice>(&bus, &subject, &ShowDevice::default(), limit)
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::CoordinatorTimeout);
    assert!(silent.next().await.is_some(), "it was asked");
}

#[tokio::test]
async fn a_server_that_dies_under_a_request_is_told_early() {
    let mut nats = NatsServer::start().await;
    let bus = nats.connect("ctl").await;
    let raw = async_nats::connect(nats.url()).await.unwrap();
    let mut silent = raw.subscribe(API_ALL).await.unwrap();
    raw.request("nobody.there", "".into()).await.unwrap_err();
    let asking = tokio::spawn(async move {
        let subject = api("local", ApiOp::CoordinatorInfo);
        request::<_, ShowDevice>(
            &bus,
            &subject,
            &ShowDevice::default(),
            Duration::from_secs(3600),
        )
        .await
    });
    timeout(PATIENCE, silent.next())
        .await
        .unwrap()
        .expect("the request");
    nats.kill9();
    let error = timeout(PATIENCE, asking)
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusUnreachable);
}

#[tokio::test]
async fn no_more_than_the_bound_are_answered_at_a_time() {
    const BOUND: usize = 2;
    const ASKED: usize = 8;
    let nats = NatsServer::start().await;
    let bus = nats.connect("test").await;
    let (running, most, allowed) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Semaphore::new(0)),
    );
    let (seen, top, gate) = (
        Arc::clone(&running),
        Arc::clone(&most),
        Arc::clone(&allowed),
    );
    let handler = move |call: Call| {
        let (running, most, allowed) = (
            Arc::clone(&running),
            Arc::clone(&most),
            Arc::clone(&allowed),
        );
        async move {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            allowed.acquire().await.unwrap().forget();
            running.fetch_sub(1, Ordering::SeqCst);
            echo(call).await
        }
    };
    let server = Server::open(&bus, API_ALL, COORDINATOR_QUEUE, BOUND)
        .await
        .unwrap();
    tokio::spawn(server.run(handler, CancellationToken::new()));
    let asking = tokio::spawn({
        let bus = bus.clone();
        async move { join_all((0..ASKED).map(|_| ask(&bus, "nvr"))).await }
    });
    eventually("the first to be answered", || {
        let full = seen.load(Ordering::SeqCst) == BOUND;
        std::future::ready(full.then_some(()))
    })
    .await;
    // Sent over the same connection after all the requests, so those have arrived.
    bus.round_trip().await.unwrap();
    gate.add_permits(ASKED);
    for answer in timeout(PATIENCE, asking).await.unwrap().unwrap() {
        assert_eq!(answer.unwrap().name, "nvr");
    }
    assert_eq!(top.load(Ordering::SeqCst), BOUND);
}

/// Whoever asks chooses where the reply goes; it must not go into a stream with the rights of the
/// coordinator.
#[tokio::test]
async fn a_reply_goes_to_inboxes_only() {
    let nats = NatsServer::start().await;
    let bus = nats.connect_with_streams("coordinator").await;
    let stop = CancellationToken::new();
    let _serving = serve(&bus, &stop).await;
    let raw = async_nats::connect(nats.url()).await.unwrap();
    let subject = api("local", ApiOp::InventoryShow);
    for target in ["tvt.v1.out.acme.depot.rec", "$KV.tvt_want.acme.depot"] {
        raw.publish_with_reply(subject.clone(), target, "\0".into())
            .await
            .unwrap();
    }
    // Over the same connection, so it is answered after the others.
    raw.request(subject, "\0".into()).await.unwrap();
    let context = async_nats::jetstream::new(raw);
    for stream in ["TVT_OUT", "KV_tvt_want"] {
        let found = context.get_stream(stream).await.unwrap();
        assert_eq!(found.cached_info().state.messages, 0, "{stream}");
    }
    let site = sample::site("acme/depot");
    assert_eq!(
        tvtfleet_bus::want::read_want_direct(&bus, &site)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_stop_lets_the_answer_under_way_finish() {
    let nats = NatsServer::start().await;
    let bus = nats.connect("test").await;
    let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (started, open) = (Arc::clone(&begun), Arc::clone(&gate));
    let handler = move |call: Call| {
        let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
        async move {
            begun.add_permits(1);
            gate.acquire().await.unwrap().forget();
            echo(call).await
        }
    };
    let stop = CancellationToken::new();
    let server = Server::open(&bus, API_ALL, COORDINATOR_QUEUE, 4)
        .await
        .unwrap();
    let serving = tokio::spawn(server.run(handler, stop.clone()));
    let asking = tokio::spawn({
        let bus = bus.clone();
        async move { ask(&bus, "nvr").await }
    });
    timeout(PATIENCE, started.acquire())
        .await
        .unwrap()
        .unwrap()
        .forget();
    stop.cancel();
    open.add_permits(1);
    assert_eq!(
        timeout(PATIENCE, asking)
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .name,
        "nvr"
    );
    timeout(PATIENCE, serving).await.unwrap().unwrap().unwrap();
}
