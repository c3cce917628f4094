//! Traces: one over a request and its answer, links over what is stored in between, and the names of
//! spans and attributes.

use std::thread;

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use tvtfleet_bus::attribute;
use tvtfleet_bus::consume::{OutConsumer, Position, stream_generation};
use tvtfleet_bus::publish::{OutPublisher, Outgoing};
use tvtfleet_bus::rpc::{Call, Reply, Server, request};
use tvtfleet_bus::telemetry::{LogFormat, Telemetry, Verbosity};
use tvtfleet_bus::trace::{RemoteContext, traceparent};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::subject::{API_ALL, ApiOp, COORDINATOR_QUEUE, api};
use tvtfleet_proto::wire::v1::{AskInfo, CoordinatorInfo};
use tvtfleet_tests::collector::{Collector, ExportedSpan};
use tvtfleet_tests::{NatsServer, PATIENCE, sample};

fn exporting(service: &str, endpoint: &str) -> Telemetry {
    let variable =
        |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.to_owned());
    Telemetry::build(service, Verbosity::Quiet, LogFormat::Text, variable).unwrap()
}

async fn refuse(_: Call) -> Result<Reply, ApiError> {
    tracing::info_span!("inventory.read").in_scope(|| {});
    Err(ApiError {
        code: ErrorCode::JobUnknown,
        message: String::new(),
        hint: String::new(),
    })
}

/// A coordinator with telemetry of its own, on a thread of its own, until `stop`.
async fn coordinator(
    nats: &NatsServer,
    endpoint: String,
    stop: CancellationToken,
) -> thread::JoinHandle<()> {
    let options = nats.options("coordinator");
    let (ready, is_ready) = oneshot::channel();
    let thread = thread::spawn(move || {
        let telemetry = exporting("tvt-coordinator", &endpoint);
        let _default = tracing::dispatcher::set_default(&telemetry.dispatch);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let bus = tvtfleet_bus::connect(&options).await.unwrap();
            let server = Server::open(&bus, API_ALL, COORDINATOR_QUEUE, 4)
                .await
                .unwrap();
            ready.send(()).unwrap();
            server.run(refuse, stop).await.unwrap();
        });
    });
    is_ready.await.unwrap();
    thread
}

async fn span(collector: &Collector, name: &str) -> ExportedSpan {
    let find = |spans: &[ExportedSpan]| spans.iter().find(|span| span.name == name).cloned();
    collector.spans.wait_for(name, find).await
}

#[tokio::test]
async fn a_request_and_its_answer_are_one_trace() {
    let nats = NatsServer::start().await;
    let collector = Collector::start().await;
    let stop = CancellationToken::new();
    let thread = coordinator(&nats, collector.endpoint(), stop.clone()).await;
    let telemetry = exporting("tvtctl", &collector.endpoint());
    let default = tracing::dispatcher::set_default(&telemetry.dispatch);
    let bus = nats.connect("ctl").await;
    let subject = api("local", ApiOp::JobShow);
    let asked = request::<_, CoordinatorInfo>(&bus, &subject, &AskInfo {}, PATIENCE);
    let error = asked
        .instrument(tracing::info_span!("job.show"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::JobUnknown);
    stop.cancel();
    drop(default);
    // Both block until their spans are out, which this thread's collector must take.
    spawn_blocking(move || {
        drop(telemetry.guard);
        thread.join().unwrap();
    })
    .await
    .unwrap();
    let root = span(&collector, "job.show").await;
    let asking = span(&collector, "bus.request").await;
    let serving = span(&collector, "bus.serve").await;
    let reading = span(&collector, "inventory.read").await;
    assert_eq!(
        (root.service.as_str(), root.parent.as_str()),
        ("tvtctl", "")
    );
    assert_eq!(
        (asking.service.as_str(), &asking.parent),
        ("tvtctl", &root.id)
    );
    assert_eq!(
        (serving.service.as_str(), &serving.parent),
        ("tvt-coordinator", &asking.id)
    );
    assert_eq!(
        (reading.service.as_str(), &reading.parent),
        ("tvt-coordinator", &serving.id)
    );
    for span in [&asking, &serving, &reading] {
        assert_eq!(span.trace, root.trace);
    }
    for span in [&asking, &serving] {
        assert_eq!(
            span.attribute(attribute::DESTINATION),
            Some(subject.as_str())
        );
        assert_eq!(span.attribute(attribute::ERROR_TYPE), Some("job.unknown"));
    }
}

#[tokio::test]
async fn what_is_applied_later_is_linked_to_what_was_found() {
    let nats = NatsServer::start().await;
    let collector = Collector::start().await;
    let telemetry = exporting("tvt-agent", &collector.endpoint());
    let default = tracing::dispatcher::set_default(&telemetry.dispatch);
    let bus = nats.connect_with_streams("test").await;
    let scan = tracing::info_span!("job.run");
    let found_in = scan.in_scope(|| traceparent(&RemoteContext::default()));
    drop(scan);
    let batch = sample::batch(&sample::site("acme/depot"), 1);
    let sealed = Outgoing::seal(&batch, found_in);
    OutPublisher::new(&bus)
        .publish(&sealed)
        .await
        .unwrap()
        .await
        .unwrap();
    let generation = stream_generation(&bus).await.unwrap();
    let mut consumer = OutConsumer::open(
        &bus,
        "out-test",
        Position {
            generation,
            after: 0,
        },
    )
    .await
    .unwrap();
    let messages = consumer.next_batch(1, PATIENCE).await.unwrap();
    let applying = tracing::info_span!("result.apply");
    messages[0].context.link(&applying);
    drop(applying);
    drop(default);
    spawn_blocking(move || drop(telemetry.guard)).await.unwrap();
    let found = span(&collector, "job.run").await;
    let published = span(&collector, "bus.publish").await;
    let applied = span(&collector, "result.apply").await;
    assert_eq!(published.links, [found.id]);
    assert_eq!(published.parent, "", "hours may lie between");
    assert_eq!(
        published.attribute(attribute::MESSAGE_ID),
        Some(batch.message_id().as_str())
    );
    assert_eq!(applied.links, [published.id]);
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up() {
    let endpoint = Collector::start().await.endpoint();
    let telemetry = exporting("tvt-agent", &endpoint);
    tracing::dispatcher::with_default(&telemetry.dispatch, || drop(tracing::info_span!("job.run")));
    let ended = spawn_blocking(move || drop(telemetry.guard));
    tokio::time::timeout(PATIENCE, ended)
        .await
        .unwrap()
        .unwrap();
}
