//! The keys of the fleet and the accounts that they sign. Accounts are always made whole from
//! `fleet.json` and the keys; no account is ever edited.

use std::collections::BTreeMap;

use tvtfleet_bus::trust::{
    self, Account, KeyPair, OperatorList, Roster, SignedDocument, TenantGrant, TrustError, XKey,
};
use tvtfleet_proto::model::id::TenantId;
use tvtfleet_proto::model::time::UtcMillis;

use crate::error::CliError;

use super::fleet::{Fleet, TenantEntry};
use super::folder::Folder;

/// The operator's identity. Only needed where its signing key must be replaced.
const OPERATOR: &str = "keys/operator.seed";
/// The operator's signing key: the fleet's authority.
const AUTHORITY: &str = "keys/authority.seed";
const SYSTEM: &str = "keys/system.seed";
const CORE: &str = "keys/core.seed";
const OPS: &str = "keys/ops.seed";
const OPERATORS: &str = "keys/operators.seed";
const BOOT: &str = "keys/boot.seed";
const NEWCOMERS: &str = "keys/newcomers.seed";
/// The coordinator's sealing key.
const COORDINATOR: &str = "keys/coordinator.xseed";

/// The keys that every fleet has.
pub(super) struct Keys {
    operator: KeyPair,
    pub(super) authority: KeyPair,
    pub(super) system: KeyPair,
    pub(super) core: KeyPair,
    pub(super) ops: KeyPair,
    pub(super) operators: KeyPair,
    pub(super) boot: KeyPair,
    pub(super) newcomers: KeyPair,
    pub(super) coordinator: XKey,
}

/// The keys of a tenant.
pub(super) struct TenantKeys {
    account: KeyPair,
    /// Signs the tenant's agents.
    agents: KeyPair,
}

impl Keys {
    pub(super) fn generate() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            authority: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            core: KeyPair::new_account(),
            ops: KeyPair::new_account(),
            operators: KeyPair::new_account(),
            boot: KeyPair::new_account(),
            newcomers: KeyPair::new_account(),
            coordinator: XKey::new(),
        }
    }

    pub(super) fn write(&self, folder: &Folder) -> Result<(), CliError> {
        for (name, key) in [
            (OPERATOR, &self.operator),
            (AUTHORITY, &self.authority),
            (SYSTEM, &self.system),
            (CORE, &self.core),
            (OPS, &self.ops),
            (OPERATORS, &self.operators),
            (BOOT, &self.boot),
            (NEWCOMERS, &self.newcomers),
        ] {
            folder.write_key(name, key)?;
        }
        folder.write_curve_key(COORDINATOR, &self.coordinator)
    }

    pub(super) fn read(folder: &Folder) -> Result<Self, CliError> {
        Ok(Self {
            operator: folder.key(OPERATOR)?,
            authority: folder.key(AUTHORITY)?,
            system: folder.key(SYSTEM)?,
            core: folder.key(CORE)?,
            ops: folder.key(OPS)?,
            operators: folder.key(OPERATORS)?,
            boot: folder.key(BOOT)?,
            newcomers: folder.key(NEWCOMERS)?,
            coordinator: folder.curve_key(COORDINATOR)?,
        })
    }

    pub(super) fn operator_token(&self, fleet: &Fleet, now: UtcMillis) -> Result<String, CliError> {
        trust::operator_token(
            &fleet.name,
            &self.operator,
            &self.authority,
            &self.system,
            now,
        )
        .map_err(|error| trust_error(&error))
    }

    /// Signs something with a key of the fleet.
    pub(super) fn token(&self, account: &Account, now: UtcMillis) -> Result<String, CliError> {
        account
            .sign(&self.authority, now)
            .map_err(|error| trust_error(&error))
    }

    /// The operators' account.
    pub(super) fn ops_account(&self, fleet: &Fleet) -> Account {
        let revoked = moments(&fleet.revoked_operators);
        trust::ops_account(&self.ops, &self.operators, &self.core.public_key()).revoking(&revoked)
    }

    /// The accounts that every fleet has.
    pub(super) fn accounts(&self, fleet: &Fleet) -> Vec<Account> {
        let core = self.core.public_key();
        vec![
            trust::system_account(&self.system),
            trust::core_account(&self.core),
            self.ops_account(fleet),
            trust::boot_account(&self.boot, &self.newcomers, &core),
        ]
    }

    /// The account of a tenant.
    pub(super) fn edge_account(
        &self,
        tenant: &TenantId,
        keys: &TenantKeys,
        entry: &TenantEntry,
    ) -> Account {
        let revoked = moments(&entry.revoked);
        trust::edge_account(tenant, &keys.account, &keys.agents, &self.core.public_key())
            .revoking(&revoked)
    }

    /// What the coordinator has to know, signed.
    pub(super) fn roster(
        &self,
        folder: &Folder,
        fleet: &Fleet,
        now: UtcMillis,
    ) -> Result<SignedDocument, CliError> {
        let sender = XKey::new();
        let coordinator = self.coordinator.public_key();
        let operators = fleet.operators.iter();
        let operators: Vec<_> = operators.map(|(name, entry)| entry.grant(name)).collect();
        let mut tenants = Vec::new();
        for (tenant, entry) in fleet.tenant_ids() {
            let keys = TenantKeys::read(folder, &tenant)?;
            let account = entry.account.clone();
            let grant = TenantGrant::seal(&tenant, account, &keys.agents, &sender, &coordinator);
            let mut grant = grant.map_err(|error| trust_error(&error))?;
            let commanding = operators.iter().filter(|grant| grant.commands(&tenant));
            let list = OperatorList {
                revision: fleet.revision,
                tenant: tenant.to_string(),
                issued_at: now.millis(),
                keys: commanding.map(|grant| grant.user_key.clone()).collect(),
            };
            let signed = SignedDocument::sign(&list, &self.authority);
            grant.operators = Some(signed.map_err(|error| trust_error(&error))?);
            tenants.push(grant);
        }
        let roster = Roster {
            revision: fleet.revision,
            issued_at: now.millis(),
            sender: sender.public_key(),
            operators,
            tenants,
            revoked: fleet.revoked_agents.clone(),
            rotations: fleet.rotations.clone(),
        };
        SignedDocument::sign(&roster, &self.authority).map_err(|error| trust_error(&error))
    }
}

impl TenantKeys {
    pub(super) fn generate() -> Self {
        Self {
            account: KeyPair::new_account(),
            agents: KeyPair::new_account(),
        }
    }

    pub(super) fn account(&self) -> String {
        self.account.public_key()
    }

    pub(super) fn write(&self, folder: &Folder, tenant: &TenantId) -> Result<(), CliError> {
        folder.write_key(
            &format!("keys/tenants/{tenant}/account.seed"),
            &self.account,
        )?;
        folder.write_key(&format!("keys/tenants/{tenant}/agents.seed"), &self.agents)
    }

    pub(super) fn read(folder: &Folder, tenant: &TenantId) -> Result<Self, CliError> {
        Ok(Self {
            account: folder.key(&format!("keys/tenants/{tenant}/account.seed"))?,
            agents: folder.key(&format!("keys/tenants/{tenant}/agents.seed"))?,
        })
    }

    pub(super) fn remove(folder: &Folder, tenant: &TenantId) -> Result<(), CliError> {
        folder.remove(&format!("keys/tenants/{tenant}"))
    }
}

fn moments(revoked: &BTreeMap<String, i64>) -> BTreeMap<String, UtcMillis> {
    revoked
        .iter()
        .map(|(user, at)| (user.clone(), UtcMillis::new(*at)))
        .collect()
}

/// What a user is told of a key or token that cannot be used.
pub(super) fn trust_error(error: &TrustError) -> CliError {
    CliError::new(error.code(), "the fleet's keys cannot be used").because(error)
}
