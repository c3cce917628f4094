//! The attempt budget: how often a credential may be refused.
//!
//! Recorders lock an account after five or six wrong tries, for half an hour. So a credential that a
//! device refused, or whose fate on it is unknown, is not tried again on that device in the same job,
//! whatever the interface; nor, over all jobs, once it was refused twice within 24 hours; nor while the
//! device says that the account is locked. No two logins to one device run at the same time. [`Brake`]
//! stops a whole job when many devices refuse: then the stored password is wrong, not the devices.
//!
//! A device is known by the Ethernet address of its greeting and by its endpoint. Accounts are known by
//! fingerprints under a random key of the agent. An agent keeps the key and the refusals of the last day
//! in its data folder, so that a restart forgets nothing. A changed password has another fingerprint and
//! may be tried at once, unless the account is locked; `tvt-agent forget-refusals` drops everything.
//! `tvtctl local` remembers for as long as its process lives.

mod brake;
mod fingerprint;
mod keeper;
mod ledger;
mod memory;

use std::path::Path;
use std::sync::Mutex;

use tokio::sync::Notify;
use tvtfleet_bus::clock::Clock;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::secret::Credential;

use fingerprint::{Account, FingerprintKey};
use keeper::Keeper;
use ledger::{Begin, Ledger};
use memory::{Memory, REFUSALS_MAX, Withheld};

pub(crate) use brake::Brake;
pub use keeper::KeeperError;
pub(crate) use ledger::{DeviceName, Spent};

/// The budget of one site, for all its jobs.
#[derive(Debug)]
pub struct AttemptBudget {
    key: FingerprintKey,
    ledger: Mutex<Ledger>,
    /// Where the memory is kept; `None` keeps it in this process.
    keeper: Option<Keeper>,
    freed: Notify,
}

impl Default for AttemptBudget {
    /// A budget whose memory ends with the process.
    fn default() -> Self {
        Self {
            key: FingerprintKey::random(),
            ledger: Mutex::default(),
            keeper: None,
            freed: Notify::new(),
        }
    }
}

impl AttemptBudget {
    /// A budget that goes on with the memory of a folder, and keeps it there.
    ///
    /// # Errors
    ///
    /// `storage.io`.
    pub(crate) fn open(folder: &Path) -> Result<Self, KeeperError> {
        let keeper = Keeper::new(folder);
        Ok(Self {
            key: keeper.key()?,
            ledger: Mutex::new(Ledger::with_memory(keeper.read()?)),
            keeper: Some(keeper),
            freed: Notify::new(),
        })
    }

    /// Waits until no other login to the device runs, and takes a permit for one.
    ///
    /// The caller bounds the wait.
    ///
    /// # Errors
    ///
    /// Why the login must not be tried now.
    pub(crate) async fn permit<'a>(
        &'a self,
        clock: &'a dyn Clock,
        job: JobId,
        names: Vec<DeviceName>,
        credential: &Credential,
    ) -> Result<LoginPermit<'a>, Barred> {
        let account = self.key.account(credential);
        loop {
            let freed = self.freed.notified();
            let mut freed = std::pin::pin!(freed);
            freed.as_mut().enable();
            match self.with(|ledger| ledger.begin(job, &names, &account, clock.now())) {
                Begin::SpentInJob => return Err(Barred::InJob),
                Begin::Withheld(withheld) => return Err(Barred::Withheld(withheld)),
                Begin::Granted => {
                    return Ok(LoginPermit {
                        budget: self,
                        clock,
                        job,
                        names,
                        account,
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

    /// Drops what is known about a job that has ended. What devices refused is remembered all the same.
    pub(crate) fn forget(&self, job: JobId) {
        self.with(|ledger| ledger.forget(job));
    }

    fn end(&self, permit: &LoginPermit<'_>) {
        let now = permit.clock.now();
        self.with(|ledger| {
            let changed =
                ledger.end(permit.job, &permit.names, &permit.account, permit.spent, now);
            // At once, and before anybody may log in there again. It costs a write to the disk on this
            // thread, but refusals are rare, and the brake ends a job after a few.
            if changed
                && let Some(keeper) = &self.keeper
                && let Err(error) = keeper.write(ledger.memory())
            {
                tracing::error!(error = %crate::chain::Chain(&error), "a refused login is not remembered on the disk");
            }
        });
        self.freed.notify_waiters();
    }

    fn with<R>(&self, act: impl FnOnce(&mut Ledger) -> R) -> R {
        // A panic elsewhere cannot leave the ledger half changed: its methods do not panic.
        act(&mut self
            .ledger
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// Drops the memory of a folder. Returns how many refusals and locks were in it.
///
/// # Errors
///
/// `storage.io`.
pub(crate) fn drop_memory(folder: &Path) -> Result<usize, KeeperError> {
    let keeper = Keeper::new(folder);
    let memory = keeper.read()?;
    let count = memory
        .refusals()
        .count()
        .saturating_add(memory.locks().count());
    if count > 0 {
        keeper.write(&Memory::default())?;
    }
    Ok(count)
}

/// Why a login must not be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barred {
    /// The device refused the credential in this job.
    InJob,
    /// It refused it too often within a day, or has locked the account.
    Withheld(Withheld),
}

impl From<Barred> for Failure {
    fn from(barred: Barred) -> Self {
        match barred {
            Barred::InJob => Self::new(
                ErrorCode::AttemptsSpent,
                "this credential has failed on this device in this job and is not tried again",
            ),
            Barred::Withheld(Withheld::Spent(until)) => Self::new(
                ErrorCode::AttemptsSpent,
                format!(
                    "this device has refused this credential {REFUSALS_MAX} times within a day; not \
                     tried again before {until}, unless the password is changed at the agent"
                ),
            ),
            Barred::Withheld(Withheld::Locked(until)) => Self::new(
                ErrorCode::AccountLocked,
                format!("the device has locked this account; not tried again before {until}"),
            ),
        }
    }
}

/// Leave to log in to one device once. Dropped without [`Self::settle`], the try counts.
#[derive(Debug)]
pub(crate) struct LoginPermit<'a> {
    budget: &'a AttemptBudget,
    clock: &'a dyn Clock,
    job: JobId,
    names: Vec<DeviceName>,
    account: Account,
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
        self.budget.end(self);
    }
}

#[cfg(test)]
mod tests;
