//! Whose orders count at this site, and whether a job has one.
//!
//! A job that changes devices is begun only with an order that an operator of the authority's list has
//! signed for exactly this job, site and work. An order is good once: the journal keeps such a job until
//! the order's time is over. An agent that has not joined a fleet has nobody to believe, and asks for no
//! orders.

use tvtfleet_bus::trust::{ChangeOrder, OperatorList, OrderFault, SignedDocument};
use tvtfleet_proto::model::signed::SignedStatement;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{JobWant, SiteWork};

use crate::chain::Chain;
use crate::identity::Identity;

/// The operators that this site believes.
#[derive(Debug)]
pub(crate) struct Operators {
    identity: Identity,
    /// `None` before the first list.
    list: Option<OperatorList>,
}

impl Operators {
    /// Reads the list that the agent had last.
    pub(crate) fn open(identity: Identity) -> Self {
        let mut operators = Self {
            list: None,
            identity,
        };
        if let Some(stored) = operators.identity.operators() {
            operators.list = operators.newer(&stored);
        }
        operators
    }

    /// Takes the authority's newest list, and stores it. What is forged or older changes nothing.
    pub(crate) fn adopt(&mut self, signed: &SignedStatement) {
        let document = SignedDocument::from(signed.clone());
        let Some(list) = self.newer(&document) else {
            return;
        };
        if let Err(error) = self.identity.store_operators(&document) {
            // It comes again with the next document. Until then the old one counts after a restart.
            tracing::error!(error.r#type = %error.code(), error = %Chain(&error), "the list of operators is not stored");
        }
        tracing::info!(
            revision = list.revision,
            operators = list.keys.len(),
            "the authority says whose orders count"
        );
        self.list = Some(list);
    }

    /// Checks the order of a job, but not yet its work.
    ///
    /// # Errors
    ///
    /// What is wrong with the order.
    pub(crate) fn check(
        &self,
        signed: &SignedStatement,
        want: &JobWant,
        now: UtcMillis,
    ) -> Result<(), OrderFault> {
        let list = self.list.as_ref().ok_or(OrderFault::Signer)?;
        let order = list.order(&SignedDocument::from(signed.clone()))?;
        order.check(want.job, self.identity.site(), want.not_after, now)
    }

    /// The list that counts now.
    pub(crate) const fn list(&self) -> Option<&OperatorList> {
        self.list.as_ref()
    }

    fn newer(&self, document: &SignedDocument) -> Option<OperatorList> {
        let (authority, tenant) = (self.identity.authority(), &self.identity.site().tenant);
        let known = self.list.as_ref().map_or(0, |list| list.revision);
        match OperatorList::read(document, authority, tenant) {
            Ok(list) => (list.revision > known).then_some(list),
            Err(error) => {
                tracing::warn!(error.r#type = %error.code(), error = %Chain(&error), "a list of operators is not believed");
                None
            }
        }
    }
}

/// Checks the work of a job against its order. Who signed the order was checked when the job was taken.
///
/// # Errors
///
/// [`OrderFault::Signer`] where work changes devices and there is no order, [`OrderFault::Content`].
pub(crate) fn check_work(
    order: Option<&SignedStatement>,
    work: &SiteWork,
) -> Result<(), OrderFault> {
    if !work.options.ask.changes_device() {
        return Ok(());
    }
    let order = order.ok_or(OrderFault::Signer)?;
    let order: ChangeOrder =
        serde_json::from_slice(&order.statement).map_err(|_| OrderFault::Signer)?;
    order.check_work(work)
}
