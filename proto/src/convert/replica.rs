//! `replica.proto`.

use crate::model::replica::{
    LOG_PART_MAX, LOG_PARTS_MAX, LogEntry, LogKind, LogMark, SNAPSHOT_PARTS_MAX, SnapshotManifest,
    StandbyReport, is_replica_name,
};
use crate::model::time::UtcMillis;
use crate::wire::v1;

use super::field::{BadField, required};

impl From<v1::LogMark> for LogMark {
    fn from(wire: v1::LogMark) -> Self {
        Self {
            term: wire.term,
            number: wire.number,
        }
    }
}

impl From<LogMark> for v1::LogMark {
    fn from(model: LogMark) -> Self {
        Self {
            term: model.term,
            number: model.number,
        }
    }
}

impl TryFrom<v1::LogEntry> for LogEntry {
    type Error = BadField;

    fn try_from(wire: v1::LogEntry) -> Result<Self, BadField> {
        let kind = match wire.kind() {
            v1::LogKind::Beat => LogKind::Beat,
            v1::LogKind::Lead => LogKind::Lead,
            v1::LogKind::Changes => LogKind::Changes,
            v1::LogKind::Resign => LogKind::Resign,
            v1::LogKind::Unspecified => return Err(BadField::new("kind", "unknown")),
        };
        let parts = usize::try_from(wire.parts).unwrap_or(usize::MAX);
        if parts > LOG_PARTS_MAX || wire.part >= wire.parts {
            return Err(BadField::new("part", "not one of its parts"));
        }
        if wire.changes.len() > LOG_PART_MAX {
            return Err(BadField::new("changes", "too long"));
        }
        Ok(Self {
            kind,
            leader: name("leader", wire.leader)?,
            before: required("before", wire.before)?.into(),
            after: required("after", wire.after)?.into(),
            schema: wire.schema,
            part: wire.part,
            parts: wire.parts,
            changes: wire.changes,
        })
    }
}

impl From<LogEntry> for v1::LogEntry {
    fn from(model: LogEntry) -> Self {
        let kind = match model.kind {
            LogKind::Beat => v1::LogKind::Beat,
            LogKind::Lead => v1::LogKind::Lead,
            LogKind::Changes => v1::LogKind::Changes,
            LogKind::Resign => v1::LogKind::Resign,
        };
        Self {
            kind: kind.into(),
            leader: model.leader,
            before: Some(model.before.into()),
            after: Some(model.after.into()),
            schema: model.schema,
            part: model.part,
            parts: model.parts,
            changes: model.changes,
        }
    }
}

impl TryFrom<v1::SnapshotManifest> for SnapshotManifest {
    type Error = BadField;

    fn try_from(wire: v1::SnapshotManifest) -> Result<Self, BadField> {
        let hexadecimal = |byte: u8| byte.is_ascii_hexdigit();
        if wire.id.is_empty() || wire.id.len() > 32 || !wire.id.bytes().all(hexadecimal) {
            return Err(BadField::new("id", "not hexadecimal"));
        }
        if wire.parts == 0 || wire.parts > SNAPSHOT_PARTS_MAX {
            return Err(BadField::new("parts", "none, or too many"));
        }
        let sha256 = wire.sha256.try_into();
        Ok(Self {
            id: wire.id,
            mark: required("mark", wire.mark)?.into(),
            schema: wire.schema,
            parts: wire.parts,
            bytes: wire.bytes,
            sha256: sha256.map_err(|_| BadField::new("sha256", "not 32 bytes"))?,
            leader: name("leader", wire.leader)?,
            made_at: UtcMillis::new(wire.made_at_ms),
            log: wire.log,
            position: wire.position,
        })
    }
}

impl From<SnapshotManifest> for v1::SnapshotManifest {
    fn from(model: SnapshotManifest) -> Self {
        Self {
            id: model.id,
            mark: Some(model.mark.into()),
            schema: model.schema,
            parts: model.parts,
            bytes: model.bytes,
            sha256: model.sha256.to_vec(),
            leader: model.leader,
            made_at_ms: model.made_at.millis(),
            log: model.log,
            position: model.position,
        }
    }
}

impl TryFrom<v1::StandbyReport> for StandbyReport {
    type Error = BadField;

    fn try_from(wire: v1::StandbyReport) -> Result<Self, BadField> {
        Ok(Self {
            name: name("name", wire.name)?,
            mark: required("mark", wire.mark)?.into(),
            version: wire.version.chars().take(40).collect(),
        })
    }
}

impl From<StandbyReport> for v1::StandbyReport {
    fn from(model: StandbyReport) -> Self {
        Self {
            name: model.name,
            mark: Some(model.mark.into()),
            version: model.version,
        }
    }
}

fn name(field: &'static str, text: String) -> Result<String, BadField> {
    if is_replica_name(&text) {
        Ok(text)
    } else {
        Err(BadField::new(field, "not the name of a replica"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> LogEntry {
        LogEntry {
            kind: LogKind::Changes,
            leader: "a".into(),
            before: LogMark { term: 1, number: 6 },
            after: LogMark { term: 1, number: 7 },
            schema: 8,
            part: 1,
            parts: 2,
            changes: vec![1, 2, 3],
        }
    }

    #[test]
    fn an_entry_survives_the_wire() {
        for kind in [
            LogKind::Beat,
            LogKind::Lead,
            LogKind::Changes,
            LogKind::Resign,
        ] {
            let entry = LogEntry { kind, ..entry() };
            let back = LogEntry::try_from(v1::LogEntry::from(entry.clone()));
            assert_eq!(back, Ok(entry));
        }
        let manifest = SnapshotManifest {
            id: "0a1b".into(),
            mark: LogMark { term: 1, number: 7 },
            schema: 8,
            parts: 3,
            bytes: 1_500_000,
            sha256: [7; 32],
            leader: "a".into(),
            made_at: UtcMillis::new(5),
            log: 77,
            position: 9,
        };
        let back = SnapshotManifest::try_from(v1::SnapshotManifest::from(manifest.clone()));
        assert_eq!(back, Ok(manifest));
    }

    #[test]
    fn entries_without_sense_are_refused() {
        let wire = || v1::LogEntry::from(entry());
        let bad = [
            v1::LogEntry { kind: 9, ..wire() },
            v1::LogEntry { part: 2, ..wire() },
            v1::LogEntry {
                parts: 513,
                ..wire()
            },
            v1::LogEntry {
                before: None,
                ..wire()
            },
            v1::LogEntry {
                leader: "A b".into(),
                ..wire()
            },
            v1::LogEntry {
                changes: vec![0; LOG_PART_MAX + 1],
                ..wire()
            },
        ];
        for bad in bad {
            assert!(LogEntry::try_from(bad.clone()).is_err(), "{bad:?}");
        }
    }
}
