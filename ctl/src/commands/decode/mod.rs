//! `tvtctl decode`: explains what was said between a client and a device, from a capture.
//!
//! `input` finds out what the argument is, `capture` reads packets, `packet` finds the TCP segment
//! in a packet, `streams` puts segments in order, `hex` reads dumps; the protocol crate explains, and
//! `text` or `json` writes. Every step has bounds, as a capture may come from anywhere.

mod capture;
mod command;
mod hex;
mod input;
mod json;
mod packet;
mod streams;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use command::Args;
