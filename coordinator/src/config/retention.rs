//! How long the coordinator keeps what.

use std::time::Duration;

use serde::Deserialize;

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// How long to keep what; `None` is for ever.
///
/// The inventory itself, with the last known state of every device, is never taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Jobs with their targets and results, from their end on.
    pub results: Option<Duration>,
    /// Earlier states of devices, from their end on; longer where a kept result needs one.
    pub states: Option<Duration>,
    /// Changes. The inventory as it was is known as far back as the shorter of this and of states.
    pub changes: Option<Duration>,
    /// Messages that were set aside.
    pub quarantine: Option<Duration>,
    /// Rows of the audit.
    pub audit: Option<Duration>,
}

impl Default for Retention {
    /// Results for a year, states and changes for two, what was set aside for 90 days, the audit for
    /// five years.
    fn default() -> Self {
        let days = |days: u64| Some(Duration::from_secs(days.saturating_mul(DAY_SECONDS)));
        Self {
            results: days(365),
            states: days(730),
            changes: days(730),
            quarantine: days(90),
            audit: days(1826),
        }
    }
}

/// The section of the file: days, 0 is for ever.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionSection {
    results_days: Option<u64>,
    states_days: Option<u64>,
    changes_days: Option<u64>,
    quarantine_days: Option<u64>,
    audit_days: Option<u64>,
}

impl RetentionSection {
    pub(super) fn read(self) -> Retention {
        let default = Retention::default();
        let keep = |days: Option<u64>, default: Option<Duration>| match days {
            None => default,
            Some(0) => None,
            Some(days) => Some(Duration::from_secs(days.saturating_mul(DAY_SECONDS))),
        };
        Retention {
            results: keep(self.results_days, default.results),
            states: keep(self.states_days, default.states),
            changes: keep(self.changes_days, default.changes),
            quarantine: keep(self.quarantine_days, default.quarantine),
            audit: keep(self.audit_days, default.audit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_days_are_for_ever_and_nothing_is_the_default() {
        let section: RetentionSection =
            toml::from_str("results_days = 0\nchanges_days = 2").unwrap();
        let read = section.read();
        assert_eq!(read.results, None);
        assert_eq!(read.changes, Some(Duration::from_secs(172_800)));
        assert_eq!(read.states, Retention::default().states);
    }
}
