//! The declared streams: made, kept, put right, or refused.

use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::jetstream::{self, Context};
use tvtfleet_bus::clock::{Clock as _, ManualClock, SystemClock};
use tvtfleet_bus::server_clock;
use tvtfleet_bus::streams::{Declarations, Ensured, ensure};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::subject::{BLOB_STREAM, OUT_STREAM, WANT_STREAM};
use tvtfleet_tests::NatsServer;
use tvtfleet_tests::nats::NatsSettings;

async fn jetstream(server: &NatsServer) -> Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

#[tokio::test]
async fn streams_are_made_once_and_then_kept() {
    let mut server = NatsServer::start().await;
    let bus = server.connect("test").await;
    let made = ensure(&bus, &Declarations::SMALL).await.unwrap();
    assert_eq!(
        made,
        [
            (WANT_STREAM, Ensured::Created),
            (OUT_STREAM, Ensured::Created),
            (BLOB_STREAM, Ensured::Created)
        ]
    );
    let kept = [WANT_STREAM, OUT_STREAM, BLOB_STREAM].map(|name| (name, Ensured::Kept));
    assert_eq!(ensure(&bus, &Declarations::SMALL).await.unwrap(), kept);
    server.restart().await;
    let bus = server.connect("test").await;
    assert_eq!(ensure(&bus, &Declarations::SMALL).await.unwrap(), kept);
    let info = jetstream(&server)
        .await
        .get_stream(WANT_STREAM)
        .await
        .unwrap()
        .cached_info()
        .clone();
    assert!(
        info.config.max_consumers > 0,
        "the limit of consumers is ours, not the server's default"
    );
    jetstream(&server)
        .await
        .get_key_value("tvt_want")
        .await
        .expect("it is a bucket to other tools");
}

#[tokio::test]
async fn changed_settings_are_put_right() {
    let server = NatsServer::start().await;
    let bus = server.connect_with_streams("test").await;
    let context = jetstream(&server).await;
    let mut config = context
        .get_stream(WANT_STREAM)
        .await
        .unwrap()
        .cached_info()
        .config
        .clone();
    config.republish = None;
    config.description = Some("somebody's own words".to_owned());
    context.update_stream(&config).await.unwrap();
    let larger = Declarations {
        out_max_bytes: Declarations::SMALL.out_max_bytes * 2,
        ..Declarations::SMALL
    };
    let repaired = ensure(&bus, &larger).await.unwrap();
    assert_eq!(
        repaired,
        [
            (WANT_STREAM, Ensured::Repaired(vec!["republish"])),
            (OUT_STREAM, Ensured::Repaired(vec!["max_bytes"])),
            (BLOB_STREAM, Ensured::Kept),
        ]
    );
    let found = context
        .get_stream(WANT_STREAM)
        .await
        .unwrap()
        .cached_info()
        .config
        .clone();
    assert!(found.republish.is_some());
    assert_eq!(
        found.description, config.description,
        "what we have no view on stays"
    );
}

#[tokio::test]
async fn settings_that_cannot_be_changed_are_refused_by_name() {
    let server = NatsServer::start().await;
    let bus = server.connect("test").await;
    let foreign = Config {
        name: OUT_STREAM.to_owned(),
        subjects: vec!["tvt.v1.out.*.*.*".to_owned()],
        storage: StorageType::Memory,
        ..Config::default()
    };
    jetstream(&server)
        .await
        .create_stream(foreign)
        .await
        .unwrap();
    let error = ensure(&bus, &Declarations::SMALL).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusStream);
    assert!(
        error.to_string().contains("TVT_OUT has another storage"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("remove the stream"));
}

#[tokio::test]
async fn a_stream_that_does_not_fit_the_disk_says_so() {
    let server = NatsServer::start().await;
    let bus = server.connect("test").await;
    let error = ensure(&bus, &Declarations::default()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusStream);
    assert!(error.to_string().contains("storage"), "{error}");
}

#[tokio::test]
async fn a_server_without_jetstream_is_not_supported() {
    let server = NatsServer::start_with(NatsSettings {
        jetstream: false,
        ..NatsSettings::default()
    })
    .await;
    let bus = server.connect("test").await;
    let error = ensure(&bus, &Declarations::SMALL).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusUnsupported, "{error:?}");
    assert!(error.hint().unwrap().contains("-js"));
}

#[tokio::test]
async fn the_servers_clock_is_compared_with_ours() {
    let server = NatsServer::start().await;
    let bus = server.connect("test").await;
    assert_eq!(
        server_clock::offset_ms(&bus, &SystemClock).await.unwrap(),
        None
    );
    ensure(&bus, &Declarations::SMALL).await.unwrap();
    // Server and test run on one machine: the times differ by their rounding at most.
    let near = server_clock::offset_ms(&bus, &SystemClock).await.unwrap();
    assert!(near.unwrap().abs() < 100, "{near:?}");
    let hour = std::time::Duration::from_secs(3600);
    let slow = ManualClock::new(SystemClock.now().before(hour));
    let ahead = server_clock::offset_ms(&bus, &slow).await.unwrap();
    assert!(
        (3_590_000..3_610_000).contains(&ahead.unwrap()),
        "{ahead:?}"
    );
    let fast = ManualClock::new(SystemClock.now().after(hour));
    let behind = server_clock::offset_ms(&bus, &fast).await.unwrap();
    assert!(
        (-3_610_000..-3_590_000).contains(&behind.unwrap()),
        "{behind:?}"
    );
}
