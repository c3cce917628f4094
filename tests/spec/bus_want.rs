//! Want documents: one writer wins, pushes come after storage, and only the site's own counts.

use tokio::time::timeout;
use tvtfleet_bus::want::{read_stored, read_want_direct, subscribe_want, write_want};
use tvtfleet_bus::{BusError, ConnectOptions, connect};
use tvtfleet_proto::envelope;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{JobWant, WantState};
use tvtfleet_proto::subject::{WANT_STREAM, want_subject};
use tvtfleet_proto::wire::v1;
use tvtfleet_tests::nats::NatsSettings;
use tvtfleet_tests::{NatsServer, PATIENCE, sample};
use uuid::Uuid;

#[tokio::test]
async fn of_two_writers_one_is_told() {
    let server = NatsServer::start().await;
    let bus = server.connect_with_streams("test").await;
    let site = sample::site("acme/depot");
    let first = write_want(&bus, &sample::want(&site, 1), None)
        .await
        .unwrap();
    let conflict = write_want(&bus, &sample::want(&site, 2), None)
        .await
        .unwrap_err();
    assert!(
        matches!(conflict, BusError::Conflict { .. }),
        "{conflict:?}"
    );
    let second = write_want(&bus, &sample::want(&site, 2), Some(first))
        .await
        .unwrap();
    assert!(second > first);
    let conflict = write_want(&bus, &sample::want(&site, 3), Some(first))
        .await
        .unwrap_err();
    assert_eq!(conflict.code(), ErrorCode::BusStream);
    let stored = read_stored(&bus, &site).await.unwrap().unwrap();
    assert_eq!(stored.kv_revision, second);
    assert_eq!(stored.doc, Ok(Some(sample::want(&site, 2))));
    assert_eq!(
        read_want_direct(&bus, &sample::site("acme/other"))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn only_what_is_stored_is_pushed() {
    let server = NatsServer::start().await;
    let coordinator = server.connect_with_streams("coordinator").await;
    let agent = server.connect("agent").await;
    let site = sample::site("acme/depot");
    let mut pushed = subscribe_want(&agent, &site).await.unwrap();
    // The answer comes after the server has taken the subscription.
    assert_eq!(read_want_direct(&agent, &site).await.unwrap(), None);
    let revision = write_want(&coordinator, &sample::want(&site, 1), None)
        .await
        .unwrap();
    assert_eq!(
        timeout(PATIENCE, pushed.next()).await.unwrap().unwrap(),
        sample::want(&site, 1)
    );
    write_want(&coordinator, &sample::want(&site, 99), Some(revision + 7))
        .await
        .unwrap_err();
    write_want(
        &coordinator,
        &sample::want(&sample::site("acme/other"), 5),
        None,
    )
    .await
    .unwrap();
    write_want(&coordinator, &sample::want(&site, 2), Some(revision))
        .await
        .unwrap();
    assert_eq!(
        timeout(PATIENCE, pushed.next()).await.unwrap().unwrap(),
        sample::want(&site, 2)
    );
    assert_eq!(pushed.bad(), 0);
}

#[tokio::test]
async fn a_subscription_survives_a_restart_of_the_server() {
    let mut server = NatsServer::start().await;
    let bus = server.connect_with_streams("test").await;
    let site = sample::site("acme/depot");
    let mut pushed = subscribe_want(&bus, &site).await.unwrap();
    let revision = write_want(&bus, &sample::want(&site, 1), None)
        .await
        .unwrap();
    assert_eq!(
        timeout(PATIENCE, pushed.next())
            .await
            .unwrap()
            .unwrap()
            .revision
            .0,
        1
    );
    let mut state = bus.state();
    server.stop().await;
    timeout(
        PATIENCE,
        state.wait_for(|state| *state != tvtfleet_bus::BusState::Connected),
    )
    .await
    .unwrap()
    .unwrap();
    server.resume().await;
    bus.connected(PATIENCE).await.unwrap();
    assert_eq!(
        read_want_direct(&bus, &site).await.unwrap(),
        Some(sample::want(&site, 1))
    );
    write_want(&bus, &sample::want(&site, 2), Some(revision))
        .await
        .unwrap();
    assert_eq!(
        timeout(PATIENCE, pushed.next())
            .await
            .unwrap()
            .unwrap()
            .revision
            .0,
        2
    );
}

#[tokio::test]
async fn a_document_of_another_site_or_of_rubbish_is_refused() {
    let server = NatsServer::start().await;
    let bus = server.connect_with_streams("test").await;
    let (site, other) = (sample::site("acme/depot"), sample::site("acme/other"));
    let mut pushed = subscribe_want(&bus, &site).await.unwrap();
    assert_eq!(read_want_direct(&bus, &site).await.unwrap(), None);
    let raw = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let foreign = envelope::seal(&v1::WantDoc::from(sample::want(&other, 1)));
    let mut revision = 0;
    for body in [foreign, b"\x07rubbish".to_vec(), Vec::new()] {
        revision = raw
            .publish(want_subject(&site), body.into())
            .await
            .unwrap()
            .await
            .unwrap()
            .sequence;
        let error = read_want_direct(&bus, &site).await.unwrap_err();
        assert!(
            [ErrorCode::MessageInvalid, ErrorCode::MessageVersion].contains(&error.code()),
            "{error:?}"
        );
    }
    // The coordinator can write over it all the same.
    let stored = read_stored(&bus, &site).await.unwrap().unwrap();
    assert_eq!(stored.kv_revision, revision);
    write_want(&bus, &sample::want(&site, 4), Some(stored.kv_revision))
        .await
        .unwrap();
    assert_eq!(
        timeout(PATIENCE, pushed.next()).await.unwrap().unwrap(),
        sample::want(&site, 4)
    );
    assert_eq!(pushed.bad(), 3);
}

#[tokio::test]
async fn a_document_that_is_too_large_is_not_sent() {
    let server = NatsServer::start().await;
    let bus = server.connect_with_streams("test").await;
    let mut doc = sample::want(&sample::site("acme/depot"), 1);
    // Numbers that do not compress.
    doc.jobs = (1..16_000_u128)
        .map(|number| JobWant {
            job: JobId::new(Uuid::from_u128(
                number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835),
            )),
            state: WantState::Run,
            not_after: UtcMillis::new(0),
            traceparent: String::new(),
            target_count: 1,
            work: None,
            order: None,
        })
        .collect();
    let error = write_want(&bus, &doc, None).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::MessageTooLarge);
}

#[tokio::test]
async fn after_the_loss_of_the_store_everything_is_written_anew() {
    let mut server = NatsServer::start().await;
    let bus = server.connect_with_streams("test").await;
    let site = sample::site("acme/depot");
    write_want(&bus, &sample::want(&site, 7), None)
        .await
        .unwrap();
    server.wipe().await;
    let bus = server.connect("test").await;
    let error = read_want_direct(&bus, &site).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusStream, "{error:?}");
    let bus = server.connect_with_streams("test").await;
    assert_eq!(read_want_direct(&bus, &site).await.unwrap(), None);
    write_want(&bus, &sample::want(&site, 8), None)
        .await
        .unwrap();
    assert_eq!(
        read_want_direct(&bus, &site).await.unwrap(),
        Some(sample::want(&site, 8))
    );
}

/// What an agent may do is all it needs, and another site's document is out of its reach.
#[tokio::test]
async fn an_agents_permissions_are_enough_and_no_more() {
    let extra = format!(
        r#"authorization {{ users: [
            {{ user: coordinator, password: x }}
            {{ user: agent, password: x, permissions: {{
                publish: {{ allow: ["$JS.API.DIRECT.GET.{WANT_STREAM}.$KV.tvt_want.acme.depot"] }}
                subscribe: {{ allow: ["_INBOX.AGENT.>", "tvt.v1.push.*.acme.depot"] }} }} }}
        ] }}"#
    );
    let server = NatsServer::start_with(NatsSettings {
        extra,
        ..NatsSettings::default()
    })
    .await;
    let url = |user: &str| vec![format!("nats://{user}:x@127.0.0.1:{}", server.port())];
    let coordinator = ConnectOptions {
        urls: url("coordinator"),
        ..ConnectOptions::default()
    };
    let coordinator = connect(&coordinator).await.unwrap();
    tvtfleet_bus::streams::ensure(&coordinator, &tvtfleet_bus::streams::Declarations::SMALL)
        .await
        .unwrap();
    let (site, other) = (sample::site("acme/depot"), sample::site("acme/other"));
    for site in [&site, &other] {
        write_want(&coordinator, &sample::want(site, 1), None)
            .await
            .unwrap();
    }
    let inbox_prefix = Some("_INBOX.AGENT".to_owned());
    let agent = ConnectOptions {
        urls: url("agent"),
        inbox_prefix,
        ..ConnectOptions::default()
    };
    let agent = connect(&agent).await.unwrap();
    let mut pushed = subscribe_want(&agent, &site).await.unwrap();
    let stored = read_stored(&agent, &site).await.unwrap().unwrap();
    assert_eq!(stored.doc, Ok(Some(sample::want(&site, 1))));
    write_want(
        &coordinator,
        &sample::want(&site, 2),
        Some(stored.kv_revision),
    )
    .await
    .unwrap();
    assert_eq!(
        timeout(PATIENCE, pushed.next())
            .await
            .unwrap()
            .unwrap()
            .revision
            .0,
        2
    );
    let error = read_want_direct(&agent, &other).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusDenied, "{error:?}");
    let mut foreign = subscribe_want(&agent, &other).await.unwrap();
    let error = timeout(PATIENCE, foreign.next())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusDenied, "{error:?}");
}
