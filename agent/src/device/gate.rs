//! The last check before a credential leaves: the brake of the job and the attempt budget.

use std::sync::atomic::{AtomicBool, Ordering};

use tvtfleet_bus::clock::Clock;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::secret::Credential;

use crate::budget::{AttemptBudget, DeviceName, LoginPermit, Spent};

/// Guards the logins to one device in one job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoginGate<'a> {
    pub(crate) job: JobId,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) credential: Option<&'a Credential>,
    pub(crate) budget: &'a AttemptBudget,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) braked: &'a AtomicBool,
}

impl<'a> LoginGate<'a> {
    /// Waits for its turn with the device that has this address, and asks for leave to log in. The
    /// caller bounds the wait.
    ///
    /// # Errors
    ///
    /// `job.braked`, `device.attempts_spent`, `device.locked`, `device.credential_missing`; their texts
    /// name the moment from which the login may be tried, where there is one.
    pub(crate) async fn pass(self, mac: Option<MacAddr>) -> Result<LoginPermit<'a>, Failure> {
        let missing = || {
            let text = "no credential is known for this device";
            Failure::new(ErrorCode::CredentialMissing, text)
        };
        let credential = self.credential.ok_or_else(missing)?;
        let names = DeviceName::all(mac, self.endpoint);
        let permit = self
            .budget
            .permit(self.clock, self.job, names, credential)
            .await?;
        // Looked at last: the brake may have been pulled during the wait.
        if self.braked.load(Ordering::Acquire) {
            permit.settle(Spent::Nothing);
            return Err(braked());
        }
        Ok(permit)
    }
}

/// What became of a login that failed, by a driver that knows no more than the failure says.
pub(crate) fn spent(failure: &Failure) -> Spent {
    if !failure.credentials_sent || failure.code == ErrorCode::Busy {
        Spent::Nothing
    } else if failure.code == ErrorCode::AccountLocked {
        Spent::Locked { retry_after: None }
    } else {
        Spent::OneTry
    }
}

/// The failure of a device that was left out because of the brake.
pub(crate) fn braked() -> Failure {
    let text = "not tried: too many logins of this job were refused, the password may be wrong";
    Failure::new(ErrorCode::JobBraked, text)
}
