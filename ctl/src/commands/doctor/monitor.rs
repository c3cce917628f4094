//! What a server says of itself at its monitoring address.

use tvtfleet_bus::monitor::{JetStream, Varz, read};
use tvtfleet_proto::model::checkup::{Finding, Level};
use tvtfleet_proto::model::time::UtcMillis;

/// From here on a limit is near, in percent of it.
const NEAR: u64 = 80;
/// The largest message that the fleet sends, in bytes.
const LARGEST_MESSAGE: u64 = 1024 * 1024;
/// From here on it is time for a new certificate.
const SOON_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Asks one server and judges what it says.
pub(super) async fn look(url: &str) -> Vec<Finding> {
    match read(url).await {
        Ok(varz) => judge(&varz, now()),
        Err(error) => vec![
            Finding::ok("monitor", url, error.to_string())
                .worse(Level::Warn, "look at `http:` in the server's configuration"),
        ],
    }
}

fn now() -> UtcMillis {
    use tvtfleet_bus::clock::{Clock as _, SystemClock};
    SystemClock.now()
}

fn judge(varz: &Varz, now: UtcMillis) -> Vec<Finding> {
    let name = &varz.server_name;
    let mut findings = vec![of_connections(varz)];
    let text = format!("messages of at most {} KB", varz.max_payload >> 10);
    let payload = Finding::ok("monitor", name, text);
    findings.push(if varz.max_payload < LARGEST_MESSAGE {
        payload.worse(Level::Fail, "set `max_payload: 1MB` or more")
    } else {
        payload
    });
    if varz.slow_consumers > 0 {
        let text = format!("{} clients were too slow and cut off", varz.slow_consumers);
        let advice = "look at the log of nats-server for who they are";
        findings.push(Finding::ok("monitor", name, text).worse(Level::Warn, advice));
    }
    findings.extend(of_certificate(varz, now));
    findings.extend(of_jetstream(name, &varz.jetstream));
    findings
}

fn of_connections(varz: &Varz) -> Finding {
    let (used, most) = (varz.connections, varz.max_connections);
    let text = format!("{used} of {most} connections, {} MB memory", varz.mem >> 20);
    let found = Finding::ok("monitor", &varz.server_name, text);
    if percent(used, most) >= NEAR {
        found.worse(
            Level::Warn,
            "raise `max_connections`, and the limit of open files",
        )
    } else {
        found
    }
}

fn of_certificate(varz: &Varz, now: UtcMillis) -> Option<Finding> {
    let end: UtcMillis = varz.tls_cert_not_after.parse().ok()?;
    let text = format!("its certificate is valid until {end}");
    let found = Finding::ok("monitor", &varz.server_name, text);
    Some(match end.millis().saturating_sub(now.millis()) {
        ..=0 => found.worse(Level::Fail, "it has ended: issue a new one"),
        1..SOON_MS => found.worse(Level::Warn, "issue a new one"),
        _ => found,
    })
}

fn of_jetstream(name: &str, jetstream: &JetStream) -> Vec<Finding> {
    let Some(config) = &jetstream.config else {
        let found = Finding::ok("monitor", name, "has no JetStream");
        return vec![found.worse(Level::Fail, "add `jetstream { … }` to its configuration")];
    };
    let sync = if config.sync_always {
        Finding::ok("monitor", name, "syncs every message to the disk")
    } else {
        let seconds = config.sync_interval / 1_000_000_000;
        let text = format!("syncs to the disk every {seconds} s");
        let advice = "set `sync_interval: always` in `jetstream { … }`: else a power cut takes \
                      back what it has acknowledged, and agents send it again";
        Finding::ok("monitor", name, text).worse(Level::Warn, advice)
    };
    let Some(stats) = &jetstream.stats else {
        return vec![sync];
    };
    let used = percent(stats.storage, config.max_storage);
    let text = format!(
        "{} of {} MB of JetStream's disk used, {} MB promised to streams",
        stats.storage >> 20,
        config.max_storage >> 20,
        stats.reserved_storage >> 20,
    );
    let storage = Finding::ok("monitor", name, text);
    let storage = if used >= NEAR {
        storage.worse(
            Level::Warn,
            "raise `max_file_store`, or make room on its disk",
        )
    } else if stats.reserved_storage > config.max_storage {
        let advice = "raise `max_file_store`: streams may fill more than there is";
        storage.worse(Level::Warn, advice)
    } else {
        storage
    };
    vec![sync, storage]
}

fn percent(used: u64, most: u64) -> u64 {
    used.saturating_mul(100).checked_div(most).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use tvtfleet_bus::monitor::{JetStreamConfig, JetStreamStats};

    use super::*;

    fn sound() -> Varz {
        Varz {
            server_name: "n1".to_owned(),
            version: "2.14.6".to_owned(),
            max_connections: 1000,
            connections: 10,
            max_payload: 1024 * 1024,
            jetstream: JetStream {
                config: Some(JetStreamConfig {
                    max_storage: 1000,
                    sync_interval: 120_000_000_000,
                    sync_always: true,
                }),
                stats: Some(JetStreamStats {
                    storage: 10,
                    reserved_storage: 900,
                }),
            },
            ..Varz::default()
        }
    }

    fn worst(change: impl FnOnce(&mut Varz)) -> Vec<Finding> {
        let mut varz = sound();
        change(&mut varz);
        let found = judge(&varz, UtcMillis::new(0)).into_iter();
        found.filter(|finding| finding.level > Level::Ok).collect()
    }

    #[test]
    fn what_is_wrong_with_a_server_is_said_with_what_to_do() {
        assert_eq!(worst(|_| {}), []);
        let one = |change: fn(&mut Varz), level, words: &str| {
            let found = worst(change);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].level, level, "{found:?}");
            assert!(found[0].text.contains(words), "{found:?}");
            assert!(!found[0].advice.is_empty());
        };
        use Level::{Fail, Warn};
        one(|varz| varz.connections = 900, Warn, "900 of 1000");
        one(|varz| varz.max_payload = 1000, Fail, "at most");
        one(|varz| varz.slow_consumers = 2, Warn, "too slow");
        one(
            |varz| varz.tls_cert_not_after = "1970-01-05T00:00:00Z".to_owned(),
            Warn,
            "until",
        );
        one(
            |varz| varz.tls_cert_not_after = "1969-01-05T00:00:00Z".to_owned(),
            Fail,
            "until",
        );
        one(
            |varz| varz.jetstream.config.as_mut().unwrap().sync_always = false,
            Warn,
            "every 120 s",
        );
        one(
            |varz| varz.jetstream.stats.as_mut().unwrap().storage = 900,
            Warn,
            "used",
        );
        one(
            |varz| varz.jetstream.stats.as_mut().unwrap().reserved_storage = 2000,
            Warn,
            "promised",
        );
        one(
            |varz| varz.jetstream = JetStream::default(),
            Fail,
            "no JetStream",
        );
    }
}
