//! The attempt budget: how often a credential may be refused.
//!
//! Recorders lock an account after five or six wrong tries, for half an hour. So a credential that a
//! device refused, or whose fate on it is unknown, is not tried again on that device in the same job,
//! whatever the interface, and no two logins to one device run at the same time. [`Brake`] stops a
//! whole job when many devices refuse: then the stored password is wrong, not the devices.
//!
//! A device is known by the Ethernet address of its greeting and by its endpoint. Passwords are kept
//! as digests, in memory only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::secret::Credential;

/// A job is stopped when at least this many logins were refused ...
const BRAKE_REFUSED: u32 = 5;
/// ... and they are more than one in this many of the devices done.
const BRAKE_ONE_IN: u32 = 5;

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

/// The budget of one site, for all its jobs.
#[derive(Debug, Default)]
pub struct AttemptBudget {
    ledger: Mutex<Ledger>,
    freed: Notify,
}

impl AttemptBudget {
    /// Waits until no other login to the device runs, and takes a permit for one.
    ///
    /// The caller bounds the wait. `None`: this credential has been refused there in this job.
    pub(crate) async fn permit(
        &self,
        job: JobId,
        names: Vec<DeviceName>,
        credential: &Credential,
    ) -> Option<LoginPermit<'_>> {
        let user = credential.username.clone();
        let password = Sha256::digest(credential.password.expose().as_bytes()).into();
        loop {
            let freed = self.freed.notified();
            let mut freed = std::pin::pin!(freed);
            freed.as_mut().enable();
            match self.with(|ledger| ledger.begin(job, &names, &user, &password)) {
                Begin::Spent => return None,
                Begin::Granted => {
                    return Some(LoginPermit {
                        budget: self,
                        job,
                        names,
                        user,
                        password,
                        spent: Spent::OneTry,
                    });
                }
                Begin::InUse => freed.await,
            }
        }
    }

    /// Notes a refusal of an earlier life of this program: no password of any user is tried on the
    /// device in that job any more.
    pub(crate) fn restore(&self, job: JobId, names: Vec<DeviceName>) {
        self.with(|ledger| {
            let refused = ledger.refused.entry(job).or_default();
            refused.extend(names.into_iter().map(Refused::Everything));
        });
    }

    /// Drops what is known about a job that has ended.
    pub(crate) fn forget(&self, job: JobId) {
        self.with(|ledger| ledger.refused.remove(&job));
    }

    fn with<R>(&self, act: impl FnOnce(&mut Ledger) -> R) -> R {
        // A panic elsewhere cannot leave the ledger half changed: its methods do not panic.
        act(&mut self
            .ledger
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// Leave to log in to one device once. Dropped without [`Self::settle`], the try counts.
#[derive(Debug)]
pub(crate) struct LoginPermit<'a> {
    budget: &'a AttemptBudget,
    job: JobId,
    names: Vec<DeviceName>,
    user: String,
    password: [u8; 32],
    spent: Spent,
}

impl LoginPermit<'_> {
    /// Says what became of the login.
    pub(crate) fn settle(mut self, spent: Spent) {
        self.spent = spent;
    }
}

impl Drop for LoginPermit<'_> {
    fn drop(&mut self) {
        self.budget.with(|ledger| {
            ledger.end(self.job, &self.names, &self.user, self.password, self.spent)
        });
        self.budget.freed.notify_waiters();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Refused {
    Everything(DeviceName),
    Credential {
        device: DeviceName,
        user: String,
        password: [u8; 32],
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    Granted,
    InUse,
    Spent,
}

/// The bookkeeping, without waiting.
#[derive(Debug, Default)]
struct Ledger {
    refused: BTreeMap<JobId, BTreeSet<Refused>>,
    in_use: BTreeSet<DeviceName>,
}

impl Ledger {
    fn begin(
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

    fn end(
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

/// Counts refused logins of one job at one site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Brake {
    finished: u32,
    refused: u32,
}

impl Brake {
    /// Counts a device whose turn is over.
    pub(crate) fn count(&mut self, refused: bool) {
        self.finished = self.finished.saturating_add(1);
        self.refused = self.refused.saturating_add(u32::from(refused));
    }

    /// Whether no further login may be tried in the job.
    pub(crate) fn is_pulled(self) -> bool {
        self.refused >= BRAKE_REFUSED && self.refused.saturating_mul(BRAKE_ONE_IN) > self.finished
    }
}

/// Whether a device's failure is a refused login in the sense of the brake.
pub(crate) fn is_refused_login(failure: &Failure) -> bool {
    failure.credentials_sent
        && failure.code.kind() == ErrorKind::Credentials
        && failure.code != ErrorCode::PasswordChangeRequired
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tvtfleet_proto::model::secret::Secret;

    fn job(n: u128) -> JobId {
        JobId::new(uuid::Uuid::from_u128(n))
    }

    fn credential(password: &str) -> Credential {
        Credential {
            username: "admin".into(),
            password: Secret::new(password),
        }
    }

    fn names(mac: u8, port: u16) -> Vec<DeviceName> {
        let mac = Some(MacAddr::from([0x58, 0x5B, 0x69, 0, 0, mac]));
        DeviceName::all(mac, &format!("10.0.0.1:{port}").parse().unwrap())
    }

    #[tokio::test]
    async fn a_refused_credential_is_spent_on_the_device_in_the_job() {
        let budget = AttemptBudget::default();
        budget
            .permit(job(1), names(1, 6036), &credential("x"))
            .await
            .unwrap()
            .settle(Spent::OneTry);
        assert!(
            budget
                .permit(job(1), names(1, 6036), &credential("x"))
                .await
                .is_none()
        );
        assert!(
            budget
                .permit(job(1), names(1, 9008), &credential("x"))
                .await
                .is_none(),
            "same MAC"
        );
        assert!(
            budget
                .permit(job(1), names(2, 6036), &credential("x"))
                .await
                .is_none(),
            "same place"
        );
        assert!(
            budget
                .permit(job(1), names(2, 9008), &credential("x"))
                .await
                .is_some()
        );
        assert!(
            budget
                .permit(job(1), names(1, 6036), &credential("y"))
                .await
                .is_some()
        );
        assert!(
            budget
                .permit(job(2), names(1, 6036), &credential("x"))
                .await
                .is_some()
        );
        budget.forget(job(1));
        assert!(
            budget
                .permit(job(1), names(1, 6036), &credential("x"))
                .await
                .is_some()
        );
    }

    #[tokio::test]
    async fn an_accepted_login_costs_nothing_and_a_dropped_one_counts() {
        let budget = AttemptBudget::default();
        budget
            .permit(job(1), names(1, 1), &credential("x"))
            .await
            .unwrap()
            .settle(Spent::Nothing);
        drop(
            budget
                .permit(job(1), names(1, 1), &credential("x"))
                .await
                .unwrap(),
        );
        assert!(
            budget
                .permit(job(1), names(1, 1), &credential("x"))
                .await
                .is_none()
        );
    }

    #[tokio::test]
    async fn a_refusal_from_before_a_restart_bars_every_credential() {
        let budget = AttemptBudget::default();
        budget.restore(job(1), names(1, 1));
        assert!(
            budget
                .permit(job(1), names(1, 2), &credential("any"))
                .await
                .is_none()
        );
        assert!(
            budget
                .permit(job(1), names(2, 2), &credential("any"))
                .await
                .is_some()
        );
    }

    #[tokio::test]
    async fn two_logins_to_one_device_follow_each_other() {
        let budget = AttemptBudget::default();
        let secret = credential("x");
        let first = budget.permit(job(1), names(1, 1), &secret).await.unwrap();
        let second = budget.permit(job(2), names(1, 2), &secret);
        let mut second = std::pin::pin!(second);
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        first.settle(Spent::Nothing);
        assert!(second.await.is_some());
    }

    #[test]
    fn the_brake_needs_five_and_a_fifth() {
        let pulled = |finished: u32, refused: u32| Brake { finished, refused }.is_pulled();
        assert!(!pulled(4, 4) && pulled(5, 5) && pulled(24, 5) && !pulled(25, 5));
        assert!(!pulled(100, 20) && pulled(100, 21) && !pulled(0, 0));
    }

    #[test]
    fn only_refusals_that_came_from_the_device_count() {
        let sent = |code| {
            is_refused_login(&Failure {
                credentials_sent: true,
                ..Failure::new(code, "")
            })
        };
        assert!(
            sent(ErrorCode::LoginRejected)
                && sent(ErrorCode::LoginFailed)
                && sent(ErrorCode::AccountLocked)
        );
        assert!(!sent(ErrorCode::PasswordChangeRequired) && !sent(ErrorCode::Busy));
        assert!(!is_refused_login(&Failure::new(
            ErrorCode::AccountLocked,
            ""
        )));
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
