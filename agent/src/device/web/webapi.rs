//! The driver of the web API.

mod picture;

use tvtfleet_proto::device::edit::{Plan, Write};
use tvtfleet_proto::device::http::{Trouble, measure, search_time};
use tvtfleet_proto::device::webapi::{
    Dialect, Errand, Login, Query, Scope, Session, Step, flat, plan,
};
use tvtfleet_proto::device::xml::Element;
use tvtfleet_proto::error::{ErrorCode, ErrorKind};
use tvtfleet_proto::model::answer::Answer as Found;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::time::UtcMillis;

use super::change::{Editor, change};
use super::link::Link;
use super::{answer, failure, permit};
use crate::budget::{LoginPermit, Spent};
use crate::device::interface::{Answer, Device, DeviceError, Support};
use crate::device::order::ChangeOrder;
use crate::device::visit::Visit;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Message<'a> {
    /// A question.
    Query(Query),
    /// A change.
    Write(&'a Write),
}

/// One device, over its web API.
#[derive(Debug)]
pub(crate) struct WebApiDevice<'a> {
    pub(super) visit: Visit<'a>,
    link: Link<'a>,
    session: Session,
    /// What bounds searches, on the device's clock.
    scope: Scope,
    permit: Option<LoginPermit<'a>>,
    /// When the last request went and its answer came.
    last_exchange: (UtcMillis, UtcMillis),
}

impl<'a> WebApiDevice<'a> {
    /// A driver for one visit; nothing is opened yet. A patient one looks longer for the port.
    pub(crate) fn new(visit: Visit<'a>, patient: bool) -> Self {
        let known = visit.site.web_known.of(&visit.target.endpoint);
        Self {
            visit,
            link: Link::new(visit, patient),
            session: Session::new(known.dialect),
            scope: Scope {
                from: visit.scope.from.clone(),
                to: visit.scope.to.clone(),
            },
            permit: None,
            last_exchange: (UtcMillis::new(0), UtcMillis::new(0)),
        }
    }

    /// Whether the device has accepted the credential on this visit.
    pub(crate) const fn is_logged_in(&self) -> bool {
        self.session.accepted()
    }

    /// Asks only who the device is.
    pub(crate) async fn identity(&mut self) -> Result<Answer, Failure> {
        let Some(errand) = Errand::new(Ask::Info, None) else {
            return Ok(Answer::default());
        };
        let errand = self.run(errand).await?;
        let found = errand.finish().map_err(|trouble| self.failed(trouble))?;
        Ok(answer(Ask::Scan, found))
    }

    async fn run(&mut self, mut errand: Errand) -> Result<Errand, Failure> {
        while let Some(query) = errand.question() {
            let result = self.question(query).await?;
            let endpoint = &self.visit.target.endpoint;
            let dialect = self.session.dialect();
            if result.is_ok() {
                self.visit
                    .site
                    .web_known
                    .learn(endpoint, |known| known.dialect = Some(dialect));
            }
            errand
                .take(dialect, result)
                .map_err(|trouble| self.failed(trouble))?;
        }
        Ok(errand)
    }

    /// Asks one question until the device answers it. The outer error ends the visit.
    async fn question(&mut self, query: Query) -> Result<Result<Element, Trouble>, Failure> {
        self.exchange(Message::Query(query)).await
    }

    /// Sends a message until the device takes it; only refusals before it was looked at are answered.
    pub(super) async fn exchange(
        &mut self,
        message: Message<'_>,
    ) -> Result<Result<Element, Trouble>, Failure> {
        let scope = self.scope.clone();
        loop {
            let random = uuid::Uuid::new_v4().as_u128();
            let credential = self.visit.gate.credential;
            let request = match message {
                Message::Query(query) => self.session.request(query, &scope, credential, random),
                Message::Write(write) => self.session.write(write, credential, random),
            };
            let request = match request {
                Ok(request) => request,
                Err(trouble) => return Ok(Err(trouble)),
            };
            let sent = self.visit.site.clock.now();
            let response = self.link.send(&request).await.map_err(|failure| Failure {
                credentials_sent: self.in_vain(),
                ..failure
            })?;
            self.last_exchange = (sent, self.visit.site.clock.now());
            match self.session.read(&response) {
                Ok(Step::Done(root)) => {
                    self.settle(Spent::Accepted);
                    return Ok(Ok(root));
                }
                Ok(Step::Again) => {}
                Ok(Step::Login(login)) => self.ask_gate(login).await?,
                Err(trouble) => {
                    let refused = trouble.code.kind() == ErrorKind::Credentials;
                    self.settle(spent(&trouble));
                    return if refused {
                        Err(self.failed(trouble))
                    } else {
                        Ok(Err(trouble))
                    };
                }
            }
        }
    }

    /// Tells the bounds of a search on the device's clock, where they are in UTC.
    async fn settle_scope(&mut self) -> Result<(), Failure> {
        if !self.scope.from.ends_with('Z') && !self.scope.to.ends_with('Z') {
            return Ok(());
        }
        let Some(errand) = Errand::new(Ask::Clock, None) else {
            return Ok(());
        };
        let errand = self.run(errand).await?;
        let found = errand.finish().map_err(|trouble| self.failed(trouble))?;
        let clock = match found.answer {
            Some(Found::Clock(readings)) => readings.into_iter().next(),
            _ => None,
        };
        let zone = clock.and_then(|clock| clock.time_zone);
        let told = |text: &str| search_time(zone.as_deref(), text);
        let Some((from, to)) = told(&self.scope.from).zip(told(&self.scope.to)) else {
            let text = "the range or the device's time zone cannot be understood";
            return Err(Failure::new(ErrorCode::BadAnswer, text));
        };
        self.scope = Scope { from, to };
        Ok(())
    }

    async fn ask_gate(&mut self, login: Login) -> Result<(), Failure> {
        let Visit { target, site, .. } = self.visit;
        let shown = login.shows_password && !self.link.is_private();
        if shown && !site.policy.plaintext_login.covers(target.trusted) {
            let text = "the device wants the password in clear, which this site's policy forbids";
            return Err(Failure::new(ErrorCode::PolicyRefused, text));
        }
        self.permit = Some(permit(self.visit).await?);
        self.session.login();
        Ok(())
    }

    fn settle(&mut self, spent: Spent) {
        if let Some(permit) = self.permit.take() {
            permit.settle(spent);
        }
    }

    fn in_vain(&self) -> bool {
        self.session.shown() && !self.session.accepted()
    }

    fn failed(&self, trouble: Trouble) -> Failure {
        let refused = trouble.code.kind() == ErrorKind::Credentials;
        failure(trouble, self.in_vain() || (refused && self.session.shown()))
    }
}

impl Editor for WebApiDevice<'_> {
    async fn plans(&mut self, ask: Ask, order: &ChangeOrder<'_>) -> Result<Vec<Plan>, Failure> {
        let reading = ask.reads().unwrap_or(ask);
        let Some(errand) = Errand::new(reading, self.visit.scope.channel) else {
            let text = "the web API cannot change this";
            return Err(Failure::new(ErrorCode::UnsupportedVariant, text));
        };
        let errand = self.run(errand.keeping()).await?;
        // A channel that does not say what it is cannot be changed with the others.
        if let Some(trouble) = errand.failure_of_a_channel() {
            return Err(self.failed(trouble.clone()));
        }
        if self.session.dialect() != Dialect::Flat {
            let text = "this dialect of the web API changes nothing";
            return Err(Failure::new(ErrorCode::CommandUnsupported, text));
        }
        let documents = errand.into_documents();
        let (sent, received) = self.last_exchange;
        let mut plans = Vec::new();
        for (query, root) in &documents {
            let mut reading = None;
            if ask == Ask::SetClock {
                let mut clock = flat::clock(root).map_err(|trouble| self.failed(trouble))?;
                measure(&mut clock, sent, received);
                reading = Some(clock);
            }
            let now = self.visit.site.clock.now().millis();
            let clock = reading.as_ref().map(|reading| (reading, now));
            plans.push(
                plan(ask, root, query.channel(), order.settings, clock)
                    .map_err(|trouble| self.failed(trouble))?,
            );
        }
        Ok(plans)
    }

    async fn write(&mut self, write: &Write) -> Result<Result<(), Trouble>, Failure> {
        Ok(self.exchange(Message::Write(write)).await?.map(drop))
    }

    async fn renew(&mut self) {
        // Every request stands alone.
    }
}

/// What a failed answer to a login says of it: a refusal counts, and so does what is no answer of this
/// interface. Its other failures come after the device took the credential.
fn spent(trouble: &Trouble) -> Spent {
    if trouble.code == ErrorCode::AccountLocked {
        Spent::Locked { retry_after: None }
    } else if matches!(
        trouble.code.kind(),
        ErrorKind::Credentials | ErrorKind::Protocol
    ) {
        Spent::OneTry
    } else {
        Spent::Accepted
    }
}

impl Device for WebApiDevice<'_> {
    fn backend(&self) -> Backend {
        Backend::WebApi
    }

    fn supports(&self, ask: Ask) -> Support {
        if Errand::new(ask.reads().unwrap_or(ask), None).is_some() || ask == Ask::Reboot {
            Support::Full
        } else {
            Support::None
        }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Answer, DeviceError> {
        if let Some(order) = self.visit.change {
            return Ok(if ask == Ask::Reboot {
                self.reboot(&order).await?
            } else {
                change(self, ask, &order).await?
            });
        }
        let Some(errand) = Errand::new(ask, self.visit.scope.channel) else {
            let text = "the web API cannot answer this";
            return Err(Failure::new(ErrorCode::UnsupportedVariant, text).into());
        };
        self.settle_scope().await?;
        let errand = self.run(errand).await?;
        let mut found = errand.finish().map_err(|trouble| self.failed(trouble))?;
        if let Some(Found::Clock(readings)) = &mut found.answer {
            let (sent, received) = self.last_exchange;
            readings
                .iter_mut()
                .for_each(|reading| measure(reading, sent, received));
        }
        Ok(answer(ask, found))
    }

    async fn close(self) {
        // Every request shows its credential: there is no session to end.
    }
}
