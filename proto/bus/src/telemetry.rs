//! Logs to stderr, and spans to a collector where the environment names one.
//!
//! Without `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` nothing is exported:
//! there is no exporter, no thread and no trace context. Of the other `OTEL_*` variables those about
//! the exporter (`…_HEADERS`, `…_TIMEOUT`), the resource, the sampler and the batches count.

use std::io;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Dispatch, level_filters::LevelFilter};
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

use crate::otlp::OtlpSettings;

/// The variable that says in detail what is logged, in the form of `RUST_LOG`; wins over the
/// command line.
pub const LOG_VARIABLE: &str = "TVTFLEET_LOG";

/// How long the last spans may take to go out.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// Warnings: what a command-line tool says unasked.
    Warnings,
    /// The course of things: what a service says unasked.
    Normal,
    /// Details of our own programs.
    Verbose,
    /// Everything, libraries included.
    Trace,
}

impl Verbosity {
    /// Libraries repeat what we log better, so they are kept a step quieter.
    const fn directives(self) -> &'static str {
        match self {
            Self::Quiet => "error,async_nats=off",
            Self::Warnings => "warn,async_nats=off",
            Self::Normal => "info,async_nats=off",
            Self::Verbose => "debug,async_nats=info,ureq=warn,ureq_proto=warn,rustls=warn",
            Self::Trace => "trace,async_nats=debug",
        }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; in colour on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter in [`LOG_VARIABLE`] makes no sense.
    #[error("{LOG_VARIABLE} is no log filter")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The settings in the `OTEL_*` variables make no sense.
    #[error("spans cannot be exported with these OTEL_* variables")]
    Export(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something else has set up telemetry in this process.
    #[error("telemetry is set up already")]
    Twice,
}

/// Sets up logs and spans for this process. Keep the guard until its end.
///
/// # Errors
///
/// All are `config.invalid`, but [`TelemetryError::Twice`], which is a defect.
pub fn init(
    service: &str,
    verbosity: Verbosity,
    format: LogFormat,
) -> Result<TelemetryGuard, TelemetryError> {
    let telemetry = Telemetry::build(service, verbosity, format, |name| std::env::var(name).ok())?;
    tracing::dispatcher::set_global_default(telemetry.dispatch)
        .map_err(|_| TelemetryError::Twice)?;
    Ok(telemetry.guard)
}

/// Telemetry that is built, but not set up for the whole process: tests run several side by side.
#[derive(Debug)]
pub struct Telemetry {
    /// Where spans and events go.
    pub dispatch: Dispatch,
    /// Sends the last spans when it is dropped.
    pub guard: TelemetryGuard,
}

impl Telemetry {
    /// Builds telemetry from what `variable` knows of the environment.
    ///
    /// # Errors
    ///
    /// As [`init`], without [`TelemetryError::Twice`].
    pub fn build(
        service: &str,
        verbosity: Verbosity,
        format: LogFormat,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, TelemetryError> {
        let filter = match variable(LOG_VARIABLE).filter(|text| !text.is_empty()) {
            Some(text) => EnvFilter::try_new(text)?,
            None => EnvFilter::new(verbosity.directives()),
        };
        let provider = OtlpSettings::read(variable)
            .map(|settings| settings.start(service).map_err(TelemetryError::Export))
            .transpose()?;
        let spans = provider.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("tvtfleet"))
                .with_filter(exported())
        });
        let subscriber = Registry::default()
            .with(spans)
            .with(lines(format).with_filter(filter));
        Ok(Self {
            dispatch: Dispatch::new(subscriber),
            guard: TelemetryGuard { provider },
        })
    }
}

/// Sends the spans that are still waiting when it is dropped, five seconds at most.
#[derive(Debug)]
#[must_use = "the last spans are sent when it is dropped"]
pub struct TelemetryGuard {
    provider: Option<SdkTracerProvider>,
}

impl TelemetryGuard {
    /// Whether spans are exported.
    #[must_use]
    pub const fn exports(&self) -> bool {
        self.provider.is_some()
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        // The exporting thread says itself when a collector cannot be reached.
        if let Some(Err(error)) = self
            .provider
            .take()
            .map(|provider| provider.shutdown_with_timeout(FLUSH_LIMIT))
        {
            tracing::debug!(%error, "the last spans were not exported");
        }
    }
}

/// Spans of our own programs; what libraries do inside is theirs.
fn exported() -> Targets {
    let libraries = [
        "async_nats",
        "h2",
        "hyper",
        "opentelemetry",
        "rustls",
        "tokio",
        "ureq",
    ];
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_targets(libraries.map(|library| (library, LevelFilter::OFF)))
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => {
            let coloured = io::IsTerminal::is_terminal(&io::stderr())
                && std::env::var_os("NO_COLOR").is_none();
            Box::new(layer.with_ansi(coloured))
        }
        LogFormat::Json => Box::new(layer.json().flatten_event(true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(variables: &[(&str, &str)]) -> Result<Telemetry, TelemetryError> {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Telemetry::build("test", Verbosity::Quiet, LogFormat::Text, find)
    }

    #[test]
    fn without_variables_nothing_is_exported_and_there_is_no_context() {
        let telemetry = build(&[]).unwrap();
        assert!(!telemetry.guard.exports());
        tracing::dispatcher::with_default(&telemetry.dispatch, || {
            let _entered = tracing::info_span!("job.run").entered();
            assert_eq!(
                crate::trace::traceparent(&crate::trace::RemoteContext::default()),
                ""
            );
        });
    }

    #[test]
    fn a_filter_that_makes_no_sense_is_an_error() {
        assert!(matches!(
            build(&[(LOG_VARIABLE, "a=b=c")]),
            Err(TelemetryError::Filter(_))
        ));
    }

    #[test]
    fn an_endpoint_that_makes_no_sense_is_an_error() {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "not an address")];
        assert!(matches!(build(&variables), Err(TelemetryError::Export(_))));
    }

    #[test]
    fn every_verbosity_is_a_filter() {
        for verbosity in [
            Verbosity::Quiet,
            Verbosity::Warnings,
            Verbosity::Normal,
            Verbosity::Verbose,
            Verbosity::Trace,
        ] {
            assert!(
                EnvFilter::try_new(verbosity.directives()).is_ok(),
                "{verbosity:?}"
            );
        }
    }
}
