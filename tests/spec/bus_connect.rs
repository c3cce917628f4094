//! Connecting: what is said when it fails, and what becomes of a lost connection.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::{BusError, BusState, ConnectOptions, connect, rpc};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::wire::v1::{AskInfo, CoordinatorInfo};
use tvtfleet_tests::identity::Identity;
use tvtfleet_tests::nats::{NatsSettings, locate};
use tvtfleet_tests::{NatsServer, PATIENCE};
use xtask::nats_server::Version;

const TOO_OLD: Version = Version::new(2, 10, 26);

#[tokio::test]
async fn without_a_server_the_address_and_a_hint_are_named() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let options = ConnectOptions {
        urls: vec![format!("nats://user:hunter2@127.0.0.1:{port}")],
        ..ConnectOptions::default()
    };
    let error = connect(&options).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusUnreachable);
    assert_eq!(
        error.to_string(),
        format!("cannot reach a NATS server at nats://127.0.0.1:{port}")
    );
    assert!(error.hint().unwrap().contains("nats-server"));
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused() {
    if locate(Some(TOO_OLD)).is_none() {
        eprintln!(
            "skipped: no nats-server {TOO_OLD} (run `cargo xtask nats-server --version {TOO_OLD}`)"
        );
        return;
    }
    let server = NatsServer::start_with(NatsSettings {
        version: Some(TOO_OLD),
        ..NatsSettings::default()
    })
    .await;
    let patient = ConnectOptions {
        retry_initial: true,
        ..server.options("test")
    };
    for options in [server.options("test"), patient] {
        let error = timeout(PATIENCE, connect(&options))
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::BusUnsupported);
        assert!(error.to_string().contains("2.10.26"), "{error}");
        assert!(error.to_string().contains("2.11.0"), "{error}");
    }
}

#[tokio::test]
async fn a_lost_connection_comes_back_by_itself() {
    let mut server = NatsServer::start().await;
    let bus = server.connect("test").await;
    let mut state = bus.state();
    server.kill9();
    timeout(
        PATIENCE,
        state.wait_for(|state| *state == BusState::Disconnected),
    )
    .await
    .unwrap()
    .unwrap();
    assert!(!bus.is_connected());
    assert_eq!(
        bus.round_trip().await.unwrap_err().code(),
        ErrorCode::BusUnreachable
    );
    server.resume().await;
    bus.connected(PATIENCE).await.unwrap();
    bus.round_trip().await.unwrap();
}

#[tokio::test]
async fn a_patient_connect_waits_for_the_server() {
    let mut server = NatsServer::start().await;
    let options = ConnectOptions {
        retry_initial: true,
        ..server.options("test")
    };
    server.stop().await;
    let connecting = tokio::spawn(async move { connect(&options).await });
    server.resume().await;
    let bus = timeout(PATIENCE, connecting)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(bus.is_connected());
}

#[tokio::test]
async fn refused_credentials_end_even_a_patient_connect() {
    let extra = "authorization { user: coordinator, password: right }".to_owned();
    let server = NatsServer::start_with(NatsSettings {
        extra,
        ..NatsSettings::default()
    })
    .await;
    for retry_initial in [false, true] {
        let options = ConnectOptions {
            retry_initial,
            ..server.options("test")
        };
        let error = timeout(PATIENCE, connect(&options))
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::BusDenied, "{error}");
        assert!(error.hint().unwrap().contains("credentials"));
    }
}

#[tokio::test]
async fn credentials_that_end_while_connected_show_in_the_state() {
    let user =
        |password: &str| format!("authorization {{ user: coordinator, password: {password} }}");
    let settings = NatsSettings {
        extra: user("right"),
        ..NatsSettings::default()
    };
    let mut server = NatsServer::start_with(settings).await;
    let urls = vec![format!(
        "nats://coordinator:right@127.0.0.1:{}",
        server.port()
    )];
    let bus = connect(&ConnectOptions {
        urls,
        ..ConnectOptions::default()
    })
    .await
    .unwrap();
    let mut state = bus.state();
    server.stop().await;
    server.configure(user("changed"));
    server.resume().await;
    let denied = state.wait_for(|state| matches!(state, BusState::Denied(_)));
    timeout(PATIENCE, denied).await.unwrap().unwrap();
    let error = bus.connected(Duration::ZERO).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusDenied);
}

#[tokio::test]
async fn a_refused_subject_is_an_error_at_once_and_not_a_timeout() {
    let extra = r#"authorization { users: [
        { user: agent, password: x, permissions: {
            publish: { allow: ["tvt.v1.rpc.acme.depot.*"] }, subscribe: { allow: ["_INBOX.>"] } } }
    ] }"#;
    let server = NatsServer::start_with(NatsSettings {
        extra: extra.to_owned(),
        ..NatsSettings::default()
    })
    .await;
    let urls = vec![format!("nats://agent:x@127.0.0.1:{}", server.port())];
    let bus = connect(&ConnectOptions {
        urls,
        ..ConnectOptions::default()
    })
    .await
    .unwrap();
    let ask = async |subject: &str| -> rpc::RpcError {
        rpc::request::<_, CoordinatorInfo>(&bus, subject, &AskInfo {}, Duration::from_secs(3600))
            .await
            .unwrap_err()
    };
    let error = timeout(PATIENCE, ask("tvt.v1.rpc.acme.other.hello"))
        .await
        .unwrap();
    assert_eq!(error.code(), ErrorCode::BusDenied, "{error:?}");
    assert!(matches!(error, rpc::RpcError::Bus(BusError::Denied { .. })));
    let error = timeout(PATIENCE, ask("tvt.v1.rpc.acme.depot.hello"))
        .await
        .unwrap();
    assert_eq!(error.code(), ErrorCode::CoordinatorAbsent, "{error:?}");
}

/// Nobody else may read the replies, so nobody may subscribe to inboxes but their own.
#[tokio::test]
async fn with_a_credentials_file_replies_go_to_the_users_own_inbox() {
    let identity = Identity::default();
    let server = NatsServer::start_with(NatsSettings {
        jetstream: false,
        extra: identity.configuration(),
        ..NatsSettings::default()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let user = identity.user(&folder.path().join("ops.creds"), |key| {
        (
            vec![format!("tvt.v1.api.{key}.>")],
            vec![format!("_INBOX.{key}.>")],
        )
    });
    let options = ConnectOptions {
        credentials_file: Some(user.file.clone()),
        ..server.options("test")
    };
    let bus = connect(&options).await.unwrap();
    assert_eq!(bus.user(), Some(user.key.as_str()));
    let all = identity.user(&folder.path().join("core.creds"), |_| {
        (vec![">".to_owned()], vec![">".to_owned()])
    });
    let core = ConnectOptions {
        credentials_file: Some(all.file),
        ..server.options("core")
    };
    let core = connect(&core).await.unwrap();
    let serving = rpc::Server::open(&core, "tvt.v1.api.>", "coord", 1)
        .await
        .unwrap();
    let answer = async |_: rpc::Call| Ok(rpc::Reply::of(&CoordinatorInfo::default()));
    tokio::spawn(serving.run(answer, CancellationToken::new()));
    let ask = async |subject: String| {
        rpc::request::<_, CoordinatorInfo>(&bus, &subject, &AskInfo {}, PATIENCE).await
    };
    ask(format!("tvt.v1.api.{}.coordinator.info", user.key))
        .await
        .unwrap();
    let error = ask("tvt.v1.api.UOTHER.coordinator.info".to_owned())
        .await
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusDenied, "{error:?}");
    let mode = |bits| {
        std::fs::set_permissions(&user.file, std::fs::Permissions::from_mode(bits)).unwrap();
    };
    mode(0o644);
    let error = connect(&options).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConfigExposed);
    mode(0o600);
    std::fs::write(&user.file, "nothing of use").unwrap();
    let error = connect(&options).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConfigUnreadable);
    assert!(error.to_string().contains("ops.creds"), "{error}");
}

/// A production service never works with a server that lets anybody in, even if it could.
#[tokio::test]
async fn an_open_server_is_refused_and_a_login_file_lets_in() {
    let open = NatsServer::start().await;
    let closed = NatsServer::start_with(NatsSettings {
        extra: "authorization { user: agent, password: \"with: colon\" }".to_owned(),
        ..NatsSettings::default()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.login");
    std::fs::write(&file, "agent:with: colon\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let options = |server: &NatsServer| ConnectOptions {
        login_file: Some(file.clone()),
        refuse_open_server: true,
        ..server.options("test")
    };
    let error = connect(&options(&open)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusOpen, "{error}");
    assert!(error.hint().is_some());
    connect(&options(&closed)).await.unwrap();
    std::fs::write(&file, "agent\n").unwrap();
    let error = connect(&options(&closed)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConfigUnreadable, "{error}");
}

#[tokio::test]
async fn closing_ends_the_connection() {
    let server = NatsServer::start().await;
    let bus = server.connect("test").await;
    timeout(PATIENCE, bus.close(PATIENCE)).await.unwrap();
    assert!(!bus.is_connected());
    let error = bus.round_trip().await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::BusUnreachable);
}
