//! Who the agent is: keys that were made on this box and never leave it, and the token that the
//! coordinator gives to them.
//!
//! `join` makes the keys and enrols them, `exchange` asks for tokens, `keeper` renews them and finds
//! the way back after a long absence, `folder` is where all of it stands.

mod exchange;
mod folder;
mod join;
mod keeper;

pub use exchange::IdentityError;
pub use folder::Identity;
pub use join::{Joined, join};
pub(crate) use keeper::{Ended, Keeper};
