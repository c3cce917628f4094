//! The walk along the tunnel paths: one request at a time, until one yields cameras.

use std::collections::VecDeque;

use super::cameras::Cameras;
use super::config::Compat;
use super::failure::CodecError;
use super::field::u32_at;
use super::outcome::TunnelAttempt;
use super::tunnel::{TunnelPath, TunnelReply, TunnelTrouble, tunnel_request};
use crate::error::ErrorCode;

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It was a late answer without use; the request in flight still waits.
    Wait,
    /// Ask for the next path.
    Next,
    /// Cameras were found, or no path is left.
    Done,
}

/// The state of the walk.
#[derive(Debug)]
pub(super) struct Walk {
    left: VecDeque<TunnelPath>,
    in_flight: Option<Request>,
    /// Requests that timed out; their answers may still come.
    abandoned: Vec<Request>,
    next_sequence: u32,
    attempts: Vec<TunnelAttempt>,
    found: Cameras,
    compat: Compat,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    sequence: u32,
    path: TunnelPath,
}

impl Walk {
    pub(super) fn new(first: Option<TunnelPath>, compat: Compat) -> Self {
        let others = TunnelPath::ALL
            .into_iter()
            .filter(|path| Some(*path) != first);
        Self {
            left: first.into_iter().chain(others).collect(),
            in_flight: None,
            abandoned: Vec::new(),
            next_sequence: 1,
            attempts: Vec::new(),
            found: Cameras::default(),
            compat,
        }
    }

    /// The next request, or `None` if no path is left.
    pub(super) fn next_request(&mut self) -> Option<Vec<u8>> {
        let path = self.left.pop_front()?;
        let sequence = self.next_sequence;
        self.next_sequence = sequence.saturating_add(1);
        self.in_flight = Some(Request { sequence, path });
        Some(tunnel_request(path.as_str(), sequence))
    }

    /// Takes an answer. It belongs to the request whose number it carries; a device that does not
    /// echo numbers answers in order.
    pub(super) fn on_reply(&mut self, payload: &[u8]) -> Step {
        let late = u32_at(payload, 4)
            .and_then(|sequence| {
                self.abandoned
                    .iter()
                    .find(|request| request.sequence == sequence)
            })
            .copied();
        let answer = TunnelReply::parse(payload)
            .map_err(truncated)
            .and_then(|r| r.cameras(self.compat));
        match (late, self.in_flight) {
            (Some(request), _) => match answer {
                Ok(cameras) if !cameras.channels.is_empty() => {
                    self.attempts.retain(|attempt| attempt.path != request.path);
                    self.record(request.path, Ok(cameras));
                    if self.is_satisfied() {
                        Step::Done
                    } else {
                        Step::Wait
                    }
                }
                Ok(_) | Err(_) => Step::Wait,
            },
            (None, Some(request)) => {
                self.in_flight = None;
                self.record(request.path, answer);
                if self.is_satisfied() || self.left.is_empty() {
                    Step::Done
                } else {
                    Step::Next
                }
            }
            (None, None) => Step::Wait,
        }
    }

    /// Gives the request in flight up. Its answer may still come, and is then used.
    pub(super) fn give_up(&mut self, code: ErrorCode, text: &str) {
        if let Some(request) = self.in_flight.take() {
            self.abandoned.push(request);
            let trouble = TunnelTrouble {
                code,
                status: None,
                text: text.to_owned(),
            };
            self.record(request.path, Err(trouble));
        }
    }

    /// Ends the walk: the cameras, and what happened on each path.
    pub(super) fn finish(self) -> (Cameras, Vec<TunnelAttempt>) {
        (self.found, self.attempts)
    }

    /// pytvt asks all paths, and the last answer wins.
    fn is_satisfied(&self) -> bool {
        self.compat == Compat::None && !self.found.channels.is_empty()
    }

    fn record(&mut self, path: TunnelPath, answer: Result<Cameras, TunnelTrouble>) {
        let (cameras, trouble) = match answer {
            Ok(cameras) => {
                let number = cameras.channels.len();
                if number > 0 {
                    self.found = cameras;
                }
                (number, None)
            }
            Err(trouble) => (0, Some(trouble)),
        };
        self.attempts.push(TunnelAttempt {
            path,
            cameras,
            trouble,
        });
    }
}

fn truncated(error: CodecError) -> TunnelTrouble {
    TunnelTrouble {
        code: error.code,
        status: None,
        text: error.text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(sequence: u32, body: &str) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap();
        [
            &length.to_le_bytes()[..],
            &sequence.to_le_bytes(),
            &[0; 64],
            body.as_bytes(),
        ]
        .concat()
    }

    const CAMERA: &str = r#"[{"name":"Gate"}]"#;

    #[test]
    fn the_remembered_path_is_asked_first() {
        let mut walk = Walk::new(Some(TunnelPath::DeviceInfo), Compat::None);
        assert!(walk.next_request().unwrap().ends_with(
            b"GET /LAPI/V1.0/System/DeviceInfo HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n\r\n\0"
        ));
        assert_eq!(walk.on_reply(&reply(1, CAMERA)), Step::Done);
        assert_eq!(walk.finish().0.channels[0].name, "Gate");
    }

    #[test]
    fn answers_without_their_number_count_in_order() {
        let mut walk = Walk::new(None, Compat::None);
        for (sequence, body, step) in [
            (0, "{}", Step::Next),
            (99, "{}", Step::Next),
            (1, "{}", Step::Done),
        ] {
            walk.next_request().unwrap();
            assert_eq!(walk.on_reply(&reply(sequence, body)), step);
        }
        assert!(walk.next_request().is_none());
    }

    #[test]
    fn a_late_answer_is_filed_under_its_own_path() {
        let mut walk = Walk::new(None, Compat::None);
        walk.next_request().unwrap();
        walk.give_up(ErrorCode::TunnelTimeout, "late");
        walk.next_request().unwrap();
        assert_eq!(walk.on_reply(&reply(1, "{}")), Step::Wait);
        assert_eq!(walk.on_reply(&reply(1, CAMERA)), Step::Done);
        let (cameras, attempts) = walk.finish();
        assert_eq!(cameras.channels.len(), 1);
        let expected = TunnelAttempt {
            path: TunnelPath::QueryIpcInfo,
            cameras: 1,
            trouble: None,
        };
        assert_eq!(attempts, [expected]);
    }

    #[test]
    fn pytvt_takes_the_last_answer() {
        let mut walk = Walk::new(None, Compat::Pytvt051);
        for body in [CAMERA, r#"[{"name":"Yard"}]"#, "{}"] {
            walk.next_request().unwrap();
            walk.on_reply(&reply(0, body));
        }
        assert_eq!(walk.finish().0.channels[0].name, "Yard");
    }
}
