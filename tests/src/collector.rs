//! A collector of spans: as much of OTLP over HTTP as an exporter needs.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::wait::EventLog;

const BODY_MAX: usize = 4 * 1024 * 1024;

/// A span as it was exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedSpan {
    /// The service that it belongs to.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its trace, in hexadecimal.
    pub trace: String,
    /// Itself, in hexadecimal.
    pub id: String,
    /// Its parent, in hexadecimal; empty at a root.
    pub parent: String,
    /// The spans that it is linked to, in hexadecimal.
    pub links: Vec<String>,
    /// Its attributes that are texts.
    pub attributes: Vec<(String, String)>,
}

impl ExportedSpan {
    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Takes spans on a free port of the loopback interface until it is dropped. Needs a runtime with
/// more than one thread where the exporter blocks the test's own.
#[derive(Debug)]
pub struct Collector {
    /// The spans in the order in which they came.
    pub spans: EventLog<ExportedSpan>,
    port: u16,
    task: JoinHandle<()>,
}

impl Collector {
    /// Starts listening.
    ///
    /// # Panics
    ///
    /// There is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let spans = EventLog::new();
        let into = spans.clone();
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, into.clone()));
            }
        });
        Self { spans, port, task }
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(connection: TcpStream, spans: EventLog<ExportedSpan>) {
    let mut connection = BufReader::new(connection);
    while let Some((path, body)) = read_request(&mut connection).await {
        assert_eq!(path, "/v1/traces");
        let request =
            ExportTraceServiceRequest::decode(body.as_slice()).expect("an export request");
        for span in exported(request) {
            spans.push(span);
        }
        let reply =
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        if connection.write_all(reply).await.is_err() {
            return;
        }
    }
}

async fn read_request(connection: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        connection.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    assert!(length <= BODY_MAX, "{length}");
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.ok()?;
    Some((path, body))
}

fn exported(request: ExportTraceServiceRequest) -> Vec<ExportedSpan> {
    let mut found = Vec::new();
    for of_service in request.resource_spans {
        let attributes = of_service
            .resource
            .map(|resource| texts(resource.attributes))
            .unwrap_or_default();
        let service = attributes
            .into_iter()
            .find(|(name, _)| name == "service.name");
        let service = service.map(|(_, value)| value).unwrap_or_default();
        let spans = of_service
            .scope_spans
            .into_iter()
            .flat_map(|scope| scope.spans);
        found.extend(spans.map(|span| read_span(&service, span)));
    }
    found
}

fn read_span(service: &str, span: Span) -> ExportedSpan {
    ExportedSpan {
        service: service.to_owned(),
        name: span.name,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
        attributes: texts(span.attributes),
    }
}

fn texts(
    attributes: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>,
) -> Vec<(String, String)> {
    let text = |value: Option<Value>| match value {
        Some(Value::StringValue(text)) => Some(text),
        _ => None,
    };
    attributes
        .into_iter()
        .filter_map(|pair| Some((pair.key, text(pair.value.and_then(|value| value.value))?)))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
