//! Edits of a device's settings: what differs, and what is sent.
//!
//! An edit is planned from what the device shows. After it was sent, it is planned again from what the
//! device shows then: it took where nothing is left to be changed.

use crate::device::xml::Element;
use crate::model::answer::DeviceChange;

/// One write to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The command.
    pub command: &'static str,
    /// The channel, from 1, where the path names one.
    pub channel: Option<u32>,
    /// What is sent with it.
    pub parts: Vec<Element>,
}

/// What an edit comes to at one document of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every setting of the document that is named, with what it is and what it is to be.
    pub settings: Vec<Difference>,
    /// What to send; `None` where nothing differs.
    pub write: Option<Write>,
}

impl Plan {
    /// A plan that sends something only where something differs.
    #[must_use]
    pub fn new(settings: Vec<Difference>, write: impl FnOnce(&[Difference]) -> Write) -> Self {
        let write = settings
            .iter()
            .any(|setting| setting.differs)
            .then(|| write(&settings));
        Self { settings, write }
    }
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What is shown of it.
    pub change: DeviceChange,
    /// Whether it is not yet as it is to be.
    pub differs: bool,
}

impl Difference {
    /// A setting with its old and new value.
    #[must_use]
    pub fn new(channel: Option<u32>, name: &str, old: Option<&str>, new: &str) -> Self {
        let differs = old.is_none_or(|old| !same(old, new));
        let change = DeviceChange {
            channel,
            setting: Some(name.to_owned()),
            old: old.map(str::to_owned),
            new: Some(new.to_owned()),
            outcome: None,
        };
        Self { change, differs }
    }

    /// The new value, where it differs from the old one; else the old one.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        if self.differs {
            self.change.new.as_deref()
        } else {
            self.change.old.as_deref()
        }
    }
}

/// Whether two values are the same: `7` is `07`, `TRUE` is `true`.
fn same(old: &str, new: &str) -> bool {
    match (old.parse::<u64>(), new.parse::<u64>()) {
        (Ok(old), Ok(new)) => old == new,
        _ => old == new || (matches!(new, "true" | "false") && old.eq_ignore_ascii_case(new)),
    }
}
