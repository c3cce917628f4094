//! From the greeting to the accepted login, and where each frame goes.

use super::super::command::CommandId;
use super::super::config::{Goal, TunnelMode};
use super::super::credentials::check_credential;
use super::super::field::hex;
use super::super::frame::Frame;
use super::super::head::HeadLogin;
use super::super::init::Init;
use super::super::limits::KEPT_PAYLOAD;
use super::super::login::{LoginPlan, Protection, Variant};
use super::super::outcome::{Event, Login, LoginOffer};
use super::super::reply::{StandardLogin, login_failure_code};
use super::super::verdict::{Verdict, verdict};
use super::super::walk::{Step, Walk};
use super::{Failure, HINT_V4, Instant, Session, State};
use crate::error::ErrorCode;

impl Session {
    pub(super) fn on_greeting(&mut self, init: Init) {
        self.phase_deadline = None;
        self.greeting = Some(init.clone());
        self.events
            .push_back(Event::Greeting(Box::new(init.clone())));
        if self.config.goal == Goal::Probe {
            self.finish();
            return;
        }
        match self.plan_login(&init) {
            Ok(plan) => {
                let offer = LoginOffer {
                    variant: plan.variant(),
                    protection: plan.protection(),
                };
                self.events.push_back(Event::LoginRequested(offer));
                self.state = State::Offered(plan);
            }
            Err((code, text)) => self.fail(code, &text),
        }
    }

    /// Chooses the login and checks policy and credential, before a byte is sent.
    fn plan_login(&self, init: &Init) -> Result<LoginPlan, (ErrorCode, String)> {
        let plan = LoginPlan::choose(init, self.config.key_source)
            .map_err(|refusal| (refusal.code(), refusal.to_string()))?;
        let refused = |text: &str| Err((ErrorCode::PolicyRefused, text.to_owned()));
        match plan.protection() {
            Protection::Plain if !self.config.allow_plaintext => {
                return refused("policy forbids to send the password in clear");
            }
            Protection::Xor if !self.config.allow_xor => {
                return refused("policy forbids to send the password under a key sent in clear");
            }
            Protection::Plain | Protection::Xor | Protection::Digest => {}
        }
        let credential = self.credential.as_ref().ok_or((
            ErrorCode::CredentialMissing,
            "there is no credential".to_owned(),
        ))?;
        if credential.password.is_empty() && !self.config.allow_empty_password {
            return Err((
                ErrorCode::CredentialInvalid,
                "the password is empty".to_owned(),
            ));
        }
        check_credential(credential, plan.variant())
            .map_err(|fault| (fault.code(), fault.to_string()))?;
        Ok(plan)
    }

    pub(super) fn on_frame(&mut self, now: Instant, frame: &Frame) {
        let (variant, asked) = match &mut self.state {
            State::Offered(plan) => (plan.variant(), false),
            State::LoggingIn(variant) => (*variant, true),
            State::Walking(walk) => {
                if frame.header.command == CommandId::TUNNEL_REPLY {
                    match walk.on_reply(&frame.payload) {
                        Step::Wait => self.on_pushed(),
                        Step::Next => self.walk_on(now),
                        Step::Done => self.end_walk(),
                    }
                } else {
                    self.on_pushed();
                }
                return;
            }
            State::Greeting | State::Done => return,
        };
        match verdict(variant, frame) {
            Verdict::Accepted if asked => self.on_accepted(now, variant, &frame.payload),
            Verdict::Acknowledged if asked => {
                self.login_accepted = true;
                self.on_pushed();
            }
            Verdict::Refused(code) => self.on_refused(code, &frame.payload),
            Verdict::OtherFamily => self.fail_with(Failure {
                hint: Some(HINT_V4),
                ..self.failure(
                    ErrorCode::UnsupportedVariant,
                    "the device answers like the DVR V4 family",
                )
            }),
            Verdict::Accepted | Verdict::Acknowledged | Verdict::Pushed => self.on_pushed(),
        }
    }

    fn on_accepted(&mut self, now: Instant, variant: Variant, payload: &[u8]) {
        self.login_accepted = true;
        let login = match variant {
            Variant::Standard => StandardLogin::parse(payload).map(Login::Standard),
            Variant::Head => HeadLogin::parse(payload).map(Login::Head),
        };
        let login = match login {
            Ok(login) => login,
            Err(error) => return self.fail(error.code, &error.to_string()),
        };
        self.decoder
            .set_frame_limit(self.config.limits.frame_after_login);
        self.phase_deadline = None;
        self.login = Some(login.clone());
        self.events
            .push_back(Event::LoggedIn(Box::new(login.clone())));
        let able = match login {
            Login::Standard(login) => {
                // Too short to say: try.
                login.pass_through_api != Some(0)
            }
            Login::Head(login) => {
                if login.is_short() {
                    self.note(ErrorCode::Truncated);
                }
                self.channels = login
                    .channels
                    .iter()
                    .map(|record| record.to_channel())
                    .collect();
                false
            }
        };
        let walks = self.channels.is_empty()
            && match self.config.tunnel {
                TunnelMode::Auto => able,
                TunnelMode::Always => true,
                TunnelMode::Never => false,
            };
        if walks {
            self.state = State::Walking(Walk::new(self.config.tunnel_first, self.config.compat));
            self.walk_on(now);
        } else {
            if variant == Variant::Standard && !able {
                self.note(ErrorCode::TunnelUnsupported);
            }
            self.finish();
        }
    }

    fn on_refused(&mut self, code: ErrorCode, payload: &[u8]) {
        let wire_code = login_failure_code(payload);
        let text = match wire_code {
            Some(wire) => format!("the device refused the login with code {wire:#x}"),
            None => "the device refused the login without a code".to_owned(),
        };
        let kept = payload.get(..KEPT_PAYLOAD).unwrap_or(payload);
        self.fail_with(Failure {
            wire_code,
            payload_hex: hex(kept),
            ..self.failure(code, &text)
        });
    }
}
