//! Request and reply: agents and operators ask, coordinators answer.
//!
//! A reply is a sealed message, or, with the header [`ERROR_HEADER`], a sealed `ApiError`. The trace
//! of the asker goes along in the headers. A reply may carry a sentence for the reader in [`NOTE_HEADER`].

mod client;
mod server;

pub use client::{RpcError, request};
pub use server::{Call, Reply, Server};

/// The header of a reply that is an error; its value is the error's code.
pub const ERROR_HEADER: &str = "Tvt-Error";
/// The header of a reply with a sentence for whoever reads it.
pub const NOTE_HEADER: &str = "Tvt-Note";
/// The longest such sentence, in characters.
pub const NOTE_MAX: usize = 200;
