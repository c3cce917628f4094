//! Requests to one device: one connection, one port, bounded in time and size.

use std::time::{Duration, Instant};

use tokio::time::{sleep_until, timeout_at};
use tvtfleet_proto::device::http::{Method, Request, Response};
use tvtfleet_proto::device::xml::limits;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::report::Failure;

use super::pins::is_changed;
use super::settings::{PORTS_MAX, WebPort};
use super::tls;
use crate::device::connect::{cancelled, reachable};
use crate::device::visit::Visit;

/// Headers of an answer that are looked at.
const HEADERS_MAX: usize = 64;
/// Time for a port to open that only completes an answer, before the first request to it: one packet
/// each way on any site's network, without the repetition that a lost packet takes. A handshake of TLS,
/// for which weak recorders take seconds, is not in it.
const COMPLETION_OPEN: Duration = Duration::from_millis(700);
/// For how long a port that swallowed a connection is not tried again for a completion.
const SILENT: Duration = Duration::from_secs(3600);
/// Time for a logout.
const LEAVE: Duration = Duration::from_millis(500);

/// The way to one device's web interfaces.
#[derive(Debug)]
pub(super) struct Link<'a> {
    visit: Visit<'a>,
    open: Option<(WebPort, reqwest::Client)>,
    /// Tries the next port also where one did not answer at all.
    patient: bool,
    /// Bytes of one answer.
    bytes_max: usize,
}

impl<'a> Link<'a> {
    pub(super) const fn new(visit: Visit<'a>, patient: bool) -> Self {
        Self {
            visit,
            open: None,
            patient,
            bytes_max: limits::BYTES,
        }
    }

    /// Gives the next exchanges until `deadline`, and room for answers of so many bytes.
    pub(super) const fn renew(&mut self, deadline: Instant, bytes_max: usize) {
        self.visit.deadline = deadline;
        self.bytes_max = bytes_max;
    }

    /// Whether what is sent is hidden from those on the way.
    pub(super) fn is_private(&self) -> bool {
        self.open.as_ref().is_some_and(|(port, _)| port.tls)
    }

    /// Sends a request. The first one finds the port: the next is tried only where none opens.
    ///
    /// # Errors
    ///
    /// `device.connect_refused` and its like, `device.request_timeout`, `device.truncated`,
    /// `device.frame_too_large`, `device.certificate_changed`.
    pub(super) async fn send(&mut self, request: &Request) -> Result<Response, Failure> {
        if let Some((port, client)) = &self.open {
            return self.exchange(*port, client, request).await;
        }
        let site = self.visit.site;
        let known = site.web_known.of(&self.visit.target.endpoint);
        let silent = known
            .silent_until
            .is_some_and(|until| Instant::now() < until);
        if silent && !self.patient {
            let text =
                "not looked for: the port of the web interface swallowed a connection before";
            return Err(Failure::new(ErrorCode::ConnectTimeout, text));
        }
        let known = known.port;
        let rest = site.web.ports.iter().copied().take(PORTS_MAX);
        let ports = known
            .into_iter()
            .chain(rest.filter(|port| Some(*port) != known));
        let mut last = Failure::new(
            ErrorCode::InterfaceAbsent,
            "no port of a web interface is set",
        );
        for port in ports {
            let client = self.client(port).await?;
            let first = if self.patient || known.is_some() {
                Ok(())
            } else {
                self.opens(port).await
            };
            let result = match first {
                Ok(()) => self.exchange(port, &client, request).await,
                Err(failure) => Err(failure),
            };
            match result {
                Err(failure) if self.goes_on(failure.code) => last = failure,
                other => {
                    let endpoint = &self.visit.target.endpoint;
                    let code = other.as_ref().err().map(|failure| failure.code);
                    if code == Some(ErrorCode::ConnectTimeout) {
                        let until = Instant::now().checked_add(SILENT);
                        site.web_known
                            .learn(endpoint, |known| known.silent_until = until);
                        return other;
                    }
                    site.web_known.learn(endpoint, |known| {
                        (known.port, known.silent_until) = (Some(port), None);
                    });
                    self.open = Some((port, client));
                    return other;
                }
            }
        }
        Err(last)
    }

    /// Looks whether a port that was never seen opens at all.
    async fn opens(&self, port: WebPort) -> Result<(), Failure> {
        let mut last = Failure::new(ErrorCode::InterfaceAbsent, "no address");
        for address in reachable(self.visit, port.port).await? {
            let open = tokio::net::TcpStream::connect(address);
            last = match tokio::time::timeout(COMPLETION_OPEN, open).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    let text = "the web interface refuses connections";
                    Failure::new(ErrorCode::ConnectRefused, text)
                }
                Ok(Err(_)) => {
                    let text = "the web interface cannot be reached";
                    Failure::new(ErrorCode::Unreachable, text)
                }
                Err(_) => {
                    let text = "the web interface did not answer in time";
                    Failure::new(ErrorCode::ConnectTimeout, text)
                }
            };
        }
        Err(last)
    }

    /// Whether nothing listens there, so that another port may be tried. A port that swallows
    /// everything costs seconds, and where one does, others do.
    fn goes_on(&self, code: ErrorCode) -> bool {
        code == ErrorCode::ConnectRefused
            || (self.patient && [ErrorCode::ConnectTimeout, ErrorCode::Unreachable].contains(&code))
    }

    /// Sends a last request and does not wait long for its answer.
    pub(super) async fn leave(&mut self, request: &Request) {
        let Some((port, client)) = &self.open else {
            return;
        };
        let goodbye = tokio::time::timeout(LEAVE, self.exchange(*port, client, request));
        if !matches!(goodbye.await, Ok(Ok(_))) {
            tracing::trace!("the device did not hear the logout");
        }
    }

    async fn client(&self, port: WebPort) -> Result<reqwest::Client, Failure> {
        let site = self.visit.site;
        let host = self.visit.target.endpoint.host.to_string();
        let addresses = reachable(self.visit, port.port).await?;
        let internal = |text: String| Failure::new(ErrorCode::Internal, text);
        let tls = tls::config(format!("{host}:{}", port.port), &site.pins)
            .map_err(|error| internal(format!("TLS: {error}")))?;
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .retry(reqwest::retry::never())
            .connect_timeout(site.web.connect)
            .pool_max_idle_per_host(1)
            .resolve_to_addrs(&host, &addresses)
            .build()
            .map_err(|error| internal(format!("HTTP client: {error}")))
    }

    async fn exchange(
        &self,
        port: WebPort,
        client: &reqwest::Client,
        request: &Request,
    ) -> Result<Response, Failure> {
        let limit = self.visit.site.web.request;
        let end = self.visit.deadline.min(Instant::now() + limit);
        tokio::select! {
            biased;
            () = self.visit.cancel.cancelled() => Err(cancelled()),
            result = timeout_at(end.into(), self.once(port, client, request)) => match result {
                Ok(result) => result,
                Err(_) if Instant::now() >= self.visit.deadline => {
                    Err(Failure::new(ErrorCode::DeviceDeadline, "the time for the device ran out"))
                }
                Err(_) => Err(Failure::new(
                    ErrorCode::RequestTimeout,
                    format!("no answer of the web interface in {} s", limit.as_secs_f32()),
                )),
            },
            () = sleep_until(self.visit.deadline.into()) => {
                Err(Failure::new(ErrorCode::DeviceDeadline, "the time for the device ran out"))
            }
        }
    }

    async fn once(
        &self,
        port: WebPort,
        client: &reqwest::Client,
        request: &Request,
    ) -> Result<Response, Failure> {
        let scheme = if port.tls { "https" } else { "http" };
        let host = match &self.visit.target.endpoint.host {
            Host::Ip(std::net::IpAddr::V6(address)) => format!("[{address}]"),
            other @ (Host::Ip(_) | Host::Name(_) | Host::Serial(_)) => other.to_string(),
        };
        let url = format!("{scheme}://{host}:{}{}", port.port, request.path);
        let mut builder = match request.method {
            Method::Get => client.get(url),
            Method::Post => client.post(url),
        };
        for (name, value) in &request.headers {
            let mut value =
                reqwest::header::HeaderValue::from_str(value.expose()).map_err(|_| {
                    Failure::new(
                        ErrorCode::CredentialInvalid,
                        "the credential cannot be sent in a header",
                    )
                })?;
            value.set_sensitive(true);
            builder = builder.header(*name, value);
        }
        if !request.body.is_empty() {
            builder = builder
                .header("content-type", request.content_type)
                .body(request.body.as_bytes().to_vec());
        }
        let mut answer = builder.send().await.map_err(|error| broken(&error))?;
        // Never asked for, and a small body could become an endless one.
        if answer.headers().contains_key("content-encoding") {
            let text = "the answer is compressed, which nobody asked for";
            return Err(Failure::new(ErrorCode::BadAnswer, text));
        }
        let headers = answer
            .headers()
            .iter()
            .take(HEADERS_MAX)
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        let mut response = Response {
            status: answer.status().as_u16(),
            headers,
            body: Vec::new(),
        };
        while let Some(chunk) = answer.chunk().await.map_err(|error| broken(&error))? {
            if response.body.len().saturating_add(chunk.len()) > self.bytes_max {
                let text = "the answer is larger than allowed";
                return Err(Failure::new(ErrorCode::FrameTooLarge, text));
            }
            response.body.extend_from_slice(&chunk);
        }
        Ok(response)
    }
}

/// Our code for what the HTTP client reports. Its words are dropped: they may hold the address with
/// everything in it.
fn broken(error: &reqwest::Error) -> Failure {
    if is_changed(error) {
        let text = "the device shows another certificate than before; nothing was sent";
        return Failure::new(ErrorCode::CertificateChanged, text);
    }
    if error.is_connect() && error.is_timeout() {
        return Failure::new(
            ErrorCode::ConnectTimeout,
            "the web interface did not answer in time",
        );
    }
    if error.is_connect() {
        let refused = sources(error).any(|source| {
            source
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
        });
        return if refused {
            Failure::new(
                ErrorCode::ConnectRefused,
                "the web interface refuses connections",
            )
        } else {
            Failure::new(
                ErrorCode::Unreachable,
                "the web interface cannot be reached",
            )
        };
    }
    Failure::new(
        ErrorCode::Truncated,
        "the connection broke during the exchange",
    )
}

fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let mut next = std::error::Error::source(error);
    std::iter::from_fn(move || {
        let this = next?;
        next = this.source();
        Some(this)
    })
}
