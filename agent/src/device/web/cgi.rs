//! The driver of the recorders' pages.

use tokio::time::timeout_at;
use tvtfleet_proto::device::cgi::{Command, Errand, Reply, Session, Variant};
use tvtfleet_proto::device::http::Trouble;
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::secret::Credential;

use super::link::Link;
use super::{answer, failure};
use crate::budget::Spent;
use crate::device::interface::{Answer, Device, DeviceError, Support};
use crate::device::visit::Visit;

/// One recorder, by the interface of its pages.
#[derive(Debug)]
pub(crate) struct CgiDevice<'a> {
    visit: Visit<'a>,
    link: Link<'a>,
    session: Session,
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
        let credential = self.credential()?;
        let address = self.visit.target.endpoint.host.to_string();
        while let Some(command) = errand.question().cloned() {
            let result = self.question(&command, credential).await?;
            errand
                .take(&address, result)
                .map_err(|trouble| failure(trouble, false))?;
        }
        let found = errand.finish().map_err(|trouble| failure(trouble, false))?;
        Ok(answer(ask, found))
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
    async fn login(&mut self, credential: &Credential) -> Result<(), Failure> {
        let Visit {
            target, site, gate, ..
        } = self.visit;
        let hello = self.session.hello();
        let response = self.link.send(&hello).await?;
        let variant = self
            .session
            .on_hello(&response)
            .map_err(|trouble| failure(trouble, false))?;
        if variant == Variant::Legacy && !(site.web.legacy_login && self.may_show_password()) {
            let text = "the recorder wants the password itself, as very old firmware does; \
                        this site does not allow it";
            return Err(Failure::new(ErrorCode::PolicyRefused, text));
        }
        let request = self
            .session
            .login(credential)
            .map_err(|trouble| failure(trouble, false))?;
        let leave = timeout_at(self.visit.deadline.into(), gate.pass(target.known_mac)).await;
        let permit = match leave {
            Ok(Ok(permit)) => permit,
            Ok(Err(barred)) => return Err(barred),
            Err(_) => {
                let text = "the time for the device ran out";
                return Err(Failure::new(ErrorCode::DeviceDeadline, text));
            }
        };
        // Without an answer nobody knows whether the try counted; the permit then counts as spent.
        let response = self.link.send(&request).await.map_err(|failure| Failure {
            credentials_sent: true,
            ..failure
        })?;
        match self.session.on_login(credential, &response) {
            Ok(()) => {
                permit.settle(Spent::Accepted);
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

    fn may_show_password(&self) -> bool {
        let Visit { target, site, .. } = self.visit;
        self.link.is_private() || site.policy.plaintext_login.covers(target.trusted)
    }

    fn credential(&self) -> Result<&'a Credential, Failure> {
        self.visit.gate.credential.ok_or_else(|| {
            let text = "no credential is known for this device";
            Failure::new(ErrorCode::CredentialMissing, text)
        })
    }
}

impl Device for CgiDevice<'_> {
    fn backend(&self) -> Backend {
        Backend::Cgi
    }

    fn supports(&self, ask: Ask) -> Support {
        if Errand::new(ask, None).is_some() {
            Support::Full
        } else {
            Support::None
        }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Answer, DeviceError> {
        let Some(errand) = Errand::new(ask, self.visit.scope.channel) else {
            let text = "the recorders' pages cannot answer this";
            return Err(Failure::new(ErrorCode::UnsupportedVariant, text).into());
        };
        Ok(self.errand(ask, errand).await?)
    }

    async fn close(mut self) {
        let Some(credential) = self.visit.gate.credential else {
            return;
        };
        if let Some(request) = self.session.logout(credential) {
            self.link.leave(&request).await;
        }
    }
}
