//! Operator, account and users of a nats-server that checks JWTs, as a fleet's servers do.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// One operator with one account, without a system account and so without JetStream.
#[derive(Debug)]
pub struct Identity {
    operator: KeyPair,
    account: KeyPair,
}

/// A user with a credentials file.
#[derive(Debug)]
pub struct User {
    /// The public key.
    pub key: String,
    /// The file with the JWT and the seed.
    pub file: PathBuf,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            account: KeyPair::new_account(),
        }
    }
}

impl Identity {
    /// The lines for the server's configuration.
    #[must_use]
    pub fn configuration(&self) -> String {
        let (operator, account) = (self.operator.public_key(), self.account.public_key());
        let operator_jwt = jwt(
            &self.operator,
            &operator,
            json!({ "type": "operator", "version": 2 }),
        );
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
            "conn": -1, "leaf": -1,
        });
        let account_jwt = jwt(
            &self.operator,
            &account,
            json!({ "type": "account", "version": 2, "limits": limits }),
        );
        format!(
            "operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload: {{ {account}: {account_jwt} }}\n"
        )
    }

    /// Makes a user who may publish and subscribe to what `permit` makes of the public key, and
    /// writes the credentials file.
    ///
    /// # Panics
    ///
    /// The file cannot be written.
    pub fn user(&self, file: &Path, permit: impl Fn(&str) -> (Vec<String>, Vec<String>)) -> User {
        let pair = KeyPair::new_user();
        let key = pair.public_key();
        let (publish, subscribe) = permit(&key);
        let claims = json!({
            "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1,
            "pub": { "allow": publish }, "sub": { "allow": subscribe },
        });
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            jwt(&self.account, &key, claims),
            pair.seed().expect("a new pair has its seed"),
        );
        std::fs::write(file, text).expect("the credentials file can be written");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))
            .expect("our own file");
        User {
            key,
            file: file.to_owned(),
        }
    }
}

fn jwt(issuer: &KeyPair, subject: &str, claims: Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let body = part(json!({
        "jti": "test", "iat": 1_700_000_000, "iss": issuer.public_key(), "name": subject,
        "sub": subject, "nats": claims,
    }));
    let signed = format!("{head}.{body}");
    let signature = issuer.sign(signed.as_bytes()).expect("a new pair signs");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
