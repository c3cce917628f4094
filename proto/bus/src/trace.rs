//! Trace context in message headers and stored texts, in the W3C form (`traceparent`, `tracestate`).
//!
//! A request and its reply are one trace: the receiver's span is a child. Work that begins hours after
//! it was asked for, or results that are applied hours after they were found, get a link instead.
//! Where no telemetry is exported there is no context of our own, and all of this does nothing.

use async_nats::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
/// The longest context header that is read: what the W3C text asks to carry at least.
const HEADER_MAX: usize = 512;

/// The trace context of whoever sent a message; may be none.
#[derive(Clone, Debug, Default)]
pub struct RemoteContext {
    context: Context,
}

impl RemoteContext {
    /// Reads the headers of a message. What cannot be read is no context.
    #[must_use]
    pub fn from_headers(headers: Option<&HeaderMap>) -> Self {
        headers
            .map(|headers| Self::extract(&Headers(headers)))
            .unwrap_or_default()
    }

    /// Reads a stored `traceparent`. What cannot be read is no context.
    #[must_use]
    pub fn from_traceparent(text: &str) -> Self {
        Self::extract(&Stored(text))
    }

    /// Whether there is a context.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.context.span().span_context().is_valid()
    }

    /// Makes `span` a child of the sender's. Must come before the span is first entered.
    pub fn adopt(&self, span: &Span) {
        // Without an exporter there is nothing to set a parent on, and that is no error.
        if self.is_present() && span.set_parent(self.context.clone()).is_err() {
            tracing::trace!("span without telemetry, parent not set");
        }
    }

    /// Links `span` to the sender's.
    pub fn link(&self, span: &Span) {
        span.add_link(self.context.span().span_context().clone());
    }

    /// The context as a `traceparent` to store; empty where there is none.
    #[must_use]
    pub fn traceparent(&self) -> String {
        traceparent_of(&self.context)
    }

    fn extract(carrier: &dyn Extractor) -> Self {
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), carrier);
        Self { context }
    }
}

/// The current span's context as a `traceparent` to store; where nothing is exported, that of
/// `remote`, so that the chain does not break here. Empty where there is neither.
#[must_use]
pub fn traceparent(remote: &RemoteContext) -> String {
    let own = traceparent_of(&Span::current().context());
    if own.is_empty() {
        remote.traceparent()
    } else {
        own
    }
}

/// Writes the context of `span` into the headers of a message.
pub fn inject(span: &Span, headers: &mut HeaderMap) {
    inject_context(&span.context(), headers);
}

/// Writes a stored `traceparent` into the headers of a message; nothing where it cannot be read.
pub fn inject_stored(traceparent: &str, headers: &mut HeaderMap) {
    inject_context(
        &RemoteContext::from_traceparent(traceparent).context,
        headers,
    );
}

fn inject_context(context: &Context, headers: &mut HeaderMap) {
    if context.span().span_context().is_valid() {
        TraceContextPropagator::new().inject_context(context, &mut HeadersMut(headers));
    }
}

fn traceparent_of(context: &Context) -> String {
    let mut stored = StoredMut::default();
    if context.span().span_context().is_valid() {
        TraceContextPropagator::new().inject_context(context, &mut stored);
    }
    stored.0
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0
            .get(key)
            .map(|value| value.as_str())
            .filter(|value| value.len() <= HEADER_MAX)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        // An empty tracestate says nothing.
        if !value.is_empty() {
            self.0.insert(key, value);
        }
    }
}

struct Stored<'a>(&'a str);

impl Extractor for Stored<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT && self.0.len() <= HEADER_MAX).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

#[derive(Default)]
struct StoredMut(String);

impl Injector for StoredMut {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_stored_context_reads_back() {
        let remote = RemoteContext::from_traceparent(GOOD);
        assert!(remote.is_present());
        assert_eq!(remote.traceparent(), GOOD);
        assert_eq!(
            traceparent(&remote),
            GOOD,
            "nothing is exported here, so the sender's goes on"
        );
    }

    #[test]
    fn headers_carry_it() {
        let mut headers = HeaderMap::new();
        inject_stored(GOOD, &mut headers);
        assert_eq!(
            RemoteContext::from_headers(Some(&headers)).traceparent(),
            GOOD
        );
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn nonsense_is_no_context() {
        for text in ["", "00", "zz", "00-0-0-00", &"0".repeat(10_000)] {
            let remote = RemoteContext::from_traceparent(text);
            assert!(!remote.is_present(), "{text}");
            assert_eq!(remote.traceparent(), "");
            let mut headers = HeaderMap::new();
            inject_stored(text, &mut headers);
            assert!(headers.is_empty());
        }
        assert!(!RemoteContext::from_headers(None).is_present());
    }
}
