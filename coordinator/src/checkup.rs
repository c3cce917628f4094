//! Looks at everything the coordinator can see, for `tvtctl doctor`.

use std::path::Path;
use std::time::Duration;

use tvtfleet_bus::connect::RECOMMENDED;
use tvtfleet_bus::streams::{self, StreamState};
use tvtfleet_proto::model::checkup::{Checkup, Finding, Level};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::subject::{self, OUT_STREAM};

use crate::core::Core;
use crate::store::{Health, StoreError, site};

mod agents;
mod certificate;
mod credentials;
mod replicas;
mod server_clock;
mod tokens;

/// How full a stream may be, in percent.
const STREAM_FULL: u64 = 90;
/// Messages that may wait to be applied.
const LAG_WARN: u64 = 1_000;
const LAG_FAIL: u64 = 100_000;
/// Bytes of the log beside the database, which a checkpoint folds in.
const WAL_WARN: u64 = 256 * 1024 * 1024;
/// Bytes that should be free on a disk.
pub(crate) const DISK_WARN: u64 = 2 * 1024 * 1024 * 1024;
pub(crate) const DISK_FAIL: u64 = 200 * 1024 * 1024;
/// Sites without signatures that are named.
const REFUSED_SHOWN: u32 = 20;
/// The time for the look into the database.
const DATABASE_LIMIT: Duration = Duration::from_secs(5);

/// Looks at the server and its clock, streams, database, disk, certificates, credentials, replicas and agents.
///
/// # Errors
///
/// The database cannot be read at all.
pub(crate) async fn examine(core: &Core) -> Result<Checkup, StoreError> {
    let mut findings = server(core);
    findings.extend(server_clock::look(core).await);
    let position = core.store.read("read the cursor", site::position).await?;
    match streams::inspect(&core.bus, &core.config.declarations()).await {
        Ok(states) => findings.extend(of_streams(&states, position.cursor)),
        Err(error) => findings.push(
            Finding::ok("stream", "", format!("cannot be looked at: {error}"))
                .worse(Level::Fail, "look at the log of nats-server"),
        ),
    }
    let health = core.store.health(DATABASE_LIMIT).await?;
    let data = &core.config.data_dir;
    findings.extend(of_database(
        &health,
        core.store.wal_bytes(),
        position.quarantined,
    ));
    findings.push(of_disk("coordinator", free_bytes(data)));
    let refused = core.store.read("read what was refused", |db| {
        site::unsigned(db, REFUSED_SHOWN)
    });
    findings.extend(of_unsigned(&refused.await?));
    let now = core.clock.now();
    findings.extend(certificate::look(&core.config.nats, now));
    findings.extend(certificate::look_at_servers(&core.config.connect_options(), now).await);
    findings.extend(credentials::look(&core.config.connect_options(), now));
    let views: Vec<_> = core.presence().views(None, core.now().instant).collect();
    findings.extend(replicas::look(core));
    findings.extend(tokens::look(core).await?);
    findings.extend(agents::look(&views, env!("CARGO_PKG_VERSION")));
    Ok(Checkup { findings })
}

fn server(core: &Core) -> Vec<Finding> {
    let version = core.bus.server_version();
    let found = Finding::ok(
        "server",
        core.bus.servers(),
        format!("nats-server {version}"),
    );
    let found = if !core.bus.is_recommended() {
        let (major, minor, patch) = RECOMMENDED;
        let advice = format!("update nats-server to {major}.{minor}.{patch} or newer");
        found.worse(Level::Warn, &advice)
    } else {
        found
    };
    let text = "how often JetStream syncs to the disk cannot be seen by a client";
    let mut sync = Finding::ok("server", "sync_interval", text);
    sync.advice = "tvtctl doctor --monitor http://SERVER:8222".to_owned();
    vec![found, sync]
}

fn of_streams(states: &[StreamState], cursor: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for state in states {
        let Some(found) = &state.found else {
            let missing = Finding::ok("stream", state.name, "is missing");
            let advice = "restart the coordinator, which makes it anew and asks the agents again";
            findings.push(missing.worse(Level::Fail, advice));
            continue;
        };
        let full = found
            .bytes
            .saturating_mul(100)
            .checked_div(found.max_bytes)
            .unwrap_or(0);
        let text = format!("{} messages, {full} % full", found.messages);
        let finding = Finding::ok("stream", state.name, text);
        findings.push(if full >= STREAM_FULL && state.name != OUT_STREAM {
            finding.worse(Level::Warn, "raise wants_max_mb")
        } else {
            finding
        });
        if !found.drift.is_empty() {
            let text = format!("not as declared: {}", found.drift.join(", "));
            let advice = "restart the coordinator, which puts right what can be put right";
            findings.push(Finding::ok("stream", state.name, text).worse(Level::Warn, advice));
        }
        if found.leaderless || !found.behind.is_empty() {
            let level = if found.leaderless {
                Level::Fail
            } else {
                Level::Warn
            };
            let text = format!("servers that do not keep up: {}", found.behind.join(", "));
            let advice = "look at the other servers of the cluster";
            findings.push(Finding::ok("stream", state.name, text).worse(level, advice));
        }
        if state.name == OUT_STREAM {
            findings.push(of_lag(found.last, cursor));
        }
    }
    findings
}

fn of_lag(last: u64, cursor: u64) -> Finding {
    if cursor > last {
        let text = format!("the cursor stands at {cursor}, behind the end of the stream at {last}");
        return Finding::ok("lag", "", text)
            .worse(Level::Warn, "the stream was made anew; wait for the agents");
    }
    let lag = last.saturating_sub(cursor);
    let found = Finding::ok("lag", "", format!("{lag} messages wait to be applied"));
    let advice = "look whether the coordinator's disk or processor is busy";
    match lag {
        LAG_FAIL.. => found.worse(Level::Fail, advice),
        LAG_WARN.. => found.worse(Level::Warn, advice),
        _ => found,
    }
}

fn of_database(health: &Health, wal: u64, quarantined: u64) -> Vec<Finding> {
    let text = format!(
        "{} MB, {} MB of it free, log {} MB",
        health.bytes >> 20,
        health.free_bytes >> 20,
        wal >> 20
    );
    let size = Finding::ok("database", "size", text);
    let size = if wal > WAL_WARN {
        let advice =
            "a reader holds the log: look for long questions, then restart the coordinator";
        size.worse(Level::Warn, advice)
    } else {
        size
    };
    let integrity = match &health.damage {
        None if health.complete => Finding::ok("database", "integrity", "sound"),
        None => Finding::ok(
            "database",
            "integrity",
            "sound as far as there was time to look",
        ),
        Some(damage) => {
            let advice =
                "stop the coordinator and restore a backup; the agents send again what is newer";
            Finding::ok("database", "integrity", damage).worse(Level::Fail, advice)
        }
    };
    let wants = Finding::ok(
        "database",
        "work",
        format!(
            "{} sites wait for their work to be published",
            health.dirty_wants
        ),
    );
    let aside = Finding::ok("database", "set aside", format!("{quarantined} messages"));
    let aside = if quarantined > 0 {
        aside.worse(Level::Warn, "see the log for what is wrong with them")
    } else {
        aside
    };
    vec![size, integrity, wants, aside]
}

fn of_unsigned(refused: &[(String, u64, UtcMillis)]) -> Vec<Finding> {
    let findings = refused.iter().map(|(subject, number, last)| {
        let site =
            subject::parse_out(subject).map_or_else(String::new, |(site, _)| site.to_string());
        let text = format!("{number} batches without its agent's signature, the last at {last}");
        let advice = "somebody else speaks for the site, or its agent is too old to sign: bring it \
                      up to date, or revoke it";
        Finding::ok("trust", &site, text).worse(Level::Fail, advice)
    });
    findings.collect()
}

/// Judges what is free on a disk.
pub(crate) fn of_disk(subject: &str, free: u64) -> Finding {
    let found = Finding::ok("disk", subject, format!("{} MB free", free >> 20));
    match free {
        0 => Finding::ok("disk", subject, "nobody knows what is free"),
        1..DISK_FAIL => found.worse(Level::Fail, "make room now"),
        DISK_FAIL..DISK_WARN => found.worse(Level::Warn, "make room"),
        _ => found,
    }
}

fn free_bytes(folder: &Path) -> u64 {
    let space = rustix::fs::statvfs(folder);
    space.map_or(0, |space| space.f_bavail.saturating_mul(space.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_bus::streams::Found;
    use tvtfleet_proto::subject::WANT_STREAM;

    fn stream(name: &'static str, bytes: u64, last: u64) -> StreamState {
        let found = Found {
            drift: Vec::new(),
            messages: 7,
            last,
            bytes,
            max_bytes: 100,
            behind: Vec::new(),
            leaderless: false,
        };
        StreamState {
            name,
            found: Some(found),
        }
    }

    fn levels(findings: &[Finding]) -> Vec<Level> {
        findings.iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn streams_are_judged() {
        use Level::{Fail, Ok, Warn};
        let want = |bytes| stream(WANT_STREAM, bytes, 1);
        let out = |last| stream(OUT_STREAM, 99, last);
        assert_eq!(levels(&of_streams(&[want(10)], 0)), [Ok]);
        assert_eq!(levels(&of_streams(&[want(95)], 0)), [Warn]);
        assert_eq!(
            levels(&of_streams(&[out(5)], 5)),
            [Ok, Ok],
            "old results give way"
        );
        assert_eq!(levels(&of_streams(&[out(2_000)], 5)), [Ok, Warn]);
        assert_eq!(levels(&of_streams(&[out(200_000)], 5)), [Ok, Fail]);
        assert_eq!(levels(&of_streams(&[out(5)], 9)), [Ok, Warn]);
        let mut odd = want(1);
        if let Some(found) = &mut odd.found {
            found.drift = vec!["max_bytes"];
            found.behind = vec!["n2".into()];
        }
        assert_eq!(levels(&of_streams(&[odd], 0)), [Ok, Warn, Warn]);
        let gone = StreamState {
            name: OUT_STREAM,
            found: None,
        };
        assert_eq!(levels(&of_streams(&[gone], 0)), [Fail]);
    }

    #[test]
    fn disks_and_databases_are_judged() {
        assert_eq!(of_disk("x", 1 << 40).level, Level::Ok);
        assert_eq!(of_disk("x", 1 << 30).level, Level::Warn);
        assert_eq!(of_disk("x", 1 << 20).level, Level::Fail);
        let sound = Health {
            bytes: 1,
            free_bytes: 0,
            damage: None,
            complete: true,
            dirty_wants: 0,
        };
        assert!(
            of_database(&sound, 0, 0)
                .iter()
                .all(|found| found.level == Level::Ok)
        );
        let broken = Health {
            damage: Some("row 5 missing".into()),
            ..sound
        };
        let found = of_database(&broken, WAL_WARN + 1, 1);
        assert_eq!(
            levels(&found),
            [Level::Warn, Level::Fail, Level::Ok, Level::Warn]
        );
    }
}
