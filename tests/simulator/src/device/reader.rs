//! The receiving half of one connection.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::tcp::ReadHalf;
use tokio::sync::{mpsc, watch};

use super::counters::Counter;
use super::handle::Device;
use super::violation::Violation;
use crate::wire::frame::{Frame, FrameDefect, Unit, split_frame};

/// Requests read ahead of their answers.
pub(crate) const QUEUE: usize = 16;
/// Longest frame that a recorder takes from a client.
const REQUEST_LIMIT: u32 = 65_536;

/// What a connection knows about its client, shared by both halves.
#[derive(Debug)]
pub(crate) struct Presence {
    gone: watch::Sender<bool>,
    greeted: AtomicBool,
    answered: AtomicU64,
}

impl Presence {
    pub(crate) fn new() -> Self {
        Self {
            gone: watch::Sender::new(false),
            greeted: AtomicBool::new(false),
            answered: AtomicU64::new(0),
        }
    }

    /// Waits until the client has closed its side.
    pub(crate) async fn gone(&self) {
        // The sender lives in self, so waiting cannot fail.
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    /// The last greeting byte is about to be sent.
    pub(crate) fn greet(&self) {
        self.greeted.store(true, Ordering::SeqCst);
    }

    /// The last packet of an answer is about to be sent, or will never be.
    pub(crate) fn answer(&self) {
        self.answered.fetch_add(1, Ordering::SeqCst);
    }

    /// Answers so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }
}

/// Something that came from the client.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) what: Arrived,
    /// Answers sent when it was read.
    pub(crate) answered: u64,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// A frame.
    Frame(Frame),
    /// Bytes that are no frame; nothing follows.
    Malformed(FrameDefect),
    /// The end of the stream inside a frame; nothing follows.
    Cut,
}

/// Reads until the client closes, sends rubbish, or is no longer listened to.
pub(crate) async fn read_frames(
    mut half: ReadHalf<'_>,
    queue: mpsc::Sender<Arrival>,
    presence: &Presence,
    device: &Device,
    connection: u64,
) {
    let mut buffer = Vec::new();
    let mut early = false;
    loop {
        let count = half.read_buf(&mut buffer).await.unwrap_or(0);
        device.count(Counter::BytesIn, u64::try_from(count).unwrap_or(0));
        if count == 0 {
            break;
        }
        if !early && !presence.greeted.load(Ordering::SeqCst) {
            early = true;
            device.violation(Violation::BytesBeforeInit, connection);
        }
        loop {
            let what = match split_frame(&buffer, REQUEST_LIMIT) {
                Unit::Incomplete => break,
                Unit::Frame(frame, used) => {
                    buffer.drain(..used);
                    Arrived::Frame(frame)
                }
                Unit::Malformed(defect) => {
                    let arrival = Arrival {
                        what: Arrived::Malformed(defect),
                        answered: presence.answered(),
                    };
                    let _ = queue.send(arrival).await;
                    return;
                }
            };
            if queue
                .send(Arrival {
                    what,
                    answered: presence.answered(),
                })
                .await
                .is_err()
            {
                return;
            }
        }
    }
    if !buffer.is_empty() {
        let arrival = Arrival {
            what: Arrived::Cut,
            answered: presence.answered(),
        };
        let _ = queue.send(arrival).await;
    }
    // The session is over for the client, even while an answer is still held back.
    device.session_ended(connection);
    presence.gone.send_replace(true);
}
