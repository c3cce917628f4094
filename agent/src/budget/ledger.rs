//! The bookkeeping of the attempt budget, without waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::time::UtcMillis;

use super::fingerprint::{Account, Fingerprint};
use super::memory::{Memory, Withheld};

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

    /// Reads what `Display` writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once('/')? {
            ("mac", mac) => mac.parse().ok().map(Self::Mac),
            ("at", endpoint) => endpoint.parse().ok().map(Self::At),
            _ => None,
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(mac) => write!(f, "mac/{mac}"),
            Self::At(endpoint) => write!(f, "at/{endpoint}"),
        }
    }
}

/// What became of a login for which a permit had been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    /// No credential was sent, or the device said that it did not look at it.
    Nothing,
    /// The device accepted it: what it refused before does not count any more.
    Accepted,
    /// The device refused it, or nobody knows.
    OneTry,
    /// The device says that the account is locked, for so long where it says that too.
    Locked {
        /// From now.
        retry_after: Option<Duration>,
    },
}

/// What must not be tried again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refused {
    Everything(DeviceName),
    Credential(DeviceName, Fingerprint),
}

/// Whether a login may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    Granted,
    InUse,
    /// Refused in this job before.
    SpentInJob,
    /// Refused too often, or locked, in whatever job.
    Withheld(Withheld),
}

/// The bookkeeping, without waiting.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    refused: BTreeMap<JobId, BTreeSet<Refused>>,
    in_use: BTreeSet<DeviceName>,
    memory: Memory,
}

impl Ledger {
    /// A ledger that goes on with what was remembered.
    pub(super) fn with_memory(memory: Memory) -> Self {
        Self {
            memory,
            ..Self::default()
        }
    }

    /// What outlives the jobs.
    pub(super) const fn memory(&self) -> &Memory {
        &self.memory
    }

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
        account: &Account,
        now: UtcMillis,
    ) -> Begin {
        if names.iter().any(|name| self.in_use.contains(name)) {
            return Begin::InUse;
        }
        let spent = self.refused.get(&job).is_some_and(|refused| {
            names.iter().any(|name| {
                refused.contains(&Refused::Everything(name.clone()))
                    || refused.contains(&Refused::Credential(name.clone(), account.credential))
            })
        });
        if let Some(withheld) = self.memory.withheld(names, account, now) {
            return Begin::Withheld(withheld);
        }
        if spent {
            return Begin::SpentInJob;
        }
        self.in_use.extend(names.iter().cloned());
        Begin::Granted
    }

    /// Ends a login that was begun. Returns whether the memory has changed.
    pub(super) fn end(
        &mut self,
        job: JobId,
        names: &[DeviceName],
        account: &Account,
        spent: Spent,
        now: UtcMillis,
    ) -> bool {
        for name in names {
            self.in_use.remove(name);
        }
        match spent {
            Spent::Nothing => return false,
            Spent::Accepted => return self.memory.accepted(names, account),
            Spent::OneTry => self.memory.refused(names, account, now),
            Spent::Locked { retry_after } => {
                self.memory.refused(names, account, now);
                self.memory.locked(names, account, now, retry_after);
            }
        }
        let refused = self.refused.entry(job).or_default();
        refused.extend(
            names
                .iter()
                .map(|name| Refused::Credential(name.clone(), account.credential)),
        );
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint::FingerprintKey;
    use super::*;
    use proptest::prelude::*;
    use tvtfleet_proto::model::secret::{Credential, Secret};

    fn job(n: u128) -> JobId {
        JobId::new(uuid::Uuid::from_u128(n))
    }

    fn names(mac: u8, port: u16) -> Vec<DeviceName> {
        let mac = Some(MacAddr::from([0x58, 0x5B, 0x69, 0, 0, mac]));
        DeviceName::all(mac, &format!("10.0.0.1:{port}").parse().unwrap())
    }

    fn account(password: u8) -> Account {
        FingerprintKey::new([1; 32]).account(&Credential {
            username: "admin".into(),
            password: Secret::new(password.to_string()),
        })
    }

    #[test]
    fn names_read_back() {
        for name in names(7, 6036) {
            assert_eq!(DeviceName::parse(&name.to_string()), Some(name));
        }
        assert_eq!(DeviceName::parse("mac/at/x"), None);
    }

    proptest! {
        #[test]
        fn no_credential_is_refused_twice_by_a_device_in_a_job(
            tries in proptest::collection::vec((0_u128..3, 0_u8..3, 1_u16..4, 0_u8..2, any::<bool>()), 0..60)
        ) {
            let mut ledger = Ledger::default();
            let mut refused = BTreeSet::new();
            for (minutes, (number, mac, port, password, refuse)) in (0..).zip(tries) {
                let (names, account) = (names(mac, port), account(password));
                let now = UtcMillis::new(1_800_000_000_000).after(Duration::from_secs(minutes * 60));
                if ledger.begin(job(number), &names, &account, now) == Begin::Granted {
                    prop_assert!(!refused.contains(&(number, mac, password)));
                    let spent = if refuse { Spent::OneTry } else { Spent::Nothing };
                    ledger.end(job(number), &names, &account, spent, now);
                    if refuse {
                        refused.insert((number, mac, password));
                    }
                }
                prop_assert!(ledger.in_use.is_empty());
            }
        }
    }
}
