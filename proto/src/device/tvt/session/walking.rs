//! The channel list, asked for inside the session.

use super::super::outcome::TunnelAttempt;
use super::{Instant, Session, State};
use crate::error::ErrorCode;

impl Session {
    /// Asks for the next path, or ends the walk.
    pub(super) fn walk_on(&mut self, now: Instant) {
        let State::Walking(walk) = &mut self.state else {
            return;
        };
        match walk.next_request() {
            Some(request) if now < self.session_deadline => {
                self.transmits.push_back(request);
                self.phase_deadline = Some(now + self.config.limits.tunnel_reply);
            }
            Some(_) => self.stop_walk(ErrorCode::TunnelTimeout, "no time is left"),
            None => self.end_walk(),
        }
    }

    /// Ends the walk at trouble that no other path can cure.
    pub(super) fn stop_walk(&mut self, code: ErrorCode, text: &str) {
        if let State::Walking(walk) = &mut self.state {
            walk.give_up(code, text);
        }
        self.end_walk();
    }

    pub(super) fn end_walk(&mut self) {
        let State::Walking(walk) = std::mem::replace(&mut self.state, State::Greeting) else {
            return;
        };
        let (cameras, attempts) = walk.finish();
        if cameras.truncated {
            self.note(ErrorCode::Truncated);
        }
        if cameras.channels.is_empty() {
            for code in attempt_codes(&attempts) {
                self.note(code);
            }
        }
        self.channels = cameras.channels;
        self.finish_with(attempts);
    }
}

/// The troubles worth reporting. "Unknown path" counts only if it was the answer to every path.
fn attempt_codes(attempts: &[TunnelAttempt]) -> Vec<ErrorCode> {
    let codes = || {
        attempts
            .iter()
            .filter_map(|attempt| Some(attempt.trouble.as_ref()?.code))
    };
    let unsupported = ErrorCode::TunnelUnsupported;
    let all_unsupported = codes().filter(|code| *code == unsupported).count() == attempts.len();
    codes()
        .filter(|code| *code != unsupported || all_unsupported)
        .collect()
}
