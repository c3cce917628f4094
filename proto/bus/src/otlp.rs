//! Sending spans to a collector: OTLP over HTTP with protobuf bodies.
//!
//! The SDK exports from a thread of its own and blocks there, whatever runtime the program has. So the
//! HTTP client blocks too: it needs no runtime, and the last spans still go out while one is torn down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// The collector's time to take a batch of spans.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest reply that is read from a collector, in bytes.
const REPLY_MAX: u64 = 64 * 1024;

/// Where spans go, from the variables that OpenTelemetry defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OtlpSettings {
    /// The address that takes spans.
    pub(crate) endpoint: String,
    /// Whether the environment names the service, so that we must not.
    pub(crate) service_named: bool,
}

impl OtlpSettings {
    /// Reads the variables; `None` where nothing is to be exported.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name| variable(name).filter(|value| !value.trim().is_empty());
        let disabled =
            set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let none = set("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        if disabled || none {
            return None;
        }
        let endpoint = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| {
            // The general variable is the root of all signals.
            let root = set("OTEL_EXPORTER_OTLP_ENDPOINT")?;
            Some(format!("{}/v1/traces", root.trim_end_matches('/')))
        })?;
        Some(Self {
            endpoint,
            service_named: set("OTEL_SERVICE_NAME").is_some(),
        })
    }

    /// Starts the exporting thread.
    pub(crate) fn start(&self, service: &str) -> Result<SdkTracerProvider, HttpError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(&self.endpoint)?)
            .with_endpoint(&self.endpoint)
            .build()?;
        let mut resource = Resource::builder()
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        if !self.service_named {
            resource = resource.with_service_name(service.to_owned());
        }
        Ok(SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build())
    }
}

/// A blocking HTTP client for the exporting thread.
#[derive(Debug)]
struct Collector {
    agent: ureq::Agent,
    failing: AtomicBool,
}

impl Collector {
    fn new(endpoint: &str) -> Result<Self, HttpError> {
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(EXPORT_TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0);
        if endpoint.starts_with("https:") {
            config = config.tls_config(tls()?);
        }
        Ok(Self {
            agent: config.build().new_agent(),
            failing: AtomicBool::new(false),
        })
    }

    fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, body.to_vec());
        let (head, mut body) = self.agent.run(request)?.into_parts();
        let body = body.with_config().limit(REPLY_MAX).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }

    /// Says once that the export fails, and once that it works again.
    fn note(&self, trouble: Option<&dyn std::fmt::Display>) {
        let failing = trouble.is_some();
        if self.failing.swap(failing, Ordering::Relaxed) != failing {
            match trouble {
                Some(reason) => tracing::warn!(%reason, "spans cannot be exported"),
                None => tracing::info!("spans are exported again"),
            }
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.post(request);
        match &answer {
            Ok(response) if response.status().is_success() => self.note(None),
            Ok(response) => self.note(Some(&response.status())),
            Err(error) => self.note(Some(error)),
        }
        answer
    }
}

/// The system's certificates, checked by ring as everywhere else.
pub(crate) fn tls() -> Result<TlsConfig, HttpError> {
    let loaded = rustls_native_certs::load_native_certs();
    if loaded.certs.is_empty() {
        return Err("the system has no certificates for https".into());
    }
    let roots: Vec<_> = loaded
        .certs
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Option<String> {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        OtlpSettings::read(find).map(|settings| settings.endpoint)
    }

    #[test]
    fn nothing_is_exported_unless_asked_for() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[("OTEL_SERVICE_NAME", "x")]), None);
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), None);
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        assert_eq!(read(&[endpoint, ("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(read(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]), None);
    }

    #[test]
    fn the_variable_of_the_signal_wins_and_stands_as_it_is() {
        let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318/");
        assert_eq!(read(&[general]).unwrap(), "http://a:4318/v1/traces");
        let special = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b/spans");
        assert_eq!(read(&[general, special]).unwrap(), "http://b/spans");
    }

    #[test]
    fn https_uses_ring() {
        // Fails only where the machine has no certificates at all, and then says so.
        match Collector::new("https://collector.example/v1/traces") {
            Ok(_) => {}
            Err(error) => assert!(error.to_string().contains("no certificates"), "{error}"),
        }
    }
}
