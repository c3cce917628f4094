//! Taking a difference out of the text that it was found in.

use std::borrow::Cow;

use bumpalo::Bump;

use super::change::{ChannelDiff, DeviceDiff, FieldChange, Reason, Value};
use crate::results::ChannelKey;

impl DeviceDiff<'_> {
    /// The same, with texts of its own in `kept`.
    pub(super) fn kept_in<'k>(&self, kept: &'k Bump) -> DeviceDiff<'k> {
        let text = |text: &str| -> &'k str { kept.alloc_str(text) };
        let fields = |fields: &[FieldChange<'_>]| -> Vec<FieldChange<'k>> {
            fields.iter().map(|field| field.kept_in(kept)).collect()
        };
        let reason = |reason: Option<Reason<'_>>| -> Option<Reason<'k>> {
            reason.map(|reason| Reason {
                code: reason.code.map(text),
                text: text(reason.text),
            })
        };
        DeviceDiff {
            kind: self.kind,
            site: text(self.site),
            hostname: text(self.hostname),
            address: text(self.address),
            port: self.port,
            device_id: self.device_id.map(text),
            moved: self.moved,
            fields: fields(&self.fields),
            newly_known: fields(&self.newly_known),
            channels: self.channels,
            channel_changes: self
                .channel_changes
                .iter()
                .map(|channel| channel.kept_in(kept))
                .collect(),
            old_reason: reason(self.old_reason),
            new_reason: reason(self.new_reason),
        }
    }
}

impl ChannelDiff<'_> {
    fn kept_in<'k>(&self, kept: &'k Bump) -> ChannelDiff<'k> {
        let key = |key: &ChannelKey<'_>| -> &'k ChannelKey<'k> {
            kept.alloc(match key {
                ChannelKey::Number(number) => ChannelKey::Number(*number),
                ChannelKey::Text(text) => ChannelKey::Text(Cow::Borrowed(kept.alloc_str(text))),
            })
        };
        ChannelDiff {
            kind: self.kind,
            channel: key(self.channel),
            name: kept.alloc_str(self.name),
            address: kept.alloc_str(self.address),
            moved_from: self.moved_from.map(key),
            fields: self
                .fields
                .iter()
                .map(|field| field.kept_in(kept))
                .collect(),
        }
    }
}

impl FieldChange<'_> {
    fn kept_in<'k>(&self, kept: &'k Bump) -> FieldChange<'k> {
        let value = |value: Value<'_>| match value {
            Value::Nothing => Value::Nothing,
            Value::Text(text) => Value::Text(kept.alloc_str(text)),
            Value::Number(number) => Value::Number(number),
        };
        FieldChange {
            field: self.field,
            old: value(self.old),
            new: value(self.new),
        }
    }
}
