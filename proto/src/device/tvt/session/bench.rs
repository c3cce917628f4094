//! A session with a clock of our own, and the frames a device sends.

use std::time::{Duration, Instant};

use super::super::*;
use crate::model::secret::{Credential, Secret};

pub(super) const PASSWORD: &str = "secret12";

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do; the tests never wait"
)]
pub(super) fn start() -> Instant {
    Instant::now()
}

pub(super) fn greeting(version: u8, login_encrypt: u8) -> Vec<u8> {
    let mut packet = vec![0; INIT_LEN];
    packet[..4].copy_from_slice(b"head");
    packet[12] = version;
    packet[32..38].copy_from_slice(&[0x58, 0x5B, 0x69, 1, 2, 3]);
    packet[44] = login_encrypt;
    packet[45..48].copy_from_slice(&[0x40, 0xE2, 1]);
    packet
}

pub(super) fn frame(command: u32, payload: &[u8]) -> Vec<u8> {
    Frame::new(CommandId(command), 0, 0, payload.to_vec()).encode()
}

pub(super) fn accepted(pass_through: u8) -> Vec<u8> {
    let mut payload = vec![0; 200];
    payload[58..63].copy_from_slice(b"Front");
    payload[108] = pass_through;
    frame(0x0100_0101, &payload)
}

pub(super) fn head_record(command: u32, count: u16, max: u16, records: u32) -> Vec<u8> {
    let mut payload = vec![0; 184];
    payload[140..144].copy_from_slice(b"N123");
    payload[176..178].copy_from_slice(&count.to_le_bytes());
    payload[178..180].copy_from_slice(&max.to_le_bytes());
    for number in 1..=records {
        payload.extend_from_slice(&number.to_le_bytes());
        payload.extend_from_slice(&[0; 12]);
        payload.extend_from_slice(&1_u32.to_le_bytes());
    }
    frame(command, &payload)
}

pub(super) fn answer(sequence: u32, content: &str) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    let payload = [
        &length.to_le_bytes()[..],
        &sequence.to_le_bytes(),
        &[0; 64],
        content.as_bytes(),
    ]
    .concat();
    frame(0x0101_0D01, &payload)
}

pub(super) const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\n\r\n";
pub(super) const ONE_CAMERA: &str = r#"{"IPCInfo":[{"szChlname":"Gate","szServer":"10.0.0.1"}]}"#;
pub(super) const LOGOUT: [u8; 4] = [2, 1, 0, 0];

/// A session with a clock, which logs in as soon as it may.
pub(super) struct Bench {
    pub(super) session: Session,
    pub(super) now: Instant,
    pub(super) consent: bool,
    pub(super) events: Vec<Event>,
    pub(super) sent: Vec<Vec<u8>>,
}

impl Bench {
    pub(super) fn with(change: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut config = SessionConfig::new(Goal::Scan);
        config.allow_plaintext = true;
        config.allow_xor = true;
        change(&mut config);
        let credential = Credential {
            username: "admin".into(),
            password: Secret::new(PASSWORD),
        };
        let now = start();
        let session = Session::new(now, config, Some(credential));
        Self {
            session,
            now,
            consent: true,
            events: Vec::new(),
            sent: Vec::new(),
        }
    }

    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    /// A session that has sent its login to such a device.
    pub(super) fn logging_in(version: u8) -> Self {
        Self::new().then(&greeting(version, 2))
    }

    /// Feeds bytes and does what a driver does.
    pub(super) fn then(mut self, input: &[u8]) -> Self {
        self.session.handle_input(self.now, input);
        self.collect();
        self
    }

    pub(super) fn collect(&mut self) {
        while let Some(event) = self.session.poll_event() {
            if matches!(event, Event::LoginRequested(_)) && self.consent {
                self.session.proceed(self.now);
            }
            self.events.push(event);
        }
        self.sent
            .extend(std::iter::from_fn(|| self.session.poll_transmit()));
    }

    pub(super) fn wait(mut self, time: Duration) -> Self {
        self.now += time;
        self.session.handle_timeout(self.now);
        self.collect();
        self
    }

    pub(super) fn eof(mut self) -> Self {
        self.session.handle_eof(self.now);
        self.collect();
        self
    }

    pub(super) fn outcome(&self) -> &Outcome {
        match self.events.last() {
            Some(Event::Finished(outcome)) => outcome,
            other => panic!("not finished: {other:?}"),
        }
    }

    pub(super) fn failure(&self) -> &Failure {
        self.outcome().result.as_ref().unwrap_err()
    }

    pub(super) fn findings(&self) -> &Findings {
        self.outcome().result.as_ref().unwrap()
    }

    /// The commands sent so far.
    pub(super) fn commands(&self) -> Vec<[u8; 4]> {
        self.sent
            .iter()
            .map(|frame| frame[8..12].try_into().unwrap())
            .collect()
    }
}
