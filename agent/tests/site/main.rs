//! Whole agents against a real NATS server, small TCP recorders, and a scripted other end.

// All of it is test code, which the lints know by this attribute.
#[cfg(test)]
mod behaviour;
#[cfg(test)]
mod centre;
#[cfg(test)]
#[expect(dead_code, reason = "the tests of the driver use more of it")]
#[path = "../../src/peer.rs"]
mod peer;
