//! Settings: where they come from, and what happens where two places name the same one.
//!
//! The order is always flag, environment, `.env` (local scans only), file, default.

mod dotenv;
mod fleet;
mod local;
mod setting;
pub(crate) mod value;
mod vendor;

pub(crate) use fleet::{ServerArgs, ServerSettings};
pub(crate) use local::{LocalArgs, LocalSettings, read_password};
pub(crate) use setting::Origin;
pub(crate) use value::{duration, parallel, port};
pub(crate) use vendor::{VendorArgs, vendor_of_environment};
