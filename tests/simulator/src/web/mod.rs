//! The web interfaces of a recorder: the web API in two dialects, and the pages' commands.
//!
//! Read from the reference a second time, independently of the product. Passwords, lock-outs and the
//! limit of sessions are those of the binary protocol.

mod api;
mod bomb;
mod calendar;
mod cgi;
mod digest;
mod edit;
mod http;
mod keys;
mod server;
mod spec;
mod state;
mod still;

pub use spec::{ApiDialect, ApiLogin, PagesLogin, StillFault, WebFault, WebSpec, WriteFault};

pub(crate) use api::channels;
pub(crate) use digest::{Shown, shown};
pub(crate) use http::{Request, read};
pub(crate) use server::serve;
pub(crate) use state::WebState;
