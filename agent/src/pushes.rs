//! Takes the device credentials that operators push to the site, and says what became of each.
//!
//! A push counts only where an operator of the authority's list signed it for this agent's sealing key,
//! and where its version is higher than any that the label had. What is taken goes into the vault before
//! the answer goes into the spool; the want document names the push until the coordinator has that answer,
//! so that neither can be lost, and a push that comes again is answered as before.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tvtfleet_bus::clock::Clock;
use tvtfleet_bus::trust::{CredentialPush, OperatorList, SignedDocument};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::push::CredentialAnswer;
use tvtfleet_proto::model::signed::SignedStatement;
use tvtfleet_proto::model::want::OutItem;
use uuid::Uuid;

use crate::chain::Chain;
use crate::identity::Identity;
use crate::outbox::{Stopped, WriterHandle};
use crate::vault::{Entry, PushFault, VaultFile};

/// The most pushes of one document that are looked at; the coordinator sends fewer.
const LOOKED_AT: usize = 256;

/// Hands on what the newest want document pushes. Older ones that were not looked at yet are dropped: the
/// newest names everything that is not answered.
#[derive(Debug)]
pub(crate) struct Pushed(watch::Sender<Newest>);

#[derive(Clone, Debug, Default)]
struct Newest {
    credentials: Vec<SignedStatement>,
    operators: Option<OperatorList>,
}

/// The task that takes them.
pub(crate) struct Taker {
    identity: Identity,
    vault: Option<VaultFile>,
    writer: WriterHandle,
    clock: Arc<dyn Clock>,
    newest: watch::Receiver<Newest>,
}

pub(crate) fn channel(
    identity: Identity,
    vault: Option<VaultFile>,
    writer: WriterHandle,
    clock: Arc<dyn Clock>,
) -> (Pushed, Taker) {
    let (sender, newest) = watch::channel(Newest::default());
    let taker = Taker {
        identity,
        vault,
        writer,
        clock,
        newest,
    };
    (Pushed(sender), taker)
}

impl Pushed {
    pub(crate) fn hand_on(
        &self,
        credentials: &[SignedStatement],
        operators: Option<&OperatorList>,
    ) {
        let newest = Newest {
            credentials: credentials.iter().take(LOOKED_AT).cloned().collect(),
            operators: operators.cloned(),
        };
        self.0.send_replace(newest);
    }
}

impl Taker {
    /// Takes pushes until the agent stops.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let _stopped = stop.run_until_cancelled(self.take_all()).await;
    }

    async fn take_all(&mut self) -> Result<(), Stopped> {
        // What was answered, as long as it is still in the document.
        let mut answered: BTreeSet<Vec<u8>> = BTreeSet::new();
        while self.newest.changed().await.is_ok() {
            let newest = self.newest.borrow_and_update().clone();
            let named = newest.credentials.iter().map(|push| &push.signature);
            let named: BTreeSet<_> = named.cloned().collect();
            answered.retain(|signature| named.contains(signature));
            for signed in newest.credentials {
                if answered.insert(signed.signature.clone()) {
                    self.take(signed, newest.operators.as_ref()).await?;
                }
            }
        }
        Ok(())
    }

    async fn take(
        &self,
        signed: SignedStatement,
        operators: Option<&OperatorList>,
    ) -> Result<(), Stopped> {
        // Nobody can be told about a push that does not say which one it is.
        let Some(push) = named(&signed) else {
            tracing::warn!(error.r#type = %ErrorCode::PushRefused, "a pushed credential cannot be read");
            return Ok(());
        };
        let site = self.identity.site();
        let refused = match self.admit(signed, operators).await {
            Ok(label) => {
                tracing::info!(tvt.site.id = %site, %push, label, "a pushed credential is in the vault");
                None
            }
            Err((code, reason)) => {
                tracing::warn!(tvt.site.id = %site, %push, error.r#type = %code, error = reason, "a pushed credential is refused");
                Some(code)
            }
        };
        let answer = CredentialAnswer {
            push,
            at: self.clock.now(),
            refused,
        };
        self.writer.write(OutItem::Credential(answer), "").await?;
        Ok(())
    }

    /// Puts it into the vault. Returns its label.
    async fn admit(
        &self,
        signed: SignedStatement,
        operators: Option<&OperatorList>,
    ) -> Result<String, (ErrorCode, String)> {
        let refused = |reason: String| (ErrorCode::PushRefused, reason);
        let operators =
            operators.ok_or_else(|| refused("nobody said whose word counts".to_owned()))?;
        let push = operators
            .push(&SignedDocument::from(signed))
            .map_err(|fault| refused(fault.to_string()))?;
        let broken = |error: crate::identity::IdentityError| (error.code(), error.to_string());
        let curve = self.identity.curve_of(&push.reader).map_err(broken)?;
        push.check(self.identity.site(), &curve.public_key(), self.clock.now())
            .map_err(|fault| refused(fault.to_string()))?;
        let content = push
            .open(&curve)
            .map_err(|error| refused(error.to_string()))?;
        let selectors = content.selectors.iter().map(|text| text.parse());
        let selectors = selectors.collect::<Result<Vec<_>, _>>();
        let entry = Entry {
            credential: content.credential,
            selectors: selectors
                .map_err(|error: crate::vault::BadSelector| refused(error.to_string()))?,
            version: content.version,
            expires: content.expires,
        };
        let label = content.label.to_string();
        let vault = self.vault.clone().ok_or_else(|| {
            (
                ErrorCode::StorageIo,
                "there is no key for a vault".to_owned(),
            )
        })?;
        let stored = tokio::task::spawn_blocking(move || {
            vault.change(|book| book.take_push(content.label, entry, &push.id))
        });
        match stored.await {
            Ok(Ok(Ok(()))) => Ok(label),
            Ok(Ok(Err(fault @ PushFault::Replayed(_)))) => {
                Err((ErrorCode::PushReplayed, fault.to_string()))
            }
            Ok(Ok(Err(fault))) => Err(refused(fault.to_string())),
            Ok(Err(error)) => Err((error.code(), Chain(&error).to_string())),
            Err(error) => Err((ErrorCode::Internal, error.to_string())),
        }
    }
}

/// Which push it says it is. Whether that is true is not checked here.
fn named(signed: &SignedStatement) -> Option<Uuid> {
    let push: CredentialPush = serde_json::from_slice(&signed.statement).ok()?;
    push.id()
}
