//! A fleet's folder with everything that can be done to it on the disk.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tvtfleet_bus::trust::{
    self, AgentRevocation, AgentRotation, JoinString, KeyPair, OperatorGrant, Role, SignedDocument,
    Ticket,
};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::{SiteId, TenantId};
use tvtfleet_proto::model::secret::Secret;
use tvtfleet_proto::model::time::UtcMillis;

use crate::error::CliError;
use crate::files;

use super::accounts::{Keys, TenantKeys, trust_error};
use super::certificates::{self, Given};
use super::fleet::{Fleet, OperatorEntry, SCHEMA, ServerEntry, TenantEntry};
use super::folder::Folder;
use super::live::Rotated;
use super::{conf, live};

/// What there is in the fleet.
const FLEET: &str = "fleet.json";
/// The certificate of the fleet's own authority.
const AUTHORITY_PEM: &str = "keys/authority.pem";
/// Its key.
const AUTHORITY_KEY: &str = "keys/authority.key";
/// What vouches for the servers towards clients; missing where every system knows.
pub(super) const CLIENT_CA: &str = "keys/ca.pem";
/// The largest certificate file, in bytes.
const PEM_MAX: u64 = 1024 * 1024;

/// What `tvtctl admin init` is told.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) servers: Vec<ServerEntry>,
    pub(crate) listen: IpAddr,
    pub(crate) websocket_port: Option<u16>,
    pub(crate) monitor_port: Option<u16>,
    pub(crate) server_folder: Option<PathBuf>,
    pub(crate) store: PathBuf,
    pub(crate) coordinator_folder: Option<PathBuf>,
    pub(crate) coordinator_data: PathBuf,
    pub(crate) given: Option<Given>,
    /// The first operator, an admin.
    pub(crate) operator: String,
}

/// A fleet's folder.
pub(crate) struct Realm {
    pub(crate) folder: Folder,
    pub(crate) fleet: Fleet,
    keys: Keys,
    now: UtcMillis,
}

impl OperatorEntry {
    pub(super) fn grant(&self, name: &str) -> OperatorGrant {
        OperatorGrant {
            name: name.to_owned(),
            user_key: self.user_key.clone(),
            role: self.role,
            tenants: self.tenants.clone(),
        }
    }
}

impl Realm {
    /// Makes a fleet in a new folder.
    ///
    /// # Errors
    ///
    /// `output.unwritable` where there is something already.
    pub(crate) fn create(root: &Path, plan: Plan, now: UtcMillis) -> Result<Self, CliError> {
        let folder = Folder::create(root)?;
        let keys = Keys::generate();
        keys.write(&folder)?;
        let fleet = Fleet {
            schema: SCHEMA,
            name: plan.name,
            created_at: now.millis(),
            revision: 0,
            servers: plan.servers,
            listen: plan.listen,
            websocket_port: plan.websocket_port,
            monitor_port: plan.monitor_port,
            server_folder: plan.server_folder,
            store: plan.store,
            coordinator_folder: plan.coordinator_folder,
            coordinator_data: plan.coordinator_data,
            given_certificates: plan.given.is_some(),
            tenants: Default::default(),
            operators: Default::default(),
            revoked_operators: Default::default(),
            rotations: Vec::new(),
            revoked_agents: Vec::new(),
        };
        let mut realm = Self {
            folder,
            fleet,
            keys,
            now,
        };
        realm.write_certificates(plan.given.as_ref())?;
        let system = KeyPair::new_user();
        let token = trust::plain_user("tvtctl", &system.public_key(), &realm.keys.system, now);
        realm.write_credentials(live::SYSTEM_CREDENTIALS, token, &system)?;
        // The folder's own way to the coordinator: what it says counts by its signature.
        let own = KeyPair::new_user();
        let token = realm.operator_token("tvtctl admin", &own.public_key());
        realm.write_credentials(live::OWN_CREDENTIALS, token, &own)?;
        let coordinator = KeyPair::new_user();
        let key = coordinator.public_key();
        let token = trust::plain_user("coordinator", &key, &realm.keys.core, now);
        realm.write_credentials("coordinator/coordinator.creds", token, &coordinator)?;
        realm
            .folder
            .write_curve_key("coordinator/coordinator.xseed", &realm.keys.coordinator)?;
        realm.add_operator(&plan.operator, Role::Admin, Vec::new())?;
        realm.save()?;
        Ok(realm)
    }

    /// Opens a fleet's folder.
    ///
    /// # Errors
    ///
    /// `config.unreadable`, `config.exposed`, `config.invalid`.
    pub(crate) fn open(root: &Path, now: UtcMillis) -> Result<Self, CliError> {
        let folder = Folder::open(root)?;
        let text = folder.text(FLEET).map_err(|error| {
            error.hint("it holds no complete fleet: remove it and use `tvtctl admin init` again")
        })?;
        let invalid = |reason: String| {
            CliError::new(
                ErrorCode::ConfigInvalid,
                format!("{} cannot be used", folder.path(FLEET).display()),
            )
            .cause(reason)
        };
        let fleet: Fleet =
            serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        if fleet.schema != SCHEMA {
            return Err(invalid(format!("version {}", fleet.schema))
                .hint("use the program that wrote it, or a newer one"));
        }
        let keys = Keys::read(&folder)?;
        Ok(Self {
            folder,
            fleet,
            keys,
            now,
        })
    }

    /// Writes `fleet.json` and everything that follows from it.
    ///
    /// # Errors
    ///
    /// `output.unwritable`, `storage.full`.
    pub(crate) fn save(&mut self) -> Result<(), CliError> {
        self.fleet.revision = self.fleet.revision.saturating_add(1);
        let text = serde_json::to_string_pretty(&self.fleet).map_err(|error| {
            CliError::new(ErrorCode::Internal, "the fleet cannot be written").because(&error)
        })?;
        self.folder.write_public(FLEET, &format!("{text}\n"))?;
        self.write_servers()?;
        self.write_coordinator()
    }

    /// Adds a tenant.
    ///
    /// # Errors
    ///
    /// `usage.invalid` where there is one of this name.
    pub(crate) fn add_tenant(&mut self, tenant: &TenantId) -> Result<(), CliError> {
        if self.fleet.tenants.contains_key(tenant.as_str()) {
            return Err(CliError::usage(format!(
                "there is a tenant {tenant} already"
            )));
        }
        let keys = TenantKeys::generate();
        keys.write(&self.folder, tenant)?;
        let entry = TenantEntry {
            added_at: self.now.millis(),
            account: keys.account(),
            ..TenantEntry::default()
        };
        self.fleet.tenants.insert(tenant.to_string(), entry);
        self.save()
    }

    /// Removes a tenant, and returns what lets the servers forget its account.
    ///
    /// # Errors
    ///
    /// `usage.invalid` where there is none.
    pub(crate) fn remove_tenant(&mut self, tenant: &TenantId) -> Result<String, CliError> {
        let entry = self
            .fleet
            .tenants
            .remove(tenant.as_str())
            .ok_or_else(|| unknown_tenant(tenant))?;
        let token = trust::deletion_token(&entry.account, &self.keys.authority, self.now)
            .map_err(|error| trust_error(&error))?;
        self.save()?;
        TenantKeys::remove(&self.folder, tenant)?;
        Ok(token)
    }

    /// The token of a tenant's account.
    ///
    /// # Errors
    ///
    /// `usage.invalid` where there is none.
    pub(crate) fn tenant_token(&self, tenant: &TenantId) -> Result<String, CliError> {
        let entry = self
            .fleet
            .tenants
            .get(tenant.as_str())
            .ok_or_else(|| unknown_tenant(tenant))?;
        let keys = TenantKeys::read(&self.folder, tenant)?;
        let account = self.keys.edge_account(tenant, &keys, entry);
        self.keys.token(&account, self.now)
    }

    /// The token of the operators' account.
    ///
    /// # Errors
    ///
    /// `trust.invalid`.
    pub(crate) fn operators_token(&self) -> Result<String, CliError> {
        self.keys
            .token(&self.keys.ops_account(&self.fleet), self.now)
    }

    /// What the coordinator has to know, signed.
    ///
    /// # Errors
    ///
    /// `trust.invalid`.
    pub(crate) fn roster(&self) -> Result<SignedDocument, CliError> {
        self.keys.roster(&self.folder, &self.fleet, self.now)
    }

    /// Makes the string with which the agent of a site joins.
    ///
    /// # Errors
    ///
    /// `usage.invalid` where there is no such tenant.
    pub(crate) fn join_string(
        &self,
        site: &SiteId,
        good_for: Duration,
    ) -> Result<(String, UtcMillis), CliError> {
        if !self.fleet.tenants.contains_key(site.tenant.as_str()) {
            return Err(unknown_tenant(&site.tenant));
        }
        let expires_at = self.now.after(good_for);
        let ticket = Ticket {
            id: uuid::Uuid::new_v4().simple().to_string(),
            tenant: site.tenant.to_string(),
            site: site.site.to_string(),
            issued_at: self.now.millis(),
            expires_at: expires_at.millis(),
        };
        let make = || {
            let boot = KeyPair::new_user();
            let boot_token = trust::scoped_user(
                &format!("join {site}"),
                &boot.public_key(),
                &self.keys.boot.public_key(),
                &self.keys.newcomers,
                self.now,
                // The agent needs it again when it was away for longer than its own token is good.
                None,
            )?;
            JoinString {
                urls: self.fleet.urls(),
                ca: self.client_ca().unwrap_or_default(),
                boot_token,
                boot_seed: trust::seed(&boot)?,
                coordinator: self.keys.coordinator.public_key(),
                authority: self.keys.authority.public_key(),
                ticket: SignedDocument::sign(&ticket, &self.keys.authority)?,
            }
            .encode()
        };
        let text = make().map_err(|error| trust_error(&error))?;
        Ok((text, expires_at))
    }

    /// Adds an operator and writes the folder that he or she gets. Does not save.
    ///
    /// # Errors
    ///
    /// `usage.invalid` where there is one of this name, or a tenant is not known.
    pub(crate) fn add_operator(
        &mut self,
        name: &str,
        role: Role,
        tenants: Vec<TenantId>,
    ) -> Result<PathBuf, CliError> {
        if self.fleet.operators.contains_key(name) {
            return Err(CliError::usage(format!(
                "there is an operator {name} already"
            )));
        }
        if let Some(unknown) = tenants
            .iter()
            .find(|tenant| !self.fleet.tenants.contains_key(tenant.as_str()))
        {
            return Err(unknown_tenant(unknown));
        }
        let user = KeyPair::new_user();
        let user_key = user.public_key();
        let token = self.operator_token(name, &user_key);
        let place = format!("operators/{name}");
        self.write_credentials(&format!("{place}/operator.creds"), token, &user)?;
        let ca = self.client_ca();
        let text = conf::operator(&self.fleet, ca.is_some());
        self.folder
            .write_public(&format!("{place}/tvtctl.toml"), &text)?;
        if let Some(ca) = ca {
            self.folder.write_public(&format!("{place}/ca.pem"), &ca)?;
        }
        let entry = OperatorEntry {
            added_at: self.now.millis(),
            user_key,
            role,
            tenants: tenants.iter().map(ToString::to_string).collect(),
        };
        self.fleet.operators.insert(name.to_owned(), entry);
        Ok(self.folder.path(place))
    }

    /// Takes an operator's rights away. Does not save.
    ///
    /// # Errors
    ///
    /// `usage.invalid` where there is none of this name.
    pub(crate) fn revoke_operator(&mut self, name: &str) -> Result<(), CliError> {
        let entry = self.fleet.operators.remove(name).ok_or_else(|| {
            CliError::usage(format!("there is no operator {name}"))
                .hint("see `tvtctl admin operator list`")
        })?;
        let now = self.now.millis();
        self.fleet.revoked_operators.insert(entry.user_key, now);
        self.folder.remove(&format!("operators/{name}"))
    }

    /// No longer believes the agents that a site had so far. Does not save.
    ///
    /// # Errors
    ///
    /// `usage.invalid` where there is no such tenant.
    pub(crate) fn revoke_agent(&mut self, site: &SiteId) -> Result<(), CliError> {
        if !self.fleet.tenants.contains_key(site.tenant.as_str()) {
            return Err(unknown_tenant(&site.tenant));
        }
        self.fleet
            .revoked_agents
            .retain(|known| !known.is_for(site));
        self.fleet.revoked_agents.push(AgentRevocation {
            tenant: site.tenant.to_string(),
            site: site.site.to_string(),
            enrolled_until: self.now.millis(),
        });
        Ok(())
    }

    /// Asks the agent of a site for new keys. Does not save; asking again changes nothing.
    ///
    /// # Errors
    ///
    /// `usage.invalid` where there is no such tenant.
    pub(crate) fn rotate_agent(&mut self, site: &SiteId) -> Result<(), CliError> {
        if !self.fleet.tenants.contains_key(site.tenant.as_str()) {
            return Err(unknown_tenant(&site.tenant));
        }
        if !self.fleet.rotations.iter().any(|wish| wish.is_for(site)) {
            self.fleet.rotations.push(AgentRotation {
                tenant: site.tenant.to_string(),
                site: site.site.to_string(),
                since: self.fleet.revision.saturating_add(1),
            });
        }
        Ok(())
    }

    /// Takes up what the coordinator said of agents that were asked for new keys: of those that have them
    /// the keys before are refused from now on, and those that are revoked are asked no more. Returns the
    /// tenants whose accounts have changed. Does not save.
    pub(crate) fn settle_rotations(&mut self, rotated: &[Rotated]) -> BTreeSet<TenantId> {
        let mut changed = BTreeSet::new();
        for agent in rotated {
            if !agent.done && !agent.refused {
                continue;
            }
            self.fleet
                .rotations
                .retain(|wish| !wish.is_for(&agent.site));
            for key in &agent.replaced {
                self.refuse_agent_key(&agent.site.tenant, key);
            }
            changed.insert(agent.site.tenant.clone());
        }
        changed
    }

    /// No longer lets in an agent's key. Does not save.
    pub(crate) fn refuse_agent_key(&mut self, tenant: &TenantId, user_key: &str) {
        let now = self.now.millis();
        if let Some(entry) = self.fleet.tenants.get_mut(tenant.as_str()) {
            entry.revoked.insert(user_key.to_owned(), now);
        }
    }

    /// The certificates that may vouch for the servers, as PEM; none where every system knows them.
    fn client_ca(&self) -> Option<String> {
        self.folder.text(CLIENT_CA).ok()
    }

    fn operator_token(&self, name: &str, user_key: &str) -> Result<String, trust::TrustError> {
        let account = self.keys.ops.public_key();
        trust::scoped_user(
            name,
            user_key,
            &account,
            &self.keys.operators,
            self.now,
            None,
        )
    }

    fn write_credentials(
        &self,
        name: &str,
        token: Result<String, trust::TrustError>,
        user: &KeyPair,
    ) -> Result<(), CliError> {
        let text = token.and_then(|token| trust::credentials(&token, user));
        let text = text.map_err(|error| trust_error(&error))?;
        self.folder.write_secret(name, &text)
    }

    fn write_certificates(&self, given: Option<&Given>) -> Result<(), CliError> {
        let authority = certificates::authority(&self.fleet.name, self.now)?;
        self.folder
            .write_public(AUTHORITY_PEM, &authority.certificate)?;
        self.folder.write_secret(AUTHORITY_KEY, &authority.key)?;
        match given {
            None => self
                .folder
                .write_public(CLIENT_CA, &authority.certificate)?,
            Some(Given {
                authority: Some(path),
                ..
            }) => self
                .folder
                .write_public(CLIENT_CA, read_pem(path)?.expose())?,
            Some(_) => {}
        }
        for server in &self.fleet.servers {
            let made =
                certificates::server(server, &self.fleet.name, authority.key.expose(), self.now)?;
            let place = format!("nats/{}", server.name);
            match given {
                None => {
                    self.folder
                        .write_public(&format!("{place}/server.pem"), &made.certificate)?;
                    self.folder
                        .write_secret(&format!("{place}/server.key"), &made.key)?;
                }
                Some(given) => {
                    let certificate = read_pem(&given.certificate)?;
                    self.folder
                        .write_public(&format!("{place}/server.pem"), certificate.expose())?;
                    self.folder
                        .write_secret(&format!("{place}/server.key"), &read_pem(&given.key)?)?;
                }
            }
            if self.fleet.is_cluster() {
                self.folder
                    .write_public(&format!("{place}/route.pem"), &made.certificate)?;
                self.folder
                    .write_secret(&format!("{place}/route.key"), &made.key)?;
                self.folder
                    .write_public(&format!("{place}/authority.pem"), &authority.certificate)?;
            }
        }
        Ok(())
    }

    fn write_servers(&self) -> Result<(), CliError> {
        let mut preloaded = Vec::new();
        for account in self.keys.accounts(&self.fleet) {
            let token = self.keys.token(&account, self.now)?;
            preloaded.push((account.public_key().to_owned(), token));
        }
        for (tenant, entry) in self.fleet.tenant_ids() {
            preloaded.push((entry.account.clone(), self.tenant_token(&tenant)?));
        }
        let operator = self.keys.operator_token(&self.fleet, self.now)?;
        let system = self.keys.system.public_key();
        for server in &self.fleet.servers {
            let place = format!("nats/{}", server.name);
            let written = self.folder.path(&place);
            let folder = self.fleet.server_folder.as_ref().unwrap_or(&written);
            let text = conf::server(&self.fleet, server, folder, &operator, &system, &preloaded);
            self.folder
                .write_public(&format!("{place}/nats-server.conf"), &text)?;
        }
        Ok(())
    }

    fn write_coordinator(&self) -> Result<(), CliError> {
        let written = self.folder.path("coordinator");
        let folder = self.fleet.coordinator_folder.as_ref().unwrap_or(&written);
        let ca = self.client_ca();
        let authority = self.keys.authority.public_key();
        let text = conf::coordinator(&self.fleet, folder, &authority, ca.is_some());
        self.folder
            .write_public("coordinator/coordinator.toml", &text)?;
        if let Some(ca) = ca {
            self.folder.write_public("coordinator/ca.pem", &ca)?;
        }
        let roster = serde_json::to_string(&self.roster()?).map_err(|error| {
            CliError::new(ErrorCode::Internal, "the roster cannot be written").because(&error)
        })?;
        self.folder.write_public("coordinator/roster.json", &roster)
    }
}

/// Reads a certificate or key that was given.
fn read_pem(path: &Path) -> Result<Secret, CliError> {
    let message = format!("cannot use {}", path.display());
    let bytes = files::read(path, PEM_MAX)
        .map_err(|error| error.about(ErrorCode::ConfigUnreadable, &message))?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    if text.contains("-----BEGIN ") {
        Ok(Secret::new(text))
    } else {
        Err(CliError::new(ErrorCode::ConfigInvalid, message).cause("it is no PEM file"))
    }
}

fn unknown_tenant(tenant: &TenantId) -> CliError {
    CliError::usage(format!("there is no tenant {tenant}"))
        .hint(format!("tvtctl admin tenant add {tenant}"))
}
