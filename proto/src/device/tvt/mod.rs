//! The TVT binary protocol of TCP ports 6036 and 9008: codecs and the session state machine.
//!
//! Nothing here opens a socket, reads a clock or draws a random number. Bytes come in through
//! [`Session::handle_input`], bytes and events come out of [`Session::poll_transmit`] and
//! [`Session::poll_event`], and time is an argument. What the session may use up is stated in
//! [`limits`]; all integers of the protocol are little-endian.
//!
//! Three families share the framing. The "standard" one (IP cameras, and recorders with a protocol
//! version below 11) and the "head" one (current recorders, protocol version 11 and up) are spoken
//! here. The older DVR V4 family is recognised where it shows itself, and refused.
//!
//! Wire source: pytvt 0.5.1, the public Wireshark dissector and vendor headers. None of it is the
//! vendor's own specification.

mod camera_xml;
mod cameras;
mod cipher;
mod command;
mod config;
mod credentials;
mod decode;
pub mod explain;
mod failure;
mod field;
mod frame;
mod head;
mod http;
mod init;
mod json;
pub mod limits;
mod login;
mod outcome;
mod reply;
mod session;
mod tunnel;
mod verdict;
mod walk;

pub use cameras::{Cameras, extract, normalise};
pub use cipher::{password_head, password_standard, username_head, username_standard};
pub use command::CommandId;
pub use config::{Compat, Goal, KeySource, SessionConfig, TunnelMode};
pub use credentials::{CredentialFault, check_credential};
pub use decode::{Decoder, Unit};
pub use failure::{CodecError, Failure, Phase};
pub use frame::{Frame, HEADER_LEN, HEARTBEAT, Header};
pub use head::{HeadChannel, HeadLogin};
pub use http::{HttpContent, HttpError};
pub use init::{INIT_LEN, Init, SoftwareVersion};
pub use json::{Json, JsonFault, Object};
pub use limits::Limits;
pub use login::{LoginPlan, LoginRefusal, Protection, Variant};
pub use outcome::{Event, Findings, Login, LoginOffer, Outcome, Traffic, TunnelAttempt};
pub use reply::{
    StandardLogin, classify_head_login_failure, classify_login_failure, login_failure_code,
};
pub use session::Session;
pub use tunnel::{TunnelPath, TunnelReply, TunnelTrouble, tunnel_request};
