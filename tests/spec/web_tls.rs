//! Certificates that devices sign themselves: the first one is kept, another one ends the talk.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_util::sync::CancellationToken;
use tvt_agent::credentials::FixedCredential;
use tvt_agent::policy::Policy;
use tvt_agent::work::{SiteContext, WorkEvent, run_work};
use tvt_agent::{CertificatePins, ProtocolSettings, RetrySettings, WebPort, WebSettings};
use tvtfleet_bus::clock::SystemClock;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::{Backend, BackendChoice};
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::report::DeviceReport;
use tvtfleet_proto::model::secret::{Credential, Secret};
use tvtfleet_proto::model::want::{SiteWork, Target};

const CHALLENGE: &[u8] =
    b"HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=\"device\"\r\nContent-Length: 0\r\n\r\n";
const INFO: &str = "<config version=\"1.7\"><deviceInfo><sn>N1</sn></deviceInfo></config>";

/// A device that speaks TLS with a certificate that can be changed.
#[derive(Default)]
struct Peer {
    certificate: Mutex<Option<Arc<ServerConfig>>>,
    requests: AtomicUsize,
}

impl Peer {
    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(["nvr.local".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        *self.certificate.lock().unwrap() = Some(Arc::new(config));
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let config = self.certificate.lock().unwrap().clone().unwrap();
            // A client that refuses the certificate ends the handshake.
            let Ok(mut tls) = TlsAcceptor::from(config).accept(stream).await else {
                continue;
            };
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = tls.read(&mut buffer).await {
                self.requests.fetch_add(1, Ordering::SeqCst);
                let known =
                    String::from_utf8_lossy(&buffer[..count]).contains("authorization: Basic ");
                let answer = format!(
                    "HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n{INFO}",
                    INFO.len()
                );
                let answer = if known { answer.as_bytes() } else { CHALLENGE };
                if tls.write_all(answer).await.is_err() || tls.flush().await.is_err() {
                    break;
                }
            }
        }
    }
}

async fn ask(port: u16, pins: CertificatePins) -> DeviceReport {
    let credential = Credential {
        username: "admin".to_owned(),
        password: Secret::new("Fleet-2026"),
    };
    let policy = Policy {
        plaintext_login: tvt_agent::policy::Consent::Never,
        ..Policy::default()
    };
    let web = WebSettings {
        ports: vec![WebPort { port, tls: true }],
        request: Duration::from_secs(5),
        ..WebSettings::default()
    };
    let site = SiteContext::new(
        Box::new(FixedCredential(credential)),
        policy,
        ProtocolSettings::default(),
        Arc::new(SystemClock),
    )
    .with_retry(RetrySettings {
        retries: 0,
        ..RetrySettings::default()
    })
    .with_web(web, Arc::new(pins));
    let target = Target {
        number: TargetNo(0),
        endpoint: "127.0.0.1:6036".parse().unwrap(),
        known_mac: None,
        trusted: true,
        credential: None,
        settings: Default::default(),
    };
    let work = SiteWork {
        options: WorkOptions {
            ask: Ask::Info,
            backend: BackendChoice::Only(Backend::WebApi),
            ..WorkOptions::default()
        },
        targets: vec![target],
    };
    let (sender, mut events) = tokio::sync::mpsc::channel(8);
    let job = JobId::new(uuid::Uuid::new_v4());
    let run = run_work(job, work, Arc::new(site), CancellationToken::new(), sender);
    let collect = async {
        let mut found = None;
        while let Some(event) = events.recv().await {
            if let WorkEvent::Finished(report) = event {
                found = Some(*report);
            }
        }
        found.unwrap()
    };
    tokio::join!(run, collect).1
}

#[tokio::test]
async fn another_certificate_than_the_first_gets_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = Arc::new(Peer::default());
    peer.renew();
    let serving = tokio::spawn(Arc::clone(&peer).serve(listener));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("device-certificates");
    for _ in 0..2 {
        // Each time as after a restart of the agent.
        let report = ask(port, CertificatePins::open(&file).unwrap()).await;
        assert_eq!(
            report.failure, None,
            "Basic is allowed where nobody can listen"
        );
        assert_eq!(report.facts.serial, "N1");
    }
    assert_eq!(peer.requests.load(Ordering::SeqCst), 4);
    peer.renew();
    let report = ask(port, CertificatePins::open(&file).unwrap()).await;
    let failure = report.failure.unwrap();
    assert_eq!(failure.code, ErrorCode::CertificateChanged);
    assert!(!failure.credentials_sent);
    assert_eq!(peer.requests.load(Ordering::SeqCst), 4, "nothing was asked");
    std::fs::remove_file(&file).unwrap();
    let report = ask(port, CertificatePins::open(&file).unwrap()).await;
    assert_eq!(report.failure, None, "it was accepted by hand");
    serving.abort();
}
