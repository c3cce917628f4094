//! The driver of the recorders' pages.

use getrandom::SysRng;
use rand_core::UnwrapErr;
use tvtfleet_proto::device::cgi::{Command, Errand, KeyPair, Reply, Session, Variant, plans};
use tvtfleet_proto::device::edit::{Plan, Write};
use tvtfleet_proto::device::http::Trouble;
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::ask::{Ask, AskScope};
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::secret::Credential;

use super::change::{Editor, change};
use super::link::Link;
use super::settings::KeyLogin;
use super::{answer, failure, permit};
use crate::budget::Spent;
use crate::device::interface::{Answer, Device, DeviceError, Support};
use crate::device::order::ChangeOrder;
use crate::device::visit::Visit;

/// One recorder, by the interface of its pages.
#[derive(Debug)]
pub(crate) struct CgiDevice<'a> {
    pub(super) visit: Visit<'a>,
    link: Link<'a>,
    pub(super) session: Session,
    /// One expired session is opened again, not more.
    reopened: bool,
}

impl<'a> CgiDevice<'a> {
    /// A driver for one visit; nothing is opened yet. A patient one looks longer for the port.
    pub(crate) fn new(visit: Visit<'a>, patient: bool) -> Self {
        Self {
            visit,
            link: Link::new(visit, patient),
            session: Session::default(),
            reopened: false,
        }
    }

    /// Runs an errand and says what it found.
    pub(crate) async fn errand(&mut self, ask: Ask, mut errand: Errand) -> Result<Answer, Failure> {
        self.run(&mut errand).await?;
        let found = errand.finish().map_err(|trouble| failure(trouble, false))?;
        Ok(answer(ask, found))
    }

    async fn run(&mut self, errand: &mut Errand) -> Result<(), Failure> {
        let credential = self.credential()?;
        let address = self.visit.target.endpoint.host.to_string();
        while let Some(command) = errand.question().cloned() {
            let result = self.question(&command, credential).await?;
            errand
                .take(&address, result)
                .map_err(|trouble| failure(trouble, false))?;
        }
        Ok(())
    }

    /// Asks one question. The outer error ends the visit.
    async fn question(
        &mut self,
        command: &Command,
        credential: &Credential,
    ) -> Result<Result<Reply, Trouble>, Failure> {
        loop {
            if !self.session.logged_in() {
                self.login(credential).await?;
            }
            let request = self.session.ask(command, credential);
            let response = self.link.send(&request).await?;
            match self.session.read(&response) {
                Err(trouble) if trouble.code == ErrorCode::SessionExpired && !self.reopened => {
                    self.reopened = true;
                }
                Err(trouble) if trouble.code.kind() == ErrorKind::Credentials => {
                    return Err(failure(trouble, true));
                }
                other => return Ok(other),
            }
        }
    }

    /// Logs in, once, with the leave of whoever guards the credential.
    pub(super) async fn login(&mut self, credential: &Credential) -> Result<(), Failure> {
        let site = self.visit.site;
        let hello = self.session.hello();
        let response = self.link.send(&hello).await?;
        let variant = self
            .session
            .on_hello(&response)
            .map_err(|trouble| failure(trouble, false))?;
        let endpoint = &self.visit.target.endpoint;
        if variant == Variant::Legacy && site.web_known.of(endpoint).takes_proofs {
            let text = "the recorder took a proof of the password before and wants the password \
                        itself now, as somebody in its place would";
            return Err(Failure::new(ErrorCode::PolicyRefused, text));
        }
        if variant == Variant::Legacy && !(site.web.legacy_login && self.may_show_password()) {
            let text = "the recorder wants the password itself, as very old firmware does; \
                        this site does not allow it";
            return Err(Failure::new(ErrorCode::PolicyRefused, text));
        }
        if variant == Variant::Modern && self.sends_key() {
            self.session.send_key(key_pair().await?);
        }
        let request = self
            .session
            .login(credential)
            .map_err(|trouble| failure(trouble, false))?;
        let permit = permit(self.visit).await?;
        // Without an answer nobody knows whether the try counted; the permit then counts as spent.
        let response = self.link.send(&request).await.map_err(|failure| Failure {
            credentials_sent: true,
            ..failure
        })?;
        match self.session.on_login(credential, &response) {
            Ok(()) => {
                permit.settle(Spent::Accepted);
                if variant != Variant::Legacy {
                    site.web_known
                        .learn(endpoint, |known| known.takes_proofs = true);
                }
                Ok(())
            }
            Err(trouble) => {
                let spent = if trouble.code == ErrorCode::AccountLocked {
                    Spent::Locked { retry_after: None }
                } else if trouble.code == ErrorCode::Busy {
                    Spent::Nothing
                } else {
                    Spent::OneTry
                };
                permit.settle(spent);
                Err(failure(trouble, true))
            }
        }
    }

    /// Ends the session.
    pub(super) async fn leave(&mut self) {
        let Some(credential) = self.visit.gate.credential else {
            return;
        };
        if let Some(request) = self.session.logout(credential) {
            self.link.leave(&request).await;
        }
    }

    fn sends_key(&self) -> bool {
        match self.visit.site.web.key_login {
            KeyLogin::Never => false,
            KeyLogin::Announced => self.session.announces_keys(),
            KeyLogin::Always => true,
        }
    }

    fn may_show_password(&self) -> bool {
        let Visit { target, site, .. } = self.visit;
        self.link.is_private() || site.policy.plaintext_login.covers(target.trusted)
    }

    pub(super) fn credential(&self) -> Result<&'a Credential, Failure> {
        self.visit.gate.credential.ok_or_else(|| {
            let text = "no credential is known for this device";
            Failure::new(ErrorCode::CredentialMissing, text)
        })
    }
}

/// Makes a key pair beside the tasks of the network, for which it takes too long.
async fn key_pair() -> Result<KeyPair, Failure> {
    let made = tokio::task::spawn_blocking(|| KeyPair::generate(&mut UnwrapErr(SysRng)));
    let pair = made.await.ok().flatten();
    pair.ok_or_else(|| Failure::new(ErrorCode::Internal, "no key for the login could be made"))
}

impl Editor for CgiDevice<'_> {
    async fn plans(&mut self, ask: Ask, order: &ChangeOrder<'_>) -> Result<Vec<Plan>, Failure> {
        let Some(mut errand) = Errand::before(ask) else {
            let text = "the recorders' pages cannot change this";
            return Err(Failure::new(ErrorCode::UnsupportedVariant, text));
        };
        self.run(&mut errand).await?;
        let documents = errand.into_documents();
        plans(ask, &documents, self.visit.scope.channel, order.settings)
            .map_err(|trouble| failure(trouble, false))
    }

    async fn write(&mut self, write: &Write) -> Result<Result<(), Trouble>, Failure> {
        let credential = self.credential()?;
        let request = self
            .session
            .request(write.command, write.parts.clone(), credential);
        let response = self.link.send(&request).await?;
        Ok(self.session.read_change(write.command, &response).map(drop))
    }

    async fn renew(&mut self) {
        self.leave().await;
        // The end of a session that was asked for is not one that came by itself.
        self.reopened = false;
    }
}

impl Device for CgiDevice<'_> {
    fn backend(&self) -> Backend {
        Backend::Cgi
    }

    fn supports(&self, ask: Ask) -> Support {
        let changes = Errand::before(ask).is_some() || ask == Ask::SetPassword;
        if changes || Errand::new(ask, None).is_some() {
            Support::Full
        } else {
            Support::None
        }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Answer, DeviceError> {
        if let Some(order) = self.visit.change {
            return Ok(if ask == Ask::SetPassword {
                self.set_password(&order).await?
            } else {
                let answer = change(self, ask, &order).await?;
                self.wait_for_web_api(answer).await
            });
        }
        let Some(errand) = Errand::new(ask, self.visit.scope.channel) else {
            let text = "the recorders' pages cannot answer this";
            return Err(Failure::new(ErrorCode::UnsupportedVariant, text).into());
        };
        let AskScope { from, to, .. } = self.visit.scope;
        let errand = errand
            .within(from, to)
            .map_err(|trouble| failure(trouble, false))?;
        Ok(self.errand(ask, errand).await?)
    }

    async fn close(mut self) {
        self.leave().await;
    }
}
