//! A whole session against a device that sends any bytes, in any pieces, at any pace.

use std::time::{Duration, Instant};

use tvtfleet_proto::device::tvt::{
    Compat, Event, Goal, KeySource, Outcome, Session, SessionConfig, TunnelMode, limits,
};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::secret::{Credential, Secret};

/// The most frames a session may want to send: a login, three requests, a logout.
const MOST_SENT: usize = 5;

/// Plays the device. Byte 0 holds the settings, byte 1 the size of the pieces (0: all at once), byte
/// 2 the time between them in units of 16 ms; the rest is what the device sends.
///
/// # Panics
///
/// Where a session does not end, ends twice, sends more than it may, or exceeds a limit.
pub fn session(bytes: &[u8]) {
    let [settings, piece, pace, stream @ ..] = bytes else {
        return;
    };
    let mut now = Instant::now();
    let credential = Credential {
        username: "admin".to_owned(),
        password: Secret::new("secret12"),
    };
    let mut game = Game {
        session: Session::new(now, config(*settings), Some(credential)),
        deny: settings & 0x80 != 0,
        sent: 0,
        outcome: None,
    };
    let size = match piece {
        0 => stream.len().max(1),
        some => usize::from(*some),
    };
    for piece in stream.chunks(size) {
        game.session.handle_input(now, piece);
        game.turn(now);
        now += Duration::from_millis(16) * u32::from(*pace);
    }
    if settings & 0x40 == 0 {
        game.session.handle_eof(now);
        game.turn(now);
    }
    game.wait();
    game.check();
}

fn config(settings: u8) -> SessionConfig {
    let goal = if settings & 1 == 0 {
        Goal::Scan
    } else {
        Goal::Probe
    };
    let mut config = SessionConfig::new(goal);
    config.allow_plaintext = settings & 2 == 0;
    config.allow_xor = settings & 2 == 0;
    if settings & 4 != 0 {
        config.key_source = KeySource::EncryptParam;
    }
    config.tunnel = match settings & 0x18 {
        0x00 => TunnelMode::Auto,
        0x08 => TunnelMode::Never,
        _ => TunnelMode::Always,
    };
    if settings & 0x20 != 0 {
        config.compat = Compat::Pytvt051;
    }
    config
}

struct Game {
    session: Session,
    deny: bool,
    sent: usize,
    outcome: Option<Box<Outcome>>,
}

impl Game {
    /// Does what a driver does after each step.
    fn turn(&mut self, now: Instant) {
        loop {
            let mut quiet = true;
            while let Some(event) = self.session.poll_event() {
                quiet = false;
                match event {
                    Event::LoginRequested(_) if self.deny => {
                        self.session.deny(ErrorCode::PolicyRefused);
                    }
                    Event::LoginRequested(_) => self.session.proceed(now),
                    Event::Greeting(_) | Event::LoggedIn(_) => {}
                    Event::Finished(outcome) => {
                        assert!(self.outcome.is_none(), "a session ends once");
                        self.outcome = Some(outcome);
                    }
                }
            }
            while let Some(frame) = self.session.poll_transmit() {
                quiet = false;
                assert!(frame.len() >= 24, "what is sent is a whole frame");
                self.sent += 1;
            }
            if quiet {
                break;
            }
        }
        assert!(
            self.session.held() <= limits::SESSION_MEMORY,
            "memory has a bound"
        );
    }

    /// Lets all deadlines pass.
    fn wait(&mut self) {
        for _ in 0..16 {
            let Some(deadline) = self.session.poll_timeout() else {
                break;
            };
            self.session.handle_timeout(deadline);
            self.turn(deadline);
        }
    }

    fn check(&self) {
        assert!(self.session.is_done(), "every session ends");
        assert!(self.sent <= MOST_SENT, "a session sends little");
        let Some(outcome) = &self.outcome else {
            panic_at("a session that is done has told its outcome");
            return;
        };
        match &outcome.result {
            Ok(findings) => {
                assert!(
                    findings.channels.len() <= limits::CAMERAS,
                    "channels have a bound"
                );
                for channel in &findings.channels {
                    for text in [
                        &channel.name,
                        &channel.address,
                        &channel.model,
                        &channel.protocol,
                    ] {
                        super::protocol::check_text(text);
                    }
                }
            }
            Err(failure) => {
                assert!(!failure.text.is_empty(), "a failure says what happened");
                assert!(
                    failure.payload_hex.len() <= 2 * limits::KEPT_PAYLOAD,
                    "little is kept of a refusal"
                );
                assert!(
                    !failure.may_retry() || !failure.may_have_counted(),
                    "a login that may have counted is not repeated"
                );
            }
        }
        assert!(
            outcome.traffic.bytes <= limits::SESSION_BYTES,
            "bytes have a bound"
        );
        assert!(outcome.tunnel.len() <= 3, "each path is asked once");
    }
}

/// Fails without the `panic!` that shipped code may not have.
fn panic_at(promise: &str) {
    assert!(promise.is_empty(), "{promise}");
}
