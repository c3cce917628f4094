//! The web API of cameras and recorders: HTTP with XML, in two dialects.
//!
//! The *flat* dialect (`/GetDeviceInfo`, namespaced `config` documents; vendor's HTTP API guide 1.5 to
//! 2.1) is what devices serve. The *prefixed* one (`/LAPI/V1.0/…`) is known from pytvt 0.5.1 only;
//! UNCERTAIN whether any device serves it, an answer of one settles it. A session finds out which one
//! it talks to with its first request, and shows a credential only in answer to a challenge.

mod dialect;
mod edit;
mod errand;
pub mod flat;
pub mod lapi;
mod query;
mod session;

pub use dialect::Dialect;
pub use edit::plan;
pub use errand::Errand;
pub use query::{Query, Scope};
pub use session::{Login, Session, Step};
