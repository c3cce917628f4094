//! What devices have refused, beyond the life of a job: at most two refused logins per device and
//! credential in a day, and none at all while an account is locked.
//!
//! Recorders lock an account after five or six wrong tries. Two leave room for the tries of people. Pure:
//! time is an argument. A clock that was set back makes nothing wait longer than from now.

use std::collections::BTreeMap;
use std::time::Duration;

use tvtfleet_proto::model::time::UtcMillis;

use super::fingerprint::{Account, Fingerprint};
use super::ledger::DeviceName;

/// How often a device may refuse a credential within [`WINDOW`].
pub(super) const REFUSALS_MAX: usize = 2;
/// How long a refusal counts.
pub(super) const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// How long a locked account is left alone where the device does not say: what the vendor's manuals
/// state for cameras and recorders.
pub(super) const LOCK_TIME: Duration = Duration::from_secs(30 * 60);
/// The longest lock that is believed.
const LOCK_TIME_MAX: Duration = WINDOW;

/// Why a login may not be tried, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withheld {
    /// The device has refused the credential too often.
    Spent(UtcMillis),
    /// The device has locked the account.
    Locked(UtcMillis),
}

/// A device with a fingerprint of what it was given.
pub(super) type Key = (DeviceName, Fingerprint);

/// The refusals and locks that still count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// By credential: when it was refused, oldest first, the last [`REFUSALS_MAX`] only.
    refusals: BTreeMap<Key, Vec<UtcMillis>>,
    /// By user: until when the account is locked.
    locks: BTreeMap<Key, UtcMillis>,
}

impl Memory {
    /// Whether a login must wait. The device is known under any of the names.
    pub(super) fn withheld(
        &self,
        names: &[DeviceName],
        account: &Account,
        now: UtcMillis,
    ) -> Option<Withheld> {
        let lock = names
            .iter()
            .filter_map(|name| self.locks.get(&(name.clone(), account.user)))
            .map(|until| (*until).min(now.after(LOCK_TIME_MAX)))
            .filter(|until| *until > now)
            .max();
        if let Some(until) = lock {
            return Some(Withheld::Locked(until));
        }
        names
            .iter()
            .filter_map(|name| self.refusals.get(&(name.clone(), account.credential)))
            .filter_map(|moments| {
                let counting = moments.iter().filter(|at| counts(**at, now));
                (counting.clone().count() >= REFUSALS_MAX)
                    .then(|| counting.min().map(|at| (*at).min(now).after(WINDOW)))?
            })
            .max()
            .map(Withheld::Spent)
    }

    /// Notes that a device refused a credential, or may have.
    pub(super) fn refused(&mut self, names: &[DeviceName], account: &Account, now: UtcMillis) {
        for name in names {
            let moments = self
                .refusals
                .entry((name.clone(), account.credential))
                .or_default();
            keep_refusal(moments, now);
        }
        self.drop_outdated(now);
    }

    /// Notes that a device has locked an account.
    pub(super) fn locked(
        &mut self,
        names: &[DeviceName],
        account: &Account,
        now: UtcMillis,
        retry_after: Option<Duration>,
    ) {
        let until = now.after(retry_after.unwrap_or(LOCK_TIME).min(LOCK_TIME_MAX));
        for name in names {
            self.keep_lock((name.clone(), account.user), until);
        }
        self.drop_outdated(now);
    }

    /// Notes that a device accepted a credential. Returns whether that changed anything.
    pub(super) fn accepted(&mut self, names: &[DeviceName], account: &Account) -> bool {
        names.iter().fold(false, |changed, name| {
            let refused = self.refusals.remove(&(name.clone(), account.credential));
            let locked = self.locks.remove(&(name.clone(), account.user));
            changed || refused.is_some() || locked.is_some()
        })
    }

    /// Puts back a refusal from a file.
    pub(super) fn keep_refused(&mut self, key: Key, at: UtcMillis) {
        keep_refusal(self.refusals.entry(key).or_default(), at);
    }

    /// Puts back a lock from a file.
    pub(super) fn keep_lock(&mut self, key: Key, until: UtcMillis) {
        let known = self.locks.entry(key).or_insert(until);
        *known = (*known).max(until);
    }

    /// Every refusal, with its moment.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (&Key, UtcMillis)> {
        self.refusals
            .iter()
            .flat_map(|(key, moments)| moments.iter().map(move |at| (key, *at)))
    }

    /// Every lock, with its end.
    pub(super) fn locks(&self) -> impl Iterator<Item = (&Key, UtcMillis)> {
        self.locks.iter().map(|(key, until)| (key, *until))
    }

    /// Drops what does not count any more.
    pub(super) fn drop_outdated(&mut self, now: UtcMillis) {
        self.locks.retain(|_, until| *until > now);
        self.refusals.retain(|_, moments| {
            moments.retain(|at| counts(*at, now));
            !moments.is_empty()
        });
    }
}

fn counts(refused_at: UtcMillis, now: UtcMillis) -> bool {
    now < refused_at.after(WINDOW)
}

fn keep_refusal(moments: &mut Vec<UtcMillis>, at: UtcMillis) {
    moments.push(at);
    moments.sort_unstable();
    if moments.len() > REFUSALS_MAX {
        moments.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint::FingerprintKey;
    use super::*;
    use proptest::prelude::*;
    use tvtfleet_proto::model::mac::MacAddr;
    use tvtfleet_proto::model::secret::{Credential, Secret};

    const START: i64 = 1_800_000_000_000;

    fn at(seconds: u64) -> UtcMillis {
        UtcMillis::new(START).after(Duration::from_secs(seconds))
    }

    fn account(password: &str) -> Account {
        FingerprintKey::new([1; 32]).account(&Credential {
            username: "admin".into(),
            password: Secret::new(password),
        })
    }

    fn names(mac: u8, port: u16) -> Vec<DeviceName> {
        let mac = Some(MacAddr::from([0x58, 0x5B, 0x69, 0, 0, mac]));
        DeviceName::all(mac, &format!("10.0.0.1:{port}").parse().unwrap())
    }

    #[test]
    fn the_third_try_within_a_day_is_withheld() {
        let (mut memory, pw) = (Memory::default(), account("pw"));
        memory.refused(&names(1, 1), &pw, at(0));
        assert_eq!(memory.withheld(&names(1, 1), &pw, at(10)), None);
        memory.refused(&names(1, 1), &pw, at(3600));
        let day = 24 * 3600;
        for moved in [names(1, 1), names(1, 2), names(2, 1)] {
            assert_eq!(
                memory.withheld(&moved, &pw, at(3601)),
                Some(Withheld::Spent(at(day)))
            );
        }
        assert_eq!(memory.withheld(&names(2, 2), &pw, at(3601)), None);
        assert_eq!(
            memory.withheld(&names(1, 1), &account("changed"), at(3601)),
            None
        );
        assert_eq!(memory.withheld(&names(1, 1), &pw, at(day)), None);
        memory.drop_outdated(at(day + 3600));
        assert_eq!(memory, Memory::default());
    }

    #[test]
    fn a_locked_account_is_left_alone_whatever_the_password() {
        let (mut memory, pw) = (Memory::default(), account("pw"));
        memory.locked(&names(1, 1), &pw, at(0), None);
        assert_eq!(
            memory.withheld(&names(1, 1), &account("changed"), at(1799)),
            Some(Withheld::Locked(at(1800)))
        );
        assert_eq!(memory.withheld(&names(1, 1), &pw, at(1800)), None);
        memory.locked(&names(1, 1), &pw, at(0), Some(Duration::from_secs(60)));
        assert_eq!(
            memory.withheld(&names(1, 1), &pw, at(59)),
            Some(Withheld::Locked(at(1800))),
            "the longer one stands"
        );
        memory.locked(&names(2, 2), &pw, at(0), Some(Duration::MAX));
        assert_eq!(
            memory.withheld(&names(2, 2), &pw, at(1)),
            Some(Withheld::Locked(at(24 * 3600)))
        );
    }

    #[test]
    fn an_accepted_login_wipes_the_slate() {
        let (mut memory, pw) = (Memory::default(), account("pw"));
        memory.refused(&names(1, 1), &pw, at(0));
        memory.locked(&names(1, 1), &pw, at(0), None);
        assert!(memory.accepted(&names(1, 1), &pw));
        assert!(!memory.accepted(&names(1, 1), &pw));
        assert_eq!(memory, Memory::default());
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_wait_for_ever() {
        let (mut memory, pw) = (Memory::default(), account("pw"));
        let year = 365 * 24 * 3600;
        memory.refused(&names(1, 1), &pw, at(year));
        memory.refused(&names(1, 1), &pw, at(year));
        assert_eq!(
            memory.withheld(&names(1, 1), &pw, at(0)),
            Some(Withheld::Spent(at(24 * 3600)))
        );
    }

    proptest! {
        #[test]
        fn no_device_refuses_a_credential_three_times_a_day(
            tries in proptest::collection::vec((0_u8..2, 1_u16..3, 0_u64..40_000), 1..60)
        ) {
            let (mut memory, pw, mut now) = (Memory::default(), account("pw"), 0);
            let mut refused: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
            for (mac, port, pause) in tries {
                now += pause;
                let names = names(mac, port);
                if memory.withheld(&names, &pw, at(now)).is_none() {
                    let moments = refused.entry(mac).or_default();
                    moments.retain(|at| now - at < 24 * 3600);
                    prop_assert!(moments.len() < REFUSALS_MAX);
                    moments.push(now);
                    memory.refused(&names, &pw, at(now));
                }
            }
        }
    }
}
