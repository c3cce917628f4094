//! Who asks, and what that operator may do. Decides only: what must be looked up is asked of the
//! caller of this module.

use std::collections::BTreeSet;

use tvtfleet_bus::trust::Role;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::model::id::{SiteId, TenantId};
use tvtfleet_proto::model::job::Selector;
use tvtfleet_proto::subject::ApiOp;

use super::Trust;

/// For which tenants somebody may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of them.
    All,
    /// These.
    Tenants(BTreeSet<TenantId>),
}

/// An operator who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The operator's name, or the user token where there are no names.
    pub(crate) name: String,
    /// For which tenants.
    pub(crate) scope: Scope,
    /// The key in the subject, with which the operator connects and signs.
    pub(crate) user_key: String,
}

/// The least role that a request takes.
const fn needed(op: ApiOp) -> Role {
    match op {
        ApiOp::JobList
        | ApiOp::JobShow
        | ApiOp::JobResults
        | ApiOp::JobSearches
        | ApiOp::InventoryList
        | ApiOp::InventoryShow
        | ApiOp::ChangeList
        | ApiOp::QueryRun
        | ApiOp::SiteList
        | ApiOp::AgentList
        | ApiOp::CoordinatorInfo
        | ApiOp::CoordinatorCheck
        | ApiOp::PictureList
        | ApiOp::PictureRead
        | ApiOp::CredentialKeys
        | ApiOp::CredentialList
        // What counts there is the authority's signature.
        | ApiOp::RosterUpdate => Role::Viewer,
        ApiOp::JobSubmit
        | ApiOp::JobCancel
        | ApiOp::JobSign
        | ApiOp::CredentialPush
        | ApiOp::InventoryImport
        | ApiOp::InventoryEdit
        | ApiOp::InventoryResults => Role::Operator,
        ApiOp::SiteAdd | ApiOp::AuditList => Role::Admin,
    }
}

impl Caller {
    /// Admits who asks, or refuses. `user` is the key in the subject, which the server has checked;
    /// without `trust` everybody whom the server lets in may do everything.
    pub(crate) fn admit(trust: Option<&Trust>, user: &str, op: ApiOp) -> Result<Self, ApiError> {
        let Some(trust) = trust else {
            return Ok(Self {
                name: user.to_owned(),
                scope: Scope::All,
                user_key: user.to_owned(),
            });
        };
        let grant = match trust.operator(user) {
            Some(grant) => grant,
            None if op == ApiOp::RosterUpdate => {
                return Ok(Self {
                    name: user.to_owned(),
                    scope: Scope::Tenants(BTreeSet::new()),
                    user_key: user.to_owned(),
                });
            }
            None => return Err(forbidden("this key is no operator's")),
        };
        if grant.role < needed(op) {
            let text = format!(
                "a {} may not do this, it takes a role of {}",
                grant.role.as_str(),
                needed(op).as_str()
            );
            return Err(forbidden(text));
        }
        let scope = if grant.tenants.is_empty() {
            Scope::All
        } else {
            // A name that is none can only make it less.
            Scope::Tenants(
                grant
                    .tenants
                    .iter()
                    .filter_map(|name| name.parse().ok())
                    .collect(),
            )
        };
        let caller = Self {
            name: grant.name,
            scope,
            user_key: user.to_owned(),
        };
        let whole = matches!(
            op,
            ApiOp::QueryRun | ApiOp::InventoryEdit | ApiOp::CoordinatorCheck
        );
        if caller.scope != Scope::All && whole {
            return Err(forbidden("this is only for operators of all tenants"));
        }
        Ok(caller)
    }

    /// Leaves of the tenants that a request names those that the operator may ask for; of none named,
    /// all of those.
    pub(crate) fn confine(&self, tenants: &mut Vec<TenantId>) -> Result<(), ApiError> {
        let Scope::Tenants(own) = &self.scope else {
            return Ok(());
        };
        if own.is_empty() {
            return Err(forbidden("no tenant of this operator is left"));
        }
        if tenants.is_empty() {
            tenants.extend(own.iter().cloned());
        }
        match tenants.iter().find(|tenant| !own.contains(*tenant)) {
            Some(tenant) => Err(foreign(tenant)),
            None => Ok(()),
        }
    }

    /// Confines what a job is for. What it refers to is checked with [`Self::may_see`].
    pub(crate) fn confine_selector(&self, selector: &mut Selector) -> Result<(), ApiError> {
        if self.scope == Scope::All {
            return Ok(());
        }
        if *selector == Selector::All {
            *selector = Selector::Match {
                tenants: Vec::new(),
                sites: Vec::new(),
                labels: Vec::new(),
            };
        }
        match selector {
            Selector::Match { tenants, .. } => self.confine(tenants),
            Selector::All | Selector::Import(_) | Selector::FailedOf(_) => Ok(()),
        }
    }

    /// Refuses a site of a foreign tenant.
    pub(crate) fn check_site(&self, site: &SiteId) -> Result<(), ApiError> {
        if self.covers(&site.tenant) {
            Ok(())
        } else {
            Err(foreign(&site.tenant))
        }
    }

    /// Whether the operator may ask for a tenant.
    pub(crate) fn covers(&self, tenant: &TenantId) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Tenants(own) => own.contains(tenant),
        }
    }

    /// Whether something that concerns these tenants is the operator's to see. What concerns nobody
    /// is only for those who see everything.
    pub(crate) fn may_see(&self, tenants: &BTreeSet<String>) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Tenants(own) => {
                !tenants.is_empty()
                    && tenants
                        .iter()
                        .all(|name| own.iter().any(|tenant| tenant.as_str() == name))
            }
        }
    }
}

fn foreign(tenant: &TenantId) -> ApiError {
    forbidden(format!("the tenant {tenant} is not this operator's"))
}

/// A request that the operator's role or tenants do not cover.
fn forbidden(message: impl Into<String>) -> ApiError {
    ApiError {
        code: ErrorCode::TrustForbidden,
        message: message.into(),
        hint: "an admin may grant more: tvtctl admin operator".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tenants: &[&str]) -> Caller {
        Caller {
            name: "x".into(),
            user_key: "U".into(),
            scope: Scope::Tenants(tenants.iter().map(|name| name.parse().unwrap()).collect()),
        }
    }

    #[test]
    fn a_request_is_confined_to_the_operators_tenants() {
        let caller = of(&["acme", "blue"]);
        let mut none = Vec::new();
        caller.confine(&mut none).unwrap();
        assert_eq!(none.len(), 2);
        let mut own = vec!["acme".parse().unwrap()];
        caller.confine(&mut own).unwrap();
        assert_eq!(own.len(), 1);
        let mut mixed = vec!["acme".parse().unwrap(), "cyan".parse().unwrap()];
        let error = caller.confine(&mut mixed).unwrap_err();
        assert_eq!(error.code, ErrorCode::TrustForbidden);
        let mut all = Selector::All;
        caller.confine_selector(&mut all).unwrap();
        assert!(matches!(all, Selector::Match { ref tenants, .. } if tenants.len() == 2));
    }

    #[test]
    fn an_operator_of_no_tenant_that_is_left_sees_nothing() {
        let caller = of(&[]);
        assert!(!caller.may_see(&BTreeSet::new()));
        assert!(
            caller.confine(&mut Vec::new()).is_err(),
            "no tenant would mean all"
        );
        assert!(!caller.covers(&"acme".parse().unwrap()));
        assert!(of(&["acme"]).may_see(&BTreeSet::from(["acme".to_owned()])));
        assert!(!of(&["acme"]).may_see(&BTreeSet::from(["acme".to_owned(), "b".to_owned()])));
    }

    #[test]
    fn without_a_roster_the_server_alone_decides() {
        let caller = Caller::admit(None, "local", ApiOp::SiteAdd).unwrap();
        assert_eq!(caller.scope, Scope::All);
    }
}
