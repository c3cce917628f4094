//! What a server says of itself at its HTTP monitoring address: settings and loads that no client is
//! told.

use std::time::Duration;

use serde::Deserialize;

use crate::otlp;

/// The server's time to answer.
const LIMIT: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes; usual ones have a few thousand.
const ANSWER_MAX: u64 = 1024 * 1024;

/// Settings and loads of one server. Source: `/varz` of nats-server 2.11 to 2.15.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Varz {
    /// Its name.
    pub server_name: String,
    /// Its version.
    pub version: String,
    /// The most connections.
    pub max_connections: u64,
    /// Connections now.
    pub connections: u64,
    /// The largest message, in bytes.
    pub max_payload: u64,
    /// Clients that were too slow and were cut off, since its start.
    pub slow_consumers: u64,
    /// Memory in use, in bytes.
    pub mem: u64,
    /// When its certificate ends, RFC 3339; newer servers say so.
    pub tls_cert_not_after: String,
    /// JetStream; no configuration where it has none.
    pub jetstream: JetStream,
}

/// JetStream of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct JetStream {
    /// How it is set up.
    pub config: Option<JetStreamConfig>,
    /// What it holds.
    pub stats: Option<JetStreamStats>,
}

/// How JetStream is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct JetStreamConfig {
    /// The most bytes on its disk.
    pub max_storage: u64,
    /// The time between two syncs to the disk, in nanoseconds.
    pub sync_interval: u64,
    /// Whether every message is synced before it is acknowledged.
    pub sync_always: bool,
}

/// What JetStream holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct JetStreamStats {
    /// Bytes on its disk.
    pub storage: u64,
    /// Bytes that streams may come to.
    pub reserved_storage: u64,
}

/// Why a server's figures cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {url}: {reason}")]
pub struct MonitorError {
    url: String,
    reason: String,
}

/// Reads the figures of the server whose monitoring address is `url`, such as `http://nats-1:8222`.
///
/// # Errors
///
/// It cannot be reached, or does not answer as a nats-server does.
pub async fn read(url: &str) -> Result<Varz, MonitorError> {
    let url = format!("{}/varz", url.trim_end_matches('/'));
    let shown = url.clone();
    let failed = |reason: String| MonitorError {
        url: shown.clone(),
        reason,
    };
    let asked = tokio::task::spawn_blocking(move || fetch(&url)).await;
    asked
        .map_err(|error| failed(error.to_string()))?
        .map_err(failed)
}

fn fetch(url: &str) -> Result<Varz, String> {
    let mut config = ureq::Agent::config_builder()
        .timeout_global(Some(LIMIT))
        .max_redirects(0);
    if url.starts_with("https:") {
        config = config.tls_config(otlp::tls().map_err(|error| error.to_string())?);
    }
    let agent = config.build().new_agent();
    let mut answer = agent.get(url).call().map_err(|error| error.to_string())?;
    let body = answer.body_mut().with_config().limit(ANSWER_MAX);
    let body = body.read_to_vec().map_err(|error| error.to_string())?;
    let varz: Varz = serde_json::from_slice(&body)
        .map_err(|error| format!("no figures of a server: {error}"))?;
    if varz.version.is_empty() {
        return Err("no figures of a server".to_owned());
    }
    Ok(varz)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_whatever_else_there_is() {
        let text = r#"{"server_name":"n1","version":"2.14.6","max_connections":65536,
            "connections":3,"slow_consumers":1,"mem":7,"max_payload":1048576,"cluster":{},
            "jetstream":{"config":{"max_storage":9,"sync_interval":120000000000,"sync_always":true},
            "stats":{"storage":5,"reserved_storage":6,"api":{}}}}"#;
        let varz: Varz = serde_json::from_str(text).unwrap();
        let config = varz.jetstream.config.unwrap();
        assert!(config.sync_always);
        assert_eq!(config.sync_interval, 120_000_000_000);
        assert_eq!(varz.jetstream.stats.unwrap().reserved_storage, 6);
        let without: Varz = serde_json::from_str(r#"{"version":"2.14.6","jetstream":{}}"#).unwrap();
        assert_eq!(without.jetstream.config, None);
    }
}
