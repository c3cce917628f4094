//! The log of replicas on a real server: whoever is late writes nothing, and snapshots are whole.

use std::time::Duration;

use tvtfleet_bus::replica::{self, LogReader, LogWriter};
use tvtfleet_bus::streams::Declarations;
use tvtfleet_bus::{Bus, BusError};
use tvtfleet_proto::model::replica::{LogEntry, LogKind, LogMark, SnapshotManifest};
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_tests::nats::NatsServer;

async fn bus(server: &NatsServer) -> Bus {
    let bus = server.connect("replica").await;
    replica::ensure(&bus, &Declarations::SMALL)
        .await
        .expect("the streams");
    bus
}

fn entry(leader: &str, number: u64, part: u32, parts: u32) -> LogEntry {
    let mark = |number| LogMark { term: 1, number };
    LogEntry {
        kind: LogKind::Changes,
        leader: leader.to_owned(),
        before: mark(number),
        after: mark(number + 1),
        schema: 1,
        part,
        parts,
        changes: vec![7; 300],
    }
}

#[tokio::test]
async fn whoever_is_late_writes_nothing() {
    let server = NatsServer::start().await;
    let (one, two) = (bus(&server).await, bus(&server).await);
    let mut first = LogWriter::new(&one, 0);
    let (last, _) = first
        .append(vec![entry("a", 0, 0, 1)])
        .await
        .expect("the first");
    let mut second = LogWriter::new(&two, last);
    let parts = (0..5).map(|part| entry("b", 1, part, 5)).collect();
    let (last, _) = second.append(parts).await.expect("five parts");
    assert_eq!(last, 6);
    // Not one part of what the deposed leader has to say is stored.
    let parts = (0..5).map(|part| entry("a", 1, part, 5)).collect();
    let refused = first.append(parts).await;
    assert!(matches!(refused, Err(BusError::Fenced)), "{refused:?}");
    let state = replica::state(&one).await.expect("the log");
    assert_eq!((state.first, state.last), (1, 6));

    let mut reader = LogReader::open(&one, 1).await.expect("a reader");
    let mut read = Vec::new();
    while read.len() < 5 {
        let batch = reader
            .next_batch(3, Duration::from_secs(10))
            .await
            .expect("entries");
        assert!(!batch.is_empty() && batch.len() <= 3);
        read.extend(batch);
    }
    let positions: Vec<u64> = read.iter().map(|(position, _)| *position).collect();
    assert_eq!(positions, [2, 3, 4, 5, 6]);
    assert!(
        read.iter()
            .all(|(_, entry)| entry.as_ref().unwrap().leader == "b")
    );
    let none = reader
        .next_batch(3, Duration::from_millis(50))
        .await
        .expect("none");
    assert!(none.is_empty());
}

#[tokio::test]
async fn a_snapshot_is_whole_or_not_there() {
    let server = NatsServer::start().await;
    let bus = bus(&server).await;
    assert_eq!(replica::newest(&bus).await.expect("an answer"), None);
    let folder = tempfile::tempdir().expect("a folder");
    let (from, into) = (folder.path().join("from"), folder.path().join("into"));
    let content: Vec<u8> = (0..1_300_000_u32)
        .map(|number| u8::try_from(number % 251).expect("small"))
        .collect();
    std::fs::write(&from, &content).expect("our own file");
    let manifest = |id: &str| SnapshotManifest {
        id: id.to_owned(),
        mark: LogMark { term: 3, number: 9 },
        schema: 1,
        parts: 0,
        bytes: 0,
        sha256: [0; 32],
        leader: "a".to_owned(),
        made_at: UtcMillis::new(1),
        log: 5,
        position: 6,
    };
    let first = replica::store(&bus, &from, manifest("0a"))
        .await
        .expect("stored");
    assert_eq!((first.parts, first.bytes), (3, 1_300_000));
    assert_eq!(
        replica::newest(&bus).await.expect("an answer"),
        Some(first.clone())
    );
    replica::fetch(&bus, &first, &into).await.expect("fetched");
    assert_eq!(std::fs::read(&into).expect("our own file"), content);
    let mut wrong = first.clone();
    wrong.sha256[0] ^= 1;
    assert!(replica::fetch(&bus, &wrong, &into).await.is_err());
    let second = replica::store(&bus, &from, manifest("0b"))
        .await
        .expect("stored");
    assert_eq!(
        replica::newest(&bus).await.expect("an answer"),
        Some(second)
    );
    assert!(
        replica::fetch(&bus, &first, &into).await.is_err(),
        "the old one is gone"
    );
}
