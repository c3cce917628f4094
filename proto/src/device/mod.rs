//! Codecs and session state machines of the devices: bytes in, events and bytes out.
//!
//! Time is an argument, nothing here opens a socket. One folder per wire protocol.

pub mod bridge;
pub mod cgi;
pub mod edit;
pub mod http;
pub mod mhed;
pub mod picture;
pub mod probe;
pub mod rtsp;
pub mod sdkpipe;
pub mod ssdp;
pub mod tvt;
pub mod webapi;
pub mod wsd;
pub mod xml;
