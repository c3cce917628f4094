//! The bookkeeping of the attempt budget, without waiting.

use std::collections::{BTreeMap, BTreeSet};

use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::mac::MacAddr;

/// A name by which a device is known to the budget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DeviceName {
    /// The address in its greeting.
    Mac(MacAddr),
    /// Where it was reached.
    At(Endpoint),
}

impl DeviceName {
    /// All names of a device. An address that cannot name one device does not count.
    pub(crate) fn all(mac: Option<MacAddr>, endpoint: &Endpoint) -> Vec<Self> {
        let mac = mac.filter(|mac| mac.is_unicast()).map(Self::Mac);
        mac.into_iter()
            .chain([Self::At(endpoint.clone())])
            .collect()
    }
}

/// What became of a login for which a permit had been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    /// No credential was sent, the device accepted it, or said that it did not look at it.
    Nothing,
    /// The device refused it, or nobody knows.
    OneTry,
}

/// What must not be tried again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refused {
    Everything(DeviceName),
    Credential {
        device: DeviceName,
        user: String,
        password: [u8; 32],
    },
}

/// Whether a login may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    Granted,
    InUse,
    Spent,
}

/// The bookkeeping, without waiting.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    refused: BTreeMap<JobId, BTreeSet<Refused>>,
    in_use: BTreeSet<DeviceName>,
}

impl Ledger {
    /// Bars every credential from the devices that refused one before a restart.
    pub(super) fn restore(&mut self, job: JobId, names: Vec<DeviceName>) {
        let refused = self.refused.entry(job).or_default();
        refused.extend(names.into_iter().map(Refused::Everything));
    }

    /// Drops what is known about a job that has ended.
    pub(super) fn forget(&mut self, job: JobId) {
        self.refused.remove(&job);
    }

    /// Begins a login under all names of a device, where none is under way and none was refused.
    pub(super) fn begin(
        &mut self,
        job: JobId,
        names: &[DeviceName],
        user: &str,
        password: &[u8; 32],
    ) -> Begin {
        if names.iter().any(|name| self.in_use.contains(name)) {
            return Begin::InUse;
        }
        let spent = self.refused.get(&job).is_some_and(|refused| {
            names.iter().any(|name| {
                refused.contains(&Refused::Everything(name.clone()))
                    || refused.contains(&Refused::Credential {
                        device: name.clone(),
                        user: user.to_owned(),
                        password: *password,
                    })
            })
        });
        if spent {
            return Begin::Spent;
        }
        self.in_use.extend(names.iter().cloned());
        Begin::Granted
    }

    /// Ends a login that was begun.
    pub(super) fn end(
        &mut self,
        job: JobId,
        names: &[DeviceName],
        user: &str,
        password: [u8; 32],
        spent: Spent,
    ) {
        for name in names {
            self.in_use.remove(name);
        }
        if spent == Spent::OneTry {
            let refused = self.refused.entry(job).or_default();
            refused.extend(names.iter().map(|name| Refused::Credential {
                device: name.clone(),
                user: user.to_owned(),
                password,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn job(n: u128) -> JobId {
        JobId::new(uuid::Uuid::from_u128(n))
    }

    fn names(mac: u8, port: u16) -> Vec<DeviceName> {
        let mac = Some(MacAddr::from([0x58, 0x5B, 0x69, 0, 0, mac]));
        DeviceName::all(mac, &format!("10.0.0.1:{port}").parse().unwrap())
    }

    proptest! {
        #[test]
        fn no_credential_is_refused_twice_by_a_device_in_a_job(
            tries in proptest::collection::vec((0_u128..3, 0_u8..3, 1_u16..4, 0_u8..2, any::<bool>()), 0..60)
        ) {
            let mut ledger = Ledger::default();
            let mut refused = BTreeSet::new();
            for (number, mac, port, password, refuse) in tries {
                let (names, password) = (names(mac, port), [password; 32]);
                if ledger.begin(job(number), &names, "admin", &password) == Begin::Granted {
                    prop_assert!(!refused.contains(&(number, mac, password)));
                    let spent = if refuse { Spent::OneTry } else { Spent::Nothing };
                    ledger.end(job(number), &names, "admin", password, spent);
                    if refuse {
                        refused.insert((number, mac, password));
                    }
                }
                prop_assert!(ledger.in_use.is_empty());
            }
        }
    }
}
