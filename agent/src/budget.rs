//! The attempt budget: how often a credential may be refused.
//!
//! Recorders lock an account after five or six wrong tries, for half an hour. So a credential that a
//! device refused, or whose fate on it is unknown, is not tried again on that device in the same job,
//! whatever the interface, and no two logins to one device run at the same time. [`Brake`] stops a
//! whole job when many devices refuse: then the stored password is wrong, not the devices.
//!
//! A device is known by the Ethernet address of its greeting and by its endpoint. Passwords are kept
//! as digests, in memory only.

mod brake;
mod ledger;

use std::sync::Mutex;

use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::secret::Credential;

use ledger::{Begin, Ledger};

pub(crate) use brake::{Brake, is_refused_login};
pub(crate) use ledger::{DeviceName, Spent};

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
        self.with(|ledger| ledger.restore(job, names));
    }

    /// Drops what is known about a job that has ended.
    pub(crate) fn forget(&self, job: JobId) {
        self.with(|ledger| ledger.forget(job));
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

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::model::mac::MacAddr;
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
}
