//! The streams and buckets, declared in one place and ensured when the coordinator starts.
//!
//! A stream that exists with other settings is repaired where the server can change the setting, and
//! refused where it cannot: everything in it can be built again from the coordinator's database and
//! the agents' spools, so removing it is always an option.

use std::time::Duration;

use async_nats::jetstream::context::{AccountErrorKind, CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Republish, RetentionPolicy, StorageType,
};
use async_nats::jetstream::{self, ErrorCode as JetStreamCode};
use tvtfleet_proto::model::want::WANT_MAX;
use tvtfleet_proto::subject::{
    BLOB_ALL, BLOB_STREAM, OUT_ALL, OUT_STREAM, PUSH_WANT_ALL, WANT_ALL, WANT_STREAM,
};

use crate::connect::Bus;
use crate::error::BusError;

/// The largest message in the stream of results, headers included, in bytes.
pub const OUT_MESSAGE_MAX: usize = 512 * 1024;
/// How long the server knows a batch's message id.
pub const OUT_DUPLICATE_WINDOW: Duration = Duration::from_secs(5 * 60);

/// The largest message in the stream of pictures, headers included, in bytes.
pub const BLOB_MESSAGE_MAX: usize = 256 * 1024;
/// How long a piece of a picture may wait to be taken out.
const BLOB_MAX_AGE: Duration = Duration::from_secs(48 * 3600);
/// Batches of one site that the stream holds before its oldest go: no site may evict the others.
const OUT_MESSAGES_PER_SITE: i64 = 50_000;
/// The server allows 1,000 consumers where nobody says otherwise; we never need more than a few.
const CONSUMERS_MAX: i32 = 64;
const WANT_DUPLICATE_WINDOW: Duration = Duration::from_secs(2 * 60);

/// What the streams of a fleet should be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declarations {
    /// How many servers hold each message.
    pub replicas: Replicas,
    /// The most bytes of want documents: about 1 KB per idle site and up to 128 KB per busy one.
    pub want_max_bytes: u64,
    /// The most bytes of results; the oldest go first.
    pub out_max_bytes: u64,
    /// How long results stay.
    pub out_max_age: Duration,
    /// The most bytes of the log by which standbys follow; the oldest go first.
    pub log_max_bytes: u64,
    /// The most bytes of pictures on their way; a full stream takes no more, and the sites wait.
    pub blob_max_bytes: u64,
}

/// How many servers hold each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// A single server.
    One,
    /// A cluster of three or more.
    Three,
}

impl Replicas {
    pub(crate) const fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Three => 3,
        }
    }
}

impl Declarations {
    /// For demonstrations and tests: a few hundred megabytes.
    pub const SMALL: Self = Self {
        replicas: Replicas::One,
        want_max_bytes: 64 << 20,
        out_max_bytes: 256 << 20,
        out_max_age: Duration::from_secs(7 * 24 * 3600),
        log_max_bytes: 128 << 20,
        blob_max_bytes: 128 << 20,
    };

    fn want(self) -> Config {
        Config {
            name: WANT_STREAM.to_owned(),
            description: Some("what each site should be doing now".to_owned()),
            subjects: vec![WANT_ALL.to_owned()],
            max_bytes: bytes(self.want_max_bytes),
            max_messages: -1,
            max_messages_per_subject: 1,
            max_consumers: CONSUMERS_MAX,
            max_message_size: i32::try_from(2 * WANT_MAX).unwrap_or(i32::MAX),
            discard: DiscardPolicy::New,
            duplicate_window: WANT_DUPLICATE_WINDOW,
            num_replicas: self.replicas.count(),
            // What makes a stream a bucket to every NATS tool.
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            republish: Some(Republish {
                source: WANT_ALL.to_owned(),
                destination: PUSH_WANT_ALL.to_owned(),
                headers_only: false,
            }),
            ..common()
        }
    }

    fn out(self) -> Config {
        Config {
            name: OUT_STREAM.to_owned(),
            description: Some("batches of reports and events from the sites".to_owned()),
            subjects: vec![OUT_ALL.to_owned()],
            max_bytes: bytes(self.out_max_bytes),
            max_messages: -1,
            max_messages_per_subject: OUT_MESSAGES_PER_SITE,
            max_consumers: CONSUMERS_MAX,
            max_message_size: i32::try_from(OUT_MESSAGE_MAX).unwrap_or(i32::MAX),
            max_age: self.out_max_age,
            // Eviction loses nothing: agents keep what the coordinator has not committed.
            discard: DiscardPolicy::Old,
            duplicate_window: OUT_DUPLICATE_WINDOW,
            num_replicas: self.replicas.count(),
            ..common()
        }
    }
}

impl Declarations {
    fn blob(self) -> Config {
        Config {
            name: BLOB_STREAM.to_owned(),
            description: Some("pictures on their way to the coordinator".to_owned()),
            subjects: vec![BLOB_ALL.to_owned()],
            // Gone once the coordinator has stored it; refused where there is no room.
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            max_bytes: bytes(self.blob_max_bytes),
            max_messages: -1,
            max_messages_per_subject: -1,
            max_consumers: CONSUMERS_MAX,
            max_message_size: i32::try_from(BLOB_MESSAGE_MAX).unwrap_or(i32::MAX),
            max_age: BLOB_MAX_AGE,
            duplicate_window: OUT_DUPLICATE_WINDOW,
            num_replicas: self.replicas.count(),
            ..common()
        }
    }
}

impl Default for Declarations {
    /// A single server for a large fleet: 4 GB of want documents, 20 GB and 7 days of results, 10 GB
    /// of pictures on their way.
    fn default() -> Self {
        Self {
            want_max_bytes: 4 << 30,
            out_max_bytes: 20 << 30,
            log_max_bytes: 8 << 30,
            blob_max_bytes: 10 << 30,
            ..Self::SMALL
        }
    }
}

/// What [`ensure`] did to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// It was not there.
    Created,
    /// It was as it should be.
    Kept,
    /// These settings were put right.
    Repaired(Vec<&'static str>),
}

/// Makes sure that the streams are there and as declared. Returns each with what was done.
///
/// # Errors
///
/// `bus.unsupported` without JetStream, `bus.stream` where a stream cannot be made or put right,
/// `bus.timeout`.
pub async fn ensure(
    bus: &Bus,
    declarations: &Declarations,
) -> Result<Vec<(&'static str, Ensured)>, BusError> {
    check_jetstream(bus).await?;
    let mut done = Vec::new();
    for (name, wanted) in [
        (WANT_STREAM, declarations.want()),
        (OUT_STREAM, declarations.out()),
        (BLOB_STREAM, declarations.blob()),
    ] {
        let ensured = ensure_one(bus, &wanted).await?;
        match &ensured {
            Ensured::Created => tracing::info!(stream = name, "stream created"),
            Ensured::Repaired(settings) => {
                tracing::warn!(stream = name, ?settings, "stream settings put right")
            }
            Ensured::Kept => {}
        }
        done.push((name, ensured));
    }
    Ok(done)
}

/// How a stream is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// Its name.
    pub name: &'static str,
    /// What the server says of it; `None` where it is missing.
    pub found: Option<Found>,
}

/// What the server says of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Settings that are not as declared.
    pub drift: Vec<&'static str>,
    /// Messages in it.
    pub messages: u64,
    /// The position of the last one.
    pub last: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The most bytes that it takes; 0 is no limit.
    pub max_bytes: u64,
    /// Servers that should hold it and do not keep up.
    pub behind: Vec<String>,
    /// Whether nobody leads it.
    pub leaderless: bool,
}

/// Looks at the streams and changes nothing.
///
/// # Errors
///
/// `bus.unsupported` without JetStream, `bus.stream`, `bus.timeout`.
pub async fn inspect(bus: &Bus, declarations: &Declarations) -> Result<Vec<StreamState>, BusError> {
    check_jetstream(bus).await?;
    let mut states = Vec::new();
    for (name, wanted) in [
        (WANT_STREAM, declarations.want()),
        (OUT_STREAM, declarations.out()),
        (BLOB_STREAM, declarations.blob()),
    ] {
        let found = info(bus, name).await?.map(|info| {
            let mut config = info.config.clone();
            let mut drift = fixed_drift(&config, &wanted);
            drift.extend(repair(&mut config, &wanted));
            let cluster = info.cluster.as_ref();
            let behind = cluster
                .into_iter()
                .flat_map(|cluster| &cluster.replicas)
                .filter(|peer| peer.offline || !peer.current)
                .map(|peer| peer.name.clone());
            Found {
                drift,
                messages: info.state.messages,
                last: info.state.last_sequence,
                bytes: info.state.bytes,
                max_bytes: u64::try_from(info.config.max_bytes).unwrap_or(0),
                behind: behind.collect(),
                leaderless: cluster.is_some_and(|cluster| cluster.leader.is_none()),
            }
        });
        states.push(StreamState { name, found });
    }
    Ok(states)
}

async fn check_jetstream(bus: &Bus) -> Result<(), BusError> {
    let what = "the JetStream account request";
    match bus.jetstream.query_account().await {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.kind() {
            // The server has none; the account may use none.
            AccountErrorKind::JetStreamUnavailable | AccountErrorKind::JetStream(_) => {
                BusError::NoJetStream
            }
            AccountErrorKind::TimedOut => BusError::Timeout { what },
            AccountErrorKind::Other => BusError::Client {
                what,
                source: Box::new(error),
            },
        }),
    }
}

pub(crate) async fn ensure_one(bus: &Bus, wanted: &Config) -> Result<Ensured, BusError> {
    let Some(info) = info(bus, &wanted.name).await? else {
        bus.jetstream
            .create_stream(wanted.clone())
            .await
            .map_err(|error| refused(&wanted.name, &error))?;
        return Ok(Ensured::Created);
    };
    // Start from what is there, so that settings we have no view on stay as they are.
    let mut config = info.config;
    let fixed = fixed_drift(&config, wanted);
    if !fixed.is_empty() {
        return Err(BusError::Drift {
            stream: wanted.name.clone(),
            settings: fixed.join(", "),
        });
    }
    let repaired = repair(&mut config, wanted);
    if repaired.is_empty() {
        return Ok(Ensured::Kept);
    }
    bus.jetstream
        .update_stream(&config)
        .await
        .map_err(|error| refused(&wanted.name, &error))?;
    Ok(Ensured::Repaired(repaired))
}

/// Reads a stream's configuration and state; `None` where there is no such stream.
pub(crate) async fn info(
    bus: &Bus,
    name: &str,
) -> Result<Option<jetstream::stream::Info>, BusError> {
    let stream = || name.to_owned();
    match bus.jetstream.get_stream(name).await {
        Ok(found) => Ok(Some(found.cached_info().clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(refusal)
                if refusal.error_code() == JetStreamCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            GetStreamErrorKind::JetStream(refusal) => Err(BusError::Stream {
                stream: stream(),
                reason: refusal.to_string(),
            }),
            GetStreamErrorKind::Request => Err(BusError::Timeout {
                what: "a stream information request",
            }),
            GetStreamErrorKind::EmptyName | GetStreamErrorKind::InvalidStreamName => {
                Err(BusError::Stream {
                    stream: stream(),
                    reason: error.to_string(),
                })
            }
        },
    }
}

fn refused(stream: &str, error: &jetstream::context::CreateStreamError) -> BusError {
    match error.kind() {
        CreateStreamErrorKind::TimedOut => BusError::Timeout {
            what: "a change of a stream",
        },
        CreateStreamErrorKind::JetStreamUnavailable => BusError::NoJetStream,
        CreateStreamErrorKind::EmptyStreamName
        | CreateStreamErrorKind::InvalidStreamName
        | CreateStreamErrorKind::DomainAndExternalSet
        | CreateStreamErrorKind::JetStream(_)
        | CreateStreamErrorKind::Response
        | CreateStreamErrorKind::NotFound
        | CreateStreamErrorKind::ResponseParse => BusError::Stream {
            stream: stream.to_owned(),
            reason: error.to_string(),
        },
    }
}

/// Names the settings that are wrong and that the server does not change on a live stream.
fn fixed_drift(found: &Config, wanted: &Config) -> Vec<&'static str> {
    let mut drift = Vec::new();
    let mut check = |name, wrong: bool| {
        if wrong {
            drift.push(name);
        }
    };
    check("storage", found.storage != wanted.storage);
    check("retention", found.retention != wanted.retention);
    check(
        "max_consumers",
        found.max_consumers > 0 && found.max_consumers < wanted.max_consumers,
    );
    check("deny_delete", found.deny_delete && !wanted.deny_delete);
    check("mirror", found.mirror.is_some());
    check(
        "sources",
        found
            .sources
            .as_ref()
            .is_some_and(|sources| !sources.is_empty()),
    );
    check("sealed", found.sealed);
    drift
}

/// Puts the other settings right and names those that were wrong.
fn repair(found: &mut Config, wanted: &Config) -> Vec<&'static str> {
    let mut repaired = Vec::new();
    let list = &mut repaired;
    settle("subjects", &mut found.subjects, &wanted.subjects, list);
    settle("max_bytes", &mut found.max_bytes, &wanted.max_bytes, list);
    settle(
        "max_msgs",
        &mut found.max_messages,
        &wanted.max_messages,
        list,
    );
    settle(
        "max_msgs_per_subject",
        &mut found.max_messages_per_subject,
        &wanted.max_messages_per_subject,
        list,
    );
    settle(
        "max_msg_size",
        &mut found.max_message_size,
        &wanted.max_message_size,
        list,
    );
    settle("max_age", &mut found.max_age, &wanted.max_age, list);
    settle("discard", &mut found.discard, &wanted.discard, list);
    settle(
        "discard_new_per_subject",
        &mut found.discard_new_per_subject,
        &wanted.discard_new_per_subject,
        list,
    );
    settle(
        "duplicate_window",
        &mut found.duplicate_window,
        &wanted.duplicate_window,
        list,
    );
    settle(
        "num_replicas",
        &mut found.num_replicas,
        &wanted.num_replicas,
        list,
    );
    settle("no_ack", &mut found.no_ack, &wanted.no_ack, list);
    settle(
        "allow_rollup_hdrs",
        &mut found.allow_rollup,
        &wanted.allow_rollup,
        list,
    );
    settle(
        "deny_delete",
        &mut found.deny_delete,
        &wanted.deny_delete,
        list,
    );
    // Either is right for reading; only a bucket needs it.
    if wanted.allow_direct {
        settle(
            "allow_direct",
            &mut found.allow_direct,
            &wanted.allow_direct,
            list,
        );
    }
    settle("republish", &mut found.republish, &wanted.republish, list);
    repaired
}

fn settle<T: PartialEq + Clone>(
    name: &'static str,
    found: &mut T,
    wanted: &T,
    repaired: &mut Vec<&'static str>,
) {
    if found != wanted {
        found.clone_from(wanted);
        repaired.push(name);
    }
}

fn common() -> Config {
    Config {
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        ..Config::default()
    }
}

fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_declared_is_left_alone() {
        for wanted in [
            Declarations::SMALL.want(),
            Declarations::SMALL.out(),
            Declarations::SMALL.blob(),
        ] {
            let mut found = wanted.clone();
            assert!(fixed_drift(&found, &wanted).is_empty());
            assert!(repair(&mut found, &wanted).is_empty());
        }
    }

    #[test]
    fn drift_is_repaired_or_refused() {
        let wanted = Declarations::SMALL.want();
        let mut found = Config {
            republish: None,
            max_bytes: 5,
            ..wanted.clone()
        };
        assert_eq!(repair(&mut found, &wanted), ["max_bytes", "republish"]);
        assert_eq!(found, wanted);
        let broken = Config {
            storage: StorageType::Memory,
            max_consumers: 1,
            ..wanted.clone()
        };
        assert_eq!(fixed_drift(&broken, &wanted), ["storage", "max_consumers"]);
        let roomy = Config {
            max_consumers: 1_000,
            ..wanted.clone()
        };
        assert!(fixed_drift(&roomy, &wanted).is_empty());
    }

    #[test]
    fn every_limit_is_explicit() {
        for config in [
            Declarations::default().want(),
            Declarations::default().out(),
        ] {
            assert!(
                config.max_consumers > 0,
                "2.15 gives 1,000 consumers where nothing is said"
            );
            assert!(
                config.max_bytes > 0
                    && config.max_message_size > 0
                    && config.max_messages_per_subject > 0
            );
        }
    }
}
