//! Lets callers in, reads what they ask, and writes what they are told: all of it within bounds.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tvtfleet_proto::device::bridge::{Asked, Door, HEALTH_PATH, REQUEST_MAX, told};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::Failure;

use super::errand::{self, DEVICE_LIMIT, Told, late};
use super::settings::BridgeSettings;
use crate::work::SiteContext;

/// Callers at a time; further ones wait to be let in.
const CALLERS_MAX: usize = 64;
/// Questions to devices at a time; further ones are told to come again.
const ERRANDS_MAX: usize = 16;
/// The most bytes that are held of the head of a request.
const HEAD_MAX: usize = 8 * 1024;
/// The time for TLS, for the head of a request, and for its body: for each.
const READING: Duration = Duration::from_secs(10);
/// The time for an errand: a device's may be had twice.
const ERRAND_LIMIT: Duration = Duration::from_secs(2 * DEVICE_LIMIT.as_secs() + 5);
/// The time for a caller, from first to last byte.
const CALL_LIMIT: Duration =
    Duration::from_secs(3 * READING.as_secs() + ERRAND_LIMIT.as_secs() + 30);
/// The pause after the system could not accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The time for callers that are being served when the agent stops.
const DRAIN: Duration = Duration::from_secs(5);

/// The bridge cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BridgeError {
    address: SocketAddr,
    source: std::io::Error,
}

impl BridgeError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::BridgeBindFailed
    }

    /// What may be tried next.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        "stop what else listens there, or name another address as bridge.listen"
    }
}

/// A bridge that listens.
pub(crate) struct Server {
    listener: TcpListener,
    room: Arc<Room>,
    tls: Option<TlsAcceptor>,
}

/// What all callers share.
struct Room {
    settings: BridgeSettings,
    site: Arc<SiteContext>,
    errands: Semaphore,
    /// Cancelled when callers have had their time to be served to the end.
    cut: CancellationToken,
}

/// What is refused, and with which status.
struct Refusal(StatusCode, Failure);

impl Server {
    /// Takes the address.
    ///
    /// # Errors
    ///
    /// `bridge.bind_failed`.
    pub(crate) async fn bind(
        settings: BridgeSettings,
        site: Arc<SiteContext>,
    ) -> Result<Self, BridgeError> {
        let address = settings.listen;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| BridgeError { address, source })?;
        // Port 0 is one that the system picks.
        let bound = listener.local_addr().unwrap_or(address);
        tracing::info!(server.address = %bound.ip(), server.port = bound.port(), "bridge listens");
        Ok(Self {
            listener,
            tls: settings.tls().cloned().map(TlsAcceptor::from),
            room: Arc::new(Room {
                settings,
                site,
                errands: Semaphore::new(ERRANDS_MAX),
                cut: CancellationToken::new(),
            }),
        })
    }

    /// Serves until `stop`; callers that are being served then get a moment to be told the rest.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        let callers = TaskTracker::new();
        let places = Arc::new(Semaphore::new(CALLERS_MAX));
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = accepted => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Out of files, most likely: without a pause this would turn in circles.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let (room, tls, stop) = (Arc::clone(&self.room), self.tls.clone(), stop.clone());
            callers.spawn(async move {
                let _place = place;
                let call = receive(stream, tls, room, stop);
                if timeout(CALL_LIMIT, call).await.is_err() {
                    tracing::debug!("a caller of the bridge took too long");
                }
            });
        }
        drop(self.listener);
        callers.close();
        if timeout(DRAIN, callers.wait()).await.is_err() {
            self.room.cut.cancel();
            callers.wait().await;
        }
    }
}

async fn receive(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    room: Arc<Room>,
    stop: CancellationToken,
) {
    let Some(tls) = tls else {
        return converse(stream, room, stop).await;
    };
    let opened = tokio::select! {
        opened = timeout(READING, tls.accept(stream)) => opened,
        () = stop.cancelled() => return,
    };
    if let Ok(Ok(stream)) = opened {
        converse(stream, room, stop).await;
    }
}

/// One request, and its answer.
async fn converse<S>(stream: S, room: Arc<Room>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let cut = room.cut.clone();
    let service = service_fn(move |request| {
        let room = Arc::clone(&room);
        async move { Ok::<_, Infallible>(respond(&room, request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(READING)
        .max_buf_size(HEAD_MAX)
        .keep_alive(false);
    let talk = http.serve_connection(TokioIo::new(stream), service);
    let mut talk = std::pin::pin!(talk);
    let ended = tokio::select! {
        ended = talk.as_mut() => ended,
        () = stop.cancelled() => {
            talk.as_mut().graceful_shutdown();
            tokio::select! {
                ended = talk.as_mut() => ended,
                // What is told then of the errand that was cut off is still written, or not.
                () = async { cut.cancelled().await; tokio::time::sleep(DRAIN).await } => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a caller of the bridge was lost");
    }
}

async fn respond(room: &Room, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path: String = request.uri().path().chars().take(40).collect();
    let (status, told) = match attend(room, request).await {
        Ok(told) => (StatusCode::OK, told),
        Err(Refusal(status, failure)) => {
            tracing::info!(
                http.response.status_code = status.as_u16(), error.r#type = %failure.code,
                url.path = path, "bridge answers with a failure"
            );
            (status, Told::Object(told::failed(&failure)))
        }
    };
    let (kind, body) = match told {
        Told::Object(object) => ("application/json", object.to_string().into_bytes()),
        Told::Picture(bytes) => ("image/jpeg", bytes),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

async fn attend(room: &Room, request: Request<Incoming>) -> Result<Told, Refusal> {
    let headers = request.headers();
    // A page in somebody's browser must not ask on that person's behalf.
    if headers.contains_key(ORIGIN) {
        return Err(denied(
            StatusCode::FORBIDDEN,
            "the bridge is not for browsers",
        ));
    }
    let shown = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    if !room.settings.admits(shown) {
        let text = "the bridge wants its token: Authorization: Bearer";
        return Err(denied(StatusCode::UNAUTHORIZED, text));
    }
    let path = request.uri().path();
    if path.trim_start_matches('/') == HEALTH_PATH.trim_start_matches('/') {
        return match *request.method() {
            Method::GET => Ok(Told::Object(told::healthy())),
            _ => Err(bad(StatusCode::METHOD_NOT_ALLOWED, "ask with GET")),
        };
    }
    let door = Door::at(path).ok_or_else(|| bad(StatusCode::NOT_FOUND, "no such endpoint"))?;
    if request.method() != Method::POST {
        return Err(bad(StatusCode::METHOD_NOT_ALLOWED, "ask with POST"));
    }
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(is_json) {
        let text = "the request must be application/json";
        return Err(bad(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let asked = read(door, request).await?;
    let Ok(_place) = room.errands.try_acquire() else {
        let text = "the bridge has its hands full; ask again";
        let failure = Failure::new(ErrorCode::BridgeBusy, text);
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, failure));
    };
    let gone = room.cut.child_token();
    // The work ends with its caller.
    let _guard = gone.clone().drop_guard();
    let answer = errand::answer(&room.site, asked, &gone);
    match timeout(ERRAND_LIMIT, answer).await {
        Ok(Ok(told)) => Ok(told),
        Ok(Err(failure)) if failure.code == ErrorCode::BridgeTimeout => {
            Err(Refusal(StatusCode::GATEWAY_TIMEOUT, failure))
        }
        // A device that was asked in vain is no failure of HTTP.
        Ok(Err(failure)) => Err(Refusal(StatusCode::OK, failure)),
        Err(_) => Err(Refusal(StatusCode::GATEWAY_TIMEOUT, late())),
    }
}

/// Reads the body, not longer than allowed and not slower.
async fn read(door: Door, request: Request<Incoming>) -> Result<Asked, Refusal> {
    let body = Limited::new(request.into_body(), REQUEST_MAX).collect();
    let body = match timeout(READING, body).await {
        Ok(Ok(body)) => zeroize::Zeroizing::new(body.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let text = format!("the request is longer than {REQUEST_MAX} bytes");
            let failure = Failure::new(ErrorCode::BridgeTooLarge, text);
            return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, failure));
        }
        Ok(Err(_)) => return Err(bad(StatusCode::BAD_REQUEST, "the request broke off")),
        Err(_) => {
            let text = "the request came too slowly";
            return Err(bad(StatusCode::REQUEST_TIMEOUT, text));
        }
    };
    door.read(&body)
        .map_err(|error| bad(StatusCode::BAD_REQUEST, error.to_string()))
}

fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn bad(status: StatusCode, text: impl Into<String>) -> Refusal {
    Refusal(status, Failure::new(ErrorCode::BridgeBadRequest, text))
}

fn denied(status: StatusCode, text: &str) -> Refusal {
    Refusal(status, Failure::new(ErrorCode::BridgeDenied, text))
}
