//! The sending half of one connection: delays, holds, and faults of transport.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::tcp::WriteHalf;

use super::counters::Counter;
use super::fault::{Fault, Phase};
use super::handle::Device;
use super::reader::Presence;
use super::script::Script;
use crate::alarm;
use crate::wire::command;
use crate::wire::field::{put, u32_at};
use crate::wire::frame::{HEARTBEAT, frame};
use crate::wire::reply::motion_status;

/// Why a conversation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The device hangs up.
    Close,
    /// The device resets the connection.
    Reset,
    /// The client is gone.
    Gone,
}

/// An answer and the packets around it.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// Packets in front of the answer.
    pub(crate) before: Vec<Vec<u8>>,
    /// The answer itself; faults strike here.
    pub(crate) answer: Vec<u8>,
    /// Packets behind it.
    pub(crate) after: Vec<Vec<u8>>,
}

/// The sending half with everything that slows it down.
pub(crate) struct Outlet<'a> {
    pub(crate) device: &'a Device,
    pub(crate) half: WriteHalf<'a>,
    pub(crate) presence: &'a Presence,
}

impl Outlet<'_> {
    /// Sends an answer as the script wants it.
    pub(crate) async fn deliver(
        &mut self,
        phase: Phase,
        script: &Script,
        mut delivery: Delivery,
    ) -> Result<(), End> {
        if let Some(time) = script.stall(phase) {
            self.pause(time).await;
        }
        if script.has(&Fault::CloseBefore { phase }) {
            self.held_back().await;
            return Err(End::Close);
        }
        if script.has(&Fault::Reset { phase }) {
            self.held_back().await;
            return Err(End::Reset);
        }
        if phase != Phase::Greeting && script.has(&Fault::AckFirst) {
            delivery.before.insert(0, HEARTBEAT.to_vec());
        }
        for number in 0..usize::from(script.pushed(phase).unwrap_or(0)) {
            let status = motion_status(number);
            delivery
                .before
                .push(frame(command::PUSHED_MOTION, command::PUSHED_ID, &status));
        }
        distort(&mut delivery.answer, phase, script);
        let cut = script.cut(phase);
        if let Some(bytes) = cut {
            delivery.answer.truncate(bytes);
            delivery.after.clear();
        }
        if script.has(&Fault::Join { phase }) {
            delivery = joined(delivery);
        }
        for packet in &delivery.before {
            self.packet(packet).await?;
        }
        self.held_back().await;
        self.presence.answer();
        self.answer(phase, script, &delivery.answer).await?;
        for packet in &delivery.after {
            self.packet(packet).await?;
        }
        if cut.is_some() || script.has(&Fault::CloseAfter { phase }) {
            return Err(End::Close);
        }
        Ok(())
    }

    /// Sends one packet, after the usual delay.
    pub(crate) async fn packet(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.held_back().await;
        self.write(bytes).await
    }

    /// Waits, but not for a client that is gone.
    pub(crate) async fn pause(&self, time: Duration) {
        if !time.is_zero() {
            tokio::select! {
                () = alarm::wait(time) => {}
                () = self.presence.gone() => {}
            }
        }
    }

    /// Writes the answer itself, in as many parts as the script wants.
    async fn answer(&mut self, phase: Phase, script: &Script, bytes: &[u8]) -> Result<(), End> {
        if let Some(time) = script.drip().filter(|_| phase == Phase::Greeting) {
            let (last, others) = bytes.split_last().ok_or(End::Close)?;
            for byte in others {
                self.write(&[*byte]).await?;
                self.pause(time).await;
            }
            self.greeted(phase);
            return self.write(&[*last]).await;
        }
        let rest = match script.split(phase) {
            Some((at, time)) => {
                let (first, rest) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
                self.write(first).await?;
                self.pause(time).await;
                rest
            }
            None => bytes,
        };
        self.greeted(phase);
        self.write(rest).await
    }

    fn greeted(&self, phase: Phase) {
        if phase == Phase::Greeting {
            self.presence.greet();
        }
    }

    /// Waits for the latency and for both gates.
    async fn held_back(&self) {
        self.pause(self.device.latency()).await;
        tokio::select! {
            () = self.device.gates_passed() => {}
            () = self.presence.gone() => {}
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.half.write_all(bytes).await.map_err(|_| End::Gone)?;
        self.device
            .count(Counter::BytesOut, u64::try_from(bytes.len()).unwrap_or(0));
        Ok(())
    }
}

/// Changes the length words of an answer.
fn distort(answer: &mut [u8], phase: Phase, script: &Script) {
    if phase == Phase::Greeting {
        return;
    }
    if let (Some(delta), Some(length)) = (script.payload_delta(phase), u32_at(answer, 20)) {
        put(answer, 20, &length.wrapping_add_signed(delta).to_le_bytes());
    }
    if let Some(value) = script.frame_length(phase) {
        put(answer, 4, &value.to_le_bytes());
    }
}

fn joined(delivery: Delivery) -> Delivery {
    let answer = [
        delivery.before.concat(),
        delivery.answer,
        delivery.after.concat(),
    ]
    .concat();
    Delivery {
        before: Vec::new(),
        answer,
        after: Vec::new(),
    }
}
