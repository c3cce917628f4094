//! Results on their way: nothing counted twice, nothing lost for being damaged, and reading goes on
//! from where the database stands.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use tokio::time::timeout;
use tvtfleet_bus::Bus;
use tvtfleet_bus::consume::{OutConsumer, OutMessage, Position, stream_generation};
use tvtfleet_bus::error::MessageError;
use tvtfleet_bus::publish::{BATCH_MAX, OutAck, OutPublisher, Outgoing};
use tvtfleet_proto::envelope;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::want::OutBatch;
use tvtfleet_proto::subject::OUT_STREAM;
use tvtfleet_proto::wire::v1;
use tvtfleet_tests::{NatsServer, PATIENCE, sample};

const DURABLE: &str = "out-test";

async fn publish(bus: &Bus, batch: &OutBatch) -> OutAck {
    let sealed = Outgoing::seal(batch, String::new());
    OutPublisher::new(bus)
        .publish(&sealed)
        .await
        .unwrap()
        .await
        .unwrap()
}

async fn begin(bus: &Bus, after: u64) -> OutConsumer {
    let generation = stream_generation(bus).await.unwrap();
    OutConsumer::open(bus, DURABLE, Position { generation, after })
        .await
        .unwrap()
}

/// Reads until there are `count` messages.
async fn read(consumer: &mut OutConsumer, count: usize) -> Vec<OutMessage> {
    let mut messages = Vec::new();
    let all = async {
        while messages.len() < count {
            messages.extend(consumer.next_batch(100, PATIENCE).await.unwrap());
        }
    };
    timeout(PATIENCE, all)
        .await
        .expect("the messages come in time");
    messages
}

fn sequences(messages: &[OutMessage]) -> Vec<u64> {
    messages
        .iter()
        .map(|message| message.batch.as_ref().unwrap().sequence.0)
        .collect()
}

#[tokio::test]
async fn a_batch_that_is_sent_twice_is_stored_once() {
    let server = NatsServer::start().await;
    let bus = server.connect_with_streams("test").await;
    let batch = sample::batch(&sample::site("acme/depot"), 1);
    let first = publish(&bus, &batch).await;
    let second = publish(&bus, &batch).await;
    assert_eq!(
        first,
        OutAck {
            stream_sequence: 1,
            duplicate: false
        }
    );
    assert_eq!(
        second,
        OutAck {
            stream_sequence: 1,
            duplicate: true
        }
    );
    let mut consumer = begin(&bus, 0).await;
    assert_eq!(read(&mut consumer, 1).await[0].batch, Ok(batch));
    assert!(
        consumer
            .next_batch(10, Duration::from_millis(50))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_spooled_batch_reads_back_as_it_was_sealed() {
    let batch = sample::batch(&sample::site("acme/depot"), 3);
    let sealed = Outgoing::seal(&batch, String::new());
    let (reopened, read) = Outgoing::reopen(sealed.body.clone()).unwrap();
    assert_eq!((reopened, read), (sealed, batch));
    assert_eq!(
        Outgoing::reopen("rubbish".into()).unwrap_err().code(),
        ErrorCode::MessageVersion
    );
}

#[tokio::test]
async fn one_acknowledgement_covers_everything_before_it() {
    let server = NatsServer::start().await;
    let bus = server.connect_with_streams("test").await;
    let site = sample::site("acme/depot");
    for sequence in 1..=5 {
        publish(&bus, &sample::batch(&site, sequence)).await;
    }
    let mut consumer = begin(&bus, 0).await;
    let messages = read(&mut consumer, 5).await;
    assert_eq!(sequences(&messages), [1, 2, 3, 4, 5], "in order");
    assert_eq!(messages[4].subject, "tvt.v1.out.acme.depot.evt");
    consumer
        .ack_through(messages[3].stream_sequence)
        .await
        .unwrap();
    let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let durable: PullConsumer = context
        .get_consumer_from_stream(DURABLE, OUT_STREAM)
        .await
        .unwrap();
    let info = durable.cached_info();
    assert_eq!(info.ack_floor.stream_sequence, 4);
    assert_eq!(info.num_ack_pending, 1);
    assert_eq!(info.config.filter_subject, "");
}

#[tokio::test]
async fn reading_goes_on_after_the_databases_cursor() {
    let server = NatsServer::start().await;
    let bus = server.connect_with_streams("test").await;
    let site = sample::site("acme/depot");
    for sequence in 1..=6 {
        publish(&bus, &sample::batch(&site, sequence)).await;
    }
    // Read and not acknowledged, as by a coordinator that ended before its commit.
    let mut before = begin(&bus, 0).await;
    assert_eq!(read(&mut before, 6).await.len(), 6);
    drop(before);
    let mut again = begin(&bus, 4).await;
    assert_eq!(sequences(&read(&mut again, 2).await), [5, 6]);
    // A cursor beyond the end, as after the loss of the newest messages: their numbers come again.
    let mut beyond = begin(&bus, 1_000).await;
    publish(&bus, &sample::batch(&site, 7)).await;
    assert_eq!(sequences(&read(&mut beyond, 1).await), [7]);
}

#[tokio::test]
async fn a_stream_that_was_made_again_is_noticed() {
    let mut server = NatsServer::start().await;
    let bus = server.connect_with_streams("test").await;
    let site = sample::site("acme/depot");
    let generation = stream_generation(&bus).await.unwrap();
    for sequence in 1..=3 {
        publish(&bus, &sample::batch(&site, sequence)).await;
    }
    server.restart().await;
    let bus = server.connect("test").await;
    assert_eq!(
        stream_generation(&bus).await.unwrap(),
        generation,
        "a restart changes nothing"
    );
    server.wipe().await;
    let bus = server.connect("test").await;
    assert_eq!(
        stream_generation(&bus).await.unwrap_err().code(),
        ErrorCode::BusStream
    );
    let bus = server.connect_with_streams("test").await;
    publish(&bus, &sample::batch(&site, 2)).await;
    let old = Position {
        generation,
        after: 3,
    };
    let mut consumer = OutConsumer::open(&bus, DURABLE, old).await.unwrap();
    assert_ne!(consumer.generation(), generation);
    assert_eq!(
        sequences(&read(&mut consumer, 1).await),
        [2],
        "from the start of the new one"
    );
}

#[tokio::test]
async fn damaged_messages_are_items_and_not_the_end() {
    let server = NatsServer::start().await;
    let bus = server.connect_with_streams("test").await;
    let (site, other) = (sample::site("acme/depot"), sample::site("acme/other"));
    let raw = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let foreign = envelope::seal(&v1::OutBatch::from(sample::batch(&other, 1)));
    let good = envelope::seal(&v1::OutBatch::from(sample::batch(&site, 1)));
    for (subject, body) in [
        ("tvt.v1.out.acme.depot.rec", Vec::new()),
        ("tvt.v1.out.acme.depot.rec", b"\x00\xFF\xFF".to_vec()),
        ("tvt.v1.out.acme.depot.rec", b"\x01not zstd".to_vec()),
        ("tvt.v1.out.acme.depot.rec", foreign),
        ("tvt.v1.out.acme.Depot!.rec", good.clone()),
        ("tvt.v1.out.acme.depot.unknown", good),
    ] {
        raw.publish(subject, body.into())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    publish(&bus, &sample::batch(&site, 9)).await;
    let mut consumer = begin(&bus, 0).await;
    let messages = read(&mut consumer, 7).await;
    let errors: Vec<_> = messages[..6]
        .iter()
        .map(|message| message.batch.clone().unwrap_err())
        .collect();
    assert!(
        errors
            .iter()
            .all(|error| error.code() == ErrorCode::MessageInvalid),
        "{errors:?}"
    );
    assert!(matches!(errors[3], MessageError::Site { .. }), "{errors:?}");
    assert!(
        matches!(errors[4], MessageError::Subject { .. }),
        "{errors:?}"
    );
    assert!(
        matches!(errors[5], MessageError::Subject { .. }),
        "{errors:?}"
    );
    assert_eq!(messages[2].raw, "\u{1}not zstd");
    assert_eq!(sequences(&messages[6..]), [9]);
    consumer
        .ack_through(messages[6].stream_sequence)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_under_way_when_the_server_dies_is_sent_again_and_counts_once() {
    let mut server = NatsServer::start().await;
    let bus = server.connect_with_streams("test").await;
    let publisher = OutPublisher::new(&bus);
    let site = sample::site("acme/depot");
    let sealed: Vec<_> = (1..=40)
        .map(|sequence| Outgoing::seal(&sample::batch(&site, sequence), String::new()))
        .collect();
    let mut window = Vec::new();
    for outgoing in &sealed {
        window.push(publisher.publish(outgoing).await.unwrap());
    }
    server.kill9();
    // Those that were not acknowledged fail together, long before their timeout.
    let failed = timeout(PATIENCE, async {
        let mut failed = 0;
        for ack in window {
            if let Err(error) = ack.await {
                assert_eq!(error.code(), ErrorCode::BusUnreachable, "{error:?}");
                failed += 1;
            }
        }
        failed
    });
    failed.await.unwrap();
    let error = publisher.publish(&sealed[0]).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusUnreachable);
    server.resume().await;
    bus.connected(PATIENCE).await.unwrap();
    for outgoing in &sealed {
        publisher.publish(outgoing).await.unwrap().await.unwrap();
    }
    let mut consumer = begin(&bus, 0).await;
    assert_eq!(
        sequences(&read(&mut consumer, 40).await),
        (1..=40).collect::<Vec<_>>()
    );
    assert!(
        consumer
            .next_batch(10, Duration::from_millis(50))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn reading_survives_a_crash_of_the_server() {
    let mut server = NatsServer::start().await;
    let bus = server.connect_with_streams("test").await;
    let site = sample::site("acme/depot");
    publish(&bus, &sample::batch(&site, 1)).await;
    let mut consumer = begin(&bus, 0).await;
    let mut cursor = read(&mut consumer, 1).await[0].stream_sequence;
    let mut state = bus.state();
    server.kill9();
    timeout(
        PATIENCE,
        state.wait_for(|state| *state != tvtfleet_bus::BusState::Connected),
    )
    .await
    .unwrap()
    .unwrap();
    server.resume().await;
    bus.connected(PATIENCE).await.unwrap();
    publish(&bus, &sample::batch(&site, 2)).await;
    // As the coordinator does: an error means opening again from the cursor.
    let error = consumer.next_batch(10, PATIENCE).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusUnreachable);
    consumer = begin(&bus, cursor).await;
    let messages = read(&mut consumer, 1).await;
    assert_eq!(sequences(&messages), [2]);
    cursor = messages[0].stream_sequence;
    consumer.ack_through(cursor).await.unwrap();
}

#[tokio::test]
async fn what_no_stream_takes_is_an_error_with_its_own_code() {
    let server = NatsServer::start().await;
    let bus = server.connect("test").await;
    let publisher = OutPublisher::new(&bus);
    let site = sample::site("acme/depot");
    let sealed = Outgoing::seal(&sample::batch(&site, 1), String::new());
    let error = publisher.publish(&sealed).await.unwrap().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusStream, "there is no stream");
    let large = Outgoing {
        body: vec![0; BATCH_MAX + 1].into(),
        ..sealed
    };
    let error = publisher.publish(&large).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::MessageTooLarge);
    assert!(!error.code().retryable());
}
