//! The driver of the TVT binary protocol: moves bytes and timers between a TCP connection and a
//! [`Session`], which decides everything but the login; that is the gate's.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{sleep_until, timeout};
use tvtfleet_proto::device::tvt::{Event, Goal, Limits, Outcome, Session, SessionConfig};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::Backend;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::report::Failure;
use zeroize::{Zeroize, Zeroizing};

use super::connect::connect;
use super::facts::answer;
use super::interface::{Answer, Device, DeviceError, Support};
use super::visit::Visit;
use crate::budget::{LoginPermit, Spent};

/// Bytes read at a time; a channel list of 32 cameras takes one or two reads.
const READ_BUFFER: usize = 8192;
/// Time for the last frame to leave. A socket that takes nothing is closed all the same.
const LEAVE: Duration = Duration::from_millis(500);

/// One device, over the binary protocol.
#[derive(Debug)]
pub(crate) struct ProtocolDevice<'a> {
    visit: Visit<'a>,
    leaving: Option<Leaving>,
}

/// A finished session whose connection is still open.
#[derive(Debug)]
struct Leaving {
    stream: TcpStream,
    last_words: Zeroizing<Vec<u8>>,
}

impl<'a> ProtocolDevice<'a> {
    /// A driver for one visit; nothing is opened yet.
    pub(crate) const fn new(visit: Visit<'a>) -> Self {
        Self {
            visit,
            leaving: None,
        }
    }

    fn session_config(&self, ask: Ask, now: Instant) -> SessionConfig {
        let Visit {
            target,
            site,
            deadline,
            ..
        } = self.visit;
        let settings = &site.protocol;
        let goal = if ask == Ask::Probe {
            Goal::Probe
        } else {
            Goal::Scan
        };
        SessionConfig {
            // The session ends within the device's deadline by itself: what came before that, counts.
            limits: Limits {
                session: deadline.saturating_duration_since(now),
                ..settings.limits
            },
            key_source: settings.key_source,
            allow_plaintext: site.policy.plaintext_login.covers(target.trusted),
            allow_xor: site.policy.xor_login.covers(target.trusted),
            allow_empty_password: settings.allow_empty_password,
            tunnel: settings.tunnel,
            tunnel_first: site.paths.first(&target.endpoint),
            ..SessionConfig::new(goal)
        }
    }
}

impl Device for ProtocolDevice<'_> {
    fn backend(&self) -> Backend {
        Backend::Protocol
    }

    fn supports(&self, ask: Ask) -> Support {
        if matches!(ask, Ask::Scan | Ask::Probe) {
            Support::Full
        } else {
            Support::None
        }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Answer, DeviceError> {
        if self.supports(ask) == Support::None {
            let text = "the binary protocol cannot answer this";
            return Err(Failure::new(ErrorCode::UnsupportedVariant, text).into());
        }
        let Visit {
            target, site, gate, ..
        } = self.visit;
        let mut stream = connect(self.visit).await?;
        let now = Instant::now();
        let credential = if ask.needs_login() {
            gate.credential.cloned()
        } else {
            None
        };
        let session = Session::new(now, self.session_config(ask, now), credential);
        let (outcome, last_words) = Drive::new(self.visit, session, &mut stream).run().await?;
        self.leaving = Some(Leaving { stream, last_words });
        if let Some(path) = outcome.working_path() {
            site.paths.learn(&target.endpoint, path);
        }
        answer(outcome, &site.protocol)
    }

    async fn close(self) {
        let Some(Leaving {
            mut stream,
            last_words,
        }) = self.leaving
        else {
            return;
        };
        let goodbye = async {
            stream.write_all(&last_words).await?;
            stream.shutdown().await
        };
        match timeout(LEAVE, goodbye).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::trace!(%error, "the device did not hear the logout"),
            Err(_) => tracing::trace!("the device did not take the logout"),
        }
    }
}

/// One session on one connection.
struct Drive<'a, 's> {
    visit: Visit<'a>,
    session: Session,
    reader: ReadHalf<'s>,
    writer: WriteHalf<'s>,
    /// What the session wants sent and the socket has not taken. May hold a login.
    outgoing: Zeroizing<Vec<u8>>,
    mac: Option<MacAddr>,
    permit: Option<LoginPermit<'a>>,
    /// Why the gate did not let the login pass, in words.
    refusal: Option<String>,
}

impl<'a, 's> Drive<'a, 's> {
    fn new(visit: Visit<'a>, session: Session, stream: &'s mut TcpStream) -> Self {
        let (reader, writer) = stream.split();
        let outgoing = Zeroizing::default();
        Self {
            visit,
            session,
            reader,
            writer,
            outgoing,
            mac: None,
            permit: None,
            refusal: None,
        }
    }

    /// Runs the session to its end; returns its outcome and what is left to send.
    async fn run(mut self) -> Result<(Outcome, Zeroizing<Vec<u8>>), DeviceError> {
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            // Events come first: the one that ends the session leaves the logout for later.
            while let Some(event) = self.session.poll_event() {
                match event {
                    Event::Greeting(greeting) => self.mac = Some(greeting.mac),
                    Event::LoginRequested(offer) => {
                        tracing::debug!(?offer, "login");
                        self.ask_gate().await;
                    }
                    Event::LoggedIn(_) => {}
                    Event::Finished(mut outcome) => {
                        self.settle(&outcome);
                        self.explain(&mut outcome);
                        self.collect();
                        return Ok((*outcome, self.outgoing));
                    }
                }
            }
            self.collect();
            let Some(end) = self.session.poll_timeout() else {
                let text = "the session ended without an outcome";
                return Err(Failure::new(ErrorCode::Internal, text).into());
            };
            tokio::select! {
                biased;
                () = self.visit.cancel.cancelled() => self.session.cancel(),
                sent = self.writer.write(&self.outgoing), if !self.outgoing.is_empty() => {
                    self.on_sent(sent);
                }
                read = self.reader.read(&mut buffer) => self.on_read(read, &buffer),
                () = sleep_until(end.into()) => self.session.handle_timeout(Instant::now()),
            }
        }
    }

    /// Waits at the gate. A device that needs long to answer another login can use up the time.
    async fn ask_gate(&mut self) {
        let end = self.session.poll_timeout().unwrap_or(self.visit.deadline);
        tokio::select! {
            biased;
            () = self.visit.cancel.cancelled() => self.session.cancel(),
            leave = self.visit.gate.pass(self.mac) => match leave {
                Ok(permit) => {
                    self.permit = Some(permit);
                    self.session.proceed(Instant::now());
                }
                Err(refused) => {
                    self.refusal = Some(refused.text);
                    self.session.deny(refused.code);
                }
            },
            () = sleep_until(end.into()) => self.session.handle_timeout(Instant::now()),
        }
    }

    fn collect(&mut self) {
        while let Some(mut frame) = self.session.poll_transmit() {
            self.outgoing.extend_from_slice(&frame);
            frame.zeroize();
        }
    }

    fn on_sent(&mut self, sent: io::Result<usize>) {
        match sent {
            Ok(0) => self.session.handle_eof(Instant::now()),
            Ok(count) => {
                let rest = self.outgoing.get(count..).unwrap_or_default().to_vec();
                self.outgoing = Zeroizing::new(rest);
            }
            Err(error) => self.on_broken(&error),
        }
    }

    fn on_read(&mut self, read: io::Result<usize>, buffer: &[u8]) {
        match read {
            Ok(0) => self.session.handle_eof(Instant::now()),
            Ok(count) => {
                let input = buffer.get(..count).unwrap_or_default();
                self.session.handle_input(Instant::now(), input);
            }
            Err(error) => self.on_broken(&error),
        }
    }

    fn on_broken(&mut self, error: &io::Error) {
        tracing::debug!(%error, "the connection broke");
        self.session.handle_eof(Instant::now());
    }

    fn settle(&mut self, outcome: &Outcome) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        permit.settle(match &outcome.result {
            Ok(_) => Spent::Accepted,
            Err(failure) if failure.login_accepted => Spent::Accepted,
            Err(failure) if failure.code == ErrorCode::AccountLocked => {
                // The protocol does not say for how long.
                Spent::Locked { retry_after: None }
            }
            Err(failure) if failure.may_have_counted() => Spent::OneTry,
            Err(_) => Spent::Nothing,
        });
    }

    /// Puts the gate's words into the outcome of a session that it ended.
    fn explain(&mut self, outcome: &mut Outcome) {
        if let (Some(text), Err(failure)) = (self.refusal.take(), &mut outcome.result)
            && !failure.credentials_sent
        {
            failure.text = text;
        }
    }
}
