//! The session: greeting, consent, login, channel list, logout.
//!
//! ```text
//! Greeting ──init──► Offered ──proceed──► LoggingIn ──accepted──► Walking ──cameras──► Done
//!     │ probe           │ deny                │ refused                 │ no path left
//!     └─────────────────┴─────── Done ◄───────┴─────────────────────────┘
//! ```
//!
//! Every state has an absolute deadline, so a session ends whatever the device does. Trouble after
//! the login is a partial result, never a failure.

#[cfg(test)]
mod bench;
mod opening;
#[cfg(test)]
mod tests;
mod walking;

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use super::config::SessionConfig;
use super::decode::{Decoder, Unit};
use super::failure::{CodecError, Failure, Phase};
use super::frame::Frame;
use super::init::Init;
use super::login::{LoginPlan, Variant};
use super::outcome::{Event, Findings, Login, Outcome, Traffic, TunnelAttempt};
use super::walk::Walk;
use crate::error::ErrorCode;
use crate::model::channel::Channel;
use crate::model::secret::Credential;

/// The hint for devices that answer like the older family.
const HINT_V4: &str = "dvr_v4";

/// One connection to one device. The driver opens it, and closes it when [`Session::is_done`] and
/// nothing is left to send.
pub struct Session {
    config: SessionConfig,
    credential: Option<Credential>,
    decoder: Decoder,
    state: State,
    session_deadline: Instant,
    phase_deadline: Option<Instant>,
    greeting: Option<Init>,
    login: Option<Login>,
    channels: Vec<Channel>,
    partial: Vec<ErrorCode>,
    traffic: Traffic,
    credentials_sent: bool,
    login_accepted: bool,
    /// The command frames read, for telling an encrypted stream from a broken one.
    frames: u32,
    /// At most a login, three requests and a logout.
    transmits: VecDeque<Vec<u8>>,
    /// At most one of each kind.
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State {
    Greeting,
    Offered(LoginPlan),
    LoggingIn(Variant),
    Walking(Walk),
    Done,
}

impl Session {
    /// Starts a session on a connection opened at `now`.
    #[must_use]
    pub fn new(now: Instant, config: SessionConfig, credential: Option<Credential>) -> Self {
        Self {
            decoder: Decoder::new(config.limits.frame_before_login),
            state: State::Greeting,
            session_deadline: now + config.limits.session,
            phase_deadline: Some(now + config.limits.init),
            config,
            credential,
            greeting: None,
            login: None,
            channels: Vec::new(),
            partial: Vec::new(),
            traffic: Traffic::default(),
            credentials_sent: false,
            login_accepted: false,
            frames: 0,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Takes bytes from the device.
    pub fn handle_input(&mut self, now: Instant, input: &[u8]) {
        self.handle_timeout(now);
        let allowed = self
            .config
            .limits
            .session_bytes
            .saturating_sub(self.traffic.bytes);
        let allowed = usize::try_from(allowed)
            .unwrap_or(usize::MAX)
            .min(input.len());
        let mut rest = input.get(..allowed).unwrap_or(input);
        while !self.is_done() {
            let unit = self.decoder.next(&mut rest);
            self.traffic.bytes = self.decoder.offset();
            match unit {
                Ok(Some(unit)) => self.on_unit(now, unit),
                Ok(None) => break,
                Err(error) => self.on_broken_stream(&error),
            }
        }
        if !self.is_done() && input.len() > allowed {
            self.on_broken_stream(&CodecError::new(
                ErrorCode::FrameTooLarge,
                self.traffic.bytes,
                "the device sent more bytes than a session may have",
            ));
        }
        self.check_invariants();
    }

    /// Takes the end of the stream, or a reset of the connection.
    pub fn handle_eof(&mut self, now: Instant) {
        self.handle_timeout(now);
        let ended = self.decoder.end();
        match (&self.state, ended) {
            (State::Done, _) => {}
            (State::Walking(_), None) => {
                self.stop_walk(
                    ErrorCode::TunnelUnsupported,
                    "the device closed the connection",
                );
            }
            (_, Some(error)) => self.on_broken_stream(&error),
            (State::LoggingIn(_), None) if !self.login_accepted => {
                self.fail(
                    ErrorCode::ClosedAfterLogin,
                    "the device closed the connection instead of answering the login",
                );
            }
            (State::LoggingIn(_), None) => self.fail_without_record(),
            (State::Greeting | State::Offered(_), None) => {
                self.fail(
                    ErrorCode::Closed,
                    "the device closed the connection after its greeting",
                );
            }
        }
        self.check_invariants();
    }

    /// Gives bytes to send, one frame at a time.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// Gives the next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] is due; `None` only when the session is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_done() {
            return None;
        }
        Some(
            self.phase_deadline
                .map_or(self.session_deadline, |d| d.min(self.session_deadline)),
        )
    }

    /// Lets time pass. Calling it too early does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            let whole_session = self
                .phase_deadline
                .is_none_or(|d| self.session_deadline < d);
            self.on_deadline(now, whole_session);
        }
        self.check_invariants();
    }

    /// Whether the session is over.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Sends the login that [`Event::LoginRequested`] offered. Does nothing at any other time.
    pub fn proceed(&mut self, now: Instant) {
        self.handle_timeout(now);
        let State::Offered(plan) = self.state else {
            return;
        };
        // Dropping the credential here overwrites it.
        let Some(credential) = self.credential.take() else {
            return;
        };
        match plan.request(&credential) {
            Ok(request) => {
                self.transmits.push_back(request);
                self.credentials_sent = true;
                self.phase_deadline = Some(now + self.config.limits.login);
                self.state = State::LoggingIn(plan.variant());
            }
            Err(fault) => self.fail(fault.code(), &fault.to_string()),
        }
        self.check_invariants();
    }

    /// Ends the session instead of logging in, with the reason given. Does nothing but after
    /// [`Event::LoginRequested`].
    pub fn deny(&mut self, code: ErrorCode) {
        if matches!(self.state, State::Offered(_)) {
            self.fail(code, "the login was not allowed");
        }
    }

    /// Ends the session early, with a logout if the device had accepted the login.
    pub fn cancel(&mut self) {
        if !self.is_done() {
            self.fail(ErrorCode::DeviceCancelled, "the session was cancelled");
        }
    }

    /// Bytes of memory held for input that is not yet a whole frame. The bound of everything a
    /// session holds is [`SESSION_MEMORY`](super::limits::SESSION_MEMORY).
    #[must_use]
    pub fn held(&self) -> usize {
        self.decoder.held()
    }

    fn on_unit(&mut self, now: Instant, unit: Unit) {
        match unit {
            Unit::Init(init, _) => self.on_greeting(*init),
            Unit::Heartbeat => {
                self.traffic.heartbeats = self.traffic.heartbeats.saturating_add(1);
                self.check_noise();
            }
            Unit::Command(frame) => {
                self.frames = self.frames.saturating_add(1);
                self.on_frame(now, &frame);
            }
        }
    }

    fn on_pushed(&mut self) {
        self.traffic.pushed_frames = self.traffic.pushed_frames.saturating_add(1);
        self.check_noise();
    }

    /// Bounds the frames nobody asked for.
    fn check_noise(&mut self) {
        let noise = self
            .traffic
            .heartbeats
            .saturating_add(self.traffic.pushed_frames);
        let limits = &self.config.limits;
        let allowed = match self.state {
            State::Walking(_) => limits
                .noise_before_login
                .saturating_add(limits.noise_after_login),
            State::Greeting | State::Offered(_) | State::LoggingIn(_) => limits.noise_before_login,
            State::Done => return,
        };
        if noise > allowed {
            self.on_broken_stream(&CodecError::new(
                ErrorCode::ProtocolViolation,
                self.traffic.bytes,
                "the device floods the session with frames nobody asked for",
            ));
        }
    }

    /// Ends the session at bytes that make no sense.
    fn on_broken_stream(&mut self, error: &CodecError) {
        if matches!(self.state, State::Walking(_)) {
            self.stop_walk(error.code, error.text);
            return;
        }
        let encrypted = self.frames == 0
            && self
                .greeting
                .as_ref()
                .is_some_and(|init| init.transport_encrypt_type != 0)
            && matches!(
                error.code,
                ErrorCode::ProtocolViolation | ErrorCode::FrameTooLarge
            );
        if encrypted {
            self.fail(
                ErrorCode::UnsupportedVariant,
                "the device encrypts the stream",
            );
            return;
        }
        let hint = (self.greeting.is_some() && error.code == ErrorCode::UnsupportedVariant)
            .then_some(HINT_V4);
        self.fail_with(Failure {
            hint,
            ..self.failure(error.code, &error.to_string())
        });
    }

    fn on_deadline(&mut self, now: Instant, whole_session: bool) {
        match &mut self.state {
            State::Greeting if whole_session => {
                self.fail(ErrorCode::DeviceDeadline, "the time for the device ran out");
            }
            State::Greeting => self.fail(ErrorCode::InitTimeout, "no complete greeting in time"),
            State::Offered(_) => {
                self.fail(
                    ErrorCode::DeviceDeadline,
                    "the time for the device ran out before the login",
                );
            }
            State::LoggingIn(_) if self.login_accepted => self.fail_without_record(),
            // The whole time running out here leaves the same question open.
            State::LoggingIn(_) => {
                self.fail(ErrorCode::LoginTimeout, "no answer to the login in time")
            }
            State::Walking(walk) if !whole_session => {
                walk.give_up(ErrorCode::TunnelTimeout, "no answer in time");
                self.walk_on(now);
            }
            State::Walking(_) => self.stop_walk(ErrorCode::TunnelTimeout, "no answer in time"),
            State::Done => {}
        }
    }

    fn finish(&mut self) {
        self.finish_with(Vec::new());
    }

    fn finish_with(&mut self, attempts: Vec<TunnelAttempt>) {
        if self.login.is_some() {
            if self.channels.is_empty() {
                self.note(ErrorCode::NoChannels);
            } else if !self.channels.iter().any(Channel::has_address) {
                self.note(ErrorCode::AddressesUnknown);
            }
        }
        let findings = Findings {
            channels: std::mem::take(&mut self.channels),
            partial: std::mem::take(&mut self.partial),
        };
        self.end(Ok(findings), attempts);
    }

    fn note(&mut self, code: ErrorCode) {
        if !self.partial.contains(&code) {
            self.partial.push(code);
        }
    }

    fn fail(&mut self, code: ErrorCode, text: &str) {
        self.fail_with(self.failure(code, text));
    }

    /// Ends a head-variant session whose login was acknowledged, but without the channel list.
    fn fail_without_record(&mut self) {
        self.fail(
            ErrorCode::Truncated,
            "the device accepted the login, but sent no channel list",
        );
    }

    fn fail_with(&mut self, failure: Failure) {
        let attempts = match std::mem::replace(&mut self.state, State::Greeting) {
            State::Walking(walk) => walk.finish().1,
            State::Greeting | State::Offered(_) | State::LoggingIn(_) | State::Done => Vec::new(),
        };
        self.end(Err(failure), attempts);
    }

    fn failure(&self, code: ErrorCode, text: &str) -> Failure {
        let phase = match self.state {
            State::Greeting if self.greeting.is_none() => Phase::Greeting,
            State::Greeting | State::Offered(_) => Phase::BeforeLogin,
            State::LoggingIn(_) => Phase::Login,
            State::Walking(_) | State::Done => Phase::LoggedIn,
        };
        Failure {
            code,
            phase,
            credentials_sent: self.credentials_sent,
            login_accepted: self.login_accepted,
            wire_code: None,
            offset: self.traffic.bytes,
            text: text.to_owned(),
            payload_hex: String::new(),
            hint: None,
        }
    }

    /// Ends the session: logout where the device had accepted a login, then the last event.
    fn end(&mut self, result: Result<Findings, Failure>, tunnel: Vec<TunnelAttempt>) {
        if self.login_accepted {
            self.transmits.push_back(Frame::logout().encode());
        }
        self.credential = None;
        self.phase_deadline = None;
        self.state = State::Done;
        self.events.push_back(Event::Finished(Box::new(Outcome {
            greeting: self.greeting.take(),
            login: self.login.take(),
            result,
            tunnel,
            traffic: self.traffic,
        })));
    }

    fn check_invariants(&self) {
        debug_assert!(self.is_done() || self.poll_timeout().is_some());
        debug_assert!(self.transmits.len() <= 5 && self.events.len() <= 4);
        debug_assert!(self.credentials_sent || !self.login_accepted);
        debug_assert!(!self.is_done() || self.credential.is_none());
        debug_assert!(self.traffic.bytes <= self.config.limits.session_bytes);
    }
}

impl fmt::Debug for Session {
    /// Shows the state and the counters, never what is to be sent: a login holds the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("state", &self.state)
            .field("traffic", &self.traffic)
            .field("credentials_sent", &self.credentials_sent)
            .finish_non_exhaustive()
    }
}
