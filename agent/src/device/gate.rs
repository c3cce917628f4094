//! The last check before a credential leaves: the brake of the job and the attempt budget.

use std::sync::atomic::{AtomicBool, Ordering};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::secret::Credential;

use crate::budget::{AttemptBudget, DeviceName, LoginPermit};

/// Guards the logins to one device in one job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoginGate<'a> {
    pub(crate) job: JobId,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) credential: Option<&'a Credential>,
    pub(crate) budget: &'a AttemptBudget,
    pub(crate) braked: &'a AtomicBool,
}

impl<'a> LoginGate<'a> {
    /// Waits for its turn with the device that has this address, and asks for leave to log in. The
    /// caller bounds the wait.
    ///
    /// # Errors
    ///
    /// `job.braked`, `device.locked`, `device.credential_missing`.
    pub(crate) async fn pass(self, mac: Option<MacAddr>) -> Result<LoginPermit<'a>, ErrorCode> {
        let credential = self.credential.ok_or(ErrorCode::CredentialMissing)?;
        let names = DeviceName::all(mac, self.endpoint);
        let permit = self.budget.permit(self.job, names, credential).await;
        let permit = permit.ok_or(ErrorCode::AccountLocked)?;
        // Looked at last: the brake may have been pulled during the wait.
        if self.braked.load(Ordering::Acquire) {
            permit.settle(crate::budget::Spent::Nothing);
            return Err(ErrorCode::JobBraked);
        }
        Ok(permit)
    }
}

/// What to tell people about logins that the gate did not let pass.
const REFUSALS: [(ErrorCode, &str); 3] = [
    (
        ErrorCode::AccountLocked,
        "this credential has failed on this device in this job and is not tried again",
    ),
    (
        ErrorCode::JobBraked,
        "not tried: too many logins of this job were refused, the password may be wrong",
    ),
    (
        ErrorCode::CredentialMissing,
        "no credential is known for this device",
    ),
];

/// What to tell people about a login that the gate did not let pass.
pub(crate) fn refusal_text(code: ErrorCode) -> Option<&'static str> {
    REFUSALS
        .iter()
        .find(|(refused, _)| *refused == code)
        .map(|(_, text)| *text)
}
