//! What the web interfaces share: requests and answers as values, and the two ways to show a
//! credential that HTTP knows.

mod challenge;
mod digest;
mod drift;
mod exchange;
mod findings;
mod trouble;

pub use challenge::{Challenge, Scheme, challenges, strongest};
pub use digest::{Algorithm, DigestChallenge, DigestResponse, DigestUse, Qop, basic};
pub use drift::{local_time, measure, search_time};
pub use exchange::{Method, Request, Response};
pub use findings::Findings;
pub use trouble::Trouble;
