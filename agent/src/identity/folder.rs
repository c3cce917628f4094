//! The folder of the agent's identity, below its data folder; mode 0700.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tvtfleet_bus::closed_file::{self, ClosedFileError};
use tvtfleet_bus::publish::Outgoing;
use tvtfleet_bus::trust::{KeyPair, SignedDocument, XKey, credentials};
use tvtfleet_bus::{ConnectOptions, NatsSettings};
use tvtfleet_proto::model::id::SiteId;
use tvtfleet_proto::model::secret::Secret;

use super::exchange::IdentityError;

/// The folder's name below the data folder.
const FOLDER: &str = "identity";
/// The folder while a join is under way.
const PENDING: &str = "identity.new";
/// The folder of an identity that another one replaced.
const REPLACED: &str = "identity.old";
/// What everybody may know.
const FACTS: &str = "identity.json";
/// The folder of keys that the agent will go on with.
const NEXT: &str = "identity.next";
/// Beside new keys that were not used yet: the public user key that they replace.
const REPLACES: &str = "replaces";
/// The user key's seed.
const USER_SEED: &str = "agent.seed";
/// The sealing key's seed.
const CURVE_SEED: &str = "agent.xseed";
/// The seed of the sealing key before this one: what is on its way was sealed to it.
const EARLIER_CURVE_SEED: &str = "earlier.xseed";
/// The user key with its token, for the connection.
const CREDENTIALS: &str = "agent.creds";
/// The newcomers' user, for when the token is not good any more.
const BOOT_CREDENTIALS: &str = "boot.creds";
/// Whose orders count, signed by the authority.
const OPERATORS: &str = "operators.json";
/// What vouches for the servers.
const CA: &str = "ca.pem";
/// The largest of these files, in bytes.
const FILE_MAX: u64 = 1024 * 1024;

/// What an agent knows of itself and of its fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    tenant: String,
    site: String,
    urls: Vec<String>,
    /// The public key to which enrolment is sealed.
    coordinator: String,
    /// The public key of the fleet's authority.
    authority: String,
    /// The ticket with which it joined.
    ticket: String,
    has_ca: bool,
}

/// An agent's identity.
#[derive(Clone, Debug)]
pub struct Identity {
    folder: PathBuf,
    site: SiteId,
    facts: Facts,
}

/// What a new identity is made from.
pub(super) struct Beginning<'a> {
    pub(super) site: SiteId,
    pub(super) urls: Vec<String>,
    pub(super) coordinator: String,
    pub(super) authority: String,
    pub(super) ticket: String,
    pub(super) ca: &'a str,
    pub(super) boot: Secret,
}

impl Identity {
    /// Reads the identity below a data folder; `None` where the agent has not joined.
    ///
    /// # Errors
    ///
    /// `config.unreadable`, `config.invalid`.
    pub fn read(data_dir: &Path) -> Result<Option<Self>, IdentityError> {
        let (place, old) = (data_dir.join(FOLDER), data_dir.join(REPLACED));
        if !place.exists() && old.exists() {
            // The power went while another identity was put in its place.
            fs::rename(&old, &place).map_err(|source| IdentityError::Folder {
                path: place.clone(),
                source,
            })?;
        }
        Self::read_in(place)
    }

    /// Takes up a join that was begun with the same ticket, or begins one: makes the keys.
    pub(super) fn begin(data_dir: &Path, begin: &Beginning<'_>) -> Result<Self, IdentityError> {
        let folder = data_dir.join(PENDING);
        if let Some(pending) = Self::read_in(folder.clone())?
            && pending.facts.ticket == begin.ticket
        {
            return Ok(pending);
        }
        make_anew(&folder)?;
        let facts = Facts {
            tenant: begin.site.tenant.to_string(),
            site: begin.site.site.to_string(),
            urls: begin.urls.clone(),
            coordinator: begin.coordinator.clone(),
            authority: begin.authority.clone(),
            ticket: begin.ticket.clone(),
            has_ca: !begin.ca.is_empty(),
        };
        let identity = Self {
            folder,
            site: begin.site.clone(),
            facts,
        };
        identity.write_keys()?;
        identity.write(BOOT_CREDENTIALS, &begin.boot)?;
        identity.write(CA, &Secret::new(begin.ca))?;
        identity.write_facts()?;
        Ok(identity)
    }

    /// The same identity with new keys, in a folder of its own: made now, or taken up where it was made
    /// before and not finished.
    pub(super) fn next(&self) -> Result<Self, IdentityError> {
        let data_dir = self.folder.parent().unwrap_or(&self.folder);
        let folder = data_dir.join(NEXT);
        let replaces = self.user_key()?;
        if let Some(next) = Self::read_in(folder.clone())?
            && next.secret(REPLACES)?.expose() == replaces
        {
            return Ok(next);
        }
        make_anew(&folder)?;
        let next = Self {
            folder,
            site: self.site.clone(),
            facts: self.facts.clone(),
        };
        next.write_keys()?;
        next.write(EARLIER_CURVE_SEED, &self.secret(CURVE_SEED)?)?;
        next.write(REPLACES, &Secret::new(replaces))?;
        next.write(BOOT_CREDENTIALS, &self.secret(BOOT_CREDENTIALS)?)?;
        next.write(CA, &self.secret(CA)?)?;
        next.write_facts()?;
        Ok(next)
    }

    /// Puts the identity with new keys in place of this one.
    pub(super) fn give_way_to(&self, next: Self) -> Result<(), IdentityError> {
        if let Some(operators) = self.operators() {
            next.store_operators(&operators)?;
        }
        let data_dir = self.folder.parent().unwrap_or(&self.folder).to_owned();
        next.finish(&data_dir)?;
        Ok(())
    }

    /// Whether its keys replace others and were not used yet.
    pub(super) fn is_unused(&self) -> bool {
        self.folder.join(REPLACES).exists()
    }

    /// Notes that the coordinator has seen its keys.
    pub(super) fn note_used(&self) -> Result<(), IdentityError> {
        let path = self.folder.join(REPLACES);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(IdentityError::Folder { path, source })
            }
            _ => Ok(()),
        }
    }

    fn write_keys(&self) -> Result<(), IdentityError> {
        let seed = |seed: Result<String, _>| seed.map(Secret::new).map_err(IdentityError::key);
        self.write(USER_SEED, &seed(KeyPair::new_user().seed())?)?;
        self.write(CURVE_SEED, &seed(XKey::new().seed())?)
    }

    /// The facts are written last, so that what can be read is complete.
    fn write_facts(&self) -> Result<(), IdentityError> {
        let text = serde_json::to_string_pretty(&self.facts)
            .map_err(|error| IdentityError::Damaged(error.to_string()))?;
        self.write(FACTS, &Secret::new(text))
    }

    /// Puts a finished join in place of what was there.
    pub(super) fn finish(mut self, data_dir: &Path) -> Result<Self, IdentityError> {
        let (place, old) = (data_dir.join(FOLDER), data_dir.join(REPLACED));
        let moved = |from: &Path, to: &Path| {
            fs::rename(from, to).map_err(|source| IdentityError::Folder {
                path: to.to_owned(),
                source,
            })
        };
        remove(&old)?;
        if place.exists() {
            moved(&place, &old)?;
        }
        moved(&self.folder, &place)?;
        let settled = fs::File::open(data_dir).and_then(|folder| folder.sync_all());
        settled.map_err(|source| IdentityError::Folder {
            path: data_dir.to_owned(),
            source,
        })?;
        remove(&old)?;
        self.folder = place;
        Ok(self)
    }

    /// The site that it speaks for.
    #[must_use]
    pub const fn site(&self) -> &SiteId {
        &self.site
    }

    /// The public user key: what the servers and the coordinator know it by.
    ///
    /// # Errors
    ///
    /// `config.*`, `trust.invalid`.
    pub fn user_key(&self) -> Result<String, IdentityError> {
        Ok(self.user()?.public_key())
    }

    /// The public sealing key: what credentials are sealed to.
    ///
    /// # Errors
    ///
    /// `config.*`, `trust.invalid`.
    pub fn curve_key(&self) -> Result<String, IdentityError> {
        Ok(self.curve()?.public_key())
    }

    /// How to connect, where the configuration names no servers of its own.
    #[must_use]
    pub fn settings(&self) -> NatsSettings {
        NatsSettings {
            urls: self.facts.urls.clone(),
            credentials_file: Some(self.folder.join(CREDENTIALS)),
            ca_file: self.ca_file(),
            ..NatsSettings::default()
        }
    }

    /// How to connect as a newcomer.
    pub(super) fn boot_options(&self, urls: &[String]) -> ConnectOptions {
        ConnectOptions {
            urls: urls.to_vec(),
            name: format!("tvt-agent {} enrolment", self.site),
            credentials_file: Some(self.folder.join(BOOT_CREDENTIALS)),
            ca_file: self.ca_file(),
            refuse_open_server: true,
            ..ConnectOptions::default()
        }
    }

    pub(super) fn urls(&self) -> &[String] {
        &self.facts.urls
    }

    /// The public key to which enrolment is sealed.
    pub(super) fn coordinator(&self) -> &str {
        &self.facts.coordinator
    }

    /// Signs a batch of results as this agent's.
    ///
    /// # Errors
    ///
    /// `config.*`, `trust.invalid`.
    pub(crate) fn sign_batch(&self, outgoing: Outgoing) -> Result<Outgoing, IdentityError> {
        Ok(outgoing.signed(&self.user()?)?)
    }

    pub(super) fn user(&self) -> Result<KeyPair, IdentityError> {
        let seed = self.secret(USER_SEED)?;
        KeyPair::from_seed(seed.expose().trim()).map_err(IdentityError::key)
    }

    pub(crate) fn curve(&self) -> Result<XKey, IdentityError> {
        let seed = self.secret(CURVE_SEED)?;
        XKey::from_seed(seed.expose().trim()).map_err(IdentityError::key)
    }

    /// The sealing key to which something is sealed: the one before this, or this one.
    pub(crate) fn curve_of(&self, reader: &str) -> Result<XKey, IdentityError> {
        if let Ok(seed) = self.secret(EARLIER_CURVE_SEED) {
            let earlier = XKey::from_seed(seed.expose().trim()).map_err(IdentityError::key)?;
            if earlier.public_key() == reader {
                return Ok(earlier);
            }
        }
        self.curve()
    }

    /// The token that it has; `None` before the first.
    pub(super) fn token(&self) -> Option<String> {
        let text = self.secret(CREDENTIALS).ok()?;
        let mut lines = text.expose().lines().map(str::trim);
        lines.find(|line| line.contains("BEGIN NATS USER JWT"))?;
        lines.find(|line| !line.is_empty()).map(str::to_owned)
    }

    /// Stores a token; the next connection uses it.
    pub(super) fn store_token(&self, token: &str) -> Result<(), IdentityError> {
        let text = credentials(token, &self.user()?)?;
        self.write(CREDENTIALS, &text)
    }

    /// The public key of the fleet's authority.
    pub(crate) fn authority(&self) -> &str {
        &self.facts.authority
    }

    /// The list of operators that was stored last.
    pub(crate) fn operators(&self) -> Option<SignedDocument> {
        let text = self.secret(OPERATORS).ok()?;
        serde_json::from_str(text.expose()).ok()
    }

    /// Stores a list of operators.
    ///
    /// # Errors
    ///
    /// `storage.io`.
    pub(crate) fn store_operators(&self, list: &SignedDocument) -> Result<(), IdentityError> {
        let text = serde_json::to_string(list)
            .map_err(|error| IdentityError::Damaged(error.to_string()))?;
        self.write(OPERATORS, &Secret::new(text))
    }

    fn ca_file(&self) -> Option<PathBuf> {
        self.facts.has_ca.then(|| self.folder.join(CA))
    }

    fn read_in(folder: PathBuf) -> Result<Option<Self>, IdentityError> {
        let text = match closed_file::read(&folder.join(FACTS), None, FILE_MAX) {
            Ok(text) => text,
            Err(ClosedFileError::Unreadable { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let damaged = |error: &dyn std::fmt::Display| IdentityError::Damaged(error.to_string());
        let facts: Facts = serde_json::from_str(text.expose()).map_err(|error| damaged(&error))?;
        let site = format!("{}/{}", facts.tenant, facts.site)
            .parse()
            .map_err(|error| damaged(&error))?;
        Ok(Some(Self {
            folder,
            site,
            facts,
        }))
    }

    fn secret(&self, name: &str) -> Result<Secret, IdentityError> {
        Ok(closed_file::read(&self.folder.join(name), None, FILE_MAX)?)
    }

    /// Writes a file whole or not at all, for the owner only.
    fn write(&self, name: &str, text: &Secret) -> Result<(), IdentityError> {
        let path = self.folder.join(name);
        let new = self.folder.join(format!("{name}.new"));
        let write = || -> std::io::Result<()> {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(text.expose().as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            fs::File::open(&self.folder)?.sync_all()
        };
        write().map_err(|source| IdentityError::Folder { path, source })
    }
}

/// Makes a folder for the owner only, in place of what was there.
fn make_anew(folder: &Path) -> Result<(), IdentityError> {
    remove(folder)?;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.map_err(|source| IdentityError::Folder {
        path: folder.to_owned(),
        source,
    })
}

fn remove(folder: &Path) -> Result<(), IdentityError> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(IdentityError::Folder {
                path: folder.to_owned(),
                source,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn beginning(ticket: &str) -> Beginning<'static> {
        Beginning {
            site: "acme/depot-1".parse().unwrap(),
            urls: vec!["tls://nats.example:4222".into()],
            coordinator: "X".into(),
            authority: "O".into(),
            ticket: ticket.into(),
            ca: "",
            boot: Secret::new("boot"),
        }
    }

    #[test]
    fn a_join_that_was_cut_off_goes_on_with_the_same_keys() {
        let data = tempfile::tempdir().unwrap();
        let first = Identity::begin(data.path(), &beginning("one")).unwrap();
        assert!(
            Identity::read(data.path()).unwrap().is_none(),
            "not joined yet"
        );
        let again = Identity::begin(data.path(), &beginning("one")).unwrap();
        assert_eq!(first.user_key().unwrap(), again.user_key().unwrap());
        let other = Identity::begin(data.path(), &beginning("two")).unwrap();
        assert_ne!(first.facts.ticket, other.facts.ticket);
        let key = other.user_key().unwrap();
        other.store_token("a.b.c").unwrap();
        other.finish(data.path()).unwrap();
        let joined = Identity::read(data.path()).unwrap().unwrap();
        assert_eq!(joined.user_key().unwrap(), key);
        assert_eq!(joined.token().as_deref(), Some("a.b.c"));
        assert_eq!(joined.settings().ca_file, None);
    }

    #[test]
    fn new_keys_take_the_place_of_the_old_ones_whole() {
        let data = tempfile::tempdir().unwrap();
        let first = Identity::begin(data.path(), &beginning("one")).unwrap();
        first.store_token("a.b.c").unwrap();
        let old = first.finish(data.path()).unwrap();
        let next = old.next().unwrap();
        let (key, sealing) = (next.user_key().unwrap(), old.curve_key().unwrap());
        assert_ne!(old.user_key().unwrap(), key);
        assert_eq!(
            old.next().unwrap().user_key().unwrap(),
            key,
            "named once only"
        );
        assert!(!old.is_unused());
        next.store_token("d.e.f").unwrap();
        old.give_way_to(next).unwrap();
        // The same value, as its users have it, is now the new identity.
        assert_eq!(old.user_key().unwrap(), key);
        assert_eq!(old.token().as_deref(), Some("d.e.f"));
        assert_eq!(old.curve_of(&sealing).unwrap().public_key(), sealing);
        assert_ne!(old.curve_of("other").unwrap().public_key(), sealing);
        assert!(old.is_unused());
        old.note_used().unwrap();
        assert!(!old.is_unused());
        assert_ne!(old.next().unwrap().user_key().unwrap(), key, "once more");
    }

    #[test]
    fn an_exchange_that_was_cut_off_leaves_the_old_identity() {
        let data = tempfile::tempdir().unwrap();
        let first = Identity::begin(data.path(), &beginning("one")).unwrap();
        let old = first.finish(data.path()).unwrap();
        let key = old.user_key().unwrap();
        fs::rename(data.path().join(FOLDER), data.path().join(REPLACED)).unwrap();
        let found = Identity::read(data.path()).unwrap().unwrap();
        assert_eq!(found.user_key().unwrap(), key);
    }

    #[test]
    fn nobody_else_reads_the_folder() {
        let data = tempfile::tempdir().unwrap();
        let identity = Identity::begin(data.path(), &beginning("one")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&identity.folder), 0o700);
        for entry in fs::read_dir(&identity.folder).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
    }
}
