//! `history.proto`.

use std::time::Duration;

use crate::model::change::{Change, ChangeKind, ChangePage, ListChanges};
use crate::model::id::{ImportId, JobId};
use crate::model::query::{EditDevices, ImportResults, PastResult, QueryPage, RunQuery, SqlValue};
use crate::model::time::UtcMillis;
use crate::wire::v1;

use super::field::{
    BadField, all, all_parsed, into_all, millis, optional_uuid, parsed, required, texts, uuid,
};

impl TryFrom<v1::ListChanges> for ListChanges {
    type Error = BadField;

    fn try_from(wire: v1::ListChanges) -> Result<Self, BadField> {
        Ok(Self {
            tenants: all_parsed("tenants", &wire.tenants)?,
            sites: all_parsed("sites", &wire.sites)?,
            devices: wire.devices,
            kinds: all_parsed("kinds", &wire.kinds)?,
            since: wire.since_ms.map(UtcMillis::new),
            until: wire.until_ms.map(UtcMillis::new),
            cursor: wire.cursor,
            limit: wire.limit,
            after: wire.after,
            wait: Duration::from_millis(wire.wait_ms),
        })
    }
}

impl From<ListChanges> for v1::ListChanges {
    fn from(model: ListChanges) -> Self {
        Self {
            tenants: texts(&model.tenants),
            sites: texts(&model.sites),
            devices: model.devices,
            kinds: texts(&model.kinds),
            since_ms: model.since.map(UtcMillis::millis),
            until_ms: model.until.map(UtcMillis::millis),
            cursor: model.cursor,
            limit: model.limit,
            after: model.after,
            wait_ms: millis(model.wait),
        }
    }
}

impl TryFrom<v1::Change> for Change {
    type Error = BadField;

    fn try_from(wire: v1::Change) -> Result<Self, BadField> {
        Ok(Self {
            id: uuid("id", &wire.id)?,
            at: UtcMillis::new(wire.at_ms),
            site: parsed("site", &wire.site)?,
            device_id: wire.device_id,
            hostname: wire.hostname,
            address: wire.address,
            kind: wire.kind.parse().unwrap_or(ChangeKind::Other),
            channel: wire.channel,
            channel_name: wire.channel_name,
            field: wire.field,
            old: wire.old,
            new: wire.new,
            job: optional_uuid("job", &wire.job)?.map(JobId::new),
        })
    }
}

impl From<Change> for v1::Change {
    fn from(model: Change) -> Self {
        Self {
            id: model.id.as_bytes().to_vec(),
            at_ms: model.at.millis(),
            site: model.site.to_string(),
            device_id: model.device_id,
            hostname: model.hostname,
            address: model.address,
            kind: model.kind.to_string(),
            channel: model.channel,
            channel_name: model.channel_name,
            field: model.field,
            old: model.old,
            new: model.new,
            job: model
                .job
                .map(|job| job.uuid().as_bytes().to_vec())
                .unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::ChangePage> for ChangePage {
    type Error = BadField;

    fn try_from(wire: v1::ChangePage) -> Result<Self, BadField> {
        Ok(Self {
            rows: all(wire.rows)?,
            next: wire.next,
            position: wire.position,
        })
    }
}

impl From<ChangePage> for v1::ChangePage {
    fn from(model: ChangePage) -> Self {
        Self {
            rows: into_all(model.rows),
            next: model.next,
            position: model.position,
        }
    }
}

impl From<v1::EditDevices> for EditDevices {
    fn from(wire: v1::EditDevices) -> Self {
        Self {
            devices: wire.devices,
            add_labels: wire.add_labels,
            remove_labels: wire.remove_labels,
            note: wire.note,
            forget: wire.forget,
            verify: wire.verify,
        }
    }
}

impl From<EditDevices> for v1::EditDevices {
    fn from(model: EditDevices) -> Self {
        Self {
            devices: model.devices,
            add_labels: model.add_labels,
            remove_labels: model.remove_labels,
            note: model.note,
            forget: model.forget,
            verify: model.verify,
        }
    }
}

impl TryFrom<v1::PastResult> for PastResult {
    type Error = BadField;

    fn try_from(wire: v1::PastResult) -> Result<Self, BadField> {
        Ok(Self {
            entry: required("entry", wire.entry)?.try_into()?,
            report: required("report", wire.report)?.try_into()?,
        })
    }
}

impl From<PastResult> for v1::PastResult {
    fn from(model: PastResult) -> Self {
        Self {
            entry: Some(model.entry.into()),
            report: Some(model.report.into()),
        }
    }
}

impl TryFrom<v1::ImportResults> for ImportResults {
    type Error = BadField;

    fn try_from(wire: v1::ImportResults) -> Result<Self, BadField> {
        Ok(Self {
            import: ImportId::new(uuid("import", &wire.import)?),
            site: parsed("site", &wire.site)?,
            results: all(wire.results)?,
        })
    }
}

impl From<ImportResults> for v1::ImportResults {
    fn from(model: ImportResults) -> Self {
        Self {
            import: model.import.uuid().as_bytes().to_vec(),
            site: model.site.to_string(),
            results: into_all(model.results),
        }
    }
}

impl From<v1::RunQuery> for RunQuery {
    fn from(wire: v1::RunQuery) -> Self {
        Self {
            sql: wire.sql,
            skip: wire.skip,
            limit: wire.limit,
        }
    }
}

impl From<RunQuery> for v1::RunQuery {
    fn from(model: RunQuery) -> Self {
        Self {
            sql: model.sql,
            skip: model.skip,
            limit: model.limit,
        }
    }
}

impl From<v1::SqlValue> for SqlValue {
    fn from(wire: v1::SqlValue) -> Self {
        use v1::sql_value::Value;
        match wire.value {
            None => Self::Null,
            Some(Value::Integer(number)) => Self::Integer(number),
            Some(Value::Real(number)) => Self::Real(number),
            Some(Value::Text(text)) => Self::Text(text),
            Some(Value::Blob(bytes)) => Self::Blob(bytes),
        }
    }
}

impl From<SqlValue> for v1::SqlValue {
    fn from(model: SqlValue) -> Self {
        use v1::sql_value::Value;
        let value = match model {
            SqlValue::Null => None,
            SqlValue::Integer(number) => Some(Value::Integer(number)),
            SqlValue::Real(number) => Some(Value::Real(number)),
            SqlValue::Text(text) => Some(Value::Text(text)),
            SqlValue::Blob(bytes) => Some(Value::Blob(bytes)),
        };
        Self { value }
    }
}

impl TryFrom<v1::QueryPage> for QueryPage {
    type Error = BadField;

    fn try_from(wire: v1::QueryPage) -> Result<Self, BadField> {
        let width = wire.columns.len();
        let rows = wire
            .rows
            .into_iter()
            .map(|row| {
                if row.values.len() == width {
                    Ok(row.values.into_iter().map(SqlValue::from).collect())
                } else {
                    Err(BadField::new("rows", "not as many values as columns"))
                }
            })
            .collect::<Result<_, BadField>>()?;
        Ok(Self {
            columns: wire.columns,
            rows,
            more: wire.more,
            channels_pending: wire.channels_pending,
        })
    }
}

impl From<QueryPage> for v1::QueryPage {
    fn from(model: QueryPage) -> Self {
        Self {
            columns: model.columns,
            rows: model
                .rows
                .into_iter()
                .map(|row| v1::SqlRow {
                    values: into_all(row),
                })
                .collect(),
            more: model.more,
            channels_pending: model.channels_pending,
        }
    }
}
