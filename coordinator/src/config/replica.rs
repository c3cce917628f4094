//! One of several replicas of the coordinator.

use std::time::Duration;

use serde::Deserialize;

use tvtfleet_proto::model::replica::is_replica_name;

use super::ConfigError;

/// For how long the lead lasts without a sign of life where nobody says.
const LEASE: Duration = Duration::from_secs(15);
/// A shorter lease would change hands at every hiccup of the network.
const LEASE_MIN: Duration = Duration::from_millis(500);

/// One of several replicas of the coordinator, of which one leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaSettings {
    /// Tells the replicas apart.
    pub name: String,
    /// For how long the lead lasts without a sign of life; the same for all replicas.
    pub lease: Duration,
    /// Never begins a fleet from its own database.
    pub standby: bool,
}

/// The section of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplicaSection {
    name: String,
    lease_ms: Option<u64>,
    #[serde(default)]
    standby: bool,
}

impl ReplicaSection {
    pub(super) fn read(self) -> Result<ReplicaSettings, ConfigError> {
        if !is_replica_name(&self.name) {
            let reason = "must be lower-case letters, digits and dashes";
            return Err(ConfigError::invalid("replica.name", reason));
        }
        let lease = self.lease_ms.map_or(LEASE, Duration::from_millis);
        if lease < LEASE_MIN {
            let reason = format!("must be at least {}", LEASE_MIN.as_millis());
            return Err(ConfigError::invalid("replica.lease_ms", reason));
        }
        Ok(ReplicaSettings {
            name: self.name,
            lease,
            standby: self.standby,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_leases_are_checked() {
        let read = |text: &str| toml::from_str::<ReplicaSection>(text).unwrap().read();
        let replica = read("name = 'b-2'").unwrap();
        assert_eq!((replica.lease, replica.standby), (LEASE, false));
        assert!(read("name = 'b'\nstandby = true").unwrap().standby);
        for bad in ["name = ''", "name = 'B'", "name = 'b'\nlease_ms = 1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
