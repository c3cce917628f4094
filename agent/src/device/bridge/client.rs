//! The HTTP client of a bridge.
//!
//! It blocks, on a thread of the runtime's pool: bridges are few and slow, and their number is bounded
//! by the devices asked at a time. Every request has a deadline, no redirect is followed, no proxy is
//! used, and at most [`BODY_MAX`] bytes are read.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tvtfleet_proto::device::bridge::{BODY_MAX, Call, HEALTH_PATH, is_healthy, status_failure};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::Failure;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use zeroize::Zeroizing;

use crate::device::connect::Seconds;
use crate::device::vendor::{DEFAULT_BRIDGE, VendorSettings, is_this_computer};

/// A bridge's address and token.
#[derive(Clone, Debug)]
pub(crate) struct Bridge {
    url: String,
    authorisation: Option<Zeroizing<String>>,
}

struct Reply {
    status: u16,
    phrase: String,
    body: Vec<u8>,
}

impl Bridge {
    /// The bridge of a site.
    pub(crate) fn new(settings: &VendorSettings) -> Self {
        let token = settings.bridge_token.as_ref();
        Self {
            url: settings
                .bridge_url
                .clone()
                .unwrap_or_else(|| DEFAULT_BRIDGE.to_owned()),
            authorisation: token.map(|token| token.bearer()),
        }
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether the bridge says that it works.
    ///
    /// # Errors
    ///
    /// `bridge.*`.
    pub(crate) async fn health(&self, limit: Duration) -> Result<(), Failure> {
        let reply = self.send(HEALTH_PATH, None, limit).await?;
        if reply.status == 200 && is_healthy(&reply.body) {
            Ok(())
        } else {
            let text = format!("{} answers, but not that it works", self.url);
            Err(Failure::new(ErrorCode::BridgeBadShape, text))
        }
    }

    /// Has something done with a device; the body holds a password. Gives the answer's body.
    ///
    /// # Errors
    ///
    /// `bridge.*`.
    pub(crate) async fn call(
        &self,
        call: Call,
        body: Zeroizing<Vec<u8>>,
        limit: Duration,
    ) -> Result<Vec<u8>, Failure> {
        let reply = self.send(call.path(), Some(body), limit).await?;
        if (200..300).contains(&reply.status) {
            Ok(reply.body)
        } else {
            Err(status_failure(reply.status, &reply.phrase, &reply.body))
        }
    }

    async fn send(
        &self,
        path: &str,
        body: Option<Zeroizing<Vec<u8>>>,
        limit: Duration,
    ) -> Result<Reply, Failure> {
        let url = format!("{}{path}", self.url);
        let authorisation = self.authorisation.clone();
        let sending =
            tokio::task::spawn_blocking(move || send(&url, authorisation.as_deref(), body, limit));
        match sending.await {
            Ok(reply) => reply,
            Err(_) => Err(Failure {
                credentials_sent: true,
                ..Failure::new(ErrorCode::Internal, "the request to the bridge broke")
            }),
        }
    }
}

fn send(
    url: &str,
    authorisation: Option<&String>,
    body: Option<Zeroizing<Vec<u8>>>,
    limit: Duration,
) -> Result<Reply, Failure> {
    let mut config = ureq::Agent::config_builder()
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("tvt-agent/", env!("CARGO_PKG_VERSION")));
    if let Some(rest) = url.strip_prefix("http://") {
        if is_this_computer(rest) {
            config = config.proxy(None);
        }
    } else {
        config = config.tls_config(tls()?);
    }
    let agent = config.build().new_agent();
    let failed = |error: ureq::Error| failure(&error, limit);
    let answer = match body {
        None => with(agent.get(url), authorisation).call(),
        Some(body) => with(agent.post(url), authorisation)
            .header("Content-Type", "application/json")
            .send(body.as_slice()),
    };
    let (head, mut body) = answer.map_err(failed)?.into_parts();
    let most = u64::try_from(BODY_MAX).unwrap_or(u64::MAX);
    let body = body.with_config().limit(most).read_to_vec();
    Ok(Reply {
        status: head.status.as_u16(),
        phrase: head
            .status
            .canonical_reason()
            .unwrap_or_default()
            .to_owned(),
        body: body.map_err(failed)?,
    })
}

fn with<B>(
    request: ureq::RequestBuilder<B>,
    authorisation: Option<&String>,
) -> ureq::RequestBuilder<B> {
    match authorisation {
        Some(value) => request.header("Authorization", value.as_str()),
        None => request,
    }
}

/// Puts a failure into pytvt's words where it has some.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the client's errors grow with its versions, and all others are alike here"
)]
fn failure(error: &ureq::Error, limit: Duration) -> Failure {
    use ureq::Error;
    let (code, text, sent) = match error {
        Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => (
            ErrorCode::BridgeUnreachable,
            format!("API connection error: no connection in {}", Seconds(limit)),
            false,
        ),
        Error::Timeout(_) => (
            ErrorCode::BridgeTimeout,
            format!("API timeout after {}", Seconds(limit)),
            true,
        ),
        Error::BodyExceedsLimit(_) => (
            ErrorCode::BridgeTooLarge,
            format!("an answer of more than {BODY_MAX} bytes"),
            true,
        ),
        Error::HostNotFound | Error::ConnectionFailed => (
            ErrorCode::BridgeUnreachable,
            format!("API connection error: {error}"),
            false,
        ),
        Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => (
            ErrorCode::BridgeUnreachable,
            "API connection error: Connection refused".to_owned(),
            false,
        ),
        Error::Rustls(_) | Error::Tls(_) => (
            ErrorCode::BridgeTls,
            format!("the bridge's certificate cannot be trusted: {error}"),
            false,
        ),
        // Found out in the handshake, which is reading and writing to the client.
        Error::Io(error)
            if error
                .get_ref()
                .is_some_and(|inner| inner.is::<rustls::Error>()) =>
        {
            (
                ErrorCode::BridgeTls,
                format!("the bridge's certificate cannot be trusted: {error}"),
                false,
            )
        }
        // How far it got is not known.
        other => (
            ErrorCode::BridgeUnreachable,
            format!("API connection error: {other}"),
            true,
        ),
    };
    Failure {
        credentials_sent: sent,
        ..Failure::new(code, text)
    }
}

/// The system's certificates, checked by ring as everywhere else.
fn tls() -> Result<TlsConfig, Failure> {
    let loaded = rustls_native_certs::load_native_certs();
    if loaded.certs.is_empty() {
        let text = "the system has no certificates to check the bridge's with";
        return Err(Failure::new(ErrorCode::BridgeTls, text));
    }
    let certificates = loaded.certs.iter();
    let roots: Vec<_> = certificates
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}
