//! Orders of changing asks.

use std::collections::BTreeMap;

use super::field::{BadField, credential, optional_uuid, text_of};
use crate::model::id::JobId;
use crate::model::order::{Order, SETTINGS_MAX, VALUE_MAX};
use crate::wire::v1;

impl TryFrom<v1::Order> for Order {
    type Error = BadField;

    fn try_from(wire: v1::Order) -> Result<Self, BadField> {
        Ok(Self {
            settings: read_settings(wire.settings, SETTINGS_MAX)?,
            new_credential: credential(&wire.new_credential)?,
            undo: optional_uuid("undo", &wire.undo)?.map(JobId::new),
            dry_run: wire.dry_run,
            canary: wire.canary,
            wave: wire.wave,
            stop_after: wire.stop_after,
        })
    }
}

impl From<Order> for v1::Order {
    fn from(model: Order) -> Self {
        Self {
            settings: settings(model.settings),
            new_credential: text_of(model.new_credential.as_ref()),
            undo: model
                .undo
                .map(|job| job.uuid().as_bytes().to_vec())
                .unwrap_or_default(),
            dry_run: model.dry_run,
            canary: model.canary,
            wave: model.wave,
            stop_after: model.stop_after,
        }
    }
}

/// The settings of a message, bounded.
pub(super) fn read_settings(
    wire: Vec<v1::Setting>,
    most: usize,
) -> Result<BTreeMap<String, String>, BadField> {
    if wire.len() > most {
        return Err(BadField::new("settings", "too many"));
    }
    if wire
        .iter()
        .any(|one| one.value.len() > VALUE_MAX || one.name.len() > VALUE_MAX)
    {
        return Err(BadField::new("settings", "too long"));
    }
    Ok(wire.into_iter().map(|one| (one.name, one.value)).collect())
}

pub(super) fn settings(model: BTreeMap<String, String>) -> Vec<v1::Setting> {
    let settings = model.into_iter();
    settings
        .map(|(name, value)| v1::Setting { name, value })
        .collect()
}
