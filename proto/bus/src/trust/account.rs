//! The operator and its accounts. The coordinator's account CORE owns all streams; each tenant has an
//! account without any, which reaches only its own part of CORE; operators and newcomers have one each.

use std::collections::BTreeMap;

use nkeys::KeyPair;
use serde::Serialize;
use tvtfleet_proto::model::id::TenantId;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::subject;

use super::token::{Claims, TrustError, sign};
use super::user::{CONNECTION_TYPES, Permissions, Rule};

/// The most connections of agents that one tenant may have.
const EDGE_CONNECTIONS: i64 = 10_000;
/// The most connections of newcomers at a time: what bounds the guessing of tickets.
const BOOT_CONNECTIONS: i64 = 50;
/// The largest message of a newcomer, in bytes.
const BOOT_PAYLOAD: i64 = 8 * 1024;
/// The largest message of an agent, in bytes.
const AGENT_PAYLOAD: i64 = 1024 * 1024;
/// The most subscriptions of one agent.
const AGENT_SUBSCRIPTIONS: i64 = 16;
/// The most subscriptions of one operator's connection.
const OPERATOR_SUBSCRIPTIONS: i64 = 64;
/// The placeholder by which the server fills in the site of an agent.
const SITE_TAG: &str = "{{tag(site)}}";
/// The placeholder by which the server fills in a user's public key.
const USER: &str = "{{subject()}}";
const UNLIMITED: i64 = -1;

/// Writes the operator's token: who signs accounts, and which account is the servers' own.
///
/// # Errors
///
/// `trust.invalid`.
pub fn operator_token(
    name: &str,
    operator: &KeyPair,
    signing: &KeyPair,
    system: &KeyPair,
    now: UtcMillis,
) -> Result<String, TrustError> {
    #[derive(Serialize)]
    struct Operator {
        signing_keys: [String; 1],
        system_account: String,
        r#type: &'static str,
        version: u8,
    }
    let nats = Operator {
        signing_keys: [signing.public_key()],
        system_account: system.public_key(),
        r#type: "operator",
        version: 2,
    };
    let subject = operator.public_key();
    let claims = Claims {
        name,
        subject: &subject,
        issued_at: now,
        expires_at: None,
        nats: &nats,
    };
    sign(&claims, operator)
}

/// An account before it is signed.
#[derive(Clone, Debug)]
pub struct Account {
    name: String,
    public_key: String,
    nats: Nats,
}

#[derive(Clone, Debug, Serialize)]
struct Nats {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    imports: Vec<Import>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exports: Vec<Export>,
    limits: Limits,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signing_keys: Vec<Scope>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    revocations: BTreeMap<String, i64>,
    r#type: &'static str,
    version: u8,
}

#[derive(Clone, Debug, Serialize)]
struct Import {
    name: String,
    subject: String,
    account: String,
    r#type: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct Export {
    name: String,
    subject: String,
    r#type: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct Limits {
    subs: i64,
    data: i64,
    payload: i64,
    imports: i64,
    exports: i64,
    wildcards: bool,
    conn: i64,
    leaf: i64,
    mem_storage: i64,
    disk_storage: i64,
    streams: i64,
    consumer: i64,
}

/// A key that may sign users of one role only, with what such users may do.
#[derive(Clone, Debug, Serialize)]
struct Scope {
    kind: &'static str,
    key: String,
    role: &'static str,
    template: Template,
}

#[derive(Clone, Debug, Serialize)]
struct Template {
    #[serde(flatten)]
    permissions: Permissions,
    subs: i64,
    data: i64,
    payload: i64,
    allowed_connection_types: [&'static str; 2],
}

impl Limits {
    /// No streams and no leaf nodes, whatever else is allowed.
    const fn without_streams(connections: i64, payload: i64) -> Self {
        Self {
            subs: UNLIMITED,
            data: UNLIMITED,
            payload,
            imports: UNLIMITED,
            exports: UNLIMITED,
            wildcards: true,
            conn: connections,
            leaf: 0,
            mem_storage: 0,
            disk_storage: 0,
            streams: 0,
            consumer: 0,
        }
    }
}

impl Account {
    fn new(name: impl Into<String>, key: &KeyPair, limits: Limits) -> Self {
        Self {
            name: name.into(),
            public_key: key.public_key(),
            nats: Nats {
                imports: Vec::new(),
                exports: Vec::new(),
                limits,
                signing_keys: Vec::new(),
                revocations: BTreeMap::new(),
                r#type: "account",
                version: 2,
            },
        }
    }

    /// The account's public key.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// Refuses users whose tokens were issued at or before a moment, by public key. `*` is every user.
    #[must_use]
    pub fn revoking<'a>(
        mut self,
        users: impl IntoIterator<Item = (&'a String, &'a UtcMillis)>,
    ) -> Self {
        let seconds = |at: &UtcMillis| at.millis().div_euclid(1000);
        self.nats.revocations = users
            .into_iter()
            .map(|(user, at)| (user.clone(), seconds(at)))
            .collect();
        self
    }

    /// Signs the account's token with a key of the operator.
    ///
    /// # Errors
    ///
    /// `trust.invalid`.
    pub fn sign(&self, operator: &KeyPair, now: UtcMillis) -> Result<String, TrustError> {
        let claims = Claims {
            name: &self.name,
            subject: &self.public_key,
            issued_at: now,
            expires_at: None,
            nats: &self.nats,
        };
        sign(&claims, operator)
    }

    fn export(&mut self, name: &str, subject: &str, kind: &'static str) {
        self.nats.exports.push(Export {
            name: name.to_owned(),
            subject: subject.to_owned(),
            r#type: kind,
        });
    }

    fn import(&mut self, name: &str, subject: String, account: &str, kind: &'static str) {
        self.nats.imports.push(Import {
            name: name.to_owned(),
            subject,
            account: account.to_owned(),
            r#type: kind,
        });
    }

    fn scope(
        &mut self,
        key: &KeyPair,
        role: &'static str,
        permissions: Permissions,
        subs: i64,
        payload: i64,
    ) {
        self.nats.signing_keys.push(Scope {
            kind: "user_scope",
            key: key.public_key(),
            role,
            template: Template {
                permissions,
                subs,
                data: UNLIMITED,
                payload,
                allowed_connection_types: CONNECTION_TYPES,
            },
        });
    }
}

/// The servers' own account.
#[must_use]
pub fn system_account(key: &KeyPair) -> Account {
    Account::new("SYS", key, Limits::without_streams(UNLIMITED, UNLIMITED))
}

/// The coordinator's account: the only one with streams.
#[must_use]
pub fn core_account(key: &KeyPair) -> Account {
    let limits = Limits {
        mem_storage: UNLIMITED,
        disk_storage: UNLIMITED,
        streams: UNLIMITED,
        consumer: UNLIMITED,
        ..Limits::without_streams(UNLIMITED, UNLIMITED)
    };
    let mut account = Account::new("CORE", key, limits);
    for (name, subject) in [
        ("results", subject::OUT_TREE),
        ("blobs", subject::BLOB_TREE),
        ("requests of agents", subject::RPC_TREE),
        ("requests of operators", subject::API_TREE),
        ("enrolment", subject::ENROLL),
        ("want documents", subject::WANT_GET_TREE),
    ] {
        account.export(name, subject, "service");
    }
    account.export("pushes", subject::PUSH_TREE, "stream");
    account
}

/// The account of one tenant's agents. Users signed by `agents` are agents, and nothing else.
#[must_use]
pub fn edge_account(tenant: &TenantId, key: &KeyPair, agents: &KeyPair, core: &str) -> Account {
    let limits = Limits::without_streams(EDGE_CONNECTIONS, AGENT_PAYLOAD);
    let mut account = Account::new(format!("EDGE_{tenant}"), key, limits);
    let names = ["results", "blobs", "requests", "want documents"];
    for (name, subject) in names.into_iter().zip(subject::tenant_services(tenant)) {
        account.import(name, subject, core, "service");
    }
    account.import("pushes", subject::tenant_pushes(tenant), core, "stream");
    let permissions = Permissions {
        publish: Rule::allowing(subject::agent_publishes(tenant, SITE_TAG)),
        subscribe: Rule::allowing([
            subject::inbox_of(USER),
            subject::agent_hears(tenant, SITE_TAG),
        ]),
    };
    account.scope(
        agents,
        "agent",
        permissions,
        AGENT_SUBSCRIPTIONS,
        AGENT_PAYLOAD,
    );
    account
}

/// The operators' account. Users signed by `operators` may send requests of their own, no others.
#[must_use]
pub fn ops_account(key: &KeyPair, operators: &KeyPair, core: &str) -> Account {
    let limits = Limits::without_streams(UNLIMITED, AGENT_PAYLOAD);
    let mut account = Account::new("OPS", key, limits);
    account.import("requests", subject::API_TREE.to_owned(), core, "service");
    let permissions = Permissions {
        publish: Rule::allowing([subject::api_of(USER)]),
        subscribe: Rule::allowing([subject::inbox_of(USER)]),
    };
    account.scope(
        operators,
        "ops",
        permissions,
        OPERATOR_SUBSCRIPTIONS,
        AGENT_PAYLOAD,
    );
    account
}

/// The account of newcomers. Users signed by `newcomers` reach nothing but the enrolment.
#[must_use]
pub fn boot_account(key: &KeyPair, newcomers: &KeyPair, core: &str) -> Account {
    let limits = Limits::without_streams(BOOT_CONNECTIONS, BOOT_PAYLOAD);
    let mut account = Account::new("BOOT", key, limits);
    account.import("enrolment", subject::ENROLL.to_owned(), core, "service");
    let permissions = Permissions {
        publish: Rule::allowing([subject::ENROLL.to_owned()]),
        subscribe: Rule::allowing([subject::inbox_of(USER)]),
    };
    account.scope(newcomers, "boot", permissions, 2, BOOT_PAYLOAD);
    account
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(account: &Account) -> serde_json::Value {
        serde_json::to_value(&account.nats).unwrap()
    }

    #[test]
    fn a_tenant_reaches_only_its_own_part_and_owns_nothing() {
        let (key, agents) = (KeyPair::new_account(), KeyPair::new_account());
        let tenant = "acme".parse().unwrap();
        let claims = claims(&edge_account(&tenant, &key, &agents, "ACORE"));
        for import in claims["imports"].as_array().unwrap() {
            assert!(
                import["subject"].as_str().unwrap().contains(".acme."),
                "{import}"
            );
            assert_eq!(import["account"], "ACORE");
        }
        assert_eq!(claims["exports"], serde_json::Value::Null);
        for limit in ["mem_storage", "disk_storage", "streams", "consumer", "leaf"] {
            assert_eq!(claims["limits"][limit], 0, "{limit}");
        }
        let scope = &claims["signing_keys"][0];
        assert_eq!(scope["key"], agents.public_key());
        assert_eq!(
            scope["template"]["sub"]["allow"].as_array().unwrap().len(),
            2
        );
        assert_eq!(
            scope["template"]["resp"],
            serde_json::Value::Null,
            "agents never answer"
        );
    }

    #[test]
    fn only_core_has_streams_and_only_core_offers_anything() {
        let key = KeyPair::new_account();
        assert_eq!(claims(&core_account(&key))["limits"]["streams"], -1);
        for other in [
            system_account(&key),
            ops_account(&key, &key, "A"),
            boot_account(&key, &key, "A"),
        ] {
            let claims = claims(&other);
            assert_eq!(claims["limits"]["streams"], 0, "{}", other.name);
            assert_eq!(claims["exports"], serde_json::Value::Null, "{}", other.name);
        }
    }
}
